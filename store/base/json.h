/* json.h - JSON as it is written, item by item: commas, colons and escapes are seen to, and white space is the
 * caller's, so that files can have a matrix row or a layer to a line and keep their bytes.
 *
 *     kith_json j = {.out = out};
 *     kith_json_begin(&j, '{');
 *     kith_json_put_count(&j, "k", 15);
 *     kith_json_gap(&j, "\n  ");
 *     kith_json_open(&j, "births", '[');
 *     kith_json_count(&j, 3);
 *     kith_json_count(&j, 1);
 *     kith_json_end(&j);              {"k": 15,
 *     kith_json_end(&j);                "births": [3, 1]}
 *
 * Write errors stay with the stream. One thread at a time. */
#ifndef KITH_JSON_H
#define KITH_JSON_H

#include <stdint.h>
#include <stdio.h>

#define KITH_JSON_DEPTH 16 /* lists and objects inside one another, at most */

/* Zero all but `out`. */
typedef struct kith_json {
	FILE *out;
	const char *gap;
	unsigned depth;
	int after_key;
	struct {
		char bracket; /* that closes it */
		char filled;  /* holds an item */
	} level[KITH_JSON_DEPTH + 1];
} kith_json;

/* A list ('[') or an object ('{') begins; the innermost one ends. */
void kith_json_begin(kith_json *j, char bracket);
void kith_json_end(kith_json *j);

/* White space that stands before the next item, or before the end, in place of what stands there otherwise: a blank
 * after a comma, nothing after a bracket. The string has to live until then. */
void kith_json_gap(kith_json *j, const char *gap);

/* In an object: the name of the value that follows. */
void kith_json_key(kith_json *j, const char *name);

/* Values. JSON is UTF-8, file names are bytes, and a long command line may have been cut inside a character: bytes of a
 * string that are not UTF-8 become U+FFFD, which loses nothing that a result depends on; a NULL is "". Doubles are
 * written with the fewest digits that read back the same, or as null where they are not finite. */
void kith_json_string(kith_json *j, const char *text);
void kith_json_count(kith_json *j, uint64_t count);
void kith_json_number(kith_json *j, double x);
void kith_json_single(kith_json *j, double x); /* with the digits of kith_single_text */
void kith_json_null(kith_json *j);

/* A member: its name and its value, or the beginning of it. */
void kith_json_open(kith_json *j, const char *name, char bracket);
void kith_json_put_string(kith_json *j, const char *name, const char *text);
void kith_json_put_count(kith_json *j, const char *name, uint64_t count);
void kith_json_put_known(kith_json *j, const char *name, uint64_t count); /* null if it is 0, which says: not known */
void kith_json_put_number(kith_json *j, const char *name, double x);

#endif
