/* safetensors.c - https://github.com/huggingface/safetensors: the length of a header, 8 bytes; the header, JSON, that
 * has for each tensor its type, shape, and where it begins and ends behind the header; the tensors, in C order and
 * little-endian. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"
#include "reader.h"

#define MAX_HEADER (100u << 20) /* safetensors' own limit */

static const struct {
	const char *name;
	kith_dtype dtype;
} types[] = {{"F32", KITH_F4}, {"F16", KITH_F2}, {"BF16", KITH_BF16}, {"F64", KITH_F8}, {"I8", KITH_I1},
	     {"U8", KITH_U1},  {"I16", KITH_I2}, {"U16", KITH_U2},    {"I32", KITH_I4}, {"U32", KITH_U4},
	     {"I64", KITH_I8}, {"U64", KITH_U8}, {"BOOL", KITH_B1}};
#define TYPES (sizeof types / sizeof *types)

/* One tensor as the header has it. */
typedef struct tensor {
	const char *name, *type;
	int dims;
	uint64_t shape[KITH_MAX_DIMS];
	uint64_t begin, end; /* bytes behind the header */
} tensor;

static uint64_t number_at(const uint8_t *bytes)
{
	uint64_t x = 0;
	for (int i = 8; i-- > 0;)
		x = x << 8 | bytes[i];
	return x;
}

static int is_safetensors(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	if (size > 9 && head[8] == '{' && head[9] && strchr("\"} \n\r\t", head[9]) && number_at(head) >= 2 &&
	    number_at(head) <= bytes - 8)
		return KITH_BY_CONTENT;
	return kith_path_ends(path, ".safetensors") ? KITH_BY_NAME : KITH_NOT_MINE;
}

/* The parsed header, to be released; sets data_at. */
static int read_header(kith_part *p, json_t **out, kith_err *err)
{
	uint8_t length_bytes[8];
	json_error_t why;
	int rc = kith_part_read_header(p, length_bytes, 8, 0, err);
	if (rc)
		return rc;
	uint64_t length = number_at(length_bytes);
	if (length > MAX_HEADER)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: not a .safetensors file: its header would have %llu bytes, and %u "
				 "are the most",
				 p->path, (unsigned long long)length, MAX_HEADER);
	char *text = length > p->bytes - 8 ? NULL : kith_alloc(length, 1);
	if (!text && length <= p->bytes - 8)
		return kith_fail_nomem(err, "a header", length);
	if (!(rc = kith_part_read_header(p, text, length, 8, err)) &&
	    !(*out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why)))
		rc = kith_fail(err, KITH_EUSAGE, "%s: its header is no JSON object: %s (byte %d of it)", p->path,
			       why.text, why.position);
	free(text);
	if (!rc && !json_is_object(*out)) {
		json_decref(*out);
		rc = kith_fail(err, KITH_EUSAGE, "%s: its header is no JSON object", p->path);
	}
	p->head_bytes = p->data_at = 8 + length;
	return rc;
}

static int refuse(const kith_part *p, const char *name, const char *what, kith_err *err)
{
	return kith_fail(err, KITH_EUSAGE, "%s: tensor \"%.128s\": %s", p->path, name, what);
}

/* A list of numbers, none negative; how many, or -1. */
static int take_numbers(const json_t *list, uint64_t *out, size_t most)
{
	if (!json_is_array(list) || json_array_size(list) > most)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *value = json_array_get(list, i);
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return -1;
		out[i] = (uint64_t)json_integer_value(value);
	}
	return (int)json_array_size(list);
}

static int take_tensor(const kith_part *p, const char *name, const json_t *value, tensor *t, kith_err *err)
{
	uint64_t offsets[2];
	*t = (tensor){.name = name, .type = json_string_value(json_object_get(value, "dtype"))};
	t->dims = take_numbers(json_object_get(value, "shape"), t->shape, KITH_MAX_DIMS);
	if (!t->type || t->dims < 0)
		return refuse(p, name, "the header has no type and shape of it", err);
	if (take_numbers(json_object_get(value, "data_offsets"), offsets, 2) != 2)
		return refuse(p, name, "the header does not say where it lies", err);
	t->begin = offsets[0];
	t->end = offsets[1];
	if (t->begin > t->end)
		return refuse(p, name, "it ends before it begins", err);
	if (t->end > p->bytes - p->data_at)
		return refuse(p, name, "it ends behind the end of the file: truncated?", err);
	return 0;
}

