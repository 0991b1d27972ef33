/* values.c - see values.h; and what is to know of types. */
#include "values.h"

#include <math.h>
#include <string.h>

#include "cpu.h"

static const struct {
	const char *name, *long_name;
	uint64_t size;
	int wide;
} dtypes[KITH_DTYPES] = {[KITH_F2] = {"f2", "float16", 2, 0}, [KITH_F4] = {"f4", "float32", 4, 0},
			 [KITH_F8] = {"f8", "float64", 8, 1}, [KITH_BF16] = {"bfloat16", "bf16", 2, 0},
			 [KITH_B1] = {"b1", "bool", 1, 0},    [KITH_U1] = {"u1", "uint8", 1, 0},
			 [KITH_I1] = {"i1", "int8", 1, 0},    [KITH_U2] = {"u2", "uint16", 2, 0},
			 [KITH_I2] = {"i2", "int16", 2, 0},   [KITH_U4] = {"u4", "uint32", 4, 1},
			 [KITH_I4] = {"i4", "int32", 4, 1},   [KITH_U8] = {"u8", "uint64", 8, 1},
			 [KITH_I8] = {"i8", "int64", 8, 1}};

const char *kith_dtype_name(kith_dtype dtype)
{
	return dtypes[dtype].name;
}

uint64_t kith_dtype_size(kith_dtype dtype)
{
	return dtypes[dtype].size;
}

int kith_dtype_is_wide(kith_dtype dtype)
{
	return dtypes[dtype].wide;
}

kith_dtype kith_dtype_named(const char *name)
{
	kith_dtype dtype = 0;
	while (dtype < KITH_DTYPES && strcmp(name, dtypes[dtype].name) && strcmp(name, dtypes[dtype].long_name))
		dtype++;
	return dtype;
}

/* ---- one value ---- */

/* IEEE binary16 by hand: shift its fields into a double's and rescale, which also normalises denormals exactly;
 * exponent 31 is infinity or NaN. */
static inline double half_to_double(uint16_t half)
{
	uint64_t magnitude = (uint64_t)(half & 0x7fff) << 42, sign = (uint64_t)(half >> 15) << 63;
	double x;
	if ((half & 0x7c00) == 0x7c00)
		magnitude |= 0x7ff0000000000000ull;
	memcpy(&x, &magnitude, 8);
	if ((half & 0x7c00) != 0x7c00)
		x *= 0x1p1008; /* 2^(1023 - 15) */
	uint64_t bits;
	memcpy(&bits, &x, 8);
	bits |= sign;
	memcpy(&x, &bits, 8);
	return x;
}

static inline float bfloat_to_float(uint16_t upper)
{
	uint32_t bits = (uint32_t)upper << 16;
	float x;
	memcpy(&x, &bits, 4);
	return x;
}

/* Stored values, which may lie at any address. */
typedef uint16_t stored_u2 __attribute__((may_alias, aligned(1))); /* f2 and bfloat16, too */
typedef int16_t stored_i2 __attribute__((may_alias, aligned(1)));
typedef uint32_t stored_u4 __attribute__((may_alias, aligned(1)));
typedef int32_t stored_i4 __attribute__((may_alias, aligned(1)));
typedef uint64_t stored_u8 __attribute__((may_alias, aligned(1)));
typedef int64_t stored_i8 __attribute__((may_alias, aligned(1)));
typedef float stored_f4 __attribute__((may_alias, aligned(1)));
typedef double stored_f8 __attribute__((may_alias, aligned(1)));

/* out[i] = `from`, an expression of x, the i-th value. */
#define EACH(type, from)                                                                                               \
	for (uint64_t i = 0; i < count; i++) {                                                                         \
		const type x = ((const type *)raw)[i];                                                                 \
		out[i] = from;                                                                                         \
	}

/* Of types whose values are floats, too; f2 and f4 are each caller's own. */
#define EACH_NARROW                                                                                                    \
	case KITH_BF16:                                                                                                \
		EACH(stored_u2, bfloat_to_float(x))                                                                    \
		break;                                                                                                 \
	case KITH_B1:                                                                                                  \
		EACH(uint8_t, x != 0)                                                                                  \
		break;                                                                                                 \
	case KITH_U1:                                                                                                  \
		EACH(uint8_t, x)                                                                                       \
		break;                                                                                                 \
	case KITH_I1:                                                                                                  \
		EACH(int8_t, x)                                                                                        \
		break;                                                                                                 \
	case KITH_U2:                                                                                                  \
		EACH(stored_u2, x)                                                                                     \
		break;                                                                                                 \
	case KITH_I2:                                                                                                  \
		EACH(stored_i2, x)                                                                                     \
		break;

/* ---- many ---- */

