/* test_formats.c - files of other formats than .npy: what their own libraries write (tests/data/formats, by make.py),
 * what nobody should write, and what is said of it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox.h"
#include "source.h"

#define ROWS   7
#define VALUES (ROWS * 6)
#define SHARDS 66

/* libhdf5 loses some of what it allocates when a file is damaged. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libhdf5";
}

static const char *data(const char *name)
{
	static char path[SANDBOX_PATH];
	snprintf(path, sizeof path, "%s/%s", KITH_DATA, name);
	return path;
}

static int open_files(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

static kith_source *opened(const char *name)
{
	kith_source *s = NULL;
	kith_err err = {0};
	if (kith_source_open(&s, name, NULL, &err))
		fail_msg("%s", err.msg);
	return s;
}

/* The values of make.py: quarters, whole numbers, or their truth. */
static void expect_values(const char *name, const char *format, kith_dtype dtype)
{
	kith_source *s = opened(name);
	const kith_source_info *info = kith_source_get_info(s);
	double got[VALUES];
	kith_err err = {0};
	assert_string_equal(info->format, format);
	assert_string_equal(kith_dtype_name(info->dtype), kith_dtype_name(dtype));
	assert_int_equal(info->n, ROWS);
	assert_int_equal(info->d, 6);
	for (uint64_t first = 0; first < ROWS; first += 3) {
		uint64_t count = first + 3 < ROWS ? 3 : ROWS - first;
		if (kith_source_read(s, first, count, got + first * 6, NULL, &err))
			fail_msg("%s", err.msg);
	}
	for (int i = 0; i < VALUES; i++) {
		int is_float = dtype == KITH_F2 || dtype == KITH_F4 || dtype == KITH_F8 || dtype == KITH_BF16;
		double want = is_float ? i / 4. - 3 : dtype == KITH_B1 ? i % 2 : i;
		if (got[i] != want)
			fail_msg("%s: value %d is %g, not %g", name, i, got[i], want);
	}
	kith_source_close(s);
}

static void expect_refusal(const char *name, const kith_input_how *how, const char *text)
{
	kith_source *s = NULL;
	kith_err err = {0};
	int rc = kith_source_open(&s, name, how, &err);
	if (rc != KITH_EUSAGE || !strstr(err.msg, text) || strchr(err.msg, '\n'))
		fail_msg("%s: status %d, \"%s\"; should hold \"%s\"", name, rc, err.msg, text);
	assert_null(s);
}

/* ---- .npz ---- */

static const struct {
	const char *name;
	kith_dtype dtype;
} arrays[] = {{"f2", KITH_F2}, {"f4", KITH_F4}, {"f8", KITH_F8}, {"i1", KITH_I1}, {"i2", KITH_I2}, {"i4", KITH_I4},
	      {"i8", KITH_I8}, {"u1", KITH_U1}, {"u2", KITH_U2}, {"u4", KITH_U4}, {"u8", KITH_U8}, {"b1", KITH_B1}};

static const char *array_of(const char *file, const char *name)
{
	static char path[SANDBOX_PATH];
	snprintf(path, sizeof path, "%s/%s:%s", KITH_DATA, file, name);
	return path;
}

