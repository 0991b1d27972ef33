/* single.h - doubles of 0 or more rounded to a float's 24 significant bits, but with a double's range, as integers that
 * ascend as they do. */
#ifndef KITH_SINGLE_H
#define KITH_SINGLE_H

#include <stdint.h>
#include <string.h>

#define KITH_SINGLE_BITS 34               /* all but the sign, which is 0, and what is rounded */
#define KITH_SINGLE_MOST (0x7ffull << 23) /* infinity */

/* To the nearest, ties to the even one; what is beyond the largest becomes infinity, as in a float. */
static inline uint64_t kith_single_encode(double x)
{
	uint64_t bits;
	x += 0.0; /* not -0 */
	memcpy(&bits, &x, sizeof bits);
	return (bits + 0xfffffff + (bits >> 29 & 1)) >> 29;
}

static inline double kith_single_decode(uint64_t number)
{
	uint64_t bits = number << 29;
	double x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Is nothing of it rounded? */
static inline int kith_single_is(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	return !(bits & 0x1fffffff);
}

#endif
