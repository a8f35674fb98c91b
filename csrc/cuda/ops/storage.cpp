// What kernels take in bfloat16, op by op; and the largest choice of tensors that all ops agree with.
#include "cuda/ops/storage.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cuda/libraries/dnn.h"
#include "cuda/libraries/lt.h"
#include "graph/shared.h"

namespace steep::cuda {

namespace {

// An op's tensors that may be bfloat16; of a pair the first may be only where the second is.
struct Takes {
  std::vector<int> tensors = {};
  std::vector<std::pair<int, int>> only_with = {};

  Takes& with(std::initializer_list<int> more) {
    tensors.insert(tensors.end(), more);
    return *this;
  }
  Takes& alike(int a, int b) {
    only_with.insert(only_with.end(), {{a, b}, {b, a}});
    return with({a, b});
  }
};

// Operands and result of one product; what is done with the result afterwards reads each as it is. Every channel
// alone is no product.
Takes of_product(const ops::Convolving& a, int x, int result) {
  return a.depthwise ? Takes{{x, result}} : Takes{}.alike(x, result);
}
Takes forward_convolution(const ops::Convolving& a, const Op& op) {
  return of_product(a, op.in[0], op.before >= 0 ? op.before : op.out).with({op.out});
}
Takes backward_convolution(const ops::Convolving& a, const Op& op) {
  return of_product(a, op.in[0], op.out).with({op.stored});
}

Takes takes(const ops::Input& a, const Op& op) {
  return a.target || !a.scales.empty() ? Takes{} : Takes{{op.out}};
}
// Of a matrix of a few columns the rows that are as short stay float32: they are little, and met exactly.
Takes takes(const ops::MatMul& a, const Op& op, bool few) {
  if (!few) return {{op.in[0], op.before, op.out}};
  if (a.turned) return {{op.before, op.out}};
  return op.before >= 0 ? Takes{{op.in[0], op.out}} : Takes{{op.in[0]}};
}
Takes takes(const ops::MatMulGrad& a, const Op& op, bool few) {
  if (few && a.turned) return {{op.in[0], op.stored}};
  Takes takes = few ? Takes{} : Takes{{op.in[0]}};
  // The product's own end reads and writes the same kind.
  return op.stored >= 0 ? takes.alike(op.out, op.stored) : takes.with({op.out});
}
Takes takes(const ops::Conv& a, const Op& op) { return forward_convolution(a, op); }
Takes takes(const ops::ConvTranspose& a, const Op& op) { return forward_convolution(a, op); }
Takes takes(const ops::ConvGrad& a, const Op& op) { return backward_convolution(a, op); }
Takes takes(const ops::ConvTransposeGrad& a, const Op& op) { return backward_convolution(a, op); }
Takes takes(const ops::ConvGradWeight& a, const Op& op) {
  return of_product(a, op.in[0], op.in[1]);
}
Takes takes(const ops::SumPixels&, const Op& op) { return {{op.in[0]}}; }
Takes takes(const ops::BatchMoments&, const Op& op) { return {{op.in[0]}}; }
Takes takes(const ops::BatchNorm&, const Op& op) {
  return {{op.in[0], op.in.size() > 2 ? op.in[2] : -1, op.out}};
}
Takes takes(const ops::BatchNormSums&, const Op& op) { return {{op.in[0], op.in[1]}}; }
Takes takes(const ops::BatchNormGrad&, const Op& op) { return {{op.in[0], op.in[1], op.out}}; }
Takes takes(const ops::FeatureMoments&, const Op& op) { return {{op.in[0]}}; }
Takes takes(const ops::FeatureNorm&, const Op& op) { return {{op.in[0], op.out}}; }
Takes takes(const ops::FeatureNormSums&, const Op& op) { return {{op.in[0], op.in[1]}}; }
Takes takes(const ops::FeatureNormGrad&, const Op& op) { return {{op.in[0], op.in[1], op.out}}; }
Takes takes(const ops::PReLUShares&, const Op& op) { return {op.in}; }
Takes takes(const ops::Embedding&, const Op& op) { return {{op.out}}; }
// The gradient finds the largest by its bits, so a copy must not be rounded.
template <class A>
concept Largest = std::is_same_v<A, ops::MaxPool> || std::is_same_v<A, ops::Maxout>;
template <Largest A> Takes takes(const A&, const Op& op) {
  return {{op.in[0], op.out}, {{op.out, op.in[0]}}};
}

// What reads all of its tensors, and writes, each element by itself or sums of some.
template <class A, class... Of> constexpr bool kOneOf = (std::is_same_v<A, Of> || ...);
template <class A>
concept Plain =
    kOneOf<A, ops::MaxPoolGrad, ops::AvgPool, ops::AvgPoolGrad, ops::Activation,
           ops::ActivationGrad, ops::Add, ops::Subtract, ops::Multiply, ops::Divide,
           ops::DivideGrad, ops::Maximum, ops::Minimum, ops::WhereLarger, ops::Affine,
           ops::AffineChannels, ops::AddRow, ops::MultiplyRow, ops::Power, ops::PowerGrad,
           ops::Clip, ops::ClipGrad, ops::Sum, ops::Repeat, ops::Slice, ops::SliceGrad, ops::Pad,
           ops::Crop, ops::CopyColumns, ops::Softmax, ops::SoftmaxGrad, ops::PReLU, ops::PReLUGrad,
           ops::GLU, ops::GLUGrad, ops::MaxoutGrad, ops::Dropout, ops::StepDropout,
           ops::AlphaDropout, ops::RReLU, ops::RReLUGrad, ops::NormalLike, ops::UniformLike,
           ops::Bernoulli, ops::GaussianNoise, ops::Reparameterize, ops::ReparameterizeGrad,
           ops::AddTable>;
template <Plain A> Takes takes(const A&, const Op& op) { return Takes{op.in}.with({op.out}); }

Takes takes_of(const Op& op, const Layout& weights) {
  return std::visit(
      [&]<class A>(const A& a) -> Takes {
        if constexpr (requires { takes(a, op, true); })
          return takes(a, op, weights.slices[op.parameter(0)].narrow);
        else if constexpr (requires { takes(a, op); })
          return takes(a, op);
        return {};
      },
      op.what);
}

// Does a layer meet what it reads exactly, and not on tensor cores? Then data are not rounded before it.
bool exact(const Op& op, const Layout& weights) {
  if (op.as<ops::MatMul>() != nullptr) return weights.slices[op.parameter(0)].narrow;
  const auto* conv = op.as<ops::Conv>();
  return conv != nullptr && conv->depthwise;
}

// What a term of a parameter's gradient reads of the two; `few`: as above.
std::vector<int> taken(const GradTerm& t, bool few) {
  if (t.x_at.any() || t.dy_at.any() || t.second_half) return {};
  switch (t.form) {
    case GradTerm::Form::Outer: return few ? std::vector{t.x} : std::vector{t.x, t.dy};
    case GradTerm::Form::Sum:
    case GradTerm::Form::SumProduct: return {t.x, t.dy};
    case GradTerm::Form::Scatter: return {t.dy};
    case GradTerm::Form::Partial: return {};
  }
  return {};
}

class Choice {
 public:
  Choice(const Program& program, const Layout& weights)
      : root_(roots(program)), narrow_(program.tensors.size(), true) {
    for (std::size_t i = 0; i < narrow_.size(); ++i) {
      if (program.tensors[i].samples != 1) refuse(static_cast<int>(i));
    }
    for (const int x : program.outputs) refuse(x);
    std::set<int> data;
    for (const int x : program.inputs) data.insert(root_[x]);
    for (const Op& op : program.ops) {
      if (exact(op, weights) && data.contains(root_[op.in[0]])) refuse(op.in[0]);
    }
    for (std::size_t p = 0; p < program.terms.size(); ++p) {
      for (const GradTerm& t : program.terms[p]) {
        refuse_others({t.x, t.dy, t.lengths}, taken(t, weights.slices[p].narrow));
      }
    }
    std::vector<std::pair<int, int>> pairs;
    for (const Op& op : program.ops) {
      if (is_alias(op)) continue;
      const Takes takes = takes_of(op, weights);
      refuse_others(op.in, takes.tensors);
      refuse_others({op.out, op.before, op.stored}, takes.tensors);
      pairs.insert(pairs.end(), takes.only_with.begin(), takes.only_with.end());
    }
    // What is computed again becomes the same numbers again.
    for (const auto& [first, second] : program.again) {
      pairs.insert(pairs.end(), {{first, second}, {second, first}});
    }
    for (bool more = true; more;) more = settle(pairs);
  }
  bool operator[](int tensor) const { return narrow_[root_[tensor]]; }

