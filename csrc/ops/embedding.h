// Rows of a table: of tokens, picked by whole numbers, and of positions.
#pragma once
#include "ops/op.h"

namespace steep::ops {

// out = the rows of W (vocabulary, units) that the ids in in0 name, behind the axes of in0.
struct Embedding {
  static constexpr const char* kName = "embedding";
  static constexpr std::array kTensors{"ids"};
  static constexpr std::array kParameters{"weight"};
  static constexpr std::size_t kOptional = 1;
  static constexpr auto fields() { return std::tuple{Field{"padding", &Embedding::padding}}; }
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;
  Whole whole() const { return {0, 0, vocabulary - 1, "token"}; }

  long padding = -1;  // the id whose row gets no gradient, or none
  long vocabulary = 0, units = 0, positions = 1;
};

// out = in0 + W, a row of W (positions, units) for each position.
struct AddTable {
  static constexpr const char* kName = "add_table";
  static constexpr std::array kTensors{"x"};
  static constexpr std::array kParameters{"weight"};
  Shape shape(const Given& given);
  void gradient(Gradients& to, const Op& op) const;

  long positions = 1, units = 0;
};

}  // namespace steep::ops
