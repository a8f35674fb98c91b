// Points go up, a pass is a graph of its own, its gradient and sums come down.
#include "cuda/full_batch.h"

#include <algorithm>
#include <limits>

namespace steep::cuda {

namespace {

// Graphs: a pass by itself, or one on the samples of the last; of dual numbers likewise.
constexpr unsigned kPass = 1, kHeld = 2, kTangent = 4;

bool forms(const Recipe& recipe) { return recipe.method->name == "levenberg_marquardt"; }
bool multiplies(const Recipe& recipe) {
  return recipe.method->name == "newton_cg" || forms(recipe);
}

std::vector<Aim> checked(std::vector<Aim> aims) {
  const Aim& aim = aims[0];
  if (multiplies(aim.recipe)) TangentPlan::check(aim.program, aim.recipe.method->name);
  return repeated(std::move(aims));
}

}  // namespace

CudaFullBatch::CudaFullBatch(std::vector<Aim> aims, int scalars, std::shared_ptr<CudaStore> weights,
                             Products products)
    : CudaTraining(checked(std::move(aims)), scalars, std::move(weights), products),
      bytes_(static_cast<std::size_t>(weights_->layout().size) * sizeof(float)), point_(bytes_),
      found_gradient_(bytes_), found_sums_(3 * sizeof(double)),
      kept_(static_cast<std::size_t>(slots_.elements())),
      steps_(aims_of(), knobs_, *weights_, slots_, columns(), minimize::plain_sweeps<float>(),
             *this) {
  const Goal& goal = goals_[0];
  if (multiplies(goal.recipe)) {
    const Layout& layout = weights_->layout();
    tangent_ = std::make_unique<CudaTangent>(
        goal.program, weights_, stream_,
        forms(goal.recipe) ? trained(layout, goal.program) : std::vector<std::size_t>{});
  }
}

long CudaFullBatch::plan_bytes() const {
  return CudaTraining::plan_bytes() + (tangent_ ? tangent_->bytes() : 0);
}

long CudaFullBatch::plan_bytes(long rows) const {
  return CudaTraining::plan_bytes(rows) + (tangent_ ? tangent_->bytes(rows) : 0);
}

// The columns of a method, as far apart as on the device.
std::vector<float*> CudaFullBatch::columns() {
  std::vector<float*> all;
  for (int i = 0; i < slots_.columns(); ++i) {
    all.push_back(kept_.data() + (slots_.column(i) - slots_.column(0)));
  }
  return all;
}

Walked CudaFullBatch::walk(const Stretch& stretch, Halt* halt) {
  return steps_.walk(stretch, halt);
}

Origin CudaFullBatch::faulty_gradient(const Batcher& data, Position at, const double* knobs, int) {
  return steps_.faulty_gradient(data, at, knobs);
}

void CudaFullBatch::restore() {
  CudaTraining::restore();
  steps_.forget();
}

// What takes memory is made before the first weight moves.
void CudaFullBatch::begin(const Batcher& data, bool slots_changed) {
  use(data);
  Key key = key_of(false);
  if (!(key == key_)) graphs_.clear();
  key_ = std::move(key);
  held_ = held_by_tangent_ = false;
  const long rows = data.rows(0);
  if (tangent_) {
    if (tangent_->reserve(rows)) graphs_.clear();
    tangent_->read_from(goals_[0].plan->feed());
  }
  for (const bool held : {false, true}) {
    pass_of(rows, held);
    if (tangent_) tangent_of(rows, held);
  }
  read(stream_, point_.as<float>(), weights_->column(0), bytes_);
  if (slots_changed && !kept_.empty()) {
    read(stream_, kept_.data(), slots_.column(0), kept_.size() * sizeof(float));
  }
}

void CudaFullBatch::end() {
  if (!kept_.empty()) {
    write(stream_, slots_.column(0), kept_.data(), kept_.size() * sizeof(float));
  }
}

void CudaFullBatch::put() { write(stream_, weights_->column(0), point_.as<float>(), bytes_); }

const Graph& CudaFullBatch::pass_of(long rows, bool held) {
  const Goal& goal = goals_[0];
  return captured(static_cast<int>(rows), 1, held ? kHeld : kPass,
                  [&] { enqueue_pass(goal, place_of(goal, place(rows)), false, held); });
}

void CudaFullBatch::take_down(BatchSums& sums) {
  const auto fetch = [&](void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_.get()),
                "an evaluation");
  };
  fetch(found_gradient_.as<float>(), gradients_.data(), bytes_);
  for (int i = 0; i < 3; ++i) {
    fetch(found_sums_.as<double>() + i, sums_of_step(i), sizeof(double));
  }
  stream_.wait();
  const double* const found = found_sums_.as<double>();
  sums = {found[0], found[1], found[2]};
}

