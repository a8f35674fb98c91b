// The order of the stages, as on the CPU: X multiplied as seldom as can be.
#include "cuda/orthogonal.h"

#include <algorithm>

namespace steep::cuda {

namespace {

constexpr double kTall = 1.5;  // times as long as wide: then
constexpr int kJoined = 3;     // so many steps are taken on A alone, and X is multiplied once
constexpr long kAlign = 256;

Plane plane(long rows, long columns) {
  return {nullptr, padded(columns), static_cast<int>(rows), static_cast<int>(columns)};
}
long size_of(const Plane& x) { return x.rows * x.ld; }

}  // namespace

Orthogonal::Orthogonal(const RuleInfo& info, const Layout& layout, const std::vector<int>& owners)
    : knobs_{info.knob("a"), info.knob("b"), info.knob("c"), info.knob("eps"),
             info.knob("least_length")} {
  const long first = ceil_div(static_cast<long>(owners.size()), kAlign) * kAlign;  // after factors
  long most = 0;
  for (const int p : owners) {
    const Slice& s = layout.slices[p];
    const long rows = std::max(s.rows, s.columns), columns = std::min(s.rows, s.columns);
    const Plane x = plane(rows, columns), square = plane(columns, columns);
    const bool tall = static_cast<double>(rows) >= kTall * static_cast<double>(columns);
    matrices_.push_back(
        {s.panels(), s.offset, s.rows < s.columns, tall, {x, x}, {square, square, square, square}});
    most = std::max(most, 2 * size_of(x) + (tall ? 4 : 2) * size_of(square));
  }
  memory_ = Memory(static_cast<std::size_t>(first + most) * sizeof(float));
  for (Matrix& m : matrices_) {
    float* at = memory_.as<float>() + first;
    const auto place = [&](Plane& x) {
      x.data = at;
      at += size_of(x);
    };
    for (Plane& x : m.x) place(x);
    for (int i = 0; i < (m.tall ? 4 : 2); ++i) place(m.squares[i]);
  }
}

void Orthogonal::enqueue(const Place& at, const PassSums& sums, int group_knobs, int steps,
                         float* column) const {
  float* const factors = memory_.as<float>();
  orthogonal_lengths(at, sums, group_knobs, knobs_, factors);
  for (std::size_t i = 0; i < matrices_.size(); ++i) {
    const Matrix& m = matrices_[i];
    orthogonal_begin(at, m.stored, m.turned, column + m.offset, factors + i, m.x[0]);
    steps_of(at, m, group_knobs, steps);
    const int turns = static_cast<int>(ceil_div(steps, m.tall ? kJoined : 1));
    orthogonal_end(at, m.stored, m.turned, m.x[turns % 2], column + m.offset);
  }
}

// Square 0 is A; p and q are where the last step's P lies, and the product of those since X was multiplied.
void Orthogonal::steps_of(const Place& at, const Matrix& m, int group_knobs, int steps) const {
  const auto multiply = [&](int left, int right, int out) {
    symmetric_product(at, m.squares[left], m.squares[right], m.squares[out]);
  };
  const auto polynomial_of_a = [&](int out) {
    quintic_of(at, group_knobs, knobs_, m.squares[0], m.squares[out]);
  };
  const int joined = m.tall ? kJoined : 1;
  for (int left = steps, turn = 0; left > 0; left -= joined, ++turn) {
    const Plane &x = m.x[turn % 2], &next = m.x[(turn + 1) % 2];
    symmetric_product(at, x, x, m.squares[0]);
    int p = 1, q = 1;
    polynomial_of_a(p);
    for (int more = std::min(left, joined) - 1; more > 0; --more) {
      const int w = p == q ? 2 : 6 - p - q, out = 6 - q - w;  // of squares 1 to 3, the other ones
      multiply(0, p, w);
      multiply(w, p, 0);
      polynomial_of_a(w);
      multiply(q, w, out);
      p = w;
      q = out;
    }
    plain_product(at, x, m.squares[q], next);
  }
}

}  // namespace steep::cuda
