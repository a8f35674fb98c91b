// Waves and units by size, so that operands stay in a second-level cache.
#include "cpu/newton_schulz_plan.h"

#include <algorithm>

namespace steep {

namespace {

// Of a step. Matrices beyond so many begin another wave; so few are done sooner by one thread than by
// several that meet.
constexpr double kWaveFlops = 8e7, kWholeFlops = 5e5;
constexpr double kTurns = 4;        // of a thread at whole matrices
constexpr double kUnitFlops = 2e5;  // that pay for a look at the list
constexpr long kUnits = 8;          // each way, where a matrix is large enough
// Panels each way in a unit of a symmetric product: eight times 128 KB (kDepth) in a cache of 1 MB.
constexpr long kMostGroup = 4;
// Elements of x (512 KB) that a unit of a product reads again for each of its panels.
constexpr long kKept = 1 << 17;
constexpr double kTall = 1.5;  // times as long as wide

}  // namespace

NewtonSchulzPlan::Matrix::Matrix(long index, const Panels& stored)
    : index(index), stored(stored), turned(stored.rows < stored.columns),
      x(turned ? Panels{stored.columns, stored.rows} : stored),
      tall(static_cast<double>(x.rows) >= kTall * static_cast<double>(x.columns)),
      square{x.columns, x.columns} {
  for (long i = 0; i < x.columns / kPanel; ++i) terms.push_back(x.offset(i));
}

double NewtonSchulzPlan::Matrix::flops() const {
  const double rows = static_cast<double>(x.rows), columns = static_cast<double>(x.columns);
  return columns * columns * (tall ? rows + kJoined * columns : 3 * rows + columns);
}

void NewtonSchulzPlan::Wave::add(const Matrix& m) {
  const auto append = [](Units& to, const Units& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(units.copies, m.units.copies);
  append(units.squares, m.units.squares);
  append(units.products, m.units.products);
  ++count;
  flops += m.flops();
  largest = std::max(largest, m.flops());
}

bool NewtonSchulzPlan::Wave::apart(int threads) const {
  return flops <= kWholeFlops || flops >= largest * kTurns * threads;
}

NewtonSchulzPlan::NewtonSchulzPlan(const std::vector<Panels>& shapes, long tile_rows) {
  long used = 0;
  for (const bool tall : {false, true}) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      Matrix m(static_cast<long>(i), shapes[i]);
      if (m.tall != tall) continue;
      if (waves.empty() || waves.back().flops >= kWaveFlops || waves.back().tall != tall) {
        waves.push_back({static_cast<long>(matrices.size()), tall});
        used = 0;
      }
      cut(m, tile_rows);
      m.scratch = used;
      used += m.elements();
      elements = std::max(elements, used);
      for (std::size_t t = wide_terms.size(); t < m.terms.size(); ++t) {
        wide_terms.push_back(static_cast<long>(t) * kPanel * kPanel);
        slim_terms.push_back(static_cast<long>(t) * kPanel * kLane);
      }
      waves.back().add(m);
      matrices.push_back(std::move(m));
    }
  }
}

void NewtonSchulzPlan::cut(Matrix& m, long tile_rows) const {
  const long place = static_cast<long>(matrices.size()), columns = m.x.columns;
  const long panels = m.square.count(), across = std::max(kMostGroup, ceil_div(panels, kUnits));
  for (long p = 0; p < m.stored.count(); ++p) m.units.copies.push_back({place, p, p + 1, 0, 0});
  const long group = std::clamp(panels / kUnits, 1L, kMostGroup);
  in_parts(panels, group, [&](long first, long last) {
    in_parts(panels, group, [&](long left, long right) {
      if (left >= first) m.units.squares.push_back({place, first, last, left, right});
    });
  });
  const long width = std::min(columns, across * kPanel);
  const long least = static_cast<long>(kUnitFlops) / (2 * columns * width);
  const long most = std::min(kKept / columns, ceil_div(m.x.rows, kUnits));
  in_parts(m.x.rows, std::max({most, least, 2 * tile_rows}), [&](long first, long last) {
    in_parts(panels, across, [&](long left, long right) {
      m.units.products.push_back({place, first, last, left, right});
    });
  });
}

double NewtonSchulzPlan::flops(int steps) const {
  double sum = 0;
  for (const Wave& wave : waves) sum += wave.flops;
  return steps * sum;
}

}  // namespace steep
