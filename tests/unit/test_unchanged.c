/* test_unchanged.c - inputs that change while they are read: seen in the bytes, in the file's time, in its place. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "activations.h"
#include "kith/graph.h"
#include "kith/knn.h"
#include "npy_write.h"
#include "sandbox.h"

enum { N = 600, D = 64, BLOCK = 64 }; /* samples of 256 bytes; 64 of them are 16 KiB, a block */

static char path[SANDBOX_PATH];
static float values[N * D];

/* The same file anew: another inode, and a time that no change by this test can hit. */
static void fresh(void)
{
	for (int i = 0; i < N * D; i++)
		values[i] = (float)(i % 1013);
	remove(path);
	npy_write(path, KITH_F4, N, D, values);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{1000, 0}, {1000, 5}}, 0), 0);
}

static kith_activations *scanned(uint64_t memory)
{
	kith_activations *a = NULL;
	kith_scan scan;
	kith_err err = {0};
	fresh();
	if (kith_activations_open(&a, path, &err) || kith_activations_scan(a, memory, 2, NULL, &scan, NULL, &err))
		fail_msg("%s", err.msg);
	return a;
}

/* Changes a byte of row `row`, and puts the time back as stores through a mapping leave it, now and then. */
static void poke(int row)
{
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\x55", 1, 128 + (off_t)row * D * 4 + 9), 1);
	assert_int_equal(futimens(fd, (struct timespec[2]){{1000, 0}, {1000, 5}}), 0);
	close(fd);
}

static void expect_change(int rc, const kith_err *err)
{
	assert_int_equal(rc, KITH_EIO);
	if (!strstr(err->msg, path) || !strstr(err->msg, "changed while it was read"))
		fail_msg("%s", err->msg);
}

static void test_bytes(void **state)
{
	static float out[N * D];
	static double doubles[N * D];
	kith_err err = {0};
	(void)state;
	for (uint64_t memory = 1; memory <= 1 << 24; memory *= 64) { /* blocks of one row, of some, of BLOCK */
		kith_activations *a = scanned(memory);
		assert_int_equal(kith_activations_read_floats(a, 3, N - 5, out, NULL, &err), 0);
		assert_memory_equal(out, values + 3 * D, (N - 5) * D * sizeof *out);
		assert_int_equal(kith_activations_verify(a, 2, NULL, &err), 0);
		poke(N - 1); /* in the last block, which is shorter */
		assert_int_equal(kith_activations_unchanged(a, &err), 0);
		assert_int_equal(kith_activations_read_floats(a, 0, BLOCK, out, NULL, &err), 0);
		expect_change(kith_activations_read_floats(a, 0, N, out, NULL, &err), &err);
		expect_change(kith_activations_read(a, N / BLOCK * BLOCK, N % BLOCK, doubles, NULL, &err), &err);
		expect_change(kith_activations_verify(a, 2, NULL, &err), &err);
		kith_activations_close(a);
	}
	/* A part of a block is compared when all is done. */
	kith_activations *a = scanned(1 << 24);
	poke(BLOCK + 1);
	assert_int_equal(kith_activations_read(a, BLOCK + 1, 1, doubles, NULL, &err), 0);
	assert_int_equal(kith_activations_read(a, BLOCK + 1, BLOCK, doubles, NULL, &err), 0);
	expect_change(kith_activations_verify(a, 1, NULL, &err), &err);
	kith_activations_close(a);
}

static void test_header(void **state)
{
	kith_activations *a = scanned(1 << 20);
	kith_err err = {0};
	int fd = open(path, O_WRONLY);
	(void)state;
	assert_int_equal(pwrite(fd, "\t", 1, 100), 1); /* a blank */
	assert_int_equal(futimens(fd, (struct timespec[2]){{1000, 0}, {1000, 5}}), 0);
	close(fd);
	expect_change(kith_activations_verify(a, 2, NULL, &err), &err);
	kith_activations_close(a);
}

static void test_time_and_place(void **state)
{
	char other[SANDBOX_PATH];
	kith_err err = {0};
	(void)state;
	sandbox_path(other, "other.npy");
	kith_activations *a = scanned(1 << 20);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{1000, 0}, {1000, 6}}, 0), 0);
	expect_change(kith_activations_unchanged(a, &err), &err);
	expect_change(kith_activations_verify(a, 2, NULL, &err), &err);
	kith_activations_close(a);

	a = scanned(1 << 20);
	assert_int_equal(truncate(path, 5000), 0);
	static double row[D];
	expect_change(kith_activations_read(a, N - 1, 1, row, NULL, &err), &err);
	kith_activations_close(a);

	/* moved away it is what it was; but not if another file stands there then */
	a = scanned(1 << 20);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(kith_activations_verify(a, 2, NULL, &err), 0);
	npy_write(path, KITH_F4, N, D, values);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{1000, 0}, {1000, 5}}, 0), 0);
	expect_change(kith_activations_verify(a, 2, NULL, &err), &err);
	kith_activations_close(a);
	remove(other);
}

