// A library of NVIDIA's that is opened while the program runs, where a user asks for it: by an environment
// variable, which is "on" or a path. What it computes is in the files beside this one.
#pragma once
#include <string>

namespace steep::cuda {

class SharedObject {
 public:
  // Looks for `name` among what is loaded, beside installed packages, and where the system looks.
  SharedObject(const char* variable, const char* name);

  bool there() const { return handle_ != nullptr; }
  const std::string& why_not() const { return why_not_; }  // for people
  const std::string& path() const { return path_; }
  // Null, and there() no more, where the library has no such function.
  template <class F> void find(F*& function, const char* symbol) {
    function = reinterpret_cast<F*>(look_up(symbol));
  }
  void refuse(std::string why);  // it is not what it should be

 private:
  void* look_up(const char* symbol);
  void* handle_ = nullptr;
  std::string why_not_, path_;
};

}  // namespace steep::cuda
