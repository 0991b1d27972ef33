/* number.c - see number.h */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT])
{
	char shorter[KITH_DOUBLE_TEXT];
	x = x == 0 ? 0.0 : x; /* not "-0" */
	snprintf(shorter, sizeof shorter, "%.17g", x);
	memcpy(out, shorter, sizeof shorter);
	for (int digits = 16; digits >= 15; digits--) { /* "%g" leaves out zeros at the end: fewer need no trial */
		snprintf(shorter, sizeof shorter, "%.*g", digits, x);
		if (strtod(shorter, NULL) != x)
			break;
		memcpy(out, shorter, sizeof shorter);
	}
	return out;
}
