/* inspect.c - see inspect.h and filetype.h */
#include "inspect.h"

#include <unistd.h>

#include "filetype.h"
#include "infile.h"

#define TAIL 4096 /* bytes */

/* The first that recognises a file has it. */
static const kith_filetype *const types[] = {&kith_pairs_file, &kith_h0_file, &kith_graph_file, &kith_activations_file,
					     &kith_stack_file};

static int read_ends(const char *path, kith_file_ends *ends, kith_err *err)
{
	FILE *file;
	*ends = (kith_file_ends){0};
	int rc = kith_infile_stream(&file, path, &ends->bytes, err);
	if (rc)
		return rc;
	ends->head_size = fread(ends->head, 1, sizeof ends->head - 1, file);
	if (ferror(file))
		rc = kith_fail_errno(err, "%s: cannot read", path);
	ends->has_tail =
		!fseek(file, -TAIL, SEEK_END) && fread(ends->tail, 1, sizeof ends->tail, file) == sizeof ends->tail;
	fclose(file);
	return rc;
}

/* Names that are no file's are of activations, which have more of them (source.h); and so are files of which there is
 * something to tell. */
static int find_type(const char *path, const kith_input_how *how, const kith_filetype **out, kith_err *err)
{
	kith_file_ends ends;
	int told = how && (how->format || how->dtype || how->shape);
	*out = &kith_activations_file;
	if (told || access(path, F_OK))
		return 0;
	int rc = read_ends(path, &ends, err);
	if (rc)
		return rc;
	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		if (types[t]->recognise(path, &ends)) {
			*out = types[t];
			return 0;
		}
	return kith_fail(err, KITH_EUSAGE,
			 "%s: not a kith file (.nng, .kpr, .kh0, stack.json), and no activations that kith knows by "
			 "their bytes (.npy, "
			 ".safetensors): raw values take --dtype and --shape",
			 path);
}

int kith_show(const char *path, const kith_show_options *options, FILE *out, kith_err *err)
{
	const kith_filetype *type;
	int rc = find_type(path, &options->how, &type, err);
	if (!rc && options->h0.option && type != &kith_h0_file)
		rc = kith_fail(err, KITH_EUSAGE, "%s: --%s is for files of generators (.kh0)", path,
			       options->h0.option);
	if (!rc)
		rc = type->show(path, options, out, err);
	if (!rc && (fflush(out) || ferror(out)))
		rc = kith_fail_errno(err, "cannot write the output");
	return rc;
}

int kith_check_as(const char *path, const kith_input_how *how, const kith_progress *progress, kith_err *err)
{
	const kith_filetype *type;
	int rc = find_type(path, how, &type, err);
	if (rc)
		return rc;
	return type->check_as ? type->check_as(path, how, progress, err) : type->check(path, progress, err);
}

int kith_check(const char *path, const kith_progress *progress, kith_err *err)
{
	return kith_check_as(path, NULL, progress, err);
}
