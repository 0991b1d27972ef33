/* test_npy.c - which .npy files are read, what values come out, and what is said of the others. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "activations.h"
#include "hash.h"
#include "npy_write.h"
#include "sandbox.h"

static char path[SANDBOX_PATH];

static kith_activations *opened(void)
{
	kith_activations *npy = NULL;
	kith_err err = {0};
	if (kith_activations_open(&npy, path, &err))
		fail_msg("%s", err.msg);
	return npy;
}

/* The file is refused with `status`; the message names it and holds `text`. */
static void expect_refusal(int status, const char *text)
{
	kith_activations *npy = (kith_activations *)path;
	kith_err err = {0};
	int got = kith_activations_open(&npy, path, &err);
	if (got != status || err.code != (kith_status)status || !strstr(err.msg, path) || !strstr(err.msg, text))
		fail_msg("status %d, \"%s\"; should be %d and hold \"%s\"", got, err.msg, status, text);
	assert_ptr_equal(npy, path); /* outputs are set only on success */
	assert_null(strchr(err.msg, '\n'));
}

static void expect_shape(const char *header, int version, size_t bytes, uint64_t n, uint64_t d)
{
	void *data = must_alloc(bytes, 1);
	kith_activations *npy;
	npy_write_raw(path, version, header, data, bytes);
	free(data);
	npy = opened();
	assert_int_equal(kith_activations_get_info(npy)->n, n);
	assert_int_equal(kith_activations_get_info(npy)->d, d);
	assert_string_equal(kith_activations_get_info(npy)->path, path);
	kith_activations_close(npy);
}

static void test_accepted(void **state)
{
	char wide[4000], text[4200];
	(void)state;
	for (int version = 1; version <= 3; version++) {
		expect_shape(npy_header("<f4", 0, "(3, 2)"), version, 24, 3, 2);
		expect_shape(npy_header("<f8", 0, "(3,)"), version, 24, 3, 1);
		expect_shape(npy_header("<f2", 0, "(2, 3, 2, 2)"), version, 48, 2, 12);
	}
	expect_shape(npy_header("|u1", 0, "(2, 5)"), 1, 10, 2, 5);
	expect_shape(npy_header("|i1", 0, "(1, 1)"), 1, 1, 1, 1);
	/* The header is a Python literal: order, spaces, quotes and a missing last comma are all the same to it. */
	expect_shape("{'shape': (3, 2), 'fortran_order': False, 'descr': '<f4'}", 1, 24, 3, 2);
	expect_shape("{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(3,2)}", 1, 24, 3, 2);
	expect_shape("{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 3 , 2 , ) , }", 1, 24, 3, 2);
	/* No mark of the byte order is this machine's order. */
	expect_shape(npy_header("f4", 0, "(3, 2)"), 1, 24, 3, 2);
	expect_shape(npy_header("=f8", 0, "(3, 2)"), 1, 48, 3, 2);
	expect_shape(npy_header("i1", 0, "(3, 2)"), 1, 6, 3, 2);
	for (kith_dtype t = 0; t < KITH_DTYPES; t++)
		expect_shape(npy_header(npy_descr(t), 0, "(3, 2)"), 1, 6 * npy_size(t), 3, 2);
	expect_shape(npy_header(">f4", 0, "(3, 2)"), 1, 24, 3, 2);
	expect_shape(npy_header("<f4", 1, "(3, 2)"), 1, 24, 3, 2);
	expect_shape(npy_header("|V2", 0, "(3, 2)"), 1, 12, 3, 2);
	expect_shape(npy_header("<V2", 0, "(3, 2)"), 1, 12, 3, 2);
	memset(wide, ' ', sizeof wide); /* more than 2^16 bytes need version 2; this only needs patience */
	snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, %.*s'shape': (3, 2), }", 3900, wide);
	expect_shape(text, 1, 24, 3, 2);
}

static void refuse_header(const char *header, const char *text)
{
	char data[64] = {0};
	npy_write_raw(path, 1, header, data, sizeof data);
	expect_refusal(KITH_EUSAGE, text);
}

