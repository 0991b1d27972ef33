/* select.h - order statistics. */
#ifndef KITH_SELECT_H
#define KITH_SELECT_H

#include <stdint.h>

/* The k-th smallest (1 <= k <= count) of x[0..count-1], whose contents are lost. Infinities are fine, NaNs are not. */
float kith_kth_smallest(float *x, uint32_t count, uint32_t k);

#endif
