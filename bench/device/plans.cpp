// For cudnn_plans.py: what cuda/libraries/dnn.cpp would choose for a device that is described, which need not be there.
#include <cstring>
#include <exception>

#include "cuda/libraries/dnn.h"

namespace dnn = steep::cuda::dnn;

// numbers: pass, bfloat16, images, filters, groups, channels; then pairs: in, out, kernel, stride, dilation, before.
// Returns 0, or 1 with the reason in `why`.
extern "C" int plan_of(const long* numbers, const char* device, long* engine, long* workspace,
                       char* why, long size) {
  steep::Window w{};
  w.channels = numbers[5];
  long* const pairs[] = {w.in, w.out, w.kernel, w.stride, w.dilation, w.before};
  for (int i = 0; i < 6; ++i) std::memcpy(pairs[i], numbers + 6 + 2 * i, 2 * sizeof(long));
  try {
    const dnn::Plan plan({static_cast<dnn::Pass>(numbers[0]), numbers[1] != 0, numbers[2],
                          numbers[3], numbers[4], w},
                         device);
    *engine = plan.engine();
    *workspace = plan.workspace();
    return 0;
  } catch (const std::exception& error) {
    std::strncpy(why, error.what(), static_cast<std::size_t>(size - 1));
    return 1;
  }
}

extern "C" int library_is_on() { return dnn::on(); }
extern "C" void describe(char* to, long size) {
  std::strncpy(to, dnn::describe().c_str(), static_cast<std::size_t>(size - 1));
}
