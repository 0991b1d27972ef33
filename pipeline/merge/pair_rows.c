/* pair_rows.c - see pair_rows.h */
#include "pair_rows.h"

#include <stdlib.h>

#include "kith/alloc.h"

#define MOST_BYTES  (1u << 20) /* of tiers that wait */
#define MOST_PAIRS  4096u
#define WRITER_MOST (48ull << 20) /* kith/pairs.h: a block of 8 MiB and what it encodes to, and 16 MiB of pages */

static uint32_t room_for(uint32_t layers)
{
	uint32_t room = MOST_BYTES / layers;
	return room < MOST_PAIRS ? room : MOST_PAIRS;
}

uint64_t kith_pair_rows_bytes(uint32_t layers)
{
	return room_for(layers) * (8ull + layers) + layers * sizeof(size_t) + WRITER_MOST;
}

int kith_pair_rows_init(kith_pair_rows *p, const char *path, const kith_pair_info *info, kith_err *err)
{
	*p = (kith_pair_rows){.layers = info->layer_count, .room = room_for(info->layer_count)};
	p->i = kith_alloc(p->room, sizeof *p->i);
	p->j = kith_alloc(p->room, sizeof *p->j);
	p->tier = kith_alloc(p->room, p->layers);
	p->cursor = kith_alloc(p->layers, sizeof *p->cursor);
	if (!p->i || !p->j || !p->tier || !p->cursor)
		return kith_fail_nomem(err, "pairs on their way out", kith_pair_rows_bytes(p->layers));
	return kith_pair_writer_create(&p->writer, path, info, err);
}

static int append(kith_pair_rows *p, kith_err *err)
{
	int rc = kith_pair_writer_append(p->writer, p->count, p->i, p->j, p->tier, p->room, err);
	p->count = 0;
	return rc;
}

/* The least id that no row has passed; UINT32_MAX after the last. */
static uint32_t next_id(const kith_pair_rows *p, const kith_pair_row *rows)
{
	uint32_t least = UINT32_MAX;
	for (uint32_t v = 0; v < p->layers; v++)
		if (p->cursor[v] < rows[v].count && rows[v].id[p->cursor[v]] < least)
			least = rows[v].id[p->cursor[v]];
	return least;
}

int kith_pair_rows_add(kith_pair_rows *p, uint32_t node, const kith_pair_row *rows, kith_err *err)
{
	uint32_t id;
	int rc = 0;
	for (uint32_t v = 0; v < p->layers; v++)
		p->cursor[v] = 0;
	while (!rc && (id = next_id(p, rows)) != UINT32_MAX) {
		int present = 0;
		for (uint32_t v = 0; v < p->layers; v++) {
			size_t at = p->cursor[v];
			int here = at < rows[v].count && rows[v].id[at] == id;
			uint8_t tier = here ? rows[v].stored[rows[v].tier[at]] : KITH_PAIR_ABSENT;
			p->tier[v * (size_t)p->room + p->count] = tier;
			p->cursor[v] += (size_t)here;
			present |= tier != KITH_PAIR_ABSENT;
		}
		p->i[p->count] = node;
		p->j[p->count] = id;
		p->count += (uint32_t)present;
		if (p->count == p->room)
			rc = append(p, err);
	}
	return rc;
}

int kith_pair_rows_finish(kith_pair_rows *p, kith_err *err)
{
	int rc = append(p, err);
	if (!rc) {
		rc = kith_pair_writer_finish(p->writer, err);
		p->writer = NULL;
	}
	kith_pair_rows_abort(p);
	return rc;
}

void kith_pair_rows_abort(kith_pair_rows *p)
{
	kith_pair_writer_abort(p->writer);
	free(p->i);
	free(p->j);
	free(p->tier);
	free(p->cursor);
	*p = (kith_pair_rows){0};
}
