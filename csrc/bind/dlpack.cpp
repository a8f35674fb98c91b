// Arrays of the GPU in the form of DLPack, in and out; and what their numbers are called.
#include "bind/dlpack.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "bind/device_array.h"

namespace steep::bind {

namespace {

struct Kind {
  const char* name;
  Number number;
  dlpack::Code code;
};
constexpr std::array kKinds{Kind{"uint8", Number::UInt8, dlpack::kUInt},
                            Kind{"int8", Number::Int8, dlpack::kInt},
                            Kind{"uint16", Number::UInt16, dlpack::kUInt},
                            Kind{"int16", Number::Int16, dlpack::kInt},
                            Kind{"uint32", Number::UInt32, dlpack::kUInt},
                            Kind{"int32", Number::Int32, dlpack::kInt},
                            Kind{"uint64", Number::UInt64, dlpack::kUInt},
                            Kind{"int64", Number::Int64, dlpack::kInt},
                            Kind{"float16", Number::Float16, dlpack::kFloat},
                            Kind{"float32", Number::Float32, dlpack::kFloat},
                            Kind{"float64", Number::Float64, dlpack::kFloat},
                            Kind{"bfloat16", Number::BFloat16, dlpack::kBfloat}};

const Kind& kind_of(Number number) {
  return *std::find_if(kKinds.begin(), kKinds.end(),
                       [&](const Kind& k) { return k.number == number; });
}

Number number_of(dlpack::DataType type) {
  const bool truth = type.code == dlpack::kBool && type.bits == 8;
  for (const Kind& k : kKinds) {
    if (truth || (k.code == type.code && 8 * bytes_of(k.number) == type.bits)) {
      if (type.lanes == 1) return k.number;
    }
  }
  throw py::type_error(text("expects real numbers, got DLPack code ", int{type.code}, " of ",
                            int{type.bits}, " bits, ", type.lanes, " lanes"));
}

// The array that a tensor describes; `owner` calls the deleter.
DevicePtr taken(const dlpack::Tensor& of, py::object owner) {
  if (of.device.type != dlpack::kCuda && of.device.type != dlpack::kCudaManaged) {
    throw py::type_error(text("lies on a device of DLPack's type ", of.device.type, ", no GPU"));
  }
  if (of.device.number != 0) refuse("lies on GPU ", of.device.number, ", steep computes on GPU 0");
  const Number number = number_of(of.type);
  const std::vector<long> shape(of.shape, of.shape + of.ndim);
  std::optional<std::vector<long>> strides;
  if (of.strides != nullptr) {
    strides.emplace(of.strides, of.strides + of.ndim);
    for (long& stride : *strides) stride *= bytes_of(number);
  }
  const auto address = reinterpret_cast<std::uintptr_t>(of.data) + of.byte_offset;
  return std::make_shared<DeviceArray>(address, shape, strides, number, std::move(owner));
}

// From here on the capsule is used, and its tensor ours to delete.
template <class M> DevicePtr consume(const py::capsule& capsule) {
  auto* const managed = static_cast<M*>(PyCapsule_GetPointer(capsule.ptr(), M::kName));
  PyCapsule_SetName(capsule.ptr(), M::kUsed);
  PyCapsule_SetDestructor(capsule.ptr(), nullptr);
  const py::capsule owner(managed, [](void* p) {
    auto* const mine = static_cast<M*>(p);
    if (mine->deleter != nullptr) mine->deleter(mine);
  });
  if constexpr (requires { managed->version; }) {
    if (managed->version.major > 1) {
      throw py::buffer_error(text("DLPack ", managed->version.major, ".x, steep reads 1.x"));
    }
  }
  return taken(managed->tensor, owner);
}

// A tensor that a capsule has, with all it points at.
template <class M> struct Handed {
  M managed{};
  std::vector<int64_t> shape, strides;
  std::shared_ptr<std::byte> memory;
};

template <class M> py::capsule handed(const Elements& of, std::shared_ptr<std::byte> memory) {
  auto* const all = new Handed<M>;
  all->shape.assign(of.shape.begin(), of.shape.end());
  for (const long stride : of.strides) all->strides.push_back(stride / bytes_of(of.number));
  all->memory = std::move(memory);
  const auto bits = static_cast<uint8_t>(8 * bytes_of(of.number));
  all->managed.context = all;
  all->managed.deleter = [](M* m) { delete static_cast<Handed<M>*>(m->context); };
  all->managed.tensor = {all->memory.get(),
                         {dlpack::kCuda, 0},
                         static_cast<int32_t>(of.shape.size()),
                         {kind_of(of.number).code, bits, 1},
                         all->shape.data(),
                         all->strides.data(),
                         0};
  if constexpr (requires { all->managed.version; }) all->managed.version = {1, 0};
  PyObject* const made = PyCapsule_New(&all->managed, M::kName, [](PyObject* capsule) {
    if (!PyCapsule_IsValid(capsule, M::kName)) return;  // somebody took it
    auto* const m = static_cast<M*>(PyCapsule_GetPointer(capsule, M::kName));
    m->deleter(m);
  });
  if (made == nullptr) {
    delete all;
    throw py::error_already_set();
  }
  return py::reinterpret_steal<py::capsule>(made);
}

}  // namespace

Number number_named(const std::string& name) {
  if (name == "bool") return Number::UInt8;
  for (const Kind& k : kKinds) {
    if (name == k.name) return k.number;
  }
  throw py::type_error(text("expects real numbers, got dtype ", name));
}

const char* name_of(Number number) { return kind_of(number).name; }

DevicePtr DeviceArray::from_dlpack(const py::capsule& capsule) {
  using Old = dlpack::Managed;
  using New = dlpack::ManagedVersioned;
  if (PyCapsule_IsValid(capsule.ptr(), New::kName)) return consume<New>(capsule);
  if (PyCapsule_IsValid(capsule.ptr(), Old::kName)) return consume<Old>(capsule);
  throw py::buffer_error("__dlpack__ gave a capsule that is no tensor, or one already taken");
}

py::capsule DeviceArray::to_dlpack(bool versioned) const {
  if (!memory_) throw py::buffer_error("the memory is another's to hand over");
  return versioned ? handed<dlpack::ManagedVersioned>(elements_, memory_)
                   : handed<dlpack::Managed>(elements_, memory_);
}

}  // namespace steep::bind
