// How an op becomes launches of kernels in dual numbers: what it is bound to, and a function for each op that has
// them. Those that have none are refused by name.
#pragma once
#include <functional>
#include <vector>

#include "cuda/kernels/tangent.h"
#include "cuda/ops/bind.h"

namespace steep::cuda {

// Of a pass: what goes back from its losses, and where the outputs' derivatives go.
struct DualProbe {
  enum Kind {
    kLoss,       // the loss's gradient, with its derivative
    kCurvature,  // the derivative alone
    kGiven,      // `back`; targets and losses are not looked at
  };
  Kind kind = kLoss;
  const double* back = nullptr;  // (rows, columns), or null for 0
  double* outputs = nullptr;     // (rows, columns), or null
};

// An op's tensors and parameters in device memory.
struct DualBound {
  std::vector<Duals> in;
  Duals out, before, stored;
  std::vector<DualNumber*> parameters;  // null where there is none
  DualFactor weight;                    // the first parameter, where it is a matrix
  bool accumulate = false;
  int samples = 1;  // that a row of out stands for
  // Of the plan: they may change between two launches.
  const Feed* feed = nullptr;
  const DualProbe* probe = nullptr;
  bool deals = false;               // the first input: it writes down which samples a batch has
  View gathered;                    // room for samples as they are, of an input
  const double* factors = nullptr;  // of each term's loss of a sample in the gradient
  // Numbers that kernels read, in device memory as long as the plan lives.
  std::function<const double*(const std::vector<double>&)> keep;
};

Launch bind(const ops::Input& op, const DualBound& to);
Launch bind(const ops::Loss& op, const DualBound& to);
Launch bind(const ops::MeanLoss& op, const DualBound& to);
Launch bind(const ops::MatMul& op, const DualBound& to);
Launch bind(const ops::MatMulGrad& op, const DualBound& to);
Launch bind(const ops::Activation& op, const DualBound& to);
Launch bind(const ops::ActivationGrad& op, const DualBound& to);
Launch bind(const ops::Add& op, const DualBound& to);
Launch bind(const ops::Subtract& op, const DualBound& to);
Launch bind(const ops::Multiply& op, const DualBound& to);
Launch bind(const ops::Divide& op, const DualBound& to);
Launch bind(const ops::DivideGrad& op, const DualBound& to);
Launch bind(const ops::Maximum& op, const DualBound& to);
Launch bind(const ops::Minimum& op, const DualBound& to);
Launch bind(const ops::WhereLarger& op, const DualBound& to);
Launch bind(const ops::Power& op, const DualBound& to);
Launch bind(const ops::PowerGrad& op, const DualBound& to);
Launch bind(const ops::Clip& op, const DualBound& to);
Launch bind(const ops::ClipGrad& op, const DualBound& to);
Launch bind(const ops::Affine& op, const DualBound& to);
Launch bind(const ops::AffineChannels& op, const DualBound& to);
Launch bind(const ops::AddRow& op, const DualBound& to);
Launch bind(const ops::MultiplyRow& op, const DualBound& to);
Launch bind(const ops::CopyColumns& op, const DualBound& to);
Launch bind(const ops::Softmax& op, const DualBound& to);
Launch bind(const ops::SoftmaxGrad& op, const DualBound& to);
Launch bind(const ops::Sum& op, const DualBound& to);
Launch bind(const ops::Repeat& op, const DualBound& to);
Launch bind(const ops::Slice& op, const DualBound& to);
Launch bind(const ops::SliceGrad& op, const DualBound& to);
Launch bind(const ops::Dropout& op, const DualBound& to);
Launch bind(const ops::AlphaDropout& op, const DualBound& to);
Launch bind(const ops::GaussianNoise& op, const DualBound& to);
Launch bind(const ops::PReLU& op, const DualBound& to);
Launch bind(const ops::PReLUGrad& op, const DualBound& to);
Launch bind(const ops::PReLUShares& op, const DualBound& to);
Launch bind(const ops::Maxout& op, const DualBound& to);
Launch bind(const ops::MaxoutGrad& op, const DualBound& to);

Launch bind(const ops::Conv& op, const DualBound& to);
Launch bind(const ops::ConvGrad& op, const DualBound& to);
Launch bind(const ops::ConvGradWeight& op, const DualBound& to);
Launch bind(const ops::ConvTranspose& op, const DualBound& to);
Launch bind(const ops::ConvTransposeGrad& op, const DualBound& to);
Launch bind(const ops::MaxPool& op, const DualBound& to);
Launch bind(const ops::MaxPoolGrad& op, const DualBound& to);
Launch bind(const ops::AvgPool& op, const DualBound& to);
Launch bind(const ops::AvgPoolGrad& op, const DualBound& to);
Launch bind(const ops::Upsample& op, const DualBound& to);
Launch bind(const ops::UpsampleGrad& op, const DualBound& to);
Launch bind(const ops::LocalNorm& op, const DualBound& to);
Launch bind(const ops::LocalNormGrad& op, const DualBound& to);
Launch bind(const ops::Pad& op, const DualBound& to);
Launch bind(const ops::Crop& op, const DualBound& to);

Launch bind(const ops::SumPixels& op, const DualBound& to);
Launch bind(const ops::BatchMoments& op, const DualBound& to);
Launch bind(const ops::BatchStatistics& op, const DualBound& to);
Launch bind(const ops::FrozenStatistics& op, const DualBound& to);
Launch bind(const ops::BatchNorm& op, const DualBound& to);
Launch bind(const ops::BatchNormSums& op, const DualBound& to);
Launch bind(const ops::BatchNormGradients& op, const DualBound& to);
Launch bind(const ops::BatchNormGrad& op, const DualBound& to);
Launch bind(const ops::FeatureMoments& op, const DualBound& to);
Launch bind(const ops::FeatureNorm& op, const DualBound& to);
Launch bind(const ops::FeatureNormSums& op, const DualBound& to);
Launch bind(const ops::FeatureNormGrad& op, const DualBound& to);

}  // namespace steep::cuda
