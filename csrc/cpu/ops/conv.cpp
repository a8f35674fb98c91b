// Convolutions of images, transposed ones, and the steps of their gradients. How one is done is chosen in ../conv/; those
// of every channel alone are kernels.
#include "cpu/conv/conv.h"

#include "cpu/ops/call.h"
#include "ops/conv.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> STEEP_HD const Conv<T>& conv_of(const Work<T>& w) {
  return *static_cast<const Conv<T>*>(w.made);
}

// Rows [lo, hi) of y = relu?(x correlated with W + bias), or are added to.
template <class T>
STEEP_HD void correlate(const ops::Convolving& op, const Work<T>& w, const Step<T>& s,
                        const T* bias, bool relu, bool accumulate, const View<T>& y, long lo,
                        long hi) {
  const View<T>& x = w.in[0];
  if (op.depthwise) {
    for (long r = lo; r < hi; ++r)
      w.k->depthwise(op.window, x.at(r), w.parameters[0], bias, y.at(r), accumulate);
    return;
  }
  const T* const weight = w.in[1].data ? w.in[1].data : w.parameters[0];
  conv_of(w).forward(x.at(lo), x.ld, weight, bias, relu, y.at(lo), y.ld, hi - lo, accumulate,
                     s.scratch);
}

// The same of the gradient through W of dy.
template <class T>
STEEP_HD void go_back(const ops::Convolving& op, const Work<T>& w, const Step<T>& s, const T* bias,
                      bool relu, bool accumulate, const View<T>& dx, long lo, long hi) {
  const View<T>& dy = w.in[0];
  if (op.depthwise) {
    for (long r = lo; r < hi; ++r)
      w.k->depthwise_grad(op.window, dy.at(r), w.parameters[0], bias, dx.at(r), accumulate);
    return;
  }
  conv_of(w).data(dy.at(lo), dy.ld, w.in[1].data, bias, relu, dx.at(lo), dx.ld, hi - lo, accumulate,
                  s.scratch);
}

// The image that kernels leave without its activation, unless that was done: z of y.
template <class T>
STEEP_HD void finish(const Fused& f, bool done, const Work<T>& w, long lo, long hi) {
  const View<T>&y = w.out, &z = w.inner();
  if (f.any() && !done) activate(w, f, z, y, lo, hi, 0, y.width());
  clear_padding(y, lo, hi);  // which the kernels leave alone
  if (z.data != y.data) clear_padding(z, lo, hi);
}
template <class T>
STEEP_HD void finish_gradient(const Fused& f, const Work<T>& w, long lo, long hi) {
  const View<T>& dx = w.out;
  if (f.any()) activate_grad(w, f, dx, w.stored, dx, false, lo, hi, 0, dx.width());
  clear_padding(dx, lo, hi);
}

// Whether the loops of a convolution take the activation on.
template <class T>
STEEP_HD bool takes_relu(const ops::Convolving& op, const Fused& f, const Work<T>& w) {
  return !op.depthwise && f.activation.index == kRelu && w.inner().data == w.out.data;
}

}  // namespace

template <class T>
void run(const ops::ConvPack& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  conv_of(w).pack(op.transposed, w.parameters[0], w.out.data, lo, hi, s.scratch);
}
STEEP_CALL(ConvPack)

template <class T>
void run(const ops::Conv& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const bool relu = takes_relu(op, op.f, w);
  correlate(op, w, s, w.parameters[1], relu, false, w.inner(), lo, hi);
  finish(op.f, relu, w, lo, hi);
}
STEEP_CALL(Conv)

template <class T>
void run(const ops::ConvTranspose& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const bool relu = takes_relu(op, op.f, w);
  go_back(op, w, s, w.parameters[1], relu, false, w.inner(), lo, hi);
  finish(op.f, relu, w, lo, hi);
}
STEEP_CALL(ConvTranspose)

template <class T>
void run(const ops::ConvGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const T* const bias = nullptr;
  go_back(op, w, s, bias, false, w.accumulate, w.out, lo, hi);
  finish_gradient(op.f, w, lo, hi);
}
STEEP_CALL(ConvGrad)

template <class T>
void run(const ops::ConvTransposeGrad& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  const T* const bias = nullptr;
  correlate(op, w, s, bias, false, w.accumulate, w.out, lo, hi);
  finish_gradient(op.f, w, lo, hi);
}
STEEP_CALL(ConvTransposeGrad)

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
    if (one_pixel(op.window)) {  // scales of numbers: sums of products
      w.k->column_sum(x.at(first), x.ld, dz.at(first), dz.ld, images, x.width(), dw.at(group),
                      false);
      continue;
    }
    for (long r = first; r < first + images; ++r)
      w.k->depthwise_grad_weight(op.window, x.at(r), dz.at(r), dw.at(group), r > first);
  }
}
STEEP_CALL(ConvGradWeight)

}  // namespace steep::STEEP_ISA
