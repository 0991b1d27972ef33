#include "slow_sparse.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sandbox.h"
#include "slow.h"

static double lifetime(const slow_h0 *h, size_t class_)
{
	const slow_h0_class *c = &h->class_[class_];
	return h->edge[c->birth].phi - (c->death == SIZE_MAX ? 0 : h->edge[c->death].phi);
}

/* Classes that come before this one: longer lives, or equal ones born earlier; else those born earlier. */
static size_t place(const slow_h0 *h, size_t class_, int longest)
{
	size_t before = 0;
	for (size_t c = 0; c < h->classes; c++)
		before += longest && lifetime(h, c) != lifetime(h, class_) ? lifetime(h, c) > lifetime(h, class_)
									   : c < class_;
	return before;
}

static double value_of(const slow_h0 *h, size_t e, const kith_row_options *rows, const uint8_t *op_wanted)
{
	kith_weights w = rows->weights;
	size_t basin = h->basin[e];
	int of_classes = rows->classes || w == KITH_WEIGHTS_LIFETIME || w == KITH_WEIGHTS_LIFETIME_PHI;
	if (!op_wanted[h->edge[e].op] || (of_classes && basin == SIZE_MAX) ||
	    (rows->classes && place(h, basin, rows->longest) >= rows->classes))
		return 0;
	if (w == KITH_WEIGHTS_PHI)
		return h->edge[e].phi;
	if (w == KITH_WEIGHTS_LIFETIME)
		return lifetime(h, basin);
	return w == KITH_WEIGHTS_LIFETIME_PHI ? lifetime(h, basin) * h->edge[e].phi : 1;
}

double *slow_sparse_rows(const slow_net *net, double keep, const kith_row_options *rows, const uint8_t *op_wanted)
{
	size_t d = slow_h0_ids(net);
	double *x = must_alloc(net->info.n * d, sizeof *x);
	for (size_t i = 0; i < net->info.n; i++) {
		slow_h0 h = slow_h0_of(net, keep, i);
		for (size_t e = 0; e < h.edges; e++)
			x[i * d + h.edge[e].id] = value_of(&h, e, rows, op_wanted);
		slow_h0_free(&h);
	}
	return x;
}

static double distance(const double *x, const double *y, size_t d)
{
	size_t both = 0, either = 0;
	for (size_t t = 0; t < d; t++) {
		both += x[t] != 0 && y[t] != 0;
		either += x[t] != 0 || y[t] != 0;
	}
	return either ? (double)(either - both) / (double)either : 0;
}

void slow_jaccard_order(const double *x, size_t n, size_t d, kith_ties ties, uint64_t *order)
{
	uint64_t *ids = must_alloc(d, sizeof *ids);
	for (size_t i = 0; i < n; i++) {
		size_t count = 0;
		for (size_t t = 0; t < d; t++)
			if (x[i * d + t] != 0)
				ids[count++] = t;
		order[i] = XXH3_64bits(ids, count * sizeof *ids);
	}
	slow_tie_order_of(XXH3_64bits(order, n * sizeof *order), n, ties, order);
	free(ids);
}

void slow_jaccard(const double *x, size_t n, size_t d, const uint64_t *order, size_t width, uint32_t *ranks,
		  double *dist2)
{
	double *far = must_alloc(n, sizeof *far);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++)
			far[j] = distance(x + i * d, x + j * d, d);
		far[i] = 2;
		for (size_t r = 0; r < width; r++) {
			size_t best = 0;
			for (size_t j = 1; j < n; j++)
				if (far[j] < far[best] || (far[j] == far[best] && order[j] < order[best]))
					best = j;
			ranks[i * width + r] = (uint32_t)best;
			dist2[i * width + r] = far[best] * far[best];
			far[best] = 3;
		}
	}
	free(far);
}
