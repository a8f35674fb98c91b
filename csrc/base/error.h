// Formats the messages of the exceptions the core throws. Who throws says where, what came, what to do.
#pragma once
#include <stdexcept>
#include <string>

namespace steep {

// What a part of a message looks like; numbers as streams write them.
void append(std::string& to, const char* part);
void append(std::string& to, const std::string& part);
void append(std::string& to, int part);
void append(std::string& to, long part);
void append(std::string& to, unsigned part);
void append(std::string& to, unsigned long part);
void append(std::string& to, double part);
void append(std::string& to, float part);

template <class... Parts> std::string text(const Parts&... parts) {
  std::string out;
  (append(out, parts), ...);
  return out;
}

[[noreturn]] void refuse_text(const std::string& message);

// Python sees ValueError.
template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) {
  refuse_text(text(parts...));
}

}  // namespace steep
