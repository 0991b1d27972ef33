/* hash.h - XXH3-64 (xxHash), the checksum of stored values and the digest of input files. */
#ifndef KITH_HASH_H
#define KITH_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint64_t kith_hash(const void *bytes, size_t size);

/* Streaming: init, update any number of times, value. The result does not depend on how the bytes were cut. One
 * kith_hash_state is used by one thread at a time. kith_hash_new returns NULL if memory is short. */
typedef struct kith_hash_state kith_hash_state;
kith_hash_state *kith_hash_new(void);
void kith_hash_update(kith_hash_state *state, const void *bytes, size_t size);
uint64_t kith_hash_value(const kith_hash_state *state);
void kith_hash_free(kith_hash_state *state);

#ifdef __cplusplus
}
#endif
#endif
