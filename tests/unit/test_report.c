/* test_report.c - what the report prints: numbers as the paper prints them, names that hold every kind of markup, and
 * files that are there only if all went well. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "heatmap.h"
#include "kith/stack.h"
#include "report.h"
#include "report_parts.h"
#include "sandbox.h"
#include "text.h"

/* ---- numbers ------------------------------------------------------------------------------------------------- */

static void test_thousands(void **state)
{
	static const struct {
		uint64_t count;
		const char *text;
	} cases[] = {{0, "0"},
		     {1, "<0.01"},
		     {4, "<0.01"},
		     {5, "0.01"},
		     {14, "0.01"},
		     {15, "0.02"},
		     {100, "0.10"},
		     {990, "0.99"},
		     {994, "0.99"},
		     {995, "1.00"}, /* as in the paper's Table 1: 6.99, 36.0, 67.2, 28.7, 455, 0.01 */
		     {6990, "6.99"},
		     {36000, "36.0"},
		     {67200, "67.2"},
		     {28704, "28.7"},
		     {455000, "455"},
		     {9994, "9.99"},
		     {9995, "10.0"}, /* what rounds up into the next decade is written as there */
		     {10049, "10.0"},
		     {10050, "10.1"},
		     {99949, "99.9"},
		     {99950, "100"},
		     {100499, "100"},
		     {100500, "101"},
		     {999499, "999"},
		     {999500, "1000"},
		     {1004999, "1000"},
		     {1005000, "1010"},
		     {1234567, "1230"},
		     {15349999, "15300"},
		     {UINT64_MAX, "18400000000000000"}};
	char text[32];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		kith_count_text(cases[i].count, 1000, text, sizeof text);
		assert_string_equal(text, cases[i].text);
	}
	kith_count_text(1234567, 1, text, sizeof text);
	assert_string_equal(text, "1234567");
	kith_count_text(0, 1, text, sizeof text);
	assert_string_equal(text, "0");
}

static void test_small_numbers(void **state)
{
	const kith_nnts t = {.k = 100};
	const kith_nntp p = {.k = 15, .graph = KITH_MUTUAL, .alpha = 10};
	char text[96];
	(void)state;
	kith_grouped(0, text, sizeof text);
	assert_string_equal(text, "0");
	kith_grouped(999, text, sizeof text);
	assert_string_equal(text, "999");
	kith_grouped(60000, text, sizeof text);
	assert_string_equal(text, "60,000");
	kith_grouped(UINT64_MAX, text, sizeof text);
	assert_string_equal(text, "18,446,744,073,709,551,615");
	assert_true(kith_count_shade(0, 0) == 0);
	assert_true(kith_count_shade(25, 100) == 0.5);
	assert_true(kith_count_shade(100, 100) == 1);
	kith_nnts_stem(&t, text, sizeof text);
	assert_string_equal(text, "nnts_k100");
	kith_nntp_stem(&p, text, sizeof text);
	assert_string_equal(text, "nntp_k15_mutual_alpha10");
}

/* ---- names --------------------------------------------------------------------------------------------------- */

typedef void put(FILE *out, const char *text);

static void expect_put(put *how, const char *text, const char *wanted)
{
	char *got = NULL;
	size_t size;
	FILE *f = open_memstream(&got, &size);
	how(f, text);
	fclose(f);
	assert_string_equal(got, wanted);
	free(got);
}

static void test_escapes(void **state)
{
	(void)state;
	expect_put(kith_put_csv, "conv 1", "conv 1");
	expect_put(kith_put_csv, "", "");
	expect_put(kith_put_csv, "a,b", "\"a,b\"");
	expect_put(kith_put_csv, "say \"x\"", "\"say \"\"x\"\"\"");
	expect_put(kith_put_csv, "a\nb\r", "\"a\nb\r\"");
	expect_put(kith_put_html, "<b a='1' c=\"2\"> & \xce\xb1",
		   "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt; &amp; \xce\xb1");
	expect_put(kith_put_html,
		   "a\x01"
		   "b\x7f",
		   "a\xef\xbf\xbd"
		   "b\xef\xbf\xbd");
	expect_put(kith_put_latex, "a_b & 5% of $3 #1 {x}", "a\\_b \\& 5\\% of \\$3 \\#1 \\{x\\}");
	expect_put(kith_put_latex, "\\~^<>|\"",
		   "\\textbackslash{}\\textasciitilde{}\\textasciicircum{}\\textless{}\\textgreater{}\\textbar{}"
		   "\\textquotedbl{}");
	expect_put(kith_put_latex, "a\n\nb", "a  b");
}

