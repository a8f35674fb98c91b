// Which pairs of words skip-gram steps over: what is kept, windows, negatives. The steps themselves are
// cpu/kernels/skip_gram.cpp's.
#include <algorithm>
#include <utility>

#include "cpu.h"
#include "cpu/threads.h"
#include "cpu/word_kernels.h"

namespace steep {
namespace {

// Draws k with probability weights[k]/sum in two looks (Walker 1977, Vose 1991).
class Alias {
 public:
  explicit Alias(const std::vector<double>& weights)
      : stay_(weights.size(), ~0u), other_(weights.size()) {
    const long n = static_cast<long>(weights.size());
    double sum = 0;
    for (const double w : weights) sum += w;
    std::vector<double> share(n);
    std::vector<int32_t> poor, rich;
    for (long k = 0; k < n; ++k) {
      share[k] = weights[k] / sum * static_cast<double>(n);
      other_[k] = static_cast<int32_t>(k);
      (share[k] < 1 ? poor : rich).push_back(static_cast<int32_t>(k));
    }
    while (!poor.empty() && !rich.empty()) {
      const int32_t low = poor.back(), high = rich.back();
      poor.pop_back();
      stay_[low] = static_cast<uint32_t>(std::min(share[low] * 0x1p32, 0x1p32 - 1));
      other_[low] = high;
      share[high] -= 1 - share[low];
      if (share[high] < 1) {
        rich.pop_back();
        poor.push_back(high);
      }
    }
  }
  int32_t operator()(uint32_t word) const {
    const uint64_t product = uint64_t{word} * stay_.size();
    const std::size_t cell = product >> 32;
    return static_cast<uint32_t>(product) < stay_[cell] ? static_cast<int32_t>(cell) : other_[cell];
  }

 private:
  std::vector<uint32_t> stay_;
  std::vector<int32_t> other_;
};

constexpr uint64_t kCoins = ~uint64_t{0};  // the row of random words that are no centre's own
constexpr long kCoinBlock = 1024;          // words of the text whose coins are drawn at a time
constexpr long kCentres = 64;              // whose pairs are drawn at a time

class Native final : public cpu::SkipGram {
 public:
  explicit Native(cpu::SkipGramWords given)
      : of_(std::move(given)), negative_(of_.weights), coins_(4 * (kCoinBlock + kMoreBlocks)) {}

  long begin(uint32_t epoch) override {
    epoch_ = epoch;
    kept_.clear();
    long start = 0;
    for (const int64_t end : of_.ends) {
      const std::size_t first = kept_.size();
      for (long lo = start; lo < end; lo += kCoinBlock)
        keep(lo, std::min<long>(lo + kCoinBlock, end));
      for (std::size_t i = first; i < kept_.size(); ++i) {
        Kept& k = kept_[i];
        k.before = static_cast<int32_t>(std::min<std::size_t>(k.before, i - first));
        k.after = static_cast<int32_t>(std::min<std::size_t>(k.after, kept_.size() - 1 - i));
      }
      start = end;
    }
    return static_cast<long>(kept_.size());
  }

  void draw(long first, long last, std::vector<int32_t>& inputs,
            std::vector<int32_t>& targets) const override {
    std::vector<uint32_t> bits;
    for (long i = first; i < last; ++i) {
      const Kept& centre = kept_[i];
      const long contexts = centre.before + centre.after, drawn = contexts * of_.negatives;
      bits.resize(std::max<std::size_t>(bits.size(), drawn + 4 * (1 + kMoreBlocks)));
      words_of(static_cast<uint64_t>(i), 0, ceil_div(drawn, 4), bits.data());
      const uint32_t* bit = bits.data();
      for (long j = i - centre.before; j <= i + centre.after; ++j) {
        if (j == i) continue;
        inputs.push_back(centre.word);
        targets.push_back(kept_[j].word);
        for (long k = 0; k < of_.negatives; ++k) targets.push_back(negative_(*bit++));
      }
    }
  }

  double step(Format format, void* inputs, void* outputs, long width, double lr, long first,
              long last, long& pairs) override {
    double loss = 0;
    pool().run(1, [&](int, int) {  // where denormals are flushed
      loss = format == Format::Float64
                 ? steps(static_cast<double*>(inputs), static_cast<double*>(outputs), width, lr,
                         first, last, pairs)
                 : steps(static_cast<float*>(inputs), static_cast<float*>(outputs), width,
                         static_cast<float>(lr), first, last, pairs);
    });
    return loss;
  }

 private:
  struct Kept { int32_t word, before, after; };  // contexts on each side

  void words_of(uint64_t row, uint32_t first, long blocks, uint32_t* words) const {
    word_kernels<float>().random_words(of_.seed, row, epoch_, first, blocks, words);
  }

  // Of the block of the i-th word of the text, one number says whether it is kept, one how far it sees.
  void keep(long lo, long hi) {
    words_of(kCoins, static_cast<uint32_t>(lo), hi - lo, coins_.data());
    for (long i = lo; i < hi; ++i) {
      const uint32_t* const coin = &coins_[4 * (i - lo)];
      const int32_t word = of_.words[i];
      if (static_cast<double>(coin[0]) >= of_.keep[word] * 0x1p32) continue;
      const auto reach =
          static_cast<int32_t>(1 + (uint64_t{coin[1]} * static_cast<uint64_t>(of_.window) >> 32));
      kept_.push_back({word, reach, reach});
    }
  }

  template <class T>
  double steps(T* inputs, T* outputs, long width, T lr, long first, long last, long& pairs) {
    const long each = 1 + of_.negatives;
    std::vector<int32_t> input, target;
    std::vector<T> scratch;
    double loss = 0;
    for (long lo = first; lo < last; lo += kCentres) {
      input.clear();
      target.clear();
      draw(lo, std::min(lo + kCentres, last), input, target);
      const long n = static_cast<long>(input.size());
      scratch.resize(std::max(scratch.size(), std::size_t(skip_gram_scratch(n, each))));
      loss += word_kernels<T>().skip_gram(
          {inputs, outputs, width, input.data(), target.data(), n, each, lr, scratch.data()});
      pairs += n;
    }
    return loss;
  }

  const cpu::SkipGramWords of_;
  const Alias negative_;
  std::vector<uint32_t> coins_;
  std::vector<Kept> kept_;
  uint32_t epoch_ = 0;
};

}  // namespace

std::unique_ptr<cpu::SkipGram> cpu::skip_gram(SkipGramWords words) {
  return std::make_unique<Native>(std::move(words));
}

}  // namespace steep
