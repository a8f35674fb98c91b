// Puts points into the weights, has them evaluated, and keeps the step's numbers.
#include "full_batch/full_batch.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "minimize/conjugate_gradient.h"
#include "minimize/lbfgs.h"
#include "minimize/levenberg_marquardt.h"
#include "minimize/newton_cg.h"
#include "plan/rules.h"

namespace steep {

// What all methods are to this room.
template <class T> class FullBatch<T>::Method {
 public:
  virtual ~Method() = default;
  virtual minimize::End iterate(minimize::Function& function, minimize::Point& at,
                                const minimize::Numbers& numbers, long k) = 0;
  virtual void forget() = 0;
};

template <class T> template <class M> class FullBatch<T>::Of final : public Method {
 public:
  template <class... Args> explicit Of(Args&&... args) : method_(std::forward<Args>(args)...) {}
  minimize::End iterate(minimize::Function& function, minimize::Point& at,
                        const minimize::Numbers& numbers, long k) override {
    return method_.iterate(function, at, numbers, k);
  }
  void forget() override { method_.forget(); }

 private:
  M method_;
};

namespace {

// Where a method's group of knobs begins, and its own in it.
constexpr int kGroup = kSharedKnobs, kOwn = kGroup + kGroupKnobs;

// Whether the objective differs from step to step.
bool differs(const Program& program) {
  return std::any_of(program.ops.begin(), program.ops.end(), [](const Op& op) {
    if (op.as<ops::SpectralVectors>() || op.as<ops::KeptRows>()) return true;
    return std::visit([]<class A>(const A&) { return requires(A a) { a.stream; }; }, op.what);
  });
}

// The only one. An iteration goes where its line search finds the objective low enough: bounds would take that
// back.
const Aim& checked(const std::vector<const Aim*>& aims) {
  const Aim& aim = *aims[0];
  for (const Parameter& p : aim.program.parameters) {
    if (p.bound.kind == Bound::Kind::None) continue;
    refuse("parameter \"", p.name,
           "\" has a constraint, which methods for full batches do not keep; ",
           "train it with another optimizer");
  }
  if (aims.size() > 1 || aim.program.losses.size() > 1) {
    refuse(aim.recipe.method->name, " takes one objective of one loss");
  }
  return aim;
}

}  // namespace

std::vector<Aim> repeated(std::vector<Aim> aims) {
  for (Aim& aim : aims) aim.program.repeats = true;
  return aims;
}

std::vector<std::size_t> trained(const Layout& layout, const Program& program) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < layout.slices.size(); ++i) {
    const Slice& s = layout.slices[i];
    const Panels panels = s.panels();
    for (long p = 0; program.trains[i] && p < panels.count(); ++p) {
      for (long r = 0; r < s.rows; ++r) {
        const auto first = static_cast<std::size_t>(s.offset + panels.at(r, p * kPanel));
        for (long c = 0; c < panels.present(p); ++c) places.push_back(first + c);
      }
    }
  }
  return places;
}

template <class T>
FullBatch<T>::FullBatch(const std::vector<const Aim*>& aims, const KnobRow& row,
                        const Store& weights, const Store& slots, std::vector<T*> columns,
                        const minimize::Sweeps<T>& sweeps, Evaluator<T>& evaluator)
    : aim_(checked(aims)), row_(row), weights_(weights), slots_(slots), evaluator_(evaluator),
      points_(columns.empty() ? weights.layout() : slots.layout(0)),
      places_(trained(points_, aim_.program)), at_weights_(trained(weights.layout(), aim_.program)),
      method_(method_of(std::move(columns), sweeps)), random_(differs(aim_.program)),
      weighed_(static_cast<std::size_t>(row.columns - row.scalars)) {
  const std::vector<Slice>&all = weights_.layout().slices, &own = points_.slices;
  for (std::size_t p = 0; p < own.size(); ++p) {
    if (own[p].size > 0) stretches_.push_back({all[p].offset, own[p].offset, own[p].size});
  }
}

