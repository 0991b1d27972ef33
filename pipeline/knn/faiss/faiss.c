/* faiss.c - see faiss.h. The only file that knows FAISS' C API.
 *
 * FAISS asks OpenMP for the number of threads: that of the task that calls it. A parallel region of one thread is not
 * active and has a task of its own, so that what is set there is forgotten when it ends. It gets the threads that
 * OpenMP will grant: with fewer than it asked for, the OpenBLAS that FAISS calls waits for ever. */
#include "faiss.h"

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "infile.h"
#include "machine.h"
#include "matrix.h"
#include "unchanged.h"

/* rc = CALL, by `threads` threads. */
#define BY_THREADS(threads, rc, call)                                                                                  \
	_Pragma("omp parallel num_threads(1)")                                                                         \
	{                                                                                                              \
		omp_set_num_threads(kith_threads_granted(threads));                                                    \
		(rc) = (call);                                                                                         \
	}

struct kith_faiss {
	FaissIndex *index;
	FaissParameterSpace *space;
	int threads;
	char name[256]; /* for messages: "faiss:IVF1024,Flat" */
	/* of an index that was there: its file, which FAISS may read as long as the index is in use; else fd is -1 */
	int fd;
	kith_file_state file;
};

/* ---- errors ---- */

/* The text after the first `mark` in it; all of it, if there is none. */
static const char *after(const char *text, const char *mark)
{
	const char *at = strstr(text, mark);
	return at ? at + strlen(mark) : text;
}

/* What FAISS says, without the place in its source that comes before it, "Error in void f() at a.cpp:17: ", and without
 * the condition that failed, "Error: 'nx >= k' failed: ". */
static const char *reason(void)
{
	const char *text = faiss_get_last_error();
	if (!strncmp(text, "Error in ", 9))
		text = after(after(text, " at "), ": ");
	if (!strncmp(text, "Error: '", 8) && *after(text, "' failed: "))
		text = after(text, "' failed: ");
	return text + strspn(text, " ");
}

/* FAISS came to `code` when it was to do `what`. `hint`, or "": what to do about it. Some versions of the C API forget
 * which exception of the C++ library it was. */
static int refused(const char *name, int code, const char *what, const char *hint, kith_err *err)
{
	int forgotten = code == STD_EXCEPT && !strcmp(reason(), "std::exception");
	char line[512];
	snprintf(line, sizeof line, "%s", reason());
	for (char *c = line; *c; c++)
		*c = *c == '\n' ? ' ' : *c;
	if (strstr(line, "bad_alloc") || strstr(line, "length_error") || (forgotten && !strstr(what, "that index")))
		return kith_fail(err, KITH_ENOMEM, "engine %s: out of memory: FAISS cannot %s", name, what);
	return kith_fail(err, KITH_EUSAGE, "engine %s: FAISS cannot %s: %s%s", name, what, line, hint);
}

/* ---- one index ---- */

static int take(kith_faiss *f, kith_err *err)
{
	FaissMetricType metric = faiss_Index_metric_type(f->index);
	if (metric != METRIC_L2)
		return kith_fail(err, KITH_EUSAGE, "engine %s: the index searches by %s, not by L2: make one that does",
				 f->name, metric == METRIC_INNER_PRODUCT ? "inner product" : "another distance");
	int bad = faiss_ParameterSpace_new(&f->space);
	return bad ? refused(f->name, bad, "make a parameter space", "", err) : 0;
}

static int start(kith_faiss **out, const char *name, int threads, kith_err *err)
{
	if (!kith_openblas_fits(threads))
		return kith_fail(err, KITH_ENOMEM,
				 "faiss:%s: no room in the address space for the OpenBLAS that FAISS calls: raise the "
				 "limit, ulimit -v, or use fewer threads",
				 name);
	kith_faiss *f = kith_alloc_zero(1, sizeof *f);
	if (!f)
		return kith_fail_nomem(err, "an index", sizeof *f);
	f->threads = threads;
	f->fd = -1;
	snprintf(f->name, sizeof f->name, "faiss:%s", name);
	*out = f;
	return 0;
}

int kith_faiss_make(kith_faiss **out, const char *factory, uint64_t d, int threads, kith_err *err)
{
	kith_faiss *f = NULL;
	int bad, rc = start(&f, factory, threads, err);
	if (rc)
		return rc;
	BY_THREADS(threads, bad, faiss_index_factory(&f->index, (int)d, factory, METRIC_L2))
	rc = bad ? refused(f->name, bad, "make that index", "", err) : take(f, err);
	if (rc)
		kith_faiss_free(f);
	else
		*out = f;
	return rc;
}

