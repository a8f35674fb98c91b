// Sixteen floats or eight doubles in an AVX-512 register, and the tile that fills its 32 registers.
#pragma once
#include <immintrin.h>

namespace steep::STEEP_ISA {

template <class T>
struct Vec512;

template <>
struct Vec512<float> {
  typedef __m512 Reg;
  static constexpr int width = 16;
  // Masked forms with every lane on: GCC 12 warns of its own headers' unmasked ones.
  static constexpr __mmask16 kAll = 0xffff;

  static Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Reg v) { _mm512_storeu_ps(p, v); }
  // The first `lanes` lanes; the others are zero, or left alone in memory.
  static Reg load_part(const float* p, long lanes) {
    return _mm512_maskz_loadu_ps(__mmask16((1u << lanes) - 1), p);
  }
  static void store_part(float* p, Reg v, long lanes) {
    _mm512_mask_storeu_ps(p, __mmask16((1u << lanes) - 1), v);
  }
  static Reg set1(float s) { return _mm512_set1_ps(s); }
  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg relu(Reg x) {
    return _mm512_maskz_max_ps(kAll, zero(), x);
  }  // second operand wins on NaN

  static void transpose4(Reg (&w)[4]) {
    const Reg a = _mm512_maskz_unpacklo_ps(kAll, w[0], w[1]);
    const Reg b = _mm512_maskz_unpackhi_ps(kAll, w[0], w[1]);
    const Reg c = _mm512_maskz_unpacklo_ps(kAll, w[2], w[3]);
    const Reg d = _mm512_maskz_unpackhi_ps(kAll, w[2], w[3]);
    w[0] = _mm512_maskz_shuffle_ps(kAll, a, c, 0x44);
    w[1] = _mm512_maskz_shuffle_ps(kAll, a, c, 0xee);
    w[2] = _mm512_maskz_shuffle_ps(kAll, b, d, 0x44);
    w[3] = _mm512_maskz_shuffle_ps(kAll, b, d, 0xee);
  }
  static Reg load_lanes(const float* p, long stride) {
    Reg v = _mm512_castps128_ps512(_mm_loadu_ps(p));
    v = _mm512_maskz_insertf32x4(kAll, v, _mm_loadu_ps(p + 4 * stride), 1);
    v = _mm512_maskz_insertf32x4(kAll, v, _mm_loadu_ps(p + 8 * stride), 2);
    return _mm512_maskz_insertf32x4(kAll, v, _mm_loadu_ps(p + 12 * stride), 3);
  }
};

template <>
struct Vec512<double> {
  typedef __m512d Reg;
  static constexpr int width = 8;
  static constexpr __mmask8 kAll = 0xff;

  static Reg load(const double* p) { return _mm512_loadu_pd(p); }
  static void store(double* p, Reg v) { _mm512_storeu_pd(p, v); }
  static Reg load_part(const double* p, long lanes) {
    return _mm512_maskz_loadu_pd(__mmask8((1u << lanes) - 1), p);
  }
  static void store_part(double* p, Reg v, long lanes) {
    _mm512_mask_storeu_pd(p, __mmask8((1u << lanes) - 1), v);
  }
  static Reg set1(double s) { return _mm512_set1_pd(s); }
  static Reg zero() { return _mm512_setzero_pd(); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_pd(a, b, c); }
  static Reg relu(Reg x) {
    return _mm512_maskz_max_pd(kAll, zero(), x);
  }  // second operand wins on NaN

  // In each half on its own.
  static void transpose4(Reg (&w)[4]) {
    const Reg a = _mm512_maskz_unpacklo_pd(kAll, w[0], w[1]);
    const Reg b = _mm512_maskz_unpackhi_pd(kAll, w[0], w[1]);
    const Reg c = _mm512_maskz_unpacklo_pd(kAll, w[2], w[3]);
    const Reg d = _mm512_maskz_unpackhi_pd(kAll, w[2], w[3]);
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    w[0] = _mm512_permutex2var_pd(a, low, c);
    w[1] = _mm512_permutex2var_pd(b, low, d);
    w[2] = _mm512_permutex2var_pd(a, high, c);
    w[3] = _mm512_permutex2var_pd(b, high, d);
  }
  static Reg load_lanes(const double* p, long stride) {
    return _mm512_maskz_insertf64x4(kAll, _mm512_castpd256_pd512(_mm256_loadu_pd(p)),
                                    _mm256_loadu_pd(p + 4 * stride), 1);
  }
};

template <class T>
using Vec = Vec512<T>;
template <class T>
struct Shape {
  static constexpr int rows = 14;       // 28 sums, 2 of B, 1 broadcast
  static constexpr int slim_rows = 16;  // panels of kLane columns
};

}  // namespace steep::STEEP_ISA
