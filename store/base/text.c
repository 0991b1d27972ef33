/* text.c - see text.h */
#include "text.h"

#include <stdlib.h>
#include <string.h>

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

void kith_put_json(FILE *out, const char *text)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	fputc('"', out);
	for (const unsigned char *s = (const unsigned char *)(text ? text : ""); *s;) {
		size_t length = kith_utf8_length((const char *)s);
		const char *short_form = strchr(plain, *s);
		if (short_form)
			fprintf(out, "\\%c", letter[short_form - plain]);
		else if (*s < 0x20)
			fprintf(out, "\\u%04X", *s);
		else
			fwrite(length ? (const char *)s : "\xef\xbf\xbd", 1, length ? length : 3, out);
		s += length ? length : 1;
	}
	fputc('"', out);
}

void kith_put_html(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		case '\n':
		case '\t':
			putc(*text, out);
			break;
		default: /* HTML has no other control characters */
			if ((unsigned char)*text < ' ' || *text == 0x7f)
				fputs("\xef\xbf\xbd", out);
			else
				putc(*text, out);
		}
	}
}

/* XML has no control characters, and is UTF-8: what is neither becomes U+FFFD. */
void kith_put_xml(FILE *out, const char *text)
{
	while (*text) {
		size_t length = kith_utf8_length(text);
		const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
		if (entity)
			fputs(entity, out);
		else if (length && ((unsigned char)*text >= 0x20 || strchr("\t\n", *text)))
			fwrite(text, 1, length, out);
		else
			fputs("\xef\xbf\xbd", out);
		text += length ? length : 1;
	}
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

void kith_put_latex(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '\\':
			fputs("\\textbackslash{}", out);
			break;
		case '~':
			fputs("\\textasciitilde{}", out);
			break;
		case '^':
			fputs("\\textasciicircum{}", out);
			break;
		case '<':
			fputs("\\textless{}", out);
			break;
		case '>':
			fputs("\\textgreater{}", out);
			break;
		case '|':
			fputs("\\textbar{}", out);
			break;
		case '"':
			fputs("\\textquotedbl{}", out);
			break;
		case '#':
		case '$':
		case '%':
		case '&':
		case '_':
		case '{':
		case '}':
			putc('\\', out);
			putc(*text, out);
			break;
		default: /* a line end would end the row's line, or, doubled, the paragraph */
			putc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
		}
	}
}
