/* take.h - for parsers of short texts: each moves *p on, over what it has taken. */
#ifndef KITH_TAKE_H
#define KITH_TAKE_H

#include <ctype.h>

static inline void kith_skip_space(const char **p)
{
	while (isspace((unsigned char)**p))
		++*p;
}

/* Takes this character, after blanks, if it is next. */
static inline int kith_take(const char **p, char c)
{
	kith_skip_space(p);
	if (**p != c)
		return 0;
	++*p;
	return 1;
}

#endif
