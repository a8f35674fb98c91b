// A cuBLASLt for tests: it refuses what the real one would refuse, and what nobody means, and multiplies in plain
// loops. Names and numbers are those of the interface of version 13.
#include "fake.h"

namespace {

constexpr int kOk = 0, kInvalid = 7, kUnsupported = 15;
constexpr int kFloat = 0, kBFloat = 14;

struct Layout {
  int type;
  std::uint64_t rows, columns;
  std::int64_t ld;
};
struct Desc {
  int compute, scale;
  std::int32_t turn_a = 0, turn_b = 0, epilogue = 1;
  float *bias = nullptr, *aux = nullptr;
  std::int64_t aux_ld = 0;
};
struct Preference {
  std::uint64_t workspace = 0;
  std::uint32_t reductions = 7, alignment[4] = {256, 256, 256, 256};  // as the real one begins
};
struct Algorithm { std::uint64_t data[8]; };
struct Result {
  Algorithm algorithm;
  std::size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr std::size_t kNeeded = 4096;  // workspace
enum {
  kNothing = 1,
  kBias = 4,
  kReluBias = 6,
  kGeluBias = 36,
  kGeluAuxBias = 164,
  kDGelu = 192,
  kSumA = 256
};
bool has_bias(int e) { return e != kNothing && e != kDGelu; }
bool has_aux(int e) { return e == kGeluAuxBias || e == kDGelu; }

struct Sizes { long m, n, k; };

int check(const Desc& d, const Layout& a, const Layout& b, const Layout& c, const Layout& y,
          Sizes& s) {
  using fake::wrong;
  const bool narrow = a.type == kBFloat;
  if (a.type != b.type) return wrong(kUnsupported, "A and B have types %d and %d", a.type, b.type);
  if (c.type != kFloat || y.type != kFloat) return wrong(kUnsupported, "C and D are not float32");
  if (d.compute != (narrow ? 68 : 77)) return wrong(kInvalid, "compute type %d", d.compute);
  if (d.scale != kFloat) return wrong(kInvalid, "scale type %d", d.scale);
  s = {static_cast<long>(d.turn_a ? a.columns : a.rows),
       static_cast<long>(d.turn_b ? b.rows : b.columns),
       static_cast<long>(d.turn_a ? a.rows : a.columns)};
  const long k = static_cast<long>(d.turn_b ? b.columns : b.rows);
  if (k != s.k) return wrong(kInvalid, "op(A) has %ld columns, op(B) %ld rows", s.k, k);
  for (const Layout* m : {&c, &y}) {
    if (static_cast<long>(m->rows) != s.m || static_cast<long>(m->columns) != s.n) {
      return wrong(kInvalid, "C or D is not (%ld, %ld)", s.m, s.n);
    }
  }
  for (const Layout* m : {&a, &b, &c, &y}) {
    if (m->ld < static_cast<std::int64_t>(m->rows))
      return wrong(kInvalid, "a leading dimension of %ld for %lu rows", m->ld, m->rows);
    if (m->ld * (m->type == kBFloat ? 2 : 4) % 16 != 0)
      return wrong(kUnsupported, "columns are not 16 bytes apart");
  }
  const int e = d.epilogue;
  if (e != kNothing && e != kBias && e != kReluBias && e != kGeluBias && e != kGeluAuxBias &&
      e != kDGelu && e != kSumA) {
    return wrong(kUnsupported, "epilogue %d", e);
  }
  if (e == kSumA && d.turn_a) return wrong(kUnsupported, "sums of A's rows are for A as it is");
  if (has_aux(e) && (d.aux_ld < s.m || d.aux_ld % 8 != 0))
    return wrong(kInvalid, "an aux ld of %ld for %ld rows", d.aux_ld, s.m);
  return kOk;
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}
double gelu_slope(double x) {
  const double t = std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * x * x);
}

struct Call {
  Desc desc;
  Layout a, b, d;
  Sizes s;
  float alpha, beta;
  const void *x, *y;
  float* out;
  void* workspace;
  std::size_t workspace_bytes;