static void test_types(void **state)
{
	static const char *const types[] = {"<c8",     "<c16", "|O",  "<U3",  "|S4",      "|V8", "<f16",
					    "<M8[ns]", "",     "f3",  "|f4",  ">V2",      "|V1", "|i2",
					    "<",       "<f",   "<b2", "bf16", "<bfloat16"};
	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		refuse_header(npy_header(types[i], 0, "(2, 2)"), types[i]);
	refuse_header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 2), }", "");
}

static void test_headers(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{}",
		"nonsense",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2}",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2.5), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, x), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': 4, }",
		"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 2), }",
		"{'descr': '<f4', 'shape': (2, 2), }",
		"{'fortran_order': False, 'shape': (2, 2), }",
		"{'descr': '<f4', 'fortran_order': False, }",
		"{'descr': '<f4, 'fortran_order': False, 'shape': (2, 2), }",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), } more",
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuse_header(bad[i], "");
}

static void test_shapes(void **state)
{
	(void)state;
	refuse_header(npy_header("<f4", 0, "()"), "");
	refuse_header(npy_header("<f4", 0, "(0, 4)"), "");
	refuse_header(npy_header("<f4", 0, "(0,)"), "");
	refuse_header(npy_header("<f4", 0, "(4, 0)"), "");
	refuse_header(npy_header("<f4", 0, "(4, 2, 0)"), "");
	refuse_header(npy_header("<f4", 0, "(2000000001, 1)"), "");
	refuse_header(npy_header("<f4", 0, "(1, 100000001)"), "");
	/* 2^64 + 16 values, if one does not look */
	refuse_header(npy_header("<f4", 0, "(4, 4611686018427387908)"), "");
	refuse_header(npy_header("<f4", 0, "(4, 4294967296, 4294967296)"), "");
	refuse_header(npy_header("<f4", 0, "(99999999999999999999999999, 1)"), "");
}

static void test_sizes(void **state)
{
	char data[32] = {0};
	size_t size;
	unsigned char *whole;
	(void)state;
	npy_write_raw(path, 1, npy_header("<f4", 0, "(3, 2)"), data, 24);
	whole = sandbox_read(path, &size);
	for (size_t cut = 0; cut < size; cut++) {
		sandbox_write(path, whole, cut);
		expect_refusal(KITH_EUSAGE, "");
	}
	free(whole);
	npy_write_raw(path, 1, npy_header("<f4", 0, "(3, 2)"), data, 25);
	expect_refusal(KITH_EUSAGE, "");
}

/* Longer than any that NumPy writes of a plain array, and said so: it is all there. */
static void test_long_header(void **state)
{
	size_t size = 5u << 20;
	char *text = must_alloc(size + 1, 1);
	(void)state;
	memset(text, ' ', size);
	text[size] = 0;
	memcpy(text, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", 59);
	npy_write_raw(path, 2, text, "abcd", 4);
	expect_refusal(KITH_EUSAGE, "its header has 52");
	free(text);
}

/* What can be done about it is said. */
static void test_advice(void **state)
{
	(void)state;
	refuse_header(npy_header("<c8", 0, "(2, 2)"), "astype('f4')");
	refuse_header(npy_header("|V4", 0, "(2, 2)"), "convert to f4 before numpy.save");
}

static void test_magic_and_version(void **state)
{
	static const int versions[] = {0, 4, 255};
	char data[24] = {0};
	size_t size;
	unsigned char *whole;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		npy_write_raw(path, versions[i], npy_header("<f4", 0, "(3, 2)"), data, 24);
		expect_refusal(KITH_EUSAGE, "version");
	}
	npy_write_raw(path, 1, npy_header("<f4", 0, "(3, 2)"), data, 24);
	whole = sandbox_read(path, &size);
	for (size_t at = 0; at < 6; at++) {
		whole[at] ^= 1;
		sandbox_write(path, whole, size);
		expect_refusal(KITH_EUSAGE, "");
		whole[at] ^= 1;
	}
	whole[8] = whole[9] = 255; /* a header longer than the file */
	sandbox_write(path, whole, size);
	expect_refusal(KITH_EUSAGE, "");
	free(whole);
	npy_write_raw(path, 2, npy_header("<f4", 0, "(3, 2)"), data, 24);
	whole = sandbox_read(path, &size);
	memset(whole + 8, 255, 4);
	sandbox_write(path, whole, size);
	expect_refusal(KITH_EUSAGE, "");
	free(whole);
}

