// Products and convolutions by NVIDIA's libraries, with the arguments of steep's own kernels: which of them an op
// goes by is decided when it is bound.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "cuda/kernels/images.h"
#include "cuda/runtime.h"

namespace steep::cuda {

// Memory of the functions of one stream, which run one after the other.
class Scratch {
 public:
  void want(std::size_t bytes) { wanted_ = bytes > wanted_ ? bytes : wanted_; }
  void allocate() { memory_ = Memory(wanted_); }
  std::byte* data() const { return memory_.data(); }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  std::size_t wanted_ = 0;
  Memory memory_;
};

// What a plan has for its ops, where libraries are on.
struct Aid {
  bool bfloat16;
  int capacity;          // rows
  Scratch here, beside;  // for the stream of the plan, and for the one beside it
  // Makes what is made once for so many rows: not while a graph is captured.
  std::vector<std::function<void(int)>> ready = {};
};

using Matmul = std::function<void(const Place&, const View& x, const Factor&, const float* bias,
                                  const Function&, const View& y, const View& z)>;
using MatmulGrad = std::function<void(const Place&, const View& dz, const Factor&, bool accumulate,
                                      const Function&, const View& stored, const View& dx)>;
using MatmulGradWeight = std::function<void(const Place&, const View& x, const View& dz,
                                            const Factor& dw, bool accumulate, float* db)>;
using Convolve = std::function<void(const Place&, const Kernel&, const float* bias, bool accumulate,
                                    const Function&, const View& x, const View& y, const View& z)>;
using KernelGradients = std::function<void(const Place&, const Kernel&, int images, const View& x,
                                           const View& dy, const View& parts)>;

// Steep's own without an aid, and where a library has nothing that fits.
Matmul matmul_by(Aid* aid, const View& x, const Factor& w, const float* bias, const Function& f,
                 const View& y, const View& z);
MatmulGrad matmul_grad_by(Aid* aid, const View& dz, const Factor& w, bool accumulate,
                          const Function& f, const View& dx, const View& stored);
MatmulGradWeight matmul_grad_weight_by(Aid* aid, bool beside, const View& x, const View& dz,
                                       const Factor& dw);
// From x to y through the window of the kernel, and back.
Convolve correlate_by(Aid* aid, const Kernel& k);
Convolve carry_back_by(Aid* aid, const Kernel& k);
// Whether all images are one sum.
bool kernel_gradients_at_once(const Aid* aid, bool depthwise);
KernelGradients kernel_gradients_by(Aid* aid, const Kernel& k);

}  // namespace steep::cuda
