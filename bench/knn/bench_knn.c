/* bench_knn.c - one run of one engine over one layer, and what bench/knn/bench.py needs around it.
 *
 *   bench_knn kith  K THREADS MEMORY FILE.npy
 *       seconds, peak resident MiB (MEMORY in bytes; 0: kith-knn's default)
 *   bench_knn foresee K THREADS MEMORY FILE.npy
 *       what kith-knn --dry-run says of that: seconds, and the peak resident MiB of finding it out
 *   bench_knn faiss K THREADS 0 FILE.npy
 *       the same of FAISS' IndexFlatL2
 *   bench_knn check K THREADS 0 FILE.npy
 *       percent of rows with the same neighbour set from both, percent of neighbours in common
 *   bench_knn engine K THREADS ENGINE FILE.npy
 *       seconds, peak resident MiB of kith with --engine ENGINE
 *   bench_knn bare K THREADS FACTORY[;PARAMETER=VALUE,...] FILE.npy
 *       the same of that FAISS index, trained on, given and asked for all samples in a call each
 *   bench_knn index K THREADS MEMORY FILE.npy
 *       what kith does, with --ties index
 *   bench_knn shape FILE.npy
 *       n, d, bytes of the file
 *   bench_knn cut ROWS FILE.npy OUT.npy
 *       the first ROWS rows
 *   bench_knn gauss N D OUT.npy
 *       N x D independent standard normal floats, the same every time
 *   bench_knn layer KIND N D OUT.npy
 *       a layer of N x D values: `ordinary` (rectified features of 20 clusters in 24 dimensions); the same with half of
 *       its samples `nearzero` (noise of 1e-7) or `onerow` (one of them x (1 + 1e-6 noise)); `lengths` (log-normal
 *       norms, sigma 4); `blobs` (two, in f8) and ordinary8 to compare with; `collapsed` (two classes) and `far` (ten
 *       tight clusters); `onehot` (of D classes); `zeros` (half of the samples) and `copies` (95 distinct samples)
 *   bench_knn versions
 *       OpenBLAS, FAISS
 *
 * Seconds run from the array, already in the page cache, to the finished neighbour lists. For kith that is all that
 * kith-knn does: reading, the graph, its reverse lists, the file synced in $TMPDIR. For FAISS it is training, adding
 * and the search of k + 1 neighbours (the query itself is one) over an array of floats in memory; reading it is not
 * counted. */
#include <cblas.h>
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "activations.h"
#include "alloc.h"
#include "kith/graph.h"
#include "kith/knn.h"
#include "npy_write.h"
#include "rng.h"

#define COPIED 95u /* distinct samples of a layer of copies */

typedef struct job {
	const char *path;
	const char *engine; /* kith's, or FAISS' factory and parameters; NULL: exact, Flat */
	uint64_t memory;
	uint32_t k;
	int threads;
	kith_ties ties;
} job;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_run(double seconds)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	printf("%.3f %ld\n", seconds, (used.ru_maxrss + 1023) / 1024);
}

static kith_knn_options options_of(const job *j)
{
	kith_knn_options options;
	kith_knn_defaults(&options);
	options.ladder[0] = j->k;
	options.threads = j->threads;
	options.ties = j->ties;
	if (j->engine)
		options.engine = j->engine;
	if (j->memory)
		options.memory = j->memory;
	return options;
}

static int build_kith(const job *j, const char *output, double *seconds, kith_err *err)
{
	kith_knn_options options = options_of(j);
	kith_knn_summary summary;
	double start = now();
	int rc = kith_knn_build(j->path, output, &options, &summary, err);
	*seconds = now() - start;
	return rc;
}

static int foresee_kith(const job *j, kith_err *err)
{
	kith_knn_options options = options_of(j);
	kith_knn_estimate estimate;
	int rc = kith_knn_foresee(j->path, &options, &estimate, err);
	if (!rc)
		print_run(estimate.seconds);
	return rc;
}

