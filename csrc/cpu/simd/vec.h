// Chooses the vector type and the register tile of the instruction set being compiled.
#pragma once
#define STEEP_ID_portable 0
#define STEEP_ID_avx2 1
#define STEEP_ID_avx512 2
#define STEEP_PASTE2(a, b) a##b
#define STEEP_PASTE(a, b) STEEP_PASTE2(a, b)

#include "cpu/simd/vec_dual.h"
#include "cpu/simd/vec_portable.h"
#if STEEP_PASTE(STEEP_ID_, STEEP_ISA) == STEEP_ID_avx512
#include "cpu/simd/vec_avx512.h"
#elif STEEP_PASTE(STEEP_ID_, STEEP_ISA) == STEEP_ID_avx2
#include "cpu/simd/vec_avx2.h"
#else
namespace steep::STEEP_ISA {
template <class T>
using Vec = Vec128<T>;
// 16 SSE registers: 8 sums, 2 of B, a broadcast and a product.
template <class T>
struct Shape {
  static constexpr int rows = 4;       // of a tile two vectors wide
  static constexpr int slim_rows = 4;  // of a tile one vector wide; unused here
};
}  // namespace steep::STEEP_ISA
#endif
