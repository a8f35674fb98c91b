// The CUDA device of a build without CUDA: every answer says why.
#include <stdexcept>

#include "executor.h"

namespace steep {

std::string cuda::status() {
  return "steep was built for the CPU only; pip install . -Csteep.cuda=on builds it for both";
}

std::string cuda::describe() { return ""; }

const Device& cuda::device() { throw std::runtime_error(status()); }

std::vector<std::string> cuda::lacks() { return {}; }

}  // namespace steep
