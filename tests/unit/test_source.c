/* test_source.c - what names of sources mean, what is said of those that mean nothing, and where values are said to
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "activations.h"
#include "npy_write.h"
#include "sandbox.h"

/* Opens a name in the sandbox, with `more` after the file's. */
static int open_named(kith_source **out, const char *file, const char *more, const kith_input_how *how, kith_err *err)
{
	char path[SANDBOX_PATH], name[2 * SANDBOX_PATH];
	int list = *file == '@';
	snprintf(name, sizeof name, "%s%s%s", list ? "@" : "", sandbox_path(path, "%s", file + list), more);
	return kith_source_open(out, name, how, err);
}

static void refused(const char *file, const char *more, const kith_input_how *how, int status, const char *text)
{
	kith_source *s = NULL;
	kith_err err = {0};
	int got = open_named(&s, file, more, how, &err);
	if (got != status || !strstr(err.msg, text) || strchr(err.msg, '\n'))
		fail_msg("%s%s: status %d, \"%s\"; should be %d and hold \"%s\"", file, more, got, err.msg, status,
			 text);
	assert_null(s);
}

static void unfit(const char *file, const char *more, const char *text)
{
	refused(file, more, NULL, KITH_EUSAGE, text);
}

static kith_source *opened(const char *file, const char *more, const kith_input_how *how)
{
	kith_source *s = NULL;
	kith_err err;
	if (open_named(&s, file, more, how, &err))
		fail_msg("%s", err.msg);
	return s;
}

/* A .npy of n x d floats 0, 1, 2, ... from `first` on. */
static void write_floats(const char *file, size_t n, size_t d, float first)
{
	char path[SANDBOX_PATH];
	float *x = must_alloc(n * d, sizeof *x);
	for (size_t i = 0; i < n * d; i++)
		x[i] = first + (float)i;
	npy_write(sandbox_path(path, "%s", file), KITH_F4, n, d, x);
	free(x);
}

/* The file's only value, or the first. */
static void expect_first(const char *file, const char *more, double want)
{
	kith_source *s = opened(file, more, NULL);
	double *x = must_alloc(kith_source_get_info(s)->d, sizeof *x);
	assert_int_equal(kith_source_read(s, 0, 1, x, NULL, NULL), 0);
	assert_true(*x == want);
	free(x);
	kith_source_close(s);
}

/* ---- names ---- */

/* A file that is there by the whole name is that file. */
static void test_literal_names(void **state)
{
	static const char *const names[] = {"a:b.npy", "a.npy:[:,0]", "a[1].npy", "a*.npy", "a.npy:x"};
	(void)state;
	write_floats("a.npy", 2, 2, 100);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[SANDBOX_PATH];
		write_floats(names[i], 2, 2, (float)i);
		expect_first(names[i], "", (double)i);
		expect_first(names[i], ":[:,1]", (double)i + 1);
		remove(sandbox_path(path, "%s", names[i]));
	}
	expect_first("a.npy", ":[:,1]", 101);
	unfit("a.npy", ":x", "one array without a name");
	unfit("a.npy", ":x:[:,1]", "one array without a name");
	refused("b.npy", ":[:,1]", NULL, KITH_EIO, "b.npy: cannot open");
	refused("b.npy", ":x", NULL, KITH_EIO, "cannot open");
	unfit("a.npy", "[:,1]", "chosen by a colon and brackets");
}

