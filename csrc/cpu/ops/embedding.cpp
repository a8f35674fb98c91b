// Rows of a table, copied where ids name them or added to their positions. The table's gradient is ../kernels/rows.cpp.
#include "ops/embedding.h"

#include "cpu/ops/call.h"

namespace steep::STEEP_ISA {

// What is no id of a row, in an array that was changed since it was looked at, gives NaN.
template <class T>
void run(const ops::Embedding& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T* const table = w.parameters[0];
  const Panels& lies = w.weight;
  for (long r = lo; r < hi; ++r) {
    const T* const ids = w.in[0].at(r);
    T* out = w.out.at(r);
    for (long p = 0; p < op.positions; ++p, out += op.units) {
      const double id = plain(ids[p]);
      const long row = id >= 0 && id < double(op.vocabulary) ? long(id) : -1;
      if (row < 0 || double(row) != id) {
        for (long c = 0; c < op.units; ++c) out[c] = T(__builtin_nan(""));
      } else if (w.narrow || row == op.padding) {
        for (long c = 0; c < op.units; ++c) {
          const T value = w.narrow ? table[lies.at(c, row)] : table[lies.at(row, c)];
          out[c] = row == op.padding ? T(plain(value)) : value;  // it is no parameter: not moved
        }
      } else {
        for (long c = 0; c < op.units; c += kPanel) {
          const long left = op.units - c, n = left < kPanel ? left : kPanel;
          __builtin_memcpy(out + c, table + lies.at(row, c), n * sizeof(T));
        }
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(Embedding)

template <class T>
void run(const ops::AddTable& op, const Work<T>& w, const Step<T>&, long lo, long hi) {
  const T* const table = w.parameters[0];
  const Panels& lies = w.weight;
  for (long r = lo; r < hi; ++r) {
    const T* x = w.in[0].at(r);
    T* out = w.out.at(r);
    for (long p = 0; p < op.positions; ++p, x += op.units, out += op.units) {
      if (w.narrow) {
        for (long c = 0; c < op.units; ++c) out[c] = x[c] + table[lies.at(c, p)];
        continue;
      }
      for (long c = 0; c < op.units; c += kPanel) {
        const long left = op.units - c, n = left < kPanel ? left : kPanel;
        const T* const row = table + lies.at(p, c);
#pragma GCC ivdep
        for (long j = 0; j < n; ++j) out[c + j] = x[c + j] + row[j];
      }
    }
  }
  clear_padding(w.out, lo, hi);
}
STEEP_CALL(AddTable)

}  // namespace steep::STEEP_ISA
