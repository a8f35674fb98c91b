// Arrays in the memory of the GPU: views of others', and our own for others. Whoever reads one holds it.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/batcher.h"
#include "device_memory.h"

namespace steep::bind {

namespace py = pybind11;

class DeviceArray {
 public:
  // A view of what `owner` keeps alive. Without strides (in bytes) it is in C order. Refuses addresses that are
  // not of device 0.
  DeviceArray(std::uintptr_t address, std::vector<long> shape,
              const std::optional<std::vector<long>>& strides, Number number, py::object owner);
  // Our own, dense, to be handed over.
  DeviceArray(std::vector<long> shape, Number number)
      : DeviceArray(std::move(shape), number, &DeviceMemory::reserve) {}
  // Takes what a capsule has of DLPack.
  static std::shared_ptr<DeviceArray> from_dlpack(const py::capsule& capsule);
  // Hands our own memory over in a capsule; of version 1 or of before.
  py::capsule to_dlpack(bool versioned) const;

  const std::vector<long>& shape() const { return elements_.shape; }
  const std::vector<long>& strides() const { return elements_.strides; }
  Number number() const { return elements_.number; }
  long size() const { return elements_.size(); }
  std::byte* data() const { return const_cast<std::byte*>(elements_.data); }
  const std::shared_ptr<std::byte>& memory() const {
    return memory_;
  }  // null where it is another's
  bool whole() const { return is_whole(number()); }

  // Samples of the first axis. Refuses numbers that the core does not read.
  Source source() const;
  // Dense copies: there, of the same numbers or as float32 or int32; and on the host.
  std::shared_ptr<DeviceArray> copy(Number number) const;
  std::shared_ptr<DeviceArray> labels() const;  // int32, and read by us alone
  py::array numpy() const;
  // The same numbers in another shape, in place if they are dense.
  std::shared_ptr<DeviceArray> reshape(std::vector<long> shape) const;
  double value(long index) const;  // in C order
  long first_unwanted(const Wanted& wanted) const;
  long first_unwanted_sum(double low, double high) const;

 private:
  using Reserve = std::shared_ptr<std::byte> (DeviceMemory::*)(long) const;
  DeviceArray(std::vector<long> shape, Number number, Reserve reserve);
  void copy_into(DeviceArray& to) const;
  void check() const;
  bool dense() const;

  Elements elements_;
  py::object owner_;
  std::shared_ptr<std::byte> memory_;
};
using DevicePtr = std::shared_ptr<DeviceArray>;

const DeviceMemory& device_memory();
Number number_named(const std::string& name);
const char* name_of(Number number);
// Copies what others have on the device, so that they may write over it.
void make_own(Dataset& data);
void bind_device_array(py::module_& m);

}  // namespace steep::bind
