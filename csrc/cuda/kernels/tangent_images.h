// What the host asks of the device for images in dual numbers: convolutions, pools, what else slides over them. Plain
// data only; each function is that of floats of its name.
#pragma once
#include "cuda/kernels/images.h"
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

// ---- Convolutions ----

// The weights are there, in panels as `of` says.
struct DualKernel {
  Kernel of;
  DualNumber* data;
};
void correlate(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
               const Duals& x, const Duals& y);
void carry_back(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                const Duals& dy, const Duals& dx);
// Row g of parts is the gradient from images [g*images, (g + 1)*images). Every share-th pixel of a row of results is
// summed by itself, or `strip` rows of results of an image, where that is not 0: plan/conv_sums.h.
struct DualParts { int images, share, strip; };
void kernel_gradients(const Place& at, const DualKernel& k, const DualParts& by, const Duals& x,
                      const Duals& dy, const Duals& parts);
// The same of every channel alone, which they go by.
void correlate_alone(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                     const Duals& x, const Duals& y);
void carry_back_alone(const Place& at, const DualKernel& k, const DualNumber* bias, bool accumulate,
                      const Duals& dy, const Duals& dx);
void alone_gradients(const Place& at, const DualKernel& k, const DualParts& by, const Duals& x,
                     const Duals& dy, const Duals& parts);
// dw (+)= the sum of so many parts, which lie as it does.
void add_parts(const Place& at, const Duals& parts, int count, const DualFactor& dw,
               bool accumulate);

// ---- Windows ----

void max_pool(const Place& at, const Window& w, const Duals& x, const Duals& y);
void max_pool_grad(const Place& at, const Window& w, const Duals& x, const Duals& y,
                   const Duals& dy, const Duals& dx, bool accumulate);
void avg_pool(const Place& at, const Window& w, bool count_padding, const Duals& x, const Duals& y);
void avg_pool_grad(const Place& at, const Window& w, bool count_padding, const Duals& dy,
                   const Duals& dx, bool accumulate);
void upsample(const Place& at, const Enlarged& by, const Duals& x, const Duals& y);
void upsample_grad(const Place& at, const Enlarged& by, const Duals& dy, const Duals& dx,
                   bool accumulate);
struct DualNeighbours {
  int channels, reach;
  double alpha, beta, bias;
};
void local_norm(const Place& at, const DualNeighbours& of, const Duals& x, const Duals& y);
void local_norm_grad(const Place& at, const DualNeighbours& of, const Duals& x, const Duals& dy,
                     const Duals& dx, bool accumulate);
void pad(const Place& at, const Frame& frame, const Duals& x, const Duals& y);
void crop(const Place& at, const Frame& frame, const Duals& x, const Duals& y, bool accumulate);

}  // namespace steep::cuda
