// The CUDA backend of a build without CUDA: every answer says why.
#include "executor.h"

namespace steep {

std::string cuda_status() {
  return "steep was built for the CPU only, this version has no CUDA backend";
}

}  // namespace steep
