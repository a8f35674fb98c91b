// The functions of cuDNN that are called, and plans of convolutions by them.
#include "cuda/libraries/dnn.h"

#include <array>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cuda/libraries/shared_object.h"

namespace steep::cuda::dnn {

namespace {

using Status = int;
using Handle = void*;
using Desc = void*;

// The library's numbers: kinds of descriptors, ...
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
// ... types of attributes, ...
enum Type {
  kHandle = 0,
  kDataType = 1,
  kInt64 = 3,
  kFloat = 4,
  kPointer = 6,
  kMode = 7,
  kHeurMode = 8,
  kNote = 11,
  kDesc = 15,
  kChar = 24
};
// ... and attributes; of operations the first one.
enum Attribute {
  kComputeType = 100,
  kConvMode = 101,
  kDilations = 102,
  kStrides = 103,
  kAfter = 104,
  kBefore = 105,
  kSpatial = 106,
  kHeuristicMode = 200,
  kHeuristicGraph = 201,
  kResults = 202,
  kHeuristicDevice = 204,
  kChosenEngine = 300,
  kPlanHandle = 400,
  kPlanChoice = 401,
  kPlanWorkspace = 402,
  kPlanDevice = 407,
  kForwardAlpha = 700,
  kDataAlpha = 706,
  kWeightsAlpha = 712,
  kGraphHandle = 800,
  kGraphOps = 801,
  kAlignment = 900,
  kTensorType = 901,
  kDimensions = 902,
  kTensorStrides = 903,
  kId = 906,
  kPackIds = 1000,
  kPackPointers = 1001,
  kPackWorkspace = 1003,
  kEngineIndex = 1301,
  kEngineNotes = 1303,
  kDeviceJson = 2702
};
constexpr int kFloat32 = 0, kBFloat16 = 9, kCrossCorrelation = 1;
constexpr int kNondeterministic = 4;  // a note of an engine
constexpr std::array kModes{3, 2};    // A, then what always works
constexpr int64_t kMostChoices = 64, kMostNotes = 32;
constexpr std::size_t kLeastVersion = 90800,
                      kMostVersion = 100000;  // described devices; the next interface

struct Library {
  SharedObject object{"STEEP_CUDNN", "libcudnn.so.9"};
  std::size_t version = 0;
  Handle handle = nullptr;
  std::recursive_mutex one_at_a_time;  // a handle has one stream

  std::size_t (*get_version)() = nullptr;
  Status (*create)(Handle*) = nullptr;
  Status (*set_stream)(Handle, cudaStream_t) = nullptr;
  Status (*make)(int kind, Desc*) = nullptr;
  Status (*free)(Desc) = nullptr;
  Status (*set)(Desc, int attribute, int type, int64_t count, const void*) = nullptr;
  Status (*get)(Desc, int attribute, int type, int64_t most, int64_t* count, void*) = nullptr;
  Status (*finish)(Desc) = nullptr;
  Status (*execute)(Handle, Desc plan, Desc pack) = nullptr;

  Library() {
    object.find(get_version, "cudnnGetVersion");
    object.find(create, "cudnnCreate");
    object.find(set_stream, "cudnnSetStream");
    object.find(make, "cudnnBackendCreateDescriptor");
    object.find(free, "cudnnBackendDestroyDescriptor");
    object.find(set, "cudnnBackendSetAttribute");
    object.find(get, "cudnnBackendGetAttribute");
    object.find(finish, "cudnnBackendFinalize");
    object.find(execute, "cudnnBackendExecute");
    if (!object.there()) return;
    version = get_version();
    if (version < kLeastVersion || version >= kMostVersion) {
      object.refuse(text("is version ", version, ", 9.8 or a later 9 is needed"));
    }
  }
  // Needs a device.
  Handle begun() {
    const std::lock_guard lock(one_at_a_time);
    if (!handle) {
      if (const Status status = create(&handle); status != 0) {
        throw std::runtime_error(text("device=\"cuda\": cudnnCreate gave status ", status,
                                      "; leave STEEP_CUDNN out to go by steep's own kernels"));
      }
    }
    return handle;
  }
};

Library& library() {
  static auto& opened = *new Library;  // never destroyed, as devices
  return opened;
}

void expect(Status status, const char* what) {
  if (status != 0) {
    throw std::runtime_error(text("device=\"cuda\": cuDNN: ", what, " gave status ", status,
                                  "; leave STEEP_CUDNN out to go by steep's own kernels"));
  }
}

// A descriptor that is freed.
class Held {
 public:
  explicit Held(int kind) { expect(library().make(kind, &desc_), "a descriptor"); }
  Held(Held&& other) noexcept : desc_(std::exchange(other.desc_, nullptr)) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(desc_, other.desc_);
    return *this;
  }
  ~Held() {
    if (desc_) library().free(desc_);
  }
  Desc get() const { return desc_; }
  template <class T> void set(int attribute, int type, int64_t count, const T* values) const {
    expect(library().set(desc_, attribute, type, count, values), "an attribute");
  }
  template <class T> void set(int attribute, int type, const T& value) const {
    set(attribute, type, 1, &value);
  }
  void refer(int attribute, const Held& to) const { set(attribute, kDesc, to.desc_); }
  Status try_finish() const { return library().finish(desc_); }
  void finish(const char* what) const { expect(try_finish(), what); }
  // How many there are.
  template <class T> int64_t get(int attribute, int type, int64_t most, T* values) const {
    int64_t count = 0;
    expect(library().get(desc_, attribute, type, most, &count, values), "an answer");
    return count;
  }

