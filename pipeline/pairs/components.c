/* components.c - see components.h */
#include "components.h"

#include <stdlib.h>

#include "alloc.h"

int kith_components_init(kith_components *c, uint64_t n, kith_err *err)
{
	*c = (kith_components){.n = n, .of = kith_alloc(n, sizeof *c->of)};
	if (!c->of)
		return kith_fail_nomem(err, "a component for every sample", n * sizeof *c->of);
	for (uint64_t i = 0; i < n; i++)
		c->of[i] = (uint32_t)i;
	return 0;
}

void kith_components_free(kith_components *c)
{
	free(c->of);
	free(c->size);
	*c = (kith_components){0};
}

/* Path halving: every other sample on the path is made to point to its grandparent. */
static uint32_t root_of(kith_components *c, uint32_t i)
{
	while (c->of[i] != i)
		i = c->of[i] = c->of[c->of[i]];
	return i;
}

/* The smaller root stays one, so that a component is named by its smallest sample and nothing points upwards. With the
 * halving, m joins of n samples take O(m log n). */
void kith_components_join(kith_components *c, uint32_t i, uint32_t j)
{
	uint32_t a = root_of(c, i), b = root_of(c, j);
	if (a < b)
		c->of[b] = a;
	else
		c->of[a] = b;
}

int kith_components_finish(kith_components *c, uint64_t *count, kith_err *err)
{
	uint64_t found = 0;
	if (!(c->size = kith_alloc_zero(c->n, sizeof *c->size)))
		return kith_fail_nomem(err, "sizes of components", c->n * sizeof *c->size);
	for (uint64_t i = 0; i < c->n; i++) {
		c->of[i] = c->of[c->of[i]]; /* what it points to is smaller, and done already */
		found += c->of[i] == i;
		c->size[c->of[i]]++;
	}
	*count = found;
	return 0;
}
