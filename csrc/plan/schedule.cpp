// Lifetimes of tensors, their places, and how ops are grouped.
#include "plan/schedule.h"

#include <algorithm>
#include <type_traits>

#include "base/panels.h"
#include "graph/shared.h"
#include "plan/arena.h"

namespace steep {

namespace {

// Rows of a sample chunk should leave room in a 1 MiB cache for the weights that stream through.
constexpr long kChunkBytes = 1L << 20;
constexpr long kLeastChunk = 64;

// Every tensor that an op touches.
template <class F> void for_tensors(const Op& op, F&& touch) {
  for (const int x : op.in) touch(x);
  for (const int x : {op.out, op.stored, op.before}) {
    if (x >= 0) touch(x);
  }
}

// Sums of sizes stay far from overflow; what is really there is asked of the system.
void check_bytes(const Program& program, const std::vector<long>& rows, long capacity) {
  constexpr double kMostBytes = 1L << 60, kBytesPerRow = 64;  // loss, order, label, weight of a row
  double bytes = kBytesPerRow * static_cast<double>(capacity);
  for (std::size_t i = 0; i < program.tensors.size() && bytes <= kMostBytes; ++i) {
    const Tensor& t = program.tensors[i];
    bytes += static_cast<double>(spread(t.width)) * static_cast<double>(rows[i]) *
             static_cast<double>(bytes_of(t.format));
  }
  if (bytes > kMostBytes) {
    refuse("a batch of ", capacity, " samples needs ", bytes,
           " bytes; choose a smaller batch_size");
  }
}

// Does it work on images, or on other samples of many positions?
bool on_positions(const Program& program, const Op& op) {
  const auto many = [&](int x) { return x >= 0 && program.tensors[x].shape.size() > 1; };
  return many(op.out) || (!op.in.empty() && many(op.in[0]));
}

// Goes with whatever follows: an alias does nothing, and rows of an image without channels are read for
// a dense layer as well as for positions.
bool goes_along(const Program& program, const Op& op) {
  return is_alias(op) || (op.as<ops::Input>() && program.tensors[op.out].shape.size() == 2);
}

// Samples that an op wants at least in a chunk: a product reads its weights once for each.
long least_chunk(const Program& program, const Op& op) {
  return std::visit(
      [&]<class A>(const A& a) {
        if constexpr (std::is_base_of_v<ops::Multiplying, A>) {
          return ceil_div(kLeastChunk, a.positions);
        }
        if constexpr (requires { A::kManySamples; }) return kLeastChunk;
        return on_positions(program, op) || goes_along(program, op) ? 1L : kLeastChunk;
      },
      op.what);
}

}  // namespace

Schedule::Schedule(Program& program, long capacity, const std::vector<long>& elsewhere)
    : root_(roots(program)) {
  for (const Tensor& t : program.tensors) {
    const bool one = t.samples == kAllSamples;
    rows.push_back(one ? 1 : ceil_div(capacity, t.samples));
    // Neighbouring rows never compete for one cache set.
    stride.push_back(one ? 0 : spread(t.width));
  }
  check_bytes(program, rows, capacity);
  const std::vector<PhaseSpan> spans = cut_into_phases(program.ops, root_);
  place_tensors(program, spans, elsewhere);
  place_arrays(program, capacity);
  cut(program, spans);
}

void Schedule::place_tensors(const Program& program, const std::vector<PhaseSpan>& spans,
                             const std::vector<long>& elsewhere) {
  std::vector<Lifetime> all(program.tensors.size(), {0, 0, -1, -1, -1, -1});
  const auto touch = [&](int tensor, int when, int phase) {
    if (tensor < 0) return;
    Lifetime& t = all[root_[tensor]];
    if (t.first < 0) {
      t.first = when;
      t.first_phase = phase;
    }
    t.last = std::max(t.last, when);
    t.last_phase = std::max(t.last_phase, phase);
    t.rows = rows[tensor];
    const Tensor& of = program.tensors[tensor];
    t.stride = spread(of.width) * bytes_of(of.format);
  };
  const int end = static_cast<int>(program.ops.size());
  const int end_phase = static_cast<int>(spans.size());
  for (const Op& op : program.ops) {  // what was read of the samples stays for the next pass
    if (!program.repeats || !op.as<ops::Input>()) continue;
    touch(op.out, 0, 0);
    touch(op.out, end, end_phase);
  }
  for (std::size_t phase = 0; phase < spans.size(); ++phase) {
    const int first = static_cast<int>(spans[phase].first), p = static_cast<int>(phase);
    const int last = static_cast<int>(spans[phase].last) - 1;
    for (int when = first; when <= last; ++when) {
      const Op& op = program.ops[when];
      for_tensors(op, [&](int x) { touch(x, when, p); });
      if (!spans[phase].crosses) continue;
      // Ops that cross samples share their phase without an order.
      touch(op.out, first, p);
      touch(op.out, last, p);
      for (const int x : op.in) touch(x, last, p);
    }
  }
  for (const auto& terms : program.terms) {
    for (const GradTerm& t : terms) {
      touch(t.x, end, end_phase);
      touch(t.dy, end, end_phase);
      touch(t.lengths, end, end_phase);
    }
  }
  for (const Op& op : program.ops) {  // running statistics follow them in the end
    if (op.as<ops::BatchStatistics>() || op.as<ops::SpectralVectors>() || op.as<ops::KeepRows>()) {
      touch(op.out, end, end_phase);
    }
  }
  for (const int x : program.outputs) touch(x, end, end_phase);

  std::vector<Lifetime> live;
  std::vector<int> index(all.size(), -1);
  const auto place_of = [&](std::size_t i) { return elsewhere.empty() ? -1 : elsewhere[root_[i]]; };
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].first < 0 || place_of(i) >= 0) continue;
    index[i] = static_cast<int>(live.size());
    live.push_back(all[i]);
  }
  const Placement placed = place(live);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const int at = index[root_[i]];
    apart.push_back(place_of(i) >= 0);
    offset.push_back(apart[i] ? place_of(i) : at < 0 ? -1 : placed.offset[at]);
  }
  bytes = placed.size;
}

