// The door to the memory of a device that has one of its own: looking at arrays of others that lie there,
// and making some for them. Whose they are, and by which protocol they come, is Python's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "base/number.h"

namespace steep {

// Numbers in the memory of a device, any strides.
struct Elements {
  const std::byte* data;
  Number number;
  std::vector<long> shape, strides;  // strides in bytes

  long size() const {
    long size = 1;
    for (const long n : shape) size *= n;
    return size;
  }
};

// What each number is to be: from low to high and, if asked for, whole; or a certain other one.
struct Wanted {
  double low, high;
  bool whole = false;
  double besides = std::numeric_limits<double>::quiet_NaN();  // equal to none
};

// Every call is complete when it returns. For any thread.
class DeviceMemory {
 public:
  static constexpr int kHost = -1;
  static constexpr long kNone = -1;

  virtual ~DeviceMemory() = default;
  // The stream on which whoever hands an array over lets us see what was written to it.
  virtual std::uintptr_t stream() const = 0;
  // Waits for a stream: 1 the default one, 2 that of the thread, 0 for all of the device.
  virtual void wait(std::uintptr_t stream) const = 0;
  // Number of the device that has an address, or kHost.
  virtual int owner(const void* address) const = 0;
  // To be handed over; or, to be read by us alone, a block that may have been in use before.
  virtual std::shared_ptr<std::byte> reserve(long bytes) const = 0;
  virtual std::shared_ptr<std::byte> borrow(long bytes) const = 0;
  // A dense copy in C order, on the device: as the numbers are, or as float32 or int32.
  virtual void copy(const Elements& from, Number number, std::byte* to) const = 0;
  virtual void read(const std::byte* from, long bytes, void* to) const = 0;
  // The place, in C order, of the first number that is not as wanted; kNone.
  virtual long first_unwanted(const Elements& of, const Wanted& wanted) const = 0;
  // The first row, of the last axis, whose sum is not from low to high; kNone.
  virtual long first_unwanted_sum(const Elements& of, double low, double high) const = 0;
};

}  // namespace steep
