// The steps of trainings small enough for one block, all of a call in one launch. Which these are: chain.h.
#pragma once
#include <string>
#include <vector>

#include "cuda/chain.h"
#include "cuda/kept.h"
#include "cuda/plan.h"
#include "cuda/update.h"

namespace steep::cuda {

// The steps of a chain on the device.
class ResidentSteps {
 public:
  ResidentSteps(Chain chain, const Update& update, const CudaStore& weights, const Stream& stream);
  ResidentSteps(ResidentSteps&&) = delete;

  long rows() const { return chain_.rows; }
  void enqueue(const Place& at, const Feed& feed, const Sums& sums, bool apart, int steps);

 private:
  const Chain chain_;
  Kept<float> numbers_;
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
