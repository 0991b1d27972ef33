/* number.c - see number.h */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>

const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT])
{
	x = x == 0 ? 0.0 : x;                        /* not "-0" */
	snprintf(out, KITH_DOUBLE_TEXT, "%.16g", x); /* enough for half of all doubles, and seldom too much */
	int digits = strtod(out, NULL) == x ? 15 : 17;
	snprintf(out, KITH_DOUBLE_TEXT, "%.*g", digits, x);
	if (digits == 15 && strtod(out, NULL) != x)
		snprintf(out, KITH_DOUBLE_TEXT, "%.16g", x);
	return out;
}
