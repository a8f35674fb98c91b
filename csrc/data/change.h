// The random change of one image, drawn by its sample: a pure function of (seed, epoch, sample), the same on
// every device. Reading an image through it is a device's.
#pragma once
#include "base/philox.h"

namespace steep {

// What may happen to images of such a size.
struct Changes {
  bool flip;  // left and right changed over, for half of the samples
  long shift, cutout;
  long height, width;
};

// What happens to one sample: out(y, x) = in(y + down, x + right), columns counted from the right
// when flipped; then rows [top, bottom) of columns [left, end) are painted over.
struct Change {
  bool flip;
  long down, right;
  long top, bottom, left, end;
};

namespace STEEP_ISA {

// Uniform on 0..n-1, to n/2^32.
STEEP_HD long below(uint32_t word, long n) {
  return static_cast<long>(uint64_t{word} * static_cast<uint64_t>(n) >> 32);
}

// One Philox block a sample. The counter's last word keeps it apart from dropout, which counts its
// layers there, and from initial weights. After 2^32 epochs the changes repeat.
STEEP_HD Change draw_change(const Changes& of, uint64_t seed, uint64_t epoch, uint64_t sample) {
  constexpr uint32_t kDomain = 0x4155474D;  // "AUGM"
  const auto bits = philox(static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32),
                           static_cast<uint32_t>(epoch), kDomain, static_cast<uint32_t>(seed),
                           static_cast<uint32_t>(seed >> 32));
  Change c{};
  c.flip = of.flip && (bits.word[0] & 1) != 0;  // below() reads the highest bits
  c.down = below(bits.word[0], 2 * of.shift + 1) - of.shift;
  c.right = below(bits.word[1], 2 * of.shift + 1) - of.shift;
  if (of.cutout > 0) {  // its middle lies anywhere in the image, so its edges may lie outside
    const long top = below(bits.word[2], of.height) - of.cutout / 2;
    const long left = below(bits.word[3], of.width) - of.cutout / 2;
    c.top = top > 0 ? top : 0;
    c.bottom = top + of.cutout < of.height ? top + of.cutout : of.height;
    c.left = left > 0 ? left : 0;
    c.end = left + of.cutout < of.width ? left + of.cutout : of.width;
  }
  return c;
}

}  // namespace STEEP_ISA

}  // namespace steep