/* Calls `each` for all tensors. */
static int walk(const kith_part *p, json_t *header, int (*each)(void *, const kith_part *, const tensor *, kith_err *),
		void *context, kith_err *err)
{
	const char *name;
	json_t *value;
	json_object_foreach(header, name, value)
	{
		tensor t;
		int rc = 0;
		if (strcmp(name, "__metadata__") && !(rc = take_tensor(p, name, value, &t, err)))
			rc = each(context, p, &t, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- one of them ---- */

typedef struct search {
	const char *wanted; /* NULL: the only one */
	uint64_t count;     /* tensors that might be it */
	tensor found;
} search;

static int see(void *context, const kith_part *p, const tensor *t, kith_err *err)
{
	search *s = context;
	(void)p;
	(void)err;
	if (!s->wanted || !strcmp(s->wanted, t->name)) {
		s->count++;
		s->found = *t;
	}
	return 0;
}

/* No other tensor may lie where the one that is wanted does. */
static int see_overlap(void *context, const kith_part *p, const tensor *t, kith_err *err)
{
	const tensor *one = context;
	char what[256];
	if (!strcmp(t->name, one->name) || t->begin >= one->end || t->end <= one->begin || t->begin == t->end)
		return 0;
	snprintf(what, sizeof what, "it overlaps \"%.128s\"", t->name);
	return refuse(p, one->name, what, err);
}

static int set_tensor(kith_part *p, const tensor *t, kith_err *err)
{
	size_t i = 0;
	char what[256];
	int rc;
	while (i < TYPES && strcmp(types[i].name, t->type))
		i++;
	if (i == TYPES) {
		snprintf(what, sizeof what, "its type is %.32s%s: save it as F32 or BF16", t->type,
			 !strncmp(t->type, "F8", 2) ? ", an FP8 that kith does not read"
						    : ", which kith does not read");
		return refuse(p, t->name, what, err);
	}
	p->dtype = types[i].dtype;
	if ((rc = kith_part_set_shape(p, t->shape, t->dims, 0, err)))
		return rc;
	if (p->shape[0] * (uint64_t)p->stride[0] != t->end - t->begin)
		return refuse(p, t->name, "its shape and type do not make the bytes that it has", err);
	p->data_at += t->begin;
	return 0;
}

static int open_safetensors(kith_part *p, kith_err *err)
{
	json_t *header;
	search s = {.wanted = p->entry};
	int rc = read_header(p, &header, err);
	if (rc)
		return rc;
	if (!(rc = walk(p, header, see, &s, err))) {
		if (s.count != 1)
			rc = kith_part_no_entry(p, err);
		else if (!(rc = walk(p, header, see_overlap, &s.found, err)))
			rc = set_tensor(p, &s.found, err);
	}
	json_decref(header);
	return rc;
}

/* ---- all of them ---- */

typedef struct listing {
	kith_source_each *each;
	void *context;
} listing;

static int list_tensor(void *context, const kith_part *p, const tensor *t, kith_err *err)
{
	const listing *l = context;
	(void)p;
	return l->each(l->context, &(kith_source_entry){NULL, t->name, t->type, t->dims, t->shape, t->end - t->begin},
		       err);
}

static int list_safetensors(kith_part *p, kith_source_each *each, void *context, kith_err *err)
{
	json_t *header;
	int rc = read_header(p, &header, err);
	if (rc)
		return rc;
	rc = walk(p, header, list_tensor, &(listing){each, context}, err);
	json_decref(header);
	return rc;
}

const kith_reader kith_reader_safetensors = {
	.name = "safetensors", .recognise = is_safetensors, .open = open_safetensors, .list = list_safetensors};
