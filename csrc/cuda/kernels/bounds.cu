// Columns of a parameter brought back to their length after an update, by one thread each, and the averages that
// follow them.
#include "cuda/kernels/update.cuh"

namespace steep::cuda {

namespace {

constexpr int kThreads = 32;  // columns of a panel; rows of what lies across are fewer

// The elements of a column, one after the other: f(place in a column of the Store).
template <class F> __device__ void over_column(const Piece& piece, int mine, const F& f) {
  const Panels& of = piece.panels;
  for (int p = piece.first; p < piece.last; ++p) {
    const int width = static_cast<int>(of.width(p));
    const long at = piece.offset + of.offset(p);
    if (piece.across) {
      for (int c = 0; c < width; ++c) f(at + static_cast<long>(mine) * width + c);
    } else if (mine < width) {
      for (int r = 0; r < static_cast<int>(of.rows); ++r)
        f(at + static_cast<long>(r) * width + mine);
    }
  }
}

template <bool kAhead>
__device__ void bound(const Piece& piece, int mine, bool there, float* w, const float* v,
                      float look) {
  double squares = 0;
  const auto weight = [&](long at) {
    return kAhead ? rules::weight_of_point(w[at], v[at], look) : w[at];
  };
  if (there) {
    over_column(piece, mine, [&](long at) {
      const double x = static_cast<double>(weight(at));
      squares += x * x;
    });
  }
  const double length = __builtin_sqrt(squares);
  const bool long_enough = length > 0 && is_finite(length) && (piece.unit || length > piece.limit);
  const double factor = long_enough ? (piece.unit ? 1.0 : piece.limit) / length : 1.0;
  if (!__syncthreads_or(there && factor != 1) || !there) return;
  over_column(piece, mine, [&](long at) {
    const float x = static_cast<float>(factor * static_cast<double>(weight(at)));
    w[at] = kAhead ? rules::look_ahead_point(x, v[at], look) : x;
  });
}

template <bool kAhead>
__global__ void __launch_bounds__(kThreads)
    bound_pieces(Now now, const Piece* pieces, Column column, int v, int look_knob, bool averages) {
  if (stopped(now, true)) return;  // the same for all threads
  const Piece piece = pieces[blockIdx.x];
  const Ruled& ruled = column.ruled[piece.parameter];
  const int mine = static_cast<int>(threadIdx.x);
  const bool there = !piece.across || mine < static_cast<int>(piece.panels.rows);
  const float* const row = knobs_of(now);
  const float* const moments = kAhead ? ruled.slots[v] : nullptr;
  const float look = kAhead ? row[look_knob] : 0.0f;
  bound<kAhead>(piece, mine, there, column.w, moments, look);
  const float rate = averages ? row[kAverage] : 0.0f;
  const bool pulls = averages && row[kPull] != 0.0f;
  if (rate == 0.0f && !pulls) return;
  if (there) {
    over_column(piece, mine, [&](long at) {
      follow<kAhead>(ruled.average[at], column.w[at], kAhead ? moments[at] : 0.0f, look, rate,
                     pulls);
    });
  }
  if (pulls) bound<kAhead>(piece, mine, there, column.w, moments, look);
}

}  // namespace

void bound_columns(const Place& at, const Piece* pieces, int count, const Column& column, int v,
                   int look, bool averages) {
  const dim3 grid(static_cast<unsigned>(count)), block(kThreads);
  v >= 0
      ? start(at.stream, grid, block, bound_pieces<true>, at.now, pieces, column, v, look, averages)
      : start(at.stream, grid, block, bound_pieces<false>, at.now, pieces, column, v, look,
              averages);
}

}  // namespace steep::cuda
