// Copies of columns and of images inside larger ones.
#include "ops/shape.h"

#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {
namespace {

// Calls each(element of the image, element of the padded one) for every row of channels.
template <class Each> STEEP_HD void over_pixels(const ops::Pad& pad, Each each) {
  const long channels = pad.small[2], row = pad.small[1] * channels;
  const long wide_row = pad.large[1] * pad.large[2];
  for (long i = 0; i < pad.small[0]; ++i)
    for (long j = 0; j < pad.small[1]; ++j)
      each(i * row + j * channels,
           (i + pad.above) * wide_row + (j + pad.left) * pad.large[2] + pad.front);
}

}  // namespace

template <class T>
void run(const ops::CopyColumns& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const long from_pixel = w.in[0].columns / op.pixels, to_pixel = w.out.columns / op.pixels;
  for (long r = lo; r < hi; ++r) {
    const T* from = w.in[0].at(r) + op.from;
    T* to = w.out.at(r) + op.to;
    for (long p = 0; p < op.pixels; ++p, from += from_pixel, to += to_pixel) {
      if (w.accumulate)
        for (long c = 0; c < op.columns; ++c) to[c] += from[c];
      else
        __builtin_memcpy(to, from, op.columns * sizeof(T));
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(CopyColumns)

template <class T>
void run(const ops::Pad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) {
    const T* const from = w.in[0].at(r);
    T* const to = w.out.at(r);
    __builtin_memset(to, 0, w.out.width() * sizeof(T));
    over_pixels(op, [&](long in, long out) {
      __builtin_memcpy(to + out, from + in, op.small[2] * sizeof(T));
    });
  }
}
STEEP_CALL(Pad)

template <class T>
void run(const ops::Crop& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) {
    const T* const from = w.in[0].at(r);
    T* const to = w.out.at(r);
    over_pixels(op.pad, [&](long in, long out) {
      for (long c = 0; c < op.pad.small[2]; ++c)
        to[in + c] = w.accumulate ? to[in + c] + from[out + c] : from[out + c];
    });
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Crop)

}  // namespace steep::STEEP_ISA