int kith_faiss_load(kith_faiss **out, const char *path, uint64_t memory, int threads, kith_err *err)
{
	kith_faiss *f = NULL;
	uint64_t bytes = 0;
	int bad, fd, rc = kith_infile_open(&fd, path, &bytes, err);
	if (rc)
		return rc;
	if ((rc = start(&f, path, threads, err))) {
		close(fd);
		return rc;
	}
	f->fd = fd;
	if ((rc = kith_file_state_get(&f->file, fd, path, err))) {
		kith_faiss_free(f);
		return rc;
	}
	BY_THREADS(threads, bad, faiss_read_index_fname(path, bytes > memory ? FAISS_IO_FLAG_MMAP : 0, &f->index))
	rc = bad ? refused(f->name, bad, "read it", " (an index of floats is wanted, as faiss.write_index writes it)",
			   err)
		 : take(f, err);
	if (rc)
		kith_faiss_free(f);
	else
		*out = f;
	return rc;
}

void kith_faiss_free(kith_faiss *f)
{
	if (!f)
		return;
	if (f->index)
		faiss_Index_free(f->index);
	if (f->space)
		faiss_ParameterSpace_free(f->space);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

int kith_faiss_unchanged(const kith_faiss *f, kith_err *err)
{
	return f->fd < 0 ? 0 : kith_file_unchanged(&f->file, f->fd, f->name + strlen("faiss:"), err);
}

uint64_t kith_faiss_d(const kith_faiss *f)
{
	return (uint64_t)faiss_Index_d(f->index);
}

uint64_t kith_faiss_count(const kith_faiss *f)
{
	return (uint64_t)faiss_Index_ntotal(f->index);
}

int kith_faiss_is_trained(const kith_faiss *f)
{
	return faiss_Index_is_trained(f->index);
}

int kith_faiss_set(kith_faiss *f, const char *name, double value, kith_err *err)
{
	int bad = faiss_ParameterSpace_set_index_parameter(f->space, f->index, name, value);
	if (!bad)
		return 0;
	if (strstr(reason(), "could not set parameter"))
		return kith_fail(err, KITH_EUSAGE, "engine %s: FAISS knows no parameter %s of this index", f->name,
				 name);
	char what[64];
	snprintf(what, sizeof what, "set %s=%g", name, value);
	return refused(f->name, bad, what, "", err);
}

int kith_faiss_train(kith_faiss *f, uint64_t n, const float *x, kith_err *err)
{
	char what[64];
	int bad;
	BY_THREADS(f->threads, bad, faiss_Index_train(f->index, (faiss_idx_t)n, x))
	snprintf(what, sizeof what, "train the index on %llu samples", (unsigned long long)n);
	return bad ? refused(f->name, bad, what, "", err) : 0;
}

int kith_faiss_add(kith_faiss *f, uint64_t n, const float *x, kith_err *err)
{
	int bad;
	BY_THREADS(f->threads, bad, faiss_Index_add(f->index, (faiss_idx_t)n, x))
	return bad ? refused(f->name, bad, "add samples to the index", "", err) : 0;
}

int kith_faiss_search(const kith_faiss *f, uint64_t n, const float *x, uint64_t k, float *distances, int64_t *labels,
		      kith_err *err)
{
	int bad;
	BY_THREADS(f->threads, bad, faiss_Index_search(f->index, (faiss_idx_t)n, x, (faiss_idx_t)k, distances, labels))
	return bad ? refused(f->name, bad, "search the index", "", err) : 0;
}

int kith_faiss_reset(kith_faiss *f, kith_err *err)
{
	int bad = faiss_Index_reset(f->index);
	return bad ? refused(f->name, bad, "empty the index", "", err) : 0;
}

/* ---- its size ---- */

static ssize_t count_bytes(void *total, const char *bytes, size_t size)
{
	(void)bytes;
	*(uint64_t *)total += size;
	return (ssize_t)size;
}

uint64_t kith_faiss_bytes(const kith_faiss *f)
{
	uint64_t total = 0;
	FILE *counter = fopencookie(&total, "w", (cookie_io_functions_t){.write = count_bytes});
	if (!counter)
		return 0;
	int bad = faiss_write_index(f->index, counter);
	bad |= fclose(counter) != 0;
	return bad ? 0 : total;
}
