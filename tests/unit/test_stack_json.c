/* test_stack_json.c - stack.json: what is written comes back bit for bit, and whatever else a file holds is refused
 * with a reason, never believed and never a crash. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kith/stack.h"
#include "outfile.h"
#include "rng.h"
#include "sandbox.h"
#include "text.h"

#define LAYERS 3
#ifndef MUTATIONS /* a long search defines more */
#define MUTATIONS 4000
#endif
#define HUGE 9007199254740993u /* 2^53 + 1: no double has it */

static char path[SANDBOX_PATH], mutant[SANDBOX_PATH];

/* That of samples whose IoU is q. */
static double overlap_of(double q)
{
	return 2 * q / (1 + q);
}

/* Three layers, two k; NNTP at k = 2 for union at alpha 0 and 1 and mutual at alpha 0. Worked by hand:
 *   runs at alpha 0       0..0: 4   0..1: HUGE   1..1: 1   1..2: 2   2..2: 3
 *   so pairs present      layer 0: HUGE + 4      layer 1: HUGE + 3   layer 2: 5
 * and at alpha 1 one of the runs 0..0 and one of 2..2 are of one pair that lacks layer 1: they join to 0..2. */
static kith_stack *make_stack(void)
{
	static const double odd[] = {0.1, 1.0 / 3, 5e-324};
	const uint64_t runs[] = {4, HUGE, 0, 0, 1, 2, 0, 0, 3}, joined[] = {3, HUGE, 1, 0, 1, 2, 0, 0, 2};
	const uint64_t pairs[] = {HUGE + 4, HUGE + 3, 5};
	const char *names[] = {"in <&> \"put\"", "\xce\xb1\n\x01", ""};
	kith_stack *s = NULL;
	kith_err err;
	if (kith_stack_new(&s, 2000000000, LAYERS, 2, 3, &err))
		fail_msg("%s", err.msg);
	for (size_t v = 0; v < LAYERS; v++)
		s->layers[v] = (kith_layer){
			strdup(names[v]),
			784 + v,
			strdup("l2"),
			strdup(v ? "exact" : "faiss:HNSW32"),
			strdup("xxh3:0123456789abcdef"),
			strdup("a b.npy"),
			strdup("kith-knn -o 'a b.nng' 'a b.npy'"),
			v ? 1 : 0.1 + 0.2,
			v ? 0 : 1000,
			v ? KITH_TIES_CONTENT : KITH_TIES_INDEX,
			{.counted = v > 0, .rows = {v ? 7 : 0, v}, .most = {v ? 9 : 0, v ? 1999999999 : 0}, .zero = v}};
	for (size_t i = 0; i < 2; i++) {
		s->nnts[i].k = i ? 100 : 2;
		for (size_t a = 0; a < LAYERS; a++)
			for (size_t b = 0; b < LAYERS; b++) {
				s->nnts[i].mean[a * LAYERS + b] = a == b ? 1 : nextafter(odd[a + b - 1], (double)i);
				s->nnts[i].std_err[a * LAYERS + b] = a == b ? 0 : 1e-3 / (double)(7 + a + b);
				s->nnts[i].overlap[a * LAYERS + b] = overlap_of(s->nnts[i].mean[a * LAYERS + b]);
				s->nnts[i].overlap_err[a * LAYERS + b] = a == b ? 0 : 2e-3 / (double)(7 + a + b);
			}
	}
	if (kith_stack_add_estimates(s, &err))
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < 2; i++)
		for (size_t a = 0; a < LAYERS; a++) {
			s->nnts[i].recall[a] = a ? 1 : i ? 0.3 : NAN;
			s->nnts[i].recall_low[a] = a ? 1 : i ? 0.25 : NAN;
			s->nnts[i].recall_high[a] = a ? 1 : i ? 0.375 : NAN;
			for (size_t b = 0; b < LAYERS; b++) {
				s->nnts[i].estimate[a * LAYERS + b] = a == b ? 1 : (a && b) || i ? -0.125 : NAN;
				s->nnts[i].estimate_err[a * LAYERS + b] = a == b ? 0 : (a && b) || i ? 1.5 : NAN;
			}
		}
	for (size_t i = 0; i < 3; i++) {
		s->nntp[i].k = 2;
		s->nntp[i].graph = i == 2 ? KITH_MUTUAL : KITH_UNION;
		s->nntp[i].alpha = i == 1;
		memcpy(s->nntp[i].count, i == 1 ? joined : runs, sizeof runs);
		memcpy(s->nntp[i].pairs, pairs, sizeof pairs);
	}
	return s;
}

static void write_it(const kith_stack *s)
{
	kith_err err;
	if (kith_stack_write(s, path, &err))
		fail_msg("%s", err.msg);
}

