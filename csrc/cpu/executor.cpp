// The CPU as a device: its forward passes, and the one place where a format becomes a type.
#include "executor.h"

#include <algorithm>

#include "base/error.h"
#include "cpu.h"
#include "cpu/full_batch.h"
#include "cpu/tangent.h"
#include "cpu/threads.h"
#include "cpu/training.h"

namespace steep {

namespace {

template <class T> class CpuForward final : public Forward {
 public:
  CpuForward(Program program, std::shared_ptr<CpuStore<T>> weights, long rows)
      : outputs_(program.outputs),
        plan_(std::move(program), kernels<T>(), std::move(weights), rows) {}

  long capacity() const override { return plan_.capacity(); }
  long bytes() const override { return plan_.arena_bytes(); }

  void predict(const Batcher& data, uint64_t seed, const std::vector<void*>& outs,
               Halt& halt) override {
    walk(data, 0, data.batches(), seed, halt, [&](long first, long lo, long hi) {
      for (std::size_t o = 0; o < outs.size(); ++o) {
        const long width = plan_.width(outputs_[o]);
        T* out = static_cast<T*>(outs[o]) + first * width;
        for (long r = lo; r < hi; ++r) {
          std::copy_n(plan_.row(outputs_[o], r), width, out + r * width);
        }
      }
    });
  }

  // One batch after the other: rows are added in order.
  std::vector<Totals> evaluate(const Batcher& data, Halt& halt) override {
    std::vector<Totals> all(plan_.losses().size());
    for (long b = 0; b < data.batches() && !halt.wanted(); ++b) {
      walk(data, b, b + 1, 0, halt, [](long, long, long) {});
      for (std::size_t t = 0; t < all.size(); ++t) {
        const double* weights =
            data.data().weights_of(plan_.losses()[t].weights, plan_.losses()[t].target);
        const double *values = plan_.values(t), *correct = plan_.correct(t);
        for (long r = 0; r < data.rows(b); ++r) {
          const double weight = weights ? weights[b * data.batch_size() + r] : 1.0;
          all[t].loss += values[r];
          all[t].correct += weight * correct[r];
          all[t].weight += weight;
        }
      }
    }
    return all;
  }

 private:
  // Batches [from, to); take(first, lo, hi) gets rows [lo, hi) of the batch that begins with sample
  // `first`. A thread has the same rows in every batch: none waits for another.
  template <class Take>
  void walk(const Batcher& data, long from, long to, uint64_t seed, Halt& halt, Take&& take) {
    const long all = data.rows(from);
    const int wanted = threads_for(plan_.cost_per_row() * static_cast<double>(data.rows(0)));
    plan_.reserve_threads(wanted);
    pool().run(wanted, [&](int thread, int threads) {
      if (from == 0) plan_.prepare(thread, threads);
      for (long b = from; b < to; ++b) {
        if (thread == 0) halt.ask();
        if (halt.wanted()) return;
        Step<T> step;
        step.batcher = &data;
        step.batch = b;
        step.seed = seed;
        step.passed = b * data.batch_size();
        step.rows = data.rows(b);
        step.order = plan_.order();
        step.halt = &halt;
        const long lo = std::min(step.rows, all * thread / threads);
        const long hi = std::min(step.rows, all * (thread + 1) / threads);
        plan_.run_rows(step, thread, lo, hi);
        take(b * data.batch_size(), lo, hi);
      }
    });
  }

  const std::vector<int> outputs_;
  Plan<T> plan_;
};

class Cpu final : public Device {
 public:
  const Device& multiplying(Products products) const override {
    if (products != Products::Exact) {
      refuse("precision=\"", name_of(products), "\" is for tensor cores: use device=\"cuda\"");
    }
    return *this;
  }
  std::shared_ptr<Store> store(std::shared_ptr<const Layout> layout, int columns) const override {
    if (layout->format == Format::Float64) {
      return std::make_shared<CpuStore<double>>(std::move(layout), columns);
    }
    return std::make_shared<CpuStore<float>>(std::move(layout), columns);
  }
  std::unique_ptr<Forward> forward(Program program, std::shared_ptr<Store> weights,
                                   long rows) const override {
    return with_type(*weights, [&]<class T>(const CpuStore<T>&) -> std::unique_ptr<Forward> {
      return std::make_unique<CpuForward<T>>(std::move(program),
                                             std::static_pointer_cast<CpuStore<T>>(weights), rows);
    });
  }
  std::unique_ptr<Training> training(std::vector<Aim> aims, int scalars,
                                     std::shared_ptr<Store> weights) const override {
    const bool full = aims[0].recipe.method != nullptr;
    return with_type(*weights, [&]<class T>(const CpuStore<T>&) -> std::unique_ptr<Training> {
      const auto own = std::static_pointer_cast<CpuStore<T>>(weights);
      if (full) return std::make_unique<CpuFullBatch<T>>(std::move(aims), scalars, own);
      return std::make_unique<CpuTraining<T>>(std::move(aims), scalars, own);
    });
  }
  std::unique_ptr<Tangent> tangent(Program program, std::shared_ptr<Store> weights,
                                   const Recipe& recipe) const override {
    return std::make_unique<CpuTangent>(std::move(program), std::move(weights), recipe);
  }
};

}  // namespace

std::string cpu::status() { return ""; }

std::string cpu::describe() { return isas().back(); }

std::vector<std::string> cpu::lacks() { return {}; }

const Device& cpu::device() {
  static const auto& device = *new Cpu;  // never destroyed: daemon threads outlive static objects
  return device;
}

}  // namespace steep
