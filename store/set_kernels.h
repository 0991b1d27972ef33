/* set_kernels.h - inner loops over sets of ids, chosen once for this processor (cpu.h). Inside the store only. */
#ifndef KITH_SET_KERNELS_H
#define KITH_SET_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef struct kith_set_kernels {
	/* How many bits of words[0..count-1] are set. */
	uint64_t (*count_bits)(const uint64_t *words, size_t count);

	/* kith_view_sets (value.h) from the byte planes of the gaps: byte p of gap i is planes[p][i], for p from 0 to
	 * width - 1, width <= 3. May read and write up to 16 items more than there are. Returns whether some
	 * id is not below n. */
	int (*unpack)(const uint8_t *const *planes, int width, const uint64_t *offset, size_t sets, uint64_t base,
		      uint64_t step, uint64_t n, uint32_t *ids);

	/* Copies those of from[0..count-1] whose byte in `which` is 1, of 0 and 1, in their order. The bytes are 0 from
	 * count to the next multiple of 8; as many items more may be read, and 8 more written. Returns how many. */
	size_t (*pick)(const uint32_t *from, const uint8_t *which, size_t count, uint32_t *to);
} kith_set_kernels;

/* Thread safe. */
const kith_set_kernels *kith_set_kernels_get(void);

extern const kith_set_kernels kith_set_kernels_avx2, kith_set_kernels_avx512; /* set_kernels_avx2.c, ... */
size_t kith_pick_avx2(const uint32_t *from, const uint8_t *which, size_t count, uint32_t *to); /* also of the latter */

#endif
