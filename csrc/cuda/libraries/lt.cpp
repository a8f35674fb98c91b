// The functions of cuBLASLt that are called, and products by them.
#include "cuda/libraries/lt.h"

#include <cstdint>

#include "base/error.h"
#include "cuda/libraries/shared_object.h"

namespace steep::cuda::lt {

namespace {

using Status = int;
using Handle = void*;
using Desc = void*;
constexpr int kFloat32 = 0, kBFloat16 = 14;        // cudaDataType
constexpr int kCompute32 = 68, kComputeTF32 = 77;  // cublasComputeType_t
// Attributes of a product, ...
constexpr int kTurnA = 3, kTurnB = 4, kEpilogue = 7, kBias = 8, kAux = 11, kAuxLd = 12;
// ... and of what is wished for.
constexpr int kMostWorkspace = 1, kReductions = 3, kAlignmentA = 5, kAlignmentD = 8;
constexpr uint32_t kAlignment = 16;   // bytes, of matrices; it would take more for granted
constexpr uint32_t kOrdered = 2 | 4;  // parts of a split sum are added in order, or there are none
constexpr std::size_t kLeastVersion = 130000, kMostVersion = 140000;

struct Algorithm { uint64_t data[8]; };
struct Answer {  // of a heuristic
  Algorithm algorithm;
  std::size_t workspace;
  Status status;
  float waves;
  int reserved[4];
};

struct Library {
  SharedObject object{"STEEP_CUBLASLT", "libcublasLt.so.13"};
  std::size_t version = 0;
  Handle handle = nullptr;

  std::size_t (*get_version)() = nullptr;
  Status (*create)(Handle*) = nullptr;
  Status (*make_desc)(Desc*, int compute, int scale) = nullptr;
  Status (*free_desc)(Desc) = nullptr;
  Status (*set_desc)(Desc, int attribute, const void*, std::size_t) = nullptr;
  Status (*make_layout)(Desc*, int type, uint64_t rows, uint64_t columns, int64_t ld) = nullptr;
  Status (*free_layout)(Desc) = nullptr;
  Status (*make_preference)(Desc*) = nullptr;
  Status (*free_preference)(Desc) = nullptr;
  Status (*set_preference)(Desc, int attribute, const void*, std::size_t) = nullptr;
  Status (*heuristic)(Handle, Desc, Desc, Desc, Desc, Desc, Desc, int, Answer*, int*) = nullptr;
  Status (*matmul)(Handle, Desc, const void*, const void*, Desc, const void*, Desc, const void*,
                   const void*, Desc, void*, Desc, const Algorithm*, void*, std::size_t,
                   cudaStream_t) = nullptr;

  Library() {
    object.find(get_version, "cublasLtGetVersion");
    object.find(create, "cublasLtCreate");
    object.find(make_desc, "cublasLtMatmulDescCreate");
    object.find(free_desc, "cublasLtMatmulDescDestroy");
    object.find(set_desc, "cublasLtMatmulDescSetAttribute");
    object.find(make_layout, "cublasLtMatrixLayoutCreate");
    object.find(free_layout, "cublasLtMatrixLayoutDestroy");
    object.find(make_preference, "cublasLtMatmulPreferenceCreate");
    object.find(free_preference, "cublasLtMatmulPreferenceDestroy");
    object.find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    object.find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    object.find(matmul, "cublasLtMatmul");
    if (!object.there()) return;
    version = get_version();
    if (version < kLeastVersion || version >= kMostVersion) {
      object.refuse(text("is version ", version, ", 13 is needed"));
    } else if (const Status status = create(&handle); status != 0) {
      object.refuse(text("cublasLtCreate gave status ", status));
    }
  }
};

Library& library() {
  static auto& opened = *new Library;  // never destroyed, as devices
  return opened;
}

void expect(Status status, const char* what) {
  if (status != 0) {
    throw std::runtime_error(text("device=\"cuda\": cuBLASLt: ", what, " gave status ", status,
                                  "; leave STEEP_CUBLASLT out to go by steep's own kernels"));
  }
}

// A descriptor that is freed.
struct Held {
  Desc desc = nullptr;
  Status (*free)(Desc) = nullptr;
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    if (desc) free(desc);
  }
};

}  // namespace

