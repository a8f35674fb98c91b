// The CUDA backend of a build without CUDA: every answer says why.
#include "backend/cuda.h"

namespace steep {

std::string cuda_status() { return "this build of steep has no CUDA backend"; }

}  // namespace steep
