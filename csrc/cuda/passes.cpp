// Lists of the parameters of a rule with two passes, and room for its sums.
#include "cuda/passes.h"

#include "cuda/arrays.h"

namespace steep::cuda {

namespace {

constexpr int kTerms = 2;
constexpr long kBlockRows = 64, kBlockColumns = 512;  // of tasks

}  // namespace

Passes::Passes(const Recipe& recipe, const RuleInfo& info, int knobs, const Layout& layout,
               const Tasks& tasks, const Stream& stream) {
  std::vector<int>& owners = owners_;
  std::vector<Extent> extents;
  for (std::size_t p = 0; p < layout.slices.size(); ++p) {
    const bool here = recipe.groups[p] != kNobody && recipe.knobs(recipe.groups[p]) == knobs;
    if (here && tasks.first[p] < tasks.first[p + 1]) owners.push_back(static_cast<int>(p));
    extents.push_back(layout.slices[p].extent());
  }
  Arrays arrays;
  const long at_first = arrays.add(tasks.first), at_extents = arrays.add(extents);
  const long at_owners = arrays.add(owners);
  lists_ = arrays.up(stream);
  const std::size_t terms = kTerms * tasks.all.size();
  numbers_ = Memory((terms + layout.slices.size()) * sizeof(double));
  sums_ = {lists_.as<int>(at_first),  lists_.as<Extent>(at_extents),
           lists_.as<int>(at_owners), static_cast<int>(owners.size()),
           numbers_.as<double>(),     numbers_.as<double>() + terms};
  if (info.factored) factor(info, owners, layout, tasks, stream);
}

void Passes::factor(const RuleInfo& info, const std::vector<int>& owners, const Layout& layout,
                    const Tasks& tasks, const Stream& stream) {
  std::vector<Factored> all;
  std::vector<Task> own;
  std::vector<int> whose;
  long doubles = 0, floats = 0;  // of each: where its numbers begin
  std::vector<long> at_doubles, at_floats;
  for (const int p : owners) {
    const Slice& s = layout.slices[p];
    const long across = s.matrix ? kPanel : kBlockColumns;
    const int first = tasks.first[p], count = tasks.first[p + 1] - first;
    for (int i = first; i < first + count; ++i) {
      own.push_back(tasks.all[i]);
      whose.push_back(static_cast<int>(all.size()));
    }
    all.push_back({.offset = s.offset,
                   .rows = s.rows,
                   .columns = s.columns,
                   .across = across,
                   .parameter = p,
                   .first = first,
                   .tasks = count,
                   .turned = s.narrow,
                   .by_row = nullptr,
                   .by_column = nullptr,
                   .row = nullptr,
                   .column = nullptr});
    at_doubles.push_back(doubles);
    at_floats.push_back(floats);
    doubles += ceil_div(s.columns, across) * s.rows;
    doubles += ceil_div(s.rows, kBlockRows) * padded(s.columns);
    floats += padded(s.rows) + padded(s.columns);
  }
  factors_ = Memory(static_cast<std::size_t>(doubles) * sizeof(double) +
                    static_cast<std::size_t>(floats) * sizeof(float));
  for (std::size_t i = 0; i < all.size(); ++i) {
    Factored& f = all[i];
    f.by_row = factors_.as<double>() + at_doubles[i];
    f.by_column = f.by_row + ceil_div(f.columns, f.across) * f.rows;
    f.row = factors_.as<float>(doubles * static_cast<long>(sizeof(double))) + at_floats[i];
    f.column = f.row + padded(f.rows);
  }
  Arrays arrays;
  const long at_all = arrays.add(all), at_own = arrays.add(own), at_whose = arrays.add(whose);
  matrices_lists_ = arrays.up(stream);
  matrices_ = {.all = matrices_lists_.as<Factored>(at_all),
               .count = static_cast<int>(all.size()),
               .tasks = matrices_lists_.as<Task>(at_own),
               .owners = matrices_lists_.as<int>(at_whose),
               .task_count = static_cast<int>(own.size()),
               .beta2 = info.knob("beta2"),
               .fresh = info.knob("one_minus_beta2"),
               .eps = info.knob("eps_in"),
               .least = info.knob("least_mean")};
}

}  // namespace steep::cuda
