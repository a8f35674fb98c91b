// Quotients by a number that the host knows: a product and a shift on the device, which has no division. Nothing
// else lives here.
#pragma once
#include <cstdint>

#include "base/hd.h"

namespace steep::cuda {

// x/by and x%by of 0 <= x < 2^31 (Granlund and Montgomery 1994, section 4).
class Divisor {
 public:
  explicit Divisor(long by = 1) : by_(static_cast<unsigned>(by)) {
    while ((1ULL << shift_) < by_) ++shift_;
    factor_ = static_cast<unsigned>((1ULL << 32) * ((1ULL << shift_) - by_) / by_ + 1);
  }
  struct Parts { int quotient, rest; };
  STEEP_HD Parts of(int x) const {
    const auto n = static_cast<unsigned>(x);
    const auto high = static_cast<unsigned>(static_cast<uint64_t>(n) * factor_ >> 32);
    const unsigned quotient = (high + n) >> shift_;
    return {static_cast<int>(quotient), static_cast<int>(n - quotient * by_)};
  }
  STEEP_HD int by() const { return static_cast<int>(by_); }

 private:
  unsigned by_, factor_ = 1, shift_ = 0;
};

}  // namespace steep::cuda