static const char *scratch_graph(void)
{
	static char path[4096];
	const char *folder = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/bench_knn.%ld.nng", folder ? folder : "/tmp", (long)getpid());
	return path;
}

static int run_kith(const job *j, kith_err *err);

static int run_index(const job *j, kith_err *err)
{
	job by_index = *j;
	by_index.ties = KITH_TIES_INDEX;
	return run_kith(&by_index, err);
}

static int run_kith(const job *j, kith_err *err)
{
	double seconds;
	int rc = build_kith(j, scratch_graph(), &seconds, err);
	unlink(scratch_graph());
	if (!rc)
		print_run(seconds);
	return rc;
}

static int read_floats(const char *path, uint64_t *n, uint64_t *d, float **out, kith_err *err)
{
	kith_activations *npy = NULL;
	double *row = NULL;
	float *x = NULL;
	int rc = kith_activations_open(&npy, path, err);
	if (rc)
		return rc;
	*n = kith_activations_get_info(npy)->n, *d = kith_activations_get_info(npy)->d;
	row = kith_alloc(*d, sizeof *row);
	x = kith_alloc(*n * *d, sizeof *x);
	if (!row || !x) {
		rc = kith_fail_nomem(err, "the array", *n * *d * sizeof *x);
		goto done;
	}
	for (uint64_t i = 0; i < *n; i++) {
		if ((rc = kith_activations_read(npy, i, 1, row, NULL, err)))
			goto done;
		for (uint64_t t = 0; t < *d; t++)
			x[i * *d + t] = (float)row[t];
	}
	*out = x;
	x = NULL;
done:
	free(row);
	free(x);
	kith_activations_close(npy);
	return rc;
}

/* FAISS' index of j->engine, with its parameters set. */
static int make_index(const job *j, uint64_t d, FaissIndex **index)
{
	const char *text = j->engine ? j->engine : "Flat";
	char factory[256];
	FaissParameterSpace *space = NULL;
	snprintf(factory, sizeof factory, "%.*s", (int)strcspn(text, ";"), text);
	text += strcspn(text, ";");
	int bad = faiss_index_factory(index, (int)d, factory, METRIC_L2) || faiss_ParameterSpace_new(&space);
	while (!bad && *text) {
		char name[64];
		double value;
		bad = sscanf(++text, "%63[^=]=%lf", name, &value) != 2 ||
		      faiss_ParameterSpace_set_index_parameter(space, *index, name, value);
		text += strcspn(text, ",");
	}
	if (space)
		faiss_ParameterSpace_free(space);
	return bad;
}

/* labels[n][k + 1], for the caller to free. */
static int search_faiss(const job *j, double *seconds, uint64_t *n, idx_t **out, kith_err *err)
{
	FaissIndex *index = NULL;
	float *x = NULL, *distances = NULL;
	idx_t *labels = NULL;
	uint64_t d, per_row = (uint64_t)j->k + 1;
	int rc = read_floats(j->path, n, &d, &x, err);
	if (rc)
		return rc;
	distances = kith_alloc(*n * per_row, sizeof *distances);
	labels = kith_alloc(*n * per_row, sizeof *labels);
	if (!distances || !labels) {
		rc = kith_fail_nomem(err, "FAISS' lists", *n * per_row * (sizeof *distances + sizeof *labels));
		goto done;
	}
	omp_set_num_threads(j->threads);
	double start = now();
	if (make_index(j, d, &index) || (!faiss_Index_is_trained(index) && faiss_Index_train(index, (idx_t)*n, x)) ||
	    faiss_Index_add(index, (idx_t)*n, x) ||
	    faiss_Index_search(index, (idx_t)*n, x, (idx_t)per_row, distances, labels)) {
		rc = kith_fail(err, KITH_ENOMEM, "FAISS failed: %s", faiss_get_last_error());
		goto done;
	}
	*seconds = now() - start;
	*out = labels;
	labels = NULL;
done:
	if (index)
		faiss_Index_free(index);
	free(x);
	free(distances);
	free(labels);
	return rc;
}