static void test_order(void **state)
{
	char path[SANDBOX_PATH];
	(void)state;
	for (int i = 0; i < 12; i++) {
		char name[32];
		snprintf(name, sizeof name, "run-%d.npy", i);
		write_floats(name, 1, 1, (float)i);
	}
	kith_source *s = opened("run-*.npy", "", NULL);
	double x[12];
	assert_int_equal(kith_source_get_info(s)->files, 12);
	assert_int_equal(kith_source_read(s, 0, 12, x, NULL, NULL), 0);
	for (int i = 0; i < 12; i++)
		assert_true(x[i] == i);
	assert_non_null(strstr(kith_source_file(s, 10), "run-10.npy"));
	kith_source_close(s);
	unfit("no-*.npy", "", "no file has such a name");
	sandbox_write(sandbox_path(path, "empty.txt"), "\n\n", 2);
	unfit("@empty.txt", "", "names no file");
	refused("@none.txt", "", NULL, KITH_EIO, "none.txt: cannot open");
	sandbox_write(sandbox_path(path, "zero.txt"), "a\0b", 3);
	unfit("@zero.txt", "", "not a list");
	assert_true(kith_source_names_file(sandbox_path(path, "run-*.npy"),
					   sandbox_path((char[SANDBOX_PATH]){0}, "run-3.npy")));
	assert_false(kith_source_names_file(path, "/"));
}

/* The first that differs is named, with how. */
static void test_unequal_files(void **state)
{
	char path[SANDBOX_PATH];
	double wide[4] = {0};
	(void)state;
	write_floats("cut-1.npy", 2, 2, 0);
	write_floats("cut-2.npy", 3, 2, 0);
	write_floats("cut-3.npy", 2, 3, 0);
	unfit("cut-*.npy", "", "cut-3.npy: 3 in dimension 1");
	npy_write(sandbox_path(path, "cut-3.npy"), KITH_F8, 2, 2, wide);
	unfit("cut-*.npy", "", "cut-3.npy: values of type f8");
	npy_write_raw(path, 1, npy_header("<f4", 0, "(4,)"), wide, 16);
	unfit("cut-*.npy", "", "cut-3.npy: an array of 1 dimensions");
	remove(path);
}

/* ---- parts of an array ---- */

