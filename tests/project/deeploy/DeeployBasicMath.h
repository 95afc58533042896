/* The kernels that C of Deeploy calls for its generic platform, as far as the test's network needs them: Deeploy's
   package has the generator without them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

typedef float float32_t;

#define BEGIN_SINGLE_CORE if (core_id == 0) {
#define END_SINGLE_CORE }
#define SINGLE_CORE if (core_id == 0)
#define deeploy_malloc malloc
#define deeploy_free free

/* y (M x O) = a (M x N) times b (N x O), each transposed where asked, plus c (M x O). */
static void Gemm_fp32_fp32_fp32_fp32(const float *a, const float *b, const float *c, float *y, uint32_t M, uint32_t N,
                                     uint32_t O, int transA, int transB) {
    for (uint32_t i = 0; i < M; i++)
        for (uint32_t j = 0; j < O; j++) {
            float sum = c[i * O + j];
            for (uint32_t k = 0; k < N; k++)
                sum += (transA ? a[k * M + i] : a[i * N + k]) * (transB ? b[j * N + k] : b[k * O + j]);
            y[i * O + j] = sum;
        }
}

static void Relu_fp32_fp32(const float *x, float *y, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void Softmax_fp32_fp32(const float *x, float *y, uint32_t size, uint32_t last) {
    for (uint32_t row = 0; row < size; row += last) {
        float largest = x[row], sum = 0;
        for (uint32_t i = row; i < row + last; i++) largest = fmaxf(largest, x[i]);
        for (uint32_t i = row; i < row + last; i++) sum += y[i] = expf(x[i] - largest);
        for (uint32_t i = row; i < row + last; i++) y[i] /= sum;
    }
}
