// The checks that the shape rules of all ops share.
#include "ops/op.h"

#include <functional>
#include <numeric>

#include "ops/list.h"

namespace steep {

ops::Attributes::Attributes() = default;
ops::Attributes::Attributes(const Attributes& other) = default;
ops::Attributes::Attributes(Attributes&& other) noexcept = default;
ops::Attributes& ops::Attributes::operator=(const Attributes& other) = default;
ops::Attributes& ops::Attributes::operator=(Attributes&& other) noexcept = default;
ops::Attributes::~Attributes() = default;

std::string text_of(const Shape& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

long elements_of(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), 1L, std::multiplies<>());
}

const Shape& Given::shape(std::size_t i) const {
  if (i >= in_.size()) refuse("an op expects at least ", i + 1, " tensors, got ", in_.size());
  return *in_[i];
}

const Shape& Given::parameter(std::size_t i) const {
  if (i >= parameters_.size()) {
    refuse("an op expects at least ", i + 1, " parameters, got ", parameters_.size());
  }
  return *parameters_[i];
}

long Given::width(std::size_t i) const { return elements_of(shape(i)); }

long Given::positions(std::size_t i) const { return width(i) / shape(i).back(); }

const Shape& Given::image(const char* what, std::size_t i) const {
  if (shape(i).size() != 3) {
    refuse(what, " expects an image (height, width, channels), got ", text_of(shape(i)));
  }
  return shape(i);
}

const Shape& Given::equal(const char* what) const {
  if (shape(0) != shape(1)) {
    refuse(what, " expects equal shapes, got ", text_of(shape(0)), " and ", text_of(shape(1)));
  }
  return shape(0);
}

void Given::expect_vector(std::size_t i, const char* what, long n) const {
  if (parameter(i) != Shape{n}) {
    refuse(what, " (", n, ",), got ", text_of(parameter(i)));
  }
}

void Given::expect_axis(long size, const char* what) const {
  if (size >= kMostAxis) refuse(what, " must be below 2^31, got ", size);
}

}  // namespace steep