static void test_recognised(void **state)
{
	(void)state;
	assert_string_equal(kith_source_recognise("x", "\x93NUMPY\1\0", 8, 8), "npy");
	assert_null(kith_source_recognise("x.npy", "\x93NUMP", 5, 5));
	assert_null(kith_source_recognise("x.npy", "{\"format\": \"kith-stack\"", 23, 23));
	assert_null(kith_source_recognise("x.npy", "", 0, 0));
	assert_string_equal(kith_source_recognise("x.fvecs", "\2\0\0\0\0\0\0\0{\x14\xae\x3f", 12, 24), "fvecs");
	assert_string_equal(kith_source_recognise("x.fvecs", "\2\0\0\0\0\0\0\0{}", 10, 24), "safetensors");
}

static void test_not_a_file(void **state)
{
	char missing[SANDBOX_PATH];
	kith_activations *npy = NULL;
	kith_err err = {0};
	(void)state;
	assert_int_equal(kith_activations_open(&npy, sandbox_path(missing, "missing.npy"), &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "missing.npy"));
	assert_non_null(strstr(err.msg, strerror(2)));
	assert_int_not_equal(kith_activations_open(&npy, "/", &err), 0);
	assert_int_not_equal(kith_activations_open(&npy, "/dev/null", &err), 0);
}

/* Writes every finite 16-bit pattern: normal, denormal, both zeros. */
static void test_halves(void **state)
{
	enum { COUNT = 2 * 0x7c00 };
	uint16_t bits[COUNT];
	static double want[COUNT], got[COUNT];
	kith_activations *npy;
	kith_err err = {0};
	kith_scan scan;
	(void)state;
	for (int i = 0; i < COUNT; i++)
		bits[i] = (uint16_t)(i < 0x7c00 ? i : 0x8000 + i - 0x7c00);
	npy_write(path, KITH_F2, COUNT / 4, 4, bits);
	npy_decode(KITH_F2, bits, COUNT, want);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, COUNT / 4, got, NULL, &err), 0);
	assert_memory_equal(got, want, sizeof got);
	assert_int_equal(kith_activations_scan(npy, 1 << 20, 2, NULL, &scan, NULL, &err), 0);
	assert_true(scan.max_abs == 65504);
	kith_activations_close(npy);
	/* Spot values that are not npy_decode's word alone. */
	assert_true(want[1] == 0x1p-24 && want[0x3ff] == 0x3ffp-24 && want[0x400] == 0x1p-14);
	assert_true(want[0x3c00] == 1 && want[0x7bff] == 65504 && want[0x7c00 + 0x3c01] == -1.0009765625);
}

/* As floats, and as they are stored: the same 24 values, and the same bytes. */
static void expect_floats(kith_activations *npy, const double *want, const unsigned char *raw)
{
	const kith_activations_info *info = kith_activations_get_info(npy);
	float got[24];
	unsigned char scratch[24 * 8];
	kith_err err = {0};
	int rc = kith_activations_read_floats(npy, 0, 4, got, scratch, &err);
	assert_int_equal(rc, kith_dtype_is_wide(info->dtype) ? KITH_EBUG : 0);
	for (size_t i = 0; i < 24 && !rc; i++)
		assert_true(got[i] == (float)want[i] && got[i] == want[i]);
	if (info->dtype == KITH_F4 || info->dtype == KITH_F8)
		assert_memory_equal(kith_activations_map(npy), raw, 24 * npy_size(info->dtype));
	else
		assert_null(kith_activations_map(npy));
}