/* Whether all integers are below 2^53 from 0, which costs little to see. */
KITH_CLONES static int are_small(kith_dtype dtype, const void *raw, uint64_t count)
{
	const stored_u8 *x = raw;
	uint64_t beyond = 0;
	if (dtype == KITH_U8)
		for (uint64_t i = 0; i < count; i++)
			beyond |= x[i];
	else
		for (uint64_t i = 0; i < count; i++)
			beyond |= x[i] ^ (x[i] >> 63 ? UINT64_MAX : 0);
	return beyond < (uint64_t)1 << 53;
}

/* Whether the double that is next to an integer is it. */
static int is_held(kith_dtype dtype, const void *raw, uint64_t i)
{
	if (dtype == KITH_U8) {
		uint64_t x = ((const stored_u8 *)raw)[i];
		double y = (double)x;
		return y < 0x1p64 && (uint64_t)y == x;
	}
	int64_t x = ((const stored_i8 *)raw)[i];
	double y = (double)x;
	return y < 0x1p63 && (int64_t)y == x;
}

KITH_CLONES static void as_doubles(kith_dtype dtype, const void *restrict raw, uint64_t count, double *restrict out)
{
	switch (dtype) {
		EACH_NARROW
	case KITH_F2:
		EACH(stored_u2, half_to_double(x))
		break;
	case KITH_F4:
		EACH(stored_f4, x)
		break;
	case KITH_F8:
		memcpy(out, raw, count * sizeof *out);
		break;
	case KITH_U4:
		EACH(stored_u4, x)
		break;
	case KITH_I4:
		EACH(stored_i4, x)
		break;
	case KITH_U8:
		EACH(stored_u8, (double)x)
		break;
	case KITH_I8:
		EACH(stored_i8, (double)x)
		break;
	case KITH_DTYPES:
		break;
	}
}

uint64_t kith_values_to_doubles(kith_dtype dtype, const void *raw, uint64_t count, double *out)
{
	uint64_t held = 0;
	as_doubles(dtype, raw, count, out);
	if ((dtype != KITH_I8 && dtype != KITH_U8) || are_small(dtype, raw, count))
		return count;
	while (held < count && is_held(dtype, raw, held))
		held++;
	return held;
}

KITH_CLONES static void as_floats(kith_dtype dtype, const void *restrict raw, uint64_t count, float *restrict out)
{
	switch (dtype) {
		EACH_NARROW
	case KITH_F2:
		EACH(stored_u2, (float)half_to_double(x))
		break;
	case KITH_F4:
		memcpy(out, raw, count * sizeof *out);
		break;
	default: /* wide */
		break;
	}
}

void kith_values_to_floats(kith_dtype dtype, const void *raw, uint64_t count, float *out)
{
	as_floats(dtype, raw, count, out);
}

/* Of floating point. */
static uint64_t whole_to_ints(kith_dtype dtype, const void *raw, uint64_t count, int64_t *out)
{
	uint64_t size = kith_dtype_size(dtype);
	for (uint64_t i = 0; i < count; i++) {
		double x;
		as_doubles(dtype, (const char *)raw + i * size, 1, &x);
		if (!(x >= -0x1p63 && x < 0x1p63) || x != trunc(x))
			return i;
		out[i] = (int64_t)x;
	}
	return count;
}

uint64_t kith_values_to_ints(kith_dtype dtype, const void *raw, uint64_t count, int64_t *out)
{
	switch (dtype) {
	case KITH_B1:
		EACH(uint8_t, x != 0)
		break;
	case KITH_U1:
		EACH(uint8_t, x)
		break;
	case KITH_I1:
		EACH(int8_t, x)
		break;
	case KITH_U2:
		EACH(stored_u2, x)
		break;
	case KITH_I2:
		EACH(stored_i2, x)
		break;
	case KITH_U4:
		EACH(stored_u4, x)
		break;
	case KITH_I4:
		EACH(stored_i4, x)
		break;
	case KITH_I8:
		memcpy(out, raw, count * sizeof *out);
		break;
	case KITH_U8:
		memcpy(out, raw, count * sizeof *out);
		for (uint64_t i = 0; i < count; i++)
			if (out[i] < 0)
				return i;
		break;
	default:
		return whole_to_ints(dtype, raw, count, out);
	}
	return count;
}

KITH_CLONES static void swap_bytes(void *raw, uint64_t count, uint64_t size)
{
	stored_u2 *u2 = raw;
	stored_u4 *u4 = raw;
	stored_u8 *u8 = raw;
	for (uint64_t i = 0; size == 2 && i < count; i++)
		u2[i] = __builtin_bswap16(u2[i]);
	for (uint64_t i = 0; size == 4 && i < count; i++)
		u4[i] = __builtin_bswap32(u4[i]);
	for (uint64_t i = 0; size == 8 && i < count; i++)
		u8[i] = __builtin_bswap64(u8[i]);
}

void kith_values_swap(void *raw, uint64_t count, uint64_t size)
{
	swap_bytes(raw, count, size);
}
