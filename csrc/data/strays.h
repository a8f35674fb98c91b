// Whether samples have whole numbers where ids and lengths are asked for. Who asks is in graph/wholes.h.
#pragma once
#include <vector>

#include "data/source.h"

namespace steep {

struct Stray {
  long sample, place;
  double value;
};

// The first number at one of the places of a sample, all where there are none, that is not whole or not
// from low to high.
bool find_stray(const Source& source, const std::vector<long>& places, long low, long high,
                Stray& found);

}  // namespace steep
