// Gradient tasks: cuts parameters into blocks and sums their gradients.
#include <algorithm>

#include "base/dual.h"
#include "base/prefetch.h"
#include "cpu/plan.h"

namespace steep {

namespace {

static_assert(kBlockRows * kPanel <= kLargestTask && kBlockColumns <= kLargestTask);
// Rows of x and dy that are read again from cache for every tile of a block.
constexpr long kSamples = 256;

}  // namespace

// Neighbouring tasks share their columns of x, so that threads, who take contiguous shares, need few
// of each other's rows, and the block of x stays in cache while the panels of dy pass.
template <class T> void Plan<T>::bind_tasks() {
  const auto& slices = weights_->layout().slices;
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    const Slice& s = slices[p];
    first_tasks_.push_back(tasks_.size());
    if (program_.trains.empty() || !program_.trains[p]) continue;
    const long length = s.matrix ? s.rows : padded(s.columns);
    const long each = !s.matrix ? kBlockColumns : program_.repeats ? kLowRows : kBlockRows;
    for (long lo = 0; lo < length; lo += each) {
      for (long panel = 0; panel < (s.matrix ? s.panels().count() : 1); ++panel) {
        add_task(static_cast<int>(p), panel, lo, std::min(each, length - lo));
      }
    }
  }
  first_tasks_.push_back(tasks_.size());
}

template <class T> void Plan<T>::add_task(int parameter, long panel, long lo, long length) {
  const Slice& s = weights_->layout().slices[parameter];
  GradTask<T> task;
  task.parameter = parameter;
  if (s.matrix) {
    task.columns = s.panels().width(panel);
    task.present = s.panels().present(panel);
    task.rows = length;
    task.offset = s.offset + s.panels().offset(panel) + lo * task.columns;
  } else {
    task.rows = 1;
    task.columns = task.present = length;
    task.offset = s.offset + lo;
  }
  task.size = task.rows * task.columns;
  for (const GradTerm& t : program_.terms[parameter]) {
    const bool partial = t.form == GradTerm::Form::Partial;
    // Outer: rows of the block come from x, columns from dy; of W^T the other way round.
    const bool scatter = t.form == GradTerm::Form::Scatter;
    const bool turned = s.narrow && !partial && !scatter;
    const int left = turned ? t.dy : t.x, right = turned ? t.x : t.dy;
    const Stride &left_at = turned ? t.dy_at : t.x_at, &right_at = turned ? t.x_at : t.dy_at;
    const Tensor& of = program_.tensors[right];
    const long half = t.second_half ? of.width / 2 : 0;
    if (scatter) {  // rows of the table are the block's rows or, of W^T, its columns
      const long columns = s.narrow ? lo : panel * kPanel, ids = s.narrow ? panel * kPanel : lo;
      task.terms.push_back({t.form, left < 0 ? nullptr : buffers_[left],
                            left < 0 ? 0 : strides_[left], buffers_[right] + columns,
                            strides_[right], of.samples, t.positions, 1, of.width / t.positions,
                            false, nullptr, 0, ids, t.skipped, s.narrow});
      continue;
    }
    const long column = partial ? task.offset - s.offset : s.matrix ? panel * kPanel : lo + half;
    const auto each = [&](const Stride& at, int tensor) {
      return at.each > 0 ? at.each : program_.tensors[tensor].width / t.positions;
    };
    task.terms.push_back(
        {t.form, left < 0 ? nullptr : buffers_[left] + left_at.first + lo,
         left < 0 ? 0 : strides_[left], buffers_[right] + right_at.first + column, strides_[right],
         of.samples, t.positions, left < 0 ? 0 : each(left_at, left), each(right_at, right),
         t.form == GradTerm::Form::Outer && (left_at.any() || right_at.any()),
         t.lengths < 0 ? nullptr : buffers_[t.lengths], t.lengths < 0 ? 0 : strides_[t.lengths]});
  }
  tasks_.push_back(std::move(task));
}

// Rows [lo, hi) of a matrix block, over samples [first, first + rows).
template <class T>
void Plan<T>::outer(const GradTask<T>& task, const Term<T>& term, long lo, long hi, long first,
                    long rows, T* g, bool accumulate) const {
  k_.gemm_panel({.a = term.left + first * term.ld_left + lo,
                 .lda = term.ld_left,
                 .a_transposed = true,
                 .b = term.right + first * term.ld_right,
                 .ldb = term.ld_right,
                 .c = g + lo * task.columns,
                 .ldc = task.columns,
                 .rows = hi - lo,
                 .columns = task.columns,
                 .depth = rows,
                 .accumulate = accumulate});
}

// How many positions of a sample count.
template <class T> long counted(const Term<T>& term, long r) {
  const double n = portable::plain(term.lengths[r * term.ld_lengths]);
  return std::clamp(static_cast<long>(n), 0L, term.positions);
}

