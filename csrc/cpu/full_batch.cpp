// Puts points into the weights, evaluates them, and keeps the step's numbers.
#include "cpu/full_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/error.h"
#include "cpu/invariants.h"
#include "cpu/threads.h"
#include "minimize/conjugate_gradient.h"
#include "minimize/lbfgs.h"
#include "minimize/levenberg_marquardt.h"
#include "minimize/newton_cg.h"
#include "plan/methods.h"

namespace steep {

// What all methods are to this room.
template <class T> class CpuFullBatch<T>::Method {
 public:
  virtual ~Method() = default;
  virtual minimize::End iterate(minimize::Function& function, minimize::Point& at,
                                const minimize::Numbers& numbers, long k) = 0;
  virtual void forget() = 0;
};

template <class T> template <class M> class CpuFullBatch<T>::Of final : public Method {
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

// An iteration goes where its line search finds the objective low enough: bounds would take that back.
void check_bounds(const Program& program) {
  for (const Parameter& p : program.parameters) {
    if (p.bound.kind == Bound::Kind::None) continue;
    refuse("parameter \"", p.name,
           "\" has a constraint, which methods for full batches do not keep; ",
           "train it with another optimizer");
  }
}

std::vector<Aim> repeated(std::vector<Aim> aims) {
  for (Aim& aim : aims) aim.program.repeats = true;
  return aims;
}

// Where the elements of the parameters that a program trains lie in a point.
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

}  // namespace

template <class T>
CpuFullBatch<T>::CpuFullBatch(std::vector<Aim> aims, int scalars,
                              std::shared_ptr<CpuStore<T>> weights)
    : CpuTraining<T>(repeated(std::move(aims)), scalars, std::move(weights)),
      points_(this->slots_.columns() > 0 ? this->slots_.layout(0) : this->weights_->layout()),
      places_(trained(points_, goal().program)), random_(differs(goal().program)),
      weighed_(static_cast<std::size_t>(scalars)) {
  const std::vector<Slice>&all = this->weights_->layout().slices, &own = points_.slices;
  for (std::size_t p = 0; p < own.size(); ++p) {
    if (own[p].size > 0) stretches_.push_back({all[p].offset, own[p].offset, own[p].size});
  }
  const Recipe& recipe = goal().recipe;
  check_bounds(goal().program);
  if (this->goals_.size() > 1 || goal().program.losses.size() > 1) {
    refuse(recipe.method->name, " takes one objective of one loss");
  }
  std::vector<T*> columns;
  for (int i = 0; i < this->slots_.columns(); ++i) columns.push_back(this->slots_.column(i));
  const std::string& name = recipe.method->name;
  if (name == "lbfgs") {
    const minimize::Sweeps<T> sweeps{this->k_.dot, this->k_.add_dot};
    method_ = std::make_unique<Of<minimize::Lbfgs<T>>>(std::move(columns), sweeps);
  }
  if (name == "conjugate_gradient") {
    method_ = std::make_unique<Of<minimize::ConjugateGradient<T>>>(std::move(columns));
  }
  if (name == "newton_cg") {
    method_ = std::make_unique<Of<minimize::NewtonCG<T>>>(std::move(columns));
  }
  if (name == "levenberg_marquardt") {
    method_ = std::make_unique<Of<minimize::LevenbergMarquardt<T>>>(std::move(columns));
  }
  if (!method_) refuse("no method for full batches is called \"", name, "\"");
}

template <class T> CpuFullBatch<T>::~CpuFullBatch() = default;

template <class T> minimize::Numbers CpuFullBatch<T>::read(const double* knobs) const {
  const RuleInfo& info = *goal().recipe.method;
  const auto of = [&](const char* name, double otherwise) {
    const int at = info.knob(name);
    return at < 0 ? otherwise : knobs[kOwn + at];
  };
  return {of("lr", 1),   of("tol", 0),  of("change", 0), of("c1", 1e-4),
          of("c2", 0.9), of("form", 0), of("damping", 0)};
}

// A point has places for the parameters that have slots, and lies as these do: f(first weight, first place,
// how many) for each of them.
template <class T> template <class F> void CpuFullBatch<T>::each_stretch(F&& f) const {
  for (const Alike& s : stretches_) f(s.weights, s.point, s.size);
}

template <class T> void CpuFullBatch<T>::put(const minimize::Vector& x) {
  T* const w = this->weights_->column(0);
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; i < n; ++i) w[at + i] = static_cast<T>(x[place + i]);
  });
}