 private:
  Desc desc_ = nullptr;
};

constexpr std::array<int64_t, 3> kIds{1, 2, 3};  // of x, w, y

// Four axes, named (image, channel, height, width), of which channels are the fastest.
Held tensor(int64_t id, bool bfloat16, const std::array<int64_t, 4>& size) {
  Held made(kTensor);
  const std::array<int64_t, 4> strides{size[1] * size[2] * size[3], 1, size[3] * size[1], size[1]};
  const int64_t alignment = 16;
  const int type = bfloat16 ? kBFloat16 : kFloat32;
  made.set(kTensorType, kDataType, type);
  made.set(kDimensions, kInt64, 4, size.data());
  made.set(kTensorStrides, kInt64, 4, strides.data());
  made.set(kId, kInt64, id);
  made.set(kAlignment, kInt64, alignment);
  made.finish("a tensor");
  return made;
}

Held convolution(const Window& w) {
  Held made(kConvolution);
  std::array<int64_t, 2> before{}, after{}, strides{}, dilations{};
  for (int i = 0; i < 2; ++i) {
    const long reach = (w.out[i] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1;
    const long beyond = reach - w.before[i] - w.in[i];
    before[i] = w.before[i];
    after[i] = beyond > 0 ? beyond : 0;  // what no window reaches is no padding
    strides[i] = w.stride[i];
    dilations[i] = w.dilation[i];
  }
  const int64_t axes = 2;
  const int compute = kFloat32, mode = kCrossCorrelation;
  made.set(kSpatial, kInt64, axes);
  made.set(kComputeType, kDataType, compute);
  made.set(kConvMode, kMode, mode);
  made.set(kBefore, kInt64, 2, before.data());
  made.set(kAfter, kInt64, 2, after.data());
  made.set(kStrides, kInt64, 2, strides.data());
  made.set(kDilations, kInt64, 2, dilations.data());
  made.finish("a convolution");
  return made;
}

}  // namespace

struct Plan::Parts {
  Held x, w, y, convolution, operation{kForward}, graph{kGraph}, device{kDevice}, choice{kChoice},
      plan{kPlan};
  bool described;

