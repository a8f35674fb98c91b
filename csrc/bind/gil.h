// Giving the GIL away for the time of a native call, and hearing Ctrl-C meanwhile.
#pragma once
#include <pybind11/pybind11.h>

#include "base/halt.h"

namespace steep::bind {

namespace py = pybind11;

// Without the GIL as long as it lives. Once the interpreter ends there is no GIL to come back to, and
// Python ends a thread that asks for it, in the middle of a destructor: "terminate called". So a
// thread that still computes then (a daemon) does not ask and sleeps until the process is gone.
class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  ~Released();
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};

// From the end of the program on, only the thread that ends it comes back to the GIL. Called once.
void close_at_exit();

// Whether Ctrl-C waits for its handler. To be asked without the GIL, on the thread of the caller.
bool interrupted();
// Runs the handlers that wait, which may throw.
void run_handlers();

// work(halt) without the GIL; done again where Ctrl-C stopped it and its handler did not raise.
template <class Work> auto heedful(Work&& work) {
  for (;;) {
    Halt halt(&interrupted);
    auto result = [&] {
      const Released released;
      return work(halt);
    }();
    if (!halt.wanted()) return result;
    run_handlers();
  }
}

}  // namespace steep::bind
