// Walks over labels and weights of positions as they lie.
#include "data/positions.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace steep {

namespace {

constexpr long kBlock = 256;  // positions read at once

template <class V> V load(const std::byte* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

long label(Format format, const std::byte* from) {
  if (format == Format::Int32) return load<int32_t>(from);
  if (format == Format::Int64) return static_cast<long>(load<int64_t>(from));
  return load<uint8_t>(from);
}

double weight(Format format, const std::byte* from) {
  return format == Format::Float64 ? load<double>(from) : static_cast<double>(load<float>(from));
}

}  // namespace

void each_run(const Source& s, long sample, long first, long end,
              const std::function<void(const std::byte*, long, long)>& f) {
  const std::size_t inner = s.shape.size() - 1;
  const long length = s.shape[inner], stride = s.strides[inner];
  while (first < end) {
    const long within = first % length, run = std::min(length - within, end - first);
    const std::byte* from = s.data + sample * s.sample_stride + within * stride;
    long rest = first / length;
    for (std::size_t axis = inner; axis-- > 0; rest /= s.shape[axis]) {
      from += rest % s.shape[axis] * s.strides[axis];
    }
    f(from, stride, run);
    first += run;
  }
}

void read_labels(const Positions& of, long sample, long first, long count, int* labels) {
  each_run(of.labels, sample, first, first + count,
           [&](const std::byte* from, long stride, long run) {
             for (long i = 0; i < run; ++i, from += stride) {
               const long found = label(of.labels.format, from);
               const bool counts = found != of.ignored && found >= 0 && found < of.classes;
               *labels++ = counts ? static_cast<int>(found) : -1;
             }
           });
}

Counted count(const Positions& of, long samples) {
  Counted all;
  int labels[kBlock];
  double weights[kBlock];
  std::fill_n(labels, kBlock, 0);
  std::fill_n(weights, kBlock, 1.0);
  for (long r = 0; r < samples; ++r) {
    double counts = 0, sum = 0;
    for (long p = 0; p < of.each; p += kBlock) {
      const long n = std::min(kBlock, of.each - p);
      if (of.labels.data != nullptr) read_labels(of, r, p, n, labels);
      if (of.weights.data != nullptr) {
        double* to = weights;
        each_run(of.weights, r, p, p + n, [&](const std::byte* from, long stride, long run) {
          for (long i = 0; i < run; ++i) *to++ = weight(of.weights.format, from + i * stride);
        });
      }
      for (long i = 0; i < n; ++i) {
        counts += labels[i] >= 0 ? 1.0 : 0.0;
        sum += labels[i] >= 0 ? weights[i] : 0.0;
      }
    }
    all.counts.push_back(counts);
    all.weights.push_back(sum);
  }
  return all;
}

bool find_misfit(const Positions& of, long samples, Misfit& found) {
  for (long r = 0; r < samples; ++r) {
    long position = 0;
    bool fits = true;
    each_run(of.labels, r, 0, of.each, [&](const std::byte* from, long stride, long run) {
      for (long i = 0; i < run && fits; ++i, ++position) {
        const long label = steep::label(of.labels.format, from + i * stride);
        fits = label == of.ignored || (label >= 0 && label < of.classes);
        if (!fits) found = {r, position, label};
      }
    });
    if (!fits) return true;
  }
  return false;
}

}  // namespace steep
