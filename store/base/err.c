/* err.c - see kith/err.h */
#include "kith/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message is one line, whatever names and strings of files are in it, and gives a terminal no orders. */
static void fill(kith_err *err, kith_status code, const char *format, va_list args)
{
	if (!err)
		return;
	err->code = code;
	vsnprintf(err->msg, sizeof err->msg, format, args);
	for (char *c = err->msg; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

int kith_fail(kith_err *err, kith_status code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fill(err, code, format, args);
	va_end(args);
	return code;
}

int kith_fail_errno(kith_err *err, const char *format, ...)
{
	int saved = errno;
	va_list args;
	va_start(args, format);
	fill(err, KITH_EIO, format, args);
	va_end(args);
	if (err) {
		size_t used = strlen(err->msg);
		snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerror(saved));
	}
	return KITH_EIO;
}

int kith_fail_in(kith_err *err, int rc, const char *where)
{
	if (rc && err) {
		kith_err why = *err;
		kith_fail(err, (kith_status)rc, "%s: %s", where, why.msg);
	}
	return rc;
}

int kith_fail_nomem(kith_err *err, const char *what, unsigned long long bytes)
{
	return kith_fail(err, KITH_ENOMEM, "cannot allocate %llu bytes for %s", bytes, what);
}

int kith_progress_tick(const kith_progress *p, const char *what, unsigned long long done, unsigned long long total,
		       kith_err *err)
{
	if (p && p->call && p->call(p->context, what, done, total))
		return kith_fail(err, KITH_ECANCELED, "interrupted");
	return 0;
}