static void test_values(void **state)
{
	static const double values[] = {0,   -0.0, 1,      -1,     127,    -128,   255,     3.25,
					1e5, -1e5, 1e-7,   -3e-8,  1e-45,  5e-324, 1e308,   -1e39,
					200, 0.1,  0x1p-1, 12.375, -77.75, 6e4,    0x1p-24, 99};
	double want[24], got[24], mean[6], far = 0;
	unsigned char raw[24 * 8], scratch[24 * 8];
	kith_activations *npy;
	kith_err err = {0};
	(void)state;
	for (kith_dtype t = 0; t < KITH_DTYPES; t++) {
		kith_scan scan;
		size_t size;
		unsigned char *file;
		npy_encode(t, values, 24, raw);
		npy_decode(t, raw, 24, want);
		npy_write(path, t, 4, 6, raw);
		npy = opened();
		assert_int_equal(kith_activations_get_info(npy)->dtype, t);
		assert_int_equal(kith_activations_get_info(npy)->row_bytes, 6 * npy_size(t));
		assert_string_equal(kith_activations_get_info(npy)->format, "npy");
		assert_string_equal(kith_dtype_name(t), t == KITH_BF16 ? "bfloat16" : npy_descr(t) + 1);
		assert_int_equal(kith_dtype_size(t), npy_size(t));
		assert_int_equal(kith_activations_read(npy, 0, 4, got, NULL, &err), 0);
		assert_memory_equal(got, want, sizeof got);
		kith_activations_will_read(npy, 1, 2);
		assert_int_equal(kith_activations_read(npy, 1, 2, got, scratch, &err), 0);
		assert_memory_equal(got, want + 6, 12 * sizeof *got);
		assert_int_equal(kith_activations_read(npy, 3, 1, got, scratch, &err), 0);
		assert_memory_equal(got, want + 18, 6 * sizeof *got);
		expect_floats(npy, want, raw);
		for (uint64_t memory = 1, threads = 1; memory <= 1 << 20; memory *= 8, threads = threads % 3 + 1) {
			assert_int_equal(kith_activations_scan(npy, memory, (int)threads, NULL, &scan, mean, &err), 0);
			far = 0;
			for (size_t i = 0; i < 24; i++)
				far = fabs(want[i]) > far ? fabs(want[i]) : far;
			assert_true(scan.max_abs == far);
			for (size_t c = 0; c < 6; c++)
				assert_true(isfinite(mean[c]) && fabs(mean[c]) <= far);
			file = sandbox_read(path, &size);
			assert_true(scan.digest == kith_hash(file, size));
			free(file);
		}
		kith_activations_close(npy);
	}
}

/* What numpy would make of these bytes, written out: no shared code can be wrong in the same way. */
static void test_literal_bytes(void **state)
{
	static const unsigned char f4[] = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1, 1, 0, 0, 0}; /* 1, -10, 2^-149 */
	static const unsigned char f8[] = {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 1, 0, 0, 0, 0, 0, 0, 0x80}; /* 1.5, -2^-1074 */
	static const unsigned char i1[] = {0x80, 0x7f, 0xff}, u1[] = {0x80, 0x7f, 0xff};
	static const unsigned char bf16[] = {0x80, 0x3f, 0x49, 0xc0, 1, 0}; /* 1, -3.140625, 2^-133 */
	double got[3];
	kith_activations *npy;
	kith_err err = {0};
	(void)state;
	npy_write(path, KITH_F4, 3, 1, f4);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, 3, got, NULL, &err), 0);
	assert_true(got[0] == 1 && got[1] == -10 && got[2] == 0x1p-149);
	kith_activations_close(npy);
	npy_write(path, KITH_F8, 2, 1, f8);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, 2, got, NULL, &err), 0);
	assert_true(got[0] == 1.5 && got[1] == -0x1p-1074);
	kith_activations_close(npy);
	npy_write(path, KITH_I1, 3, 1, i1);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, 3, got, NULL, &err), 0);
	assert_true(got[0] == -128 && got[1] == 127 && got[2] == -1);
	kith_activations_close(npy);
	npy_write(path, KITH_BF16, 3, 1, bf16);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, 3, got, NULL, &err), 0);
	assert_true(got[0] == 1 && got[1] == -3.140625 && got[2] == 0x1p-133);
	kith_activations_close(npy);
	npy_write(path, KITH_U1, 3, 1, u1);
	npy = opened();
	assert_int_equal(kith_activations_read(npy, 0, 3, got, NULL, &err), 0);
	assert_true(got[0] == 128 && got[1] == 127 && got[2] == 255);
	kith_activations_close(npy);
}

