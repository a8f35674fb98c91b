// Formats the messages of the exceptions the core throws. Who throws says where, what came, what to do.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace steep {

template <class... Parts> std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Python sees ValueError.
template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) {
  throw std::invalid_argument(text(parts...));
}

}  // namespace steep