/* ---- whole reports ------------------------------------------------------------------------------------------- */

static char input[SANDBOX_PATH], page[SANDBOX_PATH], csv[SANDBOX_PATH], svg[SANDBOX_PATH], latex[SANDBOX_PATH];

static const char *const names[] = {"<i>&\"q\"", "b,c_d",
				    "layer.\xce\xb1.of_a_long_name_that_no_figure_has_the_room_to_show"};

/* Estimates of layer 0 with others, but none of it with layer 2. */
static void add_estimates(kith_stack *s, double recall)
{
	kith_nnts *t = &s->nnts[0];
	size_t L = s->layer_count;
	kith_err err;
	assert_int_equal(kith_stack_add_estimates(s, &err), 0);
	s->layers[0].audited = 1000;
	for (size_t a = 0; a < L; a++) {
		t->recall[a] = a ? 1 : recall;
		t->recall_low[a] = a ? 1 : recall - 0.01;
		t->recall_high[a] = a ? 1 : recall > 0.99 ? recall : recall + (1 - recall) / 2;
		for (size_t b = 0; b < L; b++) {
			t->estimate[a * L + b] = t->mean[a * L + b] + (a + b == 1             ? 0.0125
								       : a + b == 2 && a != b ? NAN
											      : 0);
			t->estimate_err[a * L + b] = a + b == 1 ? 0.00125 : a + b == 2 && a != b ? NAN : 0;
		}
	}
}

/* Every pair is present in one layer only, unit pairs in each: the identities hold whatever `layers` is. */
/* The first layer is approximate, with an audit, unless `recall` is 1. */
static void write_stack(size_t layers, uint64_t unit, double recall)
{
	kith_stack *s = NULL;
	kith_err err;
	assert_int_equal(kith_stack_new(&s, 60000, layers, 1, 1, &err), 0);
	s->nnts[0].k = s->nntp[0].k = 15;
	for (size_t a = 0; a < layers; a++) {
		s->layers[a] = (kith_layer){strdup(names[a % 3]),
					    10,
					    strdup("l2"),
					    strdup(a || recall == 1 ? "exact" : "faiss:HNSW32"),
					    strdup("xxh3:0"),
					    strdup("<in>.npy"),
					    strdup("kith-knn '<x>'"),
					    a ? 1 : recall,
					    0,
					    KITH_TIES_CONTENT,
					    {0}};
		for (size_t b = 0; b < layers; b++) {
			s->nnts[0].mean[a * layers + b] = a == b ? 1 : 1.0 / 3;
			s->nnts[0].overlap[a * layers + b] = a == b ? 1 : 0.5;
		}
		s->nntp[0].count[a * layers + a] = s->nntp[0].pairs[a] = unit;
	}
	if (recall < 1)
		add_estimates(s, recall);
	if (kith_stack_write(s, input, &err))
		fail_msg("%s", err.msg);
	kith_stack_free(s);
}

static char *read_text(const char *path)
{
	size_t size;
	unsigned char *bytes = sandbox_read(path, &size);
	char *text;
	if (!bytes)
		fail_msg("%s: not there", path);
	text = must_alloc(size + 1, 1);
	memcpy(text, bytes, size);
	free(bytes);
	return text;
}

static void expect_file(const char *directory, const char *name, const char *wanted)
{
	char path[2 * SANDBOX_PATH], *text;
	snprintf(path, sizeof path, "%s/%s", directory, name);
	text = read_text(path);
	assert_string_equal(text, wanted);
	free(text);
}

