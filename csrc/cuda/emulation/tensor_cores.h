// What tensor cores do, on the host: operands are rounded as the chip rounds them (to bfloat16 in
// kernels/storage.cuh), products are exact, and each
// is added by itself, k ascending, rounded once. A chip adds several at once; how is not documented.
#pragma once
#include <cuda_runtime.h>

#include <cmath>

namespace emulation {

// The nearest number with ten bits behind the point, away from zero of two (cvt.rna.tf32.f32).
inline unsigned rounded_tf32(float x) {
  const unsigned bits = __builtin_bit_cast(unsigned, x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffffffu;
  return (bits + 0x1000u) & 0xffffe000u;
}

// d += a b by all lanes of a warp, with 16 rows, 8 columns and 8 words of k; a word is a number in TF32, or
// two of 16 bits, the lower one first. Lane 4g + t holds of a: (g, t) (g+8, t) (g, t+4) (g+8, t+4), of b:
// (t, g) (t+4, g), of d: (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1).
template <int kNumbers>
void multiply_fragments(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], Site site) {
  const Slot* const all_a = exchange(0xffffffffu, a, sizeof(a), site);
  const Slot* const all_b = exchange(0xffffffffu, b, sizeof(b), site);
  const int g = here->lane / 4, t = here->lane % 4;
  const auto number = [](const Slot& of, int place, int part) {
    unsigned word;
    std::memcpy(&word, of + place * sizeof(word), sizeof(word));
    if (kNumbers == 2) word = part == 0 ? word << 16 : word & 0xffff0000u;
    return __builtin_bit_cast(float, word);
  };
  for (int word = 0; word < 8; ++word) {
    const int from = word % 4, high = word / 4;
    for (int part = 0; part < kNumbers; ++part) {
      for (int half = 0; half < 2; ++half) {
        const float x = number(all_a[4 * g + from], 2 * high + half, part);
        for (int side = 0; side < 2; ++side) {
          const float y = number(all_b[4 * (2 * t + side) + from], high, part);
          d[2 * half + side] = std::fma(x, y, d[2 * half + side]);
        }
      }
    }
  }
}

}  // namespace emulation
