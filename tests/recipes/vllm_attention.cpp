// Test of vLLM's RVV attention kernels against float64. Prints the first failures and a summary; status 1 if any failed.
#include "cpu_attn_rvv_kernels.hpp"

#include <cstdio>
#include <random>
#include <type_traits>
#include <vector>

using namespace cpu_attention::rvv;

static int failures = 0, cases = 0;
static void check(bool ok, const char* format, auto... values) {
  ++cases;
  if (!ok && ++failures <= 20) std::printf(format, values...);
}

template <typename kv_t>
static double stored(typename kv_t::storage_t x) {
  if constexpr (std::is_same_v<kv_t, F32>) {
    return x;
  } else if constexpr (std::is_same_v<kv_t, F16>) {
    _Float16 half;
    std::memcpy(&half, &x, sizeof(half));
    return half;
  } else {
    const uint32_t bits = uint32_t(x) << 16;
    float single;
    std::memcpy(&single, &bits, sizeof(single));
    return single;
  }
}

template <typename kv_t>
static typename kv_t::storage_t make(float x) {
  if constexpr (std::is_same_v<kv_t, F32>) {
    return x;
  } else if constexpr (std::is_same_v<kv_t, F16>) {
    const auto half = static_cast<_Float16>(x);
    uint16_t bits;
    std::memcpy(&bits, &half, sizeof(bits));
    return bits;
  } else {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
}

static std::mt19937 rng(7);
static float value() { return float(int(rng() % 8001) - 4000) / 1000.0f; }
template <typename T>
static bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(T));
}

template <typename kv_t>
static void test_gemm(const char* name, int m, int n, int k, bool accumulate) {
  using storage_t = typename kv_t::storage_t;
  using operand_t = typename kv_t::operand_t;
  const int lda = k + 3, ldb = n + 5, ldc = n + 2;
  std::vector<storage_t> a(m * lda), b(k * ldb);
  std::vector<operand_t> operands(m * lda);
  std::vector<float> c(m * ldc);
  for (auto& x : a) x = make<kv_t>(value());
  for (auto& x : b) x = make<kv_t>(value());
  if (n > 4 && k > 2) b[1] = make<kv_t>(1e-6f), b[2] = make<kv_t>(-3e-5f);  // subnormal in fp16
  for (auto& x : c) x = value();
  for (int i = 0; i < m; ++i) copy_query<kv_t>(a.data() + i * lda, operands.data() + i * lda, k);
  const float scale = 0.25f;
  const auto before = c;
  if (accumulate)
    gemm<kv_t, Output::Accumulate>(operands.data(), lda, b.data(), ldb, c.data(), ldc, m, n, k, scale);
  else
    gemm<kv_t, Output::Scale>(operands.data(), lda, b.data(), ldb, c.data(), ldc, m, n, k, scale);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < ldc; ++j) {
      if (j >= n) {
        check(c[i * ldc + j] == before[i * ldc + j], "%s m=%d n=%d k=%d: column %d overwritten\n", name, m, n, k, j);
        continue;
      }
      double s = 0, magnitude = 1 + std::abs(before[i * ldc + j]);
      for (int l = 0; l < k; ++l) {
        const double p = stored<kv_t>(a[i * lda + l]) * stored<kv_t>(b[l * ldb + j]);
        s += p;
        magnitude += std::abs(p);
      }
      s = accumulate ? s + before[i * ldc + j] : s * scale;
      check(std::abs(s - c[i * ldc + j]) <= magnitude * (k + 2) * 0x1p-24, "%s m=%d n=%d k=%d [%d,%d]: %g, not %g\n", name, m,
            n, k, i, j, c[i * ldc + j], s);
    }
}

// All values of a 16-bit type, and infinities and NaNs of fp32
template <typename kv_t>
static void test_values(const char* name) {
  std::vector<typename kv_t::storage_t> b;
  if constexpr (sizeof(typename kv_t::storage_t) == 2)
    for (int i = 0; i < 65536; ++i) b.push_back(i);
  else
    for (float x : {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -3e38f}) b.push_back(x);
  std::vector<float> c(b.size());
  std::vector<typename kv_t::storage_t> one{make<kv_t>(1.0f)};
  typename kv_t::operand_t a[1];
  copy_query<kv_t>(one.data(), a, 1);
  gemm<kv_t, Output::Scale>(a, 1, b.data(), b.size(), c.data(), b.size(), 1, b.size(), 1, 1.0f);
  for (size_t i = 0; i < b.size(); ++i) {
    const double x = stored<kv_t>(b[i]);
    check(std::isnan(x) ? std::isnan(c[i]) : x == c[i], "%s value %zu: %g, not %g\n", name, i, c[i], x);
  }
}