 private:
  void refuse(int tensor) {
    if (tensor >= 0) narrow_[root_[tensor]] = false;
  }
  void refuse_others(const std::vector<int>& all, const std::vector<int>& taken) {
    for (const int x : all) {
      if (std::find(taken.begin(), taken.end(), x) == taken.end()) refuse(x);
    }
  }
  // Did a pair change anything?
  bool settle(const std::vector<std::pair<int, int>>& pairs) {
    bool changed = false;
    for (const auto& [a, b] : pairs) {
      if (a < 0 || b < 0 || !(*this)[a] || (*this)[b]) continue;
      refuse(a);
      changed = true;
    }
    return changed;
  }

  const std::vector<int> root_;
  std::vector<bool> narrow_;  // by root
};

}  // namespace

void store_narrow(Program& program, const Layout& weights, Products products) {
  if (products != Products::BFloat16 || lt::on() || dnn::on()) return;
  const Choice narrow(program, weights);
  for (std::size_t i = 0; i < program.tensors.size(); ++i) {
    if (narrow[static_cast<int>(i)]) program.tensors[i].format = Format::BFloat16;
  }
}

std::string narrow_tensors(const Program& program) {
  std::set<int> all, narrow;
  std::string names;
  for (const Op& op : program.ops) {
    if (op.out < 0 || is_alias(op) || !all.insert(op.out).second) continue;
    if (program.tensors[op.out].format != Format::BFloat16) continue;
    narrow.insert(op.out);
    names += (names.empty() ? "" : ", ") + std::string(name_of(op));
  }
  if (narrow.empty()) return "";
  return std::to_string(narrow.size()) + " of " + std::to_string(all.size()) +
         " tensors in bfloat16: " + names;
}

}  // namespace steep::cuda
