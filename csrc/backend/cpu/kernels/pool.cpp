// Largest and mean of sliding windows over one image, and their gradients. Threads are in ../pool.cpp.
#include <cstring>

#include "backend/cpu/kernels/fill.h"
#include "backend/cpu/kernels/lanes.h"
#include "backend/cpu/kernels/taps.h"

namespace steep::STEEP_ISA {
namespace {

template <class T> constexpr int kWidest = 2 * Vec<T>::width;

// Calls f(rows, columns, from, to): the taps of one window, where its first pixel lies and where its
// result.
template <class F> STEEP_HD void over_windows(const Window& w, F f) {
  long to = 0;
  for (long i = 0; i < w.out[0]; ++i) {
    const Taps rows = taps_of_output(w, 0, i);
    for (long j = 0; j < w.out[1]; ++j, to += w.channels) {
      const Taps columns = taps_of_output(w, 1, j);
      f(rows, columns, (rows.source * w.in[1] + columns.source) * w.channels, to);
    }
  }
}

// Calls f(offset) for every pixel of a window, row by row; after each row end_row().
template <class F, class G>
STEEP_HD void over_taps(const Window& w, const Taps& rows, const Taps& columns, long from, F f,
                        G end_row) {
  const long down = rows.move * w.in[1] * w.channels, right = columns.move * w.channels;
  for (long a = 0; a < rows.count; ++a, from += down) {
    long at = from;
    for (long b = 0; b < columns.count; ++b, at += right) f(at);
    end_row();
  }
}

// b, unless a is larger or NaN. Of equal ones, and of two NaN, b stays: the first.
template <class T, int n> STEEP_HD Lanes<T, n> larger(const Lanes<T, n>& a, Lanes<T, n> b) {
  for (int i = 0; i < Lanes<T, n>::parts; ++i) {
    const auto v = a.part[i];
    const auto top = v > b.part[i] ? v : b.part[i];
    b.part[i] = v == v || b.part[i] != b.part[i] ? top : v;
  }
  return b;
}

template <class T> void max_pool(const Window& w, const T* x, T* y) {
  over_windows(w, [&](const Taps& rows, const Taps& columns, long from, long to) {
    over_channels<kWidest<T>>(w.channels, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      L top = L::all(-T(__builtin_huge_val()));
      over_taps(
          w, rows, columns, from + c, [&](long at) { top = larger(L::load(x + at), top); }, [] {});
      top.store(y + to + c);
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

// dx(at) (+)= share(at) over the pixels of each window; begin(L, rows, columns, to) gives share.
template <bool add, class T, class Begin>
STEEP_HD void spread_into(const Window& w, T* dx, Begin begin) {
  over_windows(w, [&](const Taps& rows, const Taps& columns, long from, long to) {
    over_channels<kWidest<T>>(w.channels, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      auto share = begin(L{}, rows, columns, to + c);
      over_taps(
          w, rows, columns, from + c,
          [&](long at) {
            const L part = share(at);
            (add ? L::load(dx + at) + part : part).store(dx + at);
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
  spread(w, dx, accumulate, [=](auto lanes, const Taps&, const Taps&, long to) {
    using L = decltype(lanes);
    return [=, top = L::load(y + to), rest = L::load(dy + to)](long at) mutable {
      return take_same(L::load(x + at), top, rest);
    };
  });
}

template <class T>
STEEP_HD T share_of(const Window& w, bool count_padding, const Taps& rows, const Taps& columns) {
  const long inside = rows.count * columns.count;
  const long pixels = count_padding ? w.kernel[0] * w.kernel[1] : inside;
  return pixels ? T(1) / T(pixels) : T(0);
}

// Summed row by row, so that rounding grows with height + width of a window.
template <class T> void avg_pool(const Window& w, bool count_padding, const T* x, T* y) {
  over_windows(w, [&](const Taps& rows, const Taps& columns, long from, long to) {
    const T share = share_of<T>(w, count_padding, rows, columns);
    over_channels<kWidest<T>>(w.channels, [&](auto width, long c) {
      using L = Lanes<T, decltype(width)::value>;
      L total = L::all(0), row = total;
      over_taps(
          w, rows, columns, from + c, [&](long at) { row = row + L::load(x + at); },
          [&] { total = total + row, row = L::all(0); });
      (total * L::all(share)).store(y + to + c);
    });
  });
}

template <class T>
void avg_pool_grad(const Window& w, bool count_padding, const T* dy, T* dx, bool accumulate) {
  spread(w, dx, accumulate, [&](auto lanes, const Taps& rows, const Taps& columns, long to) {
    using L = decltype(lanes);
    const L part = L::load(dy + to) * L::all(share_of<T>(w, count_padding, rows, columns));
    return [part](long) { return part; };
  });
}

}  // namespace

template <class T> void fill_pools(Kernels<T>& table) {
  table.max_pool = max_pool<T>;
  table.max_pool_grad = max_pool_grad<T>;
  table.avg_pool = avg_pool<T>;
  table.avg_pool_grad = avg_pool_grad<T>;
}

STEEP_FILL(fill_pools)

}  // namespace steep::STEEP_ISA
