// cuDNN: convolutions in three passes by its graph interface of version 9. Images are (image, height, width,
// channel), filters (filter, height, width, channel of a group), all dense.
#pragma once
#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "base/window.h"

namespace steep::cuda::dnn {

enum class Pass { kForward, kData, kWeights };

// y of x and w, dx of dy and w, or dw of x and dy. All three are bfloat16, or float32 that may be rounded to TF32;
// sums are float32.
struct Shape {
  Pass pass;
  bool bfloat16;
  long images, filters, groups;
  Window window;
};
struct Operands { void *x, *w, *y, *workspace; };

// The first engine that the library would choose, and that gives the same bytes every time.
class Plan {
 public:
  // Where a device is described, for that one, which need not be there: to be looked at and not run.
  explicit Plan(const Shape& shape, const std::string& device = "");
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  long engine() const { return engine_; }
  long workspace() const { return workspace_; }  // bytes
  void run(const Operands& of, cudaStream_t stream) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  long engine_ = -1, workspace_ = 0;
};
constexpr long kMostWorkspace = 128L << 20;

bool on();
std::string describe();

}  // namespace steep::cuda::dnn
