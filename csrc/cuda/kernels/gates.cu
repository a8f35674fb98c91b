// PReLU, gated linear units and maxout, and their gradients.
#include "activations/list.h"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

namespace {

template <class By> struct Slope {
  View dy, x;
  const float* slopes;
  int channels;
  STEEP_HD float operator()(int r, int c) const {
    const float up = at<By>(dy, r, c);
    return at<By>(x, r, c) > 0.0f ? up : slopes[c % channels] * up;
  }
};
template <class By> struct Share {
  View dy, x;
  STEEP_HD float operator()(int r, int c) const {
    const float in = at<By>(x, r, c);
    return in > 0.0f ? 0.0f : at<By>(dy, r, c) * in;
  }
};

// Element c of the result has a in the first half of its pixel, b in the second.
template <class F, class By> struct Gated {
  View x;
  float alpha;
  int channels;
  STEEP_HD float operator()(int r, int c) const {
    const int a = c + c / channels * channels;
    return at<By>(x, r, a) * F::template value<float>(at<By>(x, r, a + channels), alpha);
  }
};
template <class F, class By> struct GatedGrad {
  View dy, x, dx;
  float alpha;
  bool accumulate;
  int channels;
  STEEP_HD void operator()(int r, int c) const {
    const int a = c + c / channels * channels;
    const float up = at<By>(dy, r, c), left = at<By>(x, r, a), gate = at<By>(x, r, a + channels);
    const float opened = F::template value<float>(gate, alpha);
    const float down = F::template grad<float>(up * left, F::kReadsInput ? gate : opened, alpha);
    const long to = r * dx.ld + a;
    By::put(dx, to, (accumulate ? By::get(dx, to) : 0.0f) + up * opened);
    By::put(dx, to + channels, (accumulate ? By::get(dx, to + channels) : 0.0f) + down);
  }
};
using Glu = void (*)(const Place&, float, int, const View&, const View&);
template <class F>
void glu_of(const Place& p, float alpha, int channels, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(p, y, false, Gated<F, By>{x, alpha, channels}); },
               x, y);
}
template <class... F> Glu glu_by(int index, List<F...>) {
  static constexpr Glu all[] = {glu_of<F>...};
  return all[index];
}
using GluGrad = void (*)(const Place&, float, int, const View&, const View&, const View&, bool);
template <class F>
void glu_grad_of(const Place& p, float alpha, int channels, const View& dy, const View& x,
                 const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(p, dy.columns, GatedGrad<F, By>{dy, x, dx, alpha, accumulate, channels});
      },
      dy, x, dx);
}
template <class... F> GluGrad glu_grad_by(int index, List<F...>) {
  static constexpr GluGrad all[] = {glu_grad_of<F>...};
  return all[index];
}

template <class By> struct Largest {
  View x;
  int pieces;
  STEEP_HD float operator()(int r, int c) const {
    float top = at<By>(x, r, c * pieces);
    for (int i = 1; i < pieces; ++i) {
      const float piece = at<By>(x, r, c * pieces + i);
      top = (piece > top) | (piece != piece) ? piece : top;
    }
    return top;
  }
};
template <class By> struct LargestGrad {
  View dy, x, y, dx;
  int pieces;
  bool accumulate;
  STEEP_HD void operator()(int r, int c) const {
    float rest = at<By>(dy, r, c);
    const long to = r * dx.ld + c * pieces;
    for (int i = 0; i < pieces; ++i) {
      const float piece = at<By>(x, r, c * pieces + i);
      const bool takes = (piece == at<By>(y, r, c)) | (piece != piece);
      By::put(dx, to + i, (accumulate ? By::get(dx, to + i) : 0.0f) + (takes ? rest : 0.0f));
      rest = takes ? 0.0f : rest;
    }
  }
};

}  // namespace

void prelu(const Place& at, const float* slopes, int channels, const View& x, const View& y) {
  write_values<Slope>(at, y, false, x, x, slopes, channels);
}
void prelu_grad(const Place& at, const float* slopes, int channels, const View& dy, const View& x,
                const View& dx, bool accumulate) {
  write_values<Slope>(at, dx, accumulate, dy, x, slopes, channels);
}
void prelu_shares(const Place& at, const View& dy, const View& x, const View& out) {
  write_values<Share>(at, out, false, dy, x);
}

void glu(const Place& at, int f, float alpha, int channels, const View& x, const View& y) {
  glu_by(f, activations::All{})(at, alpha, channels, x, y);
}
void glu_grad(const Place& at, int f, float alpha, int channels, const View& dy, const View& x,
              const View& dx, bool accumulate) {
  glu_grad_by(f, activations::All{})(at, alpha, channels, dy, x, dx, accumulate);
}

void maxout(const Place& at, int pieces, const View& x, const View& y) {
  write_values<Largest>(at, y, false, x, pieces);
}
void maxout_grad(const Place& at, int pieces, const View& dy, const View& x, const View& y,
                 const View& dx, bool accumulate) {
  with_storage([&]<class By>(
                   By) { each(at, dy.columns, LargestGrad<By>{dy, x, y, dx, pieces, accumulate}); },
               dy, x, y, dx);
}

}  // namespace steep::cuda
