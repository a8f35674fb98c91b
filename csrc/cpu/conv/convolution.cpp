// Convolutions of plain arrays: packs, shares images or panels among the pool's threads, unpacks. Networks
// use Conv itself.
#include <algorithm>
#include <memory>

#include "base/memory.h"
#include "cpu.h"
#include "cpu/conv/conv.h"
#include "cpu/store.h"
#include "cpu/threads.h"

namespace steep {

namespace {

// Conv may read up to kPanel elements beyond an image of dy: so many at the end are copied.
long copied_images(const Window& window, long filters, long batch) {
  const long size = window.out_pixels() * filters;
  return std::min(batch, (kPanel + size - 1) / size);
}

std::shared_ptr<const Layout> layout_of(const Window& w, long filters, long groups) {
  const Shape shape{w.kernel[0], w.kernel[1], w.channels / groups, filters};
  return std::make_shared<Layout>(std::vector<Parameter>{{"w", shape, true, true}},
                                  Format::Float32);
}

class Plain final : public cpu::Convolution {
 public:
  Plain(const Window& window, long filters, long groups, long batch);
  void forward(const float* x, const float* w, float* y) override;
  void backward_data(const float* dy, const float* w, float* dx) override;
  void backward_weights(const float* x, const float* dy, float* dw) override;

 private:
  bool depthwise() const { return conv_ == nullptr; }
  template <class Images> void over_images(Images&& images);
  float* scratch(int thread) { return at(scratch_) + thread * scratch_elements_; }
  static float* at(const Block& block) { return reinterpret_cast<float*>(block.data()); }

  const Kernels<float>& k_;
  Window w_;
  long filters_, batch_;
  std::unique_ptr<Conv<float>> conv_;
  long scratch_elements_ = 0, group_images_ = kImagesPerPanel, weight_groups_ = 1;
  CpuStore<float> stored_;  // w or its gradient, in panels
  Block packed_, partial_, scratch_, last_;
  int threads_ = 0;
};

Plain::Plain(const Window& window, long filters, long groups, long batch)
    : k_(kernels<float>()), w_(window), filters_(filters), batch_(batch),
      stored_(layout_of(window, filters, groups), 1) {
  const bool each_channel = groups > 1 && groups == window.channels && groups == filters;
  if (!each_channel) {
    conv_ = std::make_unique<Conv<float>>(k_, window, filters, groups);
    scratch_elements_ = (conv_->scratch() + kLane) / kLane * kLane;
    group_images_ = conv_->images_per_group();
  }
  const auto block = [](long elements) { return Block(std::size_t(elements) * sizeof(float)); };
  weight_groups_ = (batch + group_images_ - 1) / group_images_;
  const long size = stored_.layout().size;
  partial_ = block(size * weight_groups_);
  last_ = block(copied_images(w_, filters, batch) * w_.out_pixels() * filters + kPanel);
  if (conv_) packed_ = block(std::max(conv_->packed_size(true), conv_->packed_size(false)));
}

// images(thread, lo, hi) for the images of each thread.
template <class Images> void Plain::over_images(Images&& images) {
  const int wanted = pool().threads();  // read once: another thread may change it meanwhile
  if (threads_ < wanted) {
    threads_ = wanted;
    scratch_ = Block(std::size_t(threads_ * scratch_elements_ + kLane) * sizeof(float));
  }
  pool().run(wanted, [&](int thread, int threads) {
    images(thread, threads, batch_ * thread / threads, batch_ * (thread + 1) / threads);
  });
}

void Plain::forward(const float* x, const float* w, float* y) {
  stored_.set(0, 0, w);
  const long in = w_.pixels() * w_.channels, out = w_.out_pixels() * filters_;
  over_images([&](int thread, int threads, long lo, long hi) {
    if (depthwise()) {
      for (long i = lo; i < hi; ++i) {
        k_.depthwise(w_, x + i * in, stored_.column(0), nullptr, y + i * out, false);
      }
      return;
    }
    const float* weight = stored_.column(0);
    if (const long units = conv_->pack_units(false)) {
      conv_->pack(false, weight, at(packed_), units * thread / threads,
                  units * (thread + 1) / threads, scratch(thread));
      if (threads > 1) pool().meet();
      weight = at(packed_);
    }
    conv_->forward(x + lo * in, in, weight, nullptr, false, y + lo * out, out, hi - lo, false,
                   scratch(thread));
  });
}

void Plain::backward_data(const float* dy, const float* w, float* dx) {
  stored_.set(0, 0, w);
  const long in = w_.pixels() * w_.channels, out = w_.out_pixels() * filters_;
  over_images([&](int thread, int threads, long lo, long hi) {
    if (depthwise()) {
      for (long i = lo; i < hi; ++i) {
        k_.depthwise_grad(w_, dy + i * out, stored_.column(0), nullptr, dx + i * in, false);
      }
      return;
    }
    const long units = conv_->pack_units(true);
    conv_->pack(true, stored_.column(0), at(packed_), units * thread / threads,
                units * (thread + 1) / threads, scratch(thread));
    if (threads > 1) pool().meet();
    conv_->data(dy + lo * out, out, at(packed_), nullptr, false, dx + lo * in, in, hi - lo, false,
                scratch(thread));
  });
}

void Plain::backward_weights(const float* x, const float* dy, float* dw) {
  const long in = w_.pixels() * w_.channels, out = w_.out_pixels() * filters_;
  const long size = stored_.layout().size;
  const long panels = depthwise() ? 1 : conv_->weight_units();
  const long copied = copied_images(w_, filters_, batch_), inner = batch_ - copied;
  std::copy_n(dy + inner * out, copied * out, at(last_));
  over_images([&](int thread, int threads, long, long) {
    const long units = weight_groups_ * panels;
    for (long u = units * thread / threads; u < units * (thread + 1) / threads; ++u) {
      const long group = u / panels, first = group * group_images_;
      const long last = std::min(batch_, first + group_images_);
      float* const to = at(partial_) + group * size;
      if (depthwise()) {
        for (long i = first; i < last; ++i) {
          k_.depthwise_grad_weight(w_, x + i * in, dy + i * out, to, i > first);
        }
        continue;
      }
      const long direct = std::max(0L, std::min(last, inner) - first),
                 from = std::max(first, inner);
      if (direct > 0) {
        conv_->weights(u % panels, x + first * in, in, dy + first * out, out, to, direct, false,
                       scratch(thread));
      }
      if (from < last) {
        conv_->weights(u % panels, x + from * in, in, at(last_) + (from - inner) * out, out, to,
                       last - from, direct > 0, scratch(thread));
      }
    }
  });
  k_.column_sum(at(partial_), size, nullptr, 0, weight_groups_, size, stored_.column(0), false);
  stored_.get(0, 0, dw);
}

}  // namespace

std::unique_ptr<cpu::Convolution> cpu::convolution(const Window& window, long filters, long groups,
                                                   long batch) {
  return std::make_unique<Plain>(window, filters, groups, batch);
}

}  // namespace steep