  void run() const {
    const bool narrow = a.type == kBFloat;
    const auto left = [&](long i, long p) {
      return fake::factor(x, narrow, desc.turn_a ? p + i * a.ld : i + p * a.ld);
    };
    const auto right = [&](long p, long j) {
      return fake::factor(y, narrow, desc.turn_b ? j + p * b.ld : p + j * b.ld);
    };
    for (long j = 0; j < s.n; ++j) {
      for (long i = 0; i < s.m; ++i) {
        double sum = 0;
        for (long p = 0; p < s.k; ++p) sum += left(i, p) * right(p, j);
        float& to = out[i + j * d.ld];
        double z = alpha * sum + (beta != 0 ? beta * to : 0);
        if (has_bias(desc.epilogue) && desc.epilogue != kSumA) z += desc.bias[i];
        if (desc.epilogue == kGeluAuxBias) desc.aux[i + j * desc.aux_ld] = static_cast<float>(z);
        if (desc.epilogue == kReluBias) z = z > 0 ? z : 0;  // of NaN, too, as the real one
        if (desc.epilogue == kGeluBias || desc.epilogue == kGeluAuxBias) z = gelu(z);
        if (desc.epilogue == kDGelu) z *= gelu_slope(desc.aux[i + j * desc.aux_ld]);
        to = static_cast<float>(z);
      }
    }
    for (long i = 0; desc.epilogue == kSumA && i < s.m; ++i) {
      double sum = 0;
      for (long p = 0; p < s.k; ++p) sum += left(i, p);
      desc.bias[i] = static_cast<float>(sum);
    }
    fake::spoil(workspace, workspace_bytes);
  }
};

std::size_t bytes(const Layout& m) {
  return m.ld * m.columns * (m.type == kBFloat ? 2 : 4) -
         (m.ld - m.rows) * (m.type == kBFloat ? 2 : 4);
}

template <class T> int take(T& to, const void* value, std::size_t size) {
  if (size != sizeof(T))
    return fake::wrong(kInvalid, "an attribute of %zu bytes, %zu are needed", size, sizeof(T));
  std::memcpy(&to, value, size);
  return kOk;
}

}  // namespace

