#include "sum.h"

/* A loop that every compiler turns into vector instructions where it may. */
float vectors_c_sum(const float *values, size_t count)
{
    float total = 0.0f;

    for (size_t i = 0; i < count; i++)
        total += values[i];
    return total;
}
