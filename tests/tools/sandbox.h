/* sandbox.h - what test programs need around the thing they test: memory, a folder that vanishes, seeds. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#define SANDBOX_PATH 512

/* Zeroed memory, or the test program ends: a test that is out of memory has nothing to say. Release with free(). */
void *must_alloc(size_t count, size_t size);

/* A name inside a temporary folder, which the first call makes and the end of the process removes with all in it. */
char *sandbox_path(char out[SANDBOX_PATH], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Entries in that folder, of any name: a failure that leaves this number as it was left nothing behind. */
size_t sandbox_entries(void);

/* The whole file, or NULL; release with free(). */
unsigned char *sandbox_read(const char *path, size_t *size);
void sandbox_write(const char *path, const void *bytes, size_t size);

/* Property tests take `[SEED [ROUNDS]]`, or KITH_SEED and KITH_ROUNDS from the environment. */
typedef struct property_run {
	uint64_t seed, rounds;
} property_run;
property_run property_start(int argc, char **argv, uint64_t rounds);

/* One round: draws everything from `seed`; returns 0, or 1 with one line that says what is wrong. */
typedef int (*property_round)(uint64_t seed, char *why, size_t size);

/* Runs the rounds with seeds seed, seed+1, ...; prints how to repeat each failure, then "N passed, N failed". Returns
 * the exit code. */
int property_run_all(const char *name, property_run run, property_round round);

#endif
