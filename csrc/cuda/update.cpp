// Lists of tasks and parameters in device memory, and the launches over them.
#include "cuda/update.h"

#include <limits>
#include <utility>

#include "base/error.h"
#include "cuda/arrays.h"
#include "cuda/records.h"

namespace steep::cuda {

namespace {

// The bounds of single weights.
void set_bounds(const steep::Bound& bound, Ruled& to) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const bool clips = bound.kind == steep::Bound::Kind::Clip;
  const float limit = static_cast<float>(bound.limit);
  to.bounded = bound.by_element();
  to.low = clips ? -limit : bound.kind == steep::Bound::Kind::NonNegative ? 0.0f : -kInfinity;
  to.high = clips ? limit : kInfinity;
  to.waits = bound.by_column();
}

// Panels are pieces of their own; of W^T and of vectors all are one.
void add_pieces(const Slice& s, int parameter, std::vector<Piece>& to) {
  if (!s.bound.by_column()) return;
  const bool whole = s.narrow || !s.matrix;
  const int count = static_cast<int>(s.panels().count()), step = whole ? count : 1;
  for (int first = 0; first < count; first += step) {
    to.push_back({s.panels(), s.offset, parameter, first, first + step, whole,
                  s.bound.kind == steep::Bound::Kind::UnitNorm, s.bound.limit});
  }
}

}  // namespace

Update::Update(const Recipe& recipe, const std::vector<bool>& moved, const CudaStore& weights,
               const CudaStore& slots, int first, float* gradients, const Stream& stream)
    : weights_(weights.column(0)), gradients_(gradients), adaptive_(recipe.adaptive) {
  const Layout& layout = weights.layout();
  const std::vector<SlotColumn> columns = slot_columns(recipe, layout);
  const Tasks tasks(layout, moved);
  std::vector<Ruled> ruled;
  std::vector<int> knobs;
  for (std::size_t p = 0; p < layout.slices.size(); ++p) {
    const Slice& s = layout.slices[p];
    const int group = recipe.groups[p];
    Ruled r{};
    if (group == kNobody) {  // no task will ask
      ruled.push_back(r);
      knobs.push_back(0);
      continue;
    }
    r.decay = s.decay || recipe.decay_bias;
    r.panels = recipe.is_sparse(group) && s.matrix ? static_cast<int>(s.panels().count()) : 0;
    r.first = tasks.first[p];
    r.turned = s.narrow;
    set_bounds(s.bound, r);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const int column = first + static_cast<int>(c), i = recipe.rule(group).slot(columns[c].name);
      float* const begin = slots.column(column) + slots.layout(column).slices[p].offset - s.offset;
      if (i >= 0) {
        r.slots[i] = begin;
      } else if (recipe.average && columns[c].name == kAverageSlot) {
        r.average = begin;
      }
    }
    ruled.push_back(r);
    knobs.push_back(recipe.knobs(group));
  }
  Arrays arrays;
  const long at_ruled = arrays.add(ruled), at_knobs = arrays.add(knobs);
  const long at_first = arrays.add(tasks.first);
  // Tasks of a group lie together; squares and factors keep the order of all tasks.
  std::vector<long> at_tasks, at_pieces;
  for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
    const int group = static_cast<int>(g);
    std::vector<Task> own;
    for (const Task& task : tasks.all) {
      if (recipe.groups[task.parameter] == group) own.push_back(task);
    }
    if (own.empty()) continue;
    const RuleInfo& info = recipe.rule(group);
    looks_ahead_ = looks_ahead_ || info.look_ahead;
    std::vector<Piece> pieces;
    for (std::size_t p = 0; p < layout.slices.size(); ++p) {
      const bool here = recipe.groups[p] == group && moved[p];
      if (here) add_pieces(layout.slices[p], static_cast<int>(p), pieces);
    }
    at_tasks.push_back(arrays.add(own));
    at_pieces.push_back(arrays.add(pieces));
    groups_.push_back({recipe.rules[g],
                       &info,
                       {nullptr, static_cast<int>(own.size()), recipe.knobs(group), recipe.average},
                       nullptr,
                       static_cast<int>(pieces.size())});
  }
  lists_ = arrays.up(stream);
  for (Ours& ours : groups_) {
    if (ours.info->sums == 0) continue;
    ours.passes =
        std::make_unique<Passes>(recipe, *ours.info, ours.group.knobs, layout, tasks, stream);
    if (ours.info->orthogonal) {
      ours.orthogonal = std::make_unique<Orthogonal>(*ours.info, layout, ours.passes->owners());
    }
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].group.tasks = lists_.as<Task>(at_tasks[g]);
    groups_[g].pieces = lists_.as<Piece>(at_pieces[g]);
  }
  ruled_ = lists_.as<Ruled>(at_ruled);
  const long n = static_cast<long>(tasks.all.size()), parameters = static_cast<long>(ruled.size());
  tasks_ = static_cast<int>(n);
  sums_ = Memory(static_cast<std::size_t>(2 * n + parameters + 1) * sizeof(double));
  if (recipe.any_sparse()) moving_ = Memory(static_cast<std::size_t>(n) * sizeof(uint64_t));
  double* const sums = sums_.as<double>();
  clip_ = {lists_.as<int>(at_first),
           lists_.as<int>(at_knobs),
           static_cast<int>(parameters),
           sums,
           sums + n,
           sums + n + parameters};
  host_ruled_ = std::move(ruled);
}

