// A vector of one dual number: the registers of kernels that compute derivatives.
#pragma once
#include "base/dual.h"
#include "cpu/simd/vec_portable.h"

namespace steep::STEEP_ISA {

template <>
struct Vec128<Dual> {
  using Reg = Dual;
  static constexpr int width = 1;

  static Reg load(const Dual* p) { return *p; }
  static void store(Dual* p, Reg x) { *p = x; }
  static Reg load_part(const Dual* p, long lanes) { return lanes > 0 ? *p : zero(); }
  static void store_part(Dual* p, Reg x, long lanes) {
    if (lanes > 0) *p = x;
  }
  static Reg set1(Dual s) { return s; }
  static Reg zero() { return 0; }
  static Reg fma(Reg a, Reg b, Reg c) { return fma_(a, b, c); }
  static Reg relu(Reg x) { return relu_(x); }
  static void transpose4(Reg (&)[4]) {}
  static Reg load_lanes(const Dual* p, long) { return *p; }
};

}  // namespace steep::STEEP_ISA
