// What the rest of the core may ask of the processor itself: threads, instruction sets, and single kernels
// on plain arrays, for checks, benchmarks and tests. Networks run through executor.h.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/window.h"
#include "data/source.h"
#include "executor.h"

namespace steep::cpu {

inline constexpr int kMaxThreads = 4096;  // more are a mistake, and would be started

// Most threads of a job of the calling thread: its own limit where it has one, else everybody's.
// Refuses what the environment says about threads where it makes no sense.
int threads();
void set_threads(int n);    // everybody's limit
void limit_threads(int n);  // of the calling thread, 0 for none of its own
int usable_cpus();          // affinity mask and cgroup quotas, at least 1
// Processors that this process's own cgroups and all around them allow, 0 where none of them sets a
// limit. `root` stands before /proc and /sys.
int quota_cpus(const std::string& root);

// From the least to the best, "baseline" (the portable C++), "avx2", "avx512": those that this
// processor and its operating system run and STEEP_MAX_ISA allows. Numbers run on the last. A wrong
// value of the variable raises std::invalid_argument.
std::vector<std::string> isas();

// Turns the proof that padding is zero on or off, and returns what was found broken first since it was
// last turned, "" for nothing.
std::string check_invariants(bool on);

// Is |x| <= limit everywhere? No NaN is.
bool all_within(const Source& values, double limit);

// C = op(A) op(B): op(A) is (m, depth), op(B) is (depth, n), C is (m, n); op transposes where
// asked. Strides count elements between rows as stored. Each C(r, c) is summed over depth in
// ascending order: the same bits for any number of threads. C may not overlap A or B.
struct Matrix {
  const void* data;
  long stride;
  bool transposed;
};
void gemm(Format format, long m, long n, long depth, const Matrix& a, const Matrix& b, void* c,
          long stride);

// One step of an update rule on the one vector of a Store: its first column, slots in the others. The
// gradient is of the Store's format, knobs are the rule's own; look of a step must be look_next of the step
// before. False when a weight is not finite any more.
bool sweep(const Store& columns, int rule, const void* gradient, const double* knobs, double scale,
           double decay);
// out = first column - look * column v: the weights of a look-ahead rule.
void look_back(const Store& columns, int v, double look, void* out);

// Newton-Schulz on every matrix of a Store's first column, in place; see cpu/newton_schulz.h. The Store
// must outlive it. Results do not depend on the number of threads. One call at a time.
class Orthogonal {
 public:
  virtual ~Orthogonal() = default;
  virtual void run(int steps, double a, double b, double c, double eps) = 0;
  virtual long bytes() const = 0;  // of scratch memory
};
std::unique_ptr<Orthogonal> orthogonal(const Store& columns);

// Convolutions of batches in plain arrays: x (batch, height, width, channels), w (kernel height, kernel
// width, channels/groups, filters), y and dy (batch, out height, out width, filters); float32, C order.
// Results do not depend on the number of threads. One call at a time.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual void forward(const float* x, const float* w, float* y) = 0;
  virtual void backward_data(const float* dy, const float* w, float* dx) = 0;
  virtual void backward_weights(const float* x, const float* dy, float* dw) = 0;
};
std::unique_ptr<Convolution> convolution(const Window& window, long filters, long groups,
                                         long batch);

// Skip-gram with negative sampling (Mikolov et al. 2013) over sentences of words. What is drawn is a pure
// function of seed, epoch and place, and pairs are stepped one after the other: no result depends on threads.
struct SkipGramWords {
  std::vector<int32_t> words;   // of all sentences; each a row of both tables
  std::vector<int64_t> ends;    // of the sentences, ascending, the last words.size()
  std::vector<double> keep;     // of each row: how probably the word is kept in an epoch
  std::vector<double> weights;  // of each row: how often it is a negative; not all 0
  long window = 5,
       negatives = 5;  // contexts are up to 1 to `window` words away, drawn for each centre
  uint64_t seed = 0;
};
class SkipGram {
 public:
  virtual ~SkipGram() = default;
  // Draws which words an epoch keeps and returns how many; the others say which of those are meant.
  virtual long begin(uint32_t epoch) = 0;
  // The pairs of those centres: appends the centre's row, and 1 + negatives rows, the context's first.
  virtual void draw(long first, long last, std::vector<int32_t>& inputs,
                    std::vector<int32_t>& targets) const = 0;
  // A step of rate lr for each of their pairs. Tables are float32 or float64, rows `width` elements apart,
  // width a multiple of 16. Adds up the pairs' losses.
  virtual double step(Format format, void* inputs, void* outputs, long width, double lr, long first,
                      long last, long& pairs) = 0;
};
std::unique_ptr<SkipGram> skip_gram(SkipGramWords words);

}  // namespace steep::cpu
