/* text.c - see text.h */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#include "single.h"

/* "%g" leaves out zeros at the end, so fewer than 15 digits need no trial. */
const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT])
{
	char shorter[KITH_DOUBLE_TEXT];
	x = x == 0 ? 0.0 : x; /* not "-0" */
	snprintf(out, KITH_DOUBLE_TEXT, "%.16g", x);
	if (strtod(out, NULL) != x) {
		snprintf(out, KITH_DOUBLE_TEXT, "%.17g", x);
		return out;
	}
	snprintf(shorter, sizeof shorter, "%.15g", x);
	if (strtod(shorter, NULL) == x)
		memcpy(out, shorter, sizeof shorter);
	return out;
}

const char *kith_single_text(double x, char out[KITH_DOUBLE_TEXT])
{
	x = x == 0 ? 0.0 : x;
	for (int digits = 7; digits <= 9; digits++) {
		snprintf(out, KITH_DOUBLE_TEXT, "%.*g", digits, x);
		if (kith_single_encode(strtod(out, NULL)) == kith_single_encode(x))
			break;
	}
	return out;
}

void kith_copy_text(char *field, size_t size, const char *text)
{
	size_t length = strnlen(text, size);
	if (length == size)
		length--;
	while (length && text[length] && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(field, text, length);
	memset(field + length, 0, size - length);
}

const char *kith_ladder_text(const uint32_t *ladder, uint32_t count, char *out, size_t size)
{
	size_t used = 0;
	out[0] = 0;
	for (uint32_t t = 0; t < count && used < size; t++)
		used += (size_t)snprintf(out + used, size - used, t ? ",%u" : "%u", ladder[t]);
	return out;
}

const char *kith_part_text(double x, char out[KITH_DOUBLE_TEXT])
{
	if (x < 1 && x >= 0.99995)
		snprintf(out, KITH_DOUBLE_TEXT, "%.6f", x < 0.999999 ? x : 0.999999);
	else
		snprintf(out, KITH_DOUBLE_TEXT, "%.4f", x);
	return out;
}

const char *kith_recall_text(double recall, double low, double high, char out[KITH_RECALL_TEXT])
{
	char a[KITH_DOUBLE_TEXT], b[KITH_DOUBLE_TEXT], c[KITH_DOUBLE_TEXT];
	if (recall >= 1 - 0x1p-53) /* kith_recall_part of all */
		snprintf(out, KITH_RECALL_TEXT, "above %.12s (no miss found)", kith_part_text(low, a));
	else
		snprintf(out, KITH_RECALL_TEXT, "%.12s (%.12s to %.12s)", kith_part_text(recall, a),
			 kith_part_text(low, b), kith_part_text(high, c));
	return out;
}

void kith_grouped(uint64_t x, char *out, size_t size)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)x), used = 0;
	for (size_t i = 0; i < length && used + 2 < size; i++) {
		if (i && (length - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
}

const char *kith_ties_text(uint32_t k, uint64_t rows, uint64_t n, uint64_t most, char out[KITH_TIES_TEXT])
{
	char a[32], b[32], c[32];
	kith_grouped(rows, a, sizeof a);
	kith_grouped(n, b, sizeof b);
	kith_grouped(most, c, sizeof c);
	snprintf(out, KITH_TIES_TEXT, "k=%u: %.20s of %.20s rows tied at the last neighbour, groups up to %.20s", k, a,
		 b, c);
	return out;
}

/* ---- UTF-8 and escapes ---- */

size_t kith_utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

/* Writes text with replacement[c] for a character c that has one, and `bad` for what is no UTF-8 and for control
 * characters. */
static void put_replaced(FILE *out, const char *text, const char *const replacement[128], const char *bad)
{
	while (*text) {
		size_t length = kith_utf8_length(text);
		unsigned char c = (unsigned char)*text;
		if (c < 128 && replacement[c])
			fputs(replacement[c], out);
		else if (!length || c < ' ' || c == 0x7f)
			fputs(bad, out);
		else
			fwrite(text, 1, length, out);
		text += length ? length : 1;
	}
}

void kith_put_html(FILE *out, const char *text)
{
	static const char *const html[128] = {
		['&'] = "&amp;",  ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;",
		['\''] = "&#39;", ['\n'] = "\n",  ['\t'] = "\t",
	};
	put_replaced(out, text, html, KITH_REPLACEMENT_CHARACTER);
}

void kith_put_xml(FILE *out, const char *text)
{
	static const char *const xml[128] = {
		['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['\n'] = "\n", ['\t'] = "\t",
	};
	put_replaced(out, text, xml, KITH_REPLACEMENT_CHARACTER);
}

/* A line end would end the row's line or, doubled, the paragraph. */
void kith_put_latex(FILE *out, const char *text)
{
	static const char *const latex[128] = {
		['\\'] = "\\textbackslash{}",
		['~'] = "\\textasciitilde{}",
		['^'] = "\\textasciicircum{}",
		['<'] = "\\textless{}",
		['>'] = "\\textgreater{}",
		['|'] = "\\textbar{}",
		['"'] = "\\textquotedbl{}",
		['#'] = "\\#",
		['$'] = "\\$",
		['%'] = "\\%",
		['&'] = "\\&",
		['_'] = "\\_",
		['{'] = "\\{",
		['}'] = "\\}",
	};
	put_replaced(out, text, latex, " ");
}

/* RFC 4180: quotes around what holds a comma, a quote or a line end; quotes doubled. */
void kith_put_csv(FILE *out, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}
