#ifndef VECTORS_C_SUM_H
#define VECTORS_C_SUM_H

#include <stddef.h>

float vectors_c_sum(const float *values, size_t count);

#endif
