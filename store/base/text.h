/* text.h - numbers as text, and text from files or users made harmless in the formats that kith writes. Write errors
 * stay with the stream. Thread safe. */
#ifndef KITH_TEXT_H
#define KITH_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KITH_DOUBLE_TEXT           32             /* room for any double */
#define KITH_REPLACEMENT_CHARACTER "\xef\xbf\xbd" /* U+FFFD */

/* The fewest digits (15 to 17) that read back as the same double, in the C locale; zero of either sign is "0". Returns
 * `out`. */
const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT]);

/* The same of a double that holds no more than a float's 24 significant bits, or whose others say nothing: the fewest
 * digits (7 to 9) that read back as what rounds to the same. */
const char *kith_single_text(double x, char out[KITH_DOUBLE_TEXT]);

/* Copies text into a field of `size` bytes, cut between two characters if it is too long, and fills the field with
 * zeros. `text` ends with a zero or has `size` bytes at least. */
void kith_copy_text(char *field, size_t size, const char *text);

/* "15,100" for the ladder of these `count` values, cut at `size`. Returns `out`. */
const char *kith_ladder_text(const uint32_t *ladder, uint32_t count, char *out, size_t size);

/* A part of a whole, with four decimals, or with six where these would make 1 of what is less. Returns `out`. */
const char *kith_part_text(double part, char out[KITH_DOUBLE_TEXT]);

/* A measured recall with its interval, "0.9961 (0.9950 to 0.9970)", or "above 0.9984 (no miss found)"; what is below 1
 * is not rounded to 1. Returns `out`. */
#define KITH_RECALL_TEXT 64
const char *kith_recall_text(double recall, double low, double high, char out[KITH_RECALL_TEXT]);

/* 60000 -> "60,000" */
void kith_grouped(uint64_t x, char *out, size_t size);

/* "k=15: 571 of 1,000 rows tied at the last neighbour, groups up to 572". Returns `out`. */
#define KITH_TIES_TEXT 128
const char *kith_ties_text(uint32_t k, uint64_t rows, uint64_t n, uint64_t most, char out[KITH_TIES_TEXT]);

/* The length of the UTF-8 sequence at `text` (RFC 3629: no overlong forms, no surrogates), or 0 if there is none. */
size_t kith_utf8_length(const char *text);

/* Writes `text` as HTML text or attribute value, as XML text, as a CSV field (RFC 4180), as LaTeX text. In HTML and
 * XML, control characters and bytes that are not UTF-8 become U+FFFD; in LaTeX, blanks. */
void kith_put_html(FILE *out, const char *text);
void kith_put_xml(FILE *out, const char *text);
void kith_put_csv(FILE *out, const char *text);
void kith_put_latex(FILE *out, const char *text);

#endif