  Parts(const Shape& s, const std::string& about);
  std::vector<Held> choices(int mode) const;
  bool settle(Held&& by, long& workspace);
};

Plan::Parts::Parts(const Shape& s, const std::string& about)
    : x(tensor(kIds[0], s.bfloat16, {s.images, s.window.channels, s.window.in[0], s.window.in[1]})),
      w(tensor(kIds[1], s.bfloat16,
               {s.filters, s.window.channels / s.groups, s.window.kernel[0], s.window.kernel[1]})),
      y(tensor(kIds[2], s.bfloat16, {s.images, s.filters, s.window.out[0], s.window.out[1]})),
      convolution(dnn::convolution(s.window)), described(!about.empty()) {
  const bool forward = s.pass == Pass::kForward, data = s.pass == Pass::kData;
  operation = Held(forward ? kForward : data ? kData : kWeights);
  // Alpha, beta, convolution, then the tensors: in the same order for each pass.
  const int first = forward ? kForwardAlpha : data ? kDataAlpha : kWeightsAlpha;
  const std::array<const Held*, 3> tensors{&w, &x, &y};
  const float one = 1, zero = 0;
  operation.set(first, kFloat, one);
  operation.set(first + 1, kFloat, zero);
  operation.refer(first + 2, convolution);
  for (int i = 0; i < 3; ++i) operation.refer(first + 3 + i, *tensors[i]);
  operation.finish("an operation");
  if (!described) graph.set(kGraphHandle, kHandle, library().begun());
  graph.refer(kGraphOps, operation);
  graph.finish("a graph");
  if (described) {
    device.set(kDeviceJson, kChar, static_cast<int64_t>(about.size()), about.data());
    device.finish("the description of a device");
  }
}

std::vector<Held> Plan::Parts::choices(int mode) const {
  Held heuristic(kHeuristic);
  heuristic.refer(kHeuristicGraph, graph);
  heuristic.set(kHeuristicMode, kHeurMode, mode);
  if (described) heuristic.refer(kHeuristicDevice, device);
  if (heuristic.try_finish() != 0) return {};
  std::vector<Held> found;
  std::vector<Desc> raw;
  for (int64_t i = 0; i < kMostChoices; ++i) raw.push_back(found.emplace_back(kChoice).get());
  const int64_t count = heuristic.get(kResults, kDesc, kMostChoices, raw.data());
  found.erase(found.begin() + count, found.end());
  return found;
}

namespace {

bool deterministic(const Held& engine) {
  std::array<int, kMostNotes> notes{};
  const int64_t count = engine.get(kEngineNotes, kNote, kMostNotes, notes.data());
  for (int64_t i = 0; i < count; ++i) {
    if (notes[i] == kNondeterministic) return false;
  }
  return true;
}

}  // namespace

// Does this choice make a plan?
bool Plan::Parts::settle(Held&& by, long& workspace) {
  Held made(kPlan);
  if (!described) made.set(kPlanHandle, kHandle, library().begun());
  made.refer(kPlanChoice, by);
  if (described) made.refer(kPlanDevice, device);
  if (made.try_finish() != 0) return false;
  int64_t bytes = 0;
  made.get(kPlanWorkspace, kInt64, 1, &bytes);
  if (bytes > kMostWorkspace) return false;
  workspace = bytes;
  choice = std::move(by);
  plan = std::move(made);
  return true;
}

Plan::Plan(const Shape& shape, const std::string& about)
    : parts_(std::make_unique<Parts>(shape, about)) {
  for (const int mode : kModes) {
    for (Held& choice : parts_->choices(mode)) {
      Held engine(kEngine);
      Desc raw = engine.get();
      choice.get(kChosenEngine, kDesc, 1, &raw);
      if (!deterministic(engine)) continue;
      int64_t index = -1;
      engine.get(kEngineIndex, kInt64, 1, &index);
      if (!parts_->settle(std::move(choice), workspace_)) continue;
      engine_ = index;
      return;
    }
  }
  throw std::runtime_error(
      "device=\"cuda\": cuDNN has no engine for a convolution that gives the same result every "
      "time; leave STEEP_CUDNN out to go by steep's own kernels");
}

Plan::~Plan() = default;

void Plan::run(const Operands& of, cudaStream_t stream) const {
  Library& by = library();
  const std::array<void*, 3> pointers{of.x, of.w, of.y};
  Held pack(kPack);
  pack.set(kPackPointers, kPointer, 3, pointers.data());
  pack.set(kPackIds, kInt64, 3, kIds.data());
  pack.set(kPackWorkspace, kPointer, of.workspace);
  pack.finish("a pack of pointers");
  const std::lock_guard lock(by.one_at_a_time);
  expect(by.set_stream(by.begun(), stream), "a stream");
  expect(by.execute(by.begun(), parts_->plan.get(), pack.get()), "a convolution");
}

bool on() { return library().object.there(); }

std::string describe() {
  const Library& l = library();
  if (!l.object.there()) return l.object.why_not();
  return text(l.version / 10000, ".", l.version / 100 % 100, ".", l.version % 100, " from ",
              l.object.path());
}

}  // namespace steep::cuda::dnn
