// The micro GEMM of linear layers and experts: M rows by packed weights, 128 inputs and 512 outputs.
#include <riscv_vector.h>

#include "cpu/micro_gemm/cpu_micro_gemm_rvv.hpp"

#include "driver.h"

namespace {

constexpr int32_t INPUTS = 128;
constexpr int32_t OUTPUTS = 512;

template <typename scalar_t>
driver::Case gemm(int32_t rows) {
  return [rows]() -> std::function<void()> {
    using micro_gemm_t = cpu_micro_gemm::MicroGemm<cpu_utils::ISA::RVV, scalar_t>;
#ifdef CPU_MICRO_GEMM_RVV_TILES
    const int32_t width = micro_gemm_t::tile_size(OUTPUTS);
#else
    constexpr int32_t width = micro_gemm_t::NSize;
#endif
    TORCH_CHECK_EQ(OUTPUTS % width, 0);
    scalar_t* input = driver::filled<scalar_t>(rows * INPUTS, 1);
    scalar_t* weight = driver::filled<scalar_t>(OUTPUTS * INPUTS, 2);
    scalar_t* packed = driver::aligned<scalar_t>(OUTPUTS * INPUTS);
    float* output = driver::aligned<float>(rows * OUTPUTS);
    micro_gemm_t::pack_weight(weight, packed, OUTPUTS, INPUTS);
    const auto call = [=] {
      micro_gemm_t instance;
      for (int32_t o = 0; o < OUTPUTS; o += width)
#ifdef CPU_MICRO_GEMM_RVV_TILES
        instance.gemm_tile(input, packed + o * INPUTS, output + o, rows, width, INPUTS, INPUTS, OUTPUTS, false);
#else
        instance.gemm(input, packed + o * INPUTS, output + o, rows, INPUTS, INPUTS, 16 * INPUTS, OUTPUTS, false);
#endif
    };
    call();
    const auto expected = driver::product(input, weight, rows, OUTPUTS, INPUTS);
    driver::expect(output, expected.data(), expected.size(), sizeof(scalar_t) == 4 ? 1e-5 : 4e-3);
    return call;
  };
}

}  // namespace

int main(int argc, char** argv) {
  using c10::BFloat16;
  using c10::Half;
  return driver::run(argc, argv,
                     {{"micro GEMM M=1 fp16", gemm<Half>(1)},
                      {"micro GEMM M=8 fp16", gemm<Half>(8)},
                      {"micro GEMM M=1 bf16", gemm<BFloat16>(1)},
                      {"micro GEMM M=8 bf16", gemm<BFloat16>(8)},
                      {"micro GEMM M=1 fp32", gemm<float>(1)},
                      {"micro GEMM M=8 fp32", gemm<float>(8)}});
}
