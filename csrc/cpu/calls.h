// The argument struct and the body of every sample call: what one op does on rows [lo, hi).
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/kernels.h"
#include "cpu/plan.h"

namespace steep::calls {

template <class T> struct Rows {  // a tensor in the Arena
  T* data = nullptr;
  long ld = 0;
  long columns = 0;  // true width
  T* at(long r) const { return data + r * ld; }
  long width() const { return padded(columns); }
};

// Padding is 0 after every call, whatever the numbers beside it: products (inf * 0) and some f do not
// leave it so. Stores only: a load would wait for what was just written.
template <class T> void clear_padding(const Rows<T>& x, long lo, long hi) {
  constexpr long kBlock = 16 / static_cast<long>(sizeof(T));
  const long width = x.width(), whole = (x.columns + kBlock - 1) / kBlock * kBlock;
  if (width == x.columns) return;
  for (long r = lo; r < hi; ++r) {
    T* const row = x.at(r);
    for (long c = x.columns; c < whole; ++c) row[c] = T(0);
    for (long c = whole; c < width; c += kBlock) std::memset(row + c, 0, kBlock * sizeof(T));
  }
}

// y = x*scale + shift by channels: the numbers of one pixel over and over, padding 0.
template <class T> struct Channels {
  std::vector<T> scale, shift;  // (padded width); empty where there are none
  void apply(const Kernels<T>& k, const Rows<T>& x, const Rows<T>& y, bool accumulate, long lo,
             long hi) const {
    const long n = hi - lo, width = y.width();
    k.mul_row(x.at(lo), x.ld, scale.data(), y.at(lo), y.ld, n, width, accumulate);
    if (!shift.empty()) k.add_row(y.at(lo), y.ld, shift.data(), y.at(lo), y.ld, n, width);
  }
};

template <class T> struct Input {
  const Kernels<T>* k;
  int input;
  Rows<T> out;
  T scale, shift;
  Channels<T> channels;
  static void run(const Input& a, const Step<T>& s, long lo, long hi) {
    const Dataset& data = s.batcher->data();
    const Source& source = data.inputs[a.input];
    // Shuffled samples lie anywhere: without asking ahead each would cost a memory latency.
    constexpr long kAhead = 8;
    for (long r = lo; r < std::min(hi, lo + kAhead); ++r) prefetch_sample(source, s.order[r]);
    for (long r = lo; r < hi; ++r) {
      if (r + kAhead < hi) prefetch_sample(source, s.order[r + kAhead]);
      if (data.augment) {
        const Change change = draw_change(*data.augment, s.seed, s.epoch, s.order[r]);
        read_augmented(*a.k, *data.augment, change, s.order[r], a.out.at(r), a.scale, a.shift);
      } else {
        read_sample(*a.k, source, s.order[r], a.out.at(r), a.scale, a.shift);
      }
    }
    clear_padding(a.out, lo, hi);
    if (!a.channels.scale.empty()) a.channels.apply(*a.k, a.out, a.out, false, lo, hi);
  }
};

// Weights as column panels, see Slice.
template <class T> struct Packed {
  const T* data;
  long rows, columns;
};

// f fused into a matrix product: relu inside the kernel, others on the panel just written.
template <class T> struct MatMul {
  const Kernels<T>* k;
  Rows<T> x, z, y;  // z is y unless f' needs it
  Packed<T> w;
  const T* bias;
  int activation;  // -1 for none
  bool relu;
  T alpha;
  static void run(const MatMul& a, const Step<T>&, long lo, long hi) {
    for (long c = 0; c < a.w.columns; c += kPanel) {
      const long columns = std::min(kPanel, a.w.columns - c);
      a.k->gemm_panel({.a = a.x.at(lo),
                       .lda = a.x.ld,
                       .b = a.w.data + c * a.w.rows,
                       .ldb = columns,
                       .c = a.z.at(lo) + c,
                       .ldc = a.z.ld,
                       .rows = hi - lo,
                       .columns = columns,
                       .depth = a.w.rows,
                       .bias = a.bias ? a.bias + c : nullptr,
                       .relu = a.relu});
      if (a.activation >= 0 && !a.relu) {
        a.k->activate[a.activation](a.z.at(lo) + c, a.z.ld, a.y.at(lo) + c, a.y.ld, hi - lo,
                                    columns, a.alpha);
      }
    }
    clear_padding(a.y, lo, hi);
    if (a.z.data != a.y.data) clear_padding(a.z, lo, hi);
  }
};

// The same for weights stored as W^T: a dot product for each output.
template <class T> struct NarrowMatMul {
  const Kernels<T>* k;
  Rows<T> x, z, y;
  const T* wt;  // (outputs, inputs), in panels
  const T* bias;
  int activation;
  T alpha;
  static void run(const NarrowMatMul& a, const Step<T>&, long lo, long hi) {
    a.k->narrow(a.x.at(lo), a.x.ld, a.wt, a.bias, a.z.at(lo), a.z.ld, hi - lo, a.x.columns,
                a.z.columns);
    if (a.activation >= 0) {
      a.k->activate[a.activation](a.z.at(lo), a.z.ld, a.y.at(lo), a.y.ld, hi - lo, a.z.width(),
                                  a.alpha);
      clear_padding(a.y, lo, hi);  // of z, the kernel does
    }
  }
};

// dX = dZ W^T. W lies in panels of its columns; each thread turns the rows it needs over into a
// strip of W^T of its own, small enough for the caches: cheaper than a W^T that all keep current.
template <class T> struct MatMulGrad {
  static constexpr long kStrip = 512;  // rows of W^T at a time
  const Kernels<T>* k;
  Rows<T> dz, dx;
  Packed<T> w;  // narrow: W^T itself
  bool narrow;
  bool accumulate;
  int activation;  // fused f', or -1
  Rows<T> stored;
  T alpha;

  // Elements of scratch memory for weights of so many outputs.
  static long scratch(long outputs) { return std::min(kStrip, outputs) * kPanel; }

  // strip(n, i) = W(first + i, n0 + n) for the rows of one panel of dX; padding is 0.
  static void turn(const MatMulGrad& a, long first, long columns, long n0, long depth, T* strip) {
    const long rows = std::min(columns, a.w.rows - first);
    if (rows < columns) std::fill_n(strip, depth * columns, T(0));
    for (long n = 0; n < depth; n += kPanel) {
      const long panel = n0 + n, ld = std::min(kPanel, padded(a.w.columns) - panel);
      a.k->transpose(a.w.data + panel * a.w.rows + first * ld, ld, strip + n * columns, columns,
                     rows, std::min(kPanel, depth - n));
    }
  }

  static void run(const MatMulGrad& a, const Step<T>& s, long lo, long hi) {
    T* const strip = s.scratch;  // not the stack: a thread of the user's may have little
    const long width = a.dx.width(), outputs = a.dz.columns;
    for (long c = 0; c < width; c += kPanel) {
      const long columns = std::min(kPanel, width - c);
      T* dx = a.dx.at(lo) + c;
      for (long n = 0; n < outputs; n += kStrip) {
        const long depth = std::min(kStrip, outputs - n);
        if (!a.narrow) turn(a, c, columns, n, depth, strip);
        a.k->gemm_panel({.a = a.dz.at(lo) + n,
                         .lda = a.dz.ld,
                         .b = a.narrow ? a.w.data + c * outputs : strip,
                         .ldb = columns,
                         .c = dx,
                         .ldc = a.dx.ld,
                         .rows = hi - lo,
                         .columns = columns,
                         .depth = depth,
                         .accumulate = a.accumulate || n > 0});
      }
      if (a.activation >= 0) {
        a.k->activate_grad[a.activation](dx, a.dx.ld, a.stored.at(lo) + c, a.stored.ld, dx, a.dx.ld,
                                         hi - lo, columns, a.alpha, false);
      }
    }
    clear_padding(a.dx, lo, hi);
  }
};

template <class T> struct Activation {
  const Kernels<T>* k;
  int activation;
  Rows<T> x, y;
  T alpha;
  bool clear;
  static void run(const Activation& a, const Step<T>&, long lo, long hi) {
    a.k->activate[a.activation](a.x.at(lo), a.x.ld, a.y.at(lo), a.y.ld, hi - lo, a.x.width(),
                                a.alpha);
    if (a.clear) clear_padding(a.y, lo, hi);
  }
};

template <class T> struct ActivationGrad {
  const Kernels<T>* k;
  int activation;
  Rows<T> dy, stored, dx;
  T alpha;
  bool accumulate, clear;
  static void run(const ActivationGrad& a, const Step<T>&, long lo, long hi) {
    a.k->activate_grad[a.activation](a.dy.at(lo), a.dy.ld, a.stored.at(lo), a.stored.ld,
                                     a.dx.at(lo), a.dx.ld, hi - lo, a.dx.width(), a.alpha,
                                     a.accumulate);
    if (a.clear) clear_padding(a.dx, lo, hi);
  }
};

template <class T> struct Binary {  // Add, Subtract, Multiply
  const Kernels<T>* k;
  Kind kind;
  Rows<T> a, b, c;
  bool accumulate;
  static void run(const Binary& o, const Step<T>&, long lo, long hi) {
    const long n = hi - lo, width = o.c.width();
    if (o.kind == Kind::Multiply) {
      o.k->mul(o.a.at(lo), o.a.ld, o.b.at(lo), o.b.ld, o.c.at(lo), o.c.ld, n, width, o.accumulate);
    } else {
      (o.kind == Kind::Add ? o.k->add : o.k->sub)(o.a.at(lo), o.a.ld, o.b.at(lo), o.b.ld,
                                                  o.c.at(lo), o.c.ld, n, width);
    }
    clear_padding(o.c, lo, hi);  // inf * 0 in the padding must not spread
  }
};

template <class T> struct Affine {
  const Kernels<T>* k;
  Rows<T> x, y;
  T scale, shift;
  Channels<T> channels;
  bool accumulate;
  static void run(const Affine& a, const Step<T>&, long lo, long hi) {
    if (!a.channels.scale.empty()) {
      return a.channels.apply(*a.k, a.x, a.y, a.accumulate, lo, hi);
    }
    a.k->affine(a.x.at(lo), a.x.ld, a.y.at(lo), a.y.ld, hi - lo, a.x.width(), a.scale, a.shift,
                a.accumulate);
    if (!(a.scale * T(0) + a.shift == 0)) clear_padding(a.y, lo, hi);
  }
};

template <class T> struct RowWise {  // AddRow, MultiplyRow
  const Kernels<T>* k;
  Kind kind;
  Rows<T> x, y;
  const T* p;
  bool accumulate;
  static void run(const RowWise& a, const Step<T>&, long lo, long hi) {
    const long n = hi - lo, width = a.x.width();
    if (a.kind == Kind::AddRow) {
      a.k->add_row(a.x.at(lo), a.x.ld, a.p, a.y.at(lo), a.y.ld, n, width);
    } else {
      a.k->mul_row(a.x.at(lo), a.x.ld, a.p, a.y.at(lo), a.y.ld, n, width, a.accumulate);
    }
  }
};

template <class T> struct CopyColumns {
  Rows<T> x, y;
  long from, to, columns, pixels;
  bool accumulate;
  static void run(const CopyColumns& a, const Step<T>&, long lo, long hi) {
    const long x_pixel = a.x.columns / a.pixels, y_pixel = a.y.columns / a.pixels;
    for (long r = lo; r < hi; ++r) {
      const T* x = a.x.at(r) + a.from;
      T* y = a.y.at(r) + a.to;
      for (long p = 0; p < a.pixels; ++p, x += x_pixel, y += y_pixel) {
        if (!a.accumulate) {
          std::copy_n(x, a.columns, y);
        } else {
          for (long c = 0; c < a.columns; ++c) y[c] += x[c];
        }
      }
    }
    clear_padding(a.y, lo, hi);
  }
};

template <class T> struct Softmax {
  const Kernels<T>* k;
  Rows<T> x, y;
  static void run(const Softmax& a, const Step<T>&, long lo, long hi) {
    a.k->softmax(a.x.at(lo), a.x.ld, a.y.at(lo), a.y.ld, hi - lo, a.x.columns);
    clear_padding(a.y, lo, hi);  // of a sum that is not finite
  }
};

template <class T> struct SoftmaxGrad {
  const Kernels<T>* k;
  Rows<T> dy, y, dx;
  bool accumulate;
  static void run(const SoftmaxGrad& a, const Step<T>&, long lo, long hi) {
    a.k->softmax_grad(a.dy.at(lo), a.dy.ld, a.y.at(lo), a.y.ld, a.dx.at(lo), a.dx.ld, hi - lo,
                      a.y.columns, a.accumulate);
    clear_padding(a.dx, lo, hi);
  }
};

template <class T> struct Dropout {
  const Kernels<T>* k;
  Rows<T> x, y;
  uint32_t stream;
  uint32_t threshold;  // words below it are dropped
  bool redraw_epoch;
  T scale;
  bool accumulate;
  static void run(const Dropout& a, const Step<T>& s, long lo, long hi) {
    // Per epoch: one mask for all batches, by the row's place in the batch.
    const uint64_t counter = a.redraw_epoch ? ~s.epoch : s.step;
    const uint64_t key = s.seed ^ (counter + 1) * 0x9E3779B97F4A7C15u;
    a.k->dropout(a.x.at(lo), a.x.ld, a.y.at(lo), a.y.ld, hi - lo, a.x.width(), key, a.stream,
                 static_cast<uint64_t>(lo), a.threshold, a.scale, a.accumulate);
  }
};

template <class T> struct Loss {
  const Kernels<T>* k;
  int loss;
  Rows<T> z, dz, target;
  int32_t* labels;
  T* weights;
  double *values, *correct;
  T option;
  static void run(const Loss& a, const Step<T>& s, long lo, long hi) {
    const Dataset& data = s.batcher->data();
    for (long r = lo; r < hi; ++r) {
      if (data.labels != nullptr) a.labels[r] = data.labels[s.order[r]];
      if (data.labels == nullptr) {
        read_sample(*a.k, data.targets, s.order[r], a.target.at(r), T(1), T(0));
      }
      if (data.weights != nullptr) a.weights[r] = static_cast<T>(data.weights[s.order[r]]);
    }
    a.k->loss[a.loss]({.z = a.z.at(lo),
                       .ldz = a.z.ld,
                       .columns = a.z.columns,
                       .labels = data.labels ? a.labels + lo : nullptr,
                       .target = data.labels ? nullptr : a.target.at(lo),
                       .ldt = a.target.ld,
                       .weights = data.weights ? a.weights + lo : nullptr,
                       .factor = s.factor,
                       .option = a.option,
                       .values = a.values + lo,
                       .correct = a.correct + lo,
                       .dz = a.dz.data ? a.dz.at(lo) : nullptr,
                       .lddz = a.dz.ld,
                       .rows = hi - lo});
  }
};

}  // namespace steep::calls