// The whole block, over the positions of all samples: those of few in one sum, of many a stretch at a
// time. Columns of its padding saw the numbers of the next position.
template <class T>
void Plan<T>::outer_positions(const GradTask<T>& task, const Term<T>& term, long rows, T* g,
                              bool accumulate) const {
  const bool dense = term.lengths == nullptr;  // or each sample has as many as it says
  const long together = dense ? std::max(1L, kSamples / term.positions) : 1;
  const long stretch = std::min(kSamples, term.positions);
  long left[kSamples], right[kSamples];
  for (long i = 0; i < together; ++i) {
    left[i] = i * term.ld_left;
    right[i] = i * term.ld_right;
  }
  for (long r = 0; r < rows; r += together) {
    const long count = dense ? term.positions : counted(term, r);
    for (long p = 0; p < count; p += stretch) {
      k_.gemm_panel({.a = term.left + r * term.ld_left + p * term.left_width,
                     .lda = term.left_width,
                     .a_transposed = true,
                     .b = term.right + r * term.ld_right + p * term.right_width,
                     .ldb = term.right_width,
                     .c = g,
                     .ldc = task.columns,
                     .rows = task.rows,
                     .columns = task.columns,
                     .depth = std::min(stretch, count - p),
                     .count = std::min(together, rows - r),
                     .a_offsets = left,
                     .b_offsets = right,
                     .accumulate = accumulate});
      accumulate = true;
    }
  }
  if (!accumulate) std::fill_n(g, task.size, T(0));  // none of them has any
  for (long r = 0; r < task.rows && task.present < task.columns; ++r) {
    std::fill(g + r * task.columns + task.present, g + (r + 1) * task.columns, T(0));
  }
}

// Of the rows of a table that the samples name.
template <class T>
bool Plan<T>::scatter(const GradTask<T>& task, const Term<T>& term, long rows, T* g) const {
  return k_.scatter({.ids = term.left,
                     .ld_ids = term.ld_left,
                     .dy = term.right,
                     .ld_dy = term.ld_right,
                     .samples = rows,
                     .positions = term.positions,
                     .width = term.right_width,
                     .first = term.first,
                     .count = term.turned ? task.present : task.rows,
                     .skipped = term.skipped,
                     .turned = term.turned,
                     .g = g,
                     .ldg = task.columns,
                     .columns = term.turned ? task.rows : task.present});
}

// One of its callers calls it for every block of every step.
template <class T>
[[gnu::always_inline]] inline bool Plan<T>::sum_terms(const GradTask<T>& task, long rows, T* g,
                                                      bool accumulate, int columns,
                                                      T* const* blocks) const {
  bool touched = task.terms.empty();
  for (const Term<T>& term : task.terms) {
    if (term.form == GradTerm::Form::Scatter) {
      if (!accumulate) std::fill_n(g, task.size, T(0));
      const bool some = scatter(task, term, rows, g);
      if (some && columns > 0) {
        prefetch(task, 0, task.rows, columns, blocks);
        columns = 0;
      }
      touched |= some;
      accumulate = true;
      continue;
    }
    touched = true;
    if (term.form == GradTerm::Form::Partial) {
      const long groups = term.samples == kAllSamples ? 1 : ceil_div(rows, term.samples);
      k_.column_sum(term.right, term.ld_right, nullptr, 0, groups, task.size, g, accumulate);
      accumulate = true;
      continue;
    }
    if (term.positions > 1 || term.part) {
      if (columns > 0) prefetch(task, 0, task.rows, columns, blocks);
      columns = 0;
      outer_positions(task, term, rows, g, accumulate);
      accumulate = true;
      continue;
    }
    for (long r = 0; r < rows; r += kSamples) {
      const long n = std::min(kSamples, rows - r);
      if (term.form == GradTerm::Form::Outer) {
        // One register tile after the other, and between them a share of the lines to come.
        const long tiles = columns > 0 ? (task.rows + k_.tile_rows - 1) / k_.tile_rows : 1;
        for (long t = 0; t < tiles; ++t) {
          const long lo = task.rows * t / tiles, hi = task.rows * (t + 1) / tiles;
          prefetch(task, lo, hi, columns, blocks);
          outer(task, term, lo, hi, r, n, g, accumulate);
        }
        columns = 0;
      } else {
        const T* left = term.left == nullptr ? nullptr : term.left + r * term.ld_left;
        k_.column_sum(term.right + r * term.ld_right, term.ld_right, left, term.ld_left, n,
                      task.columns, g, accumulate);
      }
      accumulate = true;
    }
  }
  return touched;
}

template <class T>
bool Plan<T>::gradient(const GradTask<T>& task, long rows, T* g, int columns,
                       T* const* blocks) const {
  if (task.terms.empty()) std::fill_n(g, task.size, T(0));
  return sum_terms(task, rows, g, false, columns, blocks);
}

template <class T>
void Plan<T>::add_gradient(const GradTask<T>& task, long rows, T* g) const {
  sum_terms(task, rows, g, true, 0, nullptr);
}

template <class T>
void Plan<T>::prefetch(const GradTask<T>& task, long lo, long hi, int columns,
                       T* const* blocks) const {
  constexpr long kLine = kCacheLine / static_cast<long>(sizeof(T));
  const long first = lo * task.columns, last = hi * task.columns;
  for (int c = 0; c < columns; ++c) {
    for (long i = first; i < last; i += kLine) {
      // Other threads have read the weights of the first column; slots are this thread's alone.
      c == 0 ? prefetch_write(blocks[c] + i) : prefetch_read(blocks[c] + i);
    }
  }
}

#define STEEP_GRADIENT(T)                                                              \
  template void Plan<T>::bind_tasks();                                                 \
  template void Plan<T>::add_task(int, long, long, long);                              \
  template bool Plan<T>::gradient(const GradTask<T>&, long, T*, int, T* const*) const; \
  template void Plan<T>::add_gradient(const GradTask<T>&, long, T*) const;
STEEP_GRADIENT(float)
STEEP_GRADIENT(double)
STEEP_GRADIENT(portable::Dual)
#undef STEEP_GRADIENT

}  // namespace steep
