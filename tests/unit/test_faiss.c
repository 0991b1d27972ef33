/* test_faiss.c - the engine faiss in its parts: what SPEC says, indexes made elsewhere, what a search found, and that
 * FAISS' threads are nobody else's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "faiss.h"
#include "faiss_input.h"
#include "faiss_plan.h"
#include "faiss_spec.h"
#include "found_rows.h"
#include "npy_write.h"
#include "rng.h"
#include "sandbox.h"

#define N 120u
#define D 5u

static float samples[N * D];
static char npy[SANDBOX_PATH];

static int set_up(void **state)
{
	(void)state;
	rng r = {3};
	for (size_t i = 0; i < N * D; i++)
		samples[i] = (float)rng_normal(&r);
	npy_write(sandbox_path(npy, "layer.npy"), KITH_F4, N, D, samples);
	return 0;
}

/* ---- what SPEC says ---- */

static void parse(kith_faiss_spec *spec, const char *text)
{
	kith_err err;
	*spec = (kith_faiss_spec){.block_rows = 7};
	if (kith_faiss_spec_parse(spec, text, &err))
		fail_msg("%s: %s", text, err.msg);
	assert_int_equal(spec->block_rows, 7);
}

static void test_spec(void **state)
{
	(void)state;
	kith_faiss_spec spec;
	char text[256];
	parse(&spec, "Flat");
	assert_string_equal(spec.factory, "Flat");
	assert_string_equal(kith_faiss_spec_text(&spec, text, sizeof text), "");
	assert_int_equal(spec.automatic, -1);
	parse(&spec, "HNSW32;efConstruction=60,efSearch=48");
	assert_string_equal(kith_faiss_spec_text(&spec, text, sizeof text), "efConstruction=60,efSearch=48");
	parse(&spec, "IVF64,Flat;max_codes=0,nprobe=auto,recall=0.995");
	assert_string_equal(kith_faiss_spec_text(&spec, text, sizeof text), "max_codes=0,nprobe=auto,recall=0.995");
	assert_int_equal(spec.automatic, 1);
	spec.parameter[1].value = 12;
	assert_string_equal(kith_faiss_spec_text(&spec, text, sizeof text), "max_codes=0,nprobe=12,recall=0.995");
	assert_true(kith_faiss_spec_text(&spec, text, 12) == text && strlen(text) < 12);
	parse(&spec, "OPQ8,IVF64,PQ8x4fs,RFlat;k_factor_rf=2.5;nprobe=auto");
	assert_true(kith_faiss_spec_value(&spec, "k_factor_rf", 0) == 2.5);
	assert_true(spec.recall == 0.99);
	parse(&spec, "folder/with;nprobe=4");
	assert_false(spec.is_file);
	parse(&spec, "folder/of/an.index;nprobe=4");
	assert_true(spec.is_file);
}

static void test_centroids(void **state)
{
	(void)state;
	static const struct {
		const char *factory;
		uint64_t centroids;
	} all[] = {{"Flat", 1},
		   {"HNSW32", 1},
		   {"IVF4096,Flat", 4096},
		   {"IVF100_HNSW32,Flat", 100},
		   {"PQ8", 256},
		   {"PQ8x10", 1024},
		   {"IVF16,PQ8x4fs", 16},
		   {"IMI2x9,Flat", 512},
		   {"OPQ4,IVF16,Flat", 256},
		   {"RQ3x6", 64},
		   {"SQ8", 1},
		   {"IVF64,PQ8np", 256},
		   {"PCA8,IVF512,SQ8", 512}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		kith_faiss_spec spec;
		parse(&spec, all[i].factory);
		if (kith_faiss_spec_centroids(&spec) != all[i].centroids)
			fail_msg("%s: %llu", all[i].factory, (unsigned long long)kith_faiss_spec_centroids(&spec));
	}
}

/* ---- indexes made elsewhere ---- */

static void write_index(const char *path, const char *factory, FaissMetricType metric, size_t n, size_t d)
{
	FaissIndex *index;
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(faiss_index_factory(&index, (int)d, factory, metric), 0);
	assert_int_equal(faiss_Index_add(index, (faiss_idx_t)n, samples), 0);
	assert_int_equal(faiss_write_index(index, file), 0);
	faiss_Index_free(index);
	fclose(file);
}

