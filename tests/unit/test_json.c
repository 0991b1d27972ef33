/* test_json.c - JSON item by item: commas, colons and white space where they belong, whatever the values are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "json.h"

static char *text;
static size_t size;

static kith_json start(void)
{
	return (kith_json){.out = open_memstream(&text, &size)};
}

static void expect(kith_json *j, const char *wanted)
{
	fclose(j->out);
	assert_string_equal(text, wanted);
	free(text);
}

static void test_items(void **state)
{
	kith_json j = start();
	(void)state;
	kith_json_begin(&j, '{');
	kith_json_key(&j, "a \"b\"");
	kith_json_begin(&j, '[');
	kith_json_count(&j, UINT64_MAX);
	kith_json_number(&j, 0.1);
	kith_json_number(&j, NAN);
	kith_json_number(&j, -INFINITY);
	kith_json_string(&j, NULL);
	kith_json_end(&j);
	kith_json_key(&j, "none");
	kith_json_begin(&j, '{');
	kith_json_end(&j);
	kith_json_key(&j, "last");
	kith_json_string(&j, "\n");
	kith_json_end(&j);
	expect(&j, "{\"a \\\"b\\\"\": [18446744073709551615, 0.1, null, null, \"\"], \"none\": {}, \"last\": \"\\n\"}");
}

/* White space stands before one item only, or before the end. */
static void test_gaps(void **state)
{
	kith_json j = start();
	(void)state;
	kith_json_begin(&j, '[');
	kith_json_gap(&j, " ");
	kith_json_count(&j, 1);
	kith_json_count(&j, 2);
	kith_json_gap(&j, "");
	kith_json_count(&j, 3);
	for (int row = 0; row < 2; row++) {
		kith_json_gap(&j, "\n ");
		kith_json_begin(&j, '[');
		kith_json_count(&j, 4);
		kith_json_end(&j);
	}
	kith_json_gap(&j, "\n");
	kith_json_end(&j);
	expect(&j, "[ 1, 2,3,\n [4],\n [4]\n]");
}

static void test_strings(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{NULL, "\"\""},
		{"", "\"\""},
		{"a \"b\" \\ /", "\"a \\\"b\\\" \\\\ /\""},
		{"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\""},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{"\xff-\xe2\x82", "\"\xef\xbf\xbd-\xef\xbf\xbd\xef\xbf\xbd\""}, /* no UTF-8; cut inside a character */
		{"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                   /* overlong */
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		kith_json j = start();
		kith_json_string(&j, cases[i].text);
		expect(&j, cases[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_items), cmocka_unit_test(test_gaps),
					   cmocka_unit_test(test_strings)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