static int go_on(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	(void)what, (void)done, (void)total;
	return *(int *)context;
}

static void test_watch(void **state)
{
	int stop = 0;
	kith_progress user = {go_on, &stop};
	kith_activations_watch watch;
	kith_err err = {KITH_ECANCELED, "stopped"};
	kith_activations *a = scanned(1 << 20);
	kith_progress watched = kith_activations_watched(&watch, a, &user);
	(void)state;
	usleep(200000);
	assert_int_equal(kith_progress_tick(&watched, "x", 0, 1, &err), 0);
	assert_int_equal(kith_activations_blame(&watch, KITH_EBUG, &err), KITH_EBUG);
	utimensat(AT_FDCWD, path, NULL, 0);
	assert_int_equal(kith_activations_blame(&watch, 0, &err), 0);
	usleep(200000);
	assert_int_equal(kith_progress_tick(&watched, "x", 0, 1, &err), KITH_ECANCELED);
	expect_change(kith_activations_blame(&watch, KITH_ECANCELED, &err), &err);
	err = (kith_err){KITH_EUSAGE, "a NaN"};
	expect_change(kith_activations_blame(&watch, KITH_EUSAGE, &err), &err);
	stop = 1; /* what the user asks for comes first */
	assert_int_equal(kith_progress_tick(&watched, "x", 0, 1, &err), KITH_ECANCELED);
	assert_int_equal(kith_activations_blame(&watch, KITH_ECANCELED, &err), KITH_ECANCELED);
	kith_activations_close(a);
}

/* A change while kith_knn_build works, at each call of progress in turn: the time says so, or the bytes. */
struct saboteur {
	int calls, at, keep_time;
};

static int sabotage(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	struct saboteur *s = context;
	(void)what, (void)done, (void)total;
	if (s->calls++ == s->at) {
		poke(0);
		if (!s->keep_time)
			utimensat(AT_FDCWD, path, NULL, 0);
	}
	return 0;
}

static void test_build(void **state)
{
	char nng[SANDBOX_PATH];
	struct saboteur s = {0};
	kith_knn_options o;
	kith_knn_summary summary;
	kith_err err = {0};
	int refused = 0;
	(void)state;
	sandbox_path(nng, "out.nng");
	kith_knn_defaults(&o);
	o.progress = (kith_progress){sabotage, &s};
	o.threads = 1;
	for (int engine = 0; engine < 2; engine++)
		for (int at = 0, done = 0; !done; at += 1 + at / 2) {
			s = (struct saboteur){.at = at, .keep_time = at % 2};
			o.engine = engine ? "approx" : "exact";
			o.memory = at % 3 ? 1 << 24 : 1 << 21;
			fresh();
			remove(nng);
			size_t entries = sandbox_entries();
			int rc = kith_knn_build(path, nng, &o, &summary, &err);
			if (rc) {
				expect_change(rc, &err);
				assert_int_equal(sandbox_entries(), entries);
				refused++;
			} else if (at == 0) { /* what is changed before it is read is no change, but for its time */
				assert_true(s.keep_time);
			}
			done = s.calls <= at;
		}
	assert_true(refused > 5);
}

static void test_graph(void **state)
{
	char nng[SANDBOX_PATH], copy[SANDBOX_PATH];
	kith_knn_options o;
	kith_knn_summary summary;
	kith_graph *graph;
	kith_err err = {0};
	size_t size;
	(void)state;
	fresh();
	kith_knn_defaults(&o);
	assert_int_equal(kith_knn_build(path, sandbox_path(nng, "out.nng"), &o, &summary, &err), 0);
	unsigned char *bytes = sandbox_read(nng, &size);
	assert_int_equal(kith_graph_open(&graph, nng, &err), 0);
	assert_int_equal(kith_graph_unchanged(graph, &err), 0);
	utimensat(AT_FDCWD, nng, NULL, 0);
	assert_int_equal(kith_graph_unchanged(graph, &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "out.nng: changed while it was read"));
	kith_graph_close(graph);
	assert_int_equal(kith_graph_open(&graph, nng, &err), 0);
	sandbox_write(sandbox_path(copy, "copy.nng"), bytes, size);
	assert_int_equal(rename(copy, nng), 0);
	assert_int_equal(kith_graph_unchanged(graph, &err), KITH_EIO);
	kith_graph_close(graph);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_header), cmocka_unit_test(test_time_and_place),
		cmocka_unit_test(test_watch), cmocka_unit_test(test_build),  cmocka_unit_test(test_graph),
	};
	sandbox_path(path, "file.npy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
