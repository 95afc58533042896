// Products with int4 weights and 16-bit activations: the whole operator, 256 inputs, 256 outputs, groups of 128.
#include <riscv_vector.h>

#include "cpu/cpu_wna16.cpp"

#include "driver.h"
#include "scratch_pad.h"

namespace {

using at::ScalarType;
using at::Tensor;

constexpr int64_t INPUTS = 256;
constexpr int64_t OUTPUTS = 256;
constexpr int64_t GROUP = 128;
constexpr int64_t GROUPS = INPUTS / GROUP;
constexpr int64_t IN_WORD = 8;
constexpr int64_t BLOCK = 16;

template <typename scalar_t, ScalarType type>
driver::Case product(int64_t rows) {
  return [rows]() -> std::function<void()> {
    scalar_t* values = driver::filled<scalar_t>(rows * INPUTS, 1);
    scalar_t* scales = driver::filled<scalar_t>(GROUPS * OUTPUTS, 2, 0.05);
    scalar_t* output = driver::aligned<scalar_t>(rows * OUTPUTS);
    uint32_t* words = driver::aligned<uint32_t>(INPUTS * OUTPUTS / IN_WORD);
    std::vector<int> weights(INPUTS * OUTPUTS);
    driver::Random random(3);
    for (int64_t i = 0; i < INPUTS; ++i)
      for (int64_t o = 0; o < OUTPUTS; ++o) {
        const int each = static_cast<int>((random.next() + 1) * 8) & 15;
        weights[i * OUTPUTS + o] = each - 8;
        const int64_t place = o / BLOCK * BLOCK * INPUTS + i * BLOCK + o % BLOCK;
        words[place / IN_WORD] |= static_cast<uint32_t>(each) << place % IN_WORD * 4;
      }
    const Tensor input{values, {rows, INPUTS}, type};
    const Tensor scale{scales, {GROUPS, OUTPUTS}, type};
    const Tensor weight{words, {OUTPUTS / BLOCK, INPUTS * BLOCK / IN_WORD}, ScalarType::Int};
    Tensor result{output, {rows, OUTPUTS}, type};
#ifdef KERNELS_PATCHED
    const Tensor packed = cpu_prepack_wna16_weight(weight, scale);
    const std::string isa = "rvv_packed";
#else
    const Tensor packed = weight;
    const std::string isa = "rvv";
#endif
    auto call = [=]() mutable {
      cpu_gemm_wna16(input, packed, result, scale, std::nullopt, std::nullopt, IN_WORD, isa);
    };
    call();
    std::vector<double> expected(rows * OUTPUTS);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < INPUTS; ++i)
        for (int64_t o = 0; o < OUTPUTS; ++o)
          expected[r * OUTPUTS + o] += static_cast<double>(values[r * INPUTS + i]) * weights[i * OUTPUTS + o] *
                                       static_cast<double>(scales[i / GROUP * OUTPUTS + o]);
    driver::expect(output, expected.data(), expected.size(), type == ScalarType::Half ? 2e-3 : 1e-2);
    return call;
  };
}

}  // namespace

int main(int argc, char** argv) {
  return driver::run(argc, argv,
                     {{"W4A16 M=1 fp16", product<c10::Half, ScalarType::Half>(1)},
                      {"W4A16 M=8 fp16", product<c10::Half, ScalarType::Half>(8)},
                      {"W4A16 M=1 bf16", product<c10::BFloat16, ScalarType::BFloat16>(1)},
                      {"W4A16 M=8 bf16", product<c10::BFloat16, ScalarType::BFloat16>(8)}});
}
