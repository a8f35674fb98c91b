// One pass over samples as they lie: a stretch at a time is compared, and looked at only where it fails.
#include "data/strays.h"

#include <cstring>
#include <limits>
#include <type_traits>

#include "data/positions.h"

namespace steep {

namespace {

template <class V> V load(const std::byte* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <class V> bool strays(V value, V low, V high) {
  if constexpr (std::is_floating_point_v<V>) {
    if (!(value >= low && value <= high)) return true;  // so that the cast below holds it
    return static_cast<V>(static_cast<long>(value)) != value;
  }
  return value < low || value > high;
}

// Bounds as V holds them, the widest there are.
template <class V> V bound(long value) {
  if constexpr (std::is_floating_point_v<V>) return static_cast<V>(value);
  if (value < static_cast<long>(std::numeric_limits<V>::min())) {
    return std::numeric_limits<V>::min();
  }
  if (value > static_cast<long>(std::numeric_limits<V>::max())) {
    return std::numeric_limits<V>::max();
  }
  return static_cast<V>(value);
}

// The first that strays among n numbers so many bytes apart, or n.
template <class V> long first_stray(const std::byte* from, long stride, long n, V low, V high) {
  bool any = false;
  if (stride == static_cast<long>(sizeof(V))) {
    for (long i = 0; i < n; ++i) {
      any |= strays(load<V>(from + i * static_cast<long>(sizeof(V))), low, high);
    }
    if (!any) return n;
  }
  for (long i = 0; i < n; ++i) {
    if (strays(load<V>(from + i * stride), low, high)) return i;
  }
  return n;
}

template <class V>
bool find(const Source& s, const std::vector<long>& places, long low, long high, Stray& found) {
  const V least = bound<V>(low), most = bound<V>(high);
  for (long sample = 0; sample < s.samples; ++sample) {
    bool bad = false;
    const auto look = [&](long first, long end) {
      long at = first;
      each_run(s, sample, first, end, [&](const std::byte* from, long stride, long n) {
        if (bad) return;
        const long i = first_stray<V>(from, stride, n, least, most);
        if (i < n) {
          bad = true;
          found = {sample, at + i, static_cast<double>(load<V>(from + i * stride))};
        }
        at += n;
      });
    };
    if (places.empty()) {
      look(0, s.width());
    } else {
      for (const long place : places) {
        if (!bad) look(place, place + 1);
      }
    }
    if (bad) return true;
  }
  return false;
}

}  // namespace

bool find_stray(const Source& s, const std::vector<long>& places, long low, long high,
                Stray& found) {
  switch (s.format) {
    case Format::Float64: return find<double>(s, places, low, high, found);
    case Format::UInt8: return find<uint8_t>(s, places, low, high, found);
    case Format::UInt16: return find<uint16_t>(s, places, low, high, found);
    case Format::Int32: return find<int32_t>(s, places, low, high, found);
    case Format::Int64: return find<int64_t>(s, places, low, high, found);
    default: return find<float>(s, places, low, high, found);
  }
}

}  // namespace steep
