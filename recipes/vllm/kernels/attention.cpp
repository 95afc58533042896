// Attention of one key-value head: logits, softmax and weighted values of 256 tokens, with heads of 128 elements.
#include <riscv_vector.h>

#include "cpu/cpu_attn_impl.hpp"

#include "cpu/cpu_attn_rvv.hpp"

#include "driver.h"

namespace {

using namespace cpu_attention;

constexpr int32_t HEAD = 128;
constexpr int32_t TOKENS = 256;
constexpr int32_t BLOCK = 128;
constexpr int32_t BLOCKS = TOKENS / BLOCK;

template <typename scalar_t>
using Impl = AttentionImpl<ISA::RVV, scalar_t, HEAD, scalar_t>;

template <typename scalar_t>
struct Loop {
  using impl = Impl<scalar_t>;
  using main_loop = AttentionMainLoop<impl>;
  using q_buffer_t = typename impl::q_buffer_t;
  using kv_cache_t = typename impl::kv_cache_t;
  using logits_buffer_t = typename impl::logits_buffer_t;

  template <typename tile_gemm_t>
  using Whole = typename main_loop::template Attention<tile_gemm_t>;

  template <typename tile_gemm_t>
  struct Softmax {
    void operator()(DEFINE_CPU_ATTENTION_PARAMS) {
      if constexpr (requires { tile_gemm_t::softmax; }) {
        tile_gemm_t::softmax(logits_buffer, kv_tile_token_num, partial_q_buffer, max_buffer, sum_buffer, q_head_num,
                             kv_tile_token_num, is_first_iter);
      } else {
        Whole<tile_gemm_t> loop;
        loop.apply_softmax(logits_buffer, partial_q_buffer, max_buffer, sum_buffer, kv_tile_token_num, q_head_num,
                           kv_tile_token_num, is_first_iter, use_sink);
      }
    }
  };
};

template <typename scalar_t>
constexpr double TOLERANCE = sizeof(scalar_t) == 4 ? 1e-5 : 4e-3;

// Inputs and buffers of `rows` query heads of one decoded token that share the keys and values.
template <typename scalar_t>
struct Problem {
  using loop = Loop<scalar_t>;
  using impl = typename loop::impl;

  int32_t rows;
  scalar_t* query;
  scalar_t* key;
  scalar_t* value;
  typename loop::kv_cache_t* key_cache;
  typename loop::kv_cache_t* value_cache;
  typename loop::q_buffer_t* queries;
  typename loop::logits_buffer_t* logits;
  float* output;
  float* largest;
  float* sums;
  int32_t* table;

  explicit Problem(int32_t rows) : rows(rows) {
    query = driver::filled<scalar_t>(rows * HEAD, 1);
    key = driver::filled<scalar_t>(TOKENS * HEAD, 2);
    value = driver::filled<scalar_t>(TOKENS * HEAD, 3);
    key_cache = driver::aligned<scalar_t>(TOKENS * HEAD);
    value_cache = driver::aligned<scalar_t>(TOKENS * HEAD);
    queries = driver::aligned<typename loop::q_buffer_t>(impl::MaxQHeadNumPerIteration * HEAD);
    logits = driver::aligned<typename loop::logits_buffer_t>(impl::MaxQHeadNumPerIteration * TOKENS);
    output = driver::aligned<float>(impl::MaxQHeadNumPerIteration * HEAD);
    largest = driver::aligned<float>(impl::MaxQHeadNumPerIteration);
    sums = driver::aligned<float>(impl::MaxQHeadNumPerIteration);
    table = driver::aligned<int32_t>(BLOCKS);
    int64_t* slots = driver::aligned<int64_t>(TOKENS);
    for (int32_t i = 0; i < TOKENS; ++i) slots[i] = i;
    for (int32_t i = 0; i < BLOCKS; ++i) table[i] = i;
    impl::reshape_and_cache(key, value, key_cache, value_cache, slots, TOKENS, HEAD, HEAD, 1, HEAD, HEAD, BLOCKS,
                            BLOCK * HEAD, BLOCK * HEAD, BLOCK, HEAD);
    impl::copy_q_heads_tile(query, queries, 1, rows, rows * HEAD, HEAD, scale());
  }

  static float scale() { return 1.0f / std::sqrt(static_cast<float>(HEAD)); }

