/* json.c - see json.h */
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "text.h"

static void put_text(FILE *out, const char *text)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	putc('"', out);
	for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s;) {
		size_t length = kith_utf8_length((const char *)s);
		const char *short_form = strchr(plain, *s);
		if (short_form)
			fprintf(out, "\\%c", letter[short_form - plain]);
		else if (*s < 0x20)
			fprintf(out, "\\u%04X", *s);
		else
			fwrite(length ? (const char *)s : KITH_REPLACEMENT_CHARACTER, 1, length ? length : 3, out);
		s += length ? length : 1;
	}
	putc('"', out);
}

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
	put_text(j->out, name);
	fputs(": ", j->out);
	j->after_key = 1;
}

void kith_json_string(kith_json *j, const char *text)
{
	start_item(j);
	put_text(j->out, text);
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

void kith_json_single(kith_json *j, double x)
{
	char text[KITH_DOUBLE_TEXT];
	start_item(j);
	fputs(isfinite(x) ? kith_single_text(x, text) : "null", j->out);
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

void kith_json_put_known(kith_json *j, const char *name, uint64_t count)
{
	kith_json_key(j, name);
	if (count)
		kith_json_count(j, count);
	else
		kith_json_null(j);
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