static void expect_bad_value(kith_dtype dtype, size_t row, size_t column, double bad, uint64_t memory, const char *what)
{
	enum { N = 50, D = 7 };
	double values[N * D];
	unsigned char raw[N * D * 8];
	char where[64];
	kith_activations *npy;
	kith_scan scan;
	kith_err err = {0};
	for (size_t i = 0; i < N * D; i++)
		values[i] = (double)i;
	values[row * D + column] = bad;
	if (row + 1 < N)
		values[(row + 1) * D] = -bad; /* the first one is named */
	npy_encode(dtype, values, N * D, raw);
	npy_write(path, dtype, N, D, raw);
	npy = opened();
	assert_int_equal(kith_activations_scan(npy, memory, 2, NULL, &scan, NULL, &err), KITH_EUSAGE);
	snprintf(where, sizeof where, "row %zu, column %zu", row, column);
	if (!strstr(err.msg, where) || !strstr(err.msg, path) || !strstr(err.msg, what))
		fail_msg("\"%s\" should name the file, %s, and say %s", err.msg, where, what);
	kith_activations_close(npy);
}

static void test_nan_and_infinity(void **state)
{
	static const kith_dtype types[] = {KITH_F2, KITH_F4, KITH_F8, KITH_BF16};
	(void)state;
	for (size_t t = 0; t < 4; t++)
		for (uint64_t memory = 16; memory <= 1 << 20; memory *= 256) {
			expect_bad_value(types[t], 0, 0, NAN, memory, "NaN");
			expect_bad_value(types[t], 17, 4, NAN, memory, "NaN");
			expect_bad_value(types[t], 17, 6, INFINITY, memory, "inf");
			expect_bad_value(types[t], 49, 6, -INFINITY, memory, "inf");
		}
}

/* Rows that are the same as another, whatever the blocks, and how many are zero. */
static void test_repeated(void **state)
{
	enum { ROWS = 700 };
	static float rows[ROWS][2];
	kith_activations *npy;
	kith_scan scan;
	kith_err err = {0};
	(void)state;
	for (unsigned kinds = 1; kinds < 3000; kinds = kinds * 3 + 1) {
		uint64_t repeated = 0, zero = 0;
		for (unsigned i = 0; i < ROWS; i++) {
			rows[i][0] = (float)(i * 2654435761u % kinds);
		}
		for (unsigned i = 0; i < ROWS; i++) {
			unsigned same = 0;
			for (unsigned j = 0; j < ROWS; j++)
				same += rows[i][0] == rows[j][0];
			repeated += same > 1;
			zero += rows[i][0] == 0;
		}
		npy_write(path, KITH_F4, ROWS, 2, rows);
		for (uint64_t memory = 1; memory <= 1 << 20; memory *= 32) {
			npy = opened();
			assert_int_equal(kith_activations_scan(npy, memory, 2, NULL, &scan, NULL, &err), 0);
			assert_int_equal(scan.repeated, repeated);
			assert_int_equal(scan.unwritten, zero);
			kith_activations_close(npy);
		}
	}
}

static int stop(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	(void)what;
	(void)done;
	(void)total;
	++*(int *)context;
	return 1;
}

static void test_scan_stops(void **state)
{
	static const float values[4096];
	int calls = 0;
	kith_progress progress = {stop, &calls};
	kith_activations *npy;
	kith_scan scan;
	kith_err err = {0};
	(void)state;
	npy_write(path, KITH_F4, 1024, 4, values);
	npy = opened();
	assert_int_equal(kith_activations_scan(npy, 64, 2, &progress, &scan, NULL, &err), KITH_ECANCELED);
	assert_int_equal(calls, 1);
	kith_activations_close(npy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),      cmocka_unit_test(test_types),
		cmocka_unit_test(test_headers),       cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_sizes),         cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_advice),        cmocka_unit_test(test_magic_and_version),
		cmocka_unit_test(test_recognised),    cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_halves),        cmocka_unit_test(test_values),
		cmocka_unit_test(test_literal_bytes), cmocka_unit_test(test_nan_and_infinity),
		cmocka_unit_test(test_repeated),      cmocka_unit_test(test_scan_stops),
	};
	sandbox_path(path, "file.npy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
