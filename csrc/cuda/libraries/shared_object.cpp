// Opens libraries. They stay open: daemon threads may be inside of one when the process ends.
#include "cuda/libraries/shared_object.h"

#include <dlfcn.h>

#include <cstdlib>

#include "base/error.h"

namespace steep::cuda {

SharedObject::SharedObject(const char* variable, const char* name) {
  const char* const asked = std::getenv(variable);
  const std::string wanted = asked ? asked : "";
  if (wanted.empty() || wanted == "off") {
    why_not_ = text("off; ", variable, "=on uses it for tf32 and bfloat16");
    return;
  }
  const bool by_path = wanted != "on";
  if (by_path && wanted.find('/') == std::string::npos) {
    why_not_ = text(variable, " must be on, off or a path with a \"/\", got \"", wanted, "\"");
    return;
  }
  const char* const from = by_path ? wanted.c_str() : name;
  if (!by_path) handle_ = dlopen(name, RTLD_NOW | RTLD_NOLOAD);  // PyTorch's, or CuPy's
  if (!handle_) handle_ = dlopen(from, RTLD_NOW | RTLD_LOCAL);
  if (!handle_) {
    const char* const said = dlerror();
    why_not_ = text("not found (", said ? said : from, ")");
  }
  path_ = from;
}

void* SharedObject::look_up(const char* symbol) {
  if (!handle_) return nullptr;
  void* const found = dlsym(handle_, symbol);
  if (!found) refuse(text("has no ", symbol));
  return found;
}

void SharedObject::refuse(std::string why) {
  handle_ = nullptr;
  why_not_ = text(path_, ": ", why);
}

}  // namespace steep::cuda