/* NaN or not, if they are there. */
static void expect_same_doubles(const double *x, const double *y, size_t count)
{
	assert_int_equal(x != NULL, y != NULL);
	for (size_t i = 0; x && i < count; i++)
		assert_true(x[i] == y[i] || (isnan(x[i]) && isnan(y[i])));
}

static void expect_equal(const kith_stack *s, const kith_stack *t)
{
	assert_int_equal(s->n, t->n);
	assert_int_equal(s->layer_count, t->layer_count);
	assert_int_equal(s->nnts_count, t->nnts_count);
	assert_int_equal(s->nntp_count, t->nntp_count);
	for (size_t v = 0; v < LAYERS; v++) {
		assert_string_equal(s->layers[v].name, t->layers[v].name);
		assert_string_equal(s->layers[v].metric, t->layers[v].metric);
		assert_string_equal(s->layers[v].engine, t->layers[v].engine);
		assert_string_equal(s->layers[v].digest, t->layers[v].digest);
		assert_string_equal(s->layers[v].input, t->layers[v].input);
		assert_string_equal(s->layers[v].command, t->layers[v].command);
		assert_int_equal(s->layers[v].dim, t->layers[v].dim);
		assert_int_equal(s->layers[v].audited, t->layers[v].audited);
		assert_int_equal(s->layers[v].ties, t->layers[v].ties);
		assert_memory_equal(&s->layers[v].tied, &t->layers[v].tied, sizeof s->layers[v].tied);
		assert_memory_equal(&s->layers[v].recall, &t->layers[v].recall, sizeof(double));
	}
	for (size_t i = 0; i < s->nnts_count; i++) {
		assert_int_equal(s->nnts[i].k, t->nnts[i].k);
		assert_memory_equal(s->nnts[i].mean, t->nnts[i].mean, LAYERS * LAYERS * sizeof(double));
		assert_memory_equal(s->nnts[i].std_err, t->nnts[i].std_err, LAYERS * LAYERS * sizeof(double));
		expect_same_doubles(s->nnts[i].recall, t->nnts[i].recall, LAYERS);
		expect_same_doubles(s->nnts[i].recall_low, t->nnts[i].recall_low, LAYERS);
		expect_same_doubles(s->nnts[i].recall_high, t->nnts[i].recall_high, LAYERS);
		expect_same_doubles(s->nnts[i].estimate, t->nnts[i].estimate, LAYERS * LAYERS);
		expect_same_doubles(s->nnts[i].estimate_err, t->nnts[i].estimate_err, LAYERS * LAYERS);
		assert_int_equal(s->nnts[i].overlap != NULL, t->nnts[i].overlap != NULL);
		if (!s->nnts[i].overlap)
			continue;
		assert_memory_equal(s->nnts[i].overlap, t->nnts[i].overlap, LAYERS * LAYERS * sizeof(double));
		assert_memory_equal(s->nnts[i].overlap_err, t->nnts[i].overlap_err, LAYERS * LAYERS * sizeof(double));
	}
	for (size_t i = 0; i < s->nntp_count; i++) {
		assert_int_equal(s->nntp[i].k, t->nntp[i].k);
		assert_int_equal(s->nntp[i].graph, t->nntp[i].graph);
		assert_int_equal(s->nntp[i].alpha, t->nntp[i].alpha);
		assert_memory_equal(s->nntp[i].count, t->nntp[i].count, LAYERS * LAYERS * sizeof(uint64_t));
		assert_memory_equal(s->nntp[i].pairs, t->nntp[i].pairs, LAYERS * sizeof(uint64_t));
	}
}

static char *read_text(const char *file)
{
	size_t size;
	unsigned char *bytes = sandbox_read(file, &size);
	char *text;
	assert_non_null(bytes);
	text = must_alloc(size + 1, 1);
	memcpy(text, bytes, size);
	free(bytes);
	return text;
}

/* ---- round trip ---------------------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
	kith_stack *s = make_stack(), *again = NULL;
	kith_err err = {0};
	char *first, *second;
	size_t entries;
	(void)state;
	sandbox_write(path, "old", 3);
	entries = sandbox_entries();
	write_it(s);
	first = read_text(path);
	if (kith_stack_read(&again, path, &err))
		fail_msg("%s", err.msg);
	expect_equal(s, again);
	write_it(again);
	second = read_text(path);
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "9007199254740993"));
	assert_non_null(strstr(first, "\"made_by\": \"kith-merge " KITH_VERSION "\""));
	assert_int_equal(sandbox_entries(), entries); /* no part of it */
	free(first);
	free(second);
	kith_stack_free(s);
	kith_stack_free(again);
}

