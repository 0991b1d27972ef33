/* in_edges.c - see in_edges.h */
#include "in_edges.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

#define SHEAF 32u /* targets whose products with a weight are looked at together */

static int has_window(const kith_op *op)
{
	return op->kind == KITH_CONV2D || op->kind == KITH_MAXPOOL || op->kind == KITH_AVGPOOL;
}

static int has_winners(const kith_op *op)
{
	return op->kind == KITH_MAXPOOL && op->rule == KITH_POOL_MAX;
}

kith_window kith_window_of(const kith_h0_info *info, const kith_op *op)
{
	const uint64_t *to = info->layers[op->to].shape;
	uint64_t reach[2];
	kith_window w = {0};
	for (int side = 0; side < 2; side++) {
		w.stride[side] = to[1 + side] == 1 ? 1 : op->stride[side];
		reach[side] =
			(to[1 + side] - 1) * w.stride[side] + (uint64_t)op->dilation[side] * (op->kernel[side] - 1) + 1;
	}
	w.rows = (reach[0] + w.stride[0] - 1) / w.stride[0];
	w.pitch = (reach[1] + w.stride[1] - 1) / w.stride[1];
	w.plane = w.stride[0] * w.stride[1] * w.rows * w.pitch;
	w.span = (to[1] - 1) * w.pitch + to[2];
	return w;
}

/* Where the largest weight of a kernel and the largest activation that it meets bound what it makes. */
static int has_reach(const kith_network *network, uint32_t o)
{
	const kith_op *op = &network->info.ops[o];
	return op->kind == KITH_CONV2D && !kith_op_rounds(network, o) && op->kernel[0] * op->kernel[1] > 1;
}

static uint64_t reach_size(const kith_h0_info *info, const kith_op *op)
{
	const uint64_t *to = info->layers[op->to].shape;
	return to[1] * to[2] * info->layers[op->from].shape[0];
}

/* ---- scratch ---- */

void kith_in_edges_list(kith_workspace *w, kith_in_edges *in, const kith_network *network, float **singles,
			uint32_t **winners)
{
	const kith_h0_info *info = &network->info;
	uint64_t planes = 0, span = 0, single = 0, winner = 0, places = 0, reach = 0;
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		reach = kith_add_bytes(reach, has_reach(network, o) ? reach_size(info, op) : 0);
		if (has_winners(op))
			winner += info->layers[op->to].units;
		if (!has_window(op) || has_winners(op))
			continue;
		kith_window window = kith_window_of(info, op);
		uint64_t all = info->layers[op->from].shape[0] * window.plane;
		planes = all > planes ? all : planes;
		span = window.span > span ? window.span : span;
		places = op->fan_in > places ? op->fan_in : places;
	}
	for (uint32_t l = 0; l < info->layer_count; l++)
		single += info->layers[l].units;
	in->network = network;
	KITH_BUFFER(w, in->planes, planes);
	KITH_BUFFER(w, in->single_planes, kith_add_bytes(planes, SHEAF));
	KITH_BUFFER(w, in->most, kith_add_bytes(span, SHEAF));
	KITH_BUFFER(w, in->place, kith_add_bytes(span, SHEAF));
	KITH_BUFFER(w, in->offset, places);
	KITH_BUFFER(w, in->step, places);
	KITH_BUFFER(w, in->single, info->op_count);
	KITH_BUFFER(w, in->winner, info->op_count);
	KITH_BUFFER(w, in->cut, info->op_count);
	KITH_BUFFER(w, in->reach, info->op_count);
	KITH_BUFFER(w, *singles, kith_add_bytes(single, reach));
	KITH_BUFFER(w, *winners, winner);
}

