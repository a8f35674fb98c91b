// The loops over activations and their derivatives. The formulas live in activations/.
#include "activations/list.h"
#include "cpu/kernels/each.h"
#include "cpu/kernels/fill.h"

namespace steep::STEEP_ISA {
namespace {

// The derivative of f is what f says it is, at kinks, too.
template <class F, class T>
STEEP_HD T value(T x, T alpha) {
  if constexpr (kDual<T>) {
    const double y = F::template value<double>(x.v, alpha.v);
    return {y, F::template grad<double>(x.d, F::kReadsInput ? x.v : y, alpha.v)};
  } else {
    return F::template value<T>(x, alpha);
  }
}

template <class T, class F>
void activate(const T* x, long ldx, T* y, long ldy, long rows, long width, T alpha) {
  each(y, ldy, rows, width / kLane * kLane, false,
       [=](long r, long c) { return value<F>(x[r * ldx + c], alpha); });
}

template <class T, class F>
void activate_grad(const T* dy, long lddy, const T* stored, long lds, T* dx, long lddx, long rows,
                   long width, T alpha, bool accumulate) {
  each(dx, lddx, rows, width / kLane * kLane, accumulate, [=](long r, long c) {
    return F::template grad<T>(dy[r * lddy + c], stored[r * lds + c], alpha);
  });
}

template <class T, class... F>
void fill(Kernels<T>& table, List<F...>) {
  static constexpr decltype(&activate<T, activations::Linear>) values[] = {activate<T, F>...};
  static constexpr decltype(&activate_grad<T, activations::Linear>) grads[] = {
      activate_grad<T, F>...};
  table.activate = values;
  table.activate_grad = grads;
}

}  // namespace

template <class T>
void fill_activations(Kernels<T>& table) {
  fill(table, activations::All{});
}

STEEP_FILL_DUAL(fill_activations)

}  // namespace steep::STEEP_ISA
