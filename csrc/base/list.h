// A list of types, for the explicit lists of rules, activations, losses and ops. No list lives here.
#pragma once

namespace steep {

template <class... Entries>
struct List {};

// Position of an entry.
template <class Entry, class... Entries>
constexpr int index_of(List<Entries...>) {
  constexpr bool same[] = {__is_same(Entry, Entries)...};
  int i = 0;
  while (!same[i]) ++i;
  return i;
}

}  // namespace steep
