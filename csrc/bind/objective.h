// What bindings know of the targets of a session's losses.
#pragma once
#include "bind/arrays.h"
#include "session/session.h"

namespace steep::bind {

// Of each array of targets: the losses' terms say it, and inputs of the graph that are targets.
std::vector<TargetKind> target_kinds(const Graph& graph, const std::vector<LossTerm>& terms);

}  // namespace steep::bind
