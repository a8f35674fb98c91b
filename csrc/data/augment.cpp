// Draws the change of a sample, and reads its rows through it.
#include "data/augment.h"

#include <algorithm>

#include "base/philox.h"

namespace steep {

Images Images::of(const void* data, DType dtype, const std::vector<long>& shape,
                  const std::vector<long>& strides) {
  const bool grey = shape.size() == 3;
  return {.data = static_cast<const std::byte*>(data),
          .dtype = dtype,
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

namespace {

template <class T> using Read = void (*)(const void*, long, T*, long, T, T);

template <class T> Read<T> reader(const Kernels<T>& k, DType dtype) {
  return dtype == DType::Float32 ? k.read_f32 : dtype == DType::Float64 ? k.read_f64 : k.read_u8;
}

template <class T>
void read_pixels(Read<T> read, const Images& m, const std::byte* from, long pixels, T* dst, T scale,
                 T shift) {
  if (m.channels == 1) return read(from, m.pixel_stride, dst, pixels, scale, shift);
  if (m.pixel_stride == m.channels * m.channel_stride) {
    return read(from, m.channel_stride, dst, pixels * m.channels, scale, shift);
  }
  for (long x = 0; x < pixels; ++x) {
    read(from + x * m.pixel_stride, m.channel_stride, dst + x * m.channels, m.channels, scale,
         shift);
  }
}

template <long kChannels, class T> void reverse_pixels(T* row, long pixels, long channels) {
  const long n = kChannels > 0 ? kChannels : channels;
  for (T *left = row, *right = row + (pixels - 1) * n; left < right; left += n, right -= n) {
    for (long c = 0; c < n; ++c) std::swap(left[c], right[c]);
  }
}

template <class T> void reverse_pixels(T* row, long pixels, long channels) {
  if (channels == 1) return reverse_pixels<1>(row, pixels, channels);
  if (channels == 3) return reverse_pixels<3>(row, pixels, channels);
  reverse_pixels<0>(row, pixels, channels);
}

}  // namespace

template <class T>
void read_augmented(const Kernels<T>& k, const Augment& a, const Change& c, long sample, T* dst,
                    T scale, T shift) {
  const Images& m = a.images;
  const long row = m.width * m.channels;
  const auto paint = [&](long y, long from, long to) {
    k.read_f64(a.fill.data(), sizeof(double), dst + y * row + from * m.channels,
               (to - from) * m.channels, scale, shift);
  };
  // Columns [from, to) before the flip come from inside of the image.
  const long from = std::max(0L, -c.right), to = std::min(m.width, m.width - c.right);
  const auto read = reader(k, m.dtype);
  const std::byte* const image = m.data + sample * m.sample_stride;
  for (long y = 0; y < m.height; ++y) {
    const long source = y + c.down;
    if (source < 0 || source >= m.height) {
      paint(y, 0, m.width);
      continue;
    }
    if (from > 0) paint(y, 0, from);
    if (to < m.width) paint(y, to, m.width);
    read_pixels(read, m, image + source * m.row_stride + (from + c.right) * m.pixel_stride,
                to - from, dst + y * row + from * m.channels, scale, shift);
    if (c.flip) reverse_pixels(dst + y * row, m.width, m.channels);
  }
  for (long y = c.top; y < c.bottom; ++y) paint(y, c.left, c.end);
}

#define STEEP_READ(T) \
  template void read_augmented(const Kernels<T>&, const Augment&, const Change&, long, T*, T, T);
STEEP_READ(float)
STEEP_READ(double)
#undef STEEP_READ

}  // namespace steep
