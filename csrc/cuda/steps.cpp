// Stretches of steps: their table goes up once, then graphs of sixteen steps or one are enqueued, and the
// host waits once for all that its time allows.
#include <algorithm>

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
  Plot(int columns, int count)
      : terms(aligned(kMostSteps * static_cast<long>(sizeof(StepRow)))),
        knobs(terms + aligned(kMostSteps * count * static_cast<long>(sizeof(TermRow)))),
        limits(knobs + aligned(kMostSteps * columns * static_cast<long>(sizeof(float)))),
        cursor(limits + aligned(kMostSteps * columns * static_cast<long>(sizeof(double)))),
        sums(cursor + kAlign),
        size(sums + 3 * count * kMostSteps * static_cast<long>(sizeof(double))) {}
  long terms, knobs, limits, cursor, sums, size;
};

}  // namespace

bool CudaTraining::Key::operator==(const Key& other) const {
  const auto equal = [](const Samples& a, const Samples& b) {
    return a.data == b.data && a.bytes == b.bytes && a.columns == b.columns;
  };
  const auto alike = [](const Truth& a, const Truth& b) {  // not as bytes: there is padding
    return a.labels == b.labels && a.targets == b.targets && a.weights == b.weights &&
           a.order == b.order && a.each == b.each && a.positions == b.positions;
  };
  return deal.samples == other.deal.samples && deal.seed == other.deal.seed &&
         deal.shuffle == other.deal.shuffle &&
         std::equal(inputs.begin(), inputs.end(), other.inputs.begin(), other.inputs.end(),
                    equal) &&
         std::equal(targets.begin(), targets.end(), other.targets.begin(), other.targets.end(),
                    equal) &&
         truths.size() == other.truths.size() &&
         std::equal(truths.begin(), truths.end(), other.truths.begin(), alike) &&
         apart == other.apart;
}

void CudaTraining::make_tables() {
  if (tables_.bytes() > 0) return;
  const Plot plot(knobs_.columns, terms_);
  Memory tables(static_cast<std::size_t>(plot.size));
  staged_ = Pinned(static_cast<std::size_t>(plot.sums));
  found_ = Pinned(static_cast<std::size_t>(plot.size - plot.cursor));
  tables_ = std::move(tables);
  now_.rows = tables_.as<StepRow>();
  now_.terms = tables_.as<TermRow>(plot.terms);
  now_.knobs = tables_.as<float>(plot.knobs);
  now_.limits = tables_.as<double>(plot.limits);
  now_.cursor = tables_.as<Cursor>(plot.cursor);
  now_.columns = knobs_.columns;
  now_.count = terms_;
  now_.scalars = knobs_.scalars;
  sums_ = tables_.as<double>(plot.sums);
}

Place CudaTraining::place(long rows, int ahead) const {
  Place at{stream_.get(), now_, static_cast<int>(rows), products_};
  at.now.ahead = ahead;
  return at;
}

Place CudaTraining::place_of(const Goal& goal, Place at) const {
  at.now.objective = static_cast<int>(&goal - goals_.data());
  at.now.first = goal.knobs;
  return at;
}

void CudaTraining::use(const Batcher& data) {
  const DeviceData& there = shown_.of(data);
  const Deal deal{static_cast<uint64_t>(data.data().samples), goals_[0].recipe.seed,
                  data.shuffles(), nullptr};
  for (const Goal& goal : goals_) goal.plan->read_from(there, deal, goal.recipe.seed);
  make_tables();
}

void CudaTraining::lay_out(const Table& table, const double* knobs) {
  const long columns = knobs_.columns, count = static_cast<long>(table.rows.size());
  const Plot plot(knobs_.columns, terms_);
  const auto send = [&](long at, std::size_t bytes) {
    check(cudaMemcpyAsync(tables_.data() + at, staged_.as<std::byte>(at), bytes,
                          cudaMemcpyHostToDevice, stream_.get()),
          "the table of steps");
  };
  std::copy(table.rows.begin(), table.rows.end(), staged_.as<StepRow>());
  send(0, table.rows.size() * sizeof(StepRow));
  std::copy(table.terms.begin(), table.terms.end(), staged_.as<TermRow>(plot.terms));
  send(plot.terms, table.terms.size() * sizeof(TermRow));
  float* const narrow = staged_.as<float>(plot.knobs);
  double* const wide = staged_.as<double>(plot.limits);
  for (long i = 0; i < count * columns; ++i) narrow[i] = static_cast<float>(knobs[i]);
  std::copy_n(knobs, count * columns, wide);
  send(plot.knobs, static_cast<std::size_t>(count * columns) * sizeof(float));
  send(plot.limits, static_cast<std::size_t>(count * columns) * sizeof(double));
  *staged_.as<Cursor>(plot.cursor) = {};
  send(plot.cursor, sizeof(Cursor));
}

// What needs the loss only is done beside the way back. Nothing moves before the losses are known.
void CudaTraining::enqueue_goal(const Goal& goal, const Place& at, bool apart) {
  const Plan& plan = *goal.plan;
  plan.forward(at);
  fork_.record(stream_);
  fork_.hold_back(side_);
  Place beside = at;
  beside.stream = side_.get();
  const long step = static_cast<long>(terms_) * kMostSteps;
  for (std::size_t t = 0; t < goal.program.losses.size(); ++t) {
    double* const sums = sums_ + (goal.terms + static_cast<long>(t)) * kMostSteps;
    record(beside, plan.losses(static_cast<int>(t)), plan.feed().truths[t],
           {sums, sums + step, sums + 2 * step});
  }
  plan.early_gradients(beside, gradients_.as<float>());
  join_.record(side_);
  plan.backward(at);
  plan.late_gradients(at, gradients_.as<float>());
  join_.hold_back(stream_);
  plan.check(at);
  goal.update->enqueue(at, apart);
  plan.follow(at);
}