template <class T> FullBatch<T>::~FullBatch() = default;

template <class T>
auto FullBatch<T>::method_of(std::vector<T*> columns, const minimize::Sweeps<T>& sweeps) const
    -> std::unique_ptr<Method> {
  const std::string& name = aim_.recipe.method->name;
  if (name == "lbfgs") return std::make_unique<Of<minimize::Lbfgs<T>>>(std::move(columns), sweeps);
  if (name == "conjugate_gradient")
    return std::make_unique<Of<minimize::ConjugateGradient<T>>>(std::move(columns));
  if (name == "newton_cg") return std::make_unique<Of<minimize::NewtonCG<T>>>(std::move(columns));
  if (name == "levenberg_marquardt")
    return std::make_unique<Of<minimize::LevenbergMarquardt<T>>>(std::move(columns));
  refuse("no method for full batches is called \"", name, "\"");
}

template <class T> minimize::Numbers FullBatch<T>::read() const {
  const RuleInfo& info = *aim_.recipe.method;
  const auto of = [&](const char* name, double otherwise) {
    const int at = info.knob(name);
    return at < 0 ? otherwise : asked_.knobs[kOwn + at];
  };
  return {of("lr", 1),   of("tol", 0),  of("change", 0), of("c1", 1e-4),
          of("c2", 0.9), of("form", 0), of("damping", 0)};
}

// A point has places for the parameters that have slots, and lies as these do: f(first weight, first place,
// how many) for each of them.
template <class T> template <class F> void FullBatch<T>::each_stretch(F&& f) const {
  for (const Alike& s : stretches_) f(s.weights, s.point, s.size);
}

template <class T> void FullBatch<T>::put(const minimize::Vector& x) {
  T* const w = evaluator_.weights();
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; i < n; ++i) w[at + i] = static_cast<T>(x[place + i]);
  });
  evaluator_.put();
}

// A column of numbers of the weights as a vector.
template <class T> template <class U>
void FullBatch<T>::gather(const U* from, double scale, minimize::Vector& to) const {
  to.resize(static_cast<std::size_t>(points_.size));
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; i < n; ++i) to[place + i] = scale * static_cast<double>(from[at + i]);
  });
}

// The weights as the point; what it is there must be evaluated.
template <class T> void FullBatch<T>::take() { gather(evaluator_.weights(), 1, point_.x); }

template <class T> void FullBatch<T>::evaluate(minimize::Point& at) {
  put(at.x);
  gather(evaluator_.weights(), 1, at.x);
  at.f = sign_ * evaluator_.evaluate(asked_, sums_);
  ++evaluations_;
  gather(evaluator_.gradient(), sign_, at.g);
}

template <class T>
void FullBatch<T>::multiply(const minimize::Vector& v, minimize::Vector& product) {
  const auto size = static_cast<std::size_t>(weights_.layout().size);
  along_.assign(size, 0);
  product_.resize(size);
  each_stretch(
      [&](long at, long place, long n) { std::copy_n(v.begin() + place, n, along_.begin() + at); });
  evaluator_.multiply(asked_, along_, product_);
  gather(product_.data(), sign_, product);
}

template <class T> void FullBatch<T>::gauss_newton(minimize::Vector& matrix) {
  evaluator_.gauss_newton(asked_, at_weights_, matrix);
  minimize::scale(sign_, matrix);
}

// Is what point_ holds what the step would find?
template <class T> bool FullBatch<T>::known() const {
  const Batcher& data = *asked_.data;
  if (random_ || data.data().augment || batch_ != data.number()) return false;
  if (knobs_[0] != asked_.l2 || knobs_[1] != sign_) return false;
  if (!std::equal(weighed_.begin(), weighed_.end(), scalars())) return false;
  const T* const w = evaluator_.weights();
  bool equal = point_.x.size() == static_cast<std::size_t>(points_.size);
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; equal && i < n; ++i)
      equal = point_.x[place + i] == static_cast<double>(w[at + i]);
  });
  return equal;
}

