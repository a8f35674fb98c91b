// Attention of heads (Vaswani et al. 2017), and products of two tensors of a sample.
#pragma once
#include "base/panels.h"
#include "ops/op.h"

namespace steep::ops {

// Of each head, softmax(Q K^T/sqrt(head)) V; probabilities are computed again for the gradient, some rows
// at a time, so that no sample needs room for all of them.
struct Attending {
  static constexpr long kRows = 32;  // of queries at a time
  long heads = 1;
  bool causal = false;  // query i sees keys 0 to i
  double rate = 0;      // of dropout on the probabilities
  // How many tensors Q, K and V come in: 3; 2 where a position of the second one is (k, v); 1 for (q, k, v).
  long tensors = 3;

  bool masked = false, training = false;
  uint32_t stream = 0;
  long queries = 0, keys = 0, width = 0;

  // Where Q, K and V begin in a sample of their tensors, and how far a position is from the next.
  struct Places { long q, k, v, own, theirs; };
  STEEP_HD Places places() const {
    const long d = width, k = tensors == 1 ? d : 0, v = k + (tensors == 3 ? 0 : d);
    return {0, k, v, tensors == 1 ? 3 * d : d, tensors == 3 ? d : (4 - tensors) * d};
  }
  // Their gradients: of one tensor as in it, of others one tensor after the other.
  STEEP_HD Places gradient_places() const {
    if (tensors == 1) return places();
    const long k = queries * width, v = k + (tensors == 2 ? width : keys * width);
    return {0, k, v, width, tensors == 2 ? 2 * width : width};
  }
  long head() const { return width / heads; }
  long many() const { return ceil_div(keys, kPanel) * kPanel; }  // keys, in whole panels
  long scratch() const {
    const long h = padded(head());
    return many() * (2 * head() + 3 * h + 3 * kRows) + 2 * kRows * h;
  }
  double work() const {
    return 4.0 * static_cast<double>(queries) * static_cast<double>(keys) *
           static_cast<double>(width);
  }
  Shape shape_of(const Given& given);
  void pass_on(Gradients& to, const Op& op) const;
};

struct Attention : Attending {
  static constexpr const char* kName = "attention";
  static constexpr std::array kTensors{"q", "k", "v"};
  static constexpr auto fields() {
    return std::tuple{Field{"heads", &Attending::heads}, Field{"causal", &Attending::causal},
                      Field{"rate", &Attending::rate}, Field{"tensors", &Attending::tensors}};
  }
  Shape shape(const Given& given) { return shape_of(given); }
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const { pass_on(to, op); }
};

// Of the first keys alone, as many as in3 says.
struct MaskedAttention : Attending {
  static constexpr const char* kName = "masked_attention";
  static constexpr std::array kTensors{"q", "k", "v", "lengths"};
  static constexpr auto fields() { return Attention::fields(); }
  Shape shape(const Given& given);
  void lower(Lowering& to, Op& op) const;
  void gradient(Gradients& to, const Op& op) const { pass_on(to, op); }
  Whole whole() const { return {3, 1, keys, "length"}; }
};

// out (+)= the gradients of Q, K and V as they lie, one tensor after the other; in0 = dy, then what the
// attention read.
struct AttentionGrad : Attending { static constexpr const char* kName = "attention_grad"; };

// out (+)= in0 in1 for the matrices (n, k) and (k, m) at each of their leading places; turned ones are
// (k, n) and (m, k).
struct BatchMatMul {
  static constexpr const char* kName = "batch_matmul";
  static constexpr std::array kTensors{"a", "b"};
  static constexpr std::size_t kOptional = 2;
  static constexpr auto fields() {
    return std::tuple{Field{"transpose_a", &BatchMatMul::turned_a},
                      Field{"transpose_b", &BatchMatMul::turned_b}};
  }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
  long scratch() const { return depth * kPanel; }
  double work() const {
    return 2.0 * static_cast<double>(places) * static_cast<double>(rows) *
           static_cast<double>(depth) * static_cast<double>(columns);
  }

  bool turned_a = false, turned_b = false;
  long places = 1, rows = 0, depth = 0, columns = 0;
};

}  // namespace steep::ops
