/* json_string.h - text that came from a file or a user, as JSON. */
#ifndef KITH_JSON_STRING_H
#define KITH_JSON_STRING_H

#include <stddef.h>
#include <stdio.h>

/* The length of the UTF-8 sequence at `text` (RFC 3629: no overlong forms, no surrogates), or 0 if there is none. */
size_t kith_utf8_length(const char *text);

/* Writes `text` (NULL counts as ""), quoted and escaped. JSON is UTF-8, file names are bytes, and a long command line
 * may have been cut inside a character: bytes that are not UTF-8 become U+FFFD, which loses nothing that a result
 * depends on. Write errors stay with the stream. */
void kith_json_string(FILE *out, const char *text);

#endif
