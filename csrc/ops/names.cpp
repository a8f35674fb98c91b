// Reads the explicit lists of activations and losses into tables that can be searched by name.
#include "ops/names.h"

#include "activations/list.h"
#include "base/error.h"
#include "losses/list.h"

namespace steep {

namespace {

struct ActivationName {
  std::string name;
  bool reads_input, relu_like;
};
struct LossName { std::string name; };

template <class... A> std::vector<ActivationName> rows(List<A...>) {
  return {{A::kName, A::kReadsInput, A::kReluLike}...};
}
template <class... L> std::vector<LossName> loss_rows(List<L...>) { return {{L::kName}...}; }

// The tables are never destroyed: daemon threads may read them while the process ends.
const std::vector<ActivationName>& activation_table() {
  static const auto& table = *new auto(rows(STEEP_ISA::activations::All{}));
  return table;
}
const std::vector<LossName>& loss_table() {
  static const auto& table = *new auto(loss_rows(STEEP_ISA::losses::All{}));
  return table;
}

template <class Row> int find(const std::vector<Row>& table, const std::string& name,
                              const char* what) {
  std::string known;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (table[i].name == name) return static_cast<int>(i);
    known += (i ? ", " : "") + table[i].name;
  }
  refuse("unknown ", what, " \"", name, "\"; known are ", known);
}

template <class Row> std::vector<std::string> names(const std::vector<Row>& table) {
  std::vector<std::string> out;
  for (const Row& row : table) out.push_back(row.name);
  return out;
}

}  // namespace

int activation_index(const std::string& name) {
  return find(activation_table(), name, "activation");
}
bool activation_reads_input(int index) { return activation_table()[index].reads_input; }
bool activation_is_relu_like(int index) { return activation_table()[index].relu_like; }
std::vector<std::string> activation_names() { return names(activation_table()); }

int loss_index(const std::string& name) { return find(loss_table(), name, "loss"); }
std::vector<std::string> loss_names() { return names(loss_table()); }

}  // namespace steep
