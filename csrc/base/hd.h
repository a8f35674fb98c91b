// Marks scalar formulas that run on the host and, under nvcc, on the device. Nothing else lives here.
#pragma once

#if defined(__CUDACC__)
#define STEEP_HD __host__ __device__ __forceinline__
#else
#define STEEP_HD __attribute__((always_inline)) inline
#endif

// Is a*b + c one instruction here?
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__CUDA_ARCH__)
#define STEEP_HAS_FMA 1
#else
#define STEEP_HAS_FMA 0
#endif

// Every translation unit of cpu/kernels is compiled once per instruction set. Formulas and
// kernels live in a namespace of that name, so that the linker can never merge code of two sets.
#ifndef STEEP_ISA
#define STEEP_ISA portable
#endif
