// Contraction of local bases: y[b,:] = sum_i sum_r values[b,r,i] * coeff[i, first[b,i] + r, :], and its gradients.
// Plain C++17 without headers of torch: it is compiled in half a second, at first use, by whatever compiler there is.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t kTile = 256;  // rows of y that stay in the second-level cache while the inputs go by
constexpr int kBlock = 32;      // outputs whose coefficient gradients stay in registers while the samples of a cell go by

// A plug-in's index is kept inside the coefficients, whatever it says: a wrong one gives wrong numbers, never a crash.
int64_t cell(int64_t first, int64_t cells) { return std::clamp<int64_t>(first, 0, cells - 1); }

// Rows [begin, end) of y.
template <int S, typename T>
void forward(const int64_t* first, const T* values, const T* coeff, T* y, int64_t begin, int64_t end, int64_t in, int64_t K, int64_t out) {
  for (int64_t low = begin; low < end; low += kTile) {
    const int64_t high = std::min(low + kTile, end);
    std::memset(y + low * out, 0, (high - low) * out * sizeof(T));
    for (int64_t i = 0; i < in; ++i)
      for (int64_t b = low; b < high; ++b) {
        const T* rows = coeff + (i * K + cell(first[b * in + i], K - S + 1)) * out;
        T value[S];
        for (int r = 0; r < S; ++r) value[r] = values[(b * S + r) * in + i];
        T* target = y + b * out;
#pragma omp simd
        for (int64_t o = 0; o < out; ++o) {
          T sum = target[o];
          for (int r = 0; r < S; ++r) sum += value[r] * rows[r * out + o];
          target[o] = sum;
        }
      }
  }
}

// Inputs [begin, end): samples are sorted by cell, so that a cell's rows are read once and its gradients written once.
template <int S, typename T>
void backward(const int64_t* first, const T* values, const T* coeff, const T* gradient, T* d_values, T* d_coeff, int64_t N, int64_t begin,
              int64_t end, int64_t in, int64_t K, int64_t out) {
  const int64_t cells = K - S + 1;
  std::vector<int64_t> start(cells + 1), place(cells), order(N);
  for (int64_t i = begin; i < end; ++i) {
    std::fill(start.begin(), start.end(), 0);
    for (int64_t b = 0; b < N; ++b) ++start[cell(first[b * in + i], cells) + 1];
    for (int64_t c = 0; c < cells; ++c) start[c + 1] += start[c];
    std::copy(start.begin(), start.end() - 1, place.begin());
    for (int64_t b = 0; b < N; ++b) order[place[cell(first[b * in + i], cells)]++] = b;
    std::memset(d_coeff + i * K * out, 0, K * out * sizeof(T));
    for (int64_t c = 0; c < cells; ++c) {
      if (start[c] == start[c + 1]) continue;
      const T* rows = coeff + (i * K + c) * out;
      T* d_rows = d_coeff + (i * K + c) * out;
      for (int64_t p = start[c]; p < start[c + 1]; ++p) {
        const T* g = gradient + order[p] * out;
        T dot[S] = {};
#pragma omp simd reduction(+ : dot[:S])
        for (int64_t o = 0; o < out; ++o)
          for (int r = 0; r < S; ++r) dot[r] += g[o] * rows[r * out + o];
        for (int r = 0; r < S; ++r) d_values[(order[p] * S + r) * in + i] = dot[r];
      }
      int64_t low = 0;
      for (; low + kBlock <= out; low += kBlock) {
        T sum[S][kBlock] = {};
        for (int64_t p = start[c]; p < start[c + 1]; ++p) {
          const T* g = gradient + order[p] * out + low;
          for (int r = 0; r < S; ++r) {
            const T value = values[(order[p] * S + r) * in + i];
#pragma omp simd
            for (int o = 0; o < kBlock; ++o) sum[r][o] += value * g[o];
          }
        }
        for (int r = 0; r < S; ++r)
#pragma omp simd
          for (int o = 0; o < kBlock; ++o) d_rows[r * out + low + o] += sum[r][o];
      }
      for (int64_t p = start[c]; low < out && p < start[c + 1]; ++p)
        for (int r = 0; r < S; ++r) {
          const T value = values[(order[p] * S + r) * in + i];
#pragma omp simd
          for (int64_t o = low; o < out; ++o) d_rows[r * out + o] += value * gradient[order[p] * out + o];
        }
    }
  }
}

}  // namespace

#define KANZOO_ENTRY(S, T, NAME)                                                                                                        \
  extern "C" void forward_##S##_##NAME(const int64_t* first, const T* values, const T* coeff, T* y, int64_t begin, int64_t end,          \
                                       int64_t in, int64_t K, int64_t out) {                                                            \
    forward<S, T>(first, values, coeff, y, begin, end, in, K, out);                                                                     \
  }                                                                                                                                     \
  extern "C" void backward_##S##_##NAME(const int64_t* first, const T* values, const T* coeff, const T* gradient, T* d_values,          \
                                        T* d_coeff, int64_t N, int64_t begin, int64_t end, int64_t in, int64_t K, int64_t out) {        \
    backward<S, T>(first, values, coeff, gradient, d_values, d_coeff, N, begin, end, in, K, out);                                       \
  }
#define KANZOO_ENTRIES(S) KANZOO_ENTRY(S, float, float32) KANZOO_ENTRY(S, double, float64)

KANZOO_ENTRIES(1) KANZOO_ENTRIES(2) KANZOO_ENTRIES(3) KANZOO_ENTRIES(4) KANZOO_ENTRIES(5) KANZOO_ENTRIES(6)
