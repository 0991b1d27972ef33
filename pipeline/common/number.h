/* number.h - doubles as text. */
#ifndef KITH_NUMBER_H
#define KITH_NUMBER_H

#define KITH_DOUBLE_TEXT 32 /* room for any double */

/* The fewest digits (15 to 17) that read back as the same double, in the C locale; zero of either sign is "0". Returns
 * `out`. */
const char *kith_double_text(double x, char out[KITH_DOUBLE_TEXT]);

#endif