void kith_in_edges_point(kith_in_edges *in, float *singles, uint32_t *winners)
{
	const kith_h0_info *info = &in->network->info;
	float *reach = singles + info->vertices;
	for (uint32_t o = 0; o < info->op_count; o++) {
		const kith_op *op = &info->ops[o];
		in->reach[o] = has_reach(in->network, o) ? reach : NULL;
		reach += in->reach[o] ? reach_size(info, op) : 0;
		int wanted = op->kind == KITH_DENSE && !kith_op_rounds(in->network, o);
		in->single[o] = wanted ? singles + info->layers[op->from].first_vertex : NULL;
		in->winner[o] = winners;
		winners += has_winners(&info->ops[o]) ? info->layers[info->ops[o].to].units : 0;
	}
}

/* ---- places in windows ---- */

/* The part of a window that is not on padding, for a target at (y, x). */
typedef struct place_range {
	int64_t top, left;        /* of the window, on the source */
	uint32_t ky[2], kx[2];    /* from, to */
	uint64_t channel, inputs; /* the first source channel, and how many */
	uint64_t target_channel;
} place_range;

static void clip(int64_t at, uint32_t dilation, uint32_t kernel, uint64_t size, uint32_t out[2])
{
	int64_t low = at < 0 ? (-at + dilation - 1) / dilation : 0;
	int64_t end = at >= (int64_t)size ? 0 : ((int64_t)size - 1 - at) / dilation + 1;
	end = end < (int64_t)kernel ? end : (int64_t)kernel;
	out[0] = (uint32_t)(low < end ? low : end);
	out[1] = (uint32_t)end;
}

static place_range range_of(const kith_h0_info *info, const kith_op *op, uint64_t v)
{
	const uint64_t *from = info->layers[op->from].shape, *to = info->layers[op->to].shape;
	place_range r;
	uint64_t groups = op->kind == KITH_CONV2D ? op->groups : from[0];
	r.target_channel = v / (to[1] * to[2]);
	r.inputs = from[0] / groups;
	r.channel = r.target_channel / (to[0] / groups) * r.inputs;
	r.top = (int64_t)(v / to[2] % to[1] * op->stride[0]) - (int64_t)op->padding[0];
	r.left = (int64_t)(v % to[2] * op->stride[1]) - (int64_t)op->padding[1];
	clip(r.top, op->dilation[0], op->kernel[0], from[1], r.ky);
	clip(r.left, op->dilation[1], op->kernel[1], from[2], r.kx);
	return r;
}

/* The source unit at a place of the range. */
static inline uint64_t unit_at(const uint64_t *from, const kith_op *op, const place_range *r, uint64_t c, uint32_t ky,
			       uint32_t kx)
{
	uint64_t y = (uint64_t)(r->top + (int64_t)ky * op->dilation[0]),
		 x = (uint64_t)(r->left + (int64_t)kx * op->dilation[1]);
	return ((r->channel + c) * from[1] + y) * from[2] + x;
}

static inline double weight_of(const kith_op_weights *weights, double constant, uint64_t at)
{
	return weights->single ? (double)weights->single[at] : weights->wide ? weights->wide[at] : constant;
}

/* ---- a new sample ---- */

/* The first of the largest elements of each window. */
static void find_winners(const kith_h0_info *info, const kith_op *op, const double *h, uint32_t *winner)
{
	const uint64_t *from = info->layers[op->from].shape;
	for (uint64_t v = 0; v < info->layers[op->to].units; v++) {
		place_range r = range_of(info, op, v);
		double most = -INFINITY;
		winner[v] = KITH_NO_UNIT;
		for (uint32_t ky = r.ky[0]; ky < r.ky[1]; ky++)
			for (uint32_t kx = r.kx[0]; kx < r.kx[1]; kx++) {
				double x = h[unit_at(from, op, &r, 0, ky, kx)];
				if (x > most) {
					most = x;
					winner[v] = ky * op->kernel[1] + kx;
				}
			}
	}
}

KITH_CLONES static void make_absolute(double *h, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		h[i] = fabs(h[i]);
}

KITH_CLONES static void make_single(const double *h, uint64_t count, float *out)
{
	for (uint64_t i = 0; i < count; i++)
		out[i] = (float)h[i];
}

