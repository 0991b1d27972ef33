/* filetype.c - see filetype.h */
#include "filetype.h"

#include <stdio.h>
#include <string.h>

#include "activations.h"

/* A graph or a pair store, by the magic number of the tail (store/FORMAT.md, section 2). One that was cut off counts as
 * a graph: whoever opens it will say that it is truncated. */
static kith_filetype lmdb_type(FILE *file)
{
	char magic[8];
	int is_pairs = !fseek(file, -4096, SEEK_END) && fread(magic, 1, sizeof magic, file) == sizeof magic &&
		       !memcmp(magic, "KITHPAIR", sizeof magic);
	return is_pairs ? KITH_FILE_PAIRS : KITH_FILE_GRAPH;
}

int kith_filetype_of(const char *path, kith_filetype *out, kith_err *err)
{
	unsigned char head[64] = {0};
	FILE *file = fopen(path, "re");
	if (!file)
		return kith_fail_errno(err, "%s: cannot open", path);
	size_t got = fread(head, 1, sizeof head - 1, file);
	int failed = ferror(file);
	int is_lmdb = got >= 20 && !memcmp(head + 16, "\xde\xc0\xef\xbe", 4); /* LMDB's magic number */
	if (failed)
		kith_fail_errno(err, "%s: cannot read", path);
	else if (is_lmdb)
		*out = lmdb_type(file);
	fclose(file);
	if (failed)
		return KITH_EIO;
	if (is_lmdb)
		return 0;
	if (kith_activations_recognise(path, head, got))
		*out = KITH_FILE_NPY;
	else if (head[strspn((char *)head, " \t\r\n")] == '{')
		*out = KITH_FILE_STACK;
	else
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith file (.nng, .kpr, stack.json) and not a .npy", path);
	return 0;
}
