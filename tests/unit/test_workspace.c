/* test_workspace.c - buffers that are listed together: each has its size, its alignment and its zeros, none overlaps
 * another, what they take is what is said, and sizes that overflow are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc.h"
#include "rng.h"
#include "workspace.h"

static void test_random_lists(void **state)
{
	rng r = {17};
	(void)state;
	for (int round = 0; round < 500; round++) {
		kith_workspace w = {0};
		uint64_t *buffer[KITH_WORKSPACE_BUFFERS];
		uint64_t items[KITH_WORKSPACE_BUFFERS], least = 0;
		void *memory;
		size_t count = 1 + rng_below(&r, KITH_WORKSPACE_BUFFERS);
		for (size_t b = 0; b < count; b++) {
			items[b] = rng_below(&r, 40);
			least += items[b] * sizeof **buffer;
			if (b % 2)
				KITH_BUFFER_ZERO(&w, buffer[b], items[b]);
			else
				KITH_BUFFER(&w, buffer[b], items[b]);
		}
		assert_true(kith_workspace_bytes(&w) >= least);
		assert_int_equal(kith_workspace_alloc(&w, &memory, "a test", NULL), 0);
		for (size_t b = 0; b < count; b++) {
			assert_int_equal((uintptr_t)buffer[b] % 64, 0);
			for (uint64_t i = 0; b % 2 && i < items[b]; i++)
				assert_int_equal(buffer[b][i], 0);
			for (uint64_t i = 0; i < items[b]; i++)
				buffer[b][i] = b;
		}
		for (size_t b = 0; b < count; b++)
			for (uint64_t i = 0; i < items[b]; i++)
				assert_int_equal(buffer[b][i], b);
		free(memory);
	}
}

/* One memory for lists of other counts, which grows when it has to and only then. */
static void test_place(void **state)
{
	rng r = {18};
	void *memory = NULL;
	uint64_t capacity = 0;
	(void)state;
	for (int round = 0; round < 300; round++) {
		kith_workspace w = {0};
		uint32_t *a;
		uint64_t *b, m = rng_below(&r, 50), n = rng_below(&r, 50), had = capacity;
		void *before = memory;
		KITH_BUFFER_ZERO(&w, a, m);
		KITH_BUFFER(&w, b, n);
		assert_int_equal(kith_workspace_place(&w, &memory, &capacity, "a test", NULL), 0);
		assert_true(kith_workspace_bytes(&w) <= capacity);
		if (before && kith_workspace_bytes(&w) <= had)
			assert_ptr_equal(memory, before);
		for (uint64_t i = 0; i < n; i++)
			b[i] = UINT64_MAX;
		for (uint64_t i = 0; i < m; i++) {
			assert_int_equal(a[i], 0);
			a[i] = UINT32_MAX;
		}
	}
	kith_workspace w = {0};
	char *large;
	KITH_BUFFER(&w, large, capacity + 1);
	kith_alloc_fail_nth(1);
	assert_int_equal(kith_workspace_place(&w, &memory, &capacity, "a test", NULL), KITH_ENOMEM);
	kith_alloc_fail_nth(0);
	assert_null(memory);
	assert_int_equal(capacity, 0);
}

static void test_overflow(void **state)
{
	kith_workspace w = {0};
	uint64_t *huge, *other = (void *)&w;
	void *memory;
	kith_err err;
	(void)state;
	KITH_BUFFER(&w, other, 1);
	KITH_BUFFER(&w, huge, UINT64_MAX / 4);
	assert_true(kith_workspace_bytes(&w) == UINT64_MAX);
	assert_int_equal(kith_workspace_alloc(&w, &memory, "a test", &err), KITH_ENOMEM);
	assert_null(memory);
	assert_ptr_equal(other, (void *)&w);
	w.buffer[1].count = UINT64_MAX / 8 - 1; /* each fits, the sum does not */
	assert_true(kith_workspace_bytes(&w) == UINT64_MAX);
}

static void test_no_memory(void **state)
{
	kith_workspace w = {0};
	char *one = NULL;
	void *memory = &w;
	(void)state;
	KITH_BUFFER(&w, one, 100);
	kith_alloc_fail_nth(1);
	assert_int_equal(kith_workspace_alloc(&w, &memory, "a test", NULL), KITH_ENOMEM);
	kith_alloc_fail_nth(0);
	assert_null(memory);
	assert_null(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lists),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
