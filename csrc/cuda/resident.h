// Trainings small enough for one block: which they are, where everything lies in its shared memory, and their steps,
// all of a call in one launch.
#pragma once
#include <string>
#include <vector>

#include "cuda/kernels/resident.h"
#include "cuda/plan.h"
#include "cuda/update.h"

namespace steep::cuda {

// What a block does in a step of one objective, or why it is not one block's. Pure.
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

// The steps of a chain on the device.
class ResidentSteps {
 public:
  ResidentSteps(Chain chain, const Update& update, const CudaStore& weights, const Stream& stream);
  ResidentSteps(ResidentSteps&&) = delete;

  long rows() const { return chain_.rows; }
  void enqueue(const Place& at, const Feed& feed, const Sums& sums, bool apart, int steps);

 private:
  const Chain chain_;
  std::vector<Memory> numbers_;
  Memory lists_;
  Resident of_{};
};

// Why data do not come to a block; "" where they do.
constexpr const char* kStreamed = "data that are streamed";
std::string stays_away(const Feed& feed);

// What STEEP_RESIDENT says: on without it, or off.
bool resident_on();
long most_shared_memory();

}  // namespace steep::cuda