// One step; false where it ends the stretch.
template <class T> bool FullBatch<T>::iterate(const Stretch& stretch, Walked& walked) {
  if (!known()) {
    batch_ = kUnknown;
    take();
    evaluate(point_);
    if (left()) return false;
    point_sums_ = sums_;
  }
  const long i = walked.done;
  stretch.loss[i] = point_sums_.loss;
  stretch.right[i] = point_sums_.right;
  stretch.weight[i] = point_sums_.weight;
  batch_ = kUnknown;
  if (!std::isfinite(point_.f)) {
    walked.bad = Bad::Loss;
    return false;
  }
  if (!std::isfinite(minimize::largest(point_.g))) {
    walked.bad = Bad::Gradient;
    return false;
  }
  const minimize::Vector start = point_.x;
  const minimize::End end = method_->iterate(*this, point_, read(), asked_.at.step);
  put(end == minimize::End::kLeft ? start : point_.x);
  if (end == minimize::End::kLeft) return false;
  if (point_.x != start) {
    evaluator_.follow_statistics(stretch.data->rows(asked_.at.batch));
    take();
    point_sums_ = sums_;
  }
  batch_ = stretch.data->number();
  knobs_[0] = asked_.l2;
  knobs_[1] = sign_;
  std::copy_n(scalars(), weighed_.size(), weighed_.begin());
  evaluator_.check();
  ++walked.done;
  walked.ended = end == minimize::End::kSettled || evaluations_ > stretch.evaluations;
  return !walked.ended;
}

template <class T> Walked FullBatch<T>::walk(const Stretch& stretch, Halt* halt) {
  constexpr double kFairShare = 2e-3;  // seconds, before others get the weights
  const double begun = now();
  const bool slots_changed = slot_changes_ != slots_.changes();
  if (slots_changed) method_->forget();
  slot_changes_ = slots_.changes();
  evaluator_.begin(*stretch.data, slots_changed);
  Walked walked{0, Bad::Nothing, 0};
  evaluations_ = 0;
  while (walked.done < stretch.count) {
    const double* const knobs = stretch.knobs + walked.done * row_.columns;
    const Position at = after(*stretch.data, stretch.at, walked.done);
    asked_ = {stretch.data, at, knobs, knobs[kGroup + kL2], halt};
    sign_ = knobs[kOwn + aim_.recipe.method->knob("sign")];
    if (!iterate(stretch, walked)) break;
    const double spent = now() - begun;
    if (spent > stretch.budget) break;
    if (halt != nullptr && spent > kFairShare && weights_.gate().awaited()) break;
    if (halt != nullptr) halt->ask();
  }
  evaluator_.end();
  asked_.halt = nullptr;
  if (walked.done > 0) step_seconds_ = (now() - begun) / static_cast<double>(walked.done);
  walked.seconds = step_seconds_;
  walked.evaluations = evaluations_;
  return walked;
}

template <class T>
Origin FullBatch<T>::faulty_gradient(const Batcher& data, Position at, const double* knobs) {
  asked_ = {&data, at, knobs, asked_.l2, nullptr};
  evaluator_.begin(data, false);
  batch_ = kUnknown;
  take();
  evaluate(point_);
  const T* const g = evaluator_.gradient();
  for (const Slice& s : weights_.layout().slices) {
    const T* const own = g + s.offset;
    const auto finite = [](T x) { return std::isfinite(x); };
    if (!std::all_of(own, own + s.size, finite)) return {s.name, "gradient", "backward"};
  }
  return {"update of the weights: too large for the number format", "update", "update"};
}

template class FullBatch<float>;
template class FullBatch<double>;

}  // namespace steep