/* Builds with the index in a file, and returns the status. */
static int build(const char *path, kith_err *err)
{
	char engine[SANDBOX_PATH + 16], nng[SANDBOX_PATH];
	kith_knn_options options;
	kith_knn_summary summary;
	size_t entries = sandbox_entries();
	snprintf(engine, sizeof engine, "faiss:%s", path);
	kith_knn_defaults(&options);
	options.engine = engine;
	options.threads = 1;
	int rc = kith_knn_build(npy, sandbox_path(nng, "file.nng"), &options, &summary, err);
	assert_int_equal(sandbox_entries(), entries + !rc);
	remove(nng);
	return rc;
}

static void test_file(void **state)
{
	(void)state;
	char path[SANDBOX_PATH];
	kith_err err;
	sandbox_path(path, "made.index");
	write_index(path, "Flat", METRIC_L2, N, D);
	assert_int_equal(build(path, &err), 0);
	write_index(path, "HNSW8", METRIC_L2, N, D);
	assert_int_equal(build(path, &err), 0);
	write_index(path, "Flat", METRIC_L2, N - 1, D);
	assert_int_equal(build(path, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "119 vectors"));
	write_index(path, "Flat", METRIC_L2, N, D - 1);
	assert_int_equal(build(path, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "have 4 values"));
	write_index(path, "Flat", METRIC_INNER_PRODUCT, N, D);
	assert_int_equal(build(path, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "inner product"));
	/* FAISS leaks what it has read of a file that ends early */
	assert_int_equal(truncate(path, getenv("KITH_SANITIZED") ? 3 : 200), 0);
	assert_int_equal(build(path, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "made.index"));
}

/* The rows of the graph of a file under cosine, by `engine`. */
static void cosine_rows(const char *file, const char *engine, uint32_t *rows)
{
	char nng[SANDBOX_PATH];
	kith_knn_options options;
	kith_knn_summary summary;
	kith_graph *graph;
	kith_err err;
	kith_knn_defaults(&options);
	options.engine = engine;
	options.metric = KITH_COSINE;
	options.threads = 1;
	if (kith_knn_build(file, sandbox_path(nng, "file.nng"), &options, &summary, &err) ||
	    kith_graph_open(&graph, nng, &err) || kith_graph_read_rows(graph, 0, N, 1, rows, &err))
		fail_msg("%s", err.msg);
	kith_graph_close(graph);
	remove(nng);
}

/* An index of all samples, of which a third are zero rows, and the others as cosine has them. */
static void test_file_of_zero_rows(void **state)
{
	enum { K = 15 };
	char path[SANDBOX_PATH], file[SANDBOX_PATH], engine[SANDBOX_PATH + 16];
	float saved[N * D];
	uint32_t exact[N * K], found[N * K];
	(void)state;
	memcpy(saved, samples, sizeof saved);
	for (size_t i = 0; i < N; i += 3)
		memset(samples + i * D, 0, D * sizeof *samples);
	npy_write(sandbox_path(file, "zero.npy"), KITH_F4, N, D, samples);
	for (size_t i = 0; i < N; i++) {
		float norm = 0;
		for (size_t t = 0; t < D; t++)
			norm += samples[i * D + t] * samples[i * D + t];
		for (size_t t = 0; norm > 0 && t < D; t++)
			samples[i * D + t] /= sqrtf(norm);
	}
	write_index(sandbox_path(path, "zero.index"), "Flat", METRIC_L2, N, D);
	memcpy(samples, saved, sizeof saved);
	snprintf(engine, sizeof engine, "faiss:%s", path);
	cosine_rows(file, "exact", exact);
	cosine_rows(file, engine, found);
	assert_memory_equal(exact, found, sizeof exact);
}

/* ---- threads, and sizes ---- */

static void test_threads(void **state)
{
	(void)state;
	kith_faiss *index;
	float distances[N * 3];
	int64_t labels[N * 3];
	int before = omp_get_max_threads();
	uint64_t empty;
	assert_int_equal(kith_faiss_make(&index, "IVF4,Flat", D, before + 1, NULL), 0);
	assert_false(kith_faiss_is_trained(index));
	assert_int_equal(kith_faiss_train(index, N, samples, NULL), 0);
	empty = kith_faiss_bytes(index);
	assert_int_equal(kith_faiss_add(index, N, samples, NULL), 0);
	assert_in_range(kith_faiss_bytes(index) - empty, N * D * 4, N * (D * 4 + 16));
	assert_int_equal(kith_faiss_search(index, N, samples, 3, distances, labels, NULL), 0);
	assert_int_equal(labels[0], 0);
	assert_int_equal(kith_faiss_count(index), N);
	assert_int_equal(kith_faiss_reset(index, NULL), 0);
	assert_int_equal(kith_faiss_count(index), 0);
	assert_true(kith_faiss_is_trained(index));
	assert_int_equal(omp_get_max_threads(), before);
	kith_faiss_free(index);
	kith_faiss_free(NULL);
}

