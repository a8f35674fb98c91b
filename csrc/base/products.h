// How numbers in float32 are multiplied, of one another, by matrices. What does it is a device's.
#pragma once

namespace steep {

// As they are; or first rounded to what tensor cores take, 11 or 8 bits. Sums are in float32 in any case.
enum class Products { Exact, TF32, BFloat16 };

constexpr const char* name_of(Products products) {
  return products == Products::TF32       ? "tf32"
         : products == Products::BFloat16 ? "bfloat16"
                                          : "float32";
}

}  // namespace steep
