// The doors to the interpreter that a native call passes while it runs.
#include "bind/gil.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace steep::bind {

namespace {

std::atomic<bool> closed{false};
std::atomic<int> coming{0};  // threads on their way to the GIL
std::thread::id closer;      // set before `closed`

// On the way to the GIL as long as it lives; `open` is false where there is none any more. Who is on
// the way gets there: the end of the interpreter begins only after.
struct Coming {
  Coming() {
    coming.fetch_add(1, std::memory_order_seq_cst);
    open = !closed.load(std::memory_order_seq_cst) || std::this_thread::get_id() == closer;
    if (!open) coming.fetch_sub(1, std::memory_order_seq_cst);
  }
  ~Coming() {
    if (open) coming.fetch_sub(1, std::memory_order_seq_cst);
  }
  bool open;
};

void close_door() {
  closer = std::this_thread::get_id();
  closed.store(true, std::memory_order_seq_cst);
  PyThreadState* const state = PyEval_SaveThread();
  while (coming.load(std::memory_order_seq_cst) > 0) sched_yield();
  PyEval_RestoreThread(state);
}

}  // namespace

void close_at_exit() {
  py::module_::import("atexit").attr("register")(py::cpp_function(&close_door));
  pthread_atfork(nullptr, nullptr, [] { coming = 0; });  // the child has only the calling thread
}

Released::~Released() {
  const Coming now;
  while (!now.open) pause();
  PyEval_RestoreThread(state_);
}

// The handler itself waits until the call is over and holds nothing: it may call steep again.
bool interrupted() {
  const Coming now;
  if (!now.open) return false;
  const py::gil_scoped_acquire acquired;
  if (PyOS_InterruptOccurred() == 0) return false;
  PyErr_SetInterrupt();  // asking took it away
  return true;
}

void run_handlers() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace steep::bind