static void test_npz(void **state)
{
	kith_source *s;
	kith_err err = {0};
	(void)state;
	for (int deflated = 0; deflated < 2; deflated++) {
		const char *file = deflated ? "deflated.npz" : "stored.npz";
		for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
			expect_values(array_of(file, arrays[i].name), "npz", arrays[i].dtype);
		expect_values(array_of(file, "f4.npy"), "npz", KITH_F4);
		expect_values(array_of(file, "big"), "npz", KITH_F4);
		expect_values(array_of(file, "fortran"), "npz", KITH_F8);
		expect_values(array_of(file, "deep/er"), "npz", KITH_F4);
		expect_refusal(array_of(file, "f9"), NULL, "has no array \"f9\"");
		expect_refusal(data(file), NULL, "arrays: name one");
	}
	expect_values(data("one.npz"), "npz", KITH_F8);
	expect_values(array_of("one.npz", "arr_0"), "npz", KITH_F8);
	s = opened(data("one.npz"));
	assert_int_equal(kith_source_get_info(s)->spilled, 128 + VALUES * sizeof(double));
	kith_source_close(s);
	s = opened(array_of("stored.npz", "f8"));
	assert_int_equal(kith_source_get_info(s)->spilled, 0);
	kith_source_close(s);
	s = NULL;
	expect_refusal(array_of("deflated.npz", "text"), NULL, "<U1");
	assert_int_equal(kith_source_open(&s, data("one.npz"), &(kith_input_how){.spill = "/nowhere/out.nng"}, &err),
			 KITH_EIO);
	assert_non_null(strstr(err.msg, "/nowhere/out.nng"));
}