template <int degree>
static void test_exp2(double tolerance) {
  for (float x = -126.0f; x < 16.0f; x += 0.0123456f) {
    const float y = __riscv_vfmv_f_s_f32m4_f32(cpu_attention::rvv::exp2<degree>(__riscv_vfmv_v_f_f32m4(x, 1), 1));
    check(std::abs(y / std::exp2(double(x)) - 1) < tolerance, "exp2<%d>(%g) = %g\n", degree, x, y);
  }
  for (float x : {-126.5f, -1e9f, -3e38f, -INFINITY})
    check(__riscv_vfmv_f_s_f32m4_f32(cpu_attention::rvv::exp2<degree>(__riscv_vfmv_v_f_f32m4(x, 1), 1)) == 0.0f,
          "exp2<%d>(%g) is not 0\n", degree, x);
  check(std::isnan(__riscv_vfmv_f_s_f32m4_f32(cpu_attention::rvv::exp2<degree>(__riscv_vfmv_v_f_f32m4(NAN, 1), 1))),
        "exp2<%d>(NaN) is a number\n", degree);
}

template <typename kv_t>
static void test_softmax(const char* name, int rows, int n, bool masked) {
  const int d = 48;
  std::vector<float> logits(rows * (n + 16)), out(rows * d), max(rows), sum(rows);
  for (auto& x : logits) x = value() * 3;
  if (masked)
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < n; ++j)
        if (j % 3 == i % 3 || i == 1) logits[i * (n + 16) + j] = -INFINITY;
    }
  for (int i = 0; i < rows; ++i) {
    max[i] = i % 2 ? std::numeric_limits<float>::lowest() : 2.5f;
    sum[i] = i % 2 ? 0.0f : 1.5f;
    for (int j = 0; j < d; ++j) out[i * d + j] = i % 2 ? 0.0f : j;
  }
  const auto l0 = logits, o0 = out, m0 = max, s0 = sum;
  softmax<kv_t>(logits.data(), n + 16, out.data(), d, max.data(), sum.data(), rows, n, false);
  const double relative = sizeof(typename kv_t::operand_t) == 4 ? 8e-6 : std::is_same_v<kv_t, F16> ? 6e-4 : 4.5e-3;
  for (int i = 0; i < rows; ++i) {
    const double factor = std::exp(double(m0[i]) - max[i]);
    double total = s0[i] * factor;
    auto* operands = reinterpret_cast<typename kv_t::operand_t*>(logits.data() + i * (n + 16));
    for (int j = 0; j < n; ++j) {
      const double p = std::exp(double(l0[i * (n + 16) + j]) - max[i]), got = double(float(operands[j])) / kv_t::operand_scale;
      total += got;
      check(p == 0 ? got == 0 : std::abs(got - p) <= p * relative + 6e-8, "%s softmax rows=%d n=%d [%d,%d]: %g, not %g\n", name,
            rows, n, i, j, got, p);
    }
    check(std::abs(sum[i] - total) <= total * 8e-6, "%s softmax rows=%d n=%d sum[%d]: %g, not %g\n", name, rows, n, i,
          sum[i], total);
    for (int j = 0; j < d; ++j)
      check(std::abs(out[i * d + j] - o0[i * d + j] * factor) <= 1e-5 * j, "%s softmax output\n", name);
  }
}

