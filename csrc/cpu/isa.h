// The instruction sets usable here. Their kernels: kernels.h.
#pragma once
#include <string>
#include <vector>

namespace steep {

// From the least to the best, "baseline" (the portable C++), "avx2", "avx512": those that this
// processor and its operating system run and STEEP_MAX_ISA allows. The variable is read once; a wrong
// value raises std::invalid_argument here and in kernels().
std::vector<std::string> usable_isas();

}  // namespace steep
