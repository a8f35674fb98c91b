// Dropout of rows: the mask is found again wherever it is needed, none is stored.
#include "ops/dropout.h"

#include "base/philox.h"
#include "cpu/kernels/each.h"
#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

// Element (r, c) is kept where the Philox4x32-10 word at counter {c/4, r, stream}, lane c%4, reaches a
// threshold: probability 1 - rate to 32 bits.
template <class T>
void run(const ops::Dropout& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  constexpr long kChunk = 256;  // columns whose words are drawn at once
  const auto threshold = uint32_t(__builtin_llround(op.rate * 4294967296.0));
  // Per epoch: one mask for all batches, by the row's place in the batch.
  const uint64_t counter = op.redraw_epoch ? ~s.epoch : s.step;
  const uint64_t key = s.seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
  const uint32_t key_low = uint32_t(key), key_high = uint32_t(key >> 32);
  const T scale = T(op.scale);
  const long width = w.out.width();
  for (long r = lo; r < hi; ++r) {
    const uint32_t row_low = uint32_t(r), row_high = uint32_t(uint64_t(r) >> 32);
    for (long c = 0; c < width; c += kChunk) {
      const long columns = width - c < kChunk ? width - c : kChunk;
      uint32_t word[kChunk];
      for (long q = 0; q < columns / 4; ++q) {
        const Philox4 bits =
            philox(uint32_t(c / 4 + q), row_low, row_high, op.stream, key_low, key_high);
        for (int lane = 0; lane < 4; ++lane) word[4 * q + lane] = bits.word[lane];
      }
      const T* const from = w.in[0].at(r) + c;
      each(w.out.at(r) + c, 0, 1, columns, w.accumulate,
           [&](long, long k) { return word[k] >= threshold ? from[k] * scale : T(0); });
    }
  }
}
STEEP_CALL(Dropout)

}  // namespace steep::STEEP_ISA
