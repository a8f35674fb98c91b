// Which numbers of a network's inputs some op takes for whole numbers, ids or lengths. Whether samples
// have such ones there is asked of data/strays.h.
#pragma once
#include "graph/graph.h"

namespace steep {

struct Wholes {
  int input;                 // its number among those of the network
  std::vector<long> places;  // in a sample, in order; empty for all
  long low, high;            // least and most
  std::string what, layer;   // for messages
};

// Refuses an op whose whole numbers are computed: they must be an input's, reshaped or a part of them.
std::vector<Wholes> wholes(const Graph& graph);

}  // namespace steep
