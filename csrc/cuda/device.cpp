// The GPU as a device: whether it is there, and what it makes.
#include <cstdlib>

#include "base/error.h"
#include "cuda/derivatives.h"
#include "cuda/device_memory.h"
#include "cuda/forward.h"
#include "cuda/full_batch.h"
#include "cuda/libraries/dnn.h"
#include "cuda/libraries/lt.h"

namespace steep {

namespace cuda {

namespace {

constexpr int kLeastDriver = 13000, kLeastMajor = 8;

void expect_float32(Format format) {
  if (format != Format::Float32) {
    refuse(
        "device=\"cuda\": networks are float32 there; use precision=\"float32\", or "
        "device=\"cpu\"");
  }
}

std::string chip(int major, int minor) { return text(major, ".", minor); }

class Cuda final : public Device {
 public:
  explicit Cuda(Products products) : products_(products) {}
  // Never destroyed: daemon threads outlive static objects.
  static const Cuda& of(Products products) {
    static const auto& exact = *new Cuda(Products::Exact);
    static const auto& tf32 = *new Cuda(Products::TF32);
    static const auto& bfloat16 = *new Cuda(Products::BFloat16);
    return products == Products::TF32 ? tf32 : products == Products::BFloat16 ? bfloat16 : exact;
  }
  const DeviceMemory* memory() const override {
    static const auto& memory = *new CudaMemory;
    return &memory;
  }
  Products products() const override { return products_; }
  const Device& multiplying(Products products) const override { return of(products); }
  std::shared_ptr<Store> store(std::shared_ptr<const Layout> layout, int columns) const override {
    expect_float32(layout->format);
    return std::make_shared<CudaStore>(std::move(layout), columns);
  }
  std::unique_ptr<Forward> forward(Program program, std::shared_ptr<Store> weights,
                                   long rows) const override {
    return std::make_unique<CudaForward>(std::move(program), typed(weights), rows, products_);
  }
  std::unique_ptr<Training> training(std::vector<Aim> aims, int scalars,
                                     std::shared_ptr<Store> weights) const override {
    if (aims[0].recipe.method) {
      return std::make_unique<CudaFullBatch>(std::move(aims), scalars, typed(weights), products_);
    }
    return std::make_unique<CudaTraining>(std::move(aims), scalars, typed(weights), products_);
  }
  std::unique_ptr<Tangent> tangent(Program program, std::shared_ptr<Store> weights,
                                   const Recipe& recipe) const override {
    return std::make_unique<CudaDerivatives>(std::move(program), typed(weights), recipe);
  }

 private:
  static std::shared_ptr<CudaStore> typed(const std::shared_ptr<Store>& store) {
    return std::static_pointer_cast<CudaStore>(store);
  }
  const Products products_;
};

}  // namespace

}  // namespace cuda

std::string cuda::status() {
  int version = 0, count = 0, major = 0, minor = 0;
  if (is_orphan()) return kOrphan;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) {
    return "no NVIDIA driver here (libcuda.so.1 was not found)";
  }
  if (version < kLeastDriver) {
    return text("the driver is for CUDA ", version / 1000, ".", version % 1000 / 10,
                ", 13.0 or newer is needed");
  }
  begin_use();
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (error != cudaSuccess && error != cudaErrorNoDevice) {
    return text("the driver does not answer: ", cudaGetErrorName(error), " (",
                cudaGetErrorString(error), ")");
  }
  if (error != cudaSuccess || count == 0) {
    const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return text("the driver sees no GPU",
                visible ? text(" (CUDA_VISIBLE_DEVICES=\"", visible, "\")") : "");
  }
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0) != cudaSuccess) {
    cudaGetLastError();
    return "the driver does not answer";
  }
  if (major < kLeastMajor) {
    return text("its compute capability is ", chip(major, minor), ", 8.0 or newer is needed");
  }
  return "";
}

std::string cuda::describe() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "the device");
  return text(properties.name, ", compute capability ", chip(properties.major, properties.minor),
              "; cuBLASLt: ", lt::describe(), "; cuDNN: ", dnn::describe());
}

const Device& cuda::device() {
  const std::string why = status();
  if (!why.empty()) throw std::runtime_error(text("device=\"cuda\": ", why));
  return Cuda::of(Products::Exact);
}

}  // namespace steep
