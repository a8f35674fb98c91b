// Eight floats or four doubles in an AVX register, and the tile that fills its 16 registers.
#pragma once
#include <immintrin.h>

namespace steep::STEEP_ISA {

template <class T>
struct Vec256;

template <>
struct Vec256<float> {
  typedef __m256 Reg;
  static constexpr int width = 8;

  static Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm256_storeu_ps(p, v); }
  // The first `lanes` lanes; the others are zero, or left alone in memory.
  static __m256i mask(long lanes) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(lanes)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Reg load_part(const float* p, long lanes) { return _mm256_maskload_ps(p, mask(lanes)); }
  static void store_part(float* p, Reg v, long lanes) { _mm256_maskstore_ps(p, mask(lanes), v); }
  static Reg set1(float s) { return _mm256_set1_ps(s); }
  static Reg zero() { return _mm256_setzero_ps(); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static Reg relu(Reg x) { return _mm256_max_ps(zero(), x); }  // second operand wins on NaN

  static void transpose4(Reg (&w)[4]) {
    const Reg a = _mm256_unpacklo_ps(w[0], w[1]), b = _mm256_unpackhi_ps(w[0], w[1]);
    const Reg c = _mm256_unpacklo_ps(w[2], w[3]), d = _mm256_unpackhi_ps(w[2], w[3]);
    w[0] = _mm256_shuffle_ps(a, c, 0x44);
    w[1] = _mm256_shuffle_ps(a, c, 0xee);
    w[2] = _mm256_shuffle_ps(b, d, 0x44);
    w[3] = _mm256_shuffle_ps(b, d, 0xee);
  }
  static Reg load_lanes(const float* p, long stride) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                _mm_loadu_ps(p + 4 * stride), 1);
  }
};

template <>
struct Vec256<double> {
  typedef __m256d Reg;
  static constexpr int width = 4;

  static Reg load(const double* p) { return _mm256_loadu_pd(p); }
  static void store(double* p, Reg v) { _mm256_storeu_pd(p, v); }
  static __m256i mask(long lanes) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static Reg load_part(const double* p, long lanes) { return _mm256_maskload_pd(p, mask(lanes)); }
  static void store_part(double* p, Reg v, long lanes) { _mm256_maskstore_pd(p, mask(lanes), v); }
  static Reg set1(double s) { return _mm256_set1_pd(s); }
  static Reg zero() { return _mm256_setzero_pd(); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_pd(a, b, c); }
  static Reg relu(Reg x) { return _mm256_max_pd(zero(), x); }  // second operand wins on NaN

  static void transpose4(Reg (&w)[4]) {
    const Reg a = _mm256_unpacklo_pd(w[0], w[1]), b = _mm256_unpackhi_pd(w[0], w[1]);
    const Reg c = _mm256_unpacklo_pd(w[2], w[3]), d = _mm256_unpackhi_pd(w[2], w[3]);
    w[0] = _mm256_permute2f128_pd(a, c, 0x20);
    w[1] = _mm256_permute2f128_pd(b, d, 0x20);
    w[2] = _mm256_permute2f128_pd(a, c, 0x31);
    w[3] = _mm256_permute2f128_pd(b, d, 0x31);
  }
  static Reg load_lanes(const double* p, long) { return load(p); }
};

template <class T>
using Vec = Vec256<T>;
template <class T>
struct Shape {
  static constexpr int rows = 6;       // 12 sums, 2 of B, 1 broadcast
  static constexpr int slim_rows = 6;  // unused: kLane columns are two vectors
};

}  // namespace steep::STEEP_ISA
