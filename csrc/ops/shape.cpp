// Shapes and gradients of ops that move elements.
#include "ops/shape.h"

#include <algorithm>

#include "ops/steps.h"

namespace steep::ops {

Shape Reshape::shape(const Given& given) {
  // What is no shape at all, the graph refuses.
  const bool fits =
      std::all_of(to.begin(), to.end(), [](long n) { return n > 0 && n < kMostAxis; });
  double size = 1;
  for (const long n : to) size *= static_cast<double>(n);
  if (fits && size <= static_cast<double>(kMostElements) && elements_of(to) != given.width()) {
    given.refuse("cannot reshape ", text_of(given.shape()), " into ", text_of(to));
  }
  return to;
}

void Reshape::gradient(Gradients& to, const Op&) const { to.share(0, to.result()); }

void CopyColumns::gradient(Gradients& out, const Op&) const {
  out.give(0, {.what = CopyColumns{to, from, columns, pixels}, .in = {out.result()}});
}

Shape Pad::shape(const Given& given) {
  Shape shape = given.image("zero padding");
  const Pair all[] = {rows, columns, channels};
  for (int axis = 0; axis < 3; ++axis) {
    const auto [before, after] = all[axis];
    if (before < 0 || after < 0) {
      given.refuse("zero padding expects numbers of at least 0, got ", before, " and ", after);
    }
    given.expect_axis(std::max(before, after), "zero padding");
    small[axis] = shape[axis];
    large[axis] = shape[axis] += before + after;
  }
  above = rows[0];
  left = columns[0];
  front = channels[0];
  return shape;
}

void Pad::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Crop{*this}, .in = {to.result()}});
}

}  // namespace steep::ops
