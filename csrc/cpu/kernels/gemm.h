// Declares the GEMM kernels of the instruction set being compiled. Meaning and arguments:
// kernels.h.
#pragma once
#include "cpu/kernels.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {

// Defined for float and double in every instruction set, for dual numbers in the portable one.
template <class T>
void gemm_panel(const GemmPanel<T>& p);
template <class T>
void transpose(const T* src, long lds, T* dst, long ldd, long rows, long columns);

}  // namespace steep::STEEP_ISA