/* Rows of which memory does not hold twice as many are set out one behind the other. */
static void test_fortran_memory(void **state)
{
	double got[VALUES];
	(void)state;
	for (uint64_t memory = 1; memory < 10000; memory *= 2) {
		kith_source *s = NULL;
		kith_err err = {0};
		kith_input_how how = {.memory = memory, .spill = "here.nng"};
		if (kith_source_open(&s, array_of("stored.npz", "fortran"), &how, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(kith_source_get_info(s)->spilled, memory / 2 < sizeof got ? sizeof got : 0);
		assert_int_equal(kith_source_read(s, 0, ROWS, got, NULL, &err), 0);
		for (int i = 0; i < VALUES; i++)
			assert_true(got[i] == i / 4. - 3);
		kith_source_close(s);
	}
}

typedef struct member {
	const char *name, *bytes;
	size_t size;     /* of bytes */
	uint64_t stated; /* size that is written; 0: the true one */
	unsigned method, flags;
	unsigned pad; /* bytes of an extra field, which move what follows */
} member;

static char *put(char *at, uint64_t x, int bytes)
{
	for (int i = 0; i < bytes; i++)
		at[i] = (char)(x >> 8 * i);
	return at + bytes;
}

static uint32_t crc_of(const char *bytes, size_t size)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* What a local header and an entry of the directory share: version, flags, method, time, checksum, sizes, lengths.
 * Sizes that need it have 64 bits, in an extra field. */
static char *put_common(char *at, const member *m, size_t stored, unsigned pad)
{
	uint64_t size = m->stated ? m->stated : m->size;
	int is_long = size > UINT32_MAX;
	at = put(at, 45, 2);
	at = put(at, m->flags, 2);
	at = put(at, m->method, 2);
	at = put(at, 0x21, 4);
	at = put(at, crc_of(m->bytes, m->size), 4);
	at = put(at, is_long ? UINT32_MAX : stored, 4);
	at = put(at, is_long ? UINT32_MAX : size, 4);
	at = put(at, strlen(m->name), 2);
	return put(at, (is_long ? 20 : 0) + (pad ? pad + 4 : 0), 2);
}

static char *put_extra(char *at, const member *m, size_t stored, unsigned pad)
{
	uint64_t size = m->stated ? m->stated : m->size;
	memcpy(at, m->name, strlen(m->name));
	at += strlen(m->name);
	if (size > UINT32_MAX)
		at = put(put(put(put(at, 1, 2), 16, 2), size, 8), stored, 8);
	if (pad) {
		at = put(put(at, 0x6b69, 2), pad, 2);
		memset(at, 'x', pad);
		at += pad;
	}
	return at;
}

/* A zip file as PKWARE's APPNOTE has it, by a writer of its own; deflated is one block that is not compressed. */
static void write_zip(const char *path, const member *m, size_t count)
{
	char *file = must_alloc(1 << 20, 1), *at = file;
	uint32_t begins[16];
	for (size_t i = 0; i < count; i++) {
		size_t stored = m[i].size + (m[i].method == 8 ? 5 : 0);
		begins[i] = (uint32_t)(at - file);
		at = put_extra(put_common(put(at, 0x04034b50, 4), &m[i], stored, m[i].pad), &m[i], stored, m[i].pad);
		if (m[i].method == 8)
			at = put(put(put(at, 1, 1), m[i].size, 2), ~m[i].size & 0xffff, 2);
		memcpy(at, m[i].bytes, m[i].size);
		at += m[i].size;
	}
	size_t directory = (size_t)(at - file);
	for (size_t i = 0; i < count; i++) {
		size_t stored = m[i].size + (m[i].method == 8 ? 5 : 0);
		at = put_common(put(put(at, 0x02014b50, 4), 45, 2), &m[i], stored, 0);
		at = put(put(put(at, 0, 6), 0, 4), begins[i], 4);
		at = put_extra(at, &m[i], stored, 0);
	}
	size_t size = (size_t)(at - file) - directory;
	at = put(put(put(put(at, 0x06054b50, 4), 0, 4), count, 2), count, 2);
	at = put(put(put(at, size, 4), directory, 4), 0, 2);
	sandbox_write(path, file, (size_t)(at - file));
	free(file);
}

/* A .npy of the values of make.py as f4: its bytes, and how many. */
static const char *npy_bytes(size_t *size)
{
	static const char head[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (7, 3, 2), }";
	static char bytes[128 + VALUES * 4];
	memset(bytes, ' ', 128);
	memcpy(bytes, "\x93NUMPY\1\0\x76", 10);
	memcpy(bytes + 10, head, sizeof head - 1);
	bytes[127] = '\n';
	for (int i = 0; i < VALUES; i++) {
		float x = (float)(i / 4. - 3);
		memcpy(bytes + 128 + 4 * i, &x, 4);
	}
	*size = sizeof bytes;
	return bytes;
}

/* At any byte of the file, and behind others. */
static void test_npz_alignment(void **state)
{
	char path[SANDBOX_PATH], array[SANDBOX_PATH + 8];
	member m[3] = {{.name = "a.npy"}, {.name = "b.npy"}, {.name = "notes.txt", .bytes = "", .size = 0}};
	(void)state;
	sandbox_path(path, "aligned.npz");
	m[0].bytes = m[1].bytes = npy_bytes(&m[0].size);
	m[1].size = m[0].size;
	for (unsigned pad = 0; pad < 70; pad++) {
		m[0].pad = pad;
		m[0].method = pad % 2 ? 8 : 0;
		m[1].method = pad % 3 ? 0 : 8;
		write_zip(path, m, 3);
		for (int i = 0; i < 2; i++) {
			snprintf(array, sizeof array, "%s:%c", path, "ab"[i]);
			expect_values(array, "npz", KITH_F4);
		}
	}
}

static void expect_bad_member(member m, const char *text)
{
	char path[SANDBOX_PATH];
	sandbox_path(path, "bad.npz");
	if (!m.bytes)
		m.bytes = npy_bytes(&m.size);
	write_zip(path, &m, 1);
	expect_refusal(path, NULL, text);
}

static void test_npz_bad_members(void **state)
{
	static char big[60000];
	size_t size;
	char path[SANDBOX_PATH];
	const char *bytes = npy_bytes(&size);
	member two[2] = {{.name = "a.npy", .bytes = bytes, .size = size},
			 {.name = "a.npy", .bytes = bytes, .size = size}};
	(void)state;
	expect_bad_member((member){.name = "a.npy", .flags = 1}, "is encrypted");
	expect_bad_member((member){.name = "a.npy", .method = 77}, "method 77");
	expect_bad_member((member){.name = "../a.npy"}, "leads out of the archive");
	expect_bad_member((member){.name = "a/../../b.npy"}, "leads out of the archive");
	expect_bad_member((member){.name = "a.npy", .bytes = bytes, .size = 150}, "truncated");
	expect_bad_member((member){.name = "a.npy", .bytes = bytes, .size = 150, .method = 8}, "truncated");
	expect_bad_member((member){.name = "a.npy", .bytes = bytes, .size = 50}, "truncated");
	expect_bad_member((member){.name = "a.npy", .bytes = "text", .size = 4}, "not a .npy");
	expect_bad_member((member){.name = "a.npy", .bytes = "", .size = 0}, "");
	expect_bad_member((member){.name = "a.txt"}, "holds no array");
	expect_bad_member((member){.name = "a.npy", .method = 8, .stated = size + 1}, "another size");
	expect_bad_member((member){.name = "a.npy", .method = 8, .stated = size - 1}, "another size");
	expect_bad_member((member){.name = "a.npy", .stated = size + 1}, "");
	expect_bad_member((member){.name = "a.npy", .method = 8, .stated = 1ull << 62}, "more than are free");
	memcpy(big, bytes, size); /* more than the header says */
	expect_bad_member((member){.name = "a.npy", .bytes = big, .size = sizeof big, .method = 8}, "follow the array");
	sandbox_path(path, "two.npz");
	write_zip(path, two, 2);
	strcat(path, ":a");
	expect_refusal(path, NULL, "two arrays");
}

/* Opened, and read where that is so: whatever is in a file, no crash, and a reason where it is refused. */
static int survives(const char *path, const char *array)
{
	char name[SANDBOX_PATH + 32];
	kith_source *s = NULL;
	kith_err err = {0};
	snprintf(name, sizeof name, "%s%s", path, array);
	if (kith_source_open(&s, name, NULL, &err)) {
		assert_true(err.msg[0] && err.code);
		return 0;
	}
	const kith_source_info *info = kith_source_get_info(s);
	double *row = must_alloc(info->d, sizeof *row);
	if (kith_source_read(s, info->n - 1, 1, row, NULL, &err))
		assert_true(err.msg[0] && err.code);
	free(row);
	kith_source_close(s);
	return 1;
}

/* Every byte flipped, and every length; of large files every few. */
static void damage(const char *name, const char *array, size_t step)
{
	char path[SANDBOX_PATH];
	size_t size;
	unsigned char *bytes = sandbox_read(data(name), &size);
	assert_non_null(bytes);
	sandbox_path(path, "%s", name);
	for (size_t i = 0; i < size; i += step) {
		bytes[i] ^= 0xff;
		sandbox_write(path, bytes, size);
		survives(path, array);
		bytes[i] ^= 0xff;
	}
	for (size_t cut = 0; cut < size; cut += step) {
		sandbox_write(path, bytes, cut);
		assert_false(survives(path, array));
	}
	free(bytes);
}

static void test_npz_damage(void **state)
{
	(void)state;
	damage("one.npz", "", 1);
	damage("stored.npz", ":f4", 13);
	damage("deflated.npz", ":f4", 13);
}

/* ---- .fbin, .fvecs ---- */

static void test_bins(void **state)
{
	(void)state;
	expect_values(data("x.fbin"), "fbin", KITH_F4);
	expect_values(data("x.f16bin"), "f16bin", KITH_F2);
	expect_values(data("x.u8bin"), "u8bin", KITH_U1);
	expect_values(data("x.i8bin"), "i8bin", KITH_I1);
	expect_values(data("x.ibin"), "ibin", KITH_I4);
	expect_values(data("truth.ibin"), "ibin", KITH_I4);
	expect_values(data("x.fvecs"), "fvecs", KITH_F4);
	expect_values(data("x.bvecs"), "bvecs", KITH_U1);
	expect_values(data("x.ivecs"), "ivecs", KITH_I4);
	expect_refusal(data("x.fbin"), &(kith_input_how){.format = "f16bin"}, "not a file of this format");
	damage("x.fbin", "", 1);
	damage("x.f16bin", "", 1);
}

static void test_bad_bins(void **state)
{
	static const char none[8], huge[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
	char path[SANDBOX_PATH];
	(void)state;
	sandbox_path(path, "bad.fbin");
	sandbox_write(path, none, 8);
	expect_refusal(path, NULL, "holds no values");
	sandbox_write(path, huge, 8);
	expect_refusal(path, NULL, "");
	sandbox_path(path, "bad.fvecs");
	sandbox_write(path, none, 8);
	expect_refusal(path, NULL, "holds no values");
	sandbox_write(path, huge, 8);
	expect_refusal(path, NULL, "no whole rows");
	sandbox_write(path, none, 0);
	expect_refusal(path, NULL, "");
}

/* The row that says otherwise is named, when it is read. */
static void test_rows_of_other_lengths(void **state)
{
	char path[SANDBOX_PATH];
	double row[VALUES];
	kith_err err = {0};
	size_t size;
	unsigned char *bytes = sandbox_read(data("x.fvecs"), &size);
	(void)state;
	bytes[4 * 28] = 5;
	sandbox_path(path, "other.fvecs");
	sandbox_write(path, bytes, size);
	free(bytes);
	kith_source *s = opened(path);
	assert_int_equal(kith_source_read(s, 0, 4, row, NULL, &err), 0);
	assert_int_equal(kith_source_read(s, 1, 6, row, NULL, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "row 4 says that it has 5 values"));
	kith_source_close(s);
}

/* ---- HDF5 ---- */

/* Copies of a file, as many as are not kept open, are read back and forth with few descriptors. */
static void expect_shards(const char *name, const char *entry, uint64_t spilled)
{
	char path[SANDBOX_PATH], pattern[SANDBOX_PATH + 8];
	size_t size;
	unsigned char *bytes = sandbox_read(data(name), &size);
	kith_err err = {0};
	double x[2 * 6];
	for (int i = 0; i < SHARDS; i++)
		sandbox_write(sandbox_path(path, "shard-%d-%s", i, name), bytes, size);
	free(bytes);
	snprintf(pattern, sizeof pattern, "%s%s", sandbox_path(path, "shard-*-%s", name), entry);
	int before = open_files();
	kith_source *s = opened(pattern);
	assert_int_equal(kith_source_get_info(s)->n, SHARDS * ROWS);
	assert_int_equal(kith_source_get_info(s)->spilled, SHARDS * spilled);
	for (uint64_t i = 0; i < 3 * SHARDS; i++) {
		uint64_t first = i * 37 % (SHARDS * ROWS - 1);
		if (kith_source_read(s, first, 2, x, NULL, &err))
			fail_msg("%s", err.msg);
		for (uint64_t t = 0; t < 12; t++)
			assert_true(x[t] == (double)((6 * first + t) % VALUES) / 4 - 3);
	}
	assert_true(open_files() <= before + 20);
	kith_source_close(s);
	assert_int_equal(open_files(), before);
	for (int i = 0; i < SHARDS; i++)
		remove(sandbox_path(path, "shard-%d-%s", i, name));
}

static void test_npz_shards(void **state)
{
	(void)state;
	expect_shards("one.npz", "", 128 + VALUES * sizeof(double));
}

#ifdef KITH_HDF5
static void test_hdf5_shards(void **state)
{
	(void)state;
	expect_shards("chunked.h5", ":gzip", 0);
}

static void test_wide_chunks(void **state)
{
	(void)state;
	kith_source *s = opened(data("wide.h5"));
	assert_int_equal(kith_source_get_info(s)->spilled, VALUES * sizeof(float));
	kith_source_close(s);
	expect_values(data("wide.h5"), "hdf5", KITH_F4);
}

/* What is kept is within an eighth of the memory; chunks that are too large for that are inflated once, or refused. */
static void test_hdf5_memory(void **state)
{
	uint64_t chunk = 3 * 6 * sizeof(double);
	double got[VALUES];
	(void)state;
	for (uint64_t memory = 1 << 20; memory >= 4 * chunk; memory /= 2) {
		kith_source *s = NULL;
		kith_err err = {0};
		if (kith_source_open(&s, array_of("chunked.h5", "gzip"), &(kith_input_how){.memory = memory}, &err))
			fail_msg("%s", err.msg);
		const kith_source_info *info = kith_source_get_info(s);
		assert_true(info->kept <= memory / 8);
		assert_int_equal(info->spilled > 0, chunk > memory / 16);
		assert_int_equal(info->kept > 0, !info->spilled);
		assert_int_equal(kith_source_read(s, 0, ROWS, got, NULL, &err), 0);
		for (int i = 0; i < VALUES; i++)
			assert_true(got[i] == i / 4. - 3);
		kith_source_close(s);
	}
	expect_refusal(array_of("chunked.h5", "gzip"), &(kith_input_how){.memory = 4 * chunk - 1},
		       "have to be in memory whole");
}

static int see_nothing(void *context, const kith_source_entry *entry, kith_err *err)
{
	(void)context;
	(void)entry;
	(void)err;
	return 0;
}

/* Whoever opened the pipe would wait. */
static void test_other_files_stay_closed(void **state)
{
	char path[SANDBOX_PATH];
	size_t size;
	unsigned char *bytes = sandbox_read(data("endless.h5"), &size);
	kith_err err = {0};
	(void)state;
	assert_int_equal(mkfifo(sandbox_path(path, "source.h5"), 0600), 0);
	sandbox_write(sandbox_path(path, "endless.h5"), bytes, size);
	free(bytes);
	alarm(60);
	expect_refusal(path, NULL, "in other files");
	assert_int_equal(kith_source_list(path, NULL, see_nothing, NULL, &err), 0);
	alarm(0);
}

static void test_hdf5(void **state)
{
	static const char *const swapped[] = {"big_f2", "big_f4", "big_f8", "big_i2", "big_i4", "big_i8", "big_u2"};
	static const kith_dtype types[] = {KITH_F2, KITH_F4, KITH_F8, KITH_I2, KITH_I4, KITH_I8, KITH_U2};
	(void)state;
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
		expect_values(array_of("types.h5", arrays[i].name), "hdf5", arrays[i].dtype);
	for (size_t i = 0; i < 7; i++)
		expect_values(array_of("types.h5", swapped[i]), "hdf5", types[i]);
	expect_values(array_of("types.h5", "V2"), "hdf5", KITH_BF16);
	expect_values(array_of("types.h5", "group/inner"), "hdf5", KITH_F4);
	expect_values(array_of("types.h5", "/group/inner"), "hdf5", KITH_F4);
	expect_values(array_of("types.h5", "soft"), "hdf5", KITH_F4);
	expect_values(data("one.h5"), "hdf5", KITH_F4);
	for (int i = 0; i < 4; i++)
		expect_values(array_of("chunked.h5", (const char *[]){"rows", "tiles", "grown", "compact"}[i]), "hdf5",
			      KITH_F4);
	expect_values(array_of("chunked.h5", "gzip"), "hdf5", KITH_F8);
}

static void test_bad_hdf5(void **state)
{
	(void)state;
	expect_refusal(array_of("types.h5", "strings"), NULL, "strings holds strings");
	expect_refusal(array_of("types.h5", "texts"), NULL, "texts holds strings");
	expect_refusal(array_of("types.h5", "compound"), NULL, "a compound");
	expect_refusal(array_of("types.h5", "complex"), NULL, "a compound");
	expect_refusal(array_of("types.h5", "long"), NULL, "a float of an unusual format");
	expect_refusal(array_of("types.h5", "references"), NULL, "references");
	expect_refusal(array_of("types.h5", "scalar"), NULL, "a single number");
	expect_refusal(array_of("types.h5", "nothing"), NULL, "a single number");
	expect_refusal(array_of("types.h5", "unwritten"), NULL, "never written");
	expect_refusal(array_of("types.h5", "empty"), NULL, "holds no values");
	expect_refusal(array_of("types.h5", "other"), NULL, "link to another file, one.h5");
	expect_refusal(array_of("types.h5", "through"), NULL, "link to another file, one.h5");
	expect_refusal(array_of("types.h5", "f9"), NULL, "has no array \"f9\"");
	expect_refusal(array_of("types.h5", "group"), NULL, "has no array \"group\"");
	expect_refusal(data("types.h5"), NULL, "arrays: name one");
	expect_refusal(array_of("chunked.h5", "zstd"), NULL, "the filter 32015");
	expect_refusal(array_of("chunked.h5", "elsewhere"), NULL, "in other files");
	expect_refusal(array_of("chunked.h5", "virtual"), NULL, "in other files");
}

static void test_hdf5_damage(void **state)
{
	(void)state;
	damage("one.h5", "", 7);
	damage("chunked.h5", ":gzip", 101);
}
#endif

#ifndef KITH_HDF5
static void test_no_hdf5(void **state)
{
	(void)state;
	expect_refusal(data("one.h5"), NULL, "-DKITH_HDF5=ON");
	expect_refusal(array_of("types.h5", "f4"), NULL, "-DKITH_HDF5=ON");
}
#endif

/* ---- what is not read ---- */

static void test_foreign(void **state)
{
	static const struct {
		const char *name, *text;
	} known[] = {{"acts.pt", "torch.load('"},         {"old.pth", "torch.load('"},
		     {"acts2.pkl", "pickle.load(open('"}, {"acts5.pkl", "pickle.load(open('"},
		     {"acts.mat", "scipy.io.loadmat('"},  {"acts73.mat", "h5py.File('"}};
	char path[SANDBOX_PATH + 8];
	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		expect_refusal(data(known[i].name), NULL, known[i].text);
		expect_refusal(data(known[i].name), NULL, "(2) with kith.writer('");
	}
	sandbox_path(path, "it's\\.arrow");
	sandbox_write(path, "ARROW1\0\0........", 16);
	expect_refusal(path, NULL, "pyarrow.ipc.open_file('");
	expect_refusal(path, NULL, "it\\'s\\\\.arrow')");
	sandbox_write(path, "\xff\xff\xff\xff....", 8);
	expect_refusal(path, NULL, "pyarrow.ipc.open_stream('");
	sandbox_path(path, "table.parquet");
	sandbox_write(path, "PAR1....", 8);
	strcat(path, ":emb");
	expect_refusal(path, NULL, "c = 'emb' (2)");
	sandbox_path(path, "acts.pth");
	sandbox_write(path, "x", 1);
	strcat(path, ":layer");
	expect_refusal(path, NULL, "['layer'] (2)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_npz),
		cmocka_unit_test(test_fortran_memory),
		cmocka_unit_test(test_npz_alignment),
		cmocka_unit_test(test_npz_bad_members),
		cmocka_unit_test(test_npz_damage),
		cmocka_unit_test(test_npz_shards),
		cmocka_unit_test(test_bins),
		cmocka_unit_test(test_bad_bins),
		cmocka_unit_test(test_rows_of_other_lengths),
#ifdef KITH_HDF5
		cmocka_unit_test(test_hdf5),
		cmocka_unit_test(test_bad_hdf5),
		cmocka_unit_test(test_hdf5_damage),
		cmocka_unit_test(test_hdf5_shards),
		cmocka_unit_test(test_wide_chunks),
		cmocka_unit_test(test_hdf5_memory),
		cmocka_unit_test(test_other_files_stay_closed),
#else
		cmocka_unit_test(test_no_hdf5),
#endif
		cmocka_unit_test(test_foreign),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
