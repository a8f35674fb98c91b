// How an op becomes launches: what it is bound to, and a function for each op that has kernels. Those that
// have none are refused by name.
#pragma once
#include <cmath>
#include <functional>
#include <vector>

#include "cuda/kernels/images.h"
#include "cuda/ops/libraries.h"
#include "graph/program.h"
#include "ops/list.h"

namespace steep::cuda {

using Launch = std::function<void(const Place&)>;

// Where the batches of now are read from.
struct Feed {
  Deal deal{};
  uint64_t seed = 0;                     // of what ops draw
  std::vector<Samples> inputs, targets;  // of targets those that are values
  Augmented augmented{};                 // of the one input
  std::vector<Truth> truths;             // of each loss
};

// An op's tensors and parameters in device memory.
struct Bound {
  std::vector<View> in;
  View out, before, stored;
  std::vector<float*> parameters;  // null where there is none
  Weight weight;                   // the first parameter, where it is a matrix
  bool narrow = false;             // stored as W^T
  bool accumulate = false;
  int samples = 1;             // that a row of out stands for
  const Feed* feed = nullptr;  // of the plan: it may change between two launches
  Losses losses{};             // of the loss that it is
  bool deals = false;          // the first input: it writes down which samples a batch has
  Aid* aid = nullptr;          // where libraries are on
  // Numbers that kernels read, in device memory as long as the plan lives.
  std::function<const float*(const std::vector<double>&)> keep;
  std::function<SparseRows(const SparseRows&)> lay;  // the same of a matrix
};

// An element is kept where its word reaches this: probability 1 - rate to 32 bits.
inline uint32_t threshold_of(double rate) {
  return static_cast<uint32_t>(std::llround(rate * 4294967296.0));
}

inline Function function_of(const Fused& f) { return {f.activation, static_cast<float>(f.alpha)}; }

Launch bind(const ops::Input& op, const Bound& to);
Launch bind(const ops::Loss& op, const Bound& to);
Launch bind(const ops::MeanLoss& op, const Bound& to);
Launch bind(const ops::MatMul& op, const Bound& to);
Launch bind(const ops::MatMulGrad& op, const Bound& to);
Launch bind(const ops::Activation& op, const Bound& to);
Launch bind(const ops::ActivationGrad& op, const Bound& to);
Launch bind(const ops::Add& op, const Bound& to);
Launch bind(const ops::Subtract& op, const Bound& to);
Launch bind(const ops::Multiply& op, const Bound& to);
Launch bind(const ops::Affine& op, const Bound& to);
Launch bind(const ops::AffineChannels& op, const Bound& to);
Launch bind(const ops::AddRow& op, const Bound& to);
Launch bind(const ops::MultiplyRow& op, const Bound& to);
Launch bind(const ops::CopyColumns& op, const Bound& to);
Launch bind(const ops::Pad& op, const Bound& to);
Launch bind(const ops::Crop& op, const Bound& to);
Launch bind(const ops::Softmax& op, const Bound& to);
Launch bind(const ops::SoftmaxGrad& op, const Bound& to);
Launch bind(const ops::Dropout& op, const Bound& to);
Launch bind(const ops::AlphaDropout& op, const Bound& to);
Launch bind(const ops::RReLU& op, const Bound& to);
Launch bind(const ops::RReLUGrad& op, const Bound& to);
Launch bind(const ops::PReLU& op, const Bound& to);
Launch bind(const ops::PReLUGrad& op, const Bound& to);
Launch bind(const ops::PReLUShares& op, const Bound& to);
Launch bind(const ops::GLU& op, const Bound& to);
Launch bind(const ops::GLUGrad& op, const Bound& to);
Launch bind(const ops::Maxout& op, const Bound& to);
Launch bind(const ops::MaxoutGrad& op, const Bound& to);
Launch bind(const ops::Divide& op, const Bound& to);
Launch bind(const ops::DivideGrad& op, const Bound& to);
Launch bind(const ops::Power& op, const Bound& to);
Launch bind(const ops::PowerGrad& op, const Bound& to);
Launch bind(const ops::Clip& op, const Bound& to);
Launch bind(const ops::ClipGrad& op, const Bound& to);
Launch bind(const ops::Maximum& op, const Bound& to);
Launch bind(const ops::Minimum& op, const Bound& to);
Launch bind(const ops::WhereLarger& op, const Bound& to);
Launch bind(const ops::Sum& op, const Bound& to);
Launch bind(const ops::Repeat& op, const Bound& to);
Launch bind(const ops::Slice& op, const Bound& to);
Launch bind(const ops::SliceGrad& op, const Bound& to);

Launch bind(const ops::Recurrent& op, const Bound& to);
Launch bind(const ops::RecurrentPack& op, const Bound& to);
Launch bind(const ops::RecurrentGrad& op, const Bound& to);
Launch bind(const ops::RecurrentInputGrad& op, const Bound& to);

Launch bind(const ops::SparseProduct& op, const Bound& to);
Launch bind(const ops::SparseMatMul& op, const Bound& to);
Launch bind(const ops::SparseMatMulGrad& op, const Bound& to);
Launch bind(const ops::SparseMatMulFactors& op, const Bound& to);

Launch bind(const ops::NormalLike& op, const Bound& to);
Launch bind(const ops::UniformLike& op, const Bound& to);
Launch bind(const ops::Bernoulli& op, const Bound& to);
Launch bind(const ops::GaussianNoise& op, const Bound& to);
Launch bind(const ops::Reparameterize& op, const Bound& to);
Launch bind(const ops::ReparameterizeGrad& op, const Bound& to);
Launch bind(const ops::KeptRows& op, const Bound& to);
Launch bind(const ops::KeepRows& op, const Bound& to);
Launch bind(const ops::Conv& op, const Bound& to);
Launch bind(const ops::ConvGrad& op, const Bound& to);
Launch bind(const ops::ConvGradWeight& op, const Bound& to);
Launch bind(const ops::ConvTranspose& op, const Bound& to);
Launch bind(const ops::ConvTransposeGrad& op, const Bound& to);
Launch bind(const ops::SumPixels& op, const Bound& to);
Launch bind(const ops::MaxPool& op, const Bound& to);
Launch bind(const ops::MaxPoolGrad& op, const Bound& to);
Launch bind(const ops::AvgPool& op, const Bound& to);
Launch bind(const ops::AvgPoolGrad& op, const Bound& to);
Launch bind(const ops::Upsample& op, const Bound& to);
Launch bind(const ops::UpsampleGrad& op, const Bound& to);
Launch bind(const ops::LocalNorm& op, const Bound& to);
Launch bind(const ops::LocalNormGrad& op, const Bound& to);
Launch bind(const ops::BatchMoments& op, const Bound& to);
Launch bind(const ops::BatchStatistics& op, const Bound& to);
Launch bind(const ops::FrozenStatistics& op, const Bound& to);
Launch bind(const ops::BatchNorm& op, const Bound& to);
Launch bind(const ops::BatchNormSums& op, const Bound& to);
Launch bind(const ops::BatchNormGradients& op, const Bound& to);
Launch bind(const ops::BatchNormGrad& op, const Bound& to);
Launch bind(const ops::SpectralNorm& op, const Bound& to);
Launch bind(const ops::SpectralVectors& op, const Bound& to);
Launch bind(const ops::SpectralScale& op, const Bound& to);
Launch bind(const ops::SpectralShares& op, const Bound& to);
Launch bind(const ops::Attention& op, const Bound& to);
Launch bind(const ops::MaskedAttention& op, const Bound& to);
Launch bind(const ops::AttentionGrad& op, const Bound& to);

Launch bind(const ops::Embedding& op, const Bound& to);
Launch bind(const ops::AddTable& op, const Bound& to);
Launch bind(const ops::BatchMatMul& op, const Bound& to);
Launch bind(const ops::StepDropout& op, const Bound& to);
Launch bind(const ops::FeatureMoments& op, const Bound& to);
Launch bind(const ops::FeatureNorm& op, const Bound& to);
Launch bind(const ops::FeatureNormSums& op, const Bound& to);
Launch bind(const ops::FeatureNormGrad& op, const Bound& to);

// Gives recurrent layers the weights as they are stored, and the room their kernels want. Which packs are read yet?
void prepare_recurrent(Program& program);
bool reads_pack(const Op& op);

// What an op does besides once a step's update is done, where it does anything; and what it looks at before.
Launch follow(const ops::BatchStatistics& op, const Bound& to);
Launch follow(const ops::SpectralVectors& op, const Bound& to);
Launch follow(const ops::KeepRows& op, const Bound& to);
Launch check(const ops::BatchStatistics& op, const Bound& to);

}  // namespace steep::cuda
