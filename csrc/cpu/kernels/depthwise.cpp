// Depthwise convolution of one image, a filter of its own for every channel, and its gradients. Other
// convolutions are products: see gemm.cpp.
#include "cpu/kernels/fill.h"
#include "cpu/kernels/taps.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {
namespace {

// Two registers of channels by four pixels: eight sums hide the latency of their additions.
template <class T> constexpr int kWidest = 2 * Vec<T>::width;
constexpr int kTile = 4;

// Images are seen from the result: each result pixel gathers from the source the taps meet. Forward
// the source is x and the result y, backward dy and dx.
template <class T> struct Gather {
  const T* source;
  long source_width, channels;
  const T* weight;
  long kernel_width;
  Panels panels;
  const T* bias;  // or null
  T* result;
  bool accumulate;
};

// `pixels` results at `to`, `apart` elements from one another; their sources are `shift` apart. Taps
// are added row by row.
template <int pixels, class T>
STEEP_HD void gather(const Gather<T>& g, const Taps& rows, const Taps& columns, long shift, long to,
                     long apart) {
  over_channels<kWidest<T>>(g.channels, [&](auto width, long c) {
    using L = Lanes<T, decltype(width)::value>;
    const long ld = g.panels.width(c / kPanel);
    const T* const weight = g.weight + g.panels.at(0, c);
    L sum[pixels];
    for (int q = 0; q < pixels; ++q) sum[q] = g.bias ? L::load(g.bias + c) : L::all(0);
    for (long a = 0; a < rows.count; ++a) {
      const long row = rows.source + a * rows.move, tap = rows.first + a * rows.step;
      const T* in = g.source + (row * g.source_width + columns.source) * g.channels + c;
      const T* w = weight + (tap * g.kernel_width + columns.first) * ld;
      for (long b = 0; b < columns.count; ++b) {
        const L factor = L::load(w);
        for (int q = 0; q < pixels; ++q) sum[q] = fma_(L::load(in + q * shift), factor, sum[q]);
        in += columns.move * g.channels;
        w += columns.step * ld;
      }
    }
    T* const out = g.result + to + c;
    for (int q = 0; q < pixels; ++q)
      (g.accumulate ? L::load(out + q * apart) + sum[q] : sum[q]).store(out + q * apart);
  });
}

// One row of results. Columns `phase` apart meet the same taps, between `low` and `high` all of
// them; from one such column to the next the source moves by `ahead` pixels. taps(p) gives the taps
// of column p.
template <class T, class Find>
STEEP_HD void gather_row(const Gather<T>& g, const Taps& rows, long row, long width, long phase,
                         long ahead, long low, long high, Find taps) {
  const long n = g.channels;
  for (long start = 0; start < phase && start < width; ++start) {
    long p = start;
    while (p < width) {
      Taps columns = taps(p);
      if (p >= low)
        for (; p + (kTile - 1) * phase < high; p += kTile * phase, columns.source += kTile * ahead)
          gather<kTile>(g, rows, columns, ahead * n, (row * width + p) * n, phase * n);
      if (p >= width) break;
      if (p >= low) columns = taps(p);
      gather<1>(g, rows, columns, 0, (row * width + p) * n, 0);
      p += phase;
    }
  }
}

template <class T>
void depthwise(const Window& w, const T* x, const T* weight, const T* bias, T* y, bool accumulate) {
  const Panels panels{w.kernel[0] * w.kernel[1], w.channels};
  const Gather<T> g{x, w.in[1], w.channels, weight, w.kernel[1], panels, bias, y, accumulate};
  const long low = (w.before[1] + w.stride[1] - 1) / w.stride[1];
  const long room = w.in[1] - 1 - (w.kernel[1] - 1) * w.dilation[1] + w.before[1];
  const long inside = room < 0 ? 0 : room / w.stride[1] + 1;
  const long high = inside < w.out[1] ? inside : w.out[1];
  for (long i = 0; i < w.out[0]; ++i)
    gather_row(g, taps_of_output(w, 0, i), i, w.out[1], 1, w.stride[1], low, high,
               [&](long p) { return taps_of_output(w, 1, p); });
}

template <class T>
void depthwise_grad(const Window& w, const T* dy, const T* weight, const T* bias, T* dx,
                    bool accumulate) {
  const Panels panels{w.kernel[0] * w.kernel[1], w.channels};
  const Gather<T> g{dy, w.out[1], w.channels, weight, w.kernel[1], panels, bias, dx, accumulate};
  const long low = (w.kernel[1] - 1) * w.dilation[1] - w.before[1];
  const long last = (w.out[1] - 1) * w.stride[1] - w.before[1] + 1;
  const long high = last < w.in[1] ? last : w.in[1];
  for (long i = 0; i < w.in[0]; ++i)
    gather_row(g, taps_of_input(w, 0, i), i, w.in[1], w.stride[1], 1, low, high,
               [&](long p) { return taps_of_input(w, 1, p); });
}

// Outputs whose window meets the image at one tap, along one axis.
struct Outputs { long first, end; };

STEEP_HD Outputs outputs_of_tap(const Window& w, int axis, long tap) {
  const long at = tap * w.dilation[axis] - w.before[axis], stride = w.stride[axis];
  const long first = at < 0 ? (-at + stride - 1) / stride : 0;
  const long room = w.in[axis] - 1 - at;
  const long inside = room < 0 ? 0 : room / stride + 1;
  const long end = inside < w.out[axis] ? inside : w.out[axis];
  return {first, end > first ? end : first};
}

constexpr int kColumns = 4;    // taps of one row whose gradients are summed at once
constexpr long kStretch = 64;  // pixels of a partial sum, about: rounding grows with pixels/64 + 64

// total[b] = sum of dy * x at taps (tap_row, tap + b), for the L::width channels from c on. Pixels
// where all taps meet the image go together.
template <int taps, class L, class T>
STEEP_HD void weight_sums(const Window& w, const T* x, const T* dy, long tap_row, long tap,
                          L (&total)[taps]) {
  const long n = w.channels, right = w.stride[1] * n, next = w.dilation[1] * n;
  Outputs of[taps];
  Outputs all{0, w.out[1]};
  for (int b = 0; b < taps; ++b) {
    of[b] = outputs_of_tap(w, 1, tap + b);
    if (of[b].first > all.first) all.first = of[b].first;
    if (of[b].end < all.end) all.end = of[b].end;
  }
  if (all.end < all.first) all.end = all.first;
  L part[taps];
  for (int b = 0; b < taps; ++b) total[b] = part[b] = L::all(0);
  const Outputs rows = outputs_of_tap(w, 0, tap_row);
  long summed = 0;
  for (long i = rows.first; i < rows.end; ++i) {
    const long row = i * w.stride[0] + tap_row * w.dilation[0] - w.before[0];
    const T* const in = x + (row * w.in[1] + tap * w.dilation[1] - w.before[1]) * n;
    const T* const up = dy + i * w.out[1] * n;
    for (int b = 0; b < taps; ++b) {  // columns at the border
      for (long j = of[b].first; j < of[b].end && j < all.first; ++j)
        part[b] = fma_(L::load(in + j * right + b * next), L::load(up + j * n), part[b]);
      for (long j = all.end > of[b].first ? all.end : of[b].first; j < of[b].end; ++j)
        part[b] = fma_(L::load(in + j * right + b * next), L::load(up + j * n), part[b]);
    }
    for (long j = all.first; j < all.end; ++j) {
      const L g = L::load(up + j * n);
      for (int b = 0; b < taps; ++b) part[b] = fma_(L::load(in + j * right + b * next), g, part[b]);
    }
    summed += w.out[1];
    if (summed < kStretch && i + 1 < rows.end) continue;
    for (int b = 0; b < taps; ++b) total[b] = total[b] + part[b], part[b] = L::all(0);
    summed = 0;
  }
}

template <int taps, class L, class T>
void weight_gradient(const Window& w, const T* x, const T* dy, long tap_row, long tap, T* dweight,
                     long ld, bool accumulate) {
  L total[taps];
  weight_sums<taps>(w, x, dy, tap_row, tap, total);
  for (int b = 0; b < taps; ++b) {
    T* const out = dweight + (tap_row * w.kernel[1] + tap + b) * ld;
    (accumulate ? L::load(out) + total[b] : total[b]).store(out);
  }
}

template <class T>
void depthwise_grad_weight(const Window& w, const T* x, const T* dy, T* dweight, bool accumulate) {
  const Panels panels{w.kernel[0] * w.kernel[1], w.channels};
  over_channels<kWidest<T>>(w.channels, [&](auto width, long c) {
    using L = Lanes<T, decltype(width)::value>;
    T* const out = dweight + panels.at(0, c);
    const long ld = panels.width(c / kPanel);
    for (long a = 0; a < w.kernel[0]; ++a)
      for (long b = 0; b < w.kernel[1]; b += kColumns) {
        const auto of = w.kernel[1] - b == 1   ? weight_gradient<1, L, T>
                        : w.kernel[1] - b == 2 ? weight_gradient<2, L, T>
                        : w.kernel[1] - b == 3 ? weight_gradient<3, L, T>
                                               : weight_gradient<kColumns, L, T>;
        of(w, x + c, dy + c, a, b, out, ld, accumulate);
      }
  });
  for (long c = w.channels; c < padded(w.channels); ++c)
    for (long t = 0; t < panels.rows; ++t) dweight[panels.at(t, c)] = T(0);
}

}  // namespace

template <class T> void fill_depthwise(Kernels<T>& table) {
  table.depthwise = depthwise<T>;
  table.depthwise_grad = depthwise_grad<T>;
  table.depthwise_grad_weight = depthwise_grad_weight<T>;
}

STEEP_FILL_DUAL(fill_depthwise)

}  // namespace steep::STEEP_ISA
