// Convolutions of images, and the steps of their gradients. How one is done is chosen in ../conv/; those
// of every channel alone are kernels.
#include "cpu/conv/conv.h"

#include "cpu/ops/call.h"
#include "ops/conv.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> STEEP_HD const Conv<T>& conv_of(const Work<T>& w) {
  return *static_cast<const Conv<T>*>(w.made);
}

}  // namespace

template <class T>
void run(const ops::ConvPack& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  conv_of(w).pack(op.transposed, w.parameters[0], w.out.data, lo, hi, s.scratch);
}
STEEP_CALL(ConvPack)

template <class T>
void run(const ops::Conv& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&x = w.in[0], &y = w.out, &z = w.inner();
  const T* const bias = w.parameters[1];
  const bool relu = !op.depthwise && op.f.activation.index == kRelu && z.data == y.data;
  if (op.depthwise) {
    for (long r = lo; r < hi; ++r)
      w.k->depthwise(op.window, x.at(r), w.parameters[0], bias, z.at(r));
  } else {
    const T* const weight = w.in[1].data ? w.in[1].data : w.parameters[0];
    conv_of(w).forward(x.at(lo), x.ld, weight, bias, relu, z.at(lo), z.ld, hi - lo, s.scratch);
  }
  if (op.f.any() && !relu) activate(w, op.f, z, y, lo, hi, 0, y.width());
  clear_padding(y, lo, hi);  // which the kernels above leave alone
  if (z.data != y.data) clear_padding(z, lo, hi);
}
STEEP_CALL(Conv)

template <class T>
void run(const ops::ConvGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&dz = w.in[0], &dx = w.out;
  if (op.depthwise) {
    for (long r = lo; r < hi; ++r)
      w.k->depthwise_grad(op.window, dz.at(r), w.parameters[0], dx.at(r), w.accumulate);
  } else {
    conv_of(w).data(dz.at(lo), dz.ld, w.in[1].data, dx.at(lo), dx.ld, hi - lo, w.accumulate,
                    s.scratch);
  }
  if (op.f.any()) activate_grad(w, op.f, dx, w.stored, dx, false, lo, hi, 0, dx.width());
  clear_padding(dx, lo, hi);
}
STEEP_CALL(ConvGrad)

// Units are panels of W for each group of samples in turn.
template <class T>
void run(const ops::ConvGradWeight& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const View<T>&x = w.in[0], &dz = w.in[1], &dw = w.out;
  const long panels = op.depthwise ? 1 : conv_of(w).weight_units();
  for (long unit = lo; unit < hi; ++unit) {
    const long group = unit / panels, first = group * w.samples, left = s.rows - first;
    const long images = left < w.samples ? left : w.samples;
    if (images <= 0) continue;
    if (!op.depthwise) {
      conv_of(w).weights(unit % panels, x.at(first), x.ld, dz.at(first), dz.ld, dw.at(group),
                         images, false, s.scratch);
      continue;
    }
    for (long r = first; r < first + images; ++r)
      w.k->depthwise_grad_weight(op.window, x.at(r), dz.at(r), dw.at(group), r > first);
  }
}
STEEP_CALL(ConvGradWeight)

}  // namespace steep::STEEP_ISA
