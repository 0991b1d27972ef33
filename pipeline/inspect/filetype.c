/* filetype.c - see filetype.h */
#include "filetype.h"

#include <stdio.h>
#include <string.h>

int kith_filetype_of(const char *path, kith_filetype *out, kith_err *err)
{
	unsigned char head[64] = {0};
	FILE *file = fopen(path, "re");
	if (!file)
		return kith_fail_errno(err, "%s: cannot open", path);
	size_t got = fread(head, 1, sizeof head - 1, file);
	int failed = ferror(file);
	if (failed)
		kith_fail_errno(err, "%s: cannot read", path);
	fclose(file);
	if (failed)
		return KITH_EIO;
	if (got >= 20 && !memcmp(head + 16, "\xde\xc0\xef\xbe", 4)) /* LMDB's magic number */
		*out = KITH_FILE_GRAPH;
	else if (got >= 6 && !memcmp(head, "\x93NUMPY", 6))
		*out = KITH_FILE_NPY;
	else if (head[strspn((char *)head, " \t\r\n")] == '{')
		*out = KITH_FILE_STACK;
	else
		return kith_fail(err, KITH_EUSAGE, "%s: not a kith file (.nng, stack.json) and not a .npy", path);
	return 0;
}
