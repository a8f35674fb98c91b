// Shapes of what rows leave behind, and who moves it.
#include "ops/kept.h"

#include "ops/steps.h"

namespace steep::ops {

namespace {

void count(Kept& op, const Given& given) {
  const long size = elements_of(given.parameter(0));
  if (given.parameter(0).size() != 1 || op.width < 1 || size % op.width != 0) {
    given.refuse("states of rows of ", op.width, " numbers must be a vector of whole rows, got ",
                 text_of(given.parameter(0)));
  }
  op.rows = size / op.width;
}

}  // namespace

Shape KeptRows::shape(const Given& given) {
  count(*this, given);
  return {width};
}

void KeptRows::lower(Lowering& to, Op& op) const {
  KeptRows mine = *this;
  mine.zeros = restarts && !to.training();
  op.what = mine;
}

Shape KeepRows::shape(const Given& given) {
  width = given.width();
  count(*this, given);
  return given.shape();
}

void KeepRows::lower(Lowering& to, Op& op) const {
  if (!to.training()) return;
  KeepRows mine = *this;
  mine.followed = to.moves(op.parameter(0));
  op.what = mine;
}

}  // namespace steep::ops