static void test_doubles(void **state)
{
	static const struct {
		double x;
		const char *text;
	} cases[] = {{0, "0"},
		     {-0.0, "0"},
		     {1, "1"},
		     {0.1, "0.1"},
		     {0.61, "0.61"},
		     {0.1 + 0.2, "0.30000000000000004"},
		     {1e-5, "1e-05"},
		     {5e-324, "4.94065645841247e-324"},
		     {1.0 / 3, "0.3333333333333333"}};
	char text[KITH_DOUBLE_TEXT];
	rng r = {42};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(kith_double_text(cases[i].x, text), cases[i].text);
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = rng_next(&r);
		double x;
		memcpy(&x, &bits, sizeof x);
		if (isfinite(x))
			assert_true(strtod(kith_double_text(x, text), NULL) == x);
	}
}

/* Of a float, its digits: all read back as the same float. */
static void test_singles(void **state)
{
	static const struct {
		double x;
		const char *text;
	} cases[] = {{0, "0"},
		     {-0.0, "0"},
		     {3, "3"},
		     {16777215, "16777215"},
		     {0.1f, "0.1"},
		     {1.0f / 3, "0.33333334"},
		     {(double)1.7320508f * 1.7320508f, "3"},
		     {INFINITY, "inf"},
		     {0x1p-1000, "9.332636e-302"}};
	char text[KITH_DOUBLE_TEXT];
	rng r = {43};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(kith_single_text(cases[i].x, text), cases[i].text);
	for (int i = 0; i < 20000; i++) {
		float x = (float)(rng_unit(&r) * exp2((double)rng_below(&r, 200) - 100));
		assert_true((float)strtod(kith_single_text(x, text), NULL) == x && strlen(text) <= 14);
	}
}

