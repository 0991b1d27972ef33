/* test_err.c - of the errors of a parallel loop the one of the least index is told, whichever thread comes first; a
 * message gets the name of its file; and a text is cut to its field between two characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "first_error.h"
#include "rng.h"
#include "text.h"

static void test_first_error(void **state)
{
	rng r = {3};
	(void)state;
	for (int round = 0; round < 200; round++) {
		kith_first_error failed = {0};
		kith_err err = {0};
		char wanted[32];
		int bad[64], first = 64;
		for (int i = 63; i >= 0; i--) {
			bad[i] = rng_chance(&r, 5);
			first = bad[i] ? i : first;
		}
#pragma omp parallel for num_threads(4) schedule(dynamic, 1)
		for (int i = 0; i < 64; i++) {
			kith_err why;
			int rc = bad[i] ? kith_fail(&why, i % 2 ? KITH_EIO : KITH_EBUG, "number %d", i) : 0;
			kith_first_error_note(&failed, (uint64_t)i, rc, &why);
		}
		snprintf(wanted, sizeof wanted, first < 64 ? "number %d" : "", first);
		int rc = first == 64 ? 0 : first % 2 ? KITH_EIO : KITH_EBUG;
		assert_int_equal(kith_first_error_get(&failed, NULL), rc);
		assert_int_equal(kith_first_error_get(&failed, &err), rc);
		assert_int_equal(kith_first_error_seen(&failed), rc != 0);
		assert_int_equal(err.code, rc);
		assert_string_equal(err.msg, wanted);
	}
}

static void test_fail_in(void **state)
{
	kith_err err = {0};
	char name[sizeof err.msg + 100];
	(void)state;
	assert_int_equal(kith_fail_in(&err, 0, "a file"), 0);
	assert_string_equal(err.msg, "");
	assert_int_equal(kith_fail_in(&err, kith_fail(&err, KITH_EIO, "is %s", "gone"), "a file"), KITH_EIO);
	assert_string_equal(err.msg, "a file: is gone");
	assert_int_equal(kith_fail_in(&err, KITH_ECORRUPT, "%s"), KITH_ECORRUPT); /* may change the status */
	assert_int_equal(err.code, KITH_ECORRUPT);
	assert_string_equal(err.msg, "%s: a file: is gone");
	assert_int_equal(kith_fail_in(NULL, KITH_EIO, "a file"), KITH_EIO);
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	kith_fail_in(&err, KITH_EIO, name);
	assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

static void test_copy_text(void **state)
{
	char field[6], whole[6] = {'a', 'b', 'c', 'd', 'e', 'f'};
	(void)state;
	memset(field, 'z', sizeof field);
	kith_copy_text(field, sizeof field, "ab");
	assert_memory_equal(field, "ab\0\0\0\0", 6);
	kith_copy_text(field, sizeof field, "");
	assert_memory_equal(field, "\0\0\0\0\0\0", 6);
	kith_copy_text(field, sizeof field, "abcde");
	assert_string_equal(field, "abcde");
	kith_copy_text(field, sizeof field, whole); /* no zero at its end */
	assert_string_equal(field, "abcde");
	kith_copy_text(field, sizeof field, "abcd\xc3\xa9");
	assert_string_equal(field, "abcd");
	kith_copy_text(field, sizeof field, "abc\xc3\xa9");
	assert_string_equal(field, "abc\xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_error),
		cmocka_unit_test(test_fail_in),
		cmocka_unit_test(test_copy_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
