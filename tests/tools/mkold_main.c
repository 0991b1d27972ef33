/* mkold - what another version's file looks like to a reader: mkold graph|pairs FILE OUT makes of a .nng or a .kpr a
 * file with nothing but its meta record, which says that the format has version 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "value.h"

#define VERSION_AT 8 /* FORMAT.md: of either meta record */

int main(int argc, char **argv)
{
	kith_container *from, *to;
	kith_encoder value = {0};
	kith_decoder decoder = {0};
	kith_view view;
	kith_err err = {.msg = "out of memory"};
	const void *bytes;
	size_t size;
	uint64_t raw;
	uint32_t version = 1;
	if (argc != 4 || kith_encoder_init(&value, &err) || kith_decoder_init(&decoder, &err)) {
		fprintf(stderr, "Usage: mkold graph|pairs FILE OUT\n");
		return 2;
	}
	kith_container_kind kind = strcmp(argv[1], "graph") ? KITH_CONTAINER_PAIRS : KITH_CONTAINER_GRAPH;
	if (kith_container_open(&from, argv[2], kind, &err) ||
	    kith_container_get(from, KITH_TABLE_META, 0, &bytes, &size, &err) ||
	    kith_view_open(&view, &decoder, bytes, size, KITH_TABLE_META, 0, &err))
		goto bad;
	memcpy(&raw, view.at, sizeof raw); /* the first stream's size */
	char *meta = malloc(raw);
	if (!meta || kith_view_stream(&view, meta, raw, &err))
		goto bad;
	memcpy(meta + VERSION_AT, &version, sizeof version);
	if (kith_value_start(&value, KITH_TABLE_META, 0, view.nodes, view.items, &err) ||
	    kith_value_stream(&value, meta, raw, &err))
		goto bad;
	kith_value_seal(&value);
	if (kith_container_create(&to, argv[3], kind, &err) ||
	    kith_container_put(to, KITH_TABLE_META, 0, value.bytes, value.size, &err) || kith_container_seal(to, &err))
		goto bad;
	kith_container_close(to);
	kith_container_close(from);
	kith_encoder_free(&value);
	kith_decoder_free(&decoder);
	free(meta);
	return 0;
bad:
	fprintf(stderr, "mkold: %s\n", err.msg);
	return 1;
}
