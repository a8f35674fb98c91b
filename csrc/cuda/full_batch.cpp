// Points go up, a pass is a graph of its own, its gradient and sums come down.
#include "cuda/full_batch.h"

#include <algorithm>
#include <limits>

namespace steep::cuda {

namespace {

constexpr unsigned kPass = 1,
                   kHeld = 2;  // graphs: a pass by itself, one on the samples of the last

// Products with second derivatives are of numbers that no kernel here computes with.
std::vector<Aim> checked(std::vector<Aim> aims) {
  const std::string& name = aims[0].recipe.method->name;
  if (name == "newton_cg" || name == "levenberg_marquardt") {
    refuse("device=\"cuda\": no kernel for the method ", name, " yet; use device=\"cpu\"");
  }
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
             *this) {}

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
  held_ = false;
  for (const bool held : {false, true}) pass_of(data.rows(0), held);
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

void CudaFullBatch::multiply(const Asked&, bool, const std::vector<double>&, std::vector<double>&) {
  refuse("device=\"cuda\": no second derivatives yet");
}

void CudaFullBatch::follow_statistics(long rows) {
  const Goal& goal = goals_[0];
  if (!goal.plan->follows()) return;
  goal.plan->follow(place_of(goal, place(rows)));
  read(stream_, point_.as<float>(), weights_->column(0), bytes_);
}

}  // namespace steep::cuda
