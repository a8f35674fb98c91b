// A Plan: the ops of a Program bound to device memory and launches, and the gradients of its parameters. It
// says what is enqueued, never when or how often.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/kept.h"
#include "cuda/kernels/embedding.h"
#include "cuda/ops/bind.h"
#include "cuda/ops/storage.h"
#include "cuda/samples.h"
#include "cuda/store.h"
#include "executor.h"
#include "plan/schedule.h"

namespace steep::cuda {

class Records;

// The blocks of all parameters that a gradient moves, cut as the CPU cuts them: sums over blocks add up the
// same numbers in the same order.
struct Tasks {
  // Of a program that repeats in lower blocks.
  Tasks(const Layout& layout, const std::vector<bool>& moved, bool repeats = false);
  std::vector<Task> all;
  std::vector<int> first;  // of each parameter, and how many there are
};

// What a term that goes by ids takes of memory to put them into buckets; 0 for others.
std::size_t bytes_of_buckets(const GradTerm& t, long capacity);

class Plan {
 public:
  // For up to `capacity` rows over the weights' first column; its losses are numbered from `number` on. Plans
  // that run one after the other may share an arena, where it is large enough.
  Plan(Program program, std::shared_ptr<CudaStore> weights, long capacity, const Stream& stream,
       Products products, int number = 0, std::shared_ptr<Memory> arena = nullptr);
  // Refuses what has no kernel.
  static long bytes(Program program, const Layout& weights, long capacity, Products products);
  Plan(Plan&&) = delete;  // launches point into it

  long capacity() const { return capacity_; }
  long bytes() const;

  // What the launches from here on read; samples are dealt by the first seed, ops draw by the other.
  void read_from(const DeviceArrays& data, const Deal& deal, uint64_t seed);
  const Feed& feed() const { return feed_; }
  std::string narrow_tensors() const { return cuda::narrow_tensors(program_); }
  const std::vector<LossTerm>& terms() const { return program_.losses; }
  const std::vector<Watched>& watched() const { return watched_; }
  Losses losses(int term) const {
    return {values_ + term * capacity_, correct_ + term * capacity_, parts_, number_ + term};
  }

  // Up to and with the losses, or all where there is none; and what comes after it. `held`: the samples are those
  // of the last pass, of a program that repeats. Records look at the outputs of activations.
  void forward(const Place& at, bool held = false, const Records* records = nullptr) const;
  void backward(const Place& at) const;
  // Gradients as one column like the weights, or more for it: of parameters that need the loss only, and of
  // the others, after the way back.
  void early_gradients(const Place& at, float* column, bool more) const;
  void late_gradients(const Place& at, float* column, bool more) const;
  // Looks at what running statistics would become, and lets them, and what else follows a step, go on.
  void check(const Place& at) const;
  void follow(const Place& at) const;
  bool follows() const { return !follows_.empty(); }
  // What follows steps, kept by one that may come to nothing when a part of it has moved them; and put back.
  void reserve_followed();
  void keep_followed(const Place& at) const;
  void put_followed() const;

  // Makes what is made once for so many rows, before a graph is captured.
  void get_ready(long rows) const;

  // Rows of a tensor, dense, on the host.
  std::vector<float> rows_of(int tensor, long rows) const;
  // The same behind those of `first` samples, in the device's memory; complete when the stream is.
  void lay_out(int tensor, long first, long rows, float* to) const;
  bool finite_losses(long rows) const;
  // Runs ops one by one; the first one whose result is not finite, if there is one. Its sample is a row of the batch.
  std::optional<Origin> first_fault(const Place& at) const;

 private:
  struct Call {
    Launch launch;
    int out;
    std::string layer;
    const char* op;
    int term;  // whose loss it is, or -1
    bool backward;
    bool reads;        // samples
    int watched = -1;  // which of the ops that recorded steps watch
  };
  static std::unique_ptr<Aid> aid_of(Products products, long capacity);
  void allocate(const Schedule& schedule);
  void bind(const Op& op, bool backward);
  void note_followed(const Op& op);
  int watched_by(const Op& op) const;
  using Term = std::function<void(const Place&, float*, bool)>;
  void bind_terms();
  int bias_of(int parameter) const;
  void bind_terms_of(int parameter, int bias, bool late);
  Term sown_term(const GradTerm& t, const Slice& s, bool add) const;
  long faulty_row(const Call& call, long rows) const;  // -1 where all are finite
  long faulty_loss(int term, long rows) const;
  View view(int tensor) const;
  long rows_in(int tensor, long rows) const;  // of a tensor, of a batch of so many
  Buckets buckets(const GradTerm& t);
  float* parameter(int p) const;

  const std::unique_ptr<Aid> aid_;  // null where no library is on
  Program program_;
  const std::vector<Watched> watched_;
  std::shared_ptr<CudaStore> weights_;
  const long capacity_;
  const Stream& stream_;
  const int number_;
  std::shared_ptr<Memory> memory_;
  Memory positions_;  // of a loss that takes them one by one
  Kept<float> numbers_;
  std::vector<Memory> buckets_;  // of the ids of each table
  struct Followed {
    float* numbers;
    long n;
    Memory kept;
  };
  std::vector<Followed> followed_;
  std::vector<Memory> apart_;    // tensors that do not lie there, see places.h
  std::vector<float*> buffers_;  // by tensor
  std::vector<long> strides_;
  double *values_ = nullptr, *correct_ = nullptr;  // (losses, capacity)
  double* parts_ = nullptr;
  Feed feed_;
  std::vector<Call> calls_;
  std::size_t backward_ = 0;  // the first call after the losses
  bool dealt_ = false;        // an input was bound
  std::vector<Term> early_, late_;
  std::vector<Launch> checks_, follows_;
};

}  // namespace steep::cuda
