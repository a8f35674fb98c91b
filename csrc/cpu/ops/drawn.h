// The random words of the ops that draw: a function of seed, step, op, row and column, found again
// wherever they are needed, so that none is stored. No op lives here.
#pragma once
#include "base/box_muller.h"
#include "base/dual.h"
#include "cpu/kernels/each.h"
#include "cpu/simd/philox.h"
#include "cpu/work.h"

namespace steep::STEEP_ISA {

// Where an op's words come from: a key of the seed and of `counter`, the op's own stream, and the sample
// in row 0.
struct Words {
  uint64_t seed, counter;
  uint32_t stream;
  long first;
};

constexpr long kDrawn = 256;  // words drawn at once

// Of the blocks of row r.
STEEP_HD Counter counter_of(const Words& of, long r) {
  const uint64_t key = of.seed ^ (of.counter + 1) * 0x9E3779B97F4A7C15u;
  const uint64_t row = uint64_t(of.first + r);
  return {uint32_t(row), uint32_t(row >> 32), of.stream, uint32_t(key), uint32_t(key >> 32)};
}

// part(words, r, c, columns) for stretches of columns of rows [lo, hi): the word of (r, c) is lane c%4 of
// the Philox4x32-10 block at {c/4, first + r, stream}.
template <class Part>
STEEP_HD void over_words(const Words& of, long width, long lo, long hi, Part part) {
  for (long r = lo; r < hi; ++r) {
    const Counter counter = counter_of(of, r);
    for (long c = 0; c < width; c += kDrawn) {
      const long columns = width - c < kDrawn ? width - c : kDrawn;
      uint32_t word[kDrawn + 4 * kBlocks];
      philox_blocks(counter, uint32_t(c / 4), columns / 4, word);
      part(word, r, c, columns);
    }
  }
}

// out(r, c) (+)= value(word, r, c)
template <class T, class Value>
STEEP_HD void each_drawn(const View<T>& out, bool accumulate, const Words& of, long lo, long hi,
                         Value value) {
  over_words(of, out.width(), lo, hi, [&](const uint32_t* word, long r, long c, long columns) {
    each(out.at(r) + c, 0, 1, columns, accumulate,
         [&](long, long k) { return value(word[k], r, c + k); });
  });
}

// What is drawn has no derivative.
template <class T> struct DrawnIn { using type = T; };
template <> struct DrawnIn<Dual> { using type = double; };

// out(r, c) (+)= value(n, r, c), n ~ N(0, 1) of the words of c and of its neighbour.
template <class T, class Value>
STEEP_HD void each_normal(const View<T>& out, bool accumulate, const Words& of, long lo, long hi,
                          Value value) {
  using Number = typename DrawnIn<T>::type;
  over_words(of, out.width(), lo, hi, [&](const uint32_t* word, long r, long c, long columns) {
    Number normal[kDrawn];
    for (long k = 0; k < columns / 2; ++k) {
      const NormalPair<Number> pair = normal_pair<Number>(word[2 * k], word[2 * k + 1]);
      normal[2 * k] = pair.first;
      normal[2 * k + 1] = pair.second;
    }
    each(out.at(r) + c, 0, 1, columns, accumulate,
         [&](long, long k) { return value(T(normal[k]), r, c + k); });
  });
}

}  // namespace steep::STEEP_ISA