// Sinks near the logits and far above them: weights of the first tile keep the precision of their type.
template <typename kv_t>
static void test_sinks(const char* name, int n) {
  const double relative = sizeof(typename kv_t::operand_t) == 4 ? 2e-5 : std::is_same_v<kv_t, F16> ? 1e-3 : 8e-3;
  for (const float sink : {-30.0f, 0.0f, 9.0f, 14.0f, 25.0f, 75.0f, 300.0f}) {
    std::vector<float> logits(n), out(16);
    for (auto& x : logits) x = value();  // from -4 to 4
    const auto before = logits;
    float max = sink, sum = 1;
    softmax<kv_t>(logits.data(), n, out.data(), 16, &max, &sum, 1, n, true);
    double total = 0;
    for (const float x : before) total += std::exp(double(x));
    auto* operands = reinterpret_cast<typename kv_t::operand_t*>(logits.data());
    for (int j = 0; j < n; ++j) {
      const double weight = std::exp(double(before[j])) / (std::exp(double(sink)) + total);
      const double found = double(float(operands[j])) / kv_t::operand_scale / sum;
      if (sink < 80)
        check(std::abs(found - weight) <= weight * relative, "%s sink %g, logit %g: %g, not %g\n", name, sink, before[j],
              found, weight);
      else
        check(std::isfinite(sum) && found < 1e-30, "%s sink %g, logit %g: %g\n", name, sink, before[j], found);
    }
  }
}

// The guard makes all rounding modes give the same bits.
template <typename kv_t>
static void test_rounding_modes(const char* name) {
  std::vector<typename kv_t::storage_t> a(3 * 64), b(64 * 96);
  std::vector<typename kv_t::operand_t> operands(3 * 64);
  for (auto& x : a) x = make<kv_t>(value());
  for (auto& x : b) x = make<kv_t>(value());
  for (int i = 0; i < 3; ++i) copy_query<kv_t>(a.data() + i * 64, operands.data() + i * 64, 64);
  std::vector<float> reference;
  for (int mode = 0; mode <= 4; ++mode) {
    std::vector<float> c(3 * 96);
    float max[3] = {-1e30f, -1e30f, -1e30f}, sum[3] = {}, out[3 * 64] = {};
    asm volatile("fsrm %0" : : "r"(mode) : "memory");
    {
      RoundToNearest guard;
      gemm<kv_t, Output::Scale>(operands.data(), 64, b.data(), 96, c.data(), 96, 3, 96, 64, 0.1f);
      softmax<kv_t>(c.data(), 96, out, 64, max, sum, 3, 96, false);
    }
    unsigned long after;
    asm volatile("frrm %0" : "=r"(after) : : "memory");
    check(int(after) == mode, "%s rounding mode %d became %lu\n", name, mode, after);
    asm volatile("fsrm zero" : : : "memory");
    c.insert(c.end(), sum, sum + 3);
    if (mode == 0) reference = c;
    check(same_bits(c, reference), "%s depends on rounding mode %d\n", name, mode);
  }
}

template <typename kv_t>
static void test_store_column(int n) {
  const int stride = 7;
  std::vector<typename kv_t::storage_t> src(n), dst(n * stride);
  for (int i = 0; i < n; ++i) src[i] = i + 1;
  store_column(src.data(), dst.data() + 2, stride, n);
  for (int i = 0; i < n * stride; ++i)
    check(dst[i] == (i % stride == 2 ? src[i / stride] : 0), "store_column n=%d: wrong element %d\n", n, i);
}

template <typename kv_t>
static void test(const char* name) {
  for (int m = 1; m <= 16; ++m)
    for (int n : {1, 16, 33, 272})
      for (int k : {1, 8, 13, 127}) {
        test_gemm<kv_t>(name, m, n, k, false);
        test_gemm<kv_t>(name, m, n, k, true);
      }
  test_values<kv_t>(name);
  for (int rows : {1, 4, 5})
    for (int n : {16, 48, 144, 400})
      for (bool masked : {false, true}) test_softmax<kv_t>(name, rows, n, masked);
  for (int n : {16, 48, 400}) test_sinks<kv_t>(name, n);
  test_rounding_modes<kv_t>(name);
  for (int n : {1, 48, 256, 512}) test_store_column<kv_t>(n);
}

int main() {
  test<F32>("f32");
  test<F16>("f16");
  test<BF16>("bf16");
  test_exp2<5>(5e-7);
  test_exp2<4>(3.5e-6);
  std::printf("%s: %d of %d checks failed\n", failures ? "WRONG" : "ok", failures, cases);
  return failures != 0;
}