struct Product::Parts {
  Shape shape;
  Held desc, a, b, d;
  Answer answer{};

  template <class T> void set(int attribute, const T& value) const {
    expect(library().set_desc(desc.desc, attribute, &value, sizeof(value)), "an attribute");
  }
  void lay(Held& to, bool narrow, bool turned, long rows, long columns, long ld) {
    Library& by = library();
    to.free = by.free_layout;
    expect(by.make_layout(&to.desc, narrow ? kBFloat16 : kFloat32,
                          static_cast<uint64_t>(turned ? columns : rows),
                          static_cast<uint64_t>(turned ? rows : columns), ld),
           "a layout");
  }
};

Product::Product(const Shape& s) : parts_(std::make_unique<Parts>()) {
  Library& by = library();
  Parts& p = *parts_;
  p.shape = s;
  p.desc.free = by.free_desc;
  expect(by.make_desc(&p.desc.desc, s.bfloat16 ? kCompute32 : kComputeTF32, kFloat32), "a product");
  p.set(kTurnA, static_cast<int32_t>(s.turn_a));
  p.set(kTurnB, static_cast<int32_t>(s.turn_b));
  p.set(kEpilogue, static_cast<int32_t>(s.epilogue));
  if (s.epilogue == Epilogue::kGeluAuxBias || s.epilogue == Epilogue::kDGelu) {
    p.set(kAuxLd, static_cast<int64_t>(s.aux_ld));
  }
  p.lay(p.a, s.bfloat16, s.turn_a, s.m, s.k, s.lda);
  p.lay(p.b, s.bfloat16, s.turn_b, s.k, s.n, s.ldb);
  p.lay(p.d, false, false, s.m, s.n, s.ldd);
  Held wish;
  wish.free = by.free_preference;
  expect(by.make_preference(&wish.desc), "a preference");
  const std::size_t most = kWorkspace;
  expect(by.set_preference(wish.desc, kMostWorkspace, &most, sizeof(most)), "a workspace");
  expect(by.set_preference(wish.desc, kReductions, &kOrdered, sizeof(kOrdered)),
         "an order of sums");
  for (int which = kAlignmentA; which <= kAlignmentD; ++which) {
    expect(by.set_preference(wish.desc, which, &kAlignment, sizeof(kAlignment)), "an alignment");
  }
  int found = 0;
  expect(by.heuristic(by.handle, p.desc.desc, p.a.desc, p.b.desc, p.d.desc, p.d.desc, wish.desc, 1,
                      &p.answer, &found),
         "the choice of an algorithm");
  expect(found > 0 ? p.answer.status : 15, "the choice of an algorithm");
}

Product::~Product() = default;

void Product::run(const Operands& of, cudaStream_t stream) const {
  const Parts& p = *parts_;
  if (of.bias) p.set(kBias, of.bias);
  if (of.aux) p.set(kAux, of.aux);
  const float one = 1, more = p.shape.accumulate ? 1.0f : 0.0f;
  expect(library().matmul(library().handle, p.desc.desc, &one, of.a, p.a.desc, of.b, p.b.desc,
                          &more, of.d, p.d.desc, of.d, p.d.desc, &p.answer.algorithm, of.workspace,
                          kWorkspace, stream),
         "a product");
}

bool on() { return library().object.there(); }

std::string describe() {
  const Library& l = library();
  if (!l.object.there()) return l.object.why_not();
  return text(l.version / 10000, ".", l.version / 100 % 100, ".", l.version % 100, " from ",
              l.object.path());
}

}  // namespace steep::cuda::lt
