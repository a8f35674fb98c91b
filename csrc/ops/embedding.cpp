// The shape of an embedding and the gradient of its table.
#include "ops/embedding.h"

#include "ops/pointwise.h"
#include "ops/steps.h"

namespace steep::ops {

Shape Embedding::shape(const Given& given) {
  constexpr long kMost =
      1L << 24;  // ids are numbers of a sample, which float32 keeps apart up to here
  const Shape& w = given.parameter(0);
  if (w.size() != 2) given.refuse("expects a table (vocabulary, units), got ", text_of(w));
  vocabulary = w[0];
  units = w[1];
  if (vocabulary > kMost) {
    given.refuse("an embedding has at most ", kMost, " rows, got ", vocabulary);
  }
  if (padding < -1 || padding >= vocabulary) {
    given.refuse("padding must be an id from 0 to ", vocabulary - 1, ", got ", padding);
  }
  Shape shape = given.shape();
  positions = given.width();
  shape.push_back(units);
  return shape;
}

void Embedding::gradient(Gradients& to, const Op& op) const {
  to.term(op.parameter(0), {.form = GradTerm::Form::Scatter,
                            .x = op.in[0],
                            .dy = to.result(),
                            .positions = positions,
                            .skipped = padding});
}

Shape AddTable::shape(const Given& given) {
  if (given.shape().size() != 2 || given.parameter(0) != given.shape()) {
    given.refuse("a table of positions expects (positions, width) of its own shape ",
                 text_of(given.parameter(0)), ", got ", text_of(given.shape()));
  }
  positions = given.shape()[0];
  units = given.shape()[1];
  return given.shape();
}

void AddTable::gradient(Gradients& to, const Op& op) const {
  to.term(op.parameter(0),
          {.form = GradTerm::Form::Scatter, .x = -1, .dy = to.result(), .positions = positions});
  to.give(0, {.what = Affine{}, .in = {to.result()}});
}

}  // namespace steep::ops
