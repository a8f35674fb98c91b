// One Philox block gives two uniform numbers, or one normal pair.
#include "data/draws.h"

#include <cmath>

#include "base/philox.h"

namespace steep {

namespace {

struct Pair { double first, second; };

double unit(uint32_t high, uint32_t low) {
  return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

// The counter's last word keeps these draws apart from dropout's.
Pair draw(uint64_t seed, uint64_t stream, uint64_t index) {
  constexpr uint32_t kDomain = 0x494E4954;  // "INIT"
  const auto p = STEEP_ISA::philox(static_cast<uint32_t>(index), static_cast<uint32_t>(stream),
                                   static_cast<uint32_t>(stream >> 32), kDomain,
                                   static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return {unit(p.word[0], p.word[1]), unit(p.word[2], p.word[3])};
}

template <class F> void fill(long n, double* out, F&& pair) {
  for (long i = 0; i < n; i += 2) {
    const Pair p = pair(static_cast<uint64_t>(i / 2));
    out[i] = p.first;
    if (i + 1 < n) out[i + 1] = p.second;
  }
}

}  // namespace

void uniform(uint64_t seed, uint64_t stream, long n, double* out) {
  fill(n, out, [&](uint64_t i) { return draw(seed, stream, i); });
}

void normal(uint64_t seed, uint64_t stream, long n, double* out) {
  fill(n, out, [&](uint64_t i) -> Pair {
    const Pair u = draw(seed, stream, i);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - u.first));
    const double angle = 2.0 * 3.14159265358979323846 * u.second;
    return {radius * std::cos(angle), radius * std::sin(angle)};
  });
}

}  // namespace steep
