// The random words of the ops that draw: a function of seed, step, op, row and column, found again
// wherever they are needed, so that none is stored. No op lives here.
#pragma once
#include "base/philox.h"
#include "cpu/kernels/each.h"
#include "cpu/work.h"

namespace steep::STEEP_ISA {

// out(r, c) (+)= value(word, r, c), where row 0 is the batch's sample `first`: lane c%4 of the Philox4x32-10 block at {c/4, first + r, stream}, under a key
// of the seed and of `counter`.
template <class T, class Value>
STEEP_HD void each_drawn(const View<T>& out, bool accumulate, uint64_t seed, uint64_t counter,
                         uint32_t stream, long first, long lo, long hi, Value value) {
  constexpr long kChunk = 256;  // columns whose words are drawn at once
  const uint64_t key = seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
  const uint32_t key_low = uint32_t(key), key_high = uint32_t(key >> 32);
  const long width = out.width();
  for (long r = lo; r < hi; ++r) {
    const uint64_t row = uint64_t(first + r);
    const uint32_t row_low = uint32_t(row), row_high = uint32_t(row >> 32);
    for (long c = 0; c < width; c += kChunk) {
      const long columns = width - c < kChunk ? width - c : kChunk;
      uint32_t word[kChunk];
      for (long q = 0; q < columns / 4; ++q) {
        const Philox4 bits =
            philox(uint32_t(c / 4 + q), row_low, row_high, stream, key_low, key_high);
        for (int lane = 0; lane < 4; ++lane) word[4 * q + lane] = bits.word[lane];
      }
      each(out.at(r) + c, 0, 1, columns, accumulate,
           [&](long, long k) { return value(word[k], r, c + k); });
    }
  }
}

}  // namespace steep::STEEP_ISA
