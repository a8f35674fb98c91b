// Parts of messages, and the throw: out of line, so that who refuses costs little code.
#include "base/error.h"

#include <cstdio>

namespace steep {

void append(std::string& to, const char* part) { to += part; }
void append(std::string& to, const std::string& part) { to += part; }
void append(std::string& to, int part) { to += std::to_string(part); }
void append(std::string& to, long part) { to += std::to_string(part); }
void append(std::string& to, unsigned part) { to += std::to_string(part); }
void append(std::string& to, unsigned long part) { to += std::to_string(part); }
void append(std::string& to, float part) { append(to, static_cast<double>(part)); }
void append(std::string& to, double part) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%g", part);
  to += digits;
}

void refuse_text(const std::string& message) { throw std::invalid_argument(message); }

}  // namespace steep
