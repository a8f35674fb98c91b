// Reads samples of the user's arrays into rows of the Arena, as they are or through a change of the
// image.
#pragma once
#include "cpu/kernels.h"
#include "data/augment.h"

namespace steep {

// dst = scale*sample + shift, in C order.
template <class T>
void read_sample(const Kernels<T>& k, const Source& s, long sample, T* dst, T scale, T shift);

// The same of the changed sample.
template <class T>
void read_augmented(const Kernels<T>& k, const Augment& a, const Change& c, long sample, T* dst,
                    T scale, T shift);

}  // namespace steep
