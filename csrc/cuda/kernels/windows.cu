// Pools, images made larger and in frames, and normalisation over neighbouring channels.
#include "cuda/kernels/window_values.cuh"

namespace steep::cuda {

namespace {

// As tensors of floats are read and written.
template <class By> struct Singles : By {
  using Tensor = View;
  using Number = float;
  using Near = Neighbours;
};

}  // namespace

void max_pool(const Place& at, const Window& w, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(at, y, false, Largest<Singles<By>>{w, x}); }, x,
               y);
}

void max_pool_grad(const Place& at, const Window& w, const View& x, const View& y, const View& dy,
                   const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(at, dx.columns, LargestGrad<Singles<By>>{w, x, y, dy, dx, accumulate});
      },
      x, y, dy, dx);
}

void avg_pool(const Place& at, const Window& w, bool count_padding, const View& x, const View& y) {
  with_storage(
      [&]<class By>(By) { write_each<By>(at, y, false, Mean<Singles<By>>{w, count_padding, x}); },
      x, y);
}

void avg_pool_grad(const Place& at, const Window& w, bool count_padding, const View& dy,
                   const View& dx, bool accumulate) {
  with_storage(
      [&]<class By>(By) {
        each(at, dx.columns, MeanGrad<Singles<By>>{w, count_padding, dy, dx, accumulate});
      },
      dy, dx);
}

void upsample(const Place& at, const Enlarged& by, const View& x, const View& y) {
  write_each(at, y, false, Enlarging<Singles<Floats>>{by, x});
}

void upsample_grad(const Place& at, const Enlarged& by, const View& dy, const View& dx,
                   bool accumulate) {
  write_each(at, dx, accumulate, EnlargingGrad<Singles<Floats>>{by, dy});
}

void local_norm(const Place& at, const Neighbours& of, const View& x, const View& y) {
  write_each(at, y, false, Normed<Singles<Floats>>{of, x});
}

void local_norm_grad(const Place& at, const Neighbours& of, const View& x, const View& dy,
                     const View& dx, bool accumulate) {
  write_each(at, dx, accumulate, NormedGrad<Singles<Floats>>{of, x, dy});
}

void pad(const Place& at, const Frame& frame, const View& x, const View& y) {
  with_storage([&]<class By>(By) { write_each<By>(at, y, false, Padded<Singles<By>>{frame, x}); },
               x, y);
}

void crop(const Place& at, const Frame& frame, const View& x, const View& y, bool accumulate) {
  with_storage(
      [&]<class By>(By) { write_each<By>(at, y, accumulate, Cropped<Singles<By>>{frame, x}); }, x,
      y);
}

}  // namespace steep::cuda
