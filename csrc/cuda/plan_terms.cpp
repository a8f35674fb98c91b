// Binds the terms of gradients to products and sums over the rows of a batch, and cuts parameters into tasks.
#include <algorithm>

#include "base/error.h"
#include "cuda/kernels/recurrent.h"
#include "cuda/plan.h"

namespace steep::cuda {

namespace {

constexpr long kBlockRows = 64, kLowRows = 16, kBlockColumns = 512;  // of matrices, and of a vector

}  // namespace

Tasks::Tasks(const Layout& layout, const std::vector<bool>& moved, bool repeats) {
  for (std::size_t p = 0; p < layout.slices.size(); ++p) {
    const Slice& s = layout.slices[p];
    first.push_back(static_cast<int>(all.size()));
    if (!moved[p]) continue;
    const long length = s.matrix ? s.rows : padded(s.columns);
    const long step = !s.matrix ? kBlockColumns : repeats ? kLowRows : kBlockRows;
    for (long lo = 0; lo < length; lo += step) {
      for (long panel = 0; panel < (s.matrix ? s.panels().count() : 1); ++panel) {
        const long width = s.matrix ? s.panels().width(panel) : 1;
        const long offset = s.matrix ? s.panels().offset(panel) + lo * width : lo;
        all.push_back({s.offset + offset, static_cast<int>(std::min(step, length - lo) * width),
                       static_cast<int>(p), static_cast<int>(all.size()),
                       s.matrix ? static_cast<int>(width) : static_cast<int>(step)});
      }
    }
  }
  first.push_back(static_cast<int>(all.size()));
}

std::size_t bytes_of_buckets(const GradTerm& t, long capacity) {
  if (t.form != GradTerm::Form::Scatter || t.x < 0) return 0;
  const long ids = capacity * t.positions, counts = ceil_div(ids, kStretch) * kBuckets;
  return static_cast<std::size_t>(ids) * sizeof(Named) +
         static_cast<std::size_t>(counts + kBuckets + 1) * sizeof(int);
}

Buckets Plan::buckets(const GradTerm& t) {
  if (t.x < 0) return {};
  const long ids = capacity_ * t.positions, counts = ceil_div(ids, kStretch) * kBuckets;
  const Memory& all = buckets_.emplace_back(bytes_of_buckets(t, capacity_));
  int* const numbers = all.as<int>(ids * static_cast<long>(sizeof(Named)));
  return {all.as<Named>(), numbers, numbers + counts};
}

void Plan::bind_terms() {
  std::vector<bool> back(program_.tensors.size(), false);  // written on the way back
  for (std::size_t i = backward_; i < calls_.size(); ++i) {
    if (calls_[i].out >= 0) back[calls_[i].out] = true;
  }
  for (const Op& op : program_.ops) {  // and what is such a tensor under another name
    if (is_alias(op) && back[op.in[0]]) back[op.out] = true;
  }
  const auto waits = [&](const GradTerm& t) { return back[t.dy] || (t.x >= 0 && back[t.x]); };
  std::vector<bool> beside(program_.terms.size(), false);  // summed with the weight's product
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    const int bias = program_.trains.empty() ? -1 : bias_of(static_cast<int>(p));
    if (bias >= 0) beside[bias] = true;
  }
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    if (program_.trains.empty() || !program_.trains[p] || beside[p]) continue;
    const auto& terms = program_.terms[p];
    const bool late = std::any_of(terms.begin(), terms.end(), waits);
    const int parameter = static_cast<int>(p);
    bind_terms_of(parameter, bias_of(parameter), late);
  }
}

// The vector whose only term are the sums of what a matrix's only term is a product with; or -1. A
// vector is the first such matrix's.
int Plan::bias_of(int parameter) const {
  const auto only = [&](std::size_t p, GradTerm::Form form, int dy) {
    const auto& terms = program_.terms[p];
    return program_.trains[p] && terms.size() == 1 && terms[0].form == form &&
           !terms[0].second_half && terms[0].positions == 1 && (dy < 0 || terms[0].dy == dy);
  };
  const auto outer = GradTerm::Form::Outer;
  if (!only(static_cast<std::size_t>(parameter), outer, -1)) return -1;
  const int dy = program_.terms[parameter][0].dy;
  for (int p = 0; p < parameter; ++p) {
    if (only(static_cast<std::size_t>(p), outer, dy)) return -1;
  }
  for (std::size_t p = 0; p < program_.terms.size(); ++p) {
    const bool whole = weights_->layout().slices[p].columns == program_.tensors[dy].width;
    if (whole && only(p, GradTerm::Form::Sum, dy)) return static_cast<int>(p);
  }
  return -1;
}

