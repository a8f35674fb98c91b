// Philox4x32-10 of many blocks that follow each other, a block a lane of 64 bits: products of 32 by 32 bits
// are what such lanes are for. One block at a time, and what the numbers mean: base/philox.h.
#pragma once
#include "base/philox.h"
#include "cpu/simd/vec.h"

namespace steep::STEEP_ISA {

// Counters {first + q, row, stream} of the blocks q, under one key.
struct Counter { uint32_t row_low, row_high, stream, key_low, key_high; };

#if STEEP_PASTE(STEEP_ID_, STEEP_ISA) == STEEP_ID_avx512

// Blocks that are made together; more may be written than are asked for, up to a multiple of it.
constexpr long kBlocks = 8;

// Upper halves of lanes may hold anything between two rounds: a product reads the lower ones alone.
STEEP_HD void philox_blocks(const Counter& of, uint32_t first, long blocks, uint32_t* word) {
  constexpr __mmask8 kAll = 0xff;
  constexpr int kXor = 0x96;  // of three
  const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
  const __m512i row_low = _mm512_set1_epi64(of.row_low), row_high = _mm512_set1_epi64(of.row_high);
  const __m512i stream = _mm512_set1_epi64(of.stream);
  const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512i first_half = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i second_half = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (long q = 0; q < blocks; q += kBlocks, word += 4 * kBlocks) {
    __m512i c0 = _mm512_add_epi64(_mm512_set1_epi64(uint32_t(first + q)), lanes);
    __m512i c1 = row_low, c2 = row_high, c3 = stream;
    uint32_t k0 = of.key_low, k1 = of.key_high;
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const __m512i p0 = _mm512_maskz_mul_epu32(kAll, m0, c0);
      const __m512i p1 = _mm512_maskz_mul_epu32(kAll, m1, c2);
      c0 = _mm512_ternarylogic_epi64(_mm512_maskz_srli_epi64(kAll, p1, 32), c1,
                                     _mm512_set1_epi64(k0), kXor);
      c2 = _mm512_ternarylogic_epi64(_mm512_maskz_srli_epi64(kAll, p0, 32), c3,
                                     _mm512_set1_epi64(k1), kXor);
      c1 = p1;
      c3 = p0;
    }
    // Words 0 and 1 of a block in a lane, words 2 and 3 in another.
    const __m512i a = _mm512_maskz_slli_epi64(kAll, c1, 32);
    const __m512i b = _mm512_maskz_slli_epi64(kAll, c3, 32);
    const __m512i low = _mm512_mask_blend_epi32(0x5555, a, c0);
    const __m512i high = _mm512_mask_blend_epi32(0x5555, b, c2);
    _mm512_storeu_si512(word, _mm512_permutex2var_epi64(low, first_half, high));
    _mm512_storeu_si512(word + 16, _mm512_permutex2var_epi64(low, second_half, high));
  }
}

#elif STEEP_PASTE(STEEP_ID_, STEEP_ISA) == STEEP_ID_avx2

constexpr long kBlocks = 4;

STEEP_HD void philox_blocks(const Counter& of, uint32_t first, long blocks, uint32_t* word) {
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  const __m256i lanes = _mm256_setr_epi64x(0, 1, 2, 3);
  for (long q = 0; q < blocks; q += kBlocks, word += 4 * kBlocks) {
    __m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x(uint32_t(first + q)), lanes);
    __m256i c1 = _mm256_set1_epi64x(of.row_low), c2 = _mm256_set1_epi64x(of.row_high);
    __m256i c3 = _mm256_set1_epi64x(of.stream);
    uint32_t k0 = of.key_low, k1 = of.key_high;
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const __m256i p0 = _mm256_mul_epu32(m0, c0), p1 = _mm256_mul_epu32(m1, c2);
      const __m256i with0 = _mm256_xor_si256(c1, _mm256_set1_epi64x(k0));
      const __m256i with1 = _mm256_xor_si256(c3, _mm256_set1_epi64x(k1));
      c0 = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), with0);
      c2 = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), with1);
      c1 = p1;
      c3 = p0;
    }
    const __m256i low = _mm256_blend_epi32(_mm256_slli_epi64(c1, 32), c0, 0x55);
    const __m256i high = _mm256_blend_epi32(_mm256_slli_epi64(c3, 32), c2, 0x55);
    const __m256i even = _mm256_unpacklo_epi64(low, high), odd = _mm256_unpackhi_epi64(low, high);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(word),
                        _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(word + 8),
                        _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

#else

constexpr long kBlocks = 1;

STEEP_HD void philox_blocks(const Counter& of, uint32_t first, long blocks, uint32_t* word) {
  for (long q = 0; q < blocks; ++q, word += 4) {
    const Philox4 bits =
        philox(first + uint32_t(q), of.row_low, of.row_high, of.stream, of.key_low, of.key_high);
    for (int lane = 0; lane < 4; ++lane) word[lane] = bits.word[lane];
  }
}

#endif

}  // namespace steep::STEEP_ISA