static void test_selections(void **state)
{
	static const char *const bad[] = {":[",           ":[]",       ":[:,1",    ":[:,1]]",
					  ":[:,x]",       ":[:,1.5]",  ":[,1]",    ":[:,,1]",
					  ":[:,1:2:0]",   ":[:,None]", ":[:,0x1]", ":[:,99999999999999999999]",
					  ":[:,1:2:3:4]", ":[--1:]"};
	(void)state;
	write_floats("s.npy", 4, 6, 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		unfit("s.npy", bad[i], "");
	unfit("s.npy", ":[:,1.5]", "is no choice of an array");
	unfit("s.npy", ":[0]", "leaves one sample");
	unfit("s.npy", ":[:,6]", "index 6 is beyond dimension 1, which has 6");
	unfit("s.npy", ":[:,-7]", "index -7 is beyond dimension 1");
	unfit("s.npy", ":[:,0,0]", "more dimensions than the array's 2");
	unfit("s.npy", ":[...,...]", "more dimensions than the array's 2");
	unfit("s.npy", ":[4:]", "chooses nothing of dimension 0");
	unfit("s.npy", ":[:,3:3]", "chooses nothing of dimension 1");
	unfit("s.npy", ":[:,3:1]", "chooses nothing of dimension 1");
	expect_first("s.npy", ":[ 1 : , 2 ]", 8);
	expect_first("s.npy", ":[...]", 0);
	expect_first("s.npy", ":[...,-1]", 5);
	expect_first("s.npy", ":[::-1,::-2]", 23);
	expect_first("s.npy", ":[-9:99:5]", 0);
	expect_first("s.npy", ":[:9223372036854775807:9223372036854775807,-9223372036854775807:]", 0);
}

/* ---- safetensors ---- */

static void write_tensors(const char *header, size_t length, size_t bytes)
{
	char path[SANDBOX_PATH];
	unsigned char *file = must_alloc(8 + strlen(header) + bytes, 1);
	for (int b = 0; b < 8; b++)
		file[b] = (unsigned char)((uint64_t)length >> 8 * b);
	memcpy(file + 8, header, strlen(header));
	sandbox_write(sandbox_path(path, "t.safetensors"), file, 8 + strlen(header) + bytes);
	free(file);
}

static void test_tensors(void **state)
{
#define TENSOR(name, type, shape, from, to)                                                                            \
	"\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #from "," #to "]}"
	static const struct {
		const char *header, *entry, *text;
	} bad[] = {
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("b", "F32", "1", 16, 20) "}", "", "has 2 arrays"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("b", "F32", "1", 16, 20) "}", ":aa", "it has a, b"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("b", "F32", "1", 12, 16) "}", ":a", "overlaps \"b\""},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("a", "F32", "1", 16, 20) "}", "", "has it twice"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("a", "F32", "1", 16, 20) "}", ":a", "has it twice"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) ",}", ":a", "a name is missing (byte 57 of it)"},
		{"{," TENSOR("a", "F32", "2,2", 0, 16) "}", ":a", "a name is missing (byte 1 of it)"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) "} {", ":a", "something is behind it"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) ",\"b\":{\"x\":1,\"x\":2}}", ":a", "no JSON object: duplicate"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) ",\"b\":[}", ":a", "it does not end"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) ",\"b\":]}", ":a", "no JSON object"},
		{"{" TENSOR("a", "F32", "2,2", 0, 16) ",\"b\":\"\\\"}", ":a", "it does not end"},
		{"{" TENSOR("a", "F32", "2,2", 0, 15) "}", "", "do not make the bytes"},
		{"{" TENSOR("a", "F32", "2,3", 0, 24) "}", "", "behind the end"},
		{"{" TENSOR("a", "F32", "2,2", 16, 0) "}", "", "ends before it begins"},
		{"{" TENSOR("a", "F32", "4611686018427387904,4", 0, 16) "}", "", "truncated"},
		{"{" TENSOR("a", "F32", "99999999999999999999,4", 0, 16) "}", "", "no JSON"},
		{"{" TENSOR("a", "F32", "-2,-2", 0, 16) "}", "", "no type and shape"},
		{"{" TENSOR("a", "F32", "0,2", 0, 0) "}", "", "holds no values"},
		{"{" TENSOR("a", "F32", "", 0, 4) "}", "", "a single number"},
		{"{" TENSOR("a", "F8_E4M3", "2,2", 0, 4) "}", "", "FP8"},
		{"{" TENSOR("a", "C64", "2,1", 0, 16) "}", "", "its type is C64"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2]}}", "", "where it lies"},
		{"{\"a\":3}", "", "no type and shape"},
		{"{}", "", "holds no array"},
		{"{\"__metadata__\":{\"a\":\"b\"}}", "", "holds no array"},
		{"{", "", "no JSON"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_tensors(bad[i].header, strlen(bad[i].header), 20);
		unfit("t.safetensors", bad[i].entry, bad[i].text);
	}
	const char *good = "{" TENSOR("a", "F32", "2,2", 0, 16) "}";
	write_tensors(good, strlen(good), 16);
	expect_first("t.safetensors", ":a", 0);
	expect_first("t.safetensors", "", 0);
	write_tensors(good, strlen(good) + 17, 16);
	unfit("t.safetensors", "", "truncated in its header");
	write_tensors(good, (size_t)1 << 40, 16);
	unfit("t.safetensors", "", "are the most");
	write_tensors(good, SIZE_MAX, 16);
	unfit("t.safetensors", "", "are the most");
	write_tensors("[[1]]", 5, 16);
	unfit("t.safetensors", "", "no JSON object");
	size_t depth = 1000000;
	char *deep = must_alloc(depth + 8, 1);
	memset(deep, '[', depth);
	memcpy(deep, "{\"a\":", 5);
	write_tensors(deep, depth, 0);
	unfit("t.safetensors", "", "no JSON");
	free(deep);
}

