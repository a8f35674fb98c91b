// Shapes and gradients of attention and of products of two tensors.
#include "ops/attention.h"

#include <algorithm>

#include "ops/shape.h"
#include "ops/steps.h"

namespace steep::ops {

Shape Attending::shape_of(const Given& given) {
  const Shape &q = given.shape(0), &k = given.shape(1), &v = given.shape(2);
  if (q.size() != 2 || k.size() != 2 || v.size() != 2) {
    given.refuse("attention expects (positions, width), got ", text_of(q), ", ", text_of(k), ", ",
                 text_of(v));
  }
  const long together = tensors == 1 ? 3 : 1, both = tensors == 1 ? 3 : tensors == 2 ? 2 : 1;
  width = q[1] / together;
  queries = q[0];
  keys = k[0];
  if (tensors < 1 || tensors > 3 || q[1] % together != 0 || k[1] != both * width || v != k) {
    given.refuse("attention expects keys and values of the width of its queries, got ", text_of(q),
                 ", ", text_of(k), " and ", text_of(v));
  }
  if (heads < 1 || width % heads != 0) {
    given.refuse("heads must divide the width ", width, ", got ", heads);
  }
  if (!(rate >= 0 && rate < 1)) given.refuse("dropout must be in [0, 1), got ", rate);
  constexpr double kMostWords = 4294967296.0;
  if (static_cast<double>(heads) * static_cast<double>(queries) * static_cast<double>(many()) / 4 >=
      kMostWords) {
    given.refuse("attention of ", queries, " to ", keys, " positions is too large");
  }
  if (rate > 0) stream = given.next_draw();
  return {queries, width};
}

Shape MaskedAttention::shape(const Given& given) {
  const Shape out = shape_of(given);
  masked = true;
  if (given.width(3) != 1) {
    given.refuse("lengths are one number a sample, got ", text_of(given.shape(3)));
  }
  return out;
}

void Attention::lower(Lowering& to, Op& op) const { op.as<Attention>()->training = to.training(); }

void MaskedAttention::lower(Lowering& to, Op& op) const {
  op.as<MaskedAttention>()->training = to.training();
}

// One tensor that all of them come in gets its gradient as it is; of others each gets its part.
void Attending::pass_on(Gradients& to, const Op& op) const {
  Op back{.what = AttentionGrad{*this}, .in = {to.result()}};
  back.in.insert(back.in.end(), op.in.begin(), op.in.end());
  if (tensors == 1) return to.give(0, std::move(back));
  const long own = queries * width, others = keys * width;
  const int all = to.step(std::move(back), {.width = own + 2 * others});
  to.give(0, {.what = CopyColumns{0, 0, own, 1}, .in = {all}});
  if (tensors == 2) return to.give(1, {.what = CopyColumns{own, 0, 2 * others, 1}, .in = {all}});
  to.give(1, {.what = CopyColumns{own, 0, others, 1}, .in = {all}});
  to.give(2, {.what = CopyColumns{own + others, 0, others, 1}, .in = {all}});
}

Shape BatchMatMul::shape(const Given& given) {
  const Shape &a = given.shape(0), &b = given.shape(1);
  const std::size_t axes = a.size();
  if (axes < 2 || b.size() != axes || !std::equal(a.begin(), a.end() - 2, b.begin())) {
    given.refuse("batch_matmul expects (..., n, k) and (..., k, m), got ", text_of(a), " and ",
                 text_of(b));
  }
  rows = a[axes - (turned_a ? 1 : 2)];
  depth = a[axes - (turned_a ? 2 : 1)];
  columns = b[axes - (turned_b ? 2 : 1)];
  if (b[axes - (turned_b ? 1 : 2)] != depth) {
    given.refuse("batch_matmul: ", text_of(a), turned_a ? " transposed" : "", " does not fit ",
                 text_of(b), turned_b ? " transposed" : "");
  }
  places = elements_of(a) / (rows * depth);
  Shape out(a.begin(), a.end() - 2);
  out.insert(out.end(), {rows, columns});
  return out;
}

namespace {

BatchMatMul product(long places, bool turned_a, bool turned_b, long rows, long depth,
                    long columns) {
  BatchMatMul made;
  made.turned_a = turned_a;
  made.turned_b = turned_b;
  made.places = places;
  made.rows = rows;
  made.depth = depth;
  made.columns = columns;
  return made;
}

}  // namespace

// For C = A B: dA = dC B^T and dB = A^T dC, or what these are turned over.
void BatchMatMul::gradient(Gradients& to, const Op& op) const {
  const int dc = to.result(), a = op.in[0], b = op.in[1];
  if (turned_a) {
    to.give(0, {.what = product(places, turned_b, true, depth, columns, rows), .in = {b, dc}});
  } else {
    to.give(0, {.what = product(places, false, !turned_b, rows, columns, depth), .in = {dc, b}});
  }
  if (turned_b) {
    to.give(1, {.what = product(places, true, turned_a, columns, rows, depth), .in = {dc, a}});
  } else {
    to.give(1, {.what = product(places, !turned_a, false, depth, rows, columns), .in = {a, dc}});
  }
}

}  // namespace steep::ops
