// Batch normalisation step by step, in the order of the CPU's sums: pixels of a sample in four interleaved parts of
// stretches, samples one after the other in double. What is made of them: norm_values.cu.
#include "cuda/kernels/norm.cuh"

namespace steep::cuda {

namespace {

constexpr int kParts = 4, kStretch = 256;  // parts; pixels
constexpr int kAtOnce = 4;                 // stretches

// A block has so many channels of a sample, a thread a channel, a part and a stretch.
template <int kTile> struct Block {
  static constexpr int threads = kTile * kParts * kAtOnce;
  template <int kSums> using Partial = float[kAtOnce][kSums][kParts][kTile];
};

// Sums over pixels of what step(sums, p) adds; the threads of the first part and stretch have them. Stretches come
// side by side and are added one after the other.
template <int kTile, int kSums, class Step>
__device__ void over_pixels(int pixels, bool there, float (&shared)[kAtOnce][kSums][kParts][kTile],
                            float (&total)[kSums], const Step& step) {
  const int c = static_cast<int>(threadIdx.x), q = static_cast<int>(threadIdx.y);
  const int own = static_cast<int>(threadIdx.z);
  for (int k = 0; k < kSums; ++k) total[k] = 0;
  for (int first = 0; first < pixels; first += kAtOnce * kStretch) {
    const int begin = first + own * kStretch;
    const int end = begin + kStretch < pixels ? begin + kStretch : pixels;
    float part[kSums] = {};
    if (there) {
#pragma unroll 16
      for (int p = begin + q; p < end; p += kParts) step(part, p);
    }
    for (int k = 0; k < kSums; ++k) shared[own][k][q][c] = part[k];
    __syncthreads();
    if (q == 0 && own == 0) {
      for (int i = 0; i < kAtOnce && first + i * kStretch < pixels; ++i) {
        for (int k = 0; k < kSums; ++k) {
          const auto& of = shared[i][k];
          total[k] = total[k] + ((of[0][c] + of[1][c]) + (of[2][c] + of[3][c]));
        }
      }
    }
    __syncthreads();
  }
}

template <int kTile> struct Spot {  // a channel of a sample
  int c, r;
  bool there, first;
  __device__ explicit Spot(int channels)
      : c(static_cast<int>(blockIdx.y * kTile + threadIdx.x)), r(static_cast<int>(blockIdx.x)),
        there(c < channels), first(threadIdx.y == 0 && threadIdx.z == 0) {}
};

template <int kTile, class T> __global__ void __launch_bounds__(Block<kTile>::threads)
    sum_of_pixels(int pixels, int channels, View x, View out) {
  STEEP_SHARED(shared, typename Block<kTile>::template Partial<1>);
  const Spot<kTile> at(channels);
  const T* const from = numbers_of<T>(x) + at.r * x.ld + at.c;
  float total[1];
  over_pixels(pixels, at.there, shared, total, [&](float* sums, int p) {
    sums[0] = sums[0] + widened(from[static_cast<long>(p) * channels]);
  });
  if (at.there && at.first) out.data[at.r * out.ld + at.c] = total[0];
}

template <int kTile, class T> __global__ void __launch_bounds__(Block<kTile>::threads)
    pixel_moments(Norm n, View x, View out) {
  STEEP_SHARED(shared, typename Block<kTile>::template Partial<1>);
  STEEP_SHARED(centers, float[kTile]);
  const Spot<kTile> at(n.channels);
  const T* const from = numbers_of<T>(x) + at.r * x.ld + at.c;
  float total[1];
  over_pixels(n.pixels, at.there, shared, total, [&](float* sums, int p) {
    sums[0] = sums[0] + widened(from[static_cast<long>(p) * n.channels]);
  });
  if (at.first) centers[threadIdx.x] = total[0] / static_cast<float>(n.pixels);
  __syncthreads();
  const float center = centers[threadIdx.x];
  over_pixels(n.pixels, at.there, shared, total, [&](float* sums, int p) {
    const float away = widened(from[static_cast<long>(p) * n.channels]) - center;
    sums[0] = fma_(away, away, sums[0]);
  });
  if (!at.first) return;
  float* const to = out.data + at.r * out.ld + at.c;
  const long width = padded(n.channels);
  if (at.c < width) to[0] = at.there ? center : 0.0f, to[width] = at.there ? total[0] : 0.0f;
}

template <int kTile, class G, class T> __global__ void __launch_bounds__(Block<kTile>::threads)
    pixel_sums(Norm n, View dy, View x, View statistics, View out) {
  STEEP_SHARED(shared, typename Block<kTile>::template Partial<2>);
  const Spot<kTile> at(n.channels);
  const G* const up = numbers_of<G>(dy) + at.r * dy.ld + at.c;
  const T* const in = numbers_of<T>(x) + at.r * x.ld + at.c;
  const float* const of = row_of(n, statistics, at.r) + at.c;
  const long width = padded(n.channels);
  const float center = at.there ? of[0] : 0.0f;
  float total[2];
  over_pixels(n.pixels, at.there, shared, total, [&](float* sums, int p) {
    const float g = widened(up[static_cast<long>(p) * n.channels]);
    sums[0] = sums[0] + g;
    sums[1] = fma_(g, widened(in[static_cast<long>(p) * n.channels]) - center, sums[1]);
  });
  if (!at.first || at.c >= width) return;
  float* const to = out.data + at.r * out.ld + at.c;
  to[0] = at.there ? total[0] : 0.0f;
  to[width] = at.there ? total[1] * of[width] : 0.0f;
}

// A block a tile of 16 channels and a group of samples: rows come together, one thread a channel adds them.
constexpr int kChannels = 16, kRows = 16,
              kTogether = 8;  // rows of threads; of rows, those of a thread
struct Rows2 { double of[2][kRows * kTogether][kChannels]; };
template <class Add>
__device__ void over_rows(const View& x, int first, int end, int c, bool there, long second,
                          Rows2& shared, const Add& add) {
  const int lane = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
  for (int from = first; from < end; from += kRows * kTogether) {
    float of[2][kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const int r = from + row + i * kRows;
      const bool read = there && r < end;
      of[0][i] = read ? x.data[r * x.ld + c] : 0.0f;
      of[1][i] = read ? x.data[r * x.ld + c + second] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      for (int k = 0; k < 2; ++k)
        shared.of[k][row + i * kRows][lane] = static_cast<double>(of[k][i]);
    }
    __syncthreads();
    const int rows = end - from < kRows * kTogether ? end - from : kRows * kTogether;
    if (there && row == 0) {
#pragma unroll 8
      for (int i = 0; i < rows; ++i) add(shared.of[0][i][lane], shared.of[1][i][lane]);
    }
    __syncthreads();
  }
}

struct Grouped {  // rows that are normalised together
  int g, first, end, c;
  bool there, sums;
  __device__ Grouped(const Norm& n, int rows)
      : g(static_cast<int>(blockIdx.y)), c(static_cast<int>(blockIdx.x * kChannels + threadIdx.x)),
        there(c < n.channels), sums(there && threadIdx.y == 0) {
    const int size = n.group > 0 && n.group < rows ? n.group : rows;
    first = g * size;
    end = first + size < rows ? first + size : rows;
  }
};

// Means and squared distances of equal parts, put together.
__global__ void __launch_bounds__(kChannels* kRows)
    batch_statistics(int rows, Norm n, View moments, const float* scale, View out) {
  STEEP_SHARED(shared, Rows2);
  const Grouped at(n, rows);
  const long width = padded(n.channels);
  const double count = static_cast<double>(at.end - at.first);
  const double pixels = static_cast<double>(n.pixels);
  double mean = 0, squares = 0;
  over_rows(moments, at.first, at.end, at.c, at.there, width, shared,
            [&](double x, double) { mean += x; });
  mean /= count;
  over_rows(moments, at.first, at.end, at.c, at.there, width, shared, [&](double x, double s) {
    const double away = x - mean;
    squares += s + pixels * away * away;
  });
  float* const to = out.data + at.g * out.ld + at.c;
  if (at.sums) {
    write_statistics(to, width, n.eps, scale[at.c], mean, squares / (count * pixels));
  } else if (threadIdx.y == 0 && at.c < width) {
    clear(to, width);
  }
}

__global__ void __launch_bounds__(kChannels* kRows)
    gradient_means(int rows, Norm n, View sums, View statistics, View out) {
  STEEP_SHARED(shared, Rows2);
  const Grouped at(n, rows);
  const long width = padded(n.channels);
  double sum = 0, product = 0;
  over_rows(sums, at.first, at.end, at.c, at.there, width, shared,
            [&](double x, double y) { sum += x, product += y; });
  if (threadIdx.y != 0 || at.c >= width) return;
  const double count = static_cast<double>(at.end - at.first) * static_cast<double>(n.pixels);
  const float inverse = statistics.data[at.g * statistics.ld + width + at.c];
  float* const to = out.data + at.g * out.ld + at.c;
  to[0] = at.there ? static_cast<float>(sum / count) : 0.0f;
  to[width] = at.there ? static_cast<float>(product / count * static_cast<double>(inverse)) : 0.0f;
}

// Starts kernel(std::integral_constant) of so many channels a block: half a warp is enough for few.
template <class Kernel, class... Arguments>
void over_samples(const Place& at, int channels, const Kernel& kernel, const Arguments&... of) {
  const auto run = [&]<int kTile>(std::integral_constant<int, kTile> tile) {
    const dim3 grid(static_cast<unsigned>(at.rows), blocks_of(channels, kTile));
    start(at.stream, grid, dim3(kTile, kParts, kAtOnce), kernel(tile), of...);
  };
  channels > 16 ? run(std::integral_constant<int, 32>()) : run(std::integral_constant<int, 16>());
}
dim3 groups(const Place& at, const Norm& n) {
  const int size = n.group > 0 && n.group < at.rows ? n.group : at.rows;
  return dim3(blocks_of(n.channels, kChannels), blocks_of(at.rows, size));
}
}  // namespace

void sum_pixels(const Place& at, int pixels, int channels, const View& x, const View& sums) {
  with_number(x, [&]<class T>(T) {
    over_samples(
        at, channels, [](auto tile) { return sum_of_pixels<tile(), T>; }, pixels, channels, x,
        sums);
  });
}

void moments(const Place& at, const Norm& n, const View& x, const View& out) {
  with_number(x, [&]<class T>(T) {
    over_samples(at, n.channels, [](auto tile) { return pixel_moments<tile(), T>; }, n, x, out);
  });
}

void statistics(const Place& at, const Norm& n, const View& moments, const float* scale,
                const View& out) {
  start(at.stream, groups(at, n), dim3(kChannels, kRows), batch_statistics, at.rows, n, moments,
        scale, out);
}

void norm_sums(const Place& at, const Norm& n, const View& dy, const View& x,
               const View& statistics, const View& sums) {
  with_number(dy, [&]<class G>(G) {
    with_number(x, [&]<class T>(T) {
      over_samples(
          at, n.channels, [](auto tile) { return pixel_sums<tile(), G, T>; }, n, dy, x, statistics,
          sums);
    });
  });
}

void norm_means(const Place& at, const Norm& n, const View& sums, const View& statistics,
                const View& means) {
  start(at.stream, groups(at, n), dim3(kChannels, kRows), gradient_means, at.rows, n, sums,
        statistics, means);
}

}  // namespace steep::cuda
