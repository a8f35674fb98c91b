// The loops around the panel kernel that make a GEMM of plain arrays: cache blocks, packing, threads.
// Packed layouts of the networks call the panel kernel themselves.
#include <algorithm>
#include <cstring>

#include "base/memory.h"
#include "cpu.h"
#include "cpu/kernels.h"
#include "cpu/threads.h"

namespace steep {
namespace {

// A block of A (560 KB) and two panels of B (128 KB each) lie in a second-level cache of 1 MB.
constexpr long kRowBlock = 140, kDepthBlock = 1024, kColumnBlock = 4096;
// With fewer rows than this a panel of B is not read often enough to be worth copying; less often
// is enough where its rows fall into the same sets of the second-level cache.
constexpr long kPackRows = 160, kPackRowsFar = 64, kFarBytes = 8192;
// With fewer columns than this a block of A is not read often enough to be worth copying.
constexpr long kPackColumns = 256;
// Columns of B packed at a time.
constexpr long kGroup = 4 * kPanel;
// Multiply-adds that pay for waking one more thread: about 2 us of work.
constexpr long kThreadWork = 100000;

// Splits n into equal steps of at most `most`, each a multiple of `unit`.
long step(long n, long most, long unit) {
  return n <= most ? n : ceil_div(ceil_div(n, ceil_div(n, most)), unit) * unit;
}

// A fixed size is copied by a few moves, without a call.
template <class T>
void copy_row(T* to, const T* from, long columns) {
  if (columns == kPanel) {
    std::memcpy(to, from, kPanel * sizeof(T));
  } else {
    std::memcpy(to, from, columns * sizeof(T));
  }
}

template <class T>
struct Product {
  const Kernels<T>& kernels;
  bool a_transposed, b_transposed;
  long depth;
  const T* a;
  long lda;
  const T* b;
  long ldb;
  T* c;
  long ldc;
};

// One thread's rectangle of C and its scratch memory.
template <class T>
class Part {
 public:
  Part(const Product<T>& product, long row0, long row1, long column0, long column1)
      : p_(product), row0_(row0), row1_(row1), column0_(column0), column1_(column1),
        row_step_(step(row1 - row0, kRowBlock, 1)),
        column_step_(step(column1 - column0, kColumnBlock, kPanel)),
        depth_step_(step(product.depth, kDepthBlock, kLane)) {}

  // Elements of scratch memory that run() needs, a multiple of kLane.
  std::size_t scratch() const { return a_size() + edge_size() + b_size(); }

  void run(T* scratch) {
    a_copy_ = scratch;
    edge_ = a_copy_ + a_size();
    b_copy_ = edge_ + edge_size();
    for (long j = column0_; j < column1_; j += column_step_) {
      for (long k = 0; k < p_.depth; k += depth_step_) {
        depth0_ = k;
        depth1_ = std::min(k + depth_step_, p_.depth);
        for (long i = row0_; i < row1_; i += row_step_) {
          block(i, std::min(i + row_step_, row1_), j, std::min(j + column_step_, column1_));
        }
      }
    }
  }

 private:
  // More than one block of rows: every panel of B is kept for the next block.
  bool keep_panels() const { return row1_ - row0_ > row_step_; }
  bool copy_a() const { return column1_ - column0_ >= kPackColumns; }
  std::size_t a_size() const {
    if (!copy_a()) return 0;
    return p_.a_transposed ? depth_step_ * spread(row_step_) : row_step_ * spread(depth_step_);
  }
  std::size_t edge_size() const { return row_step_ * kPanel; }
  std::size_t b_size() const {
    return padded(keep_panels() ? column_step_ : std::min(kGroup, column1_ - column0_)) *
           padded(depth_step_);
  }

  void block(long row0, long row1, long column0, long column1) {
    GemmPanel<T> g{};
    g.a_transposed = p_.a_transposed;
    g.rows = row1 - row0;
    g.depth = depth1_ - depth0_;
    g.count = 1;
    g.accumulate = depth0_ > 0;
    place_a(g, row0);
    for (long first = column0; first < column1; first += kGroup) {
      const long last = std::min(first + kGroup, column1);
      T* const packed = b_copy_ + (keep_panels() ? (first - column0) * g.depth : 0);
      const long direct = b_in_place(first, last);
      if (row0 == row0_) pack_b(direct, last, packed + (direct - first) * g.depth);
      for (long column = first; column < last; column += kPanel) {
        g.columns = padded(std::min(kPanel, last - column));
        g.b = column < direct ? p_.b + depth0_ * p_.ldb + column
                              : packed + (column - first) * g.depth;
        g.ldb = column < direct ? p_.ldb : g.columns;
        panel(g, p_.c + row0 * p_.ldc + column, std::min(kPanel, last - column));
      }
    }
  }

  // A is read in place, or copied where it is read often: its own rows may share cache sets.
  void place_a(GemmPanel<T>& g, long row0) {
    const T* a = p_.a + (p_.a_transposed ? depth0_ * p_.lda + row0 : row0 * p_.lda + depth0_);
    g.a = a;
    g.lda = p_.lda;
    if (!copy_a()) return;
    const long lines = p_.a_transposed ? g.depth : g.rows;
    const long width = p_.a_transposed ? g.rows : g.depth;
    g.a = a_copy_;
    g.lda = spread(width);
    for (long i = 0; i < lines; ++i) {
      std::memcpy(a_copy_ + i * g.lda, a + i * p_.lda, width * sizeof(T));
    }
  }

