// The numbers that arrays of others hold, more than the core computes with: those have a Format.
#pragma once
#include "base/format.h"

namespace steep {

enum class Number {
  UInt8,
  Int8,
  UInt16,
  Int16,
  UInt32,
  Int32,
  UInt64,
  Int64,
  Float16,
  BFloat16,
  Float32,
  Float64
};

constexpr long bytes_of(Number n) {
  switch (n) {
    case Number::UInt8:
    case Number::Int8: return 1;
    case Number::UInt16:
    case Number::Int16:
    case Number::Float16:
    case Number::BFloat16: return 2;
    case Number::UInt32:
    case Number::Int32:
    case Number::Float32: return 4;
    default: return 8;
  }
}

constexpr bool is_whole(Number n) { return n <= Number::Int64; }

constexpr Number number_of(Format format) {
  switch (format) {
    case Format::UInt8: return Number::UInt8;
    case Format::UInt16: return Number::UInt16;
    case Format::Int32: return Number::Int32;
    case Format::Int64: return Number::Int64;
    case Format::Float64: return Number::Float64;
    default: return Number::Float32;
  }
}

}  // namespace steep
