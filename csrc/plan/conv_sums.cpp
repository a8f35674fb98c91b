// What is cheapest for vectors and caches of the CPU decides it.
#include "plan/conv_sums.h"

#include <algorithm>

#include "base/panels.h"

namespace steep {

namespace {

constexpr long kStripBytes = 96 * 1024;  // of a frame's rows: half of a small second-level cache
constexpr long kLeastStrip = 4;          // rows of results

// Vector products of one row of results and taps, where fewer than kLatency sums side by side take
// no less time.
double sweep(long sums, long steps) {
  constexpr long kLatency = 4;
  return static_cast<double>(std::max(sums, kLatency)) * static_cast<double>(steps);
}

template <class Cost> long cheapest(const Window& w, long filters, Cost&& cost) {
  long best = 1;
  for (long share = 2; share <= std::min(kPanel / filters, w.out[1]); ++share) {
    if (cost(share) < cost(best)) best = share;
  }
  return best;
}

}  // namespace

bool one_pixel(const Window& w) {
  return w.pixels() == 1 && w.out_pixels() == 1 && w.taps() == 1 && w.before[0] == 0 &&
         w.before[1] == 0;
}

bool pixelwise(const Window& w, long groups) { return groups > 1 && one_pixel(w); }

long images_per_group(const Window& w, long filters, long groups, bool depthwise) {
  if (depthwise) return one_pixel(w) ? kImagesPerProduct : kImagesPerPanel;
  if (pixelwise(w, groups)) return kImagesPerProduct;
  return kImagesPerPanel * (groups > 1 ? 1 : ceil_div(filters, kPanel));
}

long best_share(const Window& w, long filters) {
  return cheapest(w, filters, [&](long share) {
    const long vectors = padded(share * filters) / kLane;
    const long taps = w.kernel[1] + (share - 1) * w.stride[1];
    const double rest = w.out[1] % share > 0 ? sweep(vectors, taps) : 0.0;
    return sweep(w.out[1] / share * vectors, taps) + rest;
  });
}

long best_weight_share(const Window& w, long filters) {
  return cheapest(w, filters, [&](long share) {
    const long vectors = padded(share * filters) / kLane;
    const long taps = w.kernel[1] + (share - 1) * w.stride[1];
    if (w.out[1] % share > 0) return 1e30;
    return sweep(taps * w.channels * vectors, w.out[1] / share);
  });
}

long weight_share(const Window& w, long filters, long groups) {
  const bool narrow = groups == 1 && w.dilation[0] == 1 && w.dilation[1] == 1;
  return narrow && best_share(w, filters) > 1 ? best_weight_share(w, filters) : 1;
}

long forward_strip(const Window& w, long element) {
  const auto size = [&](int axis) {
    return (w.out[axis] - 1) * w.stride[axis] + (w.kernel[axis] - 1) * w.dilation[axis] + 1;
  };
  const bool padded = w.before[0] > 0 || w.before[1] > 0 || size(0) > w.in[0] || size(1) > w.in[1];
  return strip_rows(padded, size(1) * w.channels, w.stride[0],
                    (w.kernel[0] - 1) * w.dilation[0] + 1, w.out[0], element);
}

long strip_rows(bool padded, long pitch, long step, long reach, long rows, long element) {
  if (!padded) return rows;
  const long fit = kStripBytes / (pitch * element);
  return std::clamp((fit - reach) / step + 1, std::min(kLeastStrip, rows), rows);
}

}  // namespace steep
