// Pixels repeated, and the sums over the pixels that one became.
#include "ops/upsample.h"

#include "cpu/ops/call.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {

// Repeating a pixel multiplies it by 1, and so does its gradient the sum over a window: a 1 that is
// rounded as the number of pixels times their share.
template <class T>
void run(const ops::Upsample& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long channels = op.channels, row = op.width * op.across * channels;
  const T pixels = T(op.down * op.across), share = T(1) / pixels;
  for (long r = lo; r < hi; ++r) {
    const T* from = w.in[0].at(r);
    T* to = w.out.at(r);
    for (long i = 0; i < op.height; ++i) {
      T* const first = to;
      for (long j = 0; j < op.width; ++j, from += channels) {
        T* const pixel = to;
        for (long c = 0; c < channels; ++c) pixel[c] = fma_(pixels, from[c], T(0)) * share;
        to += channels;
        for (long b = 1; b < op.across; ++b, to += channels)
          __builtin_memcpy(to, pixel, channels * sizeof(T));
      }
      for (long a = 1; a < op.down; ++a, to += row) __builtin_memcpy(to, first, row * sizeof(T));
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Upsample)

// Summed row by row, so that rounding grows with height + width of a window.
template <class T>
void run(const ops::UpsampleGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const ops::Upsample& up = op.of;
  const T pixels = T(up.down * up.across), share = T(1) / pixels;
  const long channels = up.channels, row = up.width * up.across * channels;
  for (long r = lo; r < hi; ++r) {
    const T* const dy = w.in[0].at(r);
    T* const dx = w.out.at(r);
    for (long i = 0; i < up.height; ++i) {
      for (long j = 0; j < up.width; ++j) {
        const T* const window = dy + i * up.down * row + j * up.across * channels;
        T* const to = dx + (i * up.width + j) * channels;
        over_channels<2 * Vec<T>::width>(channels, [&](auto width, long c) {
          using L = Lanes<T, decltype(width)::value>;
          L total = L::all(0);
          for (long a = 0; a < up.down; ++a) {
            L sum = L::all(0);
            for (long b = 0; b < up.across; ++b)
              sum = sum + L::load(window + a * row + b * channels + c);
            total = total + sum;
          }
          total = fma_(L::all(pixels), total * L::all(share), L::all(0));
          (w.accumulate ? L::load(to + c) + total : total).store(to + c);
        });
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(UpsampleGrad)

}  // namespace steep::STEEP_ISA
