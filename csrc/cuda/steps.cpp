// Stretches of steps: their table goes up once, then graphs of sixteen steps or one are enqueued, and the
// host waits once for all that its time allows.
#include <algorithm>
#include <functional>
#include <numeric>

#include "base/clock.h"
#include "base/error.h"
#include "cuda/training.h"

namespace steep::cuda {

namespace {

constexpr long kMostSteps = 4096;  // of a call
constexpr int kTogether = 16;      // steps of the larger graph
constexpr long kAlign = 256;
constexpr const char* kOneBlock = "one block";

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

bool equal_changes(const Augmented& a, const Augmented& b) {
  const Changes &x = a.drawn, &y = b.drawn;
  return a.fill == b.fill && a.seed == b.seed && a.channels == b.channels && x.flip == y.flip &&
         x.shift == y.shift && x.cutout == y.cutout && x.height == y.height && x.width == y.width;
}

}  // namespace

bool CudaTraining::Key::operator==(const Key& other) const {
  const auto equal = [](const Samples& a, const Samples& b) {
    return a.data == b.data && a.format == b.format && a.columns == b.columns &&
           a.stride == b.stride;
  };
  const auto alike = [](const Truth& a, const Truth& b) {  // not as bytes: there is padding
    return a.labels == b.labels && a.apart == b.apart && a.targets == b.targets &&
           a.weights == b.weights && a.order == b.order && a.each == b.each &&
           a.positions == b.positions;
  };
  return deal.samples == other.deal.samples && deal.seed == other.deal.seed &&
         deal.shuffle == other.deal.shuffle && deal.dealt == other.deal.dealt &&
         std::equal(inputs.begin(), inputs.end(), other.inputs.begin(), other.inputs.end(),
                    equal) &&
         std::equal(targets.begin(), targets.end(), other.targets.begin(), other.targets.end(),
                    equal) &&
         truths.size() == other.truths.size() &&
         std::equal(truths.begin(), truths.end(), other.truths.begin(), alike) &&
         equal_changes(augmented, other.augmented) && apart == other.apart &&
         at_once == other.at_once && parts == other.parts;
}

auto CudaTraining::key_of(bool apart) const -> Key {
  const Feed& feed = goals_[0].plan->feed();
  Key key{feed.deal, feed.inputs, feed.targets, {}, feed.augmented, apart, at_once_, parts_};
  for (const Goal& goal : goals_) {
    const std::vector<Truth>& own = goal.plan->feed().truths;
    key.truths.insert(key.truths.end(), own.begin(), own.end());
  }
  return key;
}

long CudaTraining::table_bytes() const { return Plot(knobs_.columns, terms_).size; }

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
  at.now.parts = parts_;
  return at;
}

Place CudaTraining::place_of(const Goal& goal, Place at) const {
  at.now.objective = static_cast<int>(&goal - goals_.data());
  at.now.first = goal.knobs;
  return at;
}

void CudaTraining::use(const Batcher& data) {
  const DeviceArrays& there = shown_.of(data);
  const Deal deal{static_cast<uint64_t>(data.data().samples), goals_[0].recipe.seed,
                  data.shuffles(), nullptr, shown_.streams()};
  for (const Goal& goal : goals_) goal.plan->read_from(there, deal, goal.recipe.seed);
  const long rows = std::min(data.batch_size(), data.data().samples);
  at_once_ = data.at_once(rows);
  const long parts = ceil_div(rows, at_once_);
  if (parts > kMostSteps) {
    refuse("device=\"cuda\": an update of at most ", kMostSteps,
           " batches, got accumulate=", parts);
  }
  parts_ = static_cast<int>(parts);
  make_tables();
}

