// A cuDNN for tests: convolutions by the graph interface of version 9. It refuses descriptors that the real one would
// refuse, offers engines that may not be taken, and convolves in plain loops.
#include <map>
#include <vector>

#include "fake.h"

namespace {

constexpr int kOk = 0, kBad = 2000, kNotInitialised = 1001, kUnsupported = 3000;
constexpr int kFloat = 0, kBFloat = 9;
enum Kind {
  kConvolution = 1,
  kEngine = 2,
  kChoice = 3,
  kHeuristic = 4,
  kPlan = 5,
  kForward = 10,
  kWeights = 11,
  kData = 12,
  kGraph = 15,
  kPack = 16,
  kTensor = 17,
  kDevice = 38
};
constexpr long kWorkspace = 1000;

// An attribute as it is known: its type and the bytes of one element.
struct Known {
  int kind, type;
  std::size_t size;
  bool needed;
};
const std::map<int, Known> kAttributes = {
    {100, {kConvolution, 1, 4, true}}, {101, {kConvolution, 7, 4, true}},
    {102, {kConvolution, 3, 8, true}}, {103, {kConvolution, 3, 8, true}},
    {104, {kConvolution, 3, 8, true}}, {105, {kConvolution, 3, 8, true}},
    {106, {kConvolution, 3, 8, true}}, {200, {kHeuristic, 8, 4, true}},
    {201, {kHeuristic, 15, 8, true}},  {204, {kHeuristic, 15, 8, false}},
    {400, {kPlan, 0, 8, false}},       {401, {kPlan, 15, 8, true}},
    {407, {kPlan, 15, 8, false}},      {700, {kForward, 4, 4, true}},
    {701, {kForward, 4, 4, true}},     {702, {kForward, 15, 8, true}},
    {703, {kForward, 15, 8, true}},    {704, {kForward, 15, 8, true}},
    {705, {kForward, 15, 8, true}},    {706, {kData, 4, 4, true}},
    {707, {kData, 4, 4, true}},        {708, {kData, 15, 8, true}},
    {709, {kData, 15, 8, true}},       {710, {kData, 15, 8, true}},
    {711, {kData, 15, 8, true}},       {712, {kWeights, 4, 4, true}},
    {713, {kWeights, 4, 4, true}},     {714, {kWeights, 15, 8, true}},
    {715, {kWeights, 15, 8, true}},    {716, {kWeights, 15, 8, true}},
    {717, {kWeights, 15, 8, true}},    {800, {kGraph, 0, 8, false}},
    {801, {kGraph, 15, 8, true}},      {900, {kTensor, 3, 8, true}},
    {901, {kTensor, 1, 4, true}},      {902, {kTensor, 3, 8, true}},
    {903, {kTensor, 3, 8, true}},      {906, {kTensor, 3, 8, true}},
    {1000, {kPack, 3, 8, true}},       {1001, {kPack, 6, 8, true}},
    {1003, {kPack, 6, 8, true}},       {2702, {kDevice, 24, 1, true}}};

struct Desc {
  int kind;
  bool finished = false;
  std::map<int, std::vector<char>> values = {};
  int engine = -1;  // of what a heuristic gave
  template <class T> std::vector<T> all(int attribute) const {
    const auto& bytes = values.at(attribute);
    std::vector<T> out(bytes.size() / sizeof(T));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  template <class T> T one(int attribute) const { return all<T>(attribute)[0]; }
};

// The engines that a heuristic names: only the last may be taken.
struct Engine {
  int index;
  bool deterministic, makes_plans;
};
constexpr Engine kEngines[] = {{20, false, true}, {38, true, false}, {7, true, true}};

using Axes = std::vector<std::int64_t>;
struct Tensor {
  int type;
  Axes size, stride;
  std::int64_t id;
  explicit Tensor(const Desc& d)
      : type(d.one<int>(901)), size(d.all<std::int64_t>(902)), stride(d.all<std::int64_t>(903)),
        id(d.one<std::int64_t>(906)) {}
  long at(long a, long b, long c, long e) const {
    return a * stride[0] + b * stride[1] + c * stride[2] + e * stride[3];
  }
  std::size_t bytes() const {
    return at(size[0] - 1, size[1] - 1, size[2] - 1, size[3] - 1) * (type == kBFloat ? 2 : 4) +
           (type == kBFloat ? 2 : 4);
  }
};

int check_tensor(const Desc& d) {
  const Tensor t(d);
  if (t.type != kFloat && t.type != kBFloat)
    return fake::wrong(kBad, "a tensor of type %d", t.type);
  if (t.size.size() != 4 || t.stride.size() != 4)
    return fake::wrong(kBad, "a tensor of %zu axes", t.size.size());
  const Axes& n = t.size;
  if (n[0] < 1 || n[1] < 1 || n[2] < 1 || n[3] < 1) return fake::wrong(kBad, "an empty tensor");
  if (t.stride != Axes{n[1] * n[2] * n[3], 1, n[1] * n[3], n[1]})
    return fake::wrong(kUnsupported, "channels are not last, or rows not dense");
  if (d.one<std::int64_t>(900) % 16 != 0)
    return fake::wrong(kBad, "an alignment of %ld", d.one<std::int64_t>(900));
  return kOk;
}

int first_of(int kind) { return kind == kForward ? 700 : kind == kData ? 706 : 712; }

struct Geometry {
  Tensor w, x, y;
  Axes before, after, stride, dilation;
  explicit Geometry(const Desc& op)
      : w(tensor(op, 3)), x(tensor(op, 4)), y(tensor(op, 5)), before(axes(op, 105)),
        after(axes(op, 104)), stride(axes(op, 103)), dilation(axes(op, 102)) {}
  static Tensor tensor(const Desc& op, int which) {
    return Tensor(*op.one<Desc*>(first_of(op.kind) + which));
  }
  static Axes axes(const Desc& op, int attribute) {
    return op.one<Desc*>(first_of(op.kind) + 2)->all<std::int64_t>(attribute);
  }
};

int check_operation(const Desc& op) {
  const int first = first_of(op.kind);
  const int kinds[] = {kConvolution, kTensor, kTensor, kTensor};
  for (int i = 0; i < 4; ++i) {
    const Desc* part = op.one<Desc*>(first + 2 + i);
    if (part->kind != kinds[i] || !part->finished)
      return fake::wrong(kBad, "part %d of an operation", i);
  }
  if (op.one<float>(first) != 1 || op.one<float>(first + 1) != 0)
    return fake::wrong(kUnsupported, "alpha or beta");
  const Geometry g(op);
  if (g.w.type != g.x.type || g.x.type != g.y.type)
    return fake::wrong(kUnsupported, "types that differ");
  const long groups = g.x.size[1] / g.w.size[1];
  if (g.x.size[1] != groups * g.w.size[1] || g.w.size[0] % groups != 0)
    return fake::wrong(kBad, "%ld channels, filters of %ld", g.x.size[1], g.w.size[1]);
  if (g.y.size[0] != g.x.size[0] || g.y.size[1] != g.w.size[0])
    return fake::wrong(kBad, "the result's images or filters");
  for (int i = 0; i < 2; ++i) {
    const long room =
        g.x.size[2 + i] + g.before[i] + g.after[i] - (g.w.size[2 + i] - 1) * g.dilation[i] - 1;
    if (g.before[i] < 0 || g.after[i] < 0 || room < 0 ||
        room / g.stride[i] + 1 != g.y.size[2 + i]) {
      return fake::wrong(kBad, "axis %d: the result has %ld, there is room for %ld", i,
                         g.y.size[2 + i], room / g.stride[i] + 1);
    }
  }
  return kOk;
}

int check_convolution(const Desc& d) {
  if (d.one<std::int64_t>(106) != 2 || d.one<int>(100) != kFloat || d.one<int>(101) != 1)
    return fake::wrong(kBad, "no correlation of images with float32 sums");
  for (const int a : {102, 103, 104, 105}) {
    if (d.all<std::int64_t>(a).size() != 2)
      return fake::wrong(kBad, "attribute %d is not of two axes", a);
  }
  return kOk;
}

int check_graph(const Desc& d) {
  const auto ops = d.all<Desc*>(801);
  if (ops.size() != 1 || !ops[0]->finished) return fake::wrong(kBad, "operations");
  return kOk;
}

int check_plan(const Desc& d) {
  const Desc* choice = d.one<Desc*>(401);
  if (choice->engine < 0) return fake::wrong(kBad, "a choice that no heuristic made");
  if (!d.values.count(400) && !d.values.count(407))
    return fake::wrong(kBad, "neither a handle nor a device");
  return kEngines[choice->engine].makes_plans
             ? kOk
             : fake::wrong(kUnsupported, "engine %d makes no plan", kEngines[choice->engine].index);
}

const Desc& operation_of(const Desc& plan) {
  return *plan.one<Desc*>(401)->one<Desc*>(201)->one<Desc*>(801);
}

struct Call {
  Geometry g;
  int kind;
  std::map<std::int64_t, void*> data;
  void* workspace;

