// The kernels of word embeddings, once per instruction set, apart from those of networks. Only declarations
// live here.
#pragma once
#include <cstdint>

#include "base/panels.h"

namespace steep {

// Pairs of skip-gram, one after the other: rows of two tables, `width` elements apart, a multiple of kLane. The
// first of the targets is the word that is there, others were drawn; those equal to it count for nothing.
template <class T> struct SkipGramPairs {
  T* inputs;
  T* outputs;
  long width;
  const int32_t* input;   // (pairs)
  const int32_t* target;  // (pairs, each)
  long pairs, each;
  T lr;
  T* scratch;  // skip_gram_scratch() of them
};
constexpr long skip_gram_scratch(long pairs, long each) {
  return pairs * each + kLane + padded(each) + each * kLane;
}

constexpr long kMoreBlocks = 7;  // of random words that may be written behind those asked for

template <class T> struct WordKernels {
  // A step of gradient descent for each pair; the sum of their losses, each before its step.
  double (*skip_gram)(const SkipGramPairs<T>&);
  // Four random words each of the blocks from `first` on.
  void (*random_words)(uint64_t seed, uint64_t row, uint32_t stream, uint32_t first, long blocks,
                       uint32_t* words);
};

// Of the instruction set that kernels<T>() has; of float and double.
template <class T> const WordKernels<T>& word_kernels();

}  // namespace steep