KITH_CLONES static double least_above_zero(const double *h, uint64_t count)
{
	double least = INFINITY;
	for (uint64_t i = 0; i < count; i++)
		least = h[i] > 0 && h[i] < least ? h[i] : least;
	return least;
}

/* The largest activation in each window, by channel. */
static void find_reach(const kith_h0_info *info, const kith_op *op, const double *h, float *reach)
{
	const uint64_t *from = info->layers[op->from].shape, *to = info->layers[op->to].shape;
	for (uint64_t position = 0; position < to[1] * to[2]; position++) {
		place_range r = range_of(info, op, position);
		r.channel = 0;
		for (uint64_t c = 0; c < from[0]; c++) {
			double most = 0;
			for (uint32_t ky = r.ky[0]; ky < r.ky[1]; ky++)
				for (uint32_t kx = r.kx[0]; kx < r.kx[1]; kx++) {
					double x = h[unit_at(from, op, &r, c, ky, kx)];
					most = x > most ? x : most;
				}
			reach[position * from[0] + c] = (float)most;
		}
	}
}

void kith_in_edges_start(kith_in_edges *in, double *const *h)
{
	const kith_h0_info *info = &in->network->info;
	in->h = h;
	for (uint32_t o = 0; o < info->op_count; o++)
		if (has_winners(&info->ops[o]))
			find_winners(info, &info->ops[o], h[info->ops[o].from], in->winner[o]);
	for (uint32_t l = 0; l < info->layer_count; l++)
		if (h[l])
			make_absolute(h[l], info->layers[l].units);
	for (uint32_t o = 0; o < info->op_count; o++) {
		uint32_t from = info->ops[o].from;
		if (in->single[o])
			make_single(h[from], info->layers[from].units, in->single[o]);
		if (in->reach[o])
			find_reach(info, &info->ops[o], h[from], in->reach[o]);
	}
}

/* ---- dense ---- */

#define BLOCK 64u /* products between two looks at the largest */

/* Whether one of BLOCK products is as large as that. Rounding to floats keeps their order, but for what becomes equal.
 */
KITH_CLONES static int any_as_large(const float *restrict w, const float *restrict h, float least)
{
	int any = 0;
	for (unsigned i = 0; i < BLOCK; i++)
		any |= w[i] * h[i] >= least;
	return any;
}

/* Takes the edge from source u, if it is before *first and leaves the tree. */
static inline void take(const kith_in_edges *in, uint32_t o, uint64_t id, double phi, uint32_t source,
			const kith_trees *trees, kith_first *first)
{
	if (!kith_is_before(phi, id, first) || !kith_is_kept(phi, id, &in->cut[o]) ||
	    (trees && trees->now[trees->first[source]] == trees->tree))
		return;
	*first = (kith_first){phi, id, source};
}

static void scan_dense(const kith_in_edges *in, uint32_t o, uint64_t v, const kith_trees *trees, kith_first *first)
{
	const kith_h0_info *info = &in->network->info;
	const kith_op *op = &info->ops[o];
	const kith_op_weights *weights = &in->network->weights[o];
	const double *h = in->h[op->from];
	const float *single = in->single[o];
	uint32_t vertex = info->layers[op->from].first_vertex;
	uint64_t row = v * op->fan_in, id = op->base + row;
	for (uint64_t at = 0; at < op->fan_in; at += BLOCK) {
		uint64_t end = op->fan_in - at < BLOCK ? op->fan_in : at + BLOCK;
		if (single && end - at == BLOCK &&
		    !any_as_large(weights->single + row + at, single + at, (float)first->phi))
			continue;
		for (uint64_t j = at; j < end; j++) {
			double phi = weight_of(weights, 0, row + j) * h[j];
			if (phi >= first->phi)
				take(in, o, id + j, phi, vertex + (uint32_t)j, trees, first);
		}
	}
}

/* ---- windows ---- */

