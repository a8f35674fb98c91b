// The list of ops, and an op as graphs, plans and devices hand it around: tensors, parameters, and
// which of the list it is. A new op is a pair of files here and a word below.
#pragma once
#include <variant>

#include "base/list.h"
#include "ops/arithmetic.h"
#include "ops/attention.h"
#include "ops/axes.h"
#include "ops/conv.h"
#include "ops/dense.h"
#include "ops/detach.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/ends.h"
#include "ops/feature_norm.h"
#include "ops/gates.h"
#include "ops/kept.h"
#include "ops/lrn.h"
#include "ops/noise.h"
#include "ops/norm.h"
#include "ops/pointwise.h"
#include "ops/pool.h"
#include "ops/recurrent.h"
#include "ops/shape.h"
#include "ops/softmax.h"
#include "ops/sparse.h"
#include "ops/spectral.h"
#include "ops/upsample.h"

namespace steep {

namespace ops {

using All = List<  // in any order
    Input, MatMul, MatMulGrad, Activation, ActivationGrad, Add, Subtract, Multiply, Affine,
    AffineChannels, AddRow, MultiplyRow, CopyColumns, Reshape, Softmax, SoftmaxGrad, Dropout, Loss,
    MeanLoss, Conv, ConvPack, ConvGrad, ConvGradWeight, ConvTranspose, ConvTransposeGrad, SumPixels,
    MaxPool, MaxPoolGrad, AvgPool, AvgPoolGrad, Upsample, UpsampleGrad, LocalNorm, LocalNormGrad,
    Pad, Crop, BatchMoments, BatchStatistics, FrozenStatistics, BatchNorm, BatchNormSums,
    BatchNormGradients, BatchNormGrad, PReLU, PReLUGrad, PReLUShares, GLU, GLUGrad, Maxout,
    MaxoutGrad, AlphaDropout, RReLU, RReLUGrad, StopGradient, GradientReversal, NormalLike,
    UniformLike, Bernoulli, GaussianNoise, Reparameterize, ReparameterizeGrad, Divide, DivideGrad,
    Power, PowerGrad, Clip, ClipGrad, Maximum, Minimum, WhereLarger, Sum, Repeat, Slice, SliceGrad,
    SpectralNorm, SpectralVectors, SpectralScale, SpectralShares, SparseProduct, SparseMatMul,
    SparseMatMulGrad, SparseMatMulFactors, KeptRows, KeepRows, Recurrent, RecurrentPack,
    RecurrentGrad, RecurrentInputGrad, StepDropout, Embedding, AddTable, FeatureNorm,
    FeatureMoments, FeatureNormGrad, FeatureNormSums, Attention, MaskedAttention, AttentionGrad,
    BatchMatMul>;

template <class List> struct VariantOf;
template <class... A> struct VariantOf<List<A...>> { using type = std::variant<A...>; };

// Which of the list an op is. Copied and moved in one place: op.cpp.
struct Attributes : VariantOf<All>::type {
  using VariantOf<All>::type::variant;
  Attributes();
  Attributes(const Attributes& other);
  Attributes(Attributes&& other) noexcept;
  Attributes& operator=(const Attributes& other);
  Attributes& operator=(Attributes&& other) noexcept;
  ~Attributes();
};

}  // namespace ops

struct Op {
  ops::Attributes what;
  std::vector<int> in = {};  // tensors read
  std::vector<int> parameters = {};
  int out = -1;             // tensor written
  int before = -1;          // written besides: the input of a fused activation whose f' wants it
  int stored = -1;          // what a fused f' reads
  bool accumulate = false;  // out += instead of out =
  int recompute = 0;        // the block whose activations are computed again for the backward pass
  std::string layer = {};   // who asked for it, for messages

  int parameter(std::size_t i) const { return i < parameters.size() ? parameters[i] : -1; }
  template <class A> const A* as() const { return std::get_if<A>(&what); }
  template <class A> A* as() { return std::get_if<A>(&what); }
};

// Does it read or write more than the rows of one sample? Threads meet before and after such ops.
inline bool crosses_samples(const Op& op) {
  return std::visit(
      []<class A>(const A& a) {
        if constexpr (requires { a.crosses(); }) return a.crosses();
        return requires { A::kCrosses; };
      },
      op.what);
}
// What it computes, as it is called.
inline const char* name_of(const Op& op) {
  return std::visit([]<class A>(const A&) { return A::kName; }, op.what);
}
// Is its result its input under another name?
inline bool is_alias(const Op& op) {
  return std::visit([]<class A>(const A&) { return requires { A::kAlias; }; }, op.what);
}
// Does its result lie where its first input lay, which nobody reads any more?
inline bool is_in_place(const Op& op) {
  return std::visit([]<class A>(const A&) { return requires { A::kInPlace; }; }, op.what);
}
// The activation it applies or takes the derivative of; null where it can do neither.
inline Fused* fused(Op& op) {
  return std::visit(
      []<class A>(A& a) -> Fused* {
        if constexpr (requires { a.f; }) return &a.f;
        return nullptr;
      },
      op.what);
}

}  // namespace steep
