// cuBLASLt: products of matrices in device memory with what follows them, as its interface of version 13 has
// them. Matrices are its own way round: columns lie behind each other.
#pragma once
#include <cuda_runtime.h>

#include <memory>
#include <string>

namespace steep::cuda::lt {

// What is done to the product before it is written; numbers are the library's. Its ReLU is not among them: it
// makes 0 of NaN, and nobody would hear of a fault.
enum class Epilogue : int {
  kNothing = 1,
  kBias = 4,           // + a bias for each row of D
  kGeluBias = 36,      // the tanh form
  kGeluAuxBias = 164,  // the same, and its input to `aux`
  kDGelu = 192,        // times the derivative at `aux`
  kSumA = 256,         // and the sums of A's rows to `bias`
};

// D = epilogue(op(A) op(B) + D where it accumulates): (m, k) times (k, n). A and B are bfloat16, or float32 that is
// rounded to TF32; D and all else are float32.
struct Shape {
  bool turn_a, turn_b, bfloat16, accumulate;
  long m, n, k, lda, ldb, ldd, aux_ld;
  Epilogue epilogue;
};
struct Operands {
  const void *a, *b;
  float* d;
  float* bias;  // read, or of kSumA written
  float* aux;
  void* workspace;  // kWorkspace bytes
};
constexpr std::size_t kWorkspace = 32 << 20;

// One product, its algorithm chosen by the library's first answer: the same for the same shape.
class Product {
 public:
  explicit Product(const Shape& shape);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  void run(const Operands& of, cudaStream_t stream) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

bool on();               // asked for, and there
std::string describe();  // for people

}  // namespace steep::cuda::lt
