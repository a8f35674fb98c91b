// What the host asks of the device around a library's function: matrices laid dense for it, and results taken back.
#pragma once
#include "cuda/kernels/launch.h"

namespace steep::cuda {

// Rows so many numbers apart, of float32 or of bfloat16; what is beyond a row's columns is 0.
struct Laid {
  void* data;
  long ld;
  bool bfloat16;
};
void lay_rows(const Place& at, const View& x, const Laid& to);
// W, or W^T where it is turned.
void lay_weight(const Place& at, const Weight& w, bool turned, const Laid& to);
// y = bias, repeated every `period` columns, + rows; or y += rows.
void take_rows(const Place& at, const Laid& from, const float* bias, int period, bool accumulate,
               const View& y);
// W (+)= a matrix, or its transpose where it is turned.
void take_weight(const Place& at, const Laid& from, bool turned, bool accumulate, const Weight& w);

}  // namespace steep::cuda