/* ---- what a search found ---- */

typedef struct fixture {
	kith_activations *file;
	kith_vectors vectors;
	kith_ranker ranker;
	kith_found_rows rows;
	void *memory;
} fixture;

static void open_rows(fixture *f, uint64_t first, uint64_t count, uint32_t k, uint64_t found)
{
	kith_workspace w = {0};
	assert_int_equal(kith_activations_open(&f->file, npy, NULL), 0);
	assert_int_equal(kith_vectors_init(&f->vectors, f->file, KITH_L2, 1 << 20, 1, NULL, NULL), 0);
	kith_ranker_init(&f->ranker, &f->vectors, k, found, 1 << 20, 2, NULL, &w);
	f->rows.first = first;
	f->rows.count = count;
	KITH_BUFFER(&w, f->rows.ids, count * k);
	KITH_BUFFER(&w, f->rows.dist2, count * k);
	KITH_BUFFER(&w, f->rows.left, count);
	assert_int_equal(kith_workspace_alloc(&w, &f->memory, "rows", NULL), 0);
	kith_found_rows_clear(&f->rows, k);
}

static void close_rows(fixture *f)
{
	free(f->memory);
	kith_vectors_free(&f->vectors);
	kith_activations_close(f->file);
}

static void test_rows(void **state)
{
	(void)state;
	/* row 10: itself, nobody, twice the same, beyond all samples; row 11: nobody at all */
	const int64_t found[] = {10, -1, 4, 4, N, 7, -1, -1, -1, -1, -1, -1};
	const int64_t more[] = {7 - 3, 99 - 3, 4 - 3, 30 - 3, -1, -1, 11 - 3, -1, -1, -1, -1, -1};
	fixture f;
	uint64_t completed = 0;
	open_rows(&f, 10, 2, 4, 6);
	assert_int_equal(kith_found_rows_take(&f.ranker, &f.rows, found, 6, 0, NULL), 0);
	assert_int_equal(f.rows.ids[0] + f.rows.ids[1], 4 + 7);
	assert_int_equal(f.rows.ids[2], KITH_NOBODY);
	assert_int_equal(f.rows.ids[4], KITH_NOBODY);
	assert_int_equal(kith_found_rows_take(&f.ranker, &f.rows, more, 6, 3, NULL), 0);
	assert_int_equal(f.rows.ids[0] + f.rows.ids[1] + f.rows.ids[2] + f.rows.ids[3], 4 + 7 + 99 + 30);
	for (int i = 1; i < 4; i++)
		assert_true(f.rows.dist2[i - 1] <= f.rows.dist2[i]);
	assert_int_equal(f.rows.ids[4], KITH_NOBODY);
	assert_int_equal(kith_found_rows_complete(&f.ranker, &f.rows, &completed, NULL), 0);
	assert_int_equal(completed, 1);
	assert_int_not_equal(f.rows.ids[7], KITH_NOBODY);
	close_rows(&f);
}

/* Few rows, compared with all samples, and many, by products, are completed alike. */
static void test_complete(void **state)
{
	(void)state;
	fixture few, many;
	uint64_t completed = 0;
	open_rows(&many, 0, N, 6, 9);
	assert_int_equal(kith_found_rows_complete(&many.ranker, &many.rows, &completed, NULL), 0);
	assert_int_equal(completed, N);
	for (uint64_t first = 0; first < N; first += 40) {
		open_rows(&few, first, 40, 6, 9);
		assert_int_equal(kith_found_rows_complete(&few.ranker, &few.rows, &completed, NULL), 0);
		assert_memory_equal(few.rows.ids, many.rows.ids + first * 6, 40 * 6 * sizeof *few.rows.ids);
		assert_memory_equal(few.rows.dist2, many.rows.dist2 + first * 6, 40 * 6 * sizeof *few.rows.dist2);
		close_rows(&few);
	}
	close_rows(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spec),     cmocka_unit_test(test_centroids),
		cmocka_unit_test(test_file),     cmocka_unit_test(test_file_of_zero_rows),
		cmocka_unit_test(test_threads),  cmocka_unit_test(test_rows),
		cmocka_unit_test(test_complete),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
