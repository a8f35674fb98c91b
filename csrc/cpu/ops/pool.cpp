// Largest and mean of sliding windows over images, and their gradients.
#include "ops/pool.h"

#include <cstring>

#include "cpu/kernels/taps.h"
#include "cpu/ops/call.h"
#include "cpu/simd/lanes.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> constexpr int kWidest = 2 * Vec<T>::width;

// One window: its taps along both axes, and where its result lies.
struct Place {
  Taps rows, columns;
  long to;
  bool followed;  // are all its pixels and its result followed by another in their row?
};

template <class F> STEEP_HD void over_windows(const Window& w, F f) {
  Place at{};
  for (long i = 0; i < w.out[0]; ++i) {
    at.rows = taps_of_output(w, 0, i);
    for (long j = 0; j < w.out[1]; ++j, at.to += w.channels) {
      at.columns = taps_of_output(w, 1, j);
      const long next = at.columns.source + (at.columns.count - 1) * at.columns.move + 1;
      at.followed = next < w.in[1] && j + 1 < w.out[1];
      f(at);
    }
  }
}

// Calls f(Width<n>, c) for groups of n channels of one window.
template <class T, class F> STEEP_HD void over_groups(const Window& w, const Place& at, F f) {
  if (at.followed && w.channels % kLane)
    over_channels_and_on<kWidest<T>>(w.channels, f);
  else
    over_channels<kWidest<T>>(w.channels, f);
}

STEEP_HD Taps backwards(const Taps& t) {
  return {t.first + (t.count - 1) * t.step, -t.step, t.source + (t.count - 1) * t.move, -t.move,
          t.count};
}

// Calls f(offset) for the pixels of a window, row by row; after each row end_row().
template <class F, class G>
STEEP_HD void over_taps(const Window& w, const Taps& rows, const Taps& columns, F f, G end_row) {
  const long down = rows.move * w.in[1] * w.channels, right = columns.move * w.channels;
  long row = (rows.source * w.in[1] + columns.source) * w.channels;
  for (long a = 0; a < rows.count; ++a, row += down) {
    long pixel = row;
    for (long b = 0; b < columns.count; ++b, pixel += right) f(pixel);
    end_row();
  }
}

// From the last pixel of a window to the first, so that of equal ones, and of NaN, the first stays.
template <class L, class T>
STEEP_HD L largest(const Window& w, const Place& at, const T* x) {
  L top = L::all(-T(__builtin_huge_val())), nan = L::all(0);
  over_taps(
      w, backwards(at.rows), backwards(at.columns),
      [&](long pixel) {
        const L in = L::load(x + pixel);
        for (int i = 0; i < L::parts; ++i) {
          const auto v = in.part[i];
          top.part[i] = top.part[i] > v ? top.part[i] : v;  // a NaN may come and go: see nan
          nan.part[i] = v == v ? nan.part[i] : v;
        }
      },
      [] {});
  for (int i = 0; i < L::parts; ++i)
    top.part[i] = nan.part[i] == nan.part[i] ? top.part[i] : nan.part[i];
  return top;
}

template <class T> void max_pool(const Window& w, const T* x, T* y) {
  over_windows(w, [&](const Place& at) {
    over_groups<T>(w, at, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      largest<L>(w, at, x + c).store(y + at.to + c);
    });
  });
}

// Clears dx where needed; says whether windows add to it, or are the only ones to write a pixel.
template <class T> bool start_gradient(const Window& w, T* dx, bool accumulate) {
  bool apart = true, tiled = true;
  for (int axis = 0; axis < 2; ++axis) {
    apart = apart && w.stride[axis] > (w.kernel[axis] - 1) * w.dilation[axis];
    tiled = tiled && w.stride[axis] == w.kernel[axis] && w.dilation[axis] == 1 &&
            w.out[axis] * w.stride[axis] - w.before[axis] >= w.in[axis];
  }
  if (!accumulate && !tiled) std::memset(dx, 0, size_t(w.in[0] * w.in[1] * w.channels) * sizeof(T));
  return accumulate || !apart;
}

