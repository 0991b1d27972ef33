/* json_string.c - see json_string.h */
#include "json_string.h"

#include <string.h>

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

void kith_json_string(FILE *out, const char *text)
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