void CudaTraining::enqueue_step(const Place& at, unsigned due, bool apart) {
  for (std::size_t g = 0; g < goals_.size(); ++g) {
    if (due >> g & 1) enqueue_goal(goals_[g], place_of(goals_[g], at), apart);
  }
}

const Graph& CudaTraining::graph(int rows, int steps, unsigned due, bool apart) {
  for (const Captured& c : graphs_) {
    if (c.rows == rows && c.steps == steps && c.due == due) return *c.graph;
  }
  for (const Goal& goal : goals_) goal.plan->get_ready(rows);
  auto made = std::make_unique<Graph>(stream_, [&] {
    for (int i = 0; i < steps; ++i) enqueue_step(place(rows, i), due, apart);
    advance(place(rows), steps);
  });
  graphs_.push_back({rows, steps, due, std::move(made)});
  return *graphs_.back().graph;
}

// Steps from `from` on, `most` at the most; how many.
long CudaTraining::enqueue(const Table& table, long from, long most, bool apart) {
  const long end = std::min(static_cast<long>(table.rows.size()), from + most);
  const auto alike = [&](long i, long k) {
    return table.rows[i].rows == table.rows[k].rows && table.due[i] == table.due[k];
  };
  for (long i = from; i < end;) {
    long count = 1;
    while (count < kTogether && i + count < end && alike(i, i + count)) ++count;
    const int steps = count == kTogether ? kTogether : 1;
    graph(table.rows[i].rows, steps, table.due[i], apart).launch(stream_);
    i += steps;
  }
  return end - from;
}

void CudaTraining::hand_out(const Stretch& stretch, long done) const {
  const Plot plot(knobs_.columns, terms_);
  const double* sums = found_.as<double>(plot.sums - plot.cursor);
  for (double* const to : {stretch.loss, stretch.right, stretch.weight}) {
    for (const Goal& goal : goals_) {
      for (std::size_t t = 0; t < goal.program.losses.size(); ++t, sums += kMostSteps) {
        for (long i = 0; i < done; ++i) {
          if (goal.due(stretch.at.step + i)) to[i * terms_ + goal.terms + t] = sums[i];
        }
      }
    }
  }
}

Walked CudaTraining::walk(const Stretch& stretch, Halt* halt) {
  const Batcher& data = *stretch.data;
  const double begun = now();
  const long columns = knobs_.columns;
  if (data.at_once(data.rows(stretch.at.batch)) < data.rows(stretch.at.batch)) {
    refuse("device=\"cuda\": no steps in parts yet: leave accumulate out, or use device=\"cpu\"");
  }
  Table table;
  const long in_epoch = data.batches() - stretch.at.batch;
  for (long i = 0; i < std::min({stretch.count, kMostSteps, in_epoch}); ++i) {
    const double* const knobs = stretch.knobs + i * columns;
    for (const Goal& goal : goals_) {
      if (knobs[goal.knobs + kSharpness] > 0) {
        refuse("device=\"cuda\": no kernel for sharpness yet; use device=\"cpu\"");
      }
    }
    add_row(table, data, {stretch.at.epoch, stretch.at.batch + i, stretch.at.step + i}, knobs);
  }
  use(data);
  const Feed& feed = goals_[0].plan->feed();
  std::vector<Truth> truths;
  for (const Goal& goal : goals_) {
    const std::vector<Truth>& own = goal.plan->feed().truths;
    truths.insert(truths.end(), own.begin(), own.end());
  }
  if (Key key{feed.deal, feed.inputs, feed.targets, truths, stretch.separate}; !(key == key_)) {
    graphs_.clear();
    key_ = std::move(key);
  }
  lay_out(table, stretch.knobs);
  const Goal& first = goals_[0];  // of several objectives none looks ahead
  const Place start = place_of(first, place(table.rows[0].rows));
  first.update->begin(start);
  const Plot plot(knobs_.columns, terms_);
  const long steps = static_cast<long>(table.rows.size());
  long enqueued = 0;
  Cursor cursor{};
  while (enqueued < steps) {
    if (halt != nullptr) halt->ask();
    if (halt != nullptr && halt->wanted()) break;
    const double left = stretch.budget - (now() - begun), from = now();
    const double fit = step_seconds_ > 0 ? left / step_seconds_ : kTogether;
    const long before = enqueued;
    enqueued += enqueue(table, enqueued, std::max(1L, static_cast<long>(std::min(fit, 4096.0))),
                        stretch.separate);
    check(cudaMemcpyAsync(found_.as<std::byte>(), tables_.data() + plot.cursor,
                          static_cast<std::size_t>(plot.size - plot.cursor), cudaMemcpyDeviceToHost,
                          stream_.get()),
          "the results");
    stream_.wait();
    cursor = *found_.as<Cursor>();
    step_seconds_ = (now() - from) / static_cast<double>(enqueued - before);
    if (cursor.bad_loss || cursor.bad_update || now() - begun > stretch.budget) break;
  }
  const unsigned moment = cursor.bad_loss ? cursor.bad_loss : cursor.bad_update;
  const long done = moment ? static_cast<long>(moment / kObjectives) - 1 : enqueued;
  const unsigned objective = moment % kObjectives;
  first.update->end(start, done);
  stream_.wait();
  hand_out(stretch, done);
  const unsigned before = moment ? table.due[done] & ((1U << objective) - 1) : 0;
  return {.done = done,
          .bad = cursor.bad_loss     ? Bad::Loss
                 : cursor.bad_update ? Bad::Gradient
                                     : Bad::Nothing,
          .seconds = step_seconds_,
          .objective = static_cast<int>(objective),
          .half = before != 0};
}

}  // namespace steep::cuda
