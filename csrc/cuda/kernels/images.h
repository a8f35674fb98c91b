// What the host asks of the device for images: convolutions, pools, normalisations. Plain data only; images are
// rows of a batch, dense as (height, width, channels).
#pragma once
#include "base/window.h"
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// ---- Convolutions ----

struct Kernel {
  Window window;
  Weight w;  // (taps*channels of a group, filters)
  int groups;
  bool depthwise;  // every channel alone
};
// y = x correlated with W + bias, or y += that; then f as of a product.
void correlate(const Place& at, const Kernel& k, const float* bias, bool accumulate,
               const Function& f, const View& x, const View& y, const View& z);
// The same of the gradient through W of dy.
void carry_back(const Place& at, const Kernel& k, const float* bias, bool accumulate,
                const Function& f, const View& dy, const View& dx, const View& z);
// Images whose gradients of W are one sum: a function of shapes.
long images_together(const Window& window, long size);
// Row g of parts, which lie as W does, is the gradient from images [g*images, (g + 1)*images).
void kernel_gradients(const Place& at, const Kernel& k, int images, const View& x, const View& dy,
                      const View& parts);

// ---- Windows ----

void max_pool(const Place& at, const Window& w, const View& x, const View& y);
void max_pool_grad(const Place& at, const Window& w, const View& x, const View& y, const View& dy,
                   const View& dx, bool accumulate);
void avg_pool(const Place& at, const Window& w, bool count_padding, const View& x, const View& y);
void avg_pool_grad(const Place& at, const Window& w, bool count_padding, const View& dy,
                   const View& dx, bool accumulate);
struct Enlarged {
  int height, width, channels, down, across;
};  // of the small image, and how often
void upsample(const Place& at, const Enlarged& by, const View& x, const View& y);
void upsample_grad(const Place& at, const Enlarged& by, const View& dy, const View& dx,
                   bool accumulate);
struct Neighbours {
  int channels, reach;
  float alpha, beta, bias;
};
void local_norm(const Place& at, const Neighbours& of, const View& x, const View& y);
void local_norm_grad(const Place& at, const Neighbours& of, const View& x, const View& dy,
                     const View& dx, bool accumulate);

// ---- Batch normalisation ----

// Vectors over channels lie in a row one after the other, each padded: moments are (mean, squares), sums are
// (of dy, of dy*xhat), statistics (mean, 1/std, scale, variance), means (of dy, slope).
struct Norm {
  int pixels, channels;
  int group;  // samples that are normalised together; 0: all of the batch
  double eps;
};
void sum_pixels(const Place& at, int pixels, int channels, const View& x, const View& sums);
void moments(const Place& at, const Norm& n, const View& x, const View& out);
void statistics(const Place& at, const Norm& n, const View& moments, const float* scale,
                const View& out);
void frozen_statistics(const Place& at, const Norm& n, const float* scale, const float* mean,
                       const float* variance, const View& out);
void normalize(const Place& at, const Norm& n, const View& x, const View& statistics,
               const float* shift, const View& residual, bool relu, const View& y);
void norm_sums(const Place& at, const Norm& n, const View& dy, const View& x,
               const View& statistics, const View& sums);
void norm_means(const Place& at, const Norm& n, const View& sums, const View& statistics,
                const View& means);
// Without means: of statistics that are no functions of x.
void norm_grad(const Place& at, const Norm& n, const View& dy, const View& x,
               const View& statistics, const View& means, const View& dx, bool accumulate);
// Running statistics go after those of a batch. Where what they become is not finite the step is as one whose
// loss is not.
struct Running {
  float *mean, *variance;
  Norm norm;
  double momentum;
  bool unbiased;
};
void check_running(const Place& at, const Running& r, const View& statistics);
void follow(const Place& at, const Running& r, const View& statistics);

// ---- The largest singular value ----

struct Singular {
  Weight w;
  bool narrow;
  int inputs, outputs, iterations;
  int v, inverse;  // places in a row of vectors: u first, then v, then 1/sigma
};
void singular_vectors(const Place& at, const Singular& of, const float* u, const View& vectors);
// x/sigma, + bias where there is one, for each position of so many outputs; added where asked for.
void singular_scale(const Place& at, const Singular& of, const View& x, const View& vectors,
                    const float* bias, const View& y, bool accumulate);
void singular_shares(const Place& at, const Singular& of, const View& dy, const View& x,
                     const View& vectors, const View& out);
// The vector that the next step begins with.
void keep_vector(const Place& at, const View& vectors, float* u, int outputs);

}  // namespace steep::cuda