Column Update::column(bool apart) const {
  return {weights_, gradients(),
          ruled_,   apart ? clip_.scales : nullptr,
          nullptr,  moving_.as<unsigned long long>()};
}

// The rate lies behind the sums of clipping.
Uphill Update::uphill(float* kept) const {
  return {adaptive_, clip_.squares, reinterpret_cast<float*>(clip_.scales + tasks_), kept};
}

std::size_t Update::bytes() const {
  std::size_t bytes = lists_.bytes() + sums_.bytes() + moving_.bytes();
  for (const Ours& ours : groups_) {
    if (ours.passes) bytes += ours.passes->bytes();
    if (ours.orthogonal) bytes += ours.orthogonal->bytes();
  }
  return bytes;
}

bool Update::take(const double* row) {
  bool other = false;
  for (Ours& ours : groups_) {
    if (!ours.orthogonal) continue;
    const int steps = static_cast<int>(row[ours.knob("ns_steps")]);
    other = other || steps != ours.steps;
    ours.steps = steps;
  }
  return other;
}

void Update::climb(const Place& at, float* kept) const {
  const Column column = this->column(false);
  const Uphill to = uphill(kept);
  for (const Ours& ours : groups_) uphill_squares(at, ours.group, column, to);
  uphill_rate(at, tasks_, to);
  for (const Ours& ours : groups_) go_uphill(at, ours.group, column, to);
}

void Update::come_back(const Place& at, float* kept) const {
  for (const Ours& ours : groups_) {
    cuda::come_back(at, ours.group, column(false), uphill(kept));
  }
}

Noted Update::noted(const Ours& ours, const Records& records) const {
  const RuleInfo& info = *ours.info;
  Noted to{records.kept(), records.norms(), !info.look_ahead && info.sums == 0, -1, 0, 0};
  if (info.look_ahead) {
    to.v = info.slot("v");
    to.look = ours.knob("look");
    to.look_next = ours.knob("look_next");
  }
  return to;
}

void Update::enqueue(const Place& at, bool apart, const Records* records) const {
  const Column column = this->column(apart);
  const auto measure_groups = [&](auto&& measure) {
    if (records == nullptr) return;
    for (const Ours& ours : groups_) measure(ours.group, noted(ours, *records));
  };
  measure_groups(
      [&](const Group& group, const Noted& to) { note_before(at, group, column, to, apart); });
  if (apart) {
    for (const Ours& ours : groups_) {
      if (column.moving) find_moving(at, ours.group, column, moving_.as<unsigned long long>());
    }
    for (const Ours& ours : groups_) finish(at, ours.group, column, clip_.squares);
    clip(at, clip_);
    measure_groups(
        [&](const Group& group, const Noted& to) { note_clipped(at, group, column, to); });
  }
  for (const Ours& ours : groups_) {
    Column own = column;
    if (ours.passes) {
      if (!apart) finish(at, ours.group, column, clip_.squares);
      measure(at, ours.rule, ours.group, column, ours.passes->sums(), ours.passes->matrices());
      own.factors = ours.passes->sums().factors;
      if (ours.orthogonal) {
        ours.orthogonal->enqueue(at, ours.passes->sums(), ours.group.knobs, ours.steps, gradients_);
      }
    }
    update(at, ours.rule, ours.group, own);
  }
  for (const Ours& ours : groups_) {
    if (ours.pieces_count == 0) continue;
    const bool ahead = ours.info->look_ahead;
    bound_columns(at, ours.pieces, ours.pieces_count, column, ahead ? ours.info->slot("v") : -1,
                  ahead ? ours.knob("look_next") : 0, ours.group.averages);
  }
  measure_groups([&](const Group& group, const Noted& to) { note_after(at, group, column, to); });
}

void Update::look(const Place& at, int row, const char* knob, bool back, bool bounded) const {
  for (const Ours& ours : groups_) {
    if (!ours.info->look_ahead) continue;
    cuda::look(at, ours.group, this->column(false), ours.info->slot("v"), row, ours.knob(knob),
               back, bounded);
  }
}

void Update::begin(const Place& at) const { look(at, 0, "look", false, false); }

void Update::end(const Place& at, long done) const {
  look(at, static_cast<int>(done > 0 ? done - 1 : 0), done > 0 ? "look_next" : "look", true,
       done > 0);
}

}  // namespace steep::cuda
