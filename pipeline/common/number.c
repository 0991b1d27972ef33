/* number.c - see number.h */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>

/* Writes so many digits; are they enough? */
static int write_digits(double x, int digits, char out[KITH_DOUBLE_TEXT])
{
	snprintf(out, KITH_DOUBLE_TEXT, "%.*g", digits, x);
	return strtod(out, NULL) == x;
}

const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT])
{
	x = x == 0 ? 0.0 : x;          /* not "-0" */
	if (!write_digits(x, 16, out)) /* enough for half of all doubles, and seldom too many */
		write_digits(x, 17, out);
	else if (!write_digits(x, 15, out))
		write_digits(x, 16, out);
	return out;
}
