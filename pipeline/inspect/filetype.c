/* filetype.c - see filetype.h */
#include "filetype.h"

#include <string.h>

#include "activations.h"
#include "check_files.h"

#define TAIL 4096 /* bytes */

static int is_lmdb(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return ends->head_size >= 20 && !memcmp(ends->head + 16, "\xde\xc0\xef\xbe", 4);
}

static int is_pairs(const char *path, const kith_file_ends *ends)
{
	return is_lmdb(path, ends) && ends->has_tail && !memcmp(ends->tail, "KITHPAIR", sizeof ends->tail);
}

static int is_activations(const char *path, const kith_file_ends *ends)
{
	return kith_activations_recognise(path, ends->head, ends->head_size) != NULL;
}

static int is_stack(const char *path, const kith_file_ends *ends)
{
	(void)path;
	return ends->head[strspn((const char *)ends->head, " \t\r\n")] == '{';
}

/* The first that recognises a file has it. One that LMDB keeps and that was cut off counts as a graph: whoever opens it
 * will say that it is truncated. */
static const kith_filetype types[] = {
	{is_pairs, kith_show_pairs, kith_check_pairs},
	{is_lmdb, kith_show_graph, kith_check_graph},
	{is_activations, kith_show_activations, kith_check_activations},
	{is_stack, kith_show_stack, kith_check_stack},
};

static int read_ends(const char *path, kith_file_ends *ends, kith_err *err)
{
	FILE *file = fopen(path, "re");
	int rc = 0;
	if (!file)
		return kith_fail_errno(err, "%s: cannot open", path);
	*ends = (kith_file_ends){0};
	ends->head_size = fread(ends->head, 1, sizeof ends->head - 1, file);
	if (ferror(file))
		rc = kith_fail_errno(err, "%s: cannot read", path);
	ends->has_tail =
		!fseek(file, -TAIL, SEEK_END) && fread(ends->tail, 1, sizeof ends->tail, file) == sizeof ends->tail;
	fclose(file);
	return rc;
}

int kith_filetype_of(const char *path, const kith_filetype **out, kith_err *err)
{
	kith_file_ends ends;
	int rc = read_ends(path, &ends, err);
	if (rc)
		return rc;
	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		if (types[t].recognise(path, &ends)) {
			*out = &types[t];
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE, "%s: not a kith file (.nng, .kpr, stack.json) and not a .npy", path);
}
