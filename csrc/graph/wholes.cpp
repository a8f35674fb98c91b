// Follows whole numbers back to the inputs they come from.
#include "graph/wholes.h"

#include <numeric>
#include <optional>

namespace steep {

namespace {

std::optional<Whole> whole_of(const Op& op) {
  return std::visit(
      [](const auto& a) -> std::optional<Whole> {
        if constexpr (requires { a.whole(); }) return a.whole();
        return std::nullopt;
      },
      op.what);
}

const Op* maker_of(const Graph& graph, int tensor) {
  const Op* found = nullptr;
  for (const Op& op : graph.ops()) {
    if (op.out != tensor) continue;
    if (found != nullptr) return nullptr;  // in pieces
    found = &op;
  }
  return found;
}

// Where the numbers of a slice lie in what it was cut from.
void place_in_whole(const ops::Slice& s, std::vector<long>& places) {
  const long part = (s.last - s.first) * s.inner;
  for (long& at : places) at = at / part * s.n * s.inner + s.first * s.inner + at % part;
}

Wholes follow(const Graph& graph, const Op& asking, const Whole& whole) {
  std::vector<long> places(static_cast<std::size_t>(graph.tensor(asking.in[whole.in]).width));
  std::iota(places.begin(), places.end(), 0L);
  bool all = true;
  const Op* at = maker_of(graph, asking.in[whole.in]);
  while (at != nullptr && at->as<ops::Input>() == nullptr) {
    if (const auto* slice = at->as<ops::Slice>()) {
      place_in_whole(*slice, places);
      all = false;
    } else if (!is_alias(*at)) {
      at = nullptr;
      break;
    }
    at = maker_of(graph, at->in[0]);
  }
  const ops::Input* from = at == nullptr ? nullptr : at->as<ops::Input>();
  if (from == nullptr || from->target) {
    refuse(asking.layer, asking.layer.empty() ? "" : ": ", "a ", whole.what,
           " must come from an input of the network, reshaped or sliced at most, not be computed");
  }
  if (all) places.clear();
  return {from->number, std::move(places), whole.low, whole.high, whole.what, asking.layer};
}

}  // namespace

std::vector<Wholes> wholes(const Graph& graph) {
  std::vector<Wholes> found;
  for (const Op& op : graph.ops()) {
    if (const auto whole = whole_of(op)) found.push_back(follow(graph, op, *whole));
  }
  return found;
}

}  // namespace steep
