// Rows out of what the step before left, and rows to leave. The plan puts them there when a step is done.
#include "ops/kept.h"

#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

template <class T>
void run(const ops::KeptRows& op, const Work<T>& w, const Step<T>& s, long lo, long hi) {
  if (op.zeros || (op.restarts && s.batch == 0)) {
    for (long r = lo; r < hi; ++r) __builtin_memset(w.out.at(r), 0, w.out.width() * sizeof(T));
    return;
  }
  for (long r = lo; r < hi; ++r) {
    const T* const from = w.parameters[0] + (s.first + r) % op.rows * op.width;
    T* const to = w.out.at(r);
    for (long c = 0; c < op.width; ++c) to[c] = from[c];
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(KeptRows)

template <class T>
void run(const ops::KeepRows&, const Work<T>& w, const Step<T>&, long lo, long hi) {
  for (long r = lo; r < hi; ++r) {
    const T* const from = w.in[0].at(r);
    T* const to = w.out.at(r);
    for (long c = 0; c < w.out.columns; ++c) to[c] = from[c];
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(KeepRows)

}  // namespace steep::STEEP_ISA
