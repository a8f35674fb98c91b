// A data set too large for the device: its batches go there in the order of their epoch, through two buffers of
// pinned memory and as many on the device, beside the steps on those that came before.
#pragma once
#include <functional>
#include <vector>

#include "cuda/data.h"
#include "executor.h"

namespace steep::cuda {

// Batches [first, first + count) of an epoch, and the buffer that they go through.
struct Chunk {
  long epoch = -1, first = 0, count = 0;
  int buffer = 0;
  bool has(long of_epoch, long batch) const {
    return epoch == of_epoch && first <= batch && batch < end();
  }
  long end() const { return first + count; }
  bool operator==(const Chunk& other) const = default;
};

class StreamedData : public DeviceArrays {
 public:
  // For steps on that stream; the device's buffers lie in `memory`.
  StreamedData(const Stream& steps, Memory& memory) : steps_(steps), memory_(memory) {}
  ~StreamedData();
  StreamedData(const StreamedData&) = delete;
  StreamedData& operator=(const StreamedData&) = delete;

  // Makes buffers of at most so many bytes, but of a batch at least. Memory is used again where it is large
  // enough.
  void load(const Batcher& data, long bytes);
  // What it takes of the device for the batches from `at` on, so many steps; in later chunks, those that are
  // there already.
  std::vector<Chunk> route(const Batcher& data, Position at, long steps, long most) const;
  long batches() const { return batches_; }  // of a chunk, at most
  // The row of the device's buffers where a batch begins.
  long row(const Batcher& data, const Chunk& chunk, long batch) const {
    return chunk.buffer * rows_ + (batch - chunk.first) * data.batch_size();
  }
  // Sends the samples of a chunk that is not there, without waiting for them.
  void send(const Batcher& data, const Chunk& chunk);
  // Steps from here on come after they are there, ...
  void hold_back(const Chunk& chunk) const { buffers_[chunk.buffer].sent.hold_back(steps_); }
  // ... and the buffer is free when steps until here are done.
  void let_go(const Chunk& chunk) const { buffers_[chunk.buffer].free.record(steps_); }
  // Waits for what is on its way.
  void settle() const { copies_.wait(); }

 private:
  // An array: what it has of each sample, and how it is read and shown.
  struct Lane {
    long bytes;  // of a sample
    std::function<void(const long* samples, long count, std::byte* to)> read;
    std::function<void(const std::byte* at)> show;
    long there = 0, pinned = 0;  // where it begins, in the device's memory and in a pinned buffer
  };
  struct Buffer {
    Chunk chunk;       // what is there, or on its way
    Event sent, free;  // copies to it are done; steps that read it are
  };
  void add_rows(const Source& s, Format format, Samples& to);
  template <class T> void add_numbers(const T* from, const T*& to);
  void add_positions(const Positions& of, Placed& to);
  void add_arrays(const Dataset& data);
  void add_augmented(const Augment& of);
  Dataset on_host(Dataset data);
  void take_down(Source& s, Format format);
  void lay_out();

  const Stream& steps_;
  Memory& memory_;
  Memory fill_;  // of changed images
  Pinned pinned_;
  long pinned_bytes_ = 0;  // of a buffer
  std::vector<Lane> lanes_;
  std::vector<std::vector<std::byte>> held_;  // copies of what others have in the device's memory
  long rows_ = 0, batches_ = 0;               // of a buffer
  std::vector<long> samples_;                 // of the chunk that is read
  Buffer buffers_[2];
  const Stream copies_;
};

// The data set that steps are on: all of it on the device, or streamed. One after the other they use the same
// memory, so that graphs stay what they are from one training to the next.
class Shown {
 public:
  explicit Shown(const Stream& steps) : whole_(steps), streamed_(steps, whole_.memory()) {}
  const DeviceArrays& of(const Batcher& data);
  bool streams() const { return streams_; }

  // Of the data set that was shown last: the chunks that steps from `at` on read, one after the other, of at most
  // so many batches.
  std::vector<Chunk> route(const Batcher& data, Position at, long steps, long most = kMany) const;
  long row(const Batcher& data, const Chunk& chunk, long batch) const {
    return streams_ ? streamed_.row(data, chunk, batch) : 0;
  }
  // The number of the sample that lies at a place, of the batch that is there; -1 for none.
  long sample(const Batcher& data, Position at, long place) const;
  void send(const Batcher& data, const Chunk& chunk) {
    if (streams_) streamed_.send(data, chunk);
  }
  void hold_back(const Chunk& chunk) const {
    if (streams_) streamed_.hold_back(chunk);
  }
  void let_go(const Chunk& chunk) const {
    if (streams_) streamed_.let_go(chunk);
  }

 private:
  static constexpr long kMany = 1L << 40;

  long number_ = -1;
  bool streams_ = false;
  DeviceData whole_;
  StreamedData streamed_;
};

}  // namespace steep::cuda
