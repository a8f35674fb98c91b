// A list of types, for the explicit lists of rules, activations and losses. No list lives here.
#pragma once

namespace steep {

template <class... Entries>
struct List {};

}  // namespace steep