  template <template <typename> typename attention>
  void run() {
    for (int32_t i = 0; i < rows; ++i) {
      largest[i] = std::numeric_limits<float>::lowest();
      sums[i] = 0.0f;
    }
    impl instance;
    instance.template execute_attention<attention>(queries, key_cache, value_cache, logits, output, largest, sums, table,
                                                   TOKENS, 0, TOKENS, TOKENS, BLOCK * HEAD, rows, 1, TOKENS - 1, rows,
                                                   BLOCK, -1, 0, scale(), 0.0f, nullptr, true, false, false);
  }

  std::vector<double> expected_logits() const {
    std::vector<double> found(rows * TOKENS);
    for (int32_t r = 0; r < rows; ++r)
      for (int32_t t = 0; t < TOKENS; ++t) {
        double sum = 0;
        for (int32_t d = 0; d < HEAD; ++d)
          sum += static_cast<double>(query[r * HEAD + d]) * static_cast<double>(key[t * HEAD + d]);
        found[r * TOKENS + t] = sum * static_cast<double>(scale());
      }
    return found;
  }

  void expect_attention() const {
    const auto expected = expected_logits();
    std::vector<double> result(rows * HEAD);
    std::vector<float> divided(rows * HEAD);
    for (int32_t r = 0; r < rows; ++r) {
      double most = -1e300, sum = 0;
      for (int32_t t = 0; t < TOKENS; ++t) most = std::fmax(most, expected[r * TOKENS + t]);
      for (int32_t t = 0; t < TOKENS; ++t) {
        const double weight = std::exp(expected[r * TOKENS + t] - most);
        sum += weight;
        for (int32_t d = 0; d < HEAD; ++d) result[r * HEAD + d] += weight * static_cast<double>(value[t * HEAD + d]);
      }
      for (int32_t d = 0; d < HEAD; ++d) {
        result[r * HEAD + d] /= sum;
        divided[r * HEAD + d] = output[r * HEAD + d] / sums[r];
      }
    }
    driver::expect(divided.data(), result.data(), result.size(), TOLERANCE<scalar_t>);
  }
};

template <typename scalar_t>
driver::Case attention(int32_t rows) {
  return [rows] {
    auto problem = std::make_shared<Problem<scalar_t>>(rows);
    problem->template run<Loop<scalar_t>::template Whole>();
    problem->expect_attention();
    return [problem] { problem->template run<Loop<scalar_t>::template Whole>(); };
  };
}

// The softmax of `rows` of logits between -8 and 8; its result is compared by its sums.
driver::Case softmax(int32_t rows) {
  return [rows]() -> std::function<void()> {
    auto problem = std::make_shared<Problem<float>>(rows);
    float* logits = driver::filled<float>(rows * TOKENS, 4, 8.0);
    // A call overwrites its logits, so that each has some of its own.
    auto copies = std::make_shared<std::vector<float*>>();
    for (int i = 0; i < driver::CALLS; ++i) {
      copies->push_back(driver::aligned<float>(Problem<float>::impl::MaxQHeadNumPerIteration * TOKENS));
      std::memcpy(copies->back(), logits, sizeof(float) * rows * TOKENS);
    }
    const auto call = [problem, copies] {
      problem->logits = copies->back();
      copies->pop_back();
      problem->template run<Loop<float>::template Softmax>();
    };
    call();
    std::vector<double> expected(rows);
    for (int32_t r = 0; r < rows; ++r)
      for (int32_t t = 0; t < TOKENS; ++t)
        expected[r] += std::exp(static_cast<double>(logits[r * TOKENS + t]) - static_cast<double>(problem->largest[r]));
    driver::expect(problem->sums, expected.data(), rows, 1e-5);
    return call;
  };
}

}  // namespace

int main(int argc, char** argv) {
  using c10::BFloat16;
  using c10::Half;
  return driver::run(argc, argv,
                     {{"attention M=1 fp16", attention<Half>(1)},
                      {"attention M=8 fp16", attention<Half>(8)},
                      {"attention M=1 bf16", attention<BFloat16>(1)},
                      {"attention M=8 bf16", attention<BFloat16>(8)},
                      {"attention M=1 fp32", attention<float>(1)},
                      {"attention M=8 fp32", attention<float>(8)},
                      {"softmax M=1", softmax(1)},
                      {"softmax M=8", softmax(8)}});
}
