// Linear layers with packed 16-bit weights, and products with int4 weights and 8-bit activations: our kernels alone.
// Upstream leaves the first to oneDNN, which has none for RISC-V, and the second has no vectors there.
#include <riscv_vector.h>

#include "cpu/rvv_linear.cpp"

#include "cpu/rvv_int4.hpp"
#include "driver.h"
#include "scratch_pad.h"

namespace {

using at::ScalarType;
using at::Tensor;

constexpr int64_t INPUTS = 256;
constexpr int64_t OUTPUTS = 256;
constexpr int64_t GROUP = 128;

template <typename scalar_t, ScalarType type>
driver::Case layer(int64_t rows) {
  return [rows]() -> std::function<void()> {
    scalar_t* values = driver::filled<scalar_t>(rows * INPUTS, 1);
    scalar_t* weights = driver::filled<scalar_t>(OUTPUTS * INPUTS, 2);
    scalar_t* output = driver::aligned<scalar_t>(rows * OUTPUTS);
    const Tensor input{values, {rows, INPUTS}, type};
    const Tensor packed = rvv_pack_linear_weight(Tensor{weights, {OUTPUTS, INPUTS}, type});
    Tensor result{output, {rows, OUTPUTS}, type};
    auto call = [=]() mutable { rvv_linear(result, input, packed, std::nullopt, true); };
    call();
    const auto expected = driver::product(values, weights, rows, OUTPUTS, INPUTS);
    driver::expect(output, expected.data(), expected.size(), type == ScalarType::Half ? 2e-3 : 1e-2);
    return call;
  };
}

driver::Case int4_by_int8(int64_t rows) {
  return [rows]() -> std::function<void()> {
    driver::Random random(3);
    const auto below = [&random](int limit) { return static_cast<int>((random.next() + 1) / 2 * limit) % limit; };
    uint8_t* values = driver::aligned<uint8_t>(rows * GROUP);
    uint8_t* packed = driver::aligned<uint8_t>(OUTPUTS * GROUP / 2);
    float* output = driver::aligned<float>(rows * OUTPUTS);
    float* scales_a = driver::filled<float>(rows, 4);
    float* scales_b = driver::filled<float>(OUTPUTS, 5);
    int32_t* zeros_a = driver::aligned<int32_t>(rows);
    int8_t* zeros_b = driver::aligned<int8_t>(OUTPUTS);
    int32_t* sums_b = driver::aligned<int32_t>(OUTPUTS);
    std::vector<int> weights(OUTPUTS * GROUP);
    for (int64_t i = 0; i < rows * GROUP; ++i) values[i] = static_cast<uint8_t>(below(256));
    for (auto& each : weights) each = below(16);
    for (int64_t r = 0; r < rows; ++r) zeros_a[r] = 120 + below(16);
    for (int64_t o = 0; o < OUTPUTS; ++o) {
      zeros_b[o] = static_cast<int8_t>(below(16));
      for (int64_t i = 0; i < GROUP; ++i) sums_b[o] += weights[o * GROUP + i] - zeros_b[o];
    }
    const int64_t width = rvv_gemm::tile_width_dividing(OUTPUTS);
    for (int64_t o = 0; o < OUTPUTS; o += width)
      rvv_gemm::pack_int4_tile<uint8_t>(packed + o * GROUP / 2, width, GROUP, [&](int64_t i, int64_t column) {
        return static_cast<uint8_t>(weights[(o + column) * GROUP + i]);
      });
    const auto call = [=] {
      for (int64_t i = 0; i < rows * OUTPUTS; ++i) output[i] = 0;
      for (int64_t o = 0; o < OUTPUTS; o += width)
        rvv_gemm::int4_gemm_block(values, GROUP, packed + o * GROUP / 2, width,
                                  {scales_a, zeros_a, scales_b + o, zeros_b + o, sums_b + o}, output + o, OUTPUTS, rows,
                                  GROUP);
    };
    call();
    std::vector<double> expected(rows * OUTPUTS);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t o = 0; o < OUTPUTS; ++o) {
        int64_t sum = 0;
        for (int64_t i = 0; i < GROUP; ++i)
          sum += (values[r * GROUP + i] - zeros_a[r]) * (weights[o * GROUP + i] - zeros_b[o]);
        expected[r * OUTPUTS + o] = static_cast<double>(sum) * scales_a[r] * scales_b[o];
      }
    driver::expect(output, expected.data(), expected.size(), 1e-5);
    return call;
  };
}

}  // namespace

int main(int argc, char** argv) {
  using c10::BFloat16;
  using c10::Half;
  return driver::run(argc, argv,
                     {{"linear M=1 fp16", layer<Half, ScalarType::Half>(1)},
                      {"linear M=8 fp16", layer<Half, ScalarType::Half>(8)},
                      {"linear M=1 bf16", layer<BFloat16, ScalarType::BFloat16>(1)},
                      {"linear M=8 bf16", layer<BFloat16, ScalarType::BFloat16>(8)},
                      {"W4A8 M=1", int4_by_int8(1)},
                      {"W4A8 M=8", int4_by_int8(8)}});
}
