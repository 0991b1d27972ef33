/* kith/err.h - how every kith function says what went wrong.
 *
 * Every function that can fail returns 0, or a negative kith_status, and takes a `kith_err *` as its last
 * argument. On failure the message is one line, says what and where and, if there is something to do, what to do,
 * and carries neither the program's name nor a newline:
 *     layer3.npy: row 17, column 4 is NaN
 * Outputs are set only on success. `err` may be NULL where only the status matters. */
#ifndef KITH_ERR_H
#define KITH_ERR_H

#include "kith/version.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum kith_status {
	KITH_OK = 0,
	KITH_EIO = -1,       /* the system refused: open, read, write, sync, rename          (exit code 1) */
	KITH_ENOMEM = -2,    /* an allocation failed                                         (exit code 1) */
	KITH_ECORRUPT = -3,  /* a kith file is not what it was when it was written           (exit code 1) */
	KITH_EUSAGE = -4,    /* wrong usage, or input that this work cannot be done on       (exit code 2) */
	KITH_ECANCELED = -5, /* the progress callback asked to stop                          (exit code 1) */
	KITH_EBUG = -6,      /* a result broke one of the identities that it must satisfy    (exit code 1) */
	KITH_EVERSION = -7,  /* a .nng or .kpr of an older format: to be built again          (exit code 2) */
} kith_status;

typedef struct kith_err {
	kith_status code;
	char msg[1024];
} kith_err;

/* Fills `err` (if not NULL) from a printf format and returns `code`. A message longer than the buffer is cut. */
int kith_fail(kith_err *err, kith_status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Like kith_fail(KITH_EIO), and appends ": " and strerror(errno) as errno stands at the call. */
int kith_fail_errno(kith_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Like kith_fail(KITH_ENOMEM) with a standard message; `what` names what the memory was for. */
int kith_fail_nomem(kith_err *err, const char *what, unsigned long long bytes);

/* Puts "WHERE: ", such as a file's name, before the message of a failure that lacks it. Returns `rc`, its status; if
 * that is 0, nothing has failed and nothing is done. */
int kith_fail_in(kith_err *err, int rc, const char *where);

/* A long computation calls this now and then, from one thread at a time: `done` of `total` units of `what` are
 * done. A non-zero answer asks it to stop: it then cleans up after itself and returns KITH_ECANCELED.
 * `call` may be NULL. */
typedef struct kith_progress {
	int (*call)(void *context, const char *what, unsigned long long done, unsigned long long total);
	void *context;
} kith_progress;

/* Calls p->call if there is one; fills `err` and returns KITH_ECANCELED if it asks to stop. */
int kith_progress_tick(const kith_progress *p, const char *what, unsigned long long done, unsigned long long total,
		       kith_err *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