// A column of numbers of the weights as a vector.
template <class T> template <class U>
void CpuFullBatch<T>::gather(const U* from, double scale, minimize::Vector& to) const {
  to.resize(static_cast<std::size_t>(points_.size));
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; i < n; ++i) to[place + i] = scale * static_cast<double>(from[at + i]);
  });
}

// The weights as the point; what it is there must be evaluated.
template <class T> void CpuFullBatch<T>::take() { gather(this->weights_->column(0), 1, point_.x); }

template <class T> auto CpuFullBatch<T>::sums(const Step<T>& step) const -> Sums {
  Sums sums{0, 0, static_cast<double>(step.rows)};
  const double *values = goal().plan->values(0), *correct = goal().plan->correct(0);
  const LossTerm& term = goal().program.losses[0];
  const double* const weights = step.batcher->data().weights_of(term.weights, term.target);
  if (weights != nullptr) sums.weight = 0;
  for (long r = 0; r < step.rows; ++r) {
    const double each = weights == nullptr ? 1 : weights[step.order[r]];
    sums.loss += values[r];
    sums.right += each * correct[r];
    if (weights != nullptr) sums.weight += each;
  }
  return sums;
}

template <class T> Terms CpuFullBatch<T>::terms() const {
  const Layout& layout = this->weights_->layout();
  return {divisors(goal().program.losses, goal().recipe, *data_, place_),
          by_parameter(goal().recipe, layout, {0.0}), by_parameter(goal().recipe, layout, {l2_})};
}

// Stretches of evaluations try several threads against one, as steps of rules do. These begin with one: a
// whole fit of a small network may be over before a bad choice is mended. Long ones need no trial.
template <class T> double CpuFullBatch<T>::timed(const Step<T>& step) {
  constexpr double kLongForward = 5e7;  // flops: passes of 2 ms by one thread
  const double forward = goal().plan->cost_per_row() * static_cast<double>(step.rows);
  const int wanted = this->threads_for_rows(step.rows);
  const bool tried = wanted > 1 && forward < kLongForward;
  if (timed_ == 0) paced_ = passes_.steps();
  const double start = now();
  const int threads = tried ? passes_.threads(wanted) : wanted;
  T* const g = this->gradients_->column(0);
  const double value = step.held && chain_
                           ? chain_->objective(*goal().plan, step, terms(), g, threads)
                           : objective(*goal().plan, *this->weights_, step, terms(), g, threads);
  if (!tried) return value;
  took_ += now() - start;
  if (++timed_ < paced_ && !passes_.enough(took_)) return value;
  passes_.note(timed_, took_);
  timed_ = 0;
  took_ = 0;
  return value;
}

// The plan has read the step's samples: evaluations to come may have them side by side.
template <class T> void CpuFullBatch<T>::read(const Step<T>& step) {
  if (!chain_ || chain_->rows() != step.rows) {
    chain_ = Chain<T>::of(goal().program, this->k_, *this->weights_, step.rows);
  }
  if (chain_ && !chain_->read(*goal().plan, step)) chain_.reset();
}

template <class T> void CpuFullBatch<T>::evaluate(minimize::Point& at) {
  put(at.x);
  gather(this->weights_->column(0), 1, at.x);
  Step<T> step = this->at(goal(), *data_, place_, scalars_);
  step.halt = halt_;
  step.held = held_ && !data_->data().augment;
  this->keep_gradients();
  at.f = sign_ * timed(step);
  held_ = !left();
  if (held_ && !step.held) read(step);
  gather(this->gradients_->column(0), sign_, at.g);
  sums_ = sums(step);
}

template <class T>
void CpuFullBatch<T>::multiply(const minimize::Vector& v, bool gauss_newton,
                               minimize::Vector& product) {
  if (!tangent_) {
    tangent_ = std::make_unique<CpuTangent>(goal().program, this->weights_, goal().recipe);
  }
  const auto size = static_cast<std::size_t>(this->weights_->layout().size);
  along_.assign(size, 0);
  product_.resize(size);
  each_stretch(
      [&](long at, long place, long n) { std::copy_n(v.begin() + place, n, along_.begin() + at); });
  tangent_->product(*data_, place_.step, scalars_, gauss_newton ? Probe::kCurvature : Probe::kLoss,
                    {l2_}, along_.data(), product_.data(), halt_);
  gather(product_.data(), sign_, product);
}

// Is what point_ holds what the step would find?
template <class T>
bool CpuFullBatch<T>::known(const Batcher& data) const {
  if (random_ || data.data().augment || batch_ != data.number()) return false;
  if (knobs_[0] != l2_ || knobs_[1] != sign_) return false;
  if (!std::equal(weighed_.begin(), weighed_.end(), scalars_)) return false;
  const T* const w = this->weights_->column(0);
  bool equal = point_.x.size() == static_cast<std::size_t>(points_.size);
  each_stretch([&](long at, long place, long n) {
    for (long i = 0; equal && i < n; ++i)
      equal = point_.x[place + i] == static_cast<double>(w[at + i]);
  });
  return equal;
}