/* `text` holds every one of the strings up to NULL. */
static void expect_in(const char *text, ...)
{
	const char *wanted;
	va_list args;
	va_start(args, text);
	while ((wanted = va_arg(args, const char *)))
		if (!strstr(text, wanted))
			fail_msg("does not hold \"%s\"", wanted);
	va_end(args);
}

static kith_report_summary report(void)
{
	const kith_report_options options = {.csv = csv, .svg = svg, .latex = latex};
	kith_report_summary summary;
	kith_err err = {0};
	if (kith_report(input, page, &options, &summary, &err))
		fail_msg("%s", err.msg);
	return summary;
}

static void test_outputs(void **state)
{
	kith_report_summary summary;
	char *text;
	(void)state;
	write_stack(3, 455000, 0.95);
	summary = report();
	assert_int_equal(summary.n, 60000);
	assert_int_equal(summary.layers, 3);
	assert_string_equal(summary.k, "15");
	expect_file(
		csv, "nnts_k15.csv",
		"layer,\"<i>&\"\"q\"\"\",\"b,c_d\",layer.\xce\xb1.of_a_long_name_that_no_figure_has_the_room_to_show\n"
		"\"<i>&\"\"q\"\"\",1,0.3333333333333333,0.3333333333333333\n"
		"\"b,c_d\",0.3333333333333333,1,0.3333333333333333\n"
		"layer.\xce\xb1.of_a_long_name_that_no_figure_has_the_room_to_show,0.3333333333333333,0."
		"3333333333333333,"
		"1\n");
	expect_file(csv, "pairs.csv",
		    "k,graph,\"<i>&\"\"q\"\"\",\"b,c_d\",layer.\xce\xb1.of_a_long_name_that_no_figure_has_the_room_to_"
		    "show\n"
		    "15,union,455000,455000,455000\n");
	text = read_text(page);
	expect_in(text, "<!DOCTYPE html>", "<td class=\"w\" style=\"--s:1.00\">455</td>", "<td>0</td>",
		  "<th scope=\"row\">&lt;i&gt;&amp;&quot;q&quot;" KITH_APPROX_MARK "</th>",
		  ": recall 0.9500 (0.9400 to 0.9750)", "<code>&lt;in&gt;.npy</code>",
		  "<code>kith-knn &#39;&lt;x&gt;&#39;</code>", "60,000 samples, 3 layers", NULL);
	assert_null(strstr(text, "<i>"));
	assert_null(strstr(text, "<in>"));
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "src=")); /* one file, nothing fetched */
	free(text);
	text = read_text(latex);
	expect_in(text, "\\cellcolor{kithshade!85}\\color{white}455", "b,c\\_d", "$^{\\approx}$",
		  "\\textless{}i\\textgreater{}\\&\\textquotedbl{}q\\textquotedbl{}",
		  "\\label{tab:nntp_k15_union_alpha0}", NULL);
	free(text);
}

/* An approximate graph is one whatever its recall. */
static void test_approximate(void **state)
{
	char *text;
	(void)state;
	write_stack(3, 455000, 1 - 0x1p-53);
	report();
	expect_file(csv, "recall.csv",
		    "k,\"<i>&\"\"q\"\"\",\"b,c_d\",layer.\xce\xb1.of_a_long_name_that_no_figure_has_the_room_to_show\n"
		    "15,0.9999999999999999,1,1\n");
	text = read_text(page);
	expect_in(text, "<b>Approximate.</b>", ": recall above 0.9900 (no miss found)", " class=\"approx\"",
		  "<tr><th scope=\"row\">recall</th><td>0.999999</td><td>1</td><td>1</td></tr>",
		  "it differs by up to 0.013, and its standard error is up to 0.0013",
		  "Of some pairs of layers there is no", "0.3458&nbsp;&#177;&nbsp;0.0013</td><td></td></tr>",
		  "1,000 samples audited",
		  "A neighbour that a layer marked " KITH_APPROX_MARK " has missed breaks a run",
		  "(NNTS about 0.35 at k&nbsp;=&nbsp;15)", NULL);
	assert_null(strstr(text, "several percent"));
	free(text);
	write_stack(3, 455000, 0.95);
	report();
	text = read_text(page);
	expect_in(text, "may be off by several percent", NULL);
	free(text);
	text = read_text(latex);
	expect_in(text, "\\label{tab:recall}", " & 0.9500 (0.9400 to 0.9750) \\\\", "b,c\\_d & 1 \\\\", NULL);
	free(text);
}

