// Reads samples as they are, or through a change of the image: the innermost run is a kernel. Walks the
// rows of a batch, asking for samples ahead.
#include "cpu/gather.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/dual.h"
#include "cpu.h"
#include "cpu/kernels.h"
#include "data/batcher.h"

namespace steep {

namespace {

template <class T> auto reader(const Kernels<T>& k, Format format) {
  switch (format) {
    case Format::Float64: return k.read_f64;
    case Format::UInt8: return k.read_u8;
    case Format::UInt16: return k.read_u16;
    case Format::Int32: return k.read_i32;
    case Format::Int64: return k.read_i64;
    default: return k.read_f32;
  }
}

template <class T>
void read_axis(const Kernels<T>& k, const Source& s, std::size_t axis, const std::byte* from,
               T*& dst, T scale, T shift) {
  if (axis + 1 < s.shape.size()) {
    for (long i = 0; i < s.shape[axis]; ++i) {
      read_axis(k, s, axis + 1, from + i * s.strides[axis], dst, scale, shift);
    }
    return;
  }
  reader(k, s.format)(from, s.strides[axis], dst, s.shape[axis], scale, shift);
  dst += s.shape[axis];
}

template <class T>
void read_pixels(const Kernels<T>& k, const Images& m, const std::byte* from, long pixels, T* dst,
                 T scale, T shift) {
  const auto read = reader(k, m.format);
  if (m.channels == 1) return read(from, m.pixel_stride, dst, pixels, scale, shift);
  if (m.pixel_stride == m.channels * m.channel_stride) {
    return read(from, m.channel_stride, dst, pixels * m.channels, scale, shift);
  }
  for (long x = 0; x < pixels; ++x) {
    read(from + x * m.pixel_stride, m.channel_stride, dst + x * m.channels, m.channels, scale,
         shift);
  }
}

template <long kChannels, class T> void reverse_pixels(T* row, long pixels, long channels) {
  const long n = kChannels > 0 ? kChannels : channels;
  for (T *left = row, *right = row + (pixels - 1) * n; left < right; left += n, right -= n) {
    for (long c = 0; c < n; ++c) std::swap(left[c], right[c]);
  }
}

template <class T> void reverse_pixels(T* row, long pixels, long channels) {
  if (channels == 1) return reverse_pixels<1>(row, pixels, channels);
  if (channels == 3) return reverse_pixels<3>(row, pixels, channels);
  reverse_pixels<0>(row, pixels, channels);
}

// dst = scale*sample + shift, in C order.
template <class T>
void read_sample(const Kernels<T>& k, const Source& s, long sample, T* dst, T scale, T shift) {
  read_axis(k, s, 0, s.data + sample * s.sample_stride, dst, scale, shift);
}

// The same of the changed sample.
template <class T>
void read_augmented(const Kernels<T>& k, const Augment& a, const Change& c, long sample, T* dst,
                    T scale, T shift) {
  const Images& m = a.images;
  const long row = m.width * m.channels;
  const auto paint = [&](long y, long from, long to) {
    k.read_f64(a.fill.data(), sizeof(double), dst + y * row + from * m.channels,
               (to - from) * m.channels, scale, shift);
  };
  // Columns [from, to) before the flip come from inside of the image.
  const long from = std::max(0L, -c.right), to = std::min(m.width, m.width - c.right);
  const std::byte* const image = m.data + sample * m.sample_stride;
  for (long y = 0; y < m.height; ++y) {
    const long source = y + c.down;
    if (source < 0 || source >= m.height) {
      paint(y, 0, m.width);
      continue;
    }
    if (from > 0) paint(y, 0, from);
    if (to < m.width) paint(y, to, m.width);
    read_pixels(k, m, image + source * m.row_stride + (from + c.right) * m.pixel_stride, to - from,
                dst + y * row + from * m.channels, scale, shift);
    if (c.flip) reverse_pixels(dst + y * row, m.width, m.channels);
  }
  for (long y = c.top; y < c.bottom; ++y) paint(y, c.left, c.end);
}

// Rows are read one by one where they are not one piece of memory.
template <class T> bool within(const Source& s, T limit) {
  const Kernels<T>& k = kernels<T>();
  const long width = s.width(), item = static_cast<long>(sizeof(T));
  const bool whole = s.shape.size() == 1 && (width == 1 || s.strides[0] == item) &&
                     (s.samples == 1 || s.sample_stride == width * item) &&
                     reinterpret_cast<std::uintptr_t>(s.data) % alignof(T) == 0;
  if (whole) return k.all_within(reinterpret_cast<const T*>(s.data), s.samples * width, limit);
  std::vector<T> row(static_cast<std::size_t>(padded(width)));
  for (long i = 0; i < s.samples; ++i) {
    read_sample<T>(k, s, i, row.data(), T(1), T(0));
    if (!k.all_within(row.data(), width, limit)) return false;
  }
  return true;
}

}  // namespace

template <class T>
void gather_inputs(const ops::Input& op, const Work<T>& work, const Step<T>& s, long lo, long hi) {
  const Dataset& data = s.batcher->data();
  const Source& source = op.target ? data.targets[op.number].values : data.inputs[op.number];
  const T scale = static_cast<T>(op.scale), shift = static_cast<T>(op.shift);
  // Shuffled samples lie anywhere: without asking ahead each would cost a memory latency.
  constexpr long kAhead = 8;
  const auto each = [&](auto read) {
    for (long r = lo; r < std::min(hi, lo + kAhead); ++r) prefetch_sample(source, s.order[r]);
    for (long r = lo; r < hi; ++r) {
      if (r + kAhead < hi) prefetch_sample(source, s.order[r + kAhead]);
      read(s.order[r], work.out.at(r));
    }
  };
  const Kernels<T>& k = *work.k;
  if (data.augment && !op.target) {
    each([&](long sample, T* to) {
      const Change change =
          STEEP_ISA::draw_change(data.augment->changes(), s.seed, s.epoch, sample);
      read_augmented(k, *data.augment, change, sample, to, scale, shift);
    });
  } else if (source.shape.size() == 1) {
    const auto read = reader(k, source.format);
    const long columns = source.shape[0], stride = source.strides[0];
    each([&](long sample, T* to) {
      read(source.data + sample * source.sample_stride, stride, to, columns, scale, shift);
    });
  } else {
    each([&](long sample, T* to) { read_sample(k, source, sample, to, scale, shift); });
  }
}

template <class T>
bool gather_weights(const ops::Losing& of, const PerRow<T>& to, const Step<T>& s, long lo,
                    long hi) {
  const double* const weights = s.batcher->data().weights_of(of.weights, -1);
  if (weights == nullptr) return false;
  for (long r = lo; r < hi && !s.held; ++r) to.weights[r] = static_cast<T>(weights[s.order[r]]);
  return true;
}

template <class T>
Gathered gather_targets(const ops::Loss& of, const PerRow<T>& to, const Kernels<T>& k,
                        const Step<T>& s, long lo, long hi) {
  const Targets& from = s.batcher->data().targets[of.target];
  for (long r = lo; r < hi && !s.held; ++r) {
    if (from.labels != nullptr) {
      to.labels[r] = from.labels[s.order[r]];
    } else {
      read_sample(k, from.values, s.order[r], to.target.at(r), T(1), T(0));
    }
  }
  return {from.labels != nullptr, gather_weights(of, to, s, lo, hi)};
}

template <class T> Positioned positioned(const ops::Loss& loss, const Step<T>& s) {
  const Positions* const of = s.batcher->data().positions_of(-1, loss.target);
  return of == nullptr ? Positioned{0, false} : Positioned{of->each, of->labels.data != nullptr};
}

namespace {

template <class T>
void read_weights(const Kernels<T>& k, const Source& from, long sample, long first, long count,
                  T* to) {
  const auto read = reader(k, from.format);
  each_run(from, sample, first, first + count, [&](const std::byte* at, long stride, long run) {
    read(at, stride, to, run, T(1), T(0));
    to += run;
  });
}

}  // namespace

template <class T>
void gather_positions(const ops::Loss& loss, const PerRow<T>& to, const Kernels<T>& k,
                      const Step<T>& s, long row, long first, long count, int* labels, T* weights) {
  const Targets& targets = s.batcher->data().targets[loss.target];
  const Positions& of = targets.positions;
  const long sample = s.order[row];
  if (of.labels.data != nullptr) {
    read_labels(of, sample, first, count, labels);
  } else {
    std::fill_n(labels, count, 0);
    if (first == 0) read_sample(k, targets.values, sample, to.target.at(row), T(1), T(0));
  }
  if (of.weights.data == nullptr) {
    std::fill_n(weights, count, T(1));
  } else {
    read_weights(k, of.weights, sample, first, count, weights);
  }
}

template <class T> long weighed_positions(const ops::Losing& of, const Step<T>& s) {
  const Positions* const found = s.batcher->data().positions_of(of.weights, -1);
  return found == nullptr ? 0 : found->each;
}

template <class T>
void gather_position_weights(const ops::Losing& of, const Kernels<T>& k, const Step<T>& s, long row,
                             long first, long count, T* weights) {
  const Positions& found = *s.batcher->data().positions_of(of.weights, -1);
  read_weights(k, found.weights, s.order[row], first, count, weights);
}

bool cpu::all_within(const Source& values, double limit) {
  if (values.format == Format::Float64) return within(values, limit);
  constexpr double kMost = std::numeric_limits<float>::max();
  return within(values, static_cast<float>(std::min(limit, kMost)));
}

#define STEEP_GATHER(T)                                                                           \
  template void gather_inputs(const ops::Input&, const Work<T>&, const Step<T>&, long, long);     \
  template bool gather_weights(const ops::Losing&, const PerRow<T>&, const Step<T>&, long, long); \
  template Gathered gather_targets(const ops::Loss&, const PerRow<T>&, const Kernels<T>&,         \
                                   const Step<T>&, long, long);                                   \
  template Positioned positioned(const ops::Loss&, const Step<T>&);                               \
  template void gather_positions(const ops::Loss&, const PerRow<T>&, const Kernels<T>&,           \
                                 const Step<T>&, long, long, long, int*, T*);                     \
  template long weighed_positions(const ops::Losing&, const Step<T>&);                            \
  template void gather_position_weights(const ops::Losing&, const Kernels<T>&, const Step<T>&,    \
                                        long, long, long, T*);
STEEP_GATHER(float)
STEEP_GATHER(double)
STEEP_GATHER(portable::Dual)
#undef STEEP_GATHER

}  // namespace steep
