// Steps of skip-gram on one pair of words after the other, and random words for what is drawn. Which pairs
// there are: cpu/skip_gram.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/simd/philox.h"
#include "cpu/simd/vec.h"
#include "cpu/word_kernels.h"

namespace steep::STEEP_ISA {
namespace {

constexpr double kNever = -1e30;  // a margin whose loss and gradient are 0

// The products of two rows, added up to kLane sums.
template <class T> void dot(const T* v, const T* u, long width, T* sums) {
  using V = Vec<T>;
  constexpr int kParts = kLane / V::width;
  typename V::Reg sum[kParts];
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) sum[p] = V::zero();
  for (long c = 0; c < width; c += kLane)
#pragma GCC unroll 16
    for (int p = 0; p < kParts; ++p) {
      const long at = c + p * V::width;
      sum[p] = V::fma(V::load(v + at), V::load(u + at), sum[p]);
    }
#pragma GCC unroll 16
  for (int p = 0; p < kParts; ++p) V::store(sums + p * V::width, sum[p]);
}

// All gradients are of the vectors before the step; a row that is named twice is moved twice.
template <class T>
void move(const SkipGramPairs<T>& s, T* v, const int32_t* targets, const T* gradient) {
  using V = Vec<T>;
  for (long c = 0; c < s.width; c += V::width) {
    const auto before = V::load(v + c);
    auto after = before;
    for (long k = 0; k < s.each; ++k) {
      T* const u = s.outputs + long(targets[k]) * s.width + c;
      const auto row = V::load(u), g = V::set1(gradient[k]);
      after = V::fma(g, row, after);
      V::store(u, V::fma(g, before, row));
    }
    V::store(v + c, after);
  }
}

// margin(k) = -u_k.v of the word that is there, u_k.v of the others: the loss is the sum of their softplus,
// its slope their logistic function.
template <class T> double skip_gram(const SkipGramPairs<T>& s) {
  const long m = s.each;
  T* const slope = s.scratch + s.pairs * m + kLane;
  T* const sums = slope + padded(m);
  for (long p = 0; p < s.pairs; ++p) {
    T* const v = s.inputs + long(s.input[p]) * s.width;
    const int32_t* const target = s.target + p * m;
    T* const margin = s.scratch + p * m;
    for (long k = 0; k < m; ++k)
      dot(v, s.outputs + long(target[k]) * s.width, s.width, sums + k * kLane);
    for (long k = 0; k < m; ++k) margin[k] = sum_lanes(sums + k * kLane);
    margin[0] = -margin[0];
    for (long k = 1; k < m; ++k) margin[k] = target[k] == target[0] ? T(kNever) : margin[k];
    for (long k = 0; k < m; k += kLane)
#pragma GCC ivdep
      for (long j = 0; j < kLane; ++j) slope[k + j] = -s.lr * logistic_(margin[k + j]);
    slope[0] = -slope[0];
    move(s, v, target, slope);
  }
  const long count = s.pairs * m;
  for (long j = 0; j < kLane; ++j) s.scratch[count + j] = T(kNever);
  double sum[kLane] = {};
  for (long i = 0; i < count; i += kLane)
#pragma GCC ivdep
    for (long j = 0; j < kLane; ++j) sum[j] += double(softplus_(s.scratch[i + j]));
  return sum_lanes(sum);
}

void random_words(uint64_t seed, uint64_t row, uint32_t stream, uint32_t first, long blocks,
                  uint32_t* words) {
  const Counter of{uint32_t(row), uint32_t(row >> 32), stream, uint32_t(seed),
                   uint32_t(seed >> 32)};
  philox_blocks(of, first, blocks, words);
}

}  // namespace

// Called by ../isa.cpp on processors that have this instruction set.
WordKernels<float> float_words() { return {skip_gram<float>, random_words}; }
WordKernels<double> double_words() { return {skip_gram<double>, random_words}; }

}  // namespace steep::STEEP_ISA