double CudaFullBatch::evaluate(const Asked& asked, BatchSums& sums) {
  if (asked.halt != nullptr) asked.halt->ask();
  if (asked.halt != nullptr && asked.halt->wanted()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const Goal& goal = goals_[0];
  const Table table = alone(*asked.data, asked.at, asked.knobs);
  pass_of(table.sizes[0], held_).launch(stream_);
  take_down(sums);
  held_ = !asked.data->data().augment;
  const Layout& layout = weights_->layout();
  const double loss =
      weighted(goal, 0, sums.loss, *asked.data, asked.at, asked.knobs + knobs_.scalars);
  return penalise(goal, by_parameter(goal.recipe, layout, {0.0}),
                  by_parameter(goal.recipe, layout, {asked.l2}), point_.as<float>(),
                  found_gradient_.as<float>(), loss);
}

const Graph& CudaFullBatch::tangent_of(long rows, bool held) {
  return captured(static_cast<int>(rows), 1, kTangent | (held ? kHeld : kPass), [&] {
    const Place at = place_of(goals_[0], place(rows));
    tangent_->forms() ? tangent_->enqueue_column(at, held) : tangent_->enqueue_product(at, held);
  });
}

long CudaFullBatch::prepare_tangent(const Asked& asked) {
  const Table table = alone(*asked.data, asked.at, asked.knobs);
  const Goal& goal = goals_[0];
  tangent_->send_factors(factors(goal.program.losses, goal.recipe, *asked.data, asked.at,
                                 asked.knobs + knobs_.scalars));
  return table.sizes[0];
}

void CudaFullBatch::multiply(const Asked& asked, const std::vector<double>& along,
                             std::vector<double>& product) {
  if (asked.halt != nullptr) asked.halt->ask();
  if (asked.halt != nullptr && asked.halt->wanted()) return;
  const long rows = prepare_tangent(asked);
  tangent_->send(along);
  tangent_of(rows, held_by_tangent_).launch(stream_);
  const double* const found = tangent_->fetch();
  held_by_tangent_ = !asked.data->data().augment;
  const Layout& layout = weights_->layout();
  const std::vector<double> l2 = by_parameter(goals_[0].recipe, layout, {asked.l2});
  for (std::size_t p = 0; p < l2.size(); ++p) {
    const Slice& s = layout.slices[p];
    const double by = goals_[0].program.trains[p] ? l2[p] : 0;
    for (long i = s.offset; i < s.offset + s.size; ++i) {
      product[i] = penalised(by, point_.as<float>()[i], along[i], found[i]);
    }
  }
}

// Columns follow each other without a wait, as many as the device has room for.
void CudaFullBatch::gauss_newton(const Asked& asked, const std::vector<std::size_t>& places,
                                 std::vector<double>& matrix) {
  const auto n = static_cast<long>(places.size());
  matrix.resize(static_cast<std::size_t>(n * n));
  const long rows = prepare_tangent(asked);
  tangent_->begin_matrix();
  for (long first = 0; first < n; first += tangent_->room()) {
    if (asked.halt != nullptr) asked.halt->ask();
    if (asked.halt != nullptr && asked.halt->wanted()) return;
    const long count = std::min<long>(tangent_->room(), n - first);
    for (long j = 0; j < count; ++j) {
      tangent_of(rows, held_by_tangent_).launch(stream_);
      held_by_tangent_ = !asked.data->data().augment;
    }
    std::copy_n(tangent_->fetch_columns(count), count * n, matrix.begin() + first * n);
  }
  const Layout& layout = weights_->layout();
  const std::vector<double> l2 = by_parameter(goals_[0].recipe, layout, {asked.l2});
  for (long i = 0; i < n; ++i) {
    const auto place = static_cast<long>(places[i]);
    const auto has = [&](const Slice& s) { return s.offset <= place && place < s.offset + s.size; };
    const auto p = std::find_if(layout.slices.begin(), layout.slices.end(), has);
    const double by = l2[p - layout.slices.begin()];
    for (long j = 0; j < n; ++j) {
      double& element = matrix[j * n + i];
      element = penalised(by, point_.as<float>()[place], i == j ? 1 : 0, element);
    }
  }
}

void CudaFullBatch::follow_statistics(long rows) {
  const Goal& goal = goals_[0];
  if (!goal.plan->follows()) return;
  goal.plan->follow(place_of(goal, place(rows)));
  read(stream_, point_.as<float>(), weights_->column(0), bytes_);
}

}  // namespace steep::cuda
