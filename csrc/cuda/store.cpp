// Converts between packed order in device memory and logical order on the host.
#include "cuda/store.h"

#include <cstring>

#include "cuda/kernels/lay.h"
#include "cuda/packed.h"

namespace steep::cuda {

namespace {

constexpr long kAlign = 64;  // elements: 256 bytes

std::vector<long> starts(const std::vector<std::shared_ptr<const Layout>>& all) {
  std::vector<long> starts{0};
  for (const auto& layout : all) {
    starts.push_back(starts.back() + ceil_div(layout->size, kAlign) * kAlign);
  }
  return starts;
}

}  // namespace

void unpack(const Slice& slice, const float* column, float* out) { take_out(slice, column, out); }

CudaStore::CudaStore(std::shared_ptr<const Layout> layout,
                     std::vector<std::shared_ptr<const Layout>> columns)
    : Store(std::move(layout)), columns_(std::move(columns)), starts_(starts(columns_)),
      memory_(std::make_shared<Memory>(static_cast<std::size_t>(elements()) * sizeof(float))),
      stream_(std::make_shared<Stream>()) {}

CudaStore::CudaStore(std::shared_ptr<const Layout> layout, int columns)
    : CudaStore(layout, std::vector(static_cast<std::size_t>(columns), layout)) {}

std::shared_ptr<Store> CudaStore::part(std::shared_ptr<const Layout> layout) const {
  return std::shared_ptr<Store>(new CudaStore(std::move(layout), *this));
}

void CudaStore::get(int column, int parameter, void* out) const {
  const Slice& s = layout(column).slices[parameter];
  if (owner_of(out) >= 0) {
    const long row = s.narrow ? s.rows : s.columns;
    lay_weight({stream_->get(), {}, 0}, {this->column(column) + s.offset, s.panels()}, s.narrow,
               {out, row, false});
    return stream_->wait();
  }
  std::vector<float> packed(static_cast<std::size_t>(s.size));
  read(*stream_, packed.data(), this->column(column) + s.offset, packed.size() * sizeof(float));
  float* const to = static_cast<float*>(out);
  for_elements(s, [&](long from, long logical) { to[logical] = packed[from]; });
}

void CudaStore::set(int column, int parameter, const void* in) {
  note_change();
  const Slice& s = layout(column).slices[parameter];
  std::vector<float> packed(static_cast<std::size_t>(s.size));
  const float* const from = static_cast<const float*>(in);
  for_elements(s, [&](long to, long logical) { packed[to] = from[logical]; });
  write(*stream_, this->column(column) + s.offset, packed.data(), packed.size() * sizeof(float));
}

}  // namespace steep::cuda
