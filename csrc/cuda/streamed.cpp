// Reads batches into pinned memory in the order of their epoch, and copies them beside the steps.
#include "cuda/streamed.h"

#include <algorithm>
#include <cstring>

#include "cuda/device_memory.h"

namespace steep::cuda {

namespace {

constexpr long kAlign = 256;
constexpr long kTogether = 16;      // steps of the larger graph, which reads from one chunk
constexpr long kPiece = 64L << 20;  // bytes on their way down

long aligned(long bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

// Events and buffers outlive what was enqueued; whatever went wrong has been told.
StreamedData::~StreamedData() {
  cudaStreamSynchronize(steps_.get());
  cudaStreamSynchronize(copies_.get());
  cudaGetLastError();
}

void StreamedData::add_rows(const Source& s, Format format, Samples& to) {
  const long width = s.width();
  lanes_.push_back(
      {width * bytes_of(format),
       [=](const long* samples, long count, std::byte* at) {
         copy_samples(s, format, samples, count, at);
       },
       [=, &to](const std::byte* at) { to = {at, format, static_cast<int>(width), width}; }});
}

template <class T> void StreamedData::add_numbers(const T* from, const T*& to) {
  lanes_.push_back({static_cast<long>(sizeof(T)),
                    [=](const long* samples, long count, std::byte* at) {
                      T* const numbers = reinterpret_cast<T*>(at);
                      for (long r = 0; r < count; ++r) numbers[r] = from[samples[r]];
                    },
                    [&to](const std::byte* at) { to = reinterpret_cast<const T*>(at); }});
}

void StreamedData::add_positions(const Positions& of, Placed& to) {
  to.count = static_cast<int>(of.each);
  if (of.weights.data != nullptr) {
    const Source s = of.weights;
    lanes_.push_back(
        {of.each * static_cast<long>(sizeof(float)),
         [=](const long* samples, long count, std::byte* at) {
           copy_samples(s, Format::Float32, samples, count, at);
         },
         [&to](const std::byte* at) { to.weights = reinterpret_cast<const float*>(at); }});
  }
  add_numbers(of.sums, to.sums);
}

void StreamedData::add_arrays(const Dataset& data) {
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    add_rows(data.inputs[i], kept(data.inputs[i].format), inputs_[i]);
  }
  for (std::size_t i = 0; i < data.targets.size(); ++i) {
    const Targets& t = data.targets[i];
    Labels& to = labels_[i];
    if (t.positions.labels.data != nullptr) {
      const Positions of = t.positions;
      to.apart = of.each;
      lanes_.push_back(
          {of.each * static_cast<long>(sizeof(int32_t)),
           [=](const long* samples, long count, std::byte* at) {
             int32_t* const labels = reinterpret_cast<int32_t*>(at);
             for (long r = 0; r < count; ++r) {
               read_labels(of, samples[r], 0, of.each, labels + r * of.each);
             }
           },
           [&to](const std::byte* at) { to.data = reinterpret_cast<const int32_t*>(at); }});
    } else if (t.labels != nullptr) {
      add_numbers(t.labels, to.data);
    } else {
      add_rows(t.values, Format::Float32, targets_[i]);
    }
    if (t.positions.any()) add_positions(t.positions, of_targets_[i]);
  }
  for (std::size_t i = 0; i < data.weights.size(); ++i) {
    if (data.weights[i]) add_numbers(data.weights[i], weights_[i]);
  }
  for (std::size_t i = 0; i < data.weighed.size(); ++i) {
    if (data.weighed[i].any()) add_positions(data.weighed[i], of_weights_[i]);
  }
}

void StreamedData::add_augmented(const Augment& of) {
  const std::vector<float> pixel(of.fill.begin(), of.fill.begin() + of.images.channels);
  const std::size_t bytes = pixel.size() * sizeof(float);
  if (fill_.bytes() < bytes) fill_ = Memory(bytes);
  write(steps_, fill_.data(), pixel.data(), bytes);
  augmented_ = {of.changes(), static_cast<int>(of.images.channels), 0, fill_.as<float>()};
}

// Beside what comes from the host, what others have on the device takes the same way, by a copy.
void StreamedData::take_down(Source& s, Format format) {
  if (s.data == nullptr || !s.on_device) return;
  const long width = s.width(), item = bytes_of(format), row = width * item;
  const long most = std::min(s.samples, std::max(1L, kPiece / row));
  held_.emplace_back(static_cast<std::size_t>(s.samples * row));
  const Memory piece(static_cast<std::size_t>(most * row));
  for (long r = 0; r < s.samples; r += most) {
    const long rows = std::min(most, s.samples - r);
    convert(steps_.get(), strided(rows_of(s, r, rows)), number_of(format), piece.data());
    read(steps_, held_.back().data() + r * row, piece.data(), static_cast<std::size_t>(rows * row));
  }
  s = Source::of(held_.back().data(), format, {s.samples, width}, {row, item});
}

Dataset StreamedData::on_host(Dataset data) {
  held_.clear();
  for (Source& s : data.inputs) take_down(s, kept(s.format));
  for (Targets& t : data.targets) {
    take_down(t.values, Format::Float32);
    if (t.labels == nullptr || !t.on_device) continue;
    const std::size_t bytes = static_cast<std::size_t>(data.samples) * sizeof(int32_t);
    held_.emplace_back(bytes);
    read(steps_, held_.back().data(), t.labels, bytes);
    t.labels = reinterpret_cast<const int32_t*>(held_.back().data());
  }
  return data;
}

// Each array's two buffers lie one behind the other, so that a row of either has one number.
void StreamedData::lay_out() {
  long there = 0;
  pinned_bytes_ = 0;
  for (Lane& lane : lanes_) {
    lane.there = there;
    lane.pinned = pinned_bytes_;
    there += aligned(2 * rows_ * lane.bytes);
    pinned_bytes_ += aligned(rows_ * lane.bytes);
  }
  if (static_cast<long>(memory_.bytes()) < there) {
    memory_ = Memory();
    memory_ = Memory(static_cast<std::size_t>(there));
  }
  if (static_cast<long>(pinned_.bytes()) < 2 * pinned_bytes_) {
    pinned_ = Pinned();
    pinned_ = Pinned(static_cast<std::size_t>(2 * pinned_bytes_));
  }
  for (const Lane& lane : lanes_) lane.show(memory_.data() + lane.there);
}

void StreamedData::load(const Batcher& data, long bytes) {
  for (Buffer& buffer : buffers_) buffer.chunk = {};
  lanes_.clear();
  make_room(data.data());
  add_arrays(on_host(data.data()));
  if (data.data().augment) add_augmented(*data.data().augment);
  const long batch = std::min(data.batch_size(), data.data().samples);
  long of_batch = 0;
  for (const Lane& lane : lanes_) of_batch += batch * lane.bytes;
  batches_ = std::clamp(bytes / std::max(1L, of_batch), 1L, std::max(1L, data.batches()));
  if (batches_ > kTogether) batches_ -= batches_ % kTogether;
  rows_ = batches_ * batch;
  lay_out();
}

// Buffers take turns. A chunk goes to the end of its epoch at most.
std::vector<Chunk> StreamedData::route(const Batcher& data, Position at, long steps,
                                       long most) const {
  std::vector<Chunk> route;
  const long end = std::min(at.batch + steps, data.batches());
  const auto held = [&](int buffer, long batch) {
    return buffers_[buffer].chunk.has(at.epoch, batch);
  };
  int buffer = held(1, at.batch) ? 1 : 0;
  for (long batch = at.batch; batch < end; batch = route.back().end(), buffer = 1 - buffer) {
    const long count = std::min({batches_, most, data.batches() - batch});
    route.push_back(held(buffer, batch) ? buffers_[buffer].chunk
                                        : Chunk{at.epoch, batch, count, buffer});
  }
  return route;
}

// Pinned memory is written again when its last copy has been made, the device's when the steps that read it are
// done: the host is two chunks ahead of them, at most.
void StreamedData::send(const Batcher& data, const Chunk& chunk) {
  Buffer& buffer = buffers_[chunk.buffer];
  if (buffer.chunk == chunk) return;
  buffer.chunk = {};
  const long first = chunk.first * data.batch_size();
  const long rows = std::min(chunk.count * data.batch_size(), data.data().samples - first);
  samples_.resize(static_cast<std::size_t>(rows));
  data.order(static_cast<uint64_t>(chunk.epoch), chunk.first, 0, 0, rows, samples_.data(),
             [](const Permutation& shuffled, uint64_t first, long count, long* to) {
               shuffled.deal(first, count, to);
             });
  buffer.sent.wait();
  std::byte* const staged = pinned_.as<std::byte>(chunk.buffer * pinned_bytes_);
  for (const Lane& lane : lanes_) lane.read(samples_.data(), rows, staged + lane.pinned);
  buffer.free.hold_back(copies_);
  for (const Lane& lane : lanes_) {
    std::byte* const to = memory_.data() + lane.there + chunk.buffer * rows_ * lane.bytes;
    check(cudaMemcpyAsync(to, staged + lane.pinned, static_cast<std::size_t>(rows * lane.bytes),
                          cudaMemcpyHostToDevice, copies_.get()),
          "samples on their way");
  }
  buffer.sent.record(copies_);
  buffer.chunk = chunk;
}

}  // namespace steep::cuda
