// Lists of tasks and parameters in device memory, and the launches over them.
#include "cuda/update.h"

#include "base/error.h"

namespace steep::cuda {

namespace {

constexpr long kAlign = 256;

// Arrays one after the other, then all of them on the device.
class Arrays {
 public:
  template <class T> long add(const std::vector<T>& values) {
    const long at = static_cast<long>(bytes_.size());
    const auto* from = reinterpret_cast<const std::byte*>(values.data());
    bytes_.insert(bytes_.end(), from, from + values.size() * sizeof(T));
    bytes_.resize((bytes_.size() + kAlign - 1) / kAlign * kAlign);
    return at;
  }
  Memory up(const Stream& stream) const {
    Memory memory(bytes_.size());
    write(stream, memory.data(), bytes_.data(), bytes_.size());
    return memory;
  }

 private:
  std::vector<std::byte> bytes_;
};

void check_rules(const Recipe& recipe, const Layout& layout, const std::vector<bool>& moved) {
  const auto lacks = [](const std::string& what) {
    refuse("device=\"cuda\": no kernel for ", what, " yet; use device=\"cpu\"");
  };
  if (recipe.method) lacks("the method " + recipe.method->name);
  for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
    const RuleInfo& info = recipe.rule(static_cast<int>(g));
    if (info.sums > 0) lacks("the rule " + info.name);
    if (recipe.is_sparse(static_cast<int>(g))) lacks("sparse steps");
  }
  for (std::size_t p = 0; p < layout.slices.size(); ++p) {
    const Slice& s = layout.slices[p];
    if (moved[p] && s.bound.kind != steep::Bound::Kind::None) lacks("the constraint of " + s.name);
  }
}

}  // namespace

Update::Update(const Recipe& recipe, const std::vector<bool>& moved, const CudaStore& weights,
               const CudaStore& slots, const std::vector<SlotColumn>& columns, const Stream& stream)
    : weights_(weights.column(0)) {
  const Layout& layout = weights.layout();
  check_rules(recipe, layout, moved);
  gradients_ = Memory(static_cast<std::size_t>(layout.size) * sizeof(float));
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
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const int column = static_cast<int>(c), i = recipe.rule(group).slot(columns[c].name);
      float* const first = slots.column(column) + slots.layout(column).slices[p].offset - s.offset;
      if (i >= 0) {
        r.slots[i] = first;
      } else if (recipe.average && columns[c].name == kAverageSlot) {
        r.average = first;
      }
    }
    ruled.push_back(r);
    knobs.push_back(recipe.knobs(group));
  }
  Arrays arrays;
  const long at_ruled = arrays.add(ruled), at_knobs = arrays.add(knobs);
  const long at_first = arrays.add(tasks.first);
  // Tasks of a group lie together; squares and factors keep the order of all tasks.
  std::vector<long> at_tasks;
  for (std::size_t g = 0; g < recipe.rules.size(); ++g) {
    const int group = static_cast<int>(g);
    std::vector<Task> own;
    for (const Task& task : tasks.all) {
      if (recipe.groups[task.parameter] == group) own.push_back(task);
    }
    if (own.empty()) continue;
    const RuleInfo& info = recipe.rule(group);
    looks_ahead_ = looks_ahead_ || info.look_ahead;
    at_tasks.push_back(arrays.add(own));
    groups_.push_back(
        {recipe.rules[g],
         &info,
         {nullptr, static_cast<int>(own.size()), recipe.knobs(group), recipe.average}});
  }
  lists_ = arrays.up(stream);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].group.tasks = lists_.as<Task>(at_tasks[g]);
  }
  ruled_ = lists_.as<Ruled>(at_ruled);
  const long n = static_cast<long>(tasks.all.size()), parameters = static_cast<long>(ruled.size());
  sums_ = Memory(static_cast<std::size_t>(2 * n + parameters) * sizeof(double));
  double* const sums = sums_.as<double>();
  clip_ = {lists_.as<int>(at_first),
           lists_.as<int>(at_knobs),
           static_cast<int>(parameters),
           sums,
           sums + n,
           sums + n + parameters};
}

Column Update::column(bool apart) const {
  return {weights_, gradients(), ruled_, apart ? clip_.scales : nullptr};
}

void Update::enqueue(const Place& at, bool apart) const {
  const Column column = this->column(apart);
  if (apart) {
    for (const Ours& ours : groups_) finish(at, ours.group, column, clip_.squares);
    clip(at, clip_);
  }
  for (const Ours& ours : groups_) update(at, ours.rule, ours.group, column);
}

void Update::look(const Place& at, int row, const char* knob, bool back) const {
  for (const Ours& ours : groups_) {
    if (!ours.info->look_ahead) continue;
    const int column = ours.group.knobs + kGroupKnobs + ours.info->knob(knob);
    cuda::look(at, ours.group, this->column(false), ours.info->slot("v"), row, column, back);
  }
}

void Update::begin(const Place& at) const { look(at, 0, "look", false); }

void Update::end(const Place& at, long done) const {
  look(at, static_cast<int>(done > 0 ? done - 1 : 0), done > 0 ? "look_next" : "look", true);
}

}  // namespace steep::cuda