static int run_faiss(const job *j, kith_err *err)
{
	double seconds;
	uint64_t n;
	idx_t *labels;
	int rc = search_faiss(j, &seconds, &n, &labels, err);
	if (rc)
		return rc;
	free(labels);
	print_run(seconds);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Row i's k neighbours from its k + 1 labels: without i or, where more than k duplicates crowded i out, the last. */
static void drop_self(const idx_t *labels, uint32_t k, uint64_t i, uint32_t *out)
{
	uint32_t self = 0;
	while (self < k && labels[self] != (idx_t)i)
		self++;
	for (uint32_t t = 0; t < k; t++)
		out[t] = (uint32_t)labels[t + (t >= self)];
	qsort(out, k, sizeof *out, compare_ids);
}

static uint32_t count_common(const uint32_t *a, const uint32_t *b, uint32_t k)
{
	uint32_t common = 0;
	for (uint32_t s = 0, t = 0; s < k && t < k;) {
		common += a[s] == b[t];
		if (a[s] <= b[t])
			s++, t += a[s - 1] == b[t];
		else
			t++;
	}
	return common;
}

/* FAISS computes in floats: near ties may differ, so this reports and judges nothing. */
static int compare(const job *j, const char *graph_path, kith_err *err)
{
	kith_graph *graph = NULL;
	idx_t *labels = NULL;
	uint32_t *ours = NULL, *theirs = NULL;
	uint64_t n, rows = 0, ids = 0;
	double seconds;
	int rc = build_kith(j, graph_path, &seconds, err);
	if (rc || (rc = search_faiss(j, &seconds, &n, &labels, err)) || (rc = kith_graph_open(&graph, graph_path, err)))
		goto done;
	ours = kith_alloc(n * j->k, sizeof *ours);
	theirs = kith_alloc(j->k, sizeof *theirs);
	if (!ours || !theirs) {
		rc = kith_fail_nomem(err, "the rows", n * j->k * sizeof *ours);
		goto done;
	}
	if ((rc = kith_graph_read_rows(graph, 0, n, 1, ours, err)))
		goto done;
	for (uint64_t i = 0; i < n; i++) {
		drop_self(labels + i * (j->k + 1), j->k, i, theirs);
		uint32_t common = count_common(ours + i * j->k, theirs, j->k);
		rows += common == j->k;
		ids += common;
	}
	printf("%.4f %.4f\n", 100.0 * (double)rows / (double)n, 100.0 * (double)ids / (double)(n * j->k));
done:
	kith_graph_close(graph);
	free(labels);
	free(ours);
	free(theirs);
	return rc;
}

static int run_check(const job *j, kith_err *err)
{
	int rc = compare(j, scratch_graph(), err);
	unlink(scratch_graph());
	return rc;
}

static int print_shape(char **argv, kith_err *err)
{
	kith_activations *npy = NULL;
	struct stat file;
	int rc = kith_activations_open(&npy, argv[0], err);
	if (rc)
		return rc;
	const kith_activations_info *info = kith_activations_get_info(npy);
	if (stat(argv[0], &file))
		rc = kith_fail_errno(err, "%s: cannot open", argv[0]);
	else
		printf("%llu %llu %llu\n", (unsigned long long)info->n, (unsigned long long)info->d,
		       (unsigned long long)file.st_size);
	kith_activations_close(npy);
	return rc;
}

static int cut(char **argv, kith_err *err)
{
	uint64_t rows = strtoull(argv[0], NULL, 10), d;
	kith_activations *npy = NULL;
	double *values = NULL;
	void *raw = NULL;
	int rc = kith_activations_open(&npy, argv[1], err);
	if (rc)
		return rc;
	if (rows < 1 || rows > kith_activations_get_info(npy)->n) {
		rc = kith_fail(err, KITH_EUSAGE, "%s has no %s rows", argv[1], argv[0]);
		goto done;
	}
	d = kith_activations_get_info(npy)->d;
	values = kith_alloc(rows * d, sizeof *values);
	raw = kith_alloc(rows * d, kith_dtype_size(kith_activations_get_info(npy)->dtype));
	if (!values || !raw) {
		rc = kith_fail_nomem(err, "the rows", rows * d * sizeof *values);
		goto done;
	}
	if ((rc = kith_activations_read(npy, 0, rows, values, NULL, err)))
		goto done;
	npy_encode(kith_activations_get_info(npy)->dtype, values, rows * d,
		   raw); /* exact: every value came from this type */
	npy_write(argv[2], kith_activations_get_info(npy)->dtype, rows, d, raw);
done:
	free(values);
	free(raw);
	kith_activations_close(npy);
	return rc;
}

/* Box and Muller: truly normal, hence truly isotropic. */
static int write_gauss(char **argv, kith_err *err)
{
	uint64_t n = strtoull(argv[0], NULL, 10), d = strtoull(argv[1], NULL, 10), count = n * d;
	rng r = {1};
	float *x = kith_alloc(count + 1, sizeof *x);
	if (!x)
		return kith_fail_nomem(err, "the array", count * sizeof *x);
	for (uint64_t i = 0; i < count; i += 2) {
		double radius = sqrt(-2 * log(1 - rng_unit(&r))), angle = 2 * M_PI * rng_unit(&r);
		x[i] = (float)(radius * cos(angle));
		x[i + 1] = (float)(radius * sin(angle));
	}
	npy_write(argv[2], KITH_F4, n, d, x);
	free(x);
	return 0;
}

struct layer {
	const char *kind;
	uint64_t n, d;
	double *weights, *centres; /* 24 x d; 20 x (24 or d) */
	rng r;
};

/* One of 20 clusters in 24 dimensions, rectified. */
static void ordinary_row(struct layer *l, double *row)
{
	const double *centre = l->centres + rng_below(&l->r, 20) * l->d;
	double z[24];
	for (int e = 0; e < 24; e++)
		z[e] = 3 * centre[e] + rng_normal(&l->r);
	for (uint64_t t = 0; t < l->d; t++) {
		double sum = 0.1 * rng_normal(&l->r);
		for (int e = 0; e < 24; e++)
			sum += z[e] * l->weights[(uint64_t)e * l->d + t] / sqrt(24);
		row[t] = sum > 0 ? sum : 0;
	}
}

static void layer_row(struct layer *l, double *row, const double *first)
{
	int near = !strcmp(l->kind, "nearzero"), one = !strcmp(l->kind, "onerow"), half = rng_chance(&l->r, 50);
	int blobs = !strcmp(l->kind, "blobs"), far = !strcmp(l->kind, "far"), two = !strcmp(l->kind, "collapsed");
	double length = !strcmp(l->kind, "lengths") ? exp(4 * rng_normal(&l->r)) : 1;
	const double *centre = l->centres + rng_below(&l->r, far ? 10 : 2) * l->d;
	if (half && !strcmp(l->kind, "zeros")) {
		memset(row, 0, l->d * sizeof *row);
		return;
	}
	if (!strcmp(l->kind, "onehot")) {
		memset(row, 0, l->d * sizeof *row);
		row[rng_below(&l->r, l->d)] = 1;
	} else if (blobs || far || two) {
		for (uint64_t t = 0; t < l->d; t++)
			row[t] = centre[t] + (blobs ? 1e-6 : far ? 1e-4 : 1e-3) * rng_normal(&l->r);
	} else if (half && (near || one)) {
		for (uint64_t t = 0; t < l->d; t++)
			row[t] = near ? 1e-7 * rng_normal(&l->r) : first[t] * (1 + 1e-6 * rng_normal(&l->r));
	} else {
		ordinary_row(l, row);
		for (uint64_t t = 0; t < l->d; t++)
			row[t] *= length;
	}
}

static int write_layer(char **argv, kith_err *err)
{
	struct layer l = {
		.kind = argv[0], .n = strtoull(argv[1], NULL, 10), .d = strtoull(argv[2], NULL, 10), .r = {1}};
	kith_dtype dtype = !strcmp(l.kind, "blobs") || !strcmp(l.kind, "ordinary8") ? KITH_F8 : KITH_F4;
	double *x = kith_alloc((l.n + 45) * l.d + 20 * 24, sizeof *x);
	void *raw = x ? kith_alloc(l.n * l.d, npy_size(dtype)) : NULL;
	if (!raw) {
		free(x);
		return kith_fail_nomem(err, "the array", l.n * l.d * sizeof *x);
	}
	l.weights = x + l.n * l.d;
	l.centres = l.weights + 24 * l.d;
	for (uint64_t e = 0; e < 44 * l.d + 24; e++)
		l.weights[e] = rng_normal(&l.r);
	ordinary_row(&l, l.centres + 20 * l.d);
	for (uint64_t i = 0; i < l.n; i++)
		if (!strcmp(l.kind, "copies") && i >= COPIED)
			memcpy(x + i * l.d, x + rng_below(&l.r, COPIED) * l.d, l.d * sizeof *x);
		else
			layer_row(&l, x + i * l.d, l.centres + 20 * l.d);
	npy_encode(dtype, x, l.n * l.d, raw);
	npy_write(argv[3], dtype, l.n, l.d, raw);
	free(raw);
	free(x);
	return 0;
}

static int print_versions(char **argv, kith_err *err)
{
	(void)argv, (void)err;
	char name[64] = "", version[64] = "";
	sscanf(openblas_get_config(), "%63s %63s", name, version);
	printf("%s %s %s,%s\n", name, version, openblas_get_corename(), BENCH_FAISS_VERSION);
	return 0;
}

/* K THREADS ENGINE FILE.npy */
static int run_engine(char **argv, kith_err *err)
{
	job j = {.k = (uint32_t)strtoul(argv[0], NULL, 10),
		 .threads = atoi(argv[1]),
		 .engine = argv[2],
		 .path = argv[3],
		 .ties = KITH_TIES_CONTENT};
	return run_kith(&j, err);
}

static int run_bare(char **argv, kith_err *err)
{
	job j = {.k = (uint32_t)strtoul(argv[0], NULL, 10),
		 .threads = atoi(argv[1]),
		 .engine = argv[2],
		 .path = argv[3]};
	return run_faiss(&j, err);
}

static int run_job(int (*run)(const job *, kith_err *), char **argv, kith_err *err)
{
	job j = {.k = (uint32_t)strtoul(argv[0], NULL, 10),
		 .threads = atoi(argv[1]),
		 .memory = strtoull(argv[2], NULL, 10),
		 .path = argv[3],
		 .ties = KITH_TIES_CONTENT};
	if (j.k < 1 || j.threads < 1)
		return kith_fail(err, KITH_EUSAGE, "K and THREADS start at 1");
	return run(&j, err);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int arguments;
		int (*job)(const job *, kith_err *);
		int (*call)(char **, kith_err *);
	} verbs[] = {{"kith", 4, run_kith, NULL},     {"foresee", 4, foresee_kith, NULL},
		     {"faiss", 4, run_faiss, NULL},   {"index", 4, run_index, NULL},
		     {"check", 4, run_check, NULL},   {"engine", 4, NULL, run_engine},
		     {"bare", 4, NULL, run_bare},     {"shape", 1, NULL, print_shape},
		     {"cut", 3, NULL, cut},           {"gauss", 3, NULL, write_gauss},
		     {"layer", 4, NULL, write_layer}, {"versions", 0, NULL, print_versions}};
	kith_err err;
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
		if (argc < 2 || strcmp(argv[1], verbs[v].name) || argc != 2 + verbs[v].arguments)
			continue;
		if (verbs[v].job ? run_job(verbs[v].job, argv + 2, &err) : verbs[v].call(argv + 2, &err)) {
			fprintf(stderr, "bench_knn: %s\n", err.msg);
			return 1;
		}
		return 0;
	}
	fprintf(stderr, "bench_knn: wrong usage; the head of bench_knn.c says what there is\n");
	return 2;
}