void CudaTraining::lay_out(const Table& table, const double* knobs) {
  const long columns = knobs_.columns, count = static_cast<long>(table.sizes.size());
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

// What needs the loss only is done beside the way back.
void CudaTraining::enqueue_pass(const Goal& goal, const Place& at, bool more, bool held,
                                const Records* records) {
  const Plan& plan = *goal.plan;
  plan.forward(at, held, records);
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
  if (records != nullptr) records->add(beside);
  plan.early_gradients(beside, gradients_.as<float>(), more);
  join_.record(side_);
  plan.backward(at);
  plan.late_gradients(at, gradients_.as<float>(), more);
  join_.hold_back(stream_);
}

// Nothing moves before the losses are known, but what follows the parts of a step. It follows the weights, not
// the point uphill.
void CudaTraining::enqueue_goal(const Goal& goal, const Place& at, unsigned due, bool apart) {
  const Plan& plan = *goal.plan;
  const bool parts = at.rows > at_once_, uphill = this->uphill(due) >> at.now.objective & 1;
  const Records* const records = (due & kRecorded) != 0 ? records_.get() : nullptr;
  if (parts) plan.keep_followed(at);
  each_part(at, [&](const Place& part, bool more) {
    enqueue_pass(goal, part, more, false, records);
    plan.check(part);
    if (parts) plan.follow(part);
    return true;
  });
  if (uphill) {
    if (!parts) plan.follow(at);
    goal.update->climb(at, kept_weights_.as<float>());
    Place again = at;
    again.now.again = true;
    each_part(again, [&](const Place& part, bool more) {
      enqueue_pass(goal, part, more);
      plan.check(part);
      return true;
    });
    goal.update->come_back(at, kept_weights_.as<float>());
  }
  goal.update->enqueue(at, apart, records);
  if (records != nullptr) records->put(at);
  if (!parts && !uphill) plan.follow(at);
}

void CudaTraining::enqueue_step(const Place& at, unsigned due, bool apart) {
  for (std::size_t g = 0; g < goals_.size(); ++g) {
    if (due >> g & 1) enqueue_goal(goals_[g], place_of(goals_[g], at), due, apart);
  }
}

bool CudaTraining::reserve_aside(const Table& table, const Recorded& recorded) {
  const unsigned any = std::accumulate(table.due.begin(), table.due.end(), 0U, std::bit_or<>());
  if (uphill(any) != 0 && kept_weights_.bytes() == 0) {
    kept_weights_ = Memory(static_cast<std::size_t>(weights_->layout().size) * sizeof(float));
  }
  for (const Goal& goal : goals_) {
    if (parts_ > 1) goal.plan->reserve_followed();
  }
  if ((any & kRecorded) == 0) return false;
  const Goal& goal = goals_[0];
  if (!records_) {
    records_ = std::make_unique<Records>(goal.plan->watched(), goal.plan->capacity(), kMostSteps,
                                         *goal.update, *weights_, stream_);
  }
  std::vector<bool> which;
  for (const unsigned due : table.due) which.push_back((due & kRecorded) != 0);
  return records_->lay_out(which, recorded.columns);
}

const Graph& CudaTraining::graph(int rows, int steps, unsigned due, bool apart) {
  return captured(rows, steps, due, [&] {
    for (int i = 0; i < steps; ++i) enqueue_step(place(rows, i), due, apart);
    advance(place(rows), steps);
  });
}

// Why steps of the table are graphs; "" where they stay in one block.
std::string CudaTraining::why_graphs(const Table& table) const {
  if (!resident_) return why_graphs_;
  if (parts_ > 1) return "a step in parts";
  for (const unsigned due : table.due) {
    if ((due & kRecorded) != 0) return "steps are recorded";
    if (uphill(due) != 0) return "a gradient from uphill";
  }
  return stays_away(goals_[0].plan->feed());
}

void CudaTraining::launch(const Table& table, long from, long end, bool apart) {
  if (steps_by_ == kOneBlock) {
    const long step = kMostSteps * terms_;
    resident_->enqueue(place(table.sizes[from]), goals_[0].plan->feed(),
                       {sums_, sums_ + step, sums_ + 2 * step}, apart,
                       static_cast<int>(end - from));
    return;
  }
  const long together = std::max(1, kTogether / parts_);
  const auto alike = [&](long i, long k) {
    return table.sizes[i] == table.sizes[k] && table.due[i] == table.due[k];
  };
  for (long i = from; i < end;) {
    long count = 1;
    while (count < together && i + count < end && alike(i, i + count)) ++count;
    const int steps = count == together ? static_cast<int>(together) : 1;
    graph(table.sizes[i], steps, table.due[i], apart).launch(stream_);
    i += steps;
  }
}

// The samples of the chunk after one are read and sent while the steps on it run.
template <class Late>
long CudaTraining::enqueue(const Stretch& stretch, const Table& table, long from, long most,
                           Late&& late) {
  const long end = std::min(static_cast<long>(table.sizes.size()), from + most);
  long done = from;
  for (std::size_t c = 0; done < end; ++c) {
    const Chunk& chunk = table.chunks[c];
    const long last = std::min(end, chunk.end() - stretch.at.batch);
    if (last <= done) continue;
    if (done > from && late()) break;
    shown_.send(*stretch.data, chunk);
    shown_.hold_back(chunk);
    launch(table, done, last, stretch.separate);
    shown_.let_go(chunk);
    done = last;
    if (c + 1 < table.chunks.size()) shown_.send(*stretch.data, table.chunks[c + 1]);
  }
  return done - from;
}

const double* CudaTraining::sums_of_step(int which) const {
  return sums_ + which * terms_ * kMostSteps;
}

void CudaTraining::hand_out(const Stretch& stretch, long done) const {
  const Plot plot(knobs_.columns, terms_);
  const double* sums = found_.as<double>(plot.sums - plot.cursor);
  for (double* const to : {stretch.loss, stretch.right, stretch.weight}) {
    for (const Goal& goal : goals_) {
      for (std::size_t t = 0; t < goal.program.losses.size(); ++t, sums += kMostSteps) {
        for (long i = 0; i < done; ++i) {
          if (!goal.due(stretch.at.step + i)) continue;
          const double* const parts = sums + i * parts_;
          const long rows = stretch.data->rows(after(*stretch.data, stretch.at, i).batch);
          double sum = parts[0];
          for (long p = 1; p * at_once_ < rows; ++p) sum += parts[p];
          to[i * terms_ + goal.terms + t] = sum;
        }
      }
    }
  }
}

Walked CudaTraining::walk(const Stretch& stretch, Halt* halt) {
  const Batcher& data = *stretch.data;
  const double begun = now();
  const long columns = knobs_.columns;
  use(data);
  Table table;
  const long in_epoch = data.batches() - stretch.at.batch;
  const long steps = std::min({stretch.count, kMostSteps / parts_, in_epoch});
  table.chunks = shown_.route(data, stretch.at, steps);
  for (long i = 0; i < steps; ++i) {
    add_row(table, data, {stretch.at.epoch, stretch.at.batch + i, stretch.at.step + i},
            stretch.knobs + i * columns);
    if (stretch.recorded.at(stretch.at.step + i)) table.due.back() |= kRecorded;
  }
  bool other = reserve_aside(table, stretch.recorded);
  Key key = key_of(stretch.separate);
  other = other || !(key == key_);
  for (const Goal& goal : goals_) {
    if (goal.update->take(stretch.knobs + goal.knobs)) other = true;
  }
  if (other) graphs_.clear();
  key_ = std::move(key);
  lay_out(table, stretch.knobs);
  const std::string why = why_graphs(table);
  steps_by_ = why.empty() ? kOneBlock : "graphs: " + why;
  if (shown_.streams() && why != kStreamed) steps_by_ += text(", ", kStreamed);
  const Goal& first = goals_[0];  // of several objectives none looks ahead
  const Place start = place_of(first, place(table.sizes[0]));
  first.update->begin(start);
  const Plot plot(knobs_.columns, terms_);
  long enqueued = 0;
  Cursor cursor{};
  const auto halted = [&] {
    if (halt != nullptr) halt->ask();
    return halt != nullptr && halt->wanted();
  };
  while (enqueued < steps && !halted()) {
    const double left = stretch.budget - (now() - begun), from = now();
    const double fit = step_seconds_ > 0 ? left / step_seconds_ : kTogether;
    const long before = enqueued;
    enqueued +=
        enqueue(stretch, table, enqueued, std::max(1L, static_cast<long>(std::min(fit, 4096.0))),
                [&] { return halted() || now() - begun > stretch.budget; });
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
  if (cursor.bad_loss && parts_ > 1) goals_[objective].plan->put_followed();
  first.update->end(start, done);
  const auto rows = std::count_if(table.due.begin(), table.due.begin() + done,
                                  [](unsigned due) { return (due & kRecorded) != 0; });
  if (rows > 0) records_->fetch(rows, stretch.recorded.rows);
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
