#include "npy_write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void npy_write_raw(const char *path, int version, const char *header, const void *data, size_t bytes)
{
	size_t prefix = version == 1 ? 10 : 12, length = strlen(header) + 1;
	FILE *file = fopen(path, "wb");
	if (!file) {
		perror(path);
		abort();
	}
	while ((prefix + length) % 64)
		length++;
	fwrite("\x93NUMPY", 1, 6, file);
	fputc(version, file);
	fputc(0, file);
	for (size_t i = 0; i < prefix - 8; i++)
		fputc((int)(length >> (8 * i) & 255), file);
	fprintf(file, "%-*s\n", (int)length - 1, header);
	if (bytes && fwrite(data, 1, bytes, file) != bytes)
		abort();
	if (fclose(file))
		abort();
}

const char *npy_header(const char *descr, int fortran, const char *shape)
{
	static char text[512];
	snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
		 fortran ? "True" : "False", shape);
	return text;
}

void npy_write(const char *path, kith_dtype dtype, size_t n, size_t d, const void *data)
{
	char shape[64];
	snprintf(shape, sizeof shape, "(%zu, %zu)", n, d);
	npy_write_raw(path, 1, npy_header(npy_descr(dtype), 0, shape), data, n * d * npy_size(dtype));
}

static const struct {
	const char *descr;
	size_t size;
	int bits; /* of integers; negative: with a sign */
} types[KITH_DTYPES] = {[KITH_F2] = {"<f2", 2, 0},   [KITH_F4] = {"<f4", 4, 0},   [KITH_F8] = {"<f8", 8, 0},
			[KITH_BF16] = {"|V2", 2, 0}, [KITH_B1] = {"|b1", 1, 1},   [KITH_U1] = {"|u1", 1, 8},
			[KITH_I1] = {"|i1", 1, -8},  [KITH_U2] = {"<u2", 2, 16},  [KITH_I2] = {"<i2", 2, -16},
			[KITH_U4] = {"<u4", 4, 32},  [KITH_I4] = {"<i4", 4, -32}, [KITH_U8] = {"<u8", 8, 64},
			[KITH_I8] = {"<i8", 8, -64}};

const char *npy_descr(kith_dtype dtype)
{
	return types[dtype].descr;
}

size_t npy_size(kith_dtype dtype)
{
	return types[dtype].size;
}

static double clamp(double x, double low, double high)
{
	return x < low ? low : x > high ? high : x;
}

/* 16-bit floats of 1 sign bit, 15 - fraction of exponent (its bias is half of what they hold) and `fraction`: IEEE 754
 * binary16 has 10, bfloat16 7. Exponent 0 holds m * 2^(1 - bias - fraction). */
#define HALF   10
#define BFLOAT 7

static int bias_of(int fraction)
{
	return (1 << (14 - fraction)) - 1;
}

static uint16_t small_encode(double x, int fraction)
{
	int bias = bias_of(fraction);
	double largest = ldexp(2 - ldexp(1, -fraction), bias), size = fabs(clamp(x, -largest, largest));
	unsigned infinity = (2u << 14) - (1u << fraction), one = 1u << fraction;
	if (!isfinite(x))
		return (uint16_t)(isnan(x) ? infinity | one / 2 : x < 0 ? infinity | 0x8000u : infinity);
	int e = size < ldexp(1, 1 - bias) ? 1 - bias : ilogb(size);
	unsigned m = (unsigned)rint(ldexp(size, fraction - e)); /* 2 * one carries into the exponent, as it should */
	unsigned bits = m < one ? m : ((unsigned)(e + bias) << fraction) + (m - one);
	return (uint16_t)(bits | (signbit(x) ? 0x8000u : 0));
}

static double small_decode(uint16_t bits, int fraction)
{
	int most = (1 << (15 - fraction)) - 1, e = bits >> fraction & most, one = 1 << fraction;
	int bias = bias_of(fraction), m = bits & (one - 1);
	double x;
	if (e == most)
		x = m != 0 ? NAN : INFINITY;
	else
		x = e ? ldexp(m + one, e - bias - fraction) : ldexp(m, 1 - bias - fraction);
	return bits & 0x8000 ? -x : x;
}

/* Little-endian, two's complement. What is too large becomes the largest that a double holds, too. */
static void int_encode(double x, int bits, uint8_t *out)
{
	double end = ldexp(1, bits < 0 ? -bits - 1 : bits);
	x = rint(clamp(x, bits < 0 ? -end : 0, nextafter(end, 0)));
	x = x < end ? x : end - 1;
	uint64_t u = x < 0 ? 0 - (uint64_t)-x : (uint64_t)x;
	for (int b = 0; 8 * b < abs(bits); b++)
		out[b] = (uint8_t)(u >> 8 * b);
}

static double int_decode(const uint8_t *in, int bits)
{
	uint64_t u = 0;
	for (int b = 0; 8 * b < abs(bits); b++)
		u |= (uint64_t)in[b] << 8 * b;
	if (bits < 0 && u >> (-bits - 1))
		return -(double)((bits == -64 ? 0 : (uint64_t)1 << -bits) - u);
	return bits == 1 ? u != 0 : (double)u;
}

void npy_encode(kith_dtype dtype, const double *values, size_t count, void *out)
{
	for (size_t i = 0; i < count; i++) {
		double x = values[i];
		float f = (float)(isfinite(x) ? clamp(x, -FLT_MAX, FLT_MAX) : x);
		uint16_t h = small_encode(x, HALF);
		switch (dtype) {
		case KITH_F8:
			memcpy((char *)out + 8 * i, &x, 8);
			break;
		case KITH_F4:
			memcpy((char *)out + 4 * i, &f, 4);
			break;
		case KITH_F2:
			memcpy((char *)out + 2 * i, &h, 2);
			break;
		case KITH_BF16:
			h = small_encode(x, BFLOAT);
			memcpy((char *)out + 2 * i, &h, 2);
			break;
		default:
			int_encode(x, types[dtype].bits, (uint8_t *)out + types[dtype].size * i);
		}
	}
}

void npy_decode(kith_dtype dtype, const void *data, size_t count, double *out)
{
	for (size_t i = 0; i < count; i++) {
		float f;
		uint16_t h;
		switch (dtype) {
		case KITH_F8:
			memcpy(&out[i], (const char *)data + 8 * i, 8);
			break;
		case KITH_F4:
			memcpy(&f, (const char *)data + 4 * i, 4);
			out[i] = f;
			break;
		case KITH_F2:
			memcpy(&h, (const char *)data + 2 * i, 2);
			out[i] = small_decode(h, HALF);
			break;
		case KITH_BF16:
			memcpy(&h, (const char *)data + 2 * i, 2);
			out[i] = small_decode(h, BFLOAT);
			break;
		default:
			out[i] = int_decode((const uint8_t *)data + types[dtype].size * i, types[dtype].bits);
		}
	}
}
