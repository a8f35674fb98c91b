// Whether a data set lies on the device as a whole or is streamed.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "cuda/streamed.h"

namespace steep::cuda {

namespace {

constexpr long kBuffer = 32L << 20;  // bytes of a buffer, where memory allows
constexpr double kShare = 0.6;       // of the free memory, that data may take

// What STEEP_CUDA_DATA says: nothing, that data are whole, or streamed, through buffers of so many bytes.
struct Wish {
  bool whole = false, streamed = false;
  long bytes = kBuffer;
};

Wish wish() {
  const char* const set = std::getenv("STEEP_CUDA_DATA");
  const std::string said = set ? set : "";
  if (said.empty()) return {};
  if (said == "resident") return {true, false};
  if (said == "streamed") return {false, true};
  const bool number = said.size() < 16 && said.find_first_not_of("0123456789") == std::string::npos;
  if (!number || std::stol(said) < 1) {
    refuse("STEEP_CUDA_DATA must be resident, streamed or the bytes of a buffer, got \"", said,
           "\"");
  }
  return {false, true, std::stol(said)};
}

// Whether the host has any of it.
bool on_host(const Dataset& data) {
  const auto there = [](const Source& s) { return s.data == nullptr || s.on_device; };
  const auto labels = [](const Targets& t) { return t.labels == nullptr || t.on_device; };
  return !std::all_of(data.inputs.begin(), data.inputs.end(), there) ||
         !std::all_of(data.targets.begin(), data.targets.end(),
                      [&](const Targets& t) { return there(t.values) && labels(t); });
}

}  // namespace

// What the last data set lies in counts as free: it would be used again.
const DeviceArrays& Shown::of(const Batcher& data) {
  if (number_ != data.number()) {
    number_ = -1;  // of none, where loading fails
    streamed_.settle();
    const Wish wish = steep::cuda::wish();
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "memory");
    const double own = static_cast<double>(whole_.bytes());
    const long room = static_cast<long>(std::max(own, kShare * (static_cast<double>(free) + own)));
    streams_ = !wish.whole && on_host(data.data()) &&
               (wish.streamed || (data.batches() > 2 && whole_.measure(data.data()) > room));
    if (streams_) {
      streamed_.load(data, wish.streamed ? wish.bytes : std::min(wish.bytes, room / 2));
    } else {
      whole_.load(data.data(), 0, data.data().samples);
    }
    number_ = data.number();
  }
  if (streams_) return streamed_;
  return whole_;
}

std::vector<Chunk> Shown::route(const Batcher& data, Position at, long steps, long most) const {
  if (streams_) return streamed_.route(data, at, steps, most);
  return {{at.epoch, at.batch, steps}};
}

long Shown::sample(const Batcher& data, Position at, long place) const {
  if (!streams_ || place < 0) return place;
  const long row = place - streamed_.row(data, route(data, at, 1, 1)[0], at.batch);
  long sample = 0;
  data.order(static_cast<uint64_t>(at.epoch), at.batch, row, 0, 1, &sample);
  return sample;
}

}  // namespace steep::cuda
