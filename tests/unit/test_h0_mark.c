/* test_h0_mark.c - births and deaths of chains and stars, worked out by hand: the elder rule, ties, cycles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kith/generators.h"

#define MAX_EDGES 8

enum { NONE = KITH_MARK_NONE, BIRTH = KITH_MARK_BIRTH, DEATH = KITH_MARK_DEATH };

/* A forest in its order, and what becomes of its edges. */
typedef struct forest {
	uint64_t edges;
	uint32_t a[MAX_EDGES], b[MAX_EDGES];
	double phi[MAX_EDGES];
	uint32_t classes;
	uint8_t mark[MAX_EDGES];
} forest;

static void check(const forest *f)
{
	uint32_t parent[MAX_EDGES + 1], birth[MAX_EDGES + 1];
	uint8_t mark[MAX_EDGES];
	for (uint32_t x = 0; x <= MAX_EDGES; x++)
		parent[x] = x;
	assert_int_equal(kith_h0_mark(f->edges, f->a, f->b, f->phi, parent, birth, mark), f->classes);
	for (uint64_t e = 0; e < f->edges && f->classes != KITH_NO_CLASS; e++)
		assert_int_equal(mark[e], f->mark[e]);
}

/* 0 -4- 1 -1- 2 -3- 3 -2- 4 -5- 5: births at 5, 4 and 3. 2 joins those of 5 and 3, and 3 dies; 1 joins that to the one
 * of 4, which is younger than 5's. */
static void chain(void **state)
{
	(void)state;
	check(&(forest){.edges = 5,
			.a = {4, 0, 2, 3, 1},
			.b = {5, 1, 3, 4, 2},
			.phi = {5, 4, 3, 2, 1},
			.classes = 3,
			.mark = {BIRTH, BIRTH, BIRTH, DEATH, DEATH}});
	/* Down from one end: it only grows. */
	check(&(forest){.edges = 3, .a = {0, 1, 2}, .b = {1, 2, 3}, .phi = {3, 2, 1}, .classes = 1, .mark = {BIRTH}});
	/* Two ends, the middle as heavy as the younger: that class has no lifetime, and is none. */
	check(&(forest){.edges = 3, .a = {0, 2, 1}, .b = {1, 3, 2}, .phi = {3, 2, 2}, .classes = 1, .mark = {BIRTH}});
	/* All alike: the first edge's class only. */
	check(&(forest){.edges = 3, .a = {0, 2, 1}, .b = {1, 3, 2}, .phi = {1, 1, 1}, .classes = 1, .mark = {BIRTH}});
	/* Elders of equal value: the one that comes first stays. The younger, 2-3, dies at 1. */
	check(&(forest){.edges = 3,
			.a = {0, 2, 1},
			.b = {1, 3, 2},
			.phi = {2, 2, 1},
			.classes = 2,
			.mark = {BIRTH, BIRTH, DEATH}});
}

/* All edges of a star meet in its centre: one class. With arms of two edges, each outer one heavier, all arms but the
 * eldest die where they meet it. */
static void star(void **state)
{
	(void)state;
	check(&(forest){
		.edges = 4, .a = {0, 0, 0, 0}, .b = {3, 1, 4, 2}, .phi = {4, 3, 2, 1}, .classes = 1, .mark = {BIRTH}});
	/* Outer 1-2 (6), 3-4 (5), 5-6 (4); inner 0-5 (3), 0-1 (2), 0-3 (1). 0-5 only grows; 0-1 is the death of 5-6,
	 * 0-3 that of 3-4. */
	check(&(forest){.edges = 6,
			.a = {1, 3, 5, 0, 0, 0},
			.b = {2, 4, 6, 5, 1, 3},
			.phi = {6, 5, 4, 3, 2, 1},
			.classes = 3,
			.mark = {BIRTH, BIRTH, BIRTH, NONE, DEATH, DEATH}});
}

static void apart(void **state)
{
	(void)state;
	check(&(forest){.edges = 0, .classes = 0});
	check(&(forest){.edges = 2, .a = {0, 2}, .b = {1, 3}, .phi = {2, 1}, .classes = 2, .mark = {BIRTH, BIRTH}});
}

static void cycle(void **state)
{
	(void)state;
	check(&(forest){
		.edges = 3, .a = {0, 1, 2}, .b = {1, 2, 0}, .phi = {3, 2, 1}, .classes = KITH_NO_CLASS, .mark = {0}});
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(chain), cmocka_unit_test(star), cmocka_unit_test(apart),
					   cmocka_unit_test(cycle)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
