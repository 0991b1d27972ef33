/* kith/limits.h - the largest sizes that kith's files and programs take. */
#ifndef KITH_LIMITS_H
#define KITH_LIMITS_H

#include <stdint.h>

#define KITH_MAX_NODES  2000000000u /* samples; ids are 32 bits with one bit to spare */
#define KITH_MAX_DIM    100000000u  /* activations per sample and layer */
#define KITH_MAX_VALUES INT64_MAX  /* values per sample of a graph's input, zeros that no file has among them */
#define KITH_MAX_LAYERS 4096u       /* layers of a stack */
#define KITH_MAX_TIERS  15          /* values of k in a ladder: 4 bits hold a tier or "absent" */

#endif
