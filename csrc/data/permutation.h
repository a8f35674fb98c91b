// A random order of n samples as a pure function of (seed, epoch, position): nothing is stored, any
// position is found at once, so a run can go on from anywhere.
#pragma once
#include <cstdint>

#include "base/hd.h"

namespace steep {

// A six-round Feistel network over the smallest number of bits that holds n, walked
// until it lands inside n (Black and Rogaway 2002, "cycle walking": under 2 walks on average from
// n = 512 on).
class Permutation {
 public:
  STEEP_HD Permutation(uint64_t seed, uint64_t epoch, uint64_t n) : n_(n) {
    int bits = 10;  // fewer would leave the rounds too little to mix
    while (bits < 62 && (uint64_t{1} << bits) < n) ++bits;
    right_ = bits / 2;
    left_ = bits - right_;
    uint64_t state = seed * 0x9E3779B97F4A7C15u ^ (epoch + 1) * 0xD1B54A32D192ED03u;
    for (uint64_t& key : keys_) key = state = mix(state + 0x9E3779B97F4A7C15u);
  }

  STEEP_HD uint64_t operator()(uint64_t i) const {
    do i = scramble(i);
    while (i >= n_);
    return i;
  }

  // to[i] = (*this)(first + i). The rounds of one wait for each other, those of many side by side do not; what lands
  // outside of n walks on together.
  STEEP_HD void deal(uint64_t first, long count, long* to) const {
    constexpr long kTogether = 64;
    const Permutation own = *this;  // which `to` is no part of
    for (; count > 0; first += kTogether, to += kTogether, count -= kTogether) {
      uint64_t x[kTogether], place[kTogether];
      long left = count < kTogether ? count : kTogether;
      for (long i = 0; i < left; ++i) {
        x[i] = first + static_cast<uint64_t>(i);
        place[i] = static_cast<uint64_t>(i);
      }
      while (left > 0) {
        for (long i = 0; i < left; ++i) x[i] = own.scramble(x[i]);
        long outside = 0;
        for (long i = 0; i < left; ++i) {
          const uint64_t here = x[i], at = place[i];
          to[at] = static_cast<long>(here);
          x[outside] = here;
          place[outside] = at;
          outside += here >= own.n_;
        }
        left = outside;
      }
    }
  }

 private:
  STEEP_HD static uint64_t mix(
      uint64_t x) {  // finalizer of MurmurHash3, constants of Stafford's mix13
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }
  STEEP_HD static uint64_t round(uint64_t half, uint64_t key) {
    const uint64_t x = (half ^ key) * 0xBF58476D1CE4E5B9u;
    return (x ^ (x >> 29)) * 0x94D049BB133111EBu >> 32;
  }
  // Halves of left_ and right_ bits; each round changes one half by a function of the other.
  STEEP_HD uint64_t scramble(uint64_t i) const {
    const uint64_t left_mask = (uint64_t{1} << left_) - 1, right_mask = (uint64_t{1} << right_) - 1;
    uint64_t left = i >> right_, right = i & right_mask;
    for (int r = 0; r < kRounds; r += 2) {
      left ^= round(right, keys_[r]) & left_mask;
      right ^= round(left, keys_[r + 1]) & right_mask;
    }
    return left << right_ | right;
  }

  static constexpr int kRounds = 6;
  uint64_t n_;
  int left_, right_;
  uint64_t keys_[kRounds];
};

}  // namespace steep
