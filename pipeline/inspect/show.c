/* show.c - see show.h */
#include "show.h"

#include "filetype.h"

int kith_show(const char *path, const kith_show_options *options, FILE *out, kith_err *err)
{
	const kith_filetype *type;
	int rc = kith_filetype_of(path, &type, err);
	if (!rc)
		rc = type->show(path, options, out, err);
	if (!rc && (fflush(out) || ferror(out)))
		rc = kith_fail_errno(err, "cannot write the output");
	return rc;
}
