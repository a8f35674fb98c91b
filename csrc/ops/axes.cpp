// Shapes and gradients of ops along axes.
#include "ops/axes.h"

#include <functional>
#include <numeric>

#include "ops/steps.h"

namespace steep::ops {

namespace {

long product(const Shape& shape, long first, long last) {
  return std::accumulate(shape.begin() + first, shape.begin() + last, 1L, std::multiplies<>());
}

// Splits a shape around axes [first, last).
template <class A> void split(A& op, const Shape& shape, long first, long last) {
  op.outer = product(shape, 0, first);
  op.n = product(shape, first, last);
  op.inner = product(shape, last, static_cast<long>(shape.size()));
}

}  // namespace

Shape Sum::shape(const Given& given) {
  const Shape& x = given.shape();
  const long count = static_cast<long>(x.size());
  if (axis < 0 || axes < 1 || axes > count - axis) {
    given.refuse("a sum expects axes of ", text_of(x), ", got ", axes, " from ", axis, " on");
  }
  split(*this, x, axis, axis + axes);
  Shape out = x;
  out.erase(out.begin() + axis, out.begin() + axis + axes);
  return out.empty() ? Shape{1} : out;
}

void Sum::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Repeat{.outer = outer, .n = n, .inner = inner, .scale = scale},
              .in = {to.result()}});
}

Shape Repeat::shape(const Given& given) {
  Shape x = given.shape();
  if (axis < 0 || axis > static_cast<long>(x.size()) || n < 1) {
    given.refuse("repeat expects a place among the axes of ", text_of(x),
                 " and a number of at least 1, got ", axis, " and ", n);
  }
  given.expect_axis(n, "the number of repetitions");
  outer = product(x, 0, axis);
  inner = product(x, axis, static_cast<long>(x.size()));
  x.insert(x.begin() + axis, n);
  return x;
}

void Repeat::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Sum{.scale = scale, .outer = outer, .n = n, .inner = inner},
              .in = {to.result()}});
}

Shape Slice::shape(const Given& given) {
  Shape x = given.shape();
  if (axis < 0 || axis >= static_cast<long>(x.size()) || first < 0 || first >= last ||
      last > x[axis]) {
    given.refuse("slice expects a part of one axis of ", text_of(x), ", got ", first, " to ", last,
                 " of axis ", axis);
  }
  split(*this, x, axis, axis + 1);
  x[axis] = last - first;
  return x;
}

void Slice::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = SliceGrad{*this}, .in = {to.result()}});
}

}  // namespace steep::ops