EXPORT std::size_t cublasLtGetVersion() { return FAKE_VERSION; }
EXPORT int cublasLtCreate(void** handle) {
  *handle = new int(13);
  return kOk;
}
EXPORT int cublasLtMatmulDescCreate(Desc** d, int compute, int scale) {
  *d = new Desc{compute, scale};
  return kOk;
}
EXPORT int cublasLtMatmulDescDestroy(Desc* d) {
  delete d;
  return kOk;
}
EXPORT int cublasLtMatmulDescSetAttribute(Desc* d, int attribute, const void* value,
                                          std::size_t size) {
  switch (attribute) {
    case 3: return take(d->turn_a, value, size);
    case 4: return take(d->turn_b, value, size);
    case 7: return take(d->epilogue, value, size);
    case 8: return take(d->bias, value, size);
    case 11: return take(d->aux, value, size);
    case 12: return take(d->aux_ld, value, size);
    default: return fake::wrong(kInvalid, "attribute %d of a product", attribute);
  }
}
EXPORT int cublasLtMatrixLayoutCreate(Layout** l, int type, std::uint64_t rows,
                                      std::uint64_t columns, std::int64_t ld) {
  if (type != kFloat && type != kBFloat) return fake::wrong(kInvalid, "type %d", type);
  *l = new Layout{type, rows, columns, ld};
  return kOk;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* l) {
  delete l;
  return kOk;
}
EXPORT int cublasLtMatmulPreferenceCreate(Preference** p) {
  *p = new Preference;
  return kOk;
}
EXPORT int cublasLtMatmulPreferenceDestroy(Preference* p) {
  delete p;
  return kOk;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* p, int attribute, const void* value,
                                                std::size_t size) {
  if (attribute == 1) return take(p->workspace, value, size);
  if (attribute == 3) return take(p->reductions, value, size);
  if (attribute >= 5 && attribute <= 8) return take(p->alignment[attribute - 5], value, size);
  return fake::wrong(kInvalid, "attribute %d of a preference", attribute);
}
// An algorithm is for these sizes, this epilogue and these alignments.
EXPORT int cublasLtMatmulAlgoGetHeuristic(void* handle, Desc* d, Layout* a, Layout* b, Layout* c,
                                          Layout* y, Preference* p, int most, Result* to,
                                          int* count) {
  *count = 0;
  if (!handle || most < 1) return fake::wrong(kInvalid, "no handle, or no room");
  Sizes s{};
  if (const int status = check(*d, *a, *b, *c, *y, s)) return status;
  if (p->workspace < kNeeded)
    return fake::wrong(kUnsupported, "a workspace of %lu bytes", p->workspace);
  if (p->reductions & 1) return fake::wrong(kUnsupported, "sums in any order were not ruled out");
  *to = {};
  to->algorithm = {{static_cast<std::uint64_t>(s.m), static_cast<std::uint64_t>(s.n),
                    static_cast<std::uint64_t>(s.k), static_cast<std::uint64_t>(d->epilogue),
                    p->alignment[0], p->alignment[1], p->alignment[3], 0}};
  to->workspace = kNeeded;
  *count = 1;
  return kOk;
}
EXPORT int cublasLtMatmul(void* handle, Desc* d, const void* alpha, const void* x, Layout* a,
                          const void* y, Layout* b, const void* beta, const void* z, Layout* c,
                          void* out, Layout* o, const Algorithm* by, void* workspace,
                          std::size_t size, void* stream) {
  using fake::wrong;
  Sizes s{};
  if (!handle) return wrong(kInvalid, "no handle");
  if (const int status = check(*d, *a, *b, *c, *o, s)) return status;
  if (!by || by->data[0] != static_cast<std::uint64_t>(s.m) ||
      by->data[1] != static_cast<std::uint64_t>(s.n) ||
      by->data[2] != static_cast<std::uint64_t>(s.k) ||
      by->data[3] != static_cast<std::uint64_t>(d->epilogue)) {
    return wrong(kInvalid, "the algorithm is for another product");
  }
  if (!fake::aligned(x, by->data[4]) || !fake::aligned(y, by->data[5]) ||
      !fake::aligned(out, by->data[6])) {
    return wrong(kInvalid, "A, B or D does not lie as the algorithm was told");
  }
  if (size < kNeeded || !fake::aligned(workspace, 256)) return wrong(kInvalid, "the workspace");
  if (!fake::holds(x, bytes(*a)) || !fake::holds(y, bytes(*b)) || !fake::holds(out, bytes(*o)) ||
      !fake::holds(workspace, size)) {
    return wrong(kInvalid, "A, B, D or the workspace goes beyond its memory");
  }
  for (const auto& [p, n] : {std::pair{x, bytes(*a)}, std::pair{y, bytes(*b)},
                             std::pair{static_cast<const void*>(workspace), size}}) {
    if (fake::overlap(p, n, out, bytes(*o)))
      return wrong(kInvalid, "D lies upon what it is made from");
  }
  const float one = *static_cast<const float*>(alpha), more = *static_cast<const float*>(beta);
  if (more != 0 && z != out) return wrong(kInvalid, "C is not D");
  if (has_bias(d->epilogue) && !fake::holds(d->bias, s.m * 4)) return wrong(kInvalid, "no bias");
  if (has_aux(d->epilogue) && !fake::holds(d->aux, (d->aux_ld * (s.n - 1) + s.m) * 4))
    return wrong(kInvalid, "no aux");
  fake::enqueue(stream, [call = Call{*d, *a, *b, *o, s, one, more, x, y, static_cast<float*>(out),
                                     workspace, size}] { call.run(); });
  return kOk;
}
