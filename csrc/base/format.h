// The formats of numbers. What computes in them is a device's.
#pragma once

namespace steep {

// Of tensors and parameters, and of the arrays of users: those may be of whole numbers, too, and never
// dual, a value with its derivative, or bfloat16, which only tensors of a device are.
enum class Format { Float32, Float64, UInt8, Dual, Int32, Int64, UInt16, BFloat16 };

constexpr long bytes_of(Format format) {
  return format == Format::Dual                                   ? 16
         : format == Format::Float64 || format == Format::Int64   ? 8
         : format == Format::Float32 || format == Format::Int32   ? 4
         : format == Format::UInt16 || format == Format::BFloat16 ? 2
                                                                  : 1;
}

}  // namespace steep
