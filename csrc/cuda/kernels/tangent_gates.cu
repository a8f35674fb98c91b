// Gated linear units in dual numbers.
#include "cuda/kernels/tangent_values.cuh"

namespace steep::cuda {

namespace {

// Of an element of the result, the column of its half that is not gated; the gate is so many channels further.
struct Halves {
  Divisor channels;
  int width;
  explicit Halves(int n) : channels(n), width(n) {}
  STEEP_HD int at(int c) const { return c + channels.of(c).quotient * width; }
};

template <class F> struct Gated {
  Duals x;
  Halves halves;
  Value<F> f;
  STEEP_HD Dual operator()(int r, int c) const {
    const int a = halves.at(c);
    return get(x, r, a) * f(get(x, r, a + halves.width));
  }
};

template <class F> struct GatedGrad {
  Duals dy, x, dx;
  Halves halves;
  Value<F> f;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    const int a = halves.at(c);
    const Dual up = get(dy, r, c), gate = get(x, r, a + halves.width), opened = f(gate);
    const Dual down = Grad<F>{f.alpha}(up * get(x, r, a), F::kReadsInput ? gate : opened);
    add(a, r, up * opened);
    add(a + halves.width, r, down);
  }
  STEEP_HD void add(int c, int r, Dual value) const {
    DualNumber* const to = place(dx, r, c);
    put(to, (accumulate ? get(to) : Dual(0)) + value);
  }
};

using Glu = void (*)(const Place&, double, int, const Duals&, const Duals&);
template <class F>
void value_of(const Place& at, double alpha, int channels, const Duals& x, const Duals& y) {
  write_each(at, y, false, Gated<F>{x, Halves(channels), {alpha}});
}
template <class... F> Glu value_by(int index, List<F...>) {
  static constexpr Glu all[] = {value_of<F>...};
  return all[index];
}
using GluGrad = void (*)(const Place&, double, int, const Duals&, const Duals&, const Duals&, bool);
template <class F>
void grad_of(const Place& at, double alpha, int channels, const Duals& dy, const Duals& x,
             const Duals& dx, bool accumulate) {
  each(at, dy.columns, GatedGrad<F>{dy, x, dx, Halves(channels), {alpha}, accumulate});
}
template <class... F> GluGrad grad_by(int index, List<F...>) {
  static constexpr GluGrad all[] = {grad_of<F>...};
  return all[index];
}

}  // namespace

void glu(const Place& at, int f, double alpha, int channels, const Duals& x, const Duals& y) {
  value_by(f, activations::All{})(at, alpha, channels, x, y);
}

void glu_grad(const Place& at, int f, double alpha, int channels, const Duals& dy, const Duals& x,
              const Duals& dx, bool accumulate) {
  grad_by(f, activations::All{})(at, alpha, channels, dy, x, dx, accumulate);
}

}  // namespace steep::cuda
