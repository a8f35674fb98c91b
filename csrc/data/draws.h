// Random numbers for initial weights: pure functions of (seed, stream, index), in float64.
#pragma once
#include <cstdint>

namespace steep {

// Uniform on [0, 1) with 53 bits.
void uniform(uint64_t seed, uint64_t stream, long n, double* out);
// Standard normal (Box and Muller 1958).
void normal(uint64_t seed, uint64_t stream, long n, double* out);

}  // namespace steep