  // Columns from `first` to the returned one are read in place: whole ones of B that few rows read.
  long b_in_place(long first, long last) const {
    const bool far = p_.ldb * sizeof(T) % kFarBytes == 0;
    const long enough = far ? kPackRowsFar : kPackRows;
    if (p_.b_transposed || row1_ - row0_ >= enough) return first;
    return (last - first) % kLane == 0 ? last : first + (last - first) / kPanel * kPanel;
  }

  // Packs columns [first, last) into panels, the last filled up with zeros. Rows of B are copied
  // over several panels at a time, as memory likes it.
  void pack_b(long first, long last, T* packed) {
    const long depth = depth1_ - depth0_;
    const auto panel = [&](long column) { return packed + (column - first) * depth; };
    const long rest = (last - first) % kPanel;
    if (rest % kLane != 0) std::fill_n(panel(last - rest), depth * padded(rest), T(0));
    if (p_.b_transposed) {
      for (long c = first; c < last; c += kPanel) {
        const long columns = std::min(kPanel, last - c);
        p_.kernels.transpose(p_.b + c * p_.ldb + depth0_, p_.ldb, panel(c), padded(columns),
                             columns, depth);
      }
      return;
    }
    for (long k = 0; k < depth; ++k) {
      const T* b = p_.b + (depth0_ + k) * p_.ldb;
      for (long c = first; c < last; c += kPanel) {
        const long columns = std::min(kPanel, last - c);
        copy_row(panel(c) + k * padded(columns), b + c, columns);
      }
    }
  }

  // The last columns, fewer than the kernel writes, go through a buffer.
  void panel(GemmPanel<T>& g, T* c, long columns) {
    if (columns == g.columns) {
      g.c = c;
      g.ldc = p_.ldc;
      p_.kernels.gemm_panel(g);
    } else {
      edge(g, c, columns);
    }
  }

  void edge(GemmPanel<T>& g, T* c, long columns) {
    g.c = edge_;
    g.ldc = g.columns;
    if (g.accumulate) {
      for (long r = 0; r < g.rows; ++r) {
        std::memcpy(edge_ + r * g.ldc, c + r * p_.ldc, columns * sizeof(T));
      }
    }
    p_.kernels.gemm_panel(g);
    for (long r = 0; r < g.rows; ++r) {
      std::memcpy(c + r * p_.ldc, edge_ + r * g.ldc, columns * sizeof(T));
    }
  }

  const Product<T>& p_;
  const long row0_, row1_, column0_, column1_;
  const long row_step_, column_step_, depth_step_;
  T *a_copy_ = nullptr, *edge_ = nullptr, *b_copy_ = nullptr;
  long depth0_ = 0, depth1_ = 0;
};

// How C is cut into parts: `down` rows of parts, `across` columns of parts.
struct Grid { long down, across; };

// The grid whose largest part takes least: its sums, and the copies of A and B that it makes.
Grid choose_grid(long m, long n, long threads) {
  constexpr double kCopyCost = 4;  // of one element, in multiply-adds
  Grid best{1, 1};
  double least = -1;
  for (long down = 1; down <= threads; ++down) {
    const long across = threads / down;
    const double rows = ceil_div(m, down), columns = ceil_div(ceil_div(n, kPanel), across) * kPanel;
    const double cost = rows * columns + kCopyCost * (rows + columns);
    if (least < 0 || cost < least) {
      least = cost;
      best = {down, across};
    }
  }
  return best;
}

// C = product.c of (m, n).
template <class T> void multiply(const Product<T>& product, long m, long n) {
  if (m <= 0 || n <= 0) return;
  if (product.depth <= 0) {
    for (long r = 0; r < m; ++r) std::fill_n(product.c + r * product.ldc, n, T(0));
    return;
  }
  const double cost = double(m) * n * product.depth;
  const double threads = threads_for(2.0 * cost);
  const double useful = std::clamp(cost / kThreadWork, 1.0, threads);
  const Grid grid = choose_grid(m, n, long(useful));
  const long parts = grid.down * grid.across;
  const long rows = ceil_div(m, grid.down);
  const long columns = ceil_div(ceil_div(n, kPanel), grid.across) * kPanel;

  const auto part = [&](long i) {
    const long row = std::min(i / grid.across * rows, m);
    const long column = std::min(i % grid.across * columns, n);
    return Part<T>(product, row, std::min(row + rows, m), column, std::min(column + columns, n));
  };

  static thread_local Block memory;
  std::size_t each = 0;  // elements of scratch memory
  for (long i = 0; i < parts; ++i) each = std::max(each, part(i).scratch());
  if (memory.bytes() < parts * each * sizeof(T)) memory = Block(parts * each * sizeof(T));
  T* const scratch = reinterpret_cast<T*>(memory.data());

  const auto job = [&](int thread, int members) {
    for (long i = thread; i < parts; i += members) part(i).run(scratch + i * each);
  };
  // One part goes through the pool too, which sets how denormals are treated.
  pool().run(static_cast<int>(parts), job);
}

}  // namespace

void cpu::gemm(Format format, long m, long n, long depth, const Matrix& a, const Matrix& b, void* c,
               long stride) {
  const auto of = [&]<class T>(T*) {
    multiply<T>({kernels<T>(), a.transposed, b.transposed, depth, static_cast<const T*>(a.data),
                 a.stride, static_cast<const T*>(b.data), b.stride, static_cast<T*>(c), stride},
                m, n);
  };
  return format == Format::Float64 ? of(static_cast<double*>(c)) : of(static_cast<float*>(c));
}

}  // namespace steep