/* Names with all that ends a member, blanks, and what is long: metadata may be, what is said of a tensor is not. */
static void test_long_headers(void **state)
{
	static const char one[] = TENSOR("a,}\\\"]\\\\", "F32", "2,2", 0, 16);
	size_t most = 300000;
	char *header = must_alloc(most + 1000, 1);
	(void)state;
	for (size_t length = 65000; length < most; length += length < 66000 ? 7 : 50000) {
		snprintf(header, most + 1000, " {\n \"__metadata__\" : {\"{,\": \"%*s\"},\t%s } ", (int)length, "\\\"}",
			 one);
		write_tensors(header, strlen(header), 16);
		expect_first("t.safetensors", ":a,}\"]\\", 0);
		expect_first("t.safetensors", "", 0);
	}
	snprintf(header, most + 1000, "{\"%*s\": 1, %s}", (int)most, "", one);
	write_tensors(header, strlen(header), 16);
	unfit("t.safetensors", "", "no JSON object: more of one tensor than there can be (byte 1 of it)");
	free(header);
}

/* Every byte of a header, changed in every bit: refused with a reason, or an array that lies in the file. */
static void test_flipped_header(void **state)
{
	const char *good = "{" TENSOR("a", "F32", "2,2", 0, 16) "," TENSOR("b", "U8", "4", 16, 20) "}";
	char path[SANDBOX_PATH];
	size_t size;
	(void)state;
	write_tensors(good, strlen(good), 20);
	unsigned char *file = sandbox_read(sandbox_path(path, "t.safetensors"), &size);
	for (size_t bit = 0; bit < 8 * (8 + strlen(good)); bit++) {
		kith_source *s = NULL;
		kith_err err = {0};
		file[bit / 8] ^= (unsigned char)(1 << bit % 8);
		sandbox_write(path, file, size);
		if (open_named(&s, "t.safetensors", ":a", NULL, &err)) {
			assert_true(err.msg[0] && !strchr(err.msg, '\n'));
		} else {
			double x[64];
			const kith_source_info *i = kith_source_get_info(s);
			assert_true(i->n * i->row_bytes <= 20);
			assert_int_equal(kith_source_read(s, 0, i->n, x, NULL, NULL), 0);
		}
		kith_source_close(s);
		file[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	free(file);
}

/* ---- raw ---- */

static void test_raw(void **state)
{
	static const struct {
		kith_input_how how;
		const char *text;
	} bad[] = {
		{{0}, "say what they are"},
		{{.dtype = "f4"}, "say what they are"},
		{{.shape = "2,2", .format = "raw"}, "say what they are"},
		{{.dtype = "f3", .shape = "2,2"}, "--dtype f3: not one of"},
		{{.dtype = "<", .shape = "2,2"}, "--dtype <: not one of"},
		{{.dtype = "f4", .shape = "2x2"}, "--shape 2x2: not N,D"},
		{{.dtype = "f4", .shape = ""}, "not N,D"},
		{{.dtype = "f4", .shape = "2,"}, "not N,D"},
		{{.dtype = "f4", .shape = "2,-1"}, "not N,D"},
		{{.dtype = "f4", .shape = "99999999999999999999,1"}, "not N,D"},
		{{.dtype = "f4", .shape = "2,3"}, "truncated: 2 x 3 values of f4 need 24 bytes, but it has 16"},
		{{.dtype = "f4", .shape = "2,1"}, "takes 8 bytes, but there are 16"},
		{{.dtype = "f4", .shape = "-1,3"}, "takes 12 bytes, but there are 16"},
		{{.dtype = "f4", .shape = "-1,5"}, "holds no values"},
		{{.dtype = "f4", .shape = "-1,0"}, "holds no values"},
		{{.dtype = "f4", .shape = "-1,9223372036854775807,4"}, "truncated"},
		{{.dtype = "f4", .shape = "2,2", .offset = 16}, "--offset 16, but it has 16"},
		{{.dtype = "f4", .shape = "2,2", .format = "rawr"}, "--format rawr: not one of npy"},
		{{.dtype = "f4", .shape = "2,2", .format = "npy"}, "--shape is for raw files"},
	};
	char path[SANDBOX_PATH];
	float x[4] = {1, 2, 3, 4};
	(void)state;
	sandbox_write(sandbox_path(path, "x.bin"), x, sizeof x);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused("x.bin", "", &bad[i].how, KITH_EUSAGE, bad[i].text);
	kith_source *s = opened("x.bin", "", &(kith_input_how){.dtype = "f4", .shape = "-1,1", .offset = 4});
	assert_int_equal(kith_source_get_info(s)->n, 3);
	assert_memory_equal(kith_source_map(s), x + 1, 12);
	kith_source_close(s);
	s = opened("x.bin", "", &(kith_input_how){.dtype = ">u2", .shape = "4,2"});
	assert_null(kith_source_map(s));
	kith_source_close(s);
	write_floats("x.npy", 2, 2, 0);
	refused("x.npy", "", &(kith_input_how){.dtype = "bf16"}, KITH_EUSAGE, "only i2 and u2");
	refused("x.npy", "", &(kith_input_how){.shape = "2,2"}, KITH_EUSAGE, "--format raw takes it for raw");
	refused("x.npy", "", &(kith_input_how){.offset = 1}, KITH_EUSAGE, "--offset is for raw files");
}

/* ---- values ---- */

static void test_bfloat16_in_disguise(void **state)
{
	static const kith_dtype types[] = {KITH_I2, KITH_U2, KITH_BF16};
	char path[SANDBOX_PATH];
	uint16_t bits[2] = {0x3f80, 0xc000};
	double x[2];
	(void)state;
	for (int t = 0; t < 3; t++) {
		npy_write(sandbox_path(path, "h.npy"), types[t], 2, 1, bits);
		kith_source *s = opened("h.npy", "", &(kith_input_how){.dtype = "bf16"});
		assert_int_equal(kith_source_read(s, 0, 2, x, NULL, NULL), 0);
		assert_true(x[0] == 1 && x[1] == -2);
		kith_source_close(s);
	}
}

/* Integers that a double does not hold, floats that are no integers: by row and column. */
static void test_unheld(void **state)
{
	static const int64_t good[] = {INT64_MIN, (int64_t)1 << 62, ((int64_t)1 << 53) + 2, -((int64_t)1 << 53) - 2, 0,
				       1};
	char path[SANDBOX_PATH];
	int64_t x[6], back[6];
	double out[6];
	kith_err err = {0};
	(void)state;
	for (int bad = -1; bad < 6; bad++) {
		memcpy(x, good, sizeof x);
		if (bad >= 0)
			x[bad] = bad % 2 ? INT64_MAX : -((int64_t)1 << 53) - 1;
		npy_write(sandbox_path(path, "i.npy"), KITH_I8, 3, 2, x);
		kith_source *s = opened("i.npy", "", NULL);
		assert_int_equal(kith_source_read(s, 0, 3, out, NULL, &err), bad < 0 ? 0 : KITH_EUSAGE);
		assert_int_equal(kith_source_read_ints(s, 0, 3, back, NULL, NULL), 0);
		assert_memory_equal(back, x, sizeof x);
		kith_source_close(s);
		char text[64];
		snprintf(text, sizeof text, "row %d, column %d is an integer beyond", bad / 2, bad % 2);
		assert_true(bad < 0 || strstr(err.msg, text));
	}
	uint64_t u[2] = {1, UINT64_MAX};
	npy_write(path, KITH_U8, 1, 2, u);
	kith_source *s = opened("i.npy", "", NULL);
	assert_int_equal(kith_source_read(s, 0, 1, out, NULL, &err), KITH_EUSAGE);
	assert_int_equal(kith_source_read_ints(s, 0, 1, back, NULL, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "row 0, column 1 is no integer of 64 bits"));
	kith_source_close(s);
}

/* The scan's message about the value at a place of a 4 x 3 x 2 array, in which it is NaN. */
static void expect_place(const char *more, size_t nan_at, const char *text)
{
	char path[SANDBOX_PATH], name[2 * SANDBOX_PATH];
	float x[24] = {0};
	kith_activations *a;
	kith_scan scan;
	kith_err err = {0};
	uint32_t nan = 0x7fc00000;
	memcpy(&x[nan_at], &nan, 4);
	npy_write_raw(sandbox_path(path, "p-0.npy"), 1, npy_header("<f4", 0, "(3, 3, 2)"), x, 72);
	npy_write_raw(sandbox_path(path, "p-1.npy"), 1, npy_header("<f4", 0, "(1, 3, 2)"), x + 18, 24);
	npy_write_raw(sandbox_path(path, "p.npy"), 1, npy_header("<f4", 0, "(4, 3, 2)"), x, 96);
	npy_write_raw(sandbox_path(path, "p2.npy"), 1, npy_header("<f4", 0, "(4, 6)"), x, 96);
	snprintf(name, sizeof name, "%s", sandbox_path(path, "%s", more));
	assert_int_equal(kith_activations_open(&a, name, &err), 0);
	assert_int_equal(kith_activations_scan(a, 1 << 20, 1, NULL, &scan, NULL, &err), KITH_EUSAGE);
	if (!strstr(err.msg, text))
		fail_msg("%s: \"%s\" should hold \"%s\"", more, err.msg, text);
	kith_activations_close(a);
}

static void test_places(void **state)
{
	(void)state;
	expect_place("p.npy", 9, "p.npy: row 1, column 3 is NaN");
	expect_place("p.npy:[1:]", 9, "[1,1,1] is NaN");
	expect_place("p.npy:[:,1,1]", 9, "[1,1,1] is NaN");
	expect_place("p.npy:[::-1,::2]", 23, "[3,2,1] is NaN");
	expect_place("p2.npy:[1::2,3:]", 9, "row 1, column 3 is NaN");
	expect_place("p-*.npy", 21, "row 3 (row 0 of ");
	expect_place("p-*.npy", 21, "p-1.npy), column 3 is NaN");
	expect_place("p-*.npy:[2:,:,1]", 21, "[3,1,1] (row 0 of ");
}

/* ---- changes ---- */

/* Any of many files, which are not kept open. */
static void test_changed_file(void **state)
{
	enum { FILES = 80 };
	char path[SANDBOX_PATH], name[32];
	double x[2 * FILES];
	kith_err err = {0};
	(void)state;
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "many-%d.npy", i);
		write_floats(name, 2, 1, (float)(2 * i));
	}
	kith_source *s = opened("many-*.npy", "", NULL);
	assert_int_equal(kith_source_read(s, 0, 2 * FILES, x, NULL, &err), 0);
	assert_int_equal(kith_source_unchanged(s, &err), 0);
	usleep(20000); /* of a clock that ticks each 4 ms */
	write_floats("many-70.npy", 2, 1, 7);
	assert_int_equal(kith_source_unchanged(s, &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "many-70.npy: changed while it was read"));
	assert_int_equal(kith_source_read(s, 0, 100, x, NULL, &err), 0);
	assert_int_equal(kith_source_read(s, 140, 1, x, NULL, &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "many-70.npy: changed while it was read"));
	remove(sandbox_path(path, "many-3.npy"));
	assert_int_equal(kith_source_read(s, 6, 1, x, NULL, &err), KITH_EIO);
	kith_source_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literal_names),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unequal_files),
		cmocka_unit_test(test_selections),
		cmocka_unit_test(test_tensors),
		cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_flipped_header),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_bfloat16_in_disguise),
		cmocka_unit_test(test_unheld),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_changed_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
