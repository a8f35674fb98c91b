// Owners of what the CUDA runtime hands out: memory of the device, pinned memory, streams, events, graphs.
// Errors become exceptions here and nowhere else.
#pragma once
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/kernels/launch.h"

namespace steep::cuda {

// The bytes that were asked for are not there; what was made before stays usable.
struct NoMemory : std::runtime_error { using std::runtime_error::runtime_error; };

// A context does not survive a fork. Whoever asks for the driver begins; a child of such a process is an
// orphan, and whatever is checked there says so.
void begin_use();
bool is_orphan();
constexpr const char* kOrphan =
    "this process was forked from one that used the GPU; start it anew (multiprocessing: "
    "\"spawn\")";

// One block of device memory, zeroed.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes);
  std::byte* data() const { return data_.get(); }
  std::size_t bytes() const { return bytes_; }
  template <class T> T* as(long offset = 0) const {
    return reinterpret_cast<T*>(data_.get() + offset);
  }

 private:
  struct Free { void operator()(std::byte* p) const; };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t bytes_ = 0;
};

// Memory of the host that the device can read while the host goes on.
class Pinned {
 public:
  Pinned() = default;
  explicit Pinned(std::size_t bytes);
  template <class T> T* as(long offset = 0) const {
    return reinterpret_cast<T*>(data_.get() + offset);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Free { void operator()(std::byte* p) const; };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t bytes_ = 0;
};

class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }
  void wait() const;  // for all that was enqueued

 private:
  cudaStream_t stream_ = nullptr;
};

// Marks a place in one stream that another may wait for.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(const Stream& in) const;
  void hold_back(const Stream& other) const;
  void wait() const;  // for what came before that place, if it was ever marked

 private:
  cudaEvent_t event_ = nullptr;
};

// What a stream was given between begin() and end(), to be launched at once.
class Graph {
 public:
  template <class F> Graph(const Stream& stream, F&& enqueue) {
    begin(stream);
    try {
      enqueue();
    } catch (...) {
      abandon(stream);
      throw;
    }
    end(stream);
  }
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch(const Stream& stream) const;

 private:
  static void begin(const Stream& stream);
  static void abandon(const Stream& stream);
  void end(const Stream& stream);
  cudaGraphExec_t exec_ = nullptr;
};

// Number of the device that has an address, -1 where it is the host's or nobody's.
int owner_of(const void* address);

// Copies that are complete when they return; they wait for the stream first.
void read(const Stream& stream, void* host, const void* device, std::size_t bytes);
void write(const Stream& stream, void* device, const void* host, std::size_t bytes);

}  // namespace steep::cuda