long Schedule::reserve(long size) {
  const long at = bytes;
  bytes += ceil_div(size, 64) * 64;
  return at;
}

void Schedule::place_arrays(const Program& program, long capacity) {
  const long terms = std::max(1L, static_cast<long>(program.losses.size()));
  long item = 0;
  for (const LossTerm& term : program.losses) {
    const Tensor& of = program.tensors[term.tensor];
    item = bytes_of(of.format);
    if (term.loss >= 0) target_width = std::max(target_width, padded(of.width));
  }
  values = reserve(terms * capacity * static_cast<long>(sizeof(double)));
  correct = reserve(terms * capacity * static_cast<long>(sizeof(double)));
  order = reserve(capacity * static_cast<long>(sizeof(long)));
  labels = reserve(capacity * static_cast<long>(sizeof(int32_t)));
  weights = reserve(capacity * item);
  target = reserve(capacity * target_width * item);
}

// Samples of many positions are taken through their calls few at a time, vectors many at a time: weights
// stream through the cache for images, too, but then do more with each element.
void Schedule::cut(const Program& program, const std::vector<PhaseSpan>& spans) {
  for (const PhaseSpan& span : spans) {
    for (std::size_t first = span.first, last = first; first < span.last; first = last) {
      std::size_t leader = first;
      while (leader + 1 < span.last && goes_along(program, program.ops[leader])) ++leader;
      const bool many = on_positions(program, program.ops[leader]);
      const auto together = [&](const Op& op) {
        return span.crosses || goes_along(program, op) || on_positions(program, op) == many;
      };
      long least = 1;
      for (; last < span.last && together(program.ops[last]); ++last) {
        least = std::max(least, least_chunk(program, program.ops[last]));
      }
      groups.push_back({first, last, span.crosses, first == span.first && !groups.empty(),
                        std::max(least, kChunkBytes / row_bytes(program, first, last))});
    }
  }
}

// Of all tensors that ops [first, last) touch.
long Schedule::row_bytes(const Program& program, std::size_t first, std::size_t last) const {
  long sum = 1;
  std::vector<bool> seen(program.tensors.size(), false);
  for (std::size_t i = first; i < last; ++i) {
    for_tensors(program.ops[i], [&](int x) {
      if (seen[root_[x]]) return;
      seen[root_[x]] = true;
      sum += stride[x] * bytes_of(program.tensors[x].format);
    });
  }
  return sum;
}

double flops_per_row(const Program& program) {
  double sum = 0;
  for (const Op& op : program.ops) {
    sum += std::visit(
        [&](const auto& a) {
          if constexpr (requires { a.work(); }) return a.work();
          if constexpr (requires { a.flops(Shape{}); }) {
            return a.flops(program.parameters[op.parameter(0)].shape);
          }
          return 0.0;
        },
        op.what);
  }
  return sum;
}

}  // namespace steep
