// The doors to the interpreter that a native call passes while it runs.
#include "bind/gil.h"

#include <unistd.h>

namespace steep::bind {

namespace {

bool ending() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

}  // namespace

Released::Released() : ends_(ending()), state_(PyEval_SaveThread()) {}

Released::~Released() noexcept(false) {
  while (!ends_ && ending()) pause();
  PyEval_RestoreThread(state_);
}

// The handler itself waits until the call is over and holds nothing: it may call steep again.
bool interrupted() {
  if (ending()) return false;
  const py::gil_scoped_acquire acquired;
  if (PyOS_InterruptOccurred() == 0) return false;
  PyErr_SetInterrupt();  // asking took it away
  return true;
}

void run_handlers() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace steep::bind
