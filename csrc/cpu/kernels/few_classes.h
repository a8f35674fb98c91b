// Cross entropy of few classes, kLane samples side by side, so that a row of two logits does not pay
// for sixteen. Any number of classes, and targets that are not labels: loss.cpp.
#pragma once
#include <type_traits>

#include "base/dual.h"
#include "cpu/kernels.h"
#include "cpu/kernels/gemm.h"
#include "cpu/simd/vec.h"
#include "losses/cross_entropy.h"

namespace steep::STEEP_ISA {

template <class T>
struct FewClasses {
  STEEP_HD FewClasses(const LossArgs<T>& args, long sample) : a(args), first(sample) {}

  const LossArgs<T>& a;
  const long first;  // sample in lane 0
  // Aligned: vectors across two cache lines take twice as long.
  alignas(64) T z[kLane][kLane];             // (class, lane): logits, then e^d, then gradients
  alignas(64) T top[kLane], label_d[kLane];  // largest logit; that of the label, less the largest
  alignas(64) T others[kLane] = {}, sum_d[kLane] = {};  // of e^d but for the largest logit; of d
  using Int =
      std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;  // as wide as T, where it can be
  int32_t row[kLane];
  alignas(64) Int label[kLane], best[kLane] = {};

  // Lanes past the last sample repeat it; what they give is not stored.
  STEEP_HD void gather(long rows) {
    for (int32_t j = 0; j < int32_t(kLane); ++j) row[j] = min_(j, int32_t(rows) - 1);
    const T* const from = a.z + first * (a.turned ? 1 : a.ldz);
    const int32_t ld = int32_t(a.ldz);
    if (rows == kLane && a.turned) {
      for (long c = 0; c < a.columns; ++c) __builtin_memcpy(z[c], from + c * a.ldz, sizeof(z[c]));
    } else if (rows == kLane && !a.dense) {
      transpose(from, a.ldz, z[0], kLane, kLane, (a.columns + 3) / 4 * 4);
    } else {
      const int32_t sample = a.turned ? 1 : ld, column = a.turned ? ld : 1;
      for (int32_t c = 0; c < int32_t(a.columns); ++c)
        for (long j = 0; j < kLane; ++j) z[c][j] = from[row[j] * sample + c * column];
    }
    if (rows == kLane)
      for (long j = 0; j < kLane; ++j) label[j] = a.labels[first + j];
    else
      for (long j = 0; j < kLane; ++j) label[j] = a.labels[first + row[j]];
  }

  // Finds the largest logit and that of the label, V::width samples at a time in registers.
  STEEP_HD void order() {
    if constexpr (kDual<T>) {
      T label_z[kLane];
      for (long j = 0; j < kLane; ++j) top[j] = label_z[j] = z[0][j];
      for (long c = 0; c < a.columns; ++c)
        for (long j = 0; j < kLane; ++j) {
          best[j] = z[c][j] > top[j] ? Int(c) : best[j];
          top[j] = z[c][j] > top[j] ? z[c][j] : top[j];
          label_z[j] = label[j] == c ? z[c][j] : label_z[j];
        }
      for (long j = 0; j < kLane; ++j) label_d[j] = label_z[j] - top[j];
    } else {
      using V = Vec<T>;
      typedef Int Ints __attribute__((vector_size(V::width * sizeof(Int))));
      for (long j = 0; j < kLane; j += V::width) {
        auto most = V::load(z[0] + j), own = most;
        Ints labels, largest{}, here{};
        __builtin_memcpy(&labels, label + j, sizeof labels);
        for (long c = 0; c < a.columns; ++c, here += 1) {
          const auto x = V::load(z[c] + j);
          const auto above = x > most;
          largest = above ? here : largest;
          most = above ? x : most;
          own = labels == here ? x : own;
        }
        V::store(top + j, most);
        V::store(label_d + j, own - most);
        __builtin_memcpy(best + j, &largest, sizeof largest);
      }
    }
  }

  STEEP_HD void sums() {
    for (long c = 0; c < a.columns; ++c)
      for (long j = 0; j < kLane; ++j) {
        const T d = z[c][j] - top[j];
        z[c][j] = exp_down(d);
        others[j] += best[j] == c ? T(0) : z[c][j];
        sum_d[j] += d;
      }
  }

  STEEP_HD void store(long rows) {
    using Loss = losses::CrossEntropy;
    const T keep = T(1) - a.option, spread = a.option / T(a.columns);
    const T option = a.option, columns = T(a.columns), mean = a.factor;
    alignas(64) T value[kLane], factor[kLane], scale[kLane], largest[kLane], right[kLane],
        weight[kLane];
    for (long j = 0; j < kLane; ++j) weight[j] = a.weights ? a.weights[first + row[j]] : T(1);
#pragma GCC ivdep
    for (long j = 0; j < kLane; ++j) {
      factor[j] = mean * weight[j];
      value[j] = weight[j] * Loss::value(others[j], sum_d[j], T(1), label_d[j], option, spread);
      scale[j] = factor[j] / (T(1) + others[j]);
      const T others_t = best[j] == label[j] ? T(0) : T(1);
      // A NaN among the logits is in the sum of their distances, too, and then nothing is right.
      right[j] = sum_d[j] == sum_d[j] ? T(1) - others_t : T(0);
      largest[j] = Loss::grad_of_largest(others[j], others_t, scale[j], factor[j] * keep,
                                         factor[j] * spread, columns);
    }
    for (long j = 0; j < rows; ++j) a.values[first + j] = plain(value[j]);
    if (a.correct)
      for (long j = 0; j < rows; ++j) a.correct[first + j] = plain(right[j]);
    if (!a.dz) return;
    for (long c = 0; c < a.columns; ++c)
      for (long j = 0; j < kLane; ++j) {
        const T grad = Loss::grad(z[c][j], label[j] == c ? T(1) : T(0), scale[j], factor[j] * keep,
                                  factor[j] * spread);
        z[c][j] = best[j] == c ? largest[j] : grad;
      }
    if (a.turned && rows == kLane) {
      for (long c = 0; c < a.columns; ++c)
        __builtin_memcpy(a.dz + c * a.lddz + first, z[c], sizeof(z[c]));
      return;
    }
    if (a.turned) {
      for (long c = 0; c < a.columns; ++c)
        for (long j = 0; j < rows; ++j) a.dz[c * a.lddz + first + j] = z[c][j];
      return;
    }
    if (a.dense) {
      for (long j = 0; j < rows; ++j)
        for (long c = 0; c < a.columns; ++c) a.dz[(first + j) * a.lddz + c] = z[c][j];
      return;
    }
    for (long c = a.columns; c < kLane; ++c)
      for (long j = 0; j < kLane; ++j) z[c][j] = T(0);
    transpose(z[0], kLane, a.dz + first * a.lddz, a.lddz, kLane, rows);
  }
};

// Needs labels and at most kLane classes.
template <class T>
void few_classes(const LossArgs<T>& a) {
  for (long first = 0; first < a.rows; first += kLane) {
    const long rows = min_(kLane, a.rows - first);
    FewClasses<T> block(a, first);
    block.gather(rows);
    block.order();
    block.sums();
    block.store(rows);
  }
}

}  // namespace steep::STEEP_ISA
