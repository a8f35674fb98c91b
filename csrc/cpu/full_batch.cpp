// Evaluates a batch by plan or chain, and measures how many threads that is worth.
#include "cpu/full_batch.h"

#include "base/clock.h"
#include "cpu/invariants.h"
#include "cpu/threads.h"

namespace steep {

template <class T>
CpuFullBatch<T>::CpuFullBatch(std::vector<Aim> aims, int scalars,
                              std::shared_ptr<CpuStore<T>> weights)
    : CpuTraining<T>(repeated(std::move(aims)), scalars, std::move(weights)),
      steps_(this->aims(), this->row_, *this->weights_, this->slots_, columns(),
             minimize::Sweeps<T>{this->k_.dot, this->k_.add_dot}, *this) {}

template <class T> std::vector<const Aim*> CpuFullBatch<T>::aims() const {
  std::vector<const Aim*> aims;
  for (const Goal<T>& goal : this->goals_) aims.push_back(&goal);
  return aims;
}

template <class T> std::vector<T*> CpuFullBatch<T>::columns() const {
  std::vector<T*> columns;
  for (int i = 0; i < this->slots_.columns(); ++i) columns.push_back(this->slots_.column(i));
  return columns;
}

template <class T> BatchSums CpuFullBatch<T>::sums(const Step<T>& step) const {
  BatchSums sums{0, 0, static_cast<double>(step.rows)};
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

template <class T> Terms CpuFullBatch<T>::terms(const Asked& asked) const {
  const Layout& layout = this->weights_->layout();
  return {divisors(goal().program.losses, goal().recipe, *asked.data, asked.at),
          by_parameter(goal().recipe, layout, {0.0}),
          by_parameter(goal().recipe, layout, {asked.l2})};
}

// Stretches of evaluations try several threads against one, as steps of rules do. These begin with one: a
// whole fit of a small network may be over before a bad choice is mended. Long ones need no trial.
template <class T> double CpuFullBatch<T>::timed(const Step<T>& step, const Terms& terms) {
  constexpr double kLongForward = 5e7;  // flops: passes of 2 ms by one thread
  const double forward = goal().plan->cost_per_row() * static_cast<double>(step.rows);
  const int wanted = this->threads_for_rows(step.rows);
  const bool tried = wanted > 1 && forward < kLongForward;
  if (timed_ == 0) paced_ = passes_.steps();
  const double start = now();
  const int threads = tried ? passes_.threads(wanted) : wanted;
  T* const g = this->gradients_->column(0);
  const double value = step.held && chain_
                           ? chain_->objective(*goal().plan, step, terms, g, threads)
                           : objective(*goal().plan, *this->weights_, step, terms, g, threads);
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

template <class T>
double CpuFullBatch<T>::evaluate(const Asked& asked, BatchSums& sums) {
  Step<T> step = this->at(goal(), *asked.data, asked.at, this->scalars_of(asked.knobs));
  step.halt = asked.halt;
  step.held = held_ && !asked.data->data().augment;
  this->keep_gradients();
  const double value = timed(step, terms(asked));
  held_ = asked.halt == nullptr || !asked.halt->wanted();
  if (held_ && !step.held) read(step);
  sums = this->sums(step);
  return value;
}

template <class T>
void CpuFullBatch<T>::product(const Asked& asked, Probe::Kind kind,
                              const std::vector<double>& along, std::vector<double>& product) {
  if (!tangent_) {
    tangent_ = std::make_unique<CpuTangent>(goal().program, this->weights_, goal().recipe,
                                            this->weights_->layout().format);
  }
  tangent_->product(*asked.data, asked.at, this->scalars_of(asked.knobs), kind, {asked.l2},
                    along.data(), product.data(), asked.halt);
}

template <class T>
void CpuFullBatch<T>::multiply(const Asked& asked, const std::vector<double>& along,
                               std::vector<double>& product) {
  this->product(asked, Probe::kLoss, along, product);
}

// A product a weight.
template <class T>
void CpuFullBatch<T>::gauss_newton(const Asked& asked, const std::vector<std::size_t>& places,
                                   std::vector<double>& matrix) {
  const std::size_t n = places.size();
  std::vector<double> along(static_cast<std::size_t>(this->weights_->layout().size));
  std::vector<double> column(along.size());
  matrix.resize(n * n);
  for (std::size_t j = 0; j < n; ++j) {
    along[places[j]] = 1;
    product(asked, Probe::kCurvature, along, column);
    if (asked.halt != nullptr && asked.halt->wanted()) return;
    along[places[j]] = 0;
    for (std::size_t i = 0; i < n; ++i) matrix[j * n + i] = column[places[i]];
  }
}

// The samples side by side are there beside the plan.
template <class T> long CpuFullBatch<T>::plan_bytes() const {
  return CpuTraining<T>::plan_bytes() + (chain_ ? chain_->bytes() : 0);
}

template <class T> long CpuFullBatch<T>::plan_bytes(long rows) const {
  const auto chain = Chain<T>::of(goal().program, this->k_, *this->weights_, rows);
  return CpuTraining<T>::plan_bytes(rows) + (chain ? chain->bytes() : 0);
}

template <class T> void CpuFullBatch<T>::check() const {
  if (!checking()) return;
  check_padding(*this->weights_, "the weight");
  check_padding(this->slots_, "a slot");
}

template <class T> void CpuFullBatch<T>::restore() {
  CpuTraining<T>::restore();
  steps_.forget();
}

template class CpuFullBatch<float>;
template class CpuFullBatch<double>;

}  // namespace steep