// dx(pixel) (+)= share(pixel) over the pixels of each window; begin(L, at, c) gives share.
template <bool add, class T, class Begin>
STEEP_HD void spread_into(const Window& w, T* dx, Begin begin) {
  over_windows(w, [&](Place at) {
    // A store that does not add may only run on into what is written later: with several groups,
    // not into the next pixel of the same window.
    if (!add && w.channels > kLane && at.columns.count > 1) at.followed = false;
    over_groups<T>(w, at, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      auto share = begin(L{}, at, c);
      over_taps(
          w, at.rows, at.columns,
          [&](long pixel) {
            T* const out = dx + pixel + c;
            const L part = share(pixel);
            (add ? L::load(out) + part : part).store(out);
          },
          [] {});
    });
  });
}

template <class T, class Begin>
STEEP_HD void spread(const Window& w, T* dx, bool accumulate, Begin begin) {
  if (start_gradient(w, dx, accumulate))
    spread_into<true>(w, dx, begin);
  else
    spread_into<false>(w, dx, begin);
}

// Moves the lanes of `rest` where a and b are the same to the result, and leaves 0 there.
template <class T, int n>
STEEP_HD Lanes<T, n> take_same(const Lanes<T, n>& a, const Lanes<T, n>& b, Lanes<T, n>& rest) {
  using L = Lanes<T, n>;
  using Bits = typename RegOf<typename BitsOf<T>::type, L::width>::type;
  using Reg = typename L::Reg;
  L taken;
  for (int i = 0; i < L::parts; ++i) {
    const Bits p = __builtin_bit_cast(Bits, a.part[i]), q = __builtin_bit_cast(Bits, b.part[i]);
    taken.part[i] = p == q ? rest.part[i] : Reg{};
    rest.part[i] = p == q ? Reg{} : rest.part[i];
  }
  return taken;
}

// y is a copy of the first largest element, so comparing bits finds it, NaN included.
template <class T>
void max_pool_grad(const Window& w, const T* x, const T* y, const T* dy, T* dx, bool accumulate) {
  spread(w, dx, accumulate, [&](auto lanes, const Place& at, long c) {
    using L = decltype(lanes);
    const L rest = present(L::load(dy + at.to + c), c, w.channels);
    return [=, from = x + c, top = L::load(y + at.to + c), rest = rest](long pixel) mutable {
      return take_same(L::load(from + pixel), top, rest);
    };
  });
}

template <class T> STEEP_HD T share_of(const Window& w, bool count_padding, const Place& at) {
  const long inside = at.rows.count * at.columns.count;
  const long pixels = count_padding ? w.kernel[0] * w.kernel[1] : inside;
  return pixels ? T(1) / T(pixels) : T(0);
}

// Summed row by row, so that rounding grows with height + width of a window.
template <class T> void avg_pool(const Window& w, bool count_padding, const T* x, T* y) {
  over_windows(w, [&](const Place& at) {
    const T share = share_of<T>(w, count_padding, at);
    over_groups<T>(w, at, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      L total = L::all(0), row = total;
      over_taps(
          w, at.rows, at.columns, [&](long pixel) { row = row + L::load(x + pixel + c); },
          [&] { total = total + row, row = L::all(0); });
      (total * L::all(share)).store(y + at.to + c);
    });
  });
}

template <class T>
void avg_pool_grad(const Window& w, bool count_padding, const T* dy, T* dx, bool accumulate) {
  spread(w, dx, accumulate, [&](auto lanes, const Place& at, long c) {
    using L = decltype(lanes);
    const L given = present(L::load(dy + at.to + c), c, w.channels);
    const L part = given * L::all(share_of<T>(w, count_padding, at));
    return [part](long) { return part; };
  });
}

}  // namespace

template <class T>
void run(const ops::MaxPool& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) max_pool(op.window, w.in[0].at(r), w.out.at(r));
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(MaxPool)

template <class T>
void run(const ops::MaxPoolGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r)
    max_pool_grad(op.window, w.in[0].at(r), w.in[1].at(r), w.in[2].at(r), w.out.at(r),
                  w.accumulate);
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(MaxPoolGrad)

template <class T>
void run(const ops::AvgPool& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) avg_pool(op.window, op.count_padding, w.in[0].at(r), w.out.at(r));
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(AvgPool)

template <class T>
void run(const ops::AvgPoolGrad& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r)
    avg_pool_grad(op.window, op.count_padding, w.in[0].at(r), w.out.at(r), w.accumulate);
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(AvgPoolGrad)

}  // namespace steep::STEEP_ISA
