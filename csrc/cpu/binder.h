// Builds a plan: cuts the program into phases, gives tensors their places, binds ops to calls. The
// two halves of its ops are in bind.cpp and bind_images.cpp.
#pragma once
#include <map>

#include "cpu/calls.h"
#include "cpu/conv/conv.h"
#include "cpu/plan.h"
#include "plan/arena.h"

namespace steep {

template <class T> struct Plan<T>::Binder {
  Plan& plan;
  std::vector<int> root{};  // the tensor whose memory each tensor uses
  std::vector<PhaseSpan> spans{};
  std::map<int, std::vector<std::shared_ptr<const Conv<T>>>> convs{};  // by parameter
  int32_t* labels = nullptr;
  T* sample_weights = nullptr;
  calls::Rows<T> target{};

  explicit Binder(Plan& plan) : plan(plan) {}

  void arrange();  // sizes, phases and places
  void allocate();
  void bind_all();

  const Program& program() const { return plan.program_; }
  const Slice& slice(int parameter) const { return plan.weights_->layout().slices[parameter]; }
  calls::Rows<T> rows(int tensor) const;
  T* parameter(int p) const { return p < 0 ? nullptr : plan.weights_->column(0) + slice(p).offset; }
  template <class Args> void call(const Op& op, Args args, long units = 0) {
    plan.phases_.back().calls.push_back({[](const void* a, const Step<T>& step, long lo, long hi) {
                                           Args::run(*static_cast<const Args*>(a), step, lo, hi);
                                         },
                                         std::make_shared<const Args>(args), op.out, op.layer,
                                         units, op.before});
  }

  long bytes() const { return bytes_; }  // of the Arena

 private:
  void size_tensors();
  void check_bytes() const;
  void join_aliases();
  long reserve(long size);
  void drop_packs();
  std::vector<Lifetime> lifetimes() const;
  long buffer_rows(int tensor) const;
  long stride(int tensor) const;
  long channels(const Op& op) const;  // of a normalisation
  calls::Channels<T> by_channel(const Op& op) const;
  static T number(const std::string& who, double value);  // as T, where T holds it
  std::shared_ptr<const Conv<T>> conv_of(const Op& op);
  bool on_images(const Op& op) const;
  long row_bytes(std::size_t first, std::size_t last) const;
  void bind(const Op& op);
  static T option(double value);  // of the loss
  void bind_matmul(const Op& op);
  void bind_matmul_grad(const Op& op);
  void bind_dropout(const Op& op);
  void bind_image_op(const Op& op);
  void bind_conv(const Op& op);
  void bind_conv_grad(const Op& op);
  void bind_pool(const Op& op);
  void bind_inset(const Op& op);
  void bind_norm(const Op& op);

  std::vector<long> offset_{};  // of each tensor, -1 where nobody needs it
  long bytes_ = 0;
  struct { long values, correct, order, labels, weights, target; } at_{};
};

}  // namespace steep
