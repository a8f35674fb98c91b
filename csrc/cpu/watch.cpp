// Adds up what threads noted of activations, and makes a step's numbers of it.
#include "cpu/watch.h"

#include <cmath>

#include "base/dual.h"
#include "base/panels.h"

namespace steep {

using portable::plain;

template <class T>
Watch<T>::Watch(std::vector<Watched> ops, long capacity, int threads)
    : k_(record_kernels<T>()), ops_(std::move(ops)), threads_(threads) {
  for (const Watched& op : ops_) {
    noted_.push_back({std::vector<RowSums>(static_cast<std::size_t>(capacity)),
                      std::vector<T>(static_cast<std::size_t>(threads * padded(op.width))),
                      std::vector<char>(static_cast<std::size_t>(op.channels))});
  }
}

template <class T>
void Watch<T>::note(int which, const View<T>& out, long lo, long hi, int thread) {
  Noted& noted = noted_[static_cast<std::size_t>(which)];
  const Watched& op = ops_[static_cast<std::size_t>(which)];
  k_.row_sums(out.at(lo), out.ld, hi - lo, op.width, op.low, op.high, noted.rows.data() + lo,
              noted.alive.data() + thread * padded(op.width));
}

// Of the elements of so many rows: two passes, since rows are added one after the other and none waits for a division.
template <class T>
auto Watch<T>::spread(const RowSums* rows, long count, double width) -> Spread {
  const auto mean_of = [width](const RowSums& row) { return row.first + row.sum / width; };
  Spread all{0, 0};
  for (long r = 0; r < count; ++r) all.mean += mean_of(rows[r]);
  all.mean /= static_cast<double>(count);
  for (long r = 0; r < count; ++r) {
    const RowSums& row = rows[r];
    const double apart = mean_of(row) - all.mean;
    all.squares += (row.squares - row.sum * row.sum / width) + apart * apart * width;
  }
  return all;
}

template <class T> void Watch<T>::add(long rows, bool first) {
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    Noted& noted = noted_[i];
    const long width = ops_[i].width, channels = ops_[i].channels;
    if (first) {
      noted.count = noted.mean = noted.squares = noted.saturated = 0;
      std::fill(noted.channels.begin(), noted.channels.end(), 0);
    }
    const double n = static_cast<double>(width * rows), all = noted.count + n;
    const Spread part = spread(noted.rows.data(), rows, static_cast<double>(width));
    // Means and squares of two sets give those of both (Chan, Golub & LeVeque 1983).
    const double apart = part.mean - noted.mean;
    noted.mean += apart * n / all;
    noted.squares += part.squares + apart * apart * noted.count * n / all;
    noted.count = all;
    for (long r = 0; r < rows; ++r) noted.saturated += noted.rows[r].saturated;
    for (int t = 0; t < threads_; ++t) {
      const T* const alive = noted.alive.data() + t * padded(width);
      for (long c = 0; c < width; c += channels) {
        for (long j = 0; j < channels; ++j) noted.channels[j] |= alive[c + j] != T(0);
      }
    }
    std::fill(noted.alive.begin(), noted.alive.end(), T(0));
  }
}

template <class T> void Watch<T>::put(double* to) const {
  for (std::size_t i = 0; i < ops_.size(); ++i, to += kActivationNumbers) {
    const Noted& noted = noted_[i];
    const auto dead = std::count(noted.channels.begin(), noted.channels.end(), 0);
    to[kMean] = noted.mean;
    to[kDeviation] = std::sqrt(std::max(0.0, noted.squares / noted.count));
    to[kDead] = static_cast<double>(dead) / static_cast<double>(ops_[i].channels);
    to[kSaturated] = ops_[i].low < ops_[i].high ? noted.saturated / noted.count : std::nan("");
  }
}

template class Watch<float>;
template class Watch<double>;
template class Watch<portable::Dual>;

}  // namespace steep
