// Pools, images made larger and in frames, and normalisation over neighbouring channels, in dual numbers.
#include "cuda/kernels/tangent.cuh"
// The line above comes first.
#include "cuda/kernels/tangent_images.h"
#include "cuda/kernels/window_values.cuh"

namespace steep::cuda {

namespace {

struct Windowed : DualTensors { using Near = DualNeighbours; };

}  // namespace

void max_pool(const Place& at, const Window& w, const Duals& x, const Duals& y) {
  write_each(at, y, false, Largest<Windowed>{w, x});
}

void max_pool_grad(const Place& at, const Window& w, const Duals& x, const Duals& y,
                   const Duals& dy, const Duals& dx, bool accumulate) {
  each(at, dx.columns, LargestGrad<Windowed>{w, x, y, dy, dx, accumulate});
}

void avg_pool(const Place& at, const Window& w, bool count_padding, const Duals& x,
              const Duals& y) {
  write_each(at, y, false, Mean<Windowed>{w, count_padding, x});
}

void avg_pool_grad(const Place& at, const Window& w, bool count_padding, const Duals& dy,
                   const Duals& dx, bool accumulate) {
  each(at, dx.columns, MeanGrad<Windowed>{w, count_padding, dy, dx, accumulate});
}

void upsample(const Place& at, const Enlarged& by, const Duals& x, const Duals& y) {
  write_each(at, y, false, Enlarging<Windowed>{by, x});
}

void upsample_grad(const Place& at, const Enlarged& by, const Duals& dy, const Duals& dx,
                   bool accumulate) {
  write_each(at, dx, accumulate, EnlargingGrad<Windowed>{by, dy});
}

void local_norm(const Place& at, const DualNeighbours& of, const Duals& x, const Duals& y) {
  write_each(at, y, false, Normed<Windowed>{of, x});
}

void local_norm_grad(const Place& at, const DualNeighbours& of, const Duals& x, const Duals& dy,
                     const Duals& dx, bool accumulate) {
  write_each(at, dx, accumulate, NormedGrad<Windowed>{of, x, dy});
}

void pad(const Place& at, const Frame& frame, const Duals& x, const Duals& y) {
  write_each(at, y, false, Padded<Windowed>{frame, x});
}

void crop(const Place& at, const Frame& frame, const Duals& x, const Duals& y, bool accumulate) {
  write_each(at, y, accumulate, Cropped<Windowed>{frame, x});
}

}  // namespace steep::cuda
