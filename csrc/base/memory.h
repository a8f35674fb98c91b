// One aligned, zeroed block of memory with one owner; large blocks ask for huge pages.
#pragma once
#include <cstddef>
#include <memory>

namespace steep {

class Block {
 public:
  Block() = default;
  explicit Block(std::size_t bytes);
  // What a block of so many bytes takes.
  static std::size_t rounded(std::size_t bytes);
  std::byte* data() const { return data_.get(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Free { void operator()(std::byte* p) const; };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t bytes_ = 0;
};

}  // namespace steep
