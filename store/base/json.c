/* json.c - see json.h */
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#include "text.h"

static void put_gap(kith_json *j, const char *otherwise)
{
	fputs(j->gap ? j->gap : otherwise, j->out);
	j->gap = NULL;
}

/* What stands before an item. */
static void start_item(kith_json *j)
{
	if (j->after_key) {
		j->after_key = 0;
		return;
	}
	if (j->level[j->depth].filled)
		putc(',', j->out);
	put_gap(j, j->level[j->depth].filled ? " " : "");
	j->level[j->depth].filled = 1;
}

void kith_json_begin(kith_json *j, char bracket)
{
	start_item(j);
	putc(bracket, j->out);
	assert(j->depth < KITH_JSON_DEPTH);
	j->level[++j->depth].bracket = bracket == '{' ? '}' : ']';
	j->level[j->depth].filled = 0;
}

void kith_json_end(kith_json *j)
{
	put_gap(j, "");
	putc(j->level[j->depth--].bracket, j->out);
}

void kith_json_gap(kith_json *j, const char *gap)
{
	j->gap = gap;
}

void kith_json_key(kith_json *j, const char *name)
{
	start_item(j);
	kith_put_json(j->out, name);
	fputs(": ", j->out);
	j->after_key = 1;
}

void kith_json_string(kith_json *j, const char *text)
{
	start_item(j);
	kith_put_json(j->out, text);
}

void kith_json_count(kith_json *j, uint64_t count)
{
	start_item(j);
	fprintf(j->out, "%" PRIu64, count);
}

void kith_json_number(kith_json *j, double x)
{
	char text[KITH_DOUBLE_TEXT];
	start_item(j);
	fputs(isfinite(x) ? kith_double_text(x, text) : "null", j->out);
}

void kith_json_null(kith_json *j)
{
	start_item(j);
	fputs("null", j->out);
}

void kith_json_open(kith_json *j, const char *name, char bracket)
{
	kith_json_key(j, name);
	kith_json_begin(j, bracket);
}

void kith_json_put_string(kith_json *j, const char *name, const char *text)
{
	kith_json_key(j, name);
	kith_json_string(j, text);
}

void kith_json_put_count(kith_json *j, const char *name, uint64_t count)
{
	kith_json_key(j, name);
	kith_json_count(j, count);
}

void kith_json_put_number(kith_json *j, const char *name, double x)
{
	kith_json_key(j, name);
	kith_json_number(j, x);
}
