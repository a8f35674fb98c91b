// Formats of the numbers in tensors and parameters.
#pragma once

namespace steep {

enum class Format { Float32, Float64 };

constexpr long bytes_of(Format format) { return format == Format::Float32 ? 4 : 8; }

}  // namespace steep
