// The checks of sliding windows.
#include "ops/window.h"

namespace steep::ops {

Window window_of(const Given& given, const char* what, const Shape& shape, const Sliding& s) {
  Window w{};
  w.channels = shape[2];
  for (int axis = 0; axis < 2; ++axis) {
    const long kernel = s.size[axis], stride = s.stride[axis], dilation = s.dilation[axis];
    const long before = s.padding[2 * axis], after = s.padding[2 * axis + 1];
    if (kernel < 1 || stride < 1 || dilation < 1) {
      given.refuse(what, " expects sizes, strides and dilations of at least 1, got ", kernel, ", ",
                   stride, " and ", dilation);
    }
    for (const long n : {kernel, stride, dilation, before, after}) {
      given.expect_axis(n, "sizes, strides, dilations and padding");
    }
    const long reach = (kernel - 1) * dilation + 1;
    if (before < 0 || after < 0) {
      given.refuse(what, " expects padding of at least 0, got ", before, " and ", after);
    }
    const long room = shape[axis] + before + after - reach;
    if (room < 0) {
      given.refuse(what, ": a window of ", reach, " does not fit into ", shape[axis],
                   axis == 0 ? " rows" : " columns", " with padding ", before, " and ", after);
    }
    w.in[axis] = shape[axis];
    w.out[axis] = room / stride + 1;
    w.kernel[axis] = kernel;
    w.stride[axis] = stride;
    w.dilation[axis] = dilation;
    w.before[axis] = before;
  }
  return w;
}

}  // namespace steep::ops
