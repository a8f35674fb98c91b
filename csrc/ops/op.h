// What every op knows of: tensors, parameters, terms of gradients; and what its shape rule is given.
// Ops themselves live in the files beside; the list of them is list.h.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/format.h"

namespace steep {

using Shape = std::vector<long>;
using Pair = std::array<long, 2>;     // rows, columns
using Padding = std::array<long, 4>;  // top, bottom, left, right
std::string text_of(const Shape& shape);

// What keeps every product of sizes far from overflow: each axis, kernel, stride, dilation and number
// of zeros is below kMostAxis; a sample, a parameter and an image with its zeros have at most
// kMostElements.
constexpr long kMostAxis = 1L << 31;
constexpr long kMostElements = 1L << 40;

struct Tensor {
  Shape shape = {};  // of a sample; empty where it is a step on the way
  long width = 0;    // elements of one row; 0 where the device knows
  long samples = 1;  // samples a row stands for: one, a group of them, or kAllSamples
  Format format = Format::Float32;
};
constexpr long kAllSamples = -1;

// What a parameter is brought back to after every update.
struct Bound {
  enum class Kind {
    None,
    Clip,         // |w| <= limit
    NonNegative,  // w >= 0
    MaxNorm,      // the length of each column, of the last axis, is at most the limit ...
    UnitNorm,     // ... or 1; a vector is one column
  } kind = Kind::None;
  double limit = 0;

  bool by_element() const { return kind == Kind::Clip || kind == Kind::NonNegative; }
  bool by_column() const { return kind == Kind::MaxNorm || kind == Kind::UnitNorm; }
};

struct Parameter {
  std::string name;
  Shape shape;   // (in, out), (n,) or, of a convolution, (height, width, in/groups, out)
  bool decay;    // penalties and decoupled decay apply
  bool trained;  // running statistics are not
  Bound bound = {};
};

// Where numbers lie in a row that has others, too.
struct Stride {
  long first = 0;  // elements before them
  long each = 0;   // from position to position; 0 where they are dense
  bool any() const { return first > 0 || each > 0; }
};

// One term of a parameter's gradient, summed over the samples of the batch.
struct GradTerm {
  enum class Form {
    Outer,       // x^T dy            (in, out), of every position of a sample
    Sum,         // sum_r dy          (n,)
    SumProduct,  // sum_r x*dy        (n,)
    Partial,     // sum of dy over sample groups; dy is laid out as the parameter is stored
    Scatter,     // dy, added to the row that x names, or to its position's without x; (rows, n)
  } form;
  int x;                     // tensor, -1 for Sum and Partial, and where Scatter has none
  int dy;                    // tensor
  bool second_half = false;  // the columns of dy that count
  long positions = 1;        // of Outer and Scatter: rows of x and of dy that a sample has, dense
  // Of a tensor that holds more: elements before the first, and from position to position.
  Stride x_at = {}, dy_at = {};
  int lengths = -1;   // tensor whose first column is how many positions of a sample count
  long skipped = -1;  // of Scatter: the row that gets none
};

// Whole numbers that an op takes from an input of the network: which of its tensors they are, and the
// least and the most. The kernel of such an op makes NaN of others, and touches nothing.
struct Whole {
  std::size_t in;
  long low, high;
  const char* what;
};

// Position in activations/list.h; -1 for none. Python gives its name.
struct ActivationId {
  int index = -1;
  operator int() const { return index; }
};

// An activation that an op applies, or whose derivative its gradient takes.
struct Fused {
  ActivationId activation = {};
  double alpha = 0;  // its own number
  bool any() const { return activation >= 0; }
};

// What a new op is given, and the voice in which it refuses what does not fit.
class Given {
 public:
  Given(std::string where, std::vector<const Shape*> in, std::vector<const Shape*> parameters,
        uint32_t& draws)
      : where_(std::move(where)), in_(std::move(in)), parameters_(std::move(parameters)),
        draws_(draws) {}

  template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) const {
    steep::refuse(where_, parts...);
  }
  const Shape& shape(std::size_t i = 0) const;
  long width(std::size_t i = 0) const;                            // elements of a sample
  long positions(std::size_t i = 0) const;                        // all axes but the last
  const Shape& image(const char* what, std::size_t i = 0) const;  // (height, width, channels)
  const Shape& equal(const char* what) const;                     // that of both tensors
  const Shape& parameter(std::size_t i) const;
  bool has_parameter(std::size_t i) const { return i < parameters_.size(); }
  // Refuses a parameter whose shape is not (n,); `what` is the sentence up to that shape.
  void expect_vector(std::size_t parameter, const char* what, long n) const;
  void expect_axis(long size, const char* what) const;  // below kMostAxis
  uint32_t next_draw() const { return draws_++; }       // number of a random op in its network

 private:
  std::string where_;
  std::vector<const Shape*> in_, parameters_;
  uint32_t& draws_;
};

// Elements of a shape that was checked.
long elements_of(const Shape& shape);

// A number of an op that Python gives by name.
template <class A, class Value> struct Field {
  const char* name;
  Value A::* at;
};
template <class A, class Value> Field(const char*, Value A::*) -> Field<A, Value>;

struct Op;
class Gradients;
class Lowering;

}  // namespace steep