/* Small counts would all be 0.01 thousand: they are printed in full. */
static void test_small_counts(void **state)
{
	char *text;
	(void)state;
	write_stack(3, 9999, 1);
	report();
	text = read_text(page);
	expect_in(text, ">9999</td>", NULL);
	assert_null(strstr(text, "in thousands"));
	assert_null(strstr(text, "Approximate"));
	free(text);
	write_stack(3, 10000, 1);
	report();
	text = read_text(page);
	expect_in(text, ">10.0</td>", "in thousands", NULL);
	free(text);
}

/* From one layer to so many that cells, labels and tables give way; each twice, for equal bytes. */
static void test_sizes_and_bytes(void **state)
{
	static const size_t sizes[] = {1, 2, 20, 21, 65, 600};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const char *files[] = {page, latex};
		char *first[2], *second, figure[SANDBOX_PATH + 64], *drawn;
		write_stack(sizes[i], 20000, 1);
		report();
		snprintf(figure, sizeof figure, "%s/nnts.svg", svg);
		drawn = read_text(figure);
		for (size_t f = 0; f < 2; f++)
			first[f] = read_text(files[f]);
		assert_int_equal(strstr(first[0], "<caption>NNTP") != NULL, sizes[i] <= 64);
		assert_int_equal(strstr(first[0], "id=\"dynamics\"") != NULL, sizes[i] > 1);
		report();
		for (size_t f = 0; f < 2; f++) {
			second = read_text(files[f]);
			assert_string_equal(first[f], second);
			free(first[f]);
			free(second);
		}
		second = read_text(figure);
		assert_string_equal(drawn, second);
		free(second);
		free(drawn);
	}
}

/* Four figures in one page: every id is there once, and every reference has its id. */
static void test_ids(void **state)
{
	char *text, *at, id[128], wanted[160];
	size_t references = 0;
	(void)state;
	write_stack(65, 20000, 1);
	report();
	text = read_text(page);
	for (at = text; (at = strstr(at, "href=\"#")); references++) {
		at += strlen("href=\"#");
		snprintf(id, sizeof id, "%.*s", (int)strcspn(at, "\""), at);
		snprintf(wanted, sizeof wanted, " id=\"%s\"", id);
		assert_non_null(strstr(text, wanted));
		assert_null(strstr(strstr(text, wanted) + 1, wanted));
		assert_true(!strncmp(id, "nnts-", 5) || !strncmp(id, "nntp_k15_union_alpha0-", 22) ||
			    !strncmp(id, "flow_k15_union-", 15) || !strncmp(id, "survival_k15_union-", 19));
	}
	assert_true(references > 100);
	free(text);
}

static void expect_failure(const kith_report_options *options, const char *from, const char *to, int status,
			   const char *says)
{
	size_t before = sandbox_entries();
	kith_err err = {0};
	if (kith_report(from, to, options, NULL, &err) != status || !strstr(err.msg, says))
		fail_msg("%d \"%s\", should be %d and hold \"%s\"", err.code, err.msg, status, says);
	assert_int_equal(sandbox_entries(), before);
}

static int stop(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	(void)what;
	(void)done;
	(void)total;
	return --*(int *)context < 0;
}

