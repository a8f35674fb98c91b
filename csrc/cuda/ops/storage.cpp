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

  static Takes alike(std::vector<int> tensors) {
    Takes takes{std::move(tensors)};
    for (const int a : takes.tensors) {
      for (const int b : takes.tensors) takes.only_with.emplace_back(a, b);
    }
    return takes;
  }
  Takes& with(std::initializer_list<int> more) {
    tensors.insert(tensors.end(), more);
    return *this;
  }
};

// Operands and result of one product; what is done with the result afterwards reads each as it is.
Takes of_product(const ops::Convolving& a, int x, int result) {
  return a.depthwise ? Takes{} : Takes::alike({x, result});
}
Takes forward_convolution(const ops::Convolving& a, const Op& op) {
  Takes takes = of_product(a, op.in[0], op.before >= 0 ? op.before : op.out);
  return a.depthwise ? takes : takes.with({op.out});
}
Takes backward_convolution(const ops::Convolving& a, const Op& op) {
  Takes takes = of_product(a, op.in[0], op.out);
  return a.depthwise ? takes : takes.with({op.stored});
}

Takes takes(const ops::Input& a, const Op& op) {
  return a.target || !a.scales.empty() ? Takes{} : Takes{{op.out}};
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
// The gradient finds the largest by its bits, so a copy must not be rounded.
Takes takes(const ops::MaxPool&, const Op& op) {
  return {{op.in[0], op.out}, {{op.out, op.in[0]}}};
}
Takes takes(const ops::MaxPoolGrad&, const Op& op) {
  return {{op.in[0], op.in[1], op.in[2], op.out}};
}
template <class A>
concept Plain =  // each element by itself, or a sum of some
    std::is_same_v<A, ops::AvgPool> || std::is_same_v<A, ops::AvgPoolGrad> ||
    std::is_same_v<A, ops::Activation> || std::is_same_v<A, ops::ActivationGrad> ||
    std::is_same_v<A, ops::Add> || std::is_same_v<A, ops::Pad> || std::is_same_v<A, ops::Crop> ||
    std::is_same_v<A, ops::CopyColumns>;
template <Plain A> Takes takes(const A&, const Op& op) { return Takes{op.in}.with({op.out}); }
Takes takes(const ops::Affine& a, const Op& op) {
  return a.scalar >= 0 ? Takes{} : Takes{{op.in[0], op.out}};
}
Takes takes(const ops::Dropout& a, const Op& op) {
  return a.scalar >= 0 ? Takes{} : Takes{{op.in[0], op.out}};
}

Takes takes_of(const Op& op) {
  return std::visit(
      [&]<class A>(const A& a) -> Takes {
        if constexpr (requires { takes(a, op); }) return takes(a, op);
        return {};
      },
      op.what);
}

class Choice {
 public:
  explicit Choice(const Program& program)
      : root_(roots(program)), narrow_(program.tensors.size(), true) {
    for (std::size_t i = 0; i < narrow_.size(); ++i) {
      if (program.tensors[i].samples != 1) refuse(static_cast<int>(i));
    }
    for (const int x : program.outputs) refuse(x);
    for (const auto& terms : program.terms) {
      for (const GradTerm& t : terms) {
        for (const int x : {t.x, t.dy, t.lengths}) refuse(x);
      }
    }
    for (const Op& op : program.ops) {
      if (!is_alias(op)) refuse_others(op, takes_of(op).tensors);
    }
    for (bool more = true; more;) more = settle(program);
  }
  bool operator[](int tensor) const { return narrow_[root_[tensor]]; }

 private:
  void refuse(int tensor) {
    if (tensor >= 0) narrow_[root_[tensor]] = false;
  }
  void refuse_others(const Op& op, const std::vector<int>& taken) {
    const auto look = [&](int x) {
      if (std::find(taken.begin(), taken.end(), x) == taken.end()) refuse(x);
    };
    for (const int x : op.in) look(x);
    for (const int x : {op.out, op.before, op.stored}) look(x);
  }
  // Did a pair change anything? What is computed again becomes the same numbers again.
  bool settle(const Program& program) {
    bool changed = false;
    const auto only_with = [&](int a, int b) {
      if (!(*this)[a] || (*this)[b]) return;
      refuse(a);
      changed = true;
    };
    for (const Op& op : program.ops) {
      if (is_alias(op)) continue;
      for (const auto& [a, b] : takes_of(op).only_with) only_with(a, b);
    }
    for (const auto& [first, second] : program.again) {
      only_with(first, second);
      only_with(second, first);
    }
    return changed;
  }

  const std::vector<int> root_;
  std::vector<bool> narrow_;  // by root
};

}  // namespace

void store_narrow(Program& program, Products products) {
  if (products != Products::BFloat16 || lt::on() || dnn::on()) return;
  const Choice narrow(program);
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
