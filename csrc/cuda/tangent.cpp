// Columns of a product, and their way from the host and back.
#include "cuda/tangent.h"

#include <algorithm>

namespace steep::cuda {

namespace {

constexpr int kRoom = 64;  // columns of a matrix that wait together

void copy(const Stream& stream, void* to, const void* from, std::size_t bytes, cudaMemcpyKind way) {
  cuda::check(cudaMemcpyAsync(to, from, bytes, way, stream.get()), "a direction");
}

}  // namespace

CudaTangent::CudaTangent(const Program& program, std::shared_ptr<CudaStore> weights,
                         const Stream& stream, const std::vector<std::size_t>& places)
    : program_(program), weights_(std::move(weights)), stream_(stream),
      size_(weights_->layout().size), places_(places.begin(), places.end()) {
  columns_.count = static_cast<long>(places_.size());
  columns_.room = static_cast<int>(std::min<long>(kRoom, columns_.count));
}

bool CudaTangent::reserve(long rows) {
  if (plan_ && plan_->capacity() >= rows) return false;
  if (duals_.bytes() == 0) make_columns();
  plan_ = std::make_unique<TangentPlan>(program_, weights_->layout(), rows, point(),
                                        along() + size_, stream_);
  return true;
}

void CudaTangent::make_columns() {
  const auto doubles = [](long n) { return static_cast<std::size_t>(n) * sizeof(double); };
  const long kept = columns_.room * columns_.count;
  Memory duals(static_cast<std::size_t>(2 * size_) * sizeof(DualNumber));
  Memory numbers(doubles(size_ + kMostTerms));
  Memory matrix(doubles(kept + columns_.count + 1));
  up_ = Pinned(doubles(size_ + kMostTerms));
  down_ = Pinned(doubles(std::max(size_, kept)));
  columns_.kept = matrix.as<double>();
  long* const places = matrix.as<long>() + kept;
  columns_.places = places;
  columns_.turn = reinterpret_cast<int*>(places + columns_.count);
  if (!places_.empty()) {
    write(stream_, places, places_.data(), places_.size() * sizeof(long));
  }
  numbers_ = std::move(numbers);
  matrix_ = std::move(matrix);
  duals_ = std::move(duals);
}

long CudaTangent::bytes() const {
  return static_cast<long>(duals_.bytes() + numbers_.bytes() + matrix_.bytes()) +
         (plan_ ? plan_->bytes() : 0);
}

long CudaTangent::bytes(long rows) const {
  const long numbers = size_ + kMostTerms + (columns_.room + 1) * columns_.count + 1;
  return 2 * size_ * static_cast<long>(sizeof(DualNumber)) +
         numbers * static_cast<long>(sizeof(double)) +
         TangentPlan::bytes(program_, weights_->layout(), rows);
}

void CudaTangent::send_factors(const std::vector<double>& factors) {
  double* const staged = up_.as<double>() + size_;
  std::copy(factors.begin(), factors.end(), staged);
  copy(stream_, along() + size_, staged, factors.size() * sizeof(double), cudaMemcpyHostToDevice);
}

void CudaTangent::send(const std::vector<double>& direction) {
  std::copy(direction.begin(), direction.end(), up_.as<double>());
  copy(stream_, along(), up_.as<double>(), direction.size() * sizeof(double),
       cudaMemcpyHostToDevice);
}

// It lies where the direction lay.
void CudaTangent::enqueue_product(const Place& at, bool held, const DualProbe& probe) const {
  join_direction(at.stream, weights_->column(0), along(), size_, point());
  plan_->run(at, held, probe, gradient());
  const bool given = probe.kind == DualProbe::kGiven;
  given ? take_values(at.stream, gradient(), size_, along())
        : take_derivatives(at.stream, gradient(), size_, along());
}

const double* CudaTangent::fetch() {
  copy(stream_, down_.as<double>(), along(), static_cast<std::size_t>(size_) * sizeof(double),
       cudaMemcpyDeviceToHost);
  stream_.wait();
  return down_.as<double>();
}

void CudaTangent::begin_matrix() {
  cuda::check(cudaMemsetAsync(columns_.turn, 0, sizeof(int), stream_.get()), "a matrix");
}

void CudaTangent::enqueue_column(const Place& at, bool held) const {
  next_direction(at.stream, columns_, size_, along());
  join_direction(at.stream, weights_->column(0), along(), size_, point());
  plan_->run(at, held, {.kind = DualProbe::kCurvature}, gradient());
  keep_column(at.stream, columns_, gradient());
}

const double* CudaTangent::fetch_columns(long count) {
  copy(stream_, down_.as<double>(), columns_.kept,
       static_cast<std::size_t>(count * columns_.count) * sizeof(double), cudaMemcpyDeviceToHost);
  stream_.wait();
  return down_.as<double>();
}

}  // namespace steep::cuda
