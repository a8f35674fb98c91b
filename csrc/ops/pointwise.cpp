// Shapes and gradients of ops on each element by itself.
#include "ops/pointwise.h"

#include <cmath>

#include "ops/names.h"
#include "ops/norm.h"
#include "ops/steps.h"

namespace steep::ops {

namespace {

const Shape& row_shape(const Given& given, const char* what) {
  const Shape& x = given.shape();
  given.expect_vector(0, text(what, " expects a parameter of shape").c_str(), x.back());
  return x;
}

}  // namespace

Shape Activation::shape(const Given& given) {
  if (!any()) given.refuse(kName, " expects a kind");
  if (!std::isfinite(alpha)) given.refuse("alpha must be finite, got ", alpha);
  if (alpha < 0 && !activation_reads_input(activation)) {
    given.refuse(activation_names()[activation], " expects alpha of at least 0, got ", alpha,
                 ": its derivative is found from its output, which then tells no side from the "
                 "other");
  }
  return given.shape();
}

void Activation::gradient(Gradients& to, const Op& op) const {
  const int stored = activation_reads_input(activation) ? op.in[0] : op.out;
  to.give(0, {.what = ActivationGrad{*this}, .in = {to.result(), stored}});
}

Shape Add::shape(const Given& given) { return given.equal(kName); }
void Add::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Affine{}, .in = {to.result()}});
  to.give(1, {.what = Affine{}, .in = {to.result()}});
}

Shape Subtract::shape(const Given& given) { return given.equal(kName); }
void Subtract::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Affine{}, .in = {to.result()}});
  to.give(1, {.what = Affine{.scale = -1}, .in = {to.result()}});
}

Shape Multiply::shape(const Given& given) { return given.equal(kName); }
void Multiply::gradient(Gradients& to, const Op& op) const {
  to.give(0, {.what = Multiply{}, .in = {to.result(), op.in[1]}});
  to.give(1, {.what = Multiply{}, .in = {to.result(), op.in[0]}});
}

Shape Affine::shape(const Given& given) { return given.shape(); }
void Affine::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = Affine{.scale = scale}, .in = {to.result()}});
}

Shape AffineChannels::shape(const Given& given) {
  const auto channels = static_cast<std::size_t>(given.shape().back());
  if (scales.size() != channels || shifts.size() != channels) {
    given.refuse("expects numbers for ", channels, " channels, got ", scales.size());
  }
  return given.shape();
}
void AffineChannels::gradient(Gradients& to, const Op&) const {
  to.give(0, {.what = AffineChannels{.scales = scales}, .in = {to.result()}});
}

Shape AddRow::shape(const Given& given) {
  positions = given.positions();
  return row_shape(given, kName);
}
void AddRow::gradient(Gradients& to, const Op& op) const {
  const int dy = to.result();
  to.term(op.parameter(0),
          {GradTerm::Form::Sum, -1, summed(to, dy, positions, to.shape(dy).back())});
  to.give(0, {.what = Affine{}, .in = {dy}});
}

Shape MultiplyRow::shape(const Given& given) {
  positions = given.positions();
  return row_shape(given, kName);
}
void MultiplyRow::gradient(Gradients& to, const Op& op) const {
  const int dy = to.result(), x = op.in[0], p = op.parameter(0);
  if (positions == 1) {
    to.term(p, {GradTerm::Form::SumProduct, x, dy});
  } else {
    const Shape shape = to.shape(x);
    const int products =
        to.step({.what = Multiply{}, .in = {dy, x}}, {.width = elements_of(shape)});
    to.term(p, {GradTerm::Form::Sum, -1, summed(to, products, positions, shape.back())});
  }
  to.give(0,
          {.what = MultiplyRow{.positions = positions}, .in = {dy}, .parameters = op.parameters});
}

}  // namespace steep::ops
