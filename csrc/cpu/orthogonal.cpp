// Newton-Schulz of the matrices of a Store, with its own sums of squares: the door for tests and benchmarks.
#include <limits>

#include "cpu.h"
#include "cpu/newton_schulz.h"
#include "cpu/store.h"
#include "cpu/threads.h"

namespace steep {

namespace {

std::vector<Panels> panels_of(const Layout& layout) {
  std::vector<Panels> all;
  for (const Slice& s : layout.slices) all.push_back(s.panels());
  return all;
}

template <class T> class Orthogonal final : public cpu::Orthogonal {
 public:
  explicit Orthogonal(const CpuStore<T>& columns)
      : columns_(columns), native_(panels_of(columns.layout())),
        squares_(columns.layout().slices.size()) {
    for (const Slice& s : columns.layout().slices)
      matrices_.push_back(columns.column(0) + s.offset);
  }

  void run(int steps, double a, double b, double c, double eps) override {
    for (std::size_t i = 0; i < matrices_.size(); ++i) {
      T* const u = matrices_[i];
      constexpr T kNothing = 0;
      squares_[i] = kernels<T>().finish_gradient(u, u, columns_.layout().slices[i].size, kNothing,
                                                 kNothing, std::numeric_limits<T>::infinity());
    }
    const Quintic quintic{a, b, c, steps, eps};
    pool().run(threads_for(native_.flops(steps)), [&](int thread, int threads) {
      native_.run(matrices_.data(), squares_.data(), quintic, thread, threads);
    });
  }
  long bytes() const override { return static_cast<long>(native_.bytes()); }

 private:
  const CpuStore<T>& columns_;
  NewtonSchulz<T> native_;
  std::vector<T*> matrices_;
  std::vector<double> squares_;
};

}  // namespace

std::unique_ptr<cpu::Orthogonal> cpu::orthogonal(const Store& columns) {
  return with_type(columns, []<class T>(const CpuStore<T>& typed) {
    return std::unique_ptr<cpu::Orthogonal>(new steep::Orthogonal<T>(typed));
  });
}

}  // namespace steep
