// Room for what recorded steps measure, and the launches over the ops that they watch; those over parameters are the
// update's, which knows its groups.
#include "cuda/records.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "cuda/arrays.h"
#include "cuda/update.h"

namespace steep::cuda {

Records::Records(const std::vector<Watched>& watched, long rows, long steps, const Update& update,
                 const CudaStore& weights, const Stream& stream)
    : stream_(stream), first_(update.clip_lists().first),
      parameters_(update.clip_lists().parameters),
      kept_(static_cast<std::size_t>(weights.layout().size) * sizeof(float)),
      norms_(static_cast<std::size_t>(update.tasks()) * sizeof(TaskNorms)),
      places_(static_cast<std::size_t>(steps) * sizeof(int)), staged_(places_.bytes()) {
  std::size_t bytes = 0;  // numbers of doubles first, so that all lie as they must
  const auto place = [&](std::size_t more) { return std::exchange(bytes, bytes + more); };
  std::vector<std::size_t> at_rows, at_spread, at_alive;
  for (std::size_t i = 0; i < watched.size(); ++i) {
    at_rows.push_back(place(static_cast<std::size_t>(rows) * sizeof(RowSums)));
    at_spread.push_back(place(sizeof(Spread)));
  }
  for (const Watched& op : watched) {
    at_alive.push_back(place(static_cast<std::size_t>(op.channels) * sizeof(unsigned)));
  }
  numbers_ = Memory(bytes);
  const auto at = [&](std::size_t offset) { return static_cast<long>(offset); };
  for (std::size_t i = 0; i < watched.size(); ++i) {
    const Watched& op = watched[i];
    ops_.push_back({.width = static_cast<int>(op.width),
                    .channels = static_cast<int>(op.channels),
                    .low = static_cast<float>(op.low),
                    .high = static_cast<float>(op.high),
                    .saturates = op.low < op.high,
                    .rows = numbers_.as<RowSums>(at(at_rows[i])),
                    .alive = numbers_.as<unsigned>(at(at_alive[i])),
                    .spread = numbers_.as<Spread>(at(at_spread[i]))});
  }
  Arrays arrays;
  arrays.add(ops_);
  list_ = arrays.up(stream);
}

bool Records::lay_out(const std::vector<bool>& recorded, long columns) {
  int rows = 0;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    staged_.as<int>()[i] = rows;
    rows += recorded[i] ? 1 : 0;
  }
  check(cudaMemcpyAsync(places_.data(), staged_.as<int>(), recorded.size() * sizeof(int),
                        cudaMemcpyHostToDevice, stream_.get()),
        "the places of recorded steps");
  const auto row = static_cast<std::size_t>(columns) * sizeof(double);
  const bool other = columns != columns_ || table_.bytes() < static_cast<std::size_t>(rows) * row;
  if (other) table_ = Memory(std::bit_ceil(static_cast<std::size_t>(rows)) * row);
  columns_ = columns;
  return other;
}

void Records::note(const Place& at, int op, const View& out) const {
  watch_rows(at, ops_[op], out);
}

void Records::add(const Place& at) const {
  add_watched(at, list_.as<WatchedOp>(), static_cast<int>(ops_.size()));
}

void Records::put(const Place& at) const {
  const RecordTable to{table_.as<double>(), columns_, places_.as<int>()};
  put_norms(at, norms(), first_, parameters_, to);
  put_watched(at, list_.as<WatchedOp>(), static_cast<int>(ops_.size()), parameters_, to);
}

void Records::fetch(long rows, double* to) const {
  const auto bytes = static_cast<std::size_t>(rows * columns_) * sizeof(double);
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, table_.data(), bytes, cudaMemcpyDeviceToHost, stream_.get()),
        "recorded steps");
}

}  // namespace steep::cuda
