// Steps of the rows that have a gradient: the others, their slots and their decay are left alone.
#include <algorithm>
#include <iterator>

#include "cpu/update.h"

namespace steep {

static_assert(kPanel <= 64);

// The rows of a block with a gradient that is not 0; NaN counts. Of a matrix stored as W^T they are
// columns.
template <class T> uint64_t Update<T>::moving_rows(const GradTask<T>& task, const T* g) const {
  uint64_t rows = 0;
  const bool turned = ruled_[task.parameter].turned;
  for (long r = 0; r < task.rows; ++r) {
    for (long c = 0; c < task.columns; ++c) {
      if (g[r * task.columns + c] != 0) rows |= uint64_t{1} << (turned ? c : r);
    }
  }
  return rows;
}

// Blocks beside each other hold parts of the same rows, and stand beside each other among the tasks.
template <class T> bool Update<T>::sparse_step(std::size_t i, const UpdateArgs<T>& a) const {
  const GradTask<T>& task = plan_.tasks()[i];
  const Ruled<T>& r = ruled_[task.parameter];
  if (r.turned) return turned_step(task, a, sums_[i].rows);
  const std::size_t panels = static_cast<std::size_t>(r.panels);
  const std::size_t first = plan_.first_task(task.parameter);
  const std::size_t block = first + (i - first) / panels * panels;
  uint64_t rows = 0;
  for (std::size_t k = block; k < block + panels; ++k) rows |= sums_[k].rows;
  bool finite = true;
  for (long lo = 0; lo < task.rows; ++lo) {
    long hi = lo;
    while (hi < task.rows && (rows >> hi & 1) != 0) ++hi;
    if (hi == lo) continue;
    UpdateArgs<T> some = a;
    const long at = lo * task.columns;
    some.w += at;
    some.g += at;
    for (std::size_t k = 0; k < r.info->slots.size(); ++k) some.slots[k] += at;
    some.n = (hi - lo) * task.columns;
    finite &= k_.update[r.rule](some);
    lo = hi;
  }
  return finite;
}

// Rows that are columns here are not in one piece: a copy of all is stepped, and theirs comes back.
template <class T>
bool Update<T>::turned_step(const GradTask<T>& task, const UpdateArgs<T>& a, uint64_t rows) const {
  constexpr long kMost = kNarrow * kPanel;
  alignas(64) T copies[1 + kMaxSlots][kMost];
  UpdateArgs<T> copy = a;
  T* const own[] = {a.w, a.slots[0], a.slots[1], a.slots[2], a.slots[3]};
  static_assert(std::size(own) == 1 + kMaxSlots);
  const std::size_t columns = 1 + ruled_[task.parameter].info->slots.size();
  for (std::size_t k = 0; k < columns; ++k) {
    std::copy_n(own[k], task.size, copies[k]);
    k == 0 ? copy.w = copies[0] : copy.slots[k - 1] = copies[k];
  }
  const bool finite = k_.update[ruled_[task.parameter].rule](copy);
  for (std::size_t k = 0; k < columns; ++k) {
    for (long e = 0; e < task.size; ++e) {
      if ((rows >> (e % task.columns) & 1) != 0) own[k][e] = copies[k][e];
    }
  }
  return finite;
}

#define STEEP_SPARSE(T)                                                         \
  template uint64_t Update<T>::moving_rows(const GradTask<T>&, const T*) const; \
  template bool Update<T>::sparse_step(std::size_t, const UpdateArgs<T>&) const;
STEEP_SPARSE(float)
STEEP_SPARSE(double)
#undef STEEP_SPARSE

}  // namespace steep
