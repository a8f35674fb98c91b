// Which trainings are small enough for one block, and where everything lies in its shared memory. Pure: no memory,
// no launches.
#pragma once
#include <string>
#include <vector>

#include "cuda/kernels/resident.h"
#include "graph/program.h"
#include "plan/layout.h"
#include "plan/recipe.h"

namespace steep::cuda {

// What a block does in a step of one objective, or why it is not one block's.
struct Chain {
  // For batches of up to so many rows, of a block that has so many bytes.
  Chain(Program program, const Layout& weights, const Recipe& recipe, int knobs, long rows,
        long most);

  std::string why_not;  // "" where it is
  int rule = -1;
  struct Scales { std::vector<double> by, shifts; };  // of what a node reads, or none
  std::vector<Node> nodes;
  std::vector<Scales> scales;  // of each node
  std::vector<Share> shares;
  std::vector<Moved> moved;     // but for what they are moved by
  std::vector<int> parameters;  // of each of those
  std::vector<Task> tasks;      // of places in `moved`
  Places at;
  long rows;
  int column = 0, slots = 0, target_columns = 0;
  bool averages = false;

 private:
  void add_nodes(const Program& program, const Layout& weights);
  void add_shares(const Program& program, const Layout& weights);
  void add_moved(const Program& program, const Layout& weights, const Recipe& recipe);
  void lay_out(const Program& program, const Layout& weights, int knobs, long tensors);
  template <class... Parts> void leave(const Parts&... parts);
  Spot spot(int tensor) const;

  std::vector<Spot> spots_;  // of all tensors
};

}  // namespace steep::cuda