// Of tensors whose rows hold more than the term's numbers.
Plan::Term Plan::sown_term(const GradTerm& t, const Slice& s, bool add) const {
  const auto sown = [&](int tensor, const Stride& at) {
    View of = view(tensor);
    of.data += at.first;
    return Sown{of, static_cast<int>(at.each > 0 ? at.each : of.columns / t.positions)};
  };
  return [=, x = sown(t.x, t.x_at), dz = sown(t.dy, t.dy_at), lengths = view(t.lengths),
          positions = static_cast<int>(t.positions), panels = s.panels(), narrow = s.narrow,
          at = s.offset](const Place& p, float* g, bool more) {
    positions_grad_weight(p, x, dz, positions, lengths, {{g + at, panels}, narrow}, add || more);
  };
}

void Plan::bind_terms_of(int parameter, int bias, bool late) {
  std::vector<Term>& to = late ? late_ : early_;
  const Slice& s = weights_->layout().slices[parameter];
  const long at_bias = bias < 0 ? -1 : weights_->layout().slices[bias].offset;
  bool accumulate = false;
  for (const GradTerm& t : program_.terms[parameter]) {
    View dy = view(t.dy);
    const View x = view(t.x);
    if (t.second_half) dy.data += dy.columns / 2;
    if (t.form == GradTerm::Form::Outer && (t.x_at.any() || t.dy_at.any())) {
      to.push_back(sown_term(t, s, accumulate));
      accumulate = true;
      continue;
    }
    dy.data += t.dy_at.first;
    const long outputs = s.narrow ? s.rows : s.columns;  // a vector of more may lie there
    if (t.form != GradTerm::Form::Partial) dy.columns = static_cast<int>(outputs * t.positions);
    const long at = s.offset;
    const bool add = accumulate;
    switch (t.form) {
      case GradTerm::Form::Outer: {
        const Factor w{{nullptr, s.panels()}, s.narrow, false, static_cast<int>(t.positions)};
        to.push_back([=, by = matmul_grad_weight_by(aid_.get(), !late, x, dy, w)](
                         const Place& p, float* g, bool more) {
          float* const sums = at_bias < 0 ? nullptr : g + at_bias;
          const bool apart = more && sums != nullptr;  // that kernel's sums begin anew
          Factor dw = w;
          dw.w.data = g + at;
          by(p, x, dy, dw, add || more, apart ? nullptr : sums);
          if (apart) column_sums(p, dy, {}, sums, true);
        });
        break;
      }
      case GradTerm::Form::Sum:
        to.push_back([=](const Place& p, float* g, bool more) {
          column_sums(p, dy, {}, g + at, add || more);
        });
        break;
      case GradTerm::Form::SumProduct:
        to.push_back([=](const Place& p, float* g, bool more) {
          column_sums(p, dy, x, g + at, add || more);
        });
        break;
      case GradTerm::Form::Scatter: {
        const int rows = static_cast<int>(s.narrow ? s.columns : s.rows);
        const Table table{{nullptr, s.panels()},
                          s.narrow,
                          rows,
                          static_cast<int>(outputs),
                          static_cast<int>(t.positions)};
        to.push_back([=, skipped = static_cast<int>(t.skipped), all = buckets(t)](
                         const Place& p, float* g, bool more) {
          Table dw = table;
          dw.w.data = g + at;
          x.data == nullptr ? sum_tables(p, dw, dy, add || more)
                            : scatter_rows(p, dw, skipped, x, dy, all, add || more);
        });
        break;
      }
      case GradTerm::Form::Partial:
        to.push_back([=, panels = s.panels(), samples = program_.tensors[t.dy].samples](
                         const Place& p, float* g, bool more) {
          const long parts = samples == kAllSamples ? 1 : ceil_div(p.rows, samples);
          add_parts(p, dy, static_cast<int>(parts), {g + at, panels}, add || more);
        });
        break;
    }
    accumulate = true;
  }
  if (accumulate) return;
  to.push_back([at = s.offset, size = s.size](const Place& p, float* g, bool more) {
    if (more) return;
    const auto bytes = static_cast<std::size_t>(size) * sizeof(float);
    cuda::check(cudaMemsetAsync(g + at, 0, bytes, p.stream), "gradients");
  });
}

void Plan::early_gradients(const Place& at, float* column, bool more) const {
  for (const auto& term : early_) term(at, column, more);
}

void Plan::late_gradients(const Place& at, float* column, bool more) const {
  for (const auto& term : late_) term(at, column, more);
}

}  // namespace steep::cuda
