// The structs of DLPack 1.1 that arrays are handed over in; https://dmlc.github.io/dlpack/latest/c_api.html
#pragma once
#include <cstdint>

namespace steep::bind::dlpack {

enum DeviceType : int32_t { kCuda = 2, kCudaManaged = 13 };
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

struct Device { int32_t type, number; };
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType type;
  int64_t *shape, *strides;  // elements; null strides are those of C order
  uint64_t byte_offset;
};
struct Managed {
  static constexpr const char *kName = "dltensor", *kUsed = "used_dltensor";
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct Version { uint32_t major, minor; };
struct ManagedVersioned {
  static constexpr const char *kName = "dltensor_versioned", *kUsed = "used_dltensor_versioned";
  Version version;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Tensor tensor;
};

}  // namespace steep::bind::dlpack
