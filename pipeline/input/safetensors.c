/* safetensors.c - https://github.com/huggingface/safetensors: the length of a header, 8 bytes; the header, JSON, that
 * has for each tensor its type, shape, and where it begins and ends behind the header; the tensors, in C order and
 * little-endian. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "alloc.h"
#include "reader.h"

#define MAX_HEADER  (100u << 20) /* safetensors' own limit */
#define MAX_MEMBER  (64u << 10)  /* bytes of what it says of one tensor */
#define BLOCK_BYTES (64u << 10)  /* of the header that are read together */

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
	json_t *member;      /* holds name and type */
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

static int no_object(const kith_part *p, const char *why, uint64_t at, kith_err *err)
{
	return kith_fail(err, KITH_EUSAGE, "%s: its header is no JSON object: %s (byte %llu of it)", p->path, why,
			 (unsigned long long)at);
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

/* ---- the header, member by member ---- */

/* A header is parsed a member at a time, so that it takes no more memory than one of them, however long it is. */
typedef struct scan {
	const kith_part *part;
	kith_err *err;
	int rc;             /* of reading */
	uint64_t next, end; /* of the file: the next byte to read, and where the header ends */
	size_t at, size;    /* in `block` */
	uint64_t begin;     /* byte of the header that the member begins at */
	uint64_t length;    /* of what is in `member`, or would be if it were longer: an object of this member alone */
	char member[MAX_MEMBER];
	uint8_t block[BLOCK_BYTES];
} scan;

/* -1 at the end of the header, or if it cannot be read. */
static int next_byte(scan *s)
{
	if (s->at == s->size) {
		s->at = 0;
		s->size = s->end - s->next < BLOCK_BYTES ? s->end - s->next : BLOCK_BYTES;
		if (s->size && (s->rc = kith_part_read_header(s->part, s->block, s->size, s->next, s->err)))
			s->size = 0;
		s->next += s->size;
	}
	return s->at < s->size ? s->block[s->at++] : -1;
}

static int is_blank(int c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int next_visible(scan *s)
{
	int c;
	do
		c = next_byte(s);
	while (is_blank(c));
	return c;
}

static uint64_t place(const scan *s)
{
	return s->next - (s->size - s->at) - 8;
}

static void put(scan *s, int c)
{
	if (s->length < MAX_MEMBER)
		s->member[s->length] = (char)c;
	s->length++;
}

/* Returns what ends the member, a comma or brace; or -1: nothing does. */
static int take_member(scan *s)
{
	int c, quoted = 0, escaped = 0;
	uint64_t depth = 0, blanks = 0; /* these are none of the member's, if nothing follows */
	s->begin = place(s);
	s->length = 0;
	put(s, '{');
	while ((c = next_byte(s)) >= 0 && (quoted || depth || (c != ',' && c != '}'))) {
		if (!quoted && !depth && is_blank(c)) {
			blanks++;
			continue;
		}
		for (; blanks; blanks--)
			put(s, ' ');
		if (quoted) {
			quoted = escaped || c != '"';
			escaped = !escaped && c == '\\';
		} else {
			quoted = c == '"';
			depth += c == '{' || c == '[';
			depth -= depth && (c == '}' || c == ']');
		}
		put(s, c);
	}
	put(s, '}');
	return c;
}

/* The member, parsed, to be released; NULL: it is longer than that of any tensor, and none. */
static int parse_member(const scan *s, json_t **out, kith_err *err)
{
	static const char metadata[] = "\"__metadata__\"";
	json_error_t why;
	const char *name = s->member + 1, *last = s->member + MAX_MEMBER - sizeof metadata;
	*out = NULL;
	if (s->length > MAX_MEMBER) {
		while (name < last && is_blank(*name))
			name++;
		return memcmp(name, metadata, sizeof metadata - 1)
			       ? no_object(s->part, "more of one tensor than there can be", s->begin, err)
			       : 0;
	}
	if ((*out = json_loadb(s->member, s->length, JSON_REJECT_DUPLICATES, &why)))
		return 0;
	if (json_error_code(&why) == json_error_out_of_memory)
		return kith_fail_nomem(err, "a header", s->length);
	return no_object(s->part, why.text, s->begin + (uint64_t)why.position - 1, err);
}

typedef int see_tensor(void *context, const kith_part *p, const tensor *t, kith_err *err);

/* Calls `each` if the member is a tensor. The last may be empty if it is the only one. */
static int visit(const scan *s, int may_be_empty, see_tensor *each, void *context, kith_err *err)
{
	const char *name;
	json_t *member, *value;
	int rc = parse_member(s, &member, err);
	if (!rc && member && !json_object_size(member) && !may_be_empty)
		rc = no_object(s->part, "a name is missing", s->begin, err);
	json_object_foreach(member, name, value)
	{
		tensor t;
		if (!rc && strcmp(name, "__metadata__") && !(rc = take_tensor(s->part, name, value, &t, err))) {
			t.member = member;
			rc = each(context, s->part, &t, err);
		}
	}
	json_decref(member);
	return rc;
}

static int walk_members(scan *s, see_tensor *each, void *context, kith_err *err)
{
	int rc = 0, end = ',';
	if (next_visible(s) != '{')
		return s->rc ? s->rc : no_object(s->part, "'{' expected", place(s), err);
	for (int first = 1; !rc && end == ','; first = 0) {
		end = take_member(s);
		rc = s->rc     ? s->rc
		     : end < 0 ? no_object(s->part, "it does not end", place(s), err)
			       : visit(s, first && end == '}', each, context, err);
	}
	if (!rc && next_visible(s) >= 0)
		rc = no_object(s->part, "something is behind it", place(s), err);
	return rc ? rc : s->rc;
}

/* Sets data_at, and calls `each` for all tensors. */
static int walk(kith_part *p, see_tensor *each, void *context, kith_err *err)
{
	uint8_t length_bytes[8];
	int rc = kith_part_read_header(p, length_bytes, 8, 0, err);
	if (rc)
		return rc;
	uint64_t length = number_at(length_bytes);
	if (length > MAX_HEADER)
		return kith_fail(err, KITH_EUSAGE,
				 "%s: not a .safetensors file: its header would have %llu bytes, and %u "
				 "are the most",
				 p->path, (unsigned long long)length, MAX_HEADER);
	if (length > p->bytes - 8)
		return kith_fail(err, KITH_EUSAGE, "%s: truncated in its header", p->path);
	scan *s = kith_alloc(1, sizeof *s);
	if (!s)
		return kith_fail_nomem(err, "a header", sizeof *s);
	p->head_bytes = p->data_at = 8 + length;
	s->part = p;
	s->err = err;
	s->rc = 0;
	s->at = s->size = 0;
	s->next = 8;
	s->end = 8 + length;
	rc = walk_members(s, each, context, err);
	free(s);
	return rc;
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
	if (s->wanted && strcmp(s->wanted, t->name))
		return 0;
	if (s->count && !strcmp(s->found.name, t->name))
		return refuse(p, t->name, "the header has it twice", err);
	if (!s->count++) {
		s->found = *t;
		json_incref(t->member);
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
	search s = {.wanted = p->entry};
	int rc = walk(p, see, &s, err);
	if (!rc && s.count != 1)
		rc = kith_part_no_entry(p, err);
	else if (!rc && !(rc = walk(p, see_overlap, &s.found, err)))
		rc = set_tensor(p, &s.found, err);
	json_decref(s.found.member);
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
	return walk(p, list_tensor, &(listing){each, context}, err);
}

const kith_reader kith_reader_safetensors = {
	.name = "safetensors", .recognise = is_safetensors, .open = open_safetensors, .list = list_safetensors};
