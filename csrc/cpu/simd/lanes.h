// Neighbouring channels held in registers, and the walk over an image's channels in such groups. No
// kernel lives here.
#pragma once
#include "base/math.h"
#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {

template <class T, int n> struct RegOf {
  typedef T type __attribute__((vector_size(n * sizeof(T))));
};
template <class T> struct RegOf<T, 1> { using type = T; };

// n channels: whole registers, or a part of one. Each lane is on its own, so that no result depends
// on n.
template <class T, int n> struct Lanes {
  static constexpr int width = n < Vec<T>::width ? n : Vec<T>::width;
  static constexpr int parts = n / width;
  using Reg = typename RegOf<T, width>::type;
  Reg part[parts];

  STEEP_HD static Lanes load(const T* p) {
    Lanes x;
    for (int i = 0; i < parts; ++i) __builtin_memcpy(&x.part[i], p + i * width, sizeof(Reg));
    return x;
  }
  STEEP_HD static Lanes all(T s) {
    Lanes x;
    for (int i = 0; i < parts; ++i) x.part[i] = s - Reg{};
    return x;
  }
  STEEP_HD void store(T* p) const {
    for (int i = 0; i < parts; ++i) __builtin_memcpy(p + i * width, &part[i], sizeof(Reg));
  }

  STEEP_HD friend Lanes operator+(Lanes a, const Lanes& b) {
    for (int i = 0; i < parts; ++i) a.part[i] += b.part[i];
    return a;
  }
  STEEP_HD friend Lanes operator-(Lanes a, const Lanes& b) {
    for (int i = 0; i < parts; ++i) a.part[i] -= b.part[i];
    return a;
  }
  STEEP_HD friend Lanes operator*(Lanes a, const Lanes& b) {
    for (int i = 0; i < parts; ++i) a.part[i] *= b.part[i];
    return a;
  }
};

// a*b + c of one register, fused where the instruction set can: see fma_ in base/math.h.
template <class T, int n>
STEEP_HD typename RegOf<T, n>::type fma_reg(typename RegOf<T, n>::type a,
                                            typename RegOf<T, n>::type b,
                                            typename RegOf<T, n>::type c) {
  if constexpr (n == 1) {
    return fma_(a, b, c);
  } else if constexpr (n == Vec<T>::width) {
    return Vec<T>::fma(a, b, c);
#if defined(__FMA__)
  } else if constexpr (n == 8 && sizeof(T) == 4) {
    return _mm256_fmadd_ps(a, b, c);
  } else if constexpr (n == 4 && sizeof(T) == 4) {
    return _mm_fmadd_ps(a, b, c);
  } else if constexpr (n == 4 && sizeof(T) == 8) {
    return _mm256_fmadd_pd(a, b, c);
  } else if constexpr (n == 2 && sizeof(T) == 8) {
    return _mm_fmadd_pd(a, b, c);
#endif
  } else {
    typename RegOf<T, n>::type sum;
    for (int i = 0; i < n; ++i) sum[i] = fma_(T(a[i]), T(b[i]), T(c[i]));
    return sum;
  }
}

template <class T, int n> STEEP_HD Lanes<T, n> fma_(const Lanes<T, n>& a, const Lanes<T, n>& b,
                                                    Lanes<T, n> c) {
  using L = Lanes<T, n>;
  for (int i = 0; i < L::parts; ++i)
    c.part[i] = fma_reg<T, L::width>(a.part[i], b.part[i], c.part[i]);
  return c;
}

template <int n> struct Width { static constexpr int value = n; };

// Calls f(Width<n>, c) for groups of n channels from c on: the widest first, then ever smaller ones.
template <int widest, class F> STEEP_HD void over_channels(long channels, F f, long c = 0) {
  for (; c + widest <= channels; c += widest) f(Width<widest>{}, c);
  if constexpr (widest > 1)
    if (c < channels) over_channels<widest / 2>(channels, f, c);
}

// The same where the pixel is followed by another, whose first channels may be read and written for
// now: then what is left of less than kLane channels is one group. Calls f(Width<n>, c).
template <int widest, class F>
STEEP_HD void over_channels_and_on(long channels, F f) {
  const long whole = channels / kLane * kLane, left = channels - whole;
  over_channels<widest>(whole, f);
  if (left > 8)
    f(Width<16>{}, whole);
  else if (left > 4)
    f(Width<8>{}, whole);
  else if (left > 2)
    f(Width<4>{}, whole);
  else if (left > 0)
    over_channels<2>(channels, f, whole);
}

// x where a lane's channel is below `channels`, 0 elsewhere; the first lane's is c.
template <class T, int n> STEEP_HD Lanes<T, n> present(Lanes<T, n> x, long c, long channels) {
  if (c + n <= channels) return x;
  T lane[n];
  x.store(lane);
  for (int i = 0; i < n; ++i) lane[i] = c + i < channels ? lane[i] : T(0);
  return Lanes<T, n>::load(lane);
}

}  // namespace steep::STEEP_ISA
