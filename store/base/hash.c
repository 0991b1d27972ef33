/* hash.c - the one file that includes xxhash.h; see hash.h */
#include "hash.h"

#include <xxhash.h>

uint64_t kith_hash(const void *bytes, size_t size)
{
	return XXH3_64bits(bytes, size);
}

/* The opaque state is xxHash's own, which its own allocator aligns as it needs. */
kith_hash_state *kith_hash_new(void)
{
	XXH3_state_t *xxh = XXH3_createState();
	if (xxh)
		XXH3_64bits_reset(xxh);
	return (kith_hash_state *)xxh;
}

void kith_hash_update(kith_hash_state *state, const void *bytes, size_t size)
{
	XXH3_64bits_update((XXH3_state_t *)state, bytes, size);
}

uint64_t kith_hash_value(const kith_hash_state *state)
{
	return XXH3_64bits_digest((const XXH3_state_t *)state);
}

void kith_hash_free(kith_hash_state *state)
{
	XXH3_freeState((XXH3_state_t *)state);
}
