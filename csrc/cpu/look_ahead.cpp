// The two ends of a run by a look-ahead rule: the weights become the point of the gradient, and w
// again. The steps between are in run.cpp.
#include <algorithm>

#include "cpu/threads.h"
#include "session/session.h"

namespace steep {

namespace {

constexpr double kFlopsPerMove = 4;  // of one weight to the point or back

// Calls part(from, n) on all of `size` elements, shared by the threads. Through the pool for a single
// thread, too: denormals are treated as in the steps.
template <class F> void in_parts(long size, F&& part) {
  const long lanes = size / kLane;
  pool().run(threads_for(kFlopsPerMove * static_cast<double>(size)), [&](int thread, int threads) {
    const long from = lanes * thread / threads * kLane, to = lanes * (thread + 1) / threads * kLane;
    part(from, to - from);
  });
}

}  // namespace

template <class T> void Session<T>::begin(const double* knobs) {
  const RuleInfo& rule = rule_infos()[rule_];
  if (!rule.look_ahead) return;
  const T look = static_cast<T>(knobs[kCommonKnobs + rule.knob("look")]);
  const T* v = slot(rule.slot("v"));
  T* w = network_->weights()->column(0);
  in_parts(network_->weights()->layout().size,
           [&](long from, long n) { k_.look_ahead(w + from, v + from, n, look); });
}

// Outside of a run the weights are w, never the look-ahead point.
template <class T> void Session<T>::end(const double* knobs, long done) {
  const RuleInfo& rule = rule_infos()[rule_];
  if (!rule.look_ahead) return;
  if (done > 0) knobs += (done - 1) * knob_columns();
  const T look = static_cast<T>(knobs[kCommonKnobs + rule.knob(done > 0 ? "look_next" : "look")]);
  const T* v = slot(rule.slot("v"));
  T* w = network_->weights()->column(0);
  in_parts(network_->weights()->layout().size,
           [&](long from, long n) { k_.look_back(w + from, v + from, w + from, n, look); });
}

#define STEEP_ENDS(T)                             \
  template void Session<T>::begin(const double*); \
  template void Session<T>::end(const double*, long);
STEEP_ENDS(float)
STEEP_ENDS(double)
#undef STEEP_ENDS

}  // namespace steep
