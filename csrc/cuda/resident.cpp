// Takes a chain up to the device and enqueues its steps; says what else has to be so that a block takes them.
#include "cuda/resident.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "cuda/arrays.h"

namespace steep::cuda {

ResidentSteps::ResidentSteps(Chain chain, const Update& update, const CudaStore& weights,
                             const Stream& stream)
    : chain_(std::move(chain)), numbers_(stream) {
  std::vector<Node> nodes = chain_.nodes;
  const auto up = [&](const std::vector<double>& numbers) -> const float* {
    return numbers.empty() ? nullptr : numbers_.keep(numbers);
  };
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].scales = up(chain_.scales[i].by);
    nodes[i].shifts = up(chain_.scales[i].shifts);
  }
  std::vector<Moved> moved = chain_.moved;
  for (std::size_t i = 0; i < moved.size(); ++i) {
    moved[i].ruled = update.ruled()[chain_.parameters[i]];
  }
  Arrays arrays;
  const long at_nodes = arrays.add(nodes), at_shares = arrays.add(chain_.shares);
  const long at_moved = arrays.add(moved), at_tasks = arrays.add(chain_.tasks);
  lists_ = arrays.up(stream);
  const auto count = [](const auto& list) { return static_cast<int>(list.size()); };
  of_.nodes = lists_.as<Node>(at_nodes);
  of_.shares = lists_.as<Share>(at_shares);
  of_.moved = lists_.as<Moved>(at_moved);
  of_.tasks = lists_.as<Task>(at_tasks);
  of_.node_count = count(nodes);
  of_.share_count = count(chain_.shares);
  of_.moved_count = count(moved);
  of_.task_count = count(chain_.tasks);
  of_.at = chain_.at;
  of_.weights = weights.column(0);
  of_.column = chain_.column;
  of_.size = static_cast<int>(weights.layout().size);
  of_.rule = chain_.rule;
  of_.slots = chain_.slots;
  of_.averages = chain_.averages;
  of_.clip = update.clip_lists();
  of_.target_columns = chain_.target_columns;
  of_.by_targets = Divisor(chain_.target_columns);
}

void ResidentSteps::enqueue(const Place& at, const Feed& feed, const Sums& sums, bool apart,
                            int steps) {
  of_.apart = apart;
  of_.deal = feed.deal;
  of_.seed = feed.seed;
  std::copy(feed.inputs.begin(), feed.inputs.end(), of_.inputs);
  const auto targets = std::min<std::size_t>(feed.targets.size(), kMostRead);
  std::copy_n(feed.targets.begin(), targets, of_.targets);
  of_.truth = feed.truths[0];
  of_.sums = sums;
  resident(at, of_, steps);
}

std::string stays_away(const Feed& feed) {
  if (feed.deal.dealt) return kStreamed;
  if (feed.augmented.fill != nullptr) return "images that are changed";
  if (feed.truths[0].positions > 0) return "a loss of positions";
  if (feed.inputs.size() > kMostRead) return text("more than ", kMostRead, " inputs");
  return "";
}

bool resident_on() {
  const char* const asked = std::getenv("STEEP_RESIDENT");
  const std::string wanted = asked ? asked : "";
  if (wanted != "" && wanted != "on" && wanted != "off") {
    refuse("STEEP_RESIDENT must be on or off, got \"", wanted, "\"");
  }
  return wanted != "off";
}

long most_shared_memory() {
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0),
        "shared memory");
  return bytes;
}

}  // namespace steep::cuda
