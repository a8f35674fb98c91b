// The formats of numbers. What computes in them is a device's.
#pragma once

namespace steep {

// Of tensors and parameters, and of the arrays of users: those may be of bytes, too, labels of whole
// numbers, and never dual, a value with its derivative.
enum class Format { Float32, Float64, UInt8, Dual, Int32, Int64 };

constexpr long bytes_of(Format format) {
  return format == Format::Dual                                 ? 16
         : format == Format::Float64 || format == Format::Int64 ? 8
         : format == Format::Float32 || format == Format::Int32 ? 4
                                                                : 1;
}

}  // namespace steep