static void test_failures(void **state)
{
	kith_report_options options = {0};
	char below[2 * SANDBOX_PATH];
	int ticks = 1;
	(void)state;
	write_stack(3, 20000, 1);
	remove(page);
	expect_failure(&options, "/nowhere/s.json", page, KITH_EIO, "/nowhere/s.json");
	expect_failure(&options, input, "/nowhere/r.html", KITH_EIO, "/nowhere/r.html");
	expect_failure(&options, input, input, KITH_EUSAGE, "is the input");
	options.latex = input;
	expect_failure(&options, input, page, KITH_EUSAGE, "is the input");
	options.latex = page; /* one file for two purposes */
	expect_failure(&options, input, page, KITH_EIO, "another program is writing this file");
	options = (kith_report_options){.csv = input};
	expect_failure(&options, input, page, KITH_EUSAGE, "is not a directory");
	snprintf(below, sizeof below, "%s/missing/csv", csv);
	options = (kith_report_options){.svg = below};
	expect_failure(&options, input, page, KITH_EIO, "cannot create this directory");
	options = (kith_report_options){.svg = svg, .progress = {stop, &ticks}};
	expect_failure(&options, input, page, KITH_ECANCELED, "interrupted");
	assert_int_equal(access(page, F_OK), -1);
}

/* ---- figures ------------------------------------------------------------------------------------------------- */

static void test_colours(void **state)
{
	kith_colour scale[KITH_SCALE_STOPS] = {{0, 0, 0}}, c;
	(void)state;
	for (size_t i = 0; i < KITH_SCALE_STOPS; i++)
		scale[i].r = (double)i / (KITH_SCALE_STOPS - 1);
	c = kith_scale_colour(scale, -1);
	assert_true(c.r == 0);
	c = kith_scale_colour(scale, 2);
	assert_true(c.r == 1);
	c = kith_scale_colour(scale, 0.3);
	assert_true(c.r > 0.29999 && c.r < 0.30001);
	c = kith_colour_on((kith_colour){1, 1, 0.8});
	assert_true(c.r == 0);
	c = kith_colour_on((kith_colour){0.1, 0, 0.3});
	assert_true(c.r == 1);
}

static int draw_nothing(kith_canvas *canvas, const void *what, kith_err *err)
{
	(void)canvas;
	return *(const int *)what ? kith_fail(err, KITH_ENOMEM, "as told") : 0;
}

static void test_canvas(void **state)
{
	kith_canvas *canvas = NULL;
	kith_err err = {0};
	char *text = NULL;
	size_t size;
	int fails = 0;
	FILE *f = open_memstream(&text, &size);
	(void)state;
	assert_int_equal(kith_canvas_new(&canvas, &err), 0);
	assert_true(kith_canvas_text_width(canvas, 10, 0, "") == 0);
	assert_true(kith_canvas_text_width(canvas, 10, 0, "mmmm") > kith_canvas_text_width(canvas, 10, 0, "mm") * 1.9);
	kith_canvas_free(canvas);
	assert_int_equal(kith_canvas_render(f, KITH_PNG, "x", "t", 10, 20, draw_nothing, &fails, &err), 0);
	fflush(f);
	assert_memory_equal(text, "\x89PNG\r\n\x1a\n", 8);
	assert_memory_equal(text + 16, "\0\0\0\x14\0\0\0\x28", 8); /* two pixels to a point */
	fails = 1;
	assert_int_equal(kith_canvas_render(f, KITH_SVG, "x", "t", 10, 20, draw_nothing, &fails, &err), KITH_ENOMEM);
	assert_string_equal(err.msg, "as told");
	fclose(f);
	free(text);
}

/* The sandbox removes what lies in it, but not below. */
static void empty(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char file[2 * SANDBOX_PATH];
	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof file, "%s/%.255s", directory, entry->d_name);
		if (entry->d_name[0] != '.')
			remove(file);
	}
	if (dir)
		closedir(dir);
}

int main(void)
{
	int failed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thousands),       cmocka_unit_test(test_small_numbers),
		cmocka_unit_test(test_escapes),         cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_approximate),     cmocka_unit_test(test_small_counts),
		cmocka_unit_test(test_sizes_and_bytes), cmocka_unit_test(test_ids),
		cmocka_unit_test(test_failures),        cmocka_unit_test(test_colours),
		cmocka_unit_test(test_canvas),
	};
	sandbox_path(input, "stack.json");
	sandbox_path(page, "report.html");
	sandbox_path(csv, "csv");
	sandbox_path(svg, "svg");
	sandbox_path(latex, "nntp.tex");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	empty(csv);
	empty(svg);
	return failed;
}
