// The loop over elements of ops that draw, for numbers of any kind. No kernel of an op lives here.
#pragma once
#include <type_traits>

#include "base/box_muller.h"
#include "cuda/kernels/drawn.cuh"
#include "cuda/kernels/each.cuh"

namespace steep::cuda {

template <class T> struct NormalNumber {
  T n;
};  // no word: what a value is asked of says what it wants

// into(r, c, value(word, r, c)), four columns and one Philox block a thread; or of a normal number of type T, of
// the words of a column and its neighbour.
template <class T, class Value, class Into> struct FourDrawn {
  Now now;
  Drawn drawn;
  int columns;
  Value value;
  Into into;
  __device__ __forceinline__ void operator()(int r, int quad) const {
    const Philox4 bits = words_of(drawn, row_of(now), r, quad);
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
      if constexpr (std::is_invocable_v<Value, uint32_t, int, int>) {
        write(bits.word[j], r, 4 * quad + j);
        write(bits.word[j + 1], r, 4 * quad + j + 1);
      } else {
        const NormalPair<T> pair = normal_pair<T>(bits.word[j], bits.word[j + 1]);
        write(NormalNumber<T>{pair.first}, r, 4 * quad + j);
        write(NormalNumber<T>{pair.second}, r, 4 * quad + j + 1);
      }
    }
  }
  template <class Number> __device__ __forceinline__ void write(Number n, int r, int c) const {
    if (c < columns) into(r, c, value(n, r, c));
  }
};
template <class T, class Value, class Into>
void each_drawn(const Place& at, const Drawn& drawn, int columns, const Value& value,
                const Into& into) {
  each(at, (columns + 3) / 4, FourDrawn<T, Value, Into>{at.now, drawn, columns, value, into});
}

}  // namespace steep::cuda
