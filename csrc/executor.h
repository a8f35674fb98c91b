// What the rest of the core may ask of the CUDA backend, present or not.
#pragma once
#include <string>

namespace steep {

// "" when CUDA can be used, else why not and what to do.
std::string cuda_status();

}  // namespace steep