static void scan_window(const kith_in_edges *in, uint32_t o, uint64_t v, const kith_trees *trees, kith_first *first)
{
	const kith_h0_info *info = &in->network->info;
	const kith_op *op = &info->ops[o];
	const kith_op_weights *weights = &in->network->weights[o];
	const uint64_t *from = info->layers[op->from].shape;
	const double *h = in->h[op->from];
	place_range r = range_of(info, op, v);
	uint64_t id = op->base + v * op->fan_in, kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	uint32_t vertex = info->layers[op->from].first_vertex;
	double constant = kith_op_weight(op);
	const float *reach = NULL,
		    *strongest = weights->strongest ? weights->strongest + r.target_channel * r.inputs : NULL;
	if (in->reach[o])
		reach = in->reach[o] + v % (info->layers[op->to].shape[1] * info->layers[op->to].shape[2]) * from[0] +
			r.channel;
	for (uint64_t c = 0; c < r.inputs; c++) {
		if (reach && c % BLOCK == 0 && r.inputs - c >= BLOCK &&
		    !any_as_large(strongest + c, reach + c, (float)first->phi)) {
			c += BLOCK - 1;
			continue;
		}
		if (reach && strongest[c] * reach[c] < (float)first->phi)
			continue;
		for (uint32_t ky = r.ky[0]; ky < r.ky[1]; ky++)
			for (uint32_t kx = r.kx[0]; kx < r.kx[1]; kx++) {
				uint64_t j = c * kernel + (uint64_t)ky * op->kernel[1] + kx,
					 u = unit_at(from, op, &r, c, ky, kx);
				double phi = weight_of(weights, constant, r.target_channel * op->fan_in + j) * h[u];
				if (phi >= first->phi)
					take(in, o, id + j, phi, vertex + (uint32_t)u, trees, first);
			}
	}
}

/* The one edge of a target that has no more: identity, or a maxpool that passes on one element. */
static void scan_one(const kith_in_edges *in, uint32_t o, uint64_t v, const kith_trees *trees, kith_first *first)
{
	const kith_h0_info *info = &in->network->info;
	const kith_op *op = &info->ops[o];
	uint64_t j = 0, u = v;
	if (op->kind == KITH_MAXPOOL) {
		if (in->winner[o][v] == KITH_NO_UNIT)
			return;
		j = in->winner[o][v];
		u = (uint64_t)kith_op_source(info, op, v, j);
	}
	take(in, o, op->base + v * op->fan_in + j, in->h[op->from][u],
	     info->layers[op->from].first_vertex + (uint32_t)u, trees, first);
}

static int has_one(const kith_op *op)
{
	return op->kind == KITH_IDENTITY || has_winners(op);
}

void kith_in_edges_leave(const kith_in_edges *in, uint32_t o, uint32_t v, const kith_trees *trees, kith_first *first)
{
	const kith_op *op = &in->network->info.ops[o];
	if (has_one(op))
		scan_one(in, o, v, trees, first);
	else if (op->kind == KITH_DENSE)
		scan_dense(in, o, v, trees, first);
	else
		scan_window(in, o, v, trees, first);
}

/* The channels of the source, each as its phases (in_edges.h). */
static void copy_planes(const kith_in_edges *in, const kith_op *op, const kith_window *w)
{
	const uint64_t *from = in->network->info.layers[op->from].shape;
	const double *h = in->h[op->from];
	memset(in->planes, 0, from[0] * w->plane * sizeof *in->planes);
	for (uint64_t c = 0; c < from[0]; c++)
		for (uint64_t y = 0; y < from[1]; y++) {
			uint64_t py = y + op->padding[0];
			if (py / w->stride[0] >= w->rows)
				break;
			double *row = in->planes + c * w->plane +
				      (py % w->stride[0] * w->stride[1] * w->rows + py / w->stride[0]) * w->pitch;
			for (uint64_t x = 0; x < from[2]; x++) {
				uint64_t px = x + op->padding[1];
				if (px / w->stride[1] >= w->pitch)
					break;
				row[px % w->stride[1] * w->rows * w->pitch + px / w->stride[1]] =
					h[(c * from[1] + y) * from[2] + x];
			}
		}
}

