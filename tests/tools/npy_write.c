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

const char *npy_descr(kith_dtype dtype)
{
	switch (dtype) {
	case KITH_F2:
		return "<f2";
	case KITH_F4:
		return "<f4";
	case KITH_F8:
		return "<f8";
	case KITH_U1:
		return "|u1";
	case KITH_I1:
		return "|i1";
	case KITH_BF16:
		return "|V2";
	}
	abort();
}

size_t npy_size(kith_dtype dtype)
{
	return dtype == KITH_F8 ? 8 : dtype == KITH_F4 ? 4 : dtype == KITH_F2 || dtype == KITH_BF16 ? 2 : 1;
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
		case KITH_U1:
			((uint8_t *)out)[i] = (uint8_t)rint(clamp(x, 0, 255));
			break;
		case KITH_I1:
			((int8_t *)out)[i] = (int8_t)rint(clamp(x, -128, 127));
			break;
		case KITH_BF16:
			h = small_encode(x, BFLOAT);
			memcpy((char *)out + 2 * i, &h, 2);
			break;
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
		case KITH_U1:
			out[i] = ((const uint8_t *)data)[i];
			break;
		case KITH_I1:
			out[i] = ((const int8_t *)data)[i];
			break;
		case KITH_BF16:
			memcpy(&h, (const char *)data + 2 * i, 2);
			out[i] = small_decode(h, BFLOAT);
			break;
		}
	}
}