// The samples side by side are there beside the plan.
template <class T> long CpuFullBatch<T>::plan_bytes() const {
  return CpuTraining<T>::plan_bytes() + (chain_ ? chain_->bytes() : 0);
}

template <class T> long CpuFullBatch<T>::plan_bytes(long rows) const {
  const auto chain = Chain<T>::of(goal().program, this->k_, *this->weights_, rows);
  return CpuTraining<T>::plan_bytes(rows) + (chain ? chain->bytes() : 0);
}

// One step; false where it ends the stretch.
template <class T>
bool CpuFullBatch<T>::iterate(const Stretch& stretch, const Position& at, const double* knobs,
                              Walked& walked) {
  const RuleInfo& info = *goal().recipe.method;
  place_ = at;
  scalars_ = this->scalars_of(knobs);
  l2_ = knobs[kGroup + kL2];
  sign_ = knobs[kOwn + info.knob("sign")];
  if (!known(*stretch.data)) {
    batch_ = -1;
    take();
    evaluate(point_);
    if (left()) return false;
    point_sums_ = sums_;
  }
  const long i = walked.done;
  stretch.loss[i] = point_sums_.loss;
  stretch.right[i] = point_sums_.right;
  stretch.weight[i] = point_sums_.weight;
  batch_ = -1;
  if (!std::isfinite(point_.f)) {
    walked.bad = Bad::Loss;
    return false;
  }
  if (!std::isfinite(minimize::largest(point_.g))) {
    walked.bad = Bad::Gradient;
    return false;
  }
  const minimize::Vector start = point_.x;
  const minimize::End end = method_->iterate(*this, point_, read(knobs), at.step);
  put(end == minimize::End::kLeft ? start : point_.x);
  if (end == minimize::End::kLeft) return false;
  if (point_.x != start) {
    goal().plan->follow_statistics(stretch.data->rows(at.batch));
    take();
    point_sums_ = sums_;
  }
  batch_ = stretch.data->number();
  knobs_[0] = l2_;
  knobs_[1] = sign_;
  std::copy_n(scalars_, weighed_.size(), weighed_.begin());
  if (checking()) {
    check_padding(*this->weights_, "the weight");
    check_padding(this->slots_, "a slot");
  }
  ++walked.done;
  walked.settled = end == minimize::End::kSettled;
  return !walked.settled;
}

template <class T> Walked CpuFullBatch<T>::walk(const Stretch& stretch, Halt* halt) {
  constexpr double kFairShare = 2e-3;  // seconds, before others get the weights
  const double begun = now();
  halt_ = halt;
  data_ = stretch.data;
  held_ = false;  // others may have used the plan
  if (slot_changes_ != this->slots_.changes()) method_->forget();
  slot_changes_ = this->slots_.changes();
  Walked walked{0, Bad::Nothing, 0};
  while (walked.done < stretch.count) {
    const Position at = after(*data_, stretch.at, walked.done);
    const double* const knobs = stretch.knobs + walked.done * this->row_.columns;
    if (!iterate(stretch, at, knobs, walked)) break;
    const double spent = now() - begun;
    if (spent > stretch.budget) break;
    if (halt != nullptr && spent > kFairShare && this->weights_->gate().awaited()) break;
    if (halt != nullptr) halt->ask();
  }
  halt_ = nullptr;
  if (walked.done > 0) this->step_seconds_ = (now() - begun) / static_cast<double>(walked.done);
  walked.seconds = this->step_seconds_;
  return walked;
}

template <class T> void CpuFullBatch<T>::restore() {
  CpuTraining<T>::restore();
  method_->forget();
}

template <class T>
Origin CpuFullBatch<T>::faulty_gradient(const Batcher& data, Position at, const double* knobs,
                                        int) {
  data_ = &data;
  place_ = at;
  scalars_ = this->scalars_of(knobs);
  held_ = false;
  take();
  evaluate(point_);
  const T* const g = this->gradients_->column(0);
  for (const Slice& s : this->weights_->layout().slices) {
    if (!this->k_.all_finite(g + s.offset, s.size)) return {s.name, "gradient", "backward"};
  }
  return {"update of the weights: too large for the number format", "update", "update"};
}

template class CpuFullBatch<float>;
template class CpuFullBatch<double>;

}  // namespace steep
