// Normalisation in dual numbers, by the batch and of a sample by itself; sums over pixels.
#pragma once
#include "cuda/kernels/feature_norm.h"
#include "cuda/kernels/images.h"
#include "cuda/kernels/tangent.h"

namespace steep::cuda {

void sum_pixels(const Place& at, int pixels, int channels, const Duals& x, const Duals& out);

// What each writes is what the op of its name does; statistics and means have a row for each group of samples.
void moments(const Place& at, const Norm& of, const Duals& x, const Duals& out);
void statistics(const Place& at, const Norm& of, const Duals& moments, const DualNumber* weight,
                const Duals& out);
void frozen_statistics(const Place& at, const Norm& of, const DualNumber* weight,
                       const DualNumber* mean, const DualNumber* variance, const Duals& out);
void normalize(const Place& at, const Norm& of, const Duals& x, const Duals& statistics,
               const DualNumber* shift, const Duals& residual, bool relu, const Duals& y);
void normalize_sums(const Place& at, const Norm& of, const Duals& dy, const Duals& x,
                    const Duals& statistics, const Duals& out);
void normalize_means(const Place& at, const Norm& of, const Duals& sums, const Duals& statistics,
                     const Duals& out);
// By running statistics without means.
void normalize_grad(const Place& at, const Norm& of, const Duals& dy, const Duals& x,
                    const Duals& statistics, const Duals& means, const Duals& dx, bool accumulate);

void feature_moments(const Place& at, const Featured& of, const Duals& x, const Duals& out);
void feature_norm(const Place& at, const Featured& of, const Duals& x, const Duals& moments,
                  const DualNumber* weight, const DualNumber* bias, const Duals& y);
void feature_norm_sums(const Place& at, const Featured& of, const Duals& dy, const Duals& x,
                       const Duals& moments, const Duals& out);
void feature_norm_grad(const Place& at, const Featured& of, const Duals& dy, const Duals& x,
                       const Duals& moments, const Duals& sums, const DualNumber* weight,
                       const Duals& dx, bool accumulate);

}  // namespace steep::cuda