/* In order of places, so that of equal products the first stays. */
KITH_CLONES static void keep_largest(double w, double place, const double *restrict h, uint64_t count,
				     double *restrict most, double *restrict at)
{
	for (uint64_t q = 0; q < count; q++) {
		double p = w * h[q];
		at[q] = p > most[q] ? place : at[q];
		most[q] = p > most[q] ? p : most[q];
	}
}

#define TILE 512u /* targets that stay in the first cache */

/* The largest product of each target of a channel with `weights`, and its place. */
static void find_channel(const kith_in_edges *in, const kith_window *w, const kith_op *op,
			 const kith_op_weights *weights, uint64_t channel, const double *planes)
{
	double constant = kith_op_weight(op);
	memset(in->most, 0, w->span * sizeof *in->most);
	for (uint64_t q = 0; q < w->span; q += TILE) {
		uint64_t count = w->span - q < TILE ? w->span - q : TILE;
		for (uint64_t j = 0; j < op->fan_in; j++) {
			double weight = weight_of(weights, constant, channel * op->fan_in + j);
			if (weight > 0)
				keep_largest(weight, (double)j, planes + in->step[j] + q, count, in->most + q,
					     in->place + q);
		}
	}
}

/* The same of SHEAF targets where weights and activations are floats, and none of their products is below a float's
 * normal range. Rounding keeps the order of products, but for what becomes equal: one that is larger than another is
 * no smaller as a float. So floats, of which a vector holds twice as many, tell when there is something to be done,
 * which is seldom, and doubles what. */
KITH_CLONES static void find_sheaf(const float *restrict w, const uint64_t *restrict step, uint64_t places,
				   const float *restrict planes, double *restrict most, double *restrict place)
{
	float least[SHEAF];
	for (unsigned t = 0; t < SHEAF; t++) {
		least[t] = FLT_MIN;
		most[t] = place[t] = 0;
	}
	for (uint64_t j = 0; j < places; j++) {
		const float *h = planes + step[j];
		float weight = w[j];
		double wide = weight, number = (double)j;
		int any = 0;
		for (unsigned t = 0; t < SHEAF; t++)
			any |= weight * h[t] >= least[t];
		if (!any)
			continue;
		for (unsigned t = 0; t < SHEAF; t++) {
			double p = wide * (double)h[t], at = place[t], before = most[t];
			place[t] = p > before ? number : at;
			most[t] = p > before ? p : before;
		}
		for (unsigned t = 0; t < SHEAF; t++) {
			float rounded = (float)most[t];
			least[t] = rounded > FLT_MIN ? rounded : FLT_MIN;
		}
	}
}

/* From the source unit at a target's first place to those at its others; and the same in planes. */
static void list_offsets(kith_in_edges *in, const kith_op *op, const kith_window *w, const uint64_t *from)
{
	uint64_t kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	for (uint64_t j = 0; j < op->fan_in; j++) {
		uint64_t c = j / kernel, dy = j % kernel / op->kernel[1] * op->dilation[0],
			 dx = j % op->kernel[1] * op->dilation[1],
			 phase = dy % w->stride[0] * w->stride[1] + dx % w->stride[1];
		in->offset[j] = (int64_t)((c * from[1] + dy) * from[2] + dx);
		in->step[j] = c * w->plane + (phase * w->rows + dy / w->stride[0]) * w->pitch + dx / w->stride[1];
	}
}

/* Whether floats serve: the products of a conv2d, which are exact as doubles, must all be normal floats. */
static int is_single(const kith_in_edges *in, uint32_t o)
{
	const kith_op *op = &in->network->info.ops[o];
	if (op->kind != KITH_CONV2D || kith_op_rounds(in->network, o))
		return 0;
	double h = least_above_zero(in->h[op->from], in->network->info.layers[op->from].units);
	return in->network->weights[o].least * h >= FLT_MIN;
}

