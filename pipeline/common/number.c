/* number.c - see number.h */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>

const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, KITH_DOUBLE_TEXT, "%.*g", digits, x == 0 ? 0.0 : x); /* not "-0" */
		if (strtod(out, NULL) == x)
			break;
	}
	return out;
}
