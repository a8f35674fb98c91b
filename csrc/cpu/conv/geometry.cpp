// What a convolution works out from shapes alone: its frames, its grids of pixels and their taps,
// and which way each pass takes.
#include <algorithm>

#include "base/dual.h"
#include "cpu/conv/conv.h"

namespace steep {

namespace {

struct Tap { long a, row, frame_row; };  // element of the frame; row of W

// Joins taps that follow each other both in the frame and in W, if all runs are equally long.
void set_taps(PixelGrid& grid, const std::vector<Tap>& taps, long depth) {
  const auto follows = [&](std::size_t i) {
    return taps[i].a == taps[i - 1].a + depth && taps[i].row == taps[i - 1].row + depth;
  };
  std::size_t run = 1;
  while (run < taps.size() && follows(run)) ++run;
  bool equal = taps.size() % run == 0;
  for (std::size_t i = 1; i < taps.size() && equal; ++i)
    equal = (i % run != 0) == follows(i) || i % run == 0;
  if (!equal) run = 1;
  bool in_one_row = true;
  for (std::size_t i = 0; i < taps.size(); i += run) {
    in_one_row &= taps[i].frame_row == taps[i + run - 1].frame_row;
  }
  for (std::size_t i = 0; i < taps.size(); i += run) {
    if (in_one_row) grid.frame_rows.push_back(taps[i].frame_row);
    grid.a_offsets.push_back(taps[i].a);
    grid.b_offsets[0].push_back(taps[i].row * kPanel);
    grid.b_offsets[1].push_back(taps[i].row * kLane);
  }
  grid.depth = depth * static_cast<long>(run);
}

// Where rows follow each other without a gap, they are one long row.
void join_rows(PixelGrid& grid) {
  if (grid.in_row != grid.columns * grid.in_column ||
      grid.out_row != grid.columns * grid.out_column)
    return;
  grid.columns *= grid.rows;
  grid.rows = 1;
}

}  // namespace

template <class T>
Conv<T>::Conv(const Kernels<T>& kernels, const Window& window, long filters, long groups)
    : k_(kernels), w_(window), filters_(filters), groups_(groups) {
  plan_forward();
  plan_data();
  const long reach = (w_.kernel[0] - 1) * w_.dilation[0] + 1;
  const long forward_rows = (forward_strip_ - 1) * w_.stride[0] + reach;
  scratch_ = std::max(forward_rows * x_.pitch(), (data_strip_ - 1 + data_reach_) * dy_.pitch()) +
             kBlockRows * kPanel;
  choose_ways();
  // Row by row of a strip, x and dy side by side.
  const bool joined = w_.stride[0] * x_.pitch() == w_.out[1] * w_.stride[1] * w_.channels;
  for (long r = 0; r < (joined ? 1 : forward_strip_); ++r) {
    weight_a_.push_back(r * w_.stride[0] * x_.pitch());
    weight_b_.push_back(r * w_.out[1] * filters_);
  }
}

template <class T> void Conv<T>::choose_ways() {
  if (Winograd<T>::fits(w_, filters_, groups_)) {
    const long around[2] = {2 - w_.before[0], 2 - w_.before[1]};
    winograd_x_.emplace(k_, w_.in, w_.before, w_.channels, w_.out[0], w_.out[1], filters_);
    winograd_dy_.emplace(k_, w_.out, around, filters_, w_.in[0], w_.in[1], w_.channels);
    scratch_ = std::max({scratch_, winograd_x_->scratch(), winograd_dy_->scratch()});
    return;
  }
  if (groups_ > 1 || w_.dilation[0] > 1 || w_.dilation[1] > 1) return;
  if (best_share(w_, filters_) > 1) {
    narrow_x_.emplace(k_, w_, filters_);
    scratch_ = std::max(scratch_, narrow_x_->scratch());
  }
  Window back = w_;  // dx from dy
  back.channels = filters_;
  for (int axis = 0; axis < 2; ++axis) {
    if (w_.stride[axis] > 1 || w_.before[axis] >= w_.kernel[axis]) return;
    back.in[axis] = w_.out[axis];
    back.out[axis] = w_.in[axis];
    back.before[axis] = w_.kernel[axis] - 1 - w_.before[axis];
  }
  if (best_share(back, w_.channels) > 1) {
    narrow_dy_.emplace(k_, back, w_.channels);
    scratch_ = std::max(scratch_, narrow_dy_->scratch());
  }
}

template <class T> bool Conv<T>::same(const Window& window, long groups) const {
  return window == w_ && groups == groups_;
}

template <class T> double Conv<T>::multiply_adds() const {
  return static_cast<double>(w_.out_pixels() * rows()) * static_cast<double>(filters_);
}

template <class T> void Conv<T>::plan_forward() {
  x_ = {{w_.in[0], w_.in[1]}, w_.channels, {w_.before[0], w_.before[1]}, {}};
  for (int axis = 0; axis < 2; ++axis) {
    x_.size[axis] =
        (w_.out[axis] - 1) * w_.stride[axis] + (w_.kernel[axis] - 1) * w_.dilation[axis] + 1;
  }
  PixelGrid grid{};
  grid.rows = w_.out[0];
  grid.columns = w_.out[1];
  grid.in_row = w_.stride[0] * x_.pitch();
  grid.in_column = w_.stride[1] * w_.channels;
  grid.out_row = w_.out[1] * filters_;
  grid.out_column = filters_;
  const long depth = w_.channels / groups_;
  std::vector<Tap> taps;
  for (long ky = 0; ky < w_.kernel[0]; ++ky) {
    for (long kx = 0; kx < w_.kernel[1]; ++kx) {
      taps.push_back({ky * w_.dilation[0] * x_.pitch() + kx * w_.dilation[1] * w_.channels,
                      (ky * w_.kernel[1] + kx) * depth, ky * w_.dilation[0]});
    }
  }
  set_taps(grid, taps, depth);
  forward_strip_ = forward_strip(w_, sizeof(T));
  if (!x_.padded()) join_rows(grid);
  forward_.push_back(std::move(grid));
}

// With stride s, the pixels of dx fall into s*s grids; those of one grid are reached by the same
// taps, at steps of one pixel of dy.
template <class T> void Conv<T>::plan_data() {
  struct Reach { long tap, from; };  // dx row s*t + phase takes dy row t + from through this tap
  std::vector<std::vector<Reach>> reached[2];
  dy_ = {{w_.out[0], w_.out[1]}, filters_, {0, 0}, {1, 1}};
  for (int axis = 0; axis < 2; ++axis) {
    const long s = w_.stride[axis], phases = std::min(s, w_.in[axis]);
    reached[axis].resize(static_cast<std::size_t>(phases));
    long last = 0;
    for (long phase = 0; phase < phases; ++phase) {
      for (long tap = w_.kernel[axis] - 1; tap >= 0; --tap) {
        const long at = phase + w_.before[axis] - tap * w_.dilation[axis];
        if (at % s != 0) continue;
        reached[axis][phase].push_back({tap, at / s});
        dy_.before[axis] = std::max(dy_.before[axis], -(at / s));
        last = std::max(last, at / s + (w_.in[axis] - phase - 1) / s);
      }
    }
    dy_.size[axis] = last + 1 + dy_.before[axis];
  }
  const long depth = filters_ / groups_;
  data_reach_ = 1;
  for (long py = 0; py < std::min(w_.stride[0], w_.in[0]); ++py) {
    for (long px = 0; px < std::min(w_.stride[1], w_.in[1]); ++px) {
      PixelGrid grid{};
      grid.rows = ceil_div(w_.in[0] - py, w_.stride[0]);
      grid.columns = ceil_div(w_.in[1] - px, w_.stride[1]);
      grid.in_row = dy_.pitch();
      grid.in_column = filters_;
      grid.first = (py * w_.in[1] + px) * w_.channels;
      grid.out_row = w_.stride[0] * w_.in[1] * w_.channels;
      grid.out_column = w_.stride[1] * w_.channels;
      std::vector<Tap> taps;
      for (const Reach& y : reached[0][py]) {
        data_reach_ = std::max(data_reach_, y.from + dy_.before[0] + 1);
        for (const Reach& x : reached[1][px]) {
          const long turned = (w_.kernel[0] - 1 - y.tap) * w_.kernel[1] + w_.kernel[1] - 1 - x.tap;
          taps.push_back(
              {(y.from + dy_.before[0]) * dy_.pitch() + (x.from + dy_.before[1]) * filters_,
               turned * depth, y.from + dy_.before[0]});
        }
      }
      if (!taps.empty()) set_taps(grid, taps, depth);
      if (!dy_.padded()) join_rows(grid);
      data_.push_back(std::move(grid));
    }
  }
  const long most = ceil_div(w_.in[0], w_.stride[0]);
  data_strip_ = strip_rows(dy_.padded(), dy_.pitch(), 1, data_reach_, most, sizeof(T));
}

// What this file defines of them.
template class Conv<float>;
template class Conv<double>;
template class Conv<portable::Dual>;

}  // namespace steep