static void first_of_window(kith_in_edges *in, uint32_t o, kith_first *first)
{
	const kith_h0_info *info = &in->network->info;
	const kith_op *op = &info->ops[o];
	const uint64_t *to = info->layers[op->to].shape;
	const kith_op_weights *weights = &in->network->weights[o];
	kith_window w = kith_window_of(info, op);
	const uint64_t *from = info->layers[op->from].shape;
	uint32_t vertex = info->layers[op->from].first_vertex;
	int single = is_single(in, o);
	copy_planes(in, op, &w);
	list_offsets(in, op, &w, from);
	if (single)
		make_single(in->planes, from[0] * w.plane, in->single_planes);
	memset(in->single_planes + from[0] * w.plane, 0, SHEAF * sizeof *in->single_planes);
	for (uint64_t channel = 0, v = 0; channel < to[0]; channel++) {
		/* The source unit at the first place of the channel's first target, as if padding had units, too. */
		place_range r = range_of(info, op, v);
		int64_t corner = (int64_t)(r.channel * from[1] * from[2]) + r.top * (int64_t)from[2] + r.left;
		if (!single)
			find_channel(in, &w, op, weights, channel, in->planes + r.channel * w.plane);
		for (uint64_t q = 0; single && q < w.span; q += SHEAF)
			find_sheaf(weights->single + channel * op->fan_in, in->step, op->fan_in,
				   in->single_planes + r.channel * w.plane + q, in->most + q, in->place + q);
		for (uint64_t y = 0; y < to[1]; y++)
			for (uint64_t x = 0; x < to[2]; x++, v++) {
				double phi = in->most[y * w.pitch + x];
				uint64_t j = phi > 0 ? (uint64_t)in->place[y * w.pitch + x] : 0,
					 id = op->base + v * op->fan_in + j;
				if (kith_is_before(phi, id, &first[v]) && kith_is_kept(phi, id, &in->cut[o]))
					first[v] = (kith_first){
						phi, id,
						(uint32_t)(vertex + corner +
							   (int64_t)(y * op->stride[0] * from[2] + x * op->stride[1]) +
							   in->offset[j])};
			}
	}
}

void kith_in_edges_first(kith_in_edges *in, uint32_t o, kith_first *first)
{
	const kith_op *op = &in->network->info.ops[o];
	if (has_window(op) && !has_winners(op))
		first_of_window(in, o, first);
	else
		for (uint64_t v = 0; v < in->network->info.layers[op->to].units; v++)
			kith_in_edges_leave(in, o, (uint32_t)v, NULL, &first[v]);
}

/* ---- all of them ---- */

void kith_in_edges_row(const kith_in_edges *in, uint32_t o, uint64_t v, double *row)
{
	const kith_h0_info *info = &in->network->info;
	const kith_op *op = &info->ops[o];
	const kith_op_weights *weights = &in->network->weights[o];
	const double *h = in->h[op->from];
	memset(row, 0, op->fan_in * sizeof *row);
	if (has_one(op)) {
		uint32_t j = op->kind == KITH_IDENTITY ? 0 : in->winner[o][v];
		if (j != KITH_NO_UNIT)
			row[j] = h[kith_op_source(info, op, v, j)];
		return;
	}
	if (op->kind == KITH_DENSE) {
		for (uint64_t j = 0; j < op->fan_in; j++)
			row[j] = weight_of(weights, 0, v * op->fan_in + j) * h[j];
		return;
	}
	place_range r = range_of(info, op, v);
	uint64_t kernel = (uint64_t)op->kernel[0] * op->kernel[1];
	double constant = kith_op_weight(op);
	for (uint64_t c = 0; c < r.inputs; c++)
		for (uint32_t ky = r.ky[0]; ky < r.ky[1]; ky++)
			for (uint32_t kx = r.kx[0]; kx < r.kx[1]; kx++) {
				uint64_t j = c * kernel + (uint64_t)ky * op->kernel[1] + kx;
				row[j] = weight_of(weights, constant, r.target_channel * op->fan_in + j) *
					 h[unit_at(info->layers[op->from].shape, op, &r, c, ky, kx)];
			}
}