/* File names are bytes, and a command line may be cut within a character. */
static void test_not_utf8(void **state)
{
	static const char *const texts[][2] = {{"caf\xe9", "caf\xef\xbf\xbd"},
					       {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
					       {"\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"},
					       {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
					       {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		kith_stack *s = make_stack(), *again = NULL;
		kith_err err = {0};
		free(s->layers[0].name);
		s->layers[0].name = strdup(texts[i][0]);
		write_it(s);
		if (kith_stack_read(&again, path, &err))
			fail_msg("%s", err.msg);
		assert_string_equal(again->layers[0].name, texts[i][1]);
		kith_stack_free(s);
		kith_stack_free(again);
	}
}

/* Files from before there were "expected", "corrected", "overlap" and "dynamics" are read; what follows from the rest
 * is written again. At k = n - 1 there is nothing to correct. */
static void test_old_file(void **state)
{
	static const char old[] = "{\"format\": \"kith-stack\", \"version\": 1, \"n\": 5, \"layers\": ["
				  "{\"name\": \"a\", \"dim\": 1, \"metric\": \"l2\", \"engine\": \"exact\", "
				  "\"recall\": 1, \"digest\": \"\"}, {\"name\": \"b\", \"dim\": 1, \"metric\": \"l2\", "
				  "\"engine\": \"exact\", \"recall\": 1, \"digest\": \"\"}], \"nnts\": ["
				  "{\"k\": 1, \"mean\": [[1, 0.625], [0.625, 1]], \"stderr\": [[0, 0], [0, 0]]}, "
				  "{\"k\": 4, \"mean\": [[1, 1], [1, 1]], \"stderr\": [[0, 0], [0, 0]]}], \"nntp\": ["
				  "{\"k\": 1, \"graph\": \"union\", \"alpha\": 0, \"count\": [[1, 2], [0, 1]], "
				  "\"pairs\": [3, 3]}]}";
	kith_stack *s = NULL, *again = NULL;
	kith_err err = {0};
	char *text;
	(void)state;
	sandbox_write(path, old, strlen(old));
	if (kith_stack_read(&s, path, &err))
		fail_msg("%s", err.msg);
	assert_null(s->nnts[0].overlap);
	assert_null(s->nnts[0].overlap_err);
	write_it(s);
	text = read_text(path);
	assert_non_null(strstr(text, "{\"k\": 1, \"expected\": 0.25,"));
	assert_non_null(strstr(text, "\"corrected\": [\n       [1, 0.5],\n       [0.5, 1]]}"));
	assert_non_null(strstr(text, "{\"k\": 4, \"expected\": 1,"));
	assert_non_null(strstr(text, "\"corrected\": null}"));
	assert_null(strstr(text, "overlap"));
	assert_non_null(
		strstr(text, "\"births\": [3, 1],\n     \"deaths\": [1, 3],\n     \"survivors\": [2],\n     "
			     "\"removal\": [null, 0.5],\n     \"survival\": [\n       [3, 2],\n       [0, 1]],"
			     "\n     \"share\": [\n       [0.3333333333333333, 0.6666666666666666],\n       [0, 1]]}"));
	free(text);
	if (kith_stack_read(&again, path, &err))
		fail_msg("%s", err.msg);
	kith_stack_free(s);
	kith_stack_free(again);
}

static void expect_unwritable(kith_stack *s, const char *text)
{
	kith_err err = {0};
	remove(path);
	assert_int_equal(kith_stack_write(s, path, &err), KITH_EBUG);
	assert_non_null(strstr(err.msg, text));
	assert_int_equal(access(path, F_OK), -1);
	kith_stack_free(s);
}

/* Nothing is written that could not be read back. */
static void test_unwritable(void **state)
{
	kith_stack *s = make_stack();
	(void)state;
	s->nnts[1].mean[1] = NAN;
	expect_unwritable(s, "mean[0][1] is not a finite number");
	s = make_stack();
	s->nnts[1].std_err[5] = INFINITY;
	expect_unwritable(s, "stderr[1][2] is not a finite number");
	s = make_stack();
	s->nntp[0].count[0] = UINT64_MAX;
	expect_unwritable(s, "beyond 2^63");
	s = make_stack();
	s->layers[2].recall = -0.5;
	expect_unwritable(s, "recall");
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

static void expect_says(int got, const kith_err *err, int status, const char *text)
{
	if (got != status || err->code != (kith_status)status || !strstr(err->msg, mutant) || !strstr(err->msg, text))
		fail_msg("status %d, \"%s\"; should be %d and hold \"%s\"", got, err->msg, status, text);
	assert_null(strchr(err->msg, '\n'));
}

static void expect_unsound(int status, const char *text)
{
	kith_err err = {0};
	int got = kith_stack_verify(mutant, &err);
	expect_says(got, &err, status, text);
}

static void expect_refusal(int status, const char *text)
{
	kith_stack *s = (kith_stack *)path;
	kith_err err = {0};
	int got = kith_stack_read(&s, mutant, &err);
	expect_says(got, &err, status, text);
	assert_ptr_equal(s, path); /* outputs are set only on success */
	expect_unsound(status, text);
}

/* The good file with its first `old` after `after` replaced. */
static void break_good(const char *after, const char *old, const char *new)
{
	char *good = read_text(path), *at = strstr(strstr(good, after), old);
	FILE *f = fopen(mutant, "w");
	assert_non_null(at);
	fwrite(good, 1, (size_t)(at - good), f);
	fputs(new, f);
	fputs(at + strlen(old), f);
	fclose(f);
	free(good);
}

static void test_not_a_stack(void **state)
{
	static const struct {
		const char *bytes, *says;
	} cases[] = {{"", "not JSON"},
		     {"\x93NUMPY", "is a .npy array, not a stack.json"},
		     {"{\"format\": \"kith-stack\"", "not JSON"},
		     {"{\"format\": \"kith-stack\", \"format\": 1}", "not JSON: duplicate"},
		     {"[1, 2]", "not a kith stack"},
		     {"{}", "not a kith stack"},
		     {"{\"format\": \"other\", \"version\": 1}", "not a kith stack"},
		     {"{\"format\": \"kith-stack\"}", "no version"},
		     {"{\"format\": \"kith-stack\", \"version\": 0}", "no version"},
		     {"{\"format\": \"kith-stack\", \"version\": 3}", "version 3; this kith reads version 2"},
		     {"{\"format\": \"kith-stack\", \"version\": 1} x", "not JSON"}};
	kith_err err;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		sandbox_write(mutant, cases[i].bytes, strlen(cases[i].bytes));
		expect_refusal(KITH_EUSAGE, cases[i].says);
	}
	assert_int_equal(kith_stack_read(&(kith_stack *){0}, "/nowhere/s.json", &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "/nowhere/s.json"));
	assert_int_equal(kith_stack_read(&(kith_stack *){0}, "/", &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "directory"));
}

static void test_broken_parts(void **state)
{
	static const struct {
		const char *after, *old, *new, *says;
	} cases[] = {
		{"", "\"n\": 2000000000", "\"n\": 1", "n: 1 is outside 2.."},
		{"", "\"n\": 2000000000", "\"n\": 2.5", "n: not a whole number"},
		{"", "\"n\": 2000000000", "\"n\": 4000000000", "n: 4000000000 is outside"},
		{"", "\"n\": 2000000000", "\"m\": 3", "n: missing"},
		{"", "\"layers\"", "\"tiers\"", "layers: missing"},
		{"", "\"nnts\": [", "\"nnts\": [], \"x\": [", "nnts: 0 entries"},
		{"", "\"nntp\": [", "\"nntp\": 5, \"x\": [", "nntp: not a list"},
		{"", "\"dim\": 785", "\"dim\": 0", "layers[1].dim: 0 is outside"},
		{"", "\"name\": \"\"", "\"name\": 7", "layers[2].name: not a string"},
		{"", "\"metric\"", "\"meter\"", "layers[0].metric: missing"},
		{"", "\"recall\": 1,", "\"recall\": 1.5,", "layers[1].recall: 1.5 is outside 0..1"},
		{"", "\"recall\": 1,", "\"recall\": \"1\",", "layers[1].recall: not a number"},
		{"", "\"recall\": 1,", "", "layers[1].recall: missing"},
		{"nnts", "\"k\": 100", "\"k\": 2", "nnts[1].k: 2 does not ascend"},
		{"nnts", "\"k\": 100", "\"k\": 2000000000", "nnts[1].k: 2000000000 is outside"},
		{"nnts", "[1, ", "[", "nnts[0].mean: row 0 has 2 numbers, 3 layers"},
		{"nnts", "[1, ", "[1, 1, ", "nnts[0].mean: row 0 has 4 numbers, 3 layers"},
		{"nnts", "[1, ", "[null, ", "nnts[0].mean: row 0 has no number at column 0"},
		{"nnts", "[1, ", "[-0.5, ", "nnts[0].mean: -0.5 at row 0, column 0 is outside 0..1"},
		{"nnts", "[1, ", "[0.5, ", "NNTS(0,0;k=2) is 0.5, not 1"},
		{"\"k\": 100", "[0.1", "[0.2", "NNTS(0,1;k=100) is 0.1"},
		{"stderr", "[0, ", "[1e9, ", "nnts[0].stderr: 1000000000 at row 0, column 0 is outside 0..1"},
		{"nnts", "\"mean\": [", "\"mean\": [[1, 1, 1], ", "nnts[0].mean: 4 rows, 3 layers"},
		{"nnts", "\"stderr\"", "\"error\"", "nnts[0].stderr: missing"},
		{"overlap", "\"mean\"", "\"meen\"", "nnts[0].overlap.mean: missing"},
		{"overlap", "[1, ", "[2, ", "nnts[0].overlap.mean: 2 at row 0, column 0 is outside 0..1"},
		{"overlap", "[1, ", "[0.5, ", "overlap(0,0;k=2) is 0.5, not 1"},
		{"overlap", "\"stderr\"", "\"error\"", "nnts[0].overlap.stderr: missing"},
		{"overlap", "[0, ", "[-1, ", "nnts[0].overlap.stderr: -1 at row 0, column 0 is outside 0..1"},
		{"", "\"audited\": 1000", "\"audited\": 0.5", "layers[0].audited: not a whole number"},
		{"nnts", "\"recall\": [null", "\"recall\": [2", "nnts[0].recall: 2 at column 0 is outside 0..1"},
		{"nnts", "\"recall\": [null", "\"recall\": [\"\"", "nnts[0].recall: has no number at column 0"},
		{"\"k\": 100", "\"recall\": [0.3", "\"recall\": [0.5",
		 "recall of layer 0 at k=100 is 0.5, not in 0.25 to"},
		{"estimate", "[1, null, ", "[1, ", "nnts[0].estimate.mean: row 0 has 2 numbers, 3 layers"},
		{"estimate", "[1, ", "[null, ", "the estimate of NNTS(0,0;k=2) is nan"},
		{"estimate", "[null, 1, -0.125]", "[null, 1, -0.25]",
		 "the estimate of NNTS(1,2;k=2) is -0.25, but that of"},
		{"estimate", "[null, 1, -0.125]", "[null, 1, -1.25]",
		 "nnts[0].estimate.mean: -1.25 at row 1, column 2 is"},
		{"estimate", "[null, 1, -0.125]", "[null, 1, 1.5]", "the estimate of NNTS(1,2;k=2) is 1.5, with"},
		{"estimate", "\"stderr\"", "\"error\"", "nnts[0].estimate.stderr: missing"},
		{"nntp", "\"union\"", "\"onion\"", "nntp[0].graph: neither"},
		{"nntp", "\"alpha\": 1", "\"alpha\": 0", "nntp[1].k: out of order"},
		{"nntp", "\"alpha\": 1", "\"alpha\": -1", "nntp[1].alpha: -1 is outside"},
		{"nntp", "[4, ", "[4.5, ", "nntp[0].count[0]: 4.5 at column 0 is not a count"},
		{"nntp", "[4, ", "[-4, ", "nntp[0].count[0]: -4 at column 0 is not a count"},
		{"nntp", "[4, ", "[5, ", "cover layer 0 9007199254740998 times, but 9007199254740997 pairs"},
		{"nntp", "\"pairs\": [", "\"pairs\": [1, ", "nntp[0].pairs: has 4 numbers, 3 layers"},
		{"nntp", "\"pairs\"", "\"peers\"", "nntp[0].pairs: missing"},
	};
	kith_stack *s = make_stack();
	(void)state;
	write_it(s);
	kith_stack_free(s);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		break_good(cases[i].after, cases[i].old, cases[i].new);
		expect_refusal(KITH_ECORRUPT, cases[i].says);
	}
}

/* What follows from other numbers is nothing to the reader, and kith-check's business. */
static void test_broken_followers(void **state)
{
	static const struct {
		const char *after, *old, *new, *says;
	} cases[] = {
		{"nnts", "\"expected\": ", "\"expected\": 1", "nnts[0].expected: 1.66"},
		{"nnts", "\"expected\": ", "\"expected\": \"x\", \"x\": ", "nnts[0].expected: 0, but chance gives"},
		{"corrected", "[0.099", "[0.199", "nnts[0].corrected: 0.199"},
		{"nnts", "\"corrected\": [", "\"corrected\": null, \"x\": [", "nnts[0].corrected: not a list of rows"},
		{"nnts", "\"corrected\": [", "\"corrected\": [[1, 1, 1], ", "nnts[0].corrected: 4 rows, 3 layers"},
		{"", "\"dynamics\": [", "\"dynamics\": 5, \"x\": [", "dynamics[0].k: missing"},
		{"", "\"dynamics\": [", "\"dynamics\": [], \"x\": [", "dynamics[0].k: missing"},
		{"dynamics", "}\n  ]", "}, {}\n  ]", "dynamics: not a list of 2"},
		{"dynamics", "\"k\": 2", "\"k\": 3", "dynamics[0].k: out of order"},
		{"dynamics", "\"union\"", "\"mutual\"", "dynamics[0].k: out of order"},
		{"dynamics", "\"births\"", "\"berths\"", "dynamics[0].births: not a list of 3"},
		{"births", ", 3]", ", 4]", "dynamics[0].births: entry 2 does not follow from nntp"},
		{"births", ", 3]", ", 3.0]", "dynamics[0].births: entry 2 does not follow from nntp"},
		{"deaths", "[4", "[5", "dynamics[0].deaths: entry 0 does not follow from nntp"},
		{"survivors", ", 2]", ", 2, 0]", "dynamics[0].survivors: not a list of 2"},
		{"removal", "[null", "[0", "dynamics[0].removal: entry 0 does not follow from nntp"},
		{"removal", "[null, ", "[null, null, 1, ", "dynamics[0].removal: not a list of 3"},
		{"survival", "[0, 3, 2]", "[0, 3, 1]", "dynamics[0].survival[1]: entry 2 does not follow from nntp"},
		{"survival", "[0, 3, 2]", "[0, 3]", "dynamics[0].survival[1]: not a list of 3"},
		{"share", "[0, 0, 1]", "[0, 0, null]", "dynamics[0].share[2]: entry 2 does not follow from nntp"},
		{"share", "[0, 0, 1]", "[0, 0, 1], []", "dynamics[0].share: not a list of 3 rows"},
		{"returns", "[1]", "[0]", "dynamics[0].returns[0]: entry 0 does not follow from nntp"},
		{"", "\"returns\"", "\"return\"", "dynamics[0].returns: not a list of 3 rows"},
	};
	kith_stack *s = make_stack();
	kith_err err = {0};
	(void)state;
	write_it(s);
	if (kith_stack_verify(path, &err))
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		kith_stack *again = NULL;
		break_good(cases[i].after, cases[i].old, cases[i].new);
		expect_unsound(KITH_ECORRUPT, cases[i].says);
		if (kith_stack_read(&again, mutant, &err))
			fail_msg("%s", err.msg);
		expect_equal(s, again);
		kith_stack_free(again);
	}
	kith_stack_free(s);
}

static void test_unknown_members(void **state)
{
	kith_stack *s = make_stack(), *again = NULL;
	kith_err err = {0};
	char *good, *at;
	FILE *f;
	(void)state;
	write_it(s);
	good = read_text(path);
	at = strstr(good, "\"n\"");
	f = fopen(mutant, "w");
	fprintf(f, "%.*s\"later\": {\"idea\": [null, true]}, %s", (int)(at - good), good, at);
	fclose(f);
	if (kith_stack_read(&again, mutant, &err))
		fail_msg("%s", err.msg);
	expect_equal(s, again);
	free(good);
	kith_stack_free(s);
	kith_stack_free(again);
}

/* A small file that claims much is refused before anything of that size is allocated. */
static void test_hollow(void **state)
{
	FILE *f = fopen(mutant, "w");
	(void)state;
	fputs("{\"format\": \"kith-stack\", \"version\": 1, \"n\": 9, \"layers\": [", f);
	for (size_t v = 0; v < KITH_MAX_LAYERS; v++)
		fprintf(f,
			"%s{\"name\": \"\", \"dim\": 1, \"metric\": \"\", \"engine\": \"\", \"digest\": \"\", "
			"\"recall\": 1}",
			v ? "," : "");
	fputs("], \"nnts\": [{\"k\": 1}], \"nntp\": [{}", f);
	for (size_t i = 1; i < 100000; i++)
		fputs(",{}", f);
	fputs("]}", f);
	fclose(f);
	expect_refusal(KITH_ECORRUPT, "nnts[0].mean: missing");
}

/* Any damage is refused, or gives a stack that satisfies the identities and is at odds with what follows from it, or it
 * does not matter; sanitizers watch the rest. */
static void test_mutations(void **state)
{
	kith_stack *s = make_stack();
	size_t size, refused = 0;
	unsigned char *good, *bad;
	rng r = {7};
	(void)state;
	write_it(s);
	kith_stack_free(s);
	good = sandbox_read(path, &size);
	bad = must_alloc(size, 1);
	for (int round = 0; round < MUTATIONS; round++) {
		kith_stack *got = NULL;
		kith_err err = {0};
		size_t kept = rng_next(&r) % 8 ? size : rng_next(&r) % size;
		memcpy(bad, good, size);
		for (uint64_t edits = 1 + rng_next(&r) % 4; edits; edits--) {
			static const char likely[] = "0123456789-.eE[]{},:\" \\u";
			uint64_t at = rng_next(&r) % size, kind = rng_next(&r) % 3;
			bad[at] = kind == 0   ? (unsigned char)rng_next(&r)
				  : kind == 1 ? (unsigned char)likely[rng_next(&r) % (sizeof likely - 1)]
					      : bad[rng_next(&r) % size];
		}
		sandbox_write(mutant, bad, kept);
		if (kith_stack_read(&got, mutant, &err)) {
			assert_true(err.code == KITH_EUSAGE || err.code == KITH_ECORRUPT);
			assert_non_null(strstr(err.msg, mutant));
			assert_null(got);
			refused++;
		} else {
			assert_int_equal(kith_stack_check(got, &err), 0);
			refused += kith_stack_verify(mutant, &err) != 0;
		}
		kith_stack_free(got);
	}
	assert_true(refused > MUTATIONS / 2);
	free(good);
	free(bad);
}

/* ---- the identities ------------------------------------------------------------------------------------------ */

static void expect_bug(kith_stack *s, const char *text)
{
	kith_err err = {0};
	if (kith_stack_check(s, &err) != KITH_EBUG || !strstr(err.msg, text))
		fail_msg("\"%s\" should hold \"%s\"", err.msg, text);
	kith_stack_free(s);
}

static void test_check(void **state)
{
	kith_stack *s = make_stack();
	kith_err err;
	(void)state;
	assert_int_equal(kith_stack_check(s, &err), 0);
	s->nnts[0].mean[4] = nextafter(1, 0);
	expect_bug(s, "NNTS(1,1;k=2) is 0.99999999999999989, not 1");
	s = make_stack();
	s->nnts[1].mean[5] = nextafter(s->nnts[1].mean[5], 1);
	expect_bug(s, "NNTS(1,2;k=100)");
	s = make_stack();
	s->nnts[0].mean[1] = s->nnts[0].mean[3] = 1.5;
	expect_bug(s, "NNTS(0,1;k=2) is 1.5, outside 0..1");
	s = make_stack();
	s->nnts[0].mean[1] = s->nnts[0].mean[3] = NAN;
	expect_bug(s, "outside 0..1");
	s = make_stack();
	s->nnts[0].std_err[1] = -1e-9;
	expect_bug(s, "standard error of NNTS(0,1;k=2)");
	s = make_stack();
	s->nnts[0].overlap[1] = s->nnts[0].overlap[3] = nextafter(s->nnts[0].mean[1], 0);
	expect_bug(s, "NNTS(0,1;k=2) is 0.099999999999999992, which no samples with the overlap");
	s = make_stack();
	s->nnts[0].overlap[1] = s->nnts[0].overlap[3] = 0.182;
	expect_bug(s, "NNTS(0,1;k=2)");
	s = make_stack();
	s->nnts[1].overlap_err[0] = NAN;
	expect_bug(s, "standard error of overlap(0,0;k=100)");
	s = make_stack();
	s->nntp[2].count[3] = 1;
	expect_bug(s, "NNTP(alpha=0,k=2,mutual)[1][0] is 1: a run cannot end before it begins");
	s = make_stack();
	s->nntp[0].pairs[1]++;
	expect_bug(s, "NNTP(alpha=0,k=2,union): its runs cover layer 1 9007199254740996 times, but 9007199254740997");
	s = make_stack();
	s->nntp[0].count[8]++; /* the last layer alone */
	expect_bug(s, "cover layer 2 6 times, but 5");
	s = make_stack();
	s->nntp[1].count[2]--; /* the joined run goes missing */
	expect_bug(s, "NNTP(alpha=1,k=2,union): its runs cover layer 0");
	s = make_stack();
	s->nntp[1].count[0] += 2; /* more runs than at alpha 0; the cover may grow */
	expect_bug(
		s,
		"NNTP(alpha=1,k=2,union) has 9007199254741004 runs in all, more than the 9007199254741003 at alpha=0");
	s = make_stack();
	s->nntp[1].count[0] += 2; /* no more runs in all than at alpha 0, but one more that ends at layer 0 */
	s->nntp[1].count[4]--;
	expect_bug(s, "NNTP(alpha=1,k=2,union): more runs end at layer 0 than at alpha=0");
	s = make_stack();
	s->nntp[1].pairs[1]--;
	expect_bug(s, "present in layer 1, but");
}

static void test_new(void **state)
{
	kith_stack *s = NULL;
	kith_err err;
	(void)state;
	assert_int_equal(kith_stack_new(&s, 5, 0, 1, 1, &err), KITH_EUSAGE);
	assert_int_equal(kith_stack_new(&s, 5, KITH_MAX_LAYERS + 1, 1, 1, &err), KITH_EUSAGE);
	assert_int_equal(kith_stack_new(&s, 5, 1, SIZE_MAX / 2, 1, &err), KITH_ENOMEM);
	assert_null(s);
	assert_int_equal(kith_stack_new(&s, 5, 1, 0, 0, &err), 0);
	kith_stack_free(s);
	kith_stack_free(NULL);
}

/* ---- files that are whole or not there ------------------------------------------------------------------------ */

static void test_outfile(void **state)
{
	char part[SANDBOX_PATH + 16], link[SANDBOX_PATH];
	size_t entries;
	kith_outfile *one = NULL, *two = NULL;
	kith_err err = {0};
	struct stat st;
	char *text;
	(void)state;
	snprintf(part, sizeof part, "%s.abcdef.part", path);
	sandbox_write(path, "old", 3);
	entries = sandbox_entries();
	assert_int_equal(kith_outfile_open(&one, path, &err), 0);
	assert_int_equal(sandbox_entries(), entries + 1);
	assert_int_equal(kith_outfile_open(&two, path, &err), KITH_EIO); /* a second writer */
	assert_non_null(strstr(err.msg, "another program is writing this file"));
	assert_null(two);
	assert_int_equal(sandbox_entries(), entries + 1); /* which left the first one's alone */
	fputs("new", kith_outfile_stream(one));
	text = read_text(path);
	assert_string_equal(text, "old");
	free(text);
	assert_int_equal(kith_outfile_close(one, KITH_EIO, NULL), KITH_EIO);
	assert_int_equal(sandbox_entries(), entries);
	text = read_text(path);
	assert_string_equal(text, "old");
	free(text);

	sandbox_write(part, "left by a crash", 15);
	sandbox_path(link, "link.json");
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(kith_outfile_open(&one, link, &err), 0);
	fputs("new", kith_outfile_stream(one));
	assert_int_equal(kith_outfile_close(one, 0, &err), 0);
	assert_int_equal(access(part, F_OK), -1);
	text = read_text(path);
	assert_string_equal(text, "new");
	free(text);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	remove(link);
}

static void test_outfile_refusals(void **state)
{
	char directory[SANDBOX_PATH], inside[SANDBOX_PATH];
	size_t entries = sandbox_entries();
	kith_outfile *file = NULL;
	kith_err err = {0};
	(void)state;
	sandbox_path(directory, "directory");
	sandbox_path(inside, "missing/s.json");
	assert_int_equal(kith_outfile_open(&file, inside, &err), KITH_EIO);
	assert_non_null(strstr(err.msg, "missing/s.json"));
	assert_non_null(strstr(err.msg, "No such file or directory"));
	assert_int_equal(mkdir(directory, 0777), 0);
	assert_int_equal(kith_outfile_open(&file, directory, &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "it is a directory"));
	rmdir(directory);
	assert_int_equal(kith_outfile_open(&file, "/dev/null", &err), KITH_EUSAGE);
	assert_non_null(strstr(err.msg, "not a plain file"));
	assert_null(file);
	assert_int_equal(kith_outfile_close(NULL, KITH_EUSAGE, &err), KITH_EUSAGE);
	assert_int_equal(sandbox_entries(), entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_singles),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_old_file),
		cmocka_unit_test(test_unwritable),
		cmocka_unit_test(test_not_a_stack),
		cmocka_unit_test(test_broken_parts),
		cmocka_unit_test(test_broken_followers),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_hollow),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_outfile),
		cmocka_unit_test(test_outfile_refusals),
	};
	sandbox_path(path, "stack.json");
	sandbox_path(mutant, "mutant.json");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
