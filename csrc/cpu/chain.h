// The objective of a chain of slim dense layers on small data, with samples side by side in vectors: ten units
// of a row would be padded to sixteen, while rows of samples are full. What any program gives is objective.h's;
// every sum here has the same terms in the same order, and so the same bytes.
#pragma once
#include <memory>
#include <vector>

#include "cpu/objective.h"

namespace steep {

template <class T> class Chain {
 public:
  // Of so many samples; null where the program is no such chain, or they would take too much memory.
  static std::unique_ptr<Chain> of(const Program& program, const Kernels<T>& kernels,
                                   const CpuStore<T>& weights, long rows);
  long rows() const { return rows_; }
  long bytes() const;  // that it takes, from when it has read samples

  // Takes the samples of a step that the plan has just run; false where their targets are of no kind known here.
  bool read(const Plan<T>& plan, const Step<T>& step);
  // As objective() of objective.h, of those samples: values and hits are the plan's, too.
  double objective(const Plan<T>& plan, const Step<T>& step, const Terms& terms, T* g, int threads);

 private:
  struct Layer {
    long in, out;
    int weight, bias;    // parameters; bias may be -1
    bool narrow;         // weights are stored as W^T
    int activation;      // -1 for none
    double alpha;        // its number
    bool keeps = false;  // its derivative wants its input
    // Places in a chunk's memory. Side by side: z and y (out, kStride) before and after the activation, dz; and
    // as rows, where its gradient goes along the outputs, dz (kRows, padded).
    long z = 0, y = 0, dz = 0, dz_rows = -1;
    long turned = -1;  // in sums_: the gradient of the weights as W^T, where they are not stored so
  };
  struct Task {
    int layer;
    long panel;
  };  // panel -1: the bias
  struct Loss {
    int index, term;
    double option;
    int target;
    bool couples;  // the outputs of a sample
  };

  Chain(const Kernels<T>& kernels, const CpuStore<T>& weights, long rows)
      : k_(kernels), weights_(weights), rows_(rows) {}
  static bool parse(const Program& program, Chain& to);
  void place();  // of everything, before there is memory
  void allocate();
  long count(long chunk) const;  // of its samples
  const Slice& slice(int parameter) const { return weights_.layout().slices[parameter]; }
  const T* parameter(int p) const { return weights_.column(0) + slice(p).offset; }
  Panels sides(const Layer& layer, bool by_input) const {
    return by_input ? Panels{layer.out, layer.in} : Panels{layer.in, layer.out};
  }
  // Vectors of a gradient's rows go along the inputs, of which there are rows, or along the outputs.
  bool by_input(std::size_t layer) const { return layer == 0 || layers_[layer].narrow; }

  void forward(long chunk, T* at) const;
  void loss(long chunk, T* at, const Step<T>& step) const;
  void backward(long chunk, T* at) const;
  void send_back(const Layer& layer, const T* dz, T* dx, long width) const;
  void turn(const Layer& layer, long chunk, T* at) const;
  void add(const Task& task, long chunk, const T* at, T* g);
  void finish(const Task& task, const Terms& terms, T* g) const;

  const Kernels<T>& k_;
  const CpuStore<T>& weights_;
  const long rows_;
  std::vector<Layer> layers_;
  std::vector<Task> tasks_;
  Loss loss_{};
  int input_ = -1;  // tensor
  long chunks_ = 0, turned_ = 0;
  long chunk_ = 0, inputs_ = 0;  // elements of a chunk's memory, and of its samples'
  Block memory_, samples_, sums_;
  const T* x_ = nullptr;  // the samples as rows, in the plan
  long x_ld_ = 0;
  PerRow<T> each_;
  bool labels_ = false, weighed_ = false;
};

}  // namespace steep