  void put(const Tensor& t, long at, double x) const {
    void* const to = data.at(t.id);
    if (t.type == kBFloat)
      static_cast<std::uint16_t*>(to)[at] = fake::bf16(static_cast<float>(x));
    else
      static_cast<float*>(to)[at] = static_cast<float>(x);
  }
  double get(const Tensor& t, long at) const {
    return fake::factor(data.at(t.id), t.type == kBFloat, at);
  }
  // f(places of x, w, y) of every product that a convolution adds up
  template <class F> void products(const F& f) const {
    const long groups = g.x.size[1] / g.w.size[1], each = g.w.size[0] / groups;
    for (long n = 0; n < g.x.size[0]; ++n)
      for (long k = 0; k < g.w.size[0]; ++k)
        for (long p = 0; p < g.y.size[2]; ++p)
          for (long q = 0; q < g.y.size[3]; ++q)
            for (long r = 0; r < g.w.size[2]; ++r)
              for (long s = 0; s < g.w.size[3]; ++s) {
                const long h = p * g.stride[0] + r * g.dilation[0] - g.before[0],
                           v = q * g.stride[1] + s * g.dilation[1] - g.before[1];
                if (h < 0 || v < 0 || h >= g.x.size[2] || v >= g.x.size[3]) continue;
                for (long c = 0; c < g.w.size[1]; ++c)
                  f(g.x.at(n, k / each * g.w.size[1] + c, h, v), g.w.at(k, c, r, s),
                    g.y.at(n, k, p, q));
              }
  }
  void run() const {
    const Tensor& out = kind == kForward ? g.y : kind == kData ? g.x : g.w;
    std::vector<double> sums(out.size[0] * out.size[1] * out.size[2] * out.size[3], 0.0);
    products([&](long x, long w, long y) {
      if (kind == kForward) sums[y] += get(g.x, x) * get(g.w, w);
      if (kind == kData) sums[x] += get(g.y, y) * get(g.w, w);
      if (kind == kWeights) sums[w] += get(g.x, x) * get(g.y, y);
    });
    for (std::size_t i = 0; i < sums.size(); ++i) put(out, static_cast<long>(i), sums[i]);
    fake::spoil(workspace, kWorkspace);
  }
};

struct Handle { void* stream = nullptr; };

}  // namespace

EXPORT std::size_t cudnnGetVersion() { return FAKE_VERSION; }
EXPORT int cudnnCreate(Handle** handle) {
  *handle = new Handle;
  return kOk;
}
EXPORT int cudnnSetStream(Handle* handle, void* stream) {
  handle->stream = stream;
  return kOk;
}
EXPORT int cudnnBackendCreateDescriptor(int kind, Desc** d) {
  *d = new Desc{kind};
  return kOk;
}
EXPORT int cudnnBackendDestroyDescriptor(Desc* d) {
  delete d;
  return kOk;
}
EXPORT int cudnnBackendSetAttribute(Desc* d, int attribute, int type, std::int64_t count,
                                    const void* values) {
  const auto known = kAttributes.find(attribute);
  if (known == kAttributes.end() || known->second.kind != d->kind)
    return fake::wrong(kBad, "attribute %d is not of kind %d", attribute, d->kind);
  if (known->second.type != type)
    return fake::wrong(kBad, "attribute %d has type %d, got %d", attribute, known->second.type,
                       type);
  if (d->finished) return fake::wrong(kBad, "attribute %d after the end", attribute);
  const auto* const from = static_cast<const char*>(values);
  d->values[attribute].assign(from, from + count * known->second.size);
  return kOk;
}
EXPORT int cudnnBackendFinalize(Desc* d) {
  for (const auto& [attribute, known] : kAttributes) {
    if (known.kind == d->kind && known.needed && !d->values.count(attribute))
      return fake::wrong(kBad, "attribute %d is missing", attribute);
  }
  int status = kOk;
  switch (d->kind) {
    case kTensor: status = check_tensor(*d); break;
    case kConvolution: status = check_convolution(*d); break;
    case kForward:
    case kData:
    case kWeights: status = check_operation(*d); break;
    case kGraph: status = check_graph(*d); break;
    case kPlan: status = check_plan(*d); break;
    default: break;
  }
  d->finished = status == kOk;
  return status;
}
EXPORT int cudnnBackendGetAttribute(Desc* d, int attribute, int type, std::int64_t most,
                                    std::int64_t* count, void* to) {
  using fake::wrong;
  if (attribute == 202 && d->kind == kHeuristic && d->finished && type == 15) {
    auto** const choices = static_cast<Desc**>(to);
    *count = d->one<int>(200) == 3 ? 3 : 0;  // the other mode has nothing
    for (int i = 0; i < *count; ++i) {
      if (i >= most || choices[i]->kind != kChoice) return wrong(kBad, "room for choices");
      choices[i]->engine = i;
      choices[i]->finished = true;
      choices[i]->values[201] = d->values[201];
    }
    return kOk;
  }
  *count = 1;
  if (attribute == 300 && d->kind == kChoice && d->engine >= 0 && type == 15) {
    Desc* const engine = *static_cast<Desc**>(to);
    if (engine->kind != kEngine) return wrong(kBad, "an engine is wanted");
    engine->engine = d->engine;
    return kOk;
  }
  if (attribute == 1301 && d->kind == kEngine && type == 3) {
    *static_cast<std::int64_t*>(to) = kEngines[d->engine].index;
    return kOk;
  }
  if (attribute == 1303 && d->kind == kEngine && type == 11) {
    auto* const notes = static_cast<int*>(to);
    notes[0] = 0;  // tensor cores
    if (!kEngines[d->engine].deterministic) notes[(*count)++] = 4;
    return kOk;
  }
  if (attribute == 402 && d->kind == kPlan && d->finished && type == 3) {
    *static_cast<std::int64_t*>(to) = kWorkspace;
    return kOk;
  }
  return wrong(kBad, "attribute %d of kind %d cannot be read", attribute, d->kind);
}
EXPORT int cudnnBackendExecute(Handle* handle, Desc* plan, Desc* pack) {
  using fake::wrong;
  if (!handle || !handle->stream) return wrong(kNotInitialised, "no handle, or no stream");
  if (plan->kind != kPlan || !plan->finished || pack->kind != kPack || !pack->finished)
    return wrong(kBad, "no plan, or no pack");
  if (!plan->values.count(400)) return wrong(kBad, "a plan for a described device cannot run");
  const auto ids = pack->all<std::int64_t>(1000);
  const auto pointers = pack->all<void*>(1001);
  const Desc& op = operation_of(*plan);
  Call call{Geometry(op), op.kind, {}, pack->one<void*>(1003)};
  if (ids.size() != 3 || pointers.size() != 3) return wrong(kBad, "three tensors are wanted");
  for (int i = 0; i < 3; ++i) call.data[ids[i]] = pointers[i];
  for (const Tensor* t : {&call.g.x, &call.g.w, &call.g.y}) {
    if (!call.data.count(t->id)) return wrong(kBad, "tensor %ld has no memory", t->id);
    void* const p = call.data[t->id];
    if (!fake::aligned(p, 16) || !fake::holds(p, t->bytes()))
      return wrong(kBad, "tensor %ld goes beyond its memory", t->id);
    if (fake::overlap(p, t->bytes(), call.workspace, kWorkspace))
      return wrong(kBad, "tensor %ld lies in the workspace", t->id);
  }
  if (!fake::holds(call.workspace, kWorkspace)) return wrong(kBad, "the workspace");
  fake::enqueue(handle->stream, [call] { call.run(); });
  return kOk;
}
