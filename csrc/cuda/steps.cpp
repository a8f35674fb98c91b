// Stretches of steps: their table goes up once, then graphs of sixteen steps or one are enqueued, and the
// host waits once for all that its time allows.
#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"
#include "cuda/training.h"

namespace steep::cuda {

namespace {

constexpr long kMostSteps = 4096;  // of a call
constexpr int kTogether = 16;      // steps of the larger graph
constexpr long kAlign = 256;

long aligned(long bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Where the parts of the tables lie, in bytes.
struct Plot {
  Plot(int columns, long losses)
      : knobs(aligned(kMostSteps * static_cast<long>(sizeof(StepRow)))),
        limits(knobs + aligned(kMostSteps * columns * static_cast<long>(sizeof(float)))),
        cursor(limits + aligned(kMostSteps * columns * static_cast<long>(sizeof(double)))),
        sums(cursor + kAlign),
        size(sums + 3 * losses * kMostSteps * static_cast<long>(sizeof(double))) {}
  long knobs, limits, cursor, sums, size;
};

bool same(const void* a, const void* b, std::size_t bytes) { return std::memcmp(a, b, bytes) == 0; }

}  // namespace

bool CudaTraining::Key::operator==(const Key& other) const {
  const auto equal = [](const Samples& a, const Samples& b) {
    return a.data == b.data && a.bytes == b.bytes && a.columns == b.columns;
  };
  return deal.samples == other.deal.samples && deal.seed == other.deal.seed &&
         deal.shuffle == other.deal.shuffle &&
         std::equal(inputs.begin(), inputs.end(), other.inputs.begin(), other.inputs.end(),
                    equal) &&
         std::equal(targets.begin(), targets.end(), other.targets.begin(), other.targets.end(),
                    equal) &&
         truths.size() == other.truths.size() &&
         same(truths.data(), other.truths.data(), truths.size() * sizeof(Truth)) &&
         apart == other.apart;
}

void CudaTraining::make_tables() {
  if (tables_.bytes() > 0) return;
  const int columns = knobs_.columns;
  const Plot plot(knobs_.columns, static_cast<long>(program_.losses.size()));
  Memory tables(static_cast<std::size_t>(plot.size));
  staged_ = Pinned(static_cast<std::size_t>(plot.sums));
  found_ = Pinned(static_cast<std::size_t>(plot.size - plot.cursor));
  tables_ = std::move(tables);
  now_ = {tables_.as<StepRow>(),           tables_.as<float>(plot.knobs),
          tables_.as<double>(plot.limits), columns,
          tables_.as<Cursor>(plot.cursor), 0};
  sums_ = tables_.as<double>(plot.sums);
}

Place CudaTraining::place(long rows, int ahead) const {
  Place at{stream_.get(), now_, static_cast<int>(rows)};
  at.now.ahead = ahead;
  return at;
}

void CudaTraining::use(const Batcher& data) {
  const DeviceData& there = shown_.of(data);
  plan_->read_from(there, static_cast<uint64_t>(data.data().samples), recipe_.seed,
                   data.shuffles());
  make_tables();
}

void CudaTraining::lay_out(const std::vector<StepRow>& rows, const double* knobs) {
  const long columns = knobs_.columns, count = static_cast<long>(rows.size());
  const Plot plot(knobs_.columns, static_cast<long>(program_.losses.size()));
  const auto send = [&](long at, std::size_t bytes) {
    check(cudaMemcpyAsync(tables_.data() + at, staged_.as<std::byte>(at), bytes,
                          cudaMemcpyHostToDevice, stream_.get()),
          "the table of steps");
  };
  std::copy(rows.begin(), rows.end(), staged_.as<StepRow>());
  send(0, rows.size() * sizeof(StepRow));
  if (knobs != nullptr) {
    float* const narrow = staged_.as<float>(plot.knobs);
    double* const wide = staged_.as<double>(plot.limits);
    for (long i = 0; i < count * columns; ++i) narrow[i] = static_cast<float>(knobs[i]);
    std::copy_n(knobs, count * columns, wide);
    send(plot.knobs, static_cast<std::size_t>(count * columns) * sizeof(float));
    send(plot.limits, static_cast<std::size_t>(count * columns) * sizeof(double));
  }
  *staged_.as<Cursor>(plot.cursor) = {};
  send(plot.cursor, sizeof(Cursor));
}

// What needs the loss only is done beside the way back. Nothing moves before the losses are known.
void CudaTraining::enqueue_step(const Place& at, bool apart) {
  plan_->forward(at);
  fork_.record(stream_);
  fork_.hold_back(side_);
  Place beside = at;
  beside.stream = side_.get();
  const long terms = static_cast<long>(program_.losses.size());
  for (int t = 0; t < terms; ++t) {
    double* const sums = sums_ + t * kMostSteps;
    record(beside, plan_->losses(t), plan_->feed().truths[static_cast<std::size_t>(t)],
           {sums, sums + terms * kMostSteps, sums + 2 * terms * kMostSteps});
  }
  plan_->early_gradients(beside, update_.gradients());
  join_.record(side_);
  plan_->backward(at);
  plan_->late_gradients(at, update_.gradients());
  join_.hold_back(stream_);
  update_.enqueue(at, apart);
}

const Graph& CudaTraining::graph(int rows, int steps, bool apart) {
  for (const Captured& c : graphs_) {
    if (c.rows == rows && c.steps == steps) return *c.graph;
  }
  auto made = std::make_unique<Graph>(stream_, [&] {
    for (int i = 0; i < steps; ++i) enqueue_step(place(rows, i), apart);
    advance(place(rows), steps);
  });
  graphs_.push_back({rows, steps, std::move(made)});
  return *graphs_.back().graph;
}

// Steps from `from` on, `most` at the most; how many.
long CudaTraining::enqueue(const std::vector<StepRow>& rows, long from, long most, bool apart) {
  const long end = std::min(static_cast<long>(rows.size()), from + most);
  for (long i = from; i < end;) {
    long alike = 1;
    while (alike < kTogether && i + alike < end && rows[i + alike].rows == rows[i].rows) ++alike;
    const int steps = alike == kTogether ? kTogether : 1;
    graph(rows[i].rows, steps, apart).launch(stream_);
    i += steps;
  }
  return end - from;
}

Walked CudaTraining::walk(const Stretch& stretch, Halt* halt) {
  const Batcher& data = *stretch.data;
  const double begun = now();
  const long columns = knobs_.columns;
  if (data.at_once(data.rows(stretch.at.batch)) < data.rows(stretch.at.batch)) {
    refuse("device=\"cuda\": no steps in parts yet: leave accumulate out, or use device=\"cpu\"");
  }
  std::vector<StepRow> rows;
  const long in_epoch = data.batches() - stretch.at.batch;
  for (long i = 0; i < std::min({stretch.count, kMostSteps, in_epoch}); ++i) {
    if (stretch.knobs[i * columns + kSharpness] > 0) {
      refuse("device=\"cuda\": no kernel for sharpness yet; use device=\"cpu\"");
    }
    rows.push_back(row_of(data, {stretch.at.epoch, stretch.at.batch + i, stretch.at.step + i},
                          scalars_of(stretch.knobs + i * columns)));
  }
  use(data);
  const Feed& feed = plan_->feed();
  if (Key key{feed.deal, feed.inputs, feed.targets, feed.truths, stretch.separate};
      !(key == key_)) {
    graphs_.clear();
    key_ = std::move(key);
  }
  lay_out(rows, stretch.knobs);
  update_.begin(place(rows[0].rows));
  const Plot plot(knobs_.columns, static_cast<long>(program_.losses.size()));
  long enqueued = 0;
  Cursor cursor{};
  while (enqueued < static_cast<long>(rows.size())) {
    if (halt != nullptr) halt->ask();
    if (halt != nullptr && halt->wanted()) break;
    const double left = stretch.budget - (now() - begun), start = now();
    const double fit = step_seconds_ > 0 ? left / step_seconds_ : kTogether;
    const long before = enqueued;
    enqueued += enqueue(rows, enqueued, std::max(1L, static_cast<long>(std::min(fit, 4096.0))),
                        stretch.separate);
    check(cudaMemcpyAsync(found_.as<std::byte>(), tables_.data() + plot.cursor,
                          static_cast<std::size_t>(plot.size - plot.cursor), cudaMemcpyDeviceToHost,
                          stream_.get()),
          "the results");
    stream_.wait();
    cursor = *found_.as<Cursor>();
    step_seconds_ = (now() - start) / static_cast<double>(enqueued - before);
    if (cursor.bad_loss || cursor.bad_update || now() - begun > stretch.budget) break;
  }
  const long done = cursor.bad_loss     ? cursor.bad_loss - 1
                    : cursor.bad_update ? cursor.bad_update - 1
                                        : enqueued;
  update_.end(place(rows[0].rows), done);
  stream_.wait();
  const double* sums = found_.as<double>(plot.sums - plot.cursor);
  const long terms = static_cast<long>(program_.losses.size());
  for (double* const to : {stretch.loss, stretch.right, stretch.weight}) {
    for (long t = 0; t < terms; ++t, sums += kMostSteps) {
      for (long i = 0; i < done; ++i) to[i * terms + t] = sums[i];
    }
  }
  const Bad bad = cursor.bad_loss ? Bad::Loss : cursor.bad_update ? Bad::Gradient : Bad::Nothing;
  return {.done = done, .bad = bad, .seconds = step_seconds_};
}

}  // namespace steep::cuda
