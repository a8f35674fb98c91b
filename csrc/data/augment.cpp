// Draws the change of a sample.
#include "data/augment.h"

#include <algorithm>

#include "base/philox.h"

namespace steep {

Images Images::of(const void* data, Format format, const std::vector<long>& shape,
                  const std::vector<long>& strides) {
  const bool grey = shape.size() == 3;
  return {.data = static_cast<const std::byte*>(data),
          .format = format,
          .sample_stride = strides[0],
          .row_stride = strides[1],
          .pixel_stride = strides[2],
          .channel_stride = grey ? 0 : strides[3],
          .height = shape[1],
          .width = shape[2],
          .channels = grey ? 1 : shape[3]};
}

Augment::Augment(bool flip, long shift, long cutout, const std::vector<double>& fill, Images images)
    : flip(flip), shift(shift), cutout(cutout), images(images) {
  for (long x = 0; x < images.width; ++x) {
    this->fill.insert(this->fill.end(), fill.begin(), fill.end());
  }
}

namespace {

// Uniform on 0..n-1, to n/2^32.
long below(uint32_t word, long n) {
  return static_cast<long>(uint64_t{word} * static_cast<uint64_t>(n) >> 32);
}

}  // namespace

// One Philox block a sample. The counter's last word keeps it apart from dropout, which counts its
// layers there, and from initial weights. After 2^32 epochs the changes repeat.
Change draw_change(const Augment& a, uint64_t seed, uint64_t epoch, uint64_t sample) {
  constexpr uint32_t kDomain = 0x4155474D;  // "AUGM"
  const auto bits =
      STEEP_ISA::philox(static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32),
                        static_cast<uint32_t>(epoch), kDomain, static_cast<uint32_t>(seed),
                        static_cast<uint32_t>(seed >> 32));
  Change c{};
  c.flip = a.flip && (bits.word[0] & 1) != 0;  // below() reads the highest bits
  c.down = below(bits.word[0], 2 * a.shift + 1) - a.shift;
  c.right = below(bits.word[1], 2 * a.shift + 1) - a.shift;
  if (a.cutout > 0) {  // its middle lies anywhere in the image, so its edges may lie outside
    const long top = below(bits.word[2], a.images.height) - a.cutout / 2;
    const long left = below(bits.word[3], a.images.width) - a.cutout / 2;
    c.top = std::max(0L, top);
    c.bottom = std::min(a.images.height, top + a.cutout);
    c.left = std::max(0L, left);
    c.end = std::min(a.images.width, left + a.cutout);
  }
  return c;
}

}  // namespace steep
