/* hdf5.c - HDF5: acts.h5:/path/to/dataset. Values that lie in the file in one piece are read where they lie, without
 * the library; others, in chunks or behind filters, through it, or if a row leads to more chunks than its cache holds,
 * from a temporary file that they are inflated to once. The library is not thread safe as it is mostly built, so that
 * all calls of it are made under one lock. What leads to other files is not followed. */
#define H5_USE_110_API
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "infile.h"
#include "reader.h"

#define HEAD_SHOWN 96u /* bytes of the file's beginning that a change of its structure may show in */
#define KEPT_OPEN  16  /* datasets */
/* Parts of the memory that there is, at most: */
#define CACHE_PART    16   /* chunks of one dataset */
#define INDEX_PART    1024 /* where its chunks are */
#define KEPT_PART     8    /* both, of all datasets that are kept open */
#define FILTERED_PART 4    /* a chunk that has to be inflated, which may have several buffers of its size */

/* Recursive: an array that is not found has the others listed. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* A dataset, mostly an open one. */
typedef struct dataset {
	hid_t file, set, type, space, layout; /* -1: closed */
	int dims;
	hsize_t shape[KITH_MAX_DIMS];
	uint64_t band; /* bytes of the chunks that a row leads to; 0: it is not in chunks */
	uint64_t memory;
	/* Of one that a part owns: */
	char *name;
	struct dataset *next;
} dataset;

/* Parts' datasets that are open, the last used first: a part opens its own again when it is read. */
static dataset *kept;

#define CLOSED                                                                                                         \
	{                                                                                                              \
		.file = -1, .set = -1, .type = -1, .space = -1, .layout = -1                                           \
	}

static void release(dataset *d)
{
	if (d->layout >= 0)
		H5Pclose(d->layout);
	if (d->space >= 0)
		H5Sclose(d->space);
	if (d->type >= 0)
		H5Tclose(d->type);
	if (d->set >= 0)
		H5Dclose(d->set);
	if (d->file >= 0)
		H5Fclose(d->file);
	d->file = d->set = d->type = d->space = d->layout = -1;
}

/* ---- opening ---- */

static herr_t refuse_link(const char *parent, const char *group, const char *file, const char *object, unsigned *flags,
			  hid_t access, void *seen)
{
	(void)parent;
	(void)group;
	(void)object;
	(void)flags;
	(void)access;
	snprintf(seen, 256, "%s", file);
	return -1;
}

/* HDF5 takes no less. */
static uint64_t index_bytes(uint64_t memory)
{
	return memory / INDEX_PART < 4096 ? 4096 : memory / INDEX_PART;
}

static int open_file(const kith_part *p, hid_t *out, kith_err *err)
{
	char name[KITH_FD_NAME];
	int spare = dup(p->fd); /* the library needs one too, and does not say if there is none */
	if (spare < 0)
		return kith_fail_errno(err, "%s: cannot open", p->path);
	close(spare);
	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	hid_t access = H5Pcreate(H5P_FILE_ACCESS);
	H5AC_cache_config_t index = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
	H5Pset_file_locking(access, 0, 1); /* nothing is written; and some file systems have no locks */
	H5Pget_mdc_config(access, &index);
	index.set_initial_size = 1;
	index.initial_size = index.min_size = index.max_size = index_bytes(p->memory);
	H5Pset_mdc_config(access, &index);
	*out = H5Fopen(kith_fd_name(p->fd, p->path, name), H5F_ACC_RDONLY, access);
	H5Pclose(access);
	return *out >= 0
		       ? 0
		       : kith_fail(err, KITH_EUSAGE,
				   "%s: not a whole HDF5 file: truncated, damaged, or still open for writing", p->path);
}

/* How many bytes of chunks a row leads to, all chunks that have a part of it together. */
static uint64_t band_bytes(const dataset *d, const hsize_t *chunk, uint64_t size)
{
	uint64_t bytes = chunk[0] * size;
	for (int i = 1; i < d->dims; i++)
		if (__builtin_mul_overflow(bytes, (d->shape[i] + chunk[i] - 1) / chunk[i] * chunk[i], &bytes))
			return UINT64_MAX;
	return bytes;
}

/* Whether all is well; a virtual dataset is left without its space, for which its other files would be opened. */
static int open_set(dataset *d, const char *name, hid_t access, char *elsewhere)
{
	*elsewhere = 0;
	H5Pset_elink_cb(access, refuse_link, elsewhere);
	d->set = H5Dopen2(d->file, name, access);
	if (d->set < 0)
		return 0;
	d->type = H5Dget_type(d->set);
	d->layout = H5Dget_create_plist(d->set);
	if (d->type < 0 || d->layout < 0 || H5Pget_layout(d->layout) == H5D_VIRTUAL)
		return 0;
	d->space = H5Dget_space(d->set);
	d->dims = H5Sget_simple_extent_ndims(d->space);
	if (d->space < 0 || d->dims < 0 || d->dims > KITH_MAX_DIMS)
		return 0;
	return H5Sget_simple_extent_dims(d->space, d->shape, NULL) >= 0;
}

/* Room for the chunks of two rows, which neighbouring reads share, so that each is read once. Where that is too much,
 * chunks without a filter are not kept at all, and only what is wanted of them is read. */
static uint64_t cache_bytes(const dataset *d)
{
	uint64_t most = d->memory / CACHE_PART;
	if (d->band > most && !H5Pget_nfilters(d->layout))
		return 0;
	return d->band < most / 2 ? 2 * d->band : most;
}

static uint64_t kept_bytes(const dataset *d)
{
	return cache_bytes(d) + index_bytes(d->memory);
}

/* Opens it once more with that room: a set that is open already keeps its cache. */
static int open_chunks(dataset *d, const char *name, hid_t access, char *elsewhere)
{
	hsize_t chunk[KITH_MAX_DIMS];
	d->band = 0;
	if (H5Pget_layout(d->layout) != H5D_CHUNKED || H5Pget_chunk(d->layout, KITH_MAX_DIMS, chunk) != d->dims)
		return 1;
	d->band = band_bytes(d, chunk, H5Tget_size(d->type));
	H5Pset_chunk_cache(access, 12421, cache_bytes(d), 1);
	hid_t file = d->file;
	d->file = -1;
	release(d);
	d->file = file;
	return open_set(d, name, access, elsewhere);
}

/* Why one cannot be opened. */
static int fail_open(const kith_part *p, const dataset *d, const char *name, const char *elsewhere, kith_err *err)
{
	H5O_info_t info;
	if (*elsewhere)
		return kith_fail(err, KITH_EUSAGE, "%s: %.128s is a link to another file, %.200s: name that file",
				 p->path, name, elsewhere);
	if (d->layout >= 0 && H5Pget_layout(d->layout) == H5D_VIRTUAL)
		return kith_fail(err, KITH_EUSAGE, "%s: the values of %.128s are in other files: name those", p->path,
				 name);
	if (H5Lexists(d->file, name, H5P_DEFAULT) > 0 &&
	    (H5Oget_info_by_name2(d->file, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0 ||
	     info.type == H5O_TYPE_DATASET))
		return kith_fail(err, KITH_EUSAGE, "%s: %.128s is damaged, or a link to nothing", p->path, name);
	return kith_part_no_entry((kith_part *)(uintptr_t)p, err);
}

static int open_dataset(const kith_part *p, dataset *d, const char *name, kith_err *err)
{
	char elsewhere[256];
	int rc = open_file(p, &d->file, err);
	if (rc)
		return rc;
	d->memory = p->memory;
	hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
	int is_open = open_set(d, name, access, elsewhere) && open_chunks(d, name, access, elsewhere);
	H5Pclose(access);
	return is_open ? 0 : fail_open(p, d, name, elsewhere, err);
}

/* ---- datasets that stay open ---- */

static void unkeep(dataset *own)
{
	for (dataset **at = &kept; *at; at = &(*at)->next)
		if (*at == own) {
			*at = own->next;
			return;
		}
}

/* Closes those that were not used for longest, if they are too many; never the one in use. */
static void close_oldest(void)
{
	uint64_t bytes = 0, most = 0;
	int count = 0;
	for (const dataset *d = kept; d; d = d->next) /* they may be of several sources */
		most = d->memory / KEPT_PART > most ? d->memory / KEPT_PART : most;
	for (dataset **at = &kept; *at;) {
		dataset *d = *at;
		bytes += kept_bytes(d);
		if (++count == 1 || (count <= KEPT_OPEN && bytes <= most)) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		release(d);
	}
}

/* Whether it still is what the part was opened as. */
static int is_same(const kith_part *p, const dataset *d)
{
	int same = d->dims == p->dims && H5Tget_size(d->type) == kith_dtype_size(p->dtype);
	for (int i = 0; same && i < d->dims; i++)
		same = d->shape[i] == p->shape[i];
	return same;
}

/* A part's own, open. */
static int keep(const kith_part *p, dataset *own, kith_err *err)
{
	unkeep(own);
	int rc = own->set >= 0 ? 0 : open_dataset(p, own, own->name, err);
	if (!rc && !is_same(p, own))
		rc = kith_fail_changed(err, p->path);
	if (rc) {
		release(own);
		return rc;
	}
	own->next = kept;
	kept = own;
	close_oldest();
	return 0;
}

/* ---- types ---- */

/* IEEE's, or the upper half of a float. */
static int float_type(hid_t type, kith_dtype *out)
{
	size_t sign, exponent, exponent_bits, mantissa, mantissa_bits, bits = 8 * H5Tget_size(type);
	static const struct {
		size_t bits, exponent_bits, bias;
		kith_dtype dtype;
	} known[] = {{16, 5, 15, KITH_F2}, {16, 8, 127, KITH_BF16}, {32, 8, 127, KITH_F4}, {64, 11, 1023, KITH_F8}};
	if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0 ||
	    H5Tget_norm(type) != H5T_NORM_IMPLIED || sign != bits - 1 || mantissa != 0 || exponent != mantissa_bits ||
	    exponent + exponent_bits != sign || H5Tget_offset(type) != 0)
		return 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].bits == bits && known[i].exponent_bits == exponent_bits &&
		    known[i].bias == H5Tget_ebias(type)) {
			*out = known[i].dtype;
			return 1;
		}
	return 0;
}

static int integer_type(hid_t type, kith_dtype *out)
{
	static const kith_dtype known[2][9] = {
		{[1] = KITH_U1, [2] = KITH_U2, [4] = KITH_U4, [8] = KITH_U8},
		{[1] = KITH_I1, [2] = KITH_I2, [4] = KITH_I4, [8] = KITH_I8},
	};
	size_t size = H5Tget_size(type);
	if ((size != 1 && size != 2 && size != 4 && size != 8) || H5Tget_precision(type) != 8 * size ||
	    H5Tget_offset(type) != 0)
		return 0;
	*out = known[H5Tget_sign(type) == H5T_SGN_2][size];
	return 1;
}

/* What NumPy's truths become: an enumeration of two, FALSE and TRUE, of one byte. */
static int is_bool(hid_t type)
{
	char name[2][16] = {""};
	for (unsigned i = 0; i < 2 && H5Tget_nmembers(type) == 2; i++) {
		char *member = H5Tget_member_name(type, i);
		snprintf(name[i], sizeof name[i], "%s", member ? member : "");
		H5free_memory(member);
	}
	return H5Tget_size(type) == 1 && !strcmp(name[0], "FALSE") && !strcmp(name[1], "TRUE");
}

/* What messages and lists call a type that is none of kith's. */
static const char *class_name(hid_t type)
{
	switch (H5Tget_class(type)) {
	case H5T_FLOAT:
		return "a float of an unusual format";
	case H5T_INTEGER:
		return "an integer of an unusual format";
	case H5T_STRING:
		return "strings";
	case H5T_COMPOUND:
		return "a compound";
	case H5T_ENUM:
		return "an enumeration";
	case H5T_REFERENCE:
		return "references";
	case H5T_VLEN:
		return "lists of varying length";
	case H5T_ARRAY:
		return "arrays";
	case H5T_OPAQUE:
		return "bytes without a meaning";
	default:
		return "no numbers";
	}
}

static int find_type(hid_t type, kith_dtype *out)
{
	switch (H5Tget_class(type)) {
	case H5T_FLOAT:
		return float_type(type, out);
	case H5T_INTEGER:
		return integer_type(type, out);
	case H5T_ENUM:
		*out = KITH_B1;
		return is_bool(type);
	case H5T_OPAQUE: /* NumPy's V2, which bfloat16 becomes */
		*out = KITH_BF16;
		return H5Tget_size(type) == 2;
	default:
		return 0;
	}
}

static int set_type(kith_part *p, const dataset *d, const char *name, kith_err *err)
{
	H5T_order_t order = H5Tget_order(d->type), own = H5Tget_order(H5T_NATIVE_INT);
	if (!find_type(d->type, &p->dtype))
		return kith_fail(err, KITH_EUSAGE,
				 "%s: %.128s holds %s: numbers of f2, f4, f8, bfloat16, i1 to i8, u1 to u8 or b1 "
				 "are read",
				 p->path, name, class_name(d->type));
	p->swapped = (order == H5T_ORDER_BE || order == H5T_ORDER_LE) && order != own && kith_dtype_size(p->dtype) > 1;
	return 0;
}

/* ---- how values are stored ---- */

static int check_filters(const kith_part *p, const dataset *d, const char *name, kith_err *err)
{
	int count = H5Pget_nfilters(d->layout);
	for (int i = 0; i < count; i++) {
		char filter[64] = "";
		unsigned flags, config;
		size_t values = 0;
		H5Z_filter_t id =
			H5Pget_filter2(d->layout, (unsigned)i, &flags, &values, NULL, sizeof filter, filter, &config);
		if (id < 0 || H5Zfilter_avail(id) > 0)
			continue;
		return kith_fail(
			err, KITH_EUSAGE,
			"%s: %.128s is behind the filter %d%s%.60s%s, which is not installed: install it for HDF5, or "
			"write the array with gzip",
			p->path, name, (int)id, *filter ? " (" : "", filter, *filter ? ")" : "");
	}
	return 0;
}

static int check_chunks(const kith_part *p, const dataset *d, const char *name, kith_err *err)
{
	hsize_t chunk[KITH_MAX_DIMS];
	uint64_t bytes = H5Tget_size(d->type);
	if (H5Pget_chunk(d->layout, KITH_MAX_DIMS, chunk) != d->dims)
		return kith_fail(err, KITH_EUSAGE, "%s: %.128s: its chunks have other dimensions", p->path, name);
	for (int i = 0; i < d->dims; i++)
		bytes *= chunk[i]; /* 32 bits, as HDF5 has it */
	if (bytes <= p->memory / FILTERED_PART || H5Pget_nfilters(d->layout) == 0)
		return 0;
	return kith_fail(
		err, KITH_EUSAGE,
		"%s: %.128s is in compressed chunks of %llu bytes, which have to be in memory whole: each takes up to "
		"four times that, and of -m there are %llu for it: write it in chunks of some rows",
		p->path, name, (unsigned long long)bytes, (unsigned long long)p->memory);
}

/* A box of values, as they are stored, to its place in an array of `shape`. */
static int read_box(const dataset *d, const hsize_t *start, const hsize_t *extent, const hsize_t *shape,
		    const hsize_t *to, void *out)
{
	hid_t memory = H5Screate_simple(d->dims, shape, NULL);
	int is_read = memory >= 0 && H5Sselect_hyperslab(memory, H5S_SELECT_SET, to, NULL, extent, NULL) >= 0 &&
		      H5Sselect_hyperslab(d->space, H5S_SELECT_SET, start, NULL, extent, NULL) >= 0 &&
		      H5Dread(d->set, d->type, memory, d->space, H5P_DEFAULT, out) >= 0;
	if (memory >= 0)
		H5Sclose(memory);
	return is_read;
}

static int fail_read(const kith_part *p, uint64_t first, uint64_t count, kith_err *err)
{
	return kith_fail(err, KITH_EIO,
			 "%s: cannot read rows %llu:%llu: HDF5 says that the file is damaged or truncated", p->path,
			 (unsigned long long)first, (unsigned long long)(first + count));
}

/* Rows first..first+count-1, as they are stored. */
static int read_rows(const kith_part *p, uint64_t first, uint64_t count, void *out, kith_err *err)
{
	dataset *d = p->own;
	hsize_t start[KITH_MAX_DIMS] = {first}, extent[KITH_MAX_DIMS], to[KITH_MAX_DIMS] = {0};
	pthread_mutex_lock(&lock);
	int rc = keep(p, d, err);
	if (!rc) {
		memcpy(extent, d->shape, sizeof extent);
		extent[0] = count;
		rc = read_box(d, start, extent, extent, to, out) ? 0 : fail_read(p, first, count, err);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static void close_own(kith_part *p)
{
	dataset *own = p->own;
	pthread_mutex_lock(&lock);
	unkeep(own);
	release(own);
	pthread_mutex_unlock(&lock);
	free(own->name);
	free(own);
	p->own = NULL;
}

/* ---- chunks that are inflated once ---- */

/* The rows first..first+count-1, the height of a chunk, chunk by chunk to `out`. */
static int read_band(const dataset *d, const hsize_t *chunk, uint64_t first, uint64_t count, void *out)
{
	hsize_t start[KITH_MAX_DIMS] = {first}, extent[KITH_MAX_DIMS], band[KITH_MAX_DIMS], to[KITH_MAX_DIMS] = {0};
	memcpy(band, d->shape, sizeof band);
	band[0] = extent[0] = count;
	int i;
	do {
		memcpy(start + 1, to + 1, sizeof start - sizeof *start);
		for (i = 1; i < d->dims; i++)
			extent[i] = chunk[i] < d->shape[i] - to[i] ? chunk[i] : d->shape[i] - to[i];
		if (!read_box(d, start, extent, band, to, out))
			return 0;
		for (i = d->dims - 1; i > 0 && (to[i] += chunk[i]) >= d->shape[i]; i--)
			to[i] = 0;
	} while (i > 0);
	return 1;
}

/* All rows to a temporary file from its byte `at` on, through memory that is mapped, so that none is taken. */
static int inflate_to(const kith_part *p, const dataset *d, int fd, uint64_t at, uint64_t bytes, kith_err *err)
{
	hsize_t chunk[KITH_MAX_DIMS];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), row = (uint64_t)p->stride[0];
	H5Pget_chunk(d->layout, KITH_MAX_DIMS, chunk);
	if ((errno = posix_fallocate(fd, (off_t)at, (off_t)bytes)))
		return kith_fail_errno(err, "%s: cannot write the temporary file that it is inflated to", p->path);
	for (uint64_t i = 0; i < d->shape[0]; i += chunk[0]) {
		uint64_t count = chunk[0] < d->shape[0] - i ? chunk[0] : d->shape[0] - i, from = at + i * row;
		uint64_t before = from % page;
		char *map = mmap(NULL, before + count * row, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				 (off_t)(from - before));
		if (map == MAP_FAILED)
			return kith_fail_errno(err, "%s: cannot map the temporary file that it is inflated to",
					       p->path);
		int is_read = read_band(d, chunk, i, count, map + before);
		munmap(map, before + count * row);
		if (!is_read)
			return fail_read(p, i, count, err);
	}
	return 0;
}

static int open_inflated(kith_part *p, const dataset *d, kith_err *err)
{
	uint64_t bytes = p->shape[0] * (uint64_t)p->stride[0], at;
	int fd, rc = kith_part_spill(p, bytes, &fd, &at, err);
	if (rc || (rc = inflate_to(p, d, fd, at, bytes, err)))
		return rc;
	p->rows_fd = fd;
	p->data_at = at;
	p->bytes = at + bytes;
	p->spilled = bytes;
	return 0;
}

/* ---- which way ---- */

static int own_dataset(kith_part *p, dataset *d, const char *name, kith_err *err)
{
	dataset *own = kith_alloc(1, sizeof *own);
	char *own_name = own ? strdup(name) : NULL;
	if (!own_name) {
		free(own);
		return kith_fail_nomem(err, "a dataset", sizeof *own);
	}
	*own = *d;
	*d = (dataset)CLOSED;
	own->name = own_name;
	p->own = own;
	p->close = close_own;
	p->read = read_rows;
	p->kept = kept_bytes(own);
	return keep(p, own, err);
}

/* In place, if values are in the file in one piece; else by the library, or inflated once. */
static int choose_way(kith_part *p, dataset *d, const char *name, kith_err *err)
{
	H5D_layout_t layout = H5Pget_layout(d->layout);
	int rc = check_filters(p, d, name, err);
	if (rc)
		return rc;
	if (H5Pget_external_count(d->layout) > 0)
		return kith_fail(err, KITH_EUSAGE, "%s: the values of %.128s are in other files: name those", p->path,
				 name);
	if (layout != H5D_COMPACT && !H5Dget_storage_size(d->set)) /* what is said of its shape costs nothing */
		return kith_fail(err, KITH_EUSAGE, "%s: %.128s holds no values: it was never written", p->path, name);
	haddr_t at = layout == H5D_CONTIGUOUS ? H5Dget_offset(d->set) : HADDR_UNDEF;
	if (at != HADDR_UNDEF) {
		p->data_at = at;
		return 0;
	}
	if (layout == H5D_CHUNKED && (rc = check_chunks(p, d, name, err)))
		return rc;
	if (d->band > d->memory / CACHE_PART && H5Pget_nfilters(d->layout) > 0)
		return open_inflated(p, d, err);
	return own_dataset(p, d, name, err);
}

/* ---- names ---- */

typedef struct visit {
	kith_part *part;
	kith_source_each *each;
	void *context;
	kith_err *err;
	int rc;
	uint64_t count;
	char *only; /* the name of the last dataset */
} visit;

static herr_t see_object(hid_t file, const char *name, const H5O_info_t *info, void *context)
{
	visit *v = context;
	dataset d = CLOSED;
	char elsewhere[256];
	if (info->type != H5O_TYPE_DATASET)
		return 0;
	v->count++;
	free(v->only);
	if (!(v->only = strdup(name)))
		return (v->rc = kith_fail_nomem(v->err, "a name", strlen(name))) != 0;
	if (!v->each)
		return 0;
	hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
	kith_source_entry entry = {.name = name, .type = "not one that is read"};
	uint64_t shape[KITH_MAX_DIMS];
	kith_dtype dtype;
	d.file = file;
	if (open_set(&d, name, access, elsewhere)) {
		entry = (kith_source_entry){NULL, name, class_name(d.type), d.dims, shape, H5Tget_size(d.type)};
		if (find_type(d.type, &dtype))
			entry.type = kith_dtype_name(dtype);
		for (int i = 0; i < d.dims; i++)
			entry.bytes *= shape[i] = d.shape[i];
	}
	d.file = -1;
	release(&d);
	H5Pclose(access);
	v->rc = v->each(v->context, &entry, v->err);
	return v->rc != 0;
}

static int visit_all(kith_part *p, visit *v, kith_err *err)
{
	hid_t file;
	v->err = err;
	int rc = open_file(p, &file, err);
	if (rc)
		return rc;
	if (H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, see_object, v) < 0 && !v->rc)
		v->rc = kith_fail(err, KITH_EUSAGE, "%s: damaged: its groups cannot be read", p->path);
	H5Fclose(file);
	return v->rc;
}

static int list_hdf5(kith_part *p, kith_source_each *each, void *context, kith_err *err)
{
	visit v = {.part = p, .each = each, .context = context};
	pthread_mutex_lock(&lock);
	int rc = visit_all(p, &v, err);
	pthread_mutex_unlock(&lock);
	free(v.only);
	return rc;
}

/* The dataset that p->entry names, or the one that there is; to be freed. */
static int choose_name(kith_part *p, char **out, kith_err *err)
{
	visit v = {.part = p};
	int rc = 0;
	if (p->entry) {
		*out = strdup(p->entry);
	} else {
		rc = visit_all(p, &v, err);
		if (!rc && v.count != 1)
			rc = kith_part_no_entry(p, err);
		*out = v.only;
	}
	if (!rc && !*out)
		rc = kith_fail_nomem(err, "a name", 1);
	return rc;
}

/* ---- the reader ---- */

static int is_hdf5(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)bytes;
	if (size >= 8 && !memcmp(head, "\x89HDF\r\n\x1a\n", 8))
		return KITH_BY_CONTENT;
	return kith_path_ends(path, ".h5") || kith_path_ends(path, ".hdf5") ? KITH_BY_NAME : KITH_NOT_MINE;
}

static int open_named(kith_part *p, dataset *d, char **name, kith_err *err)
{
	int rc = choose_name(p, name, err);
	if (rc || (rc = open_dataset(p, d, *name, err)) || (rc = set_type(p, d, *name, err)))
		return rc;
	uint64_t shape[KITH_MAX_DIMS];
	for (int i = 0; i < d->dims; i++)
		shape[i] = d->shape[i];
	rc = kith_part_set_shape(p, shape, d->dims, 0, err);
	return rc ? rc : choose_way(p, d, *name, err);
}

static int open_hdf5(kith_part *p, kith_err *err)
{
	dataset d = CLOSED;
	char *name = NULL;
	p->head_bytes = p->bytes < HEAD_SHOWN ? p->bytes : HEAD_SHOWN;
	pthread_mutex_lock(&lock);
	int rc = open_named(p, &d, &name, err);
	release(&d);
	pthread_mutex_unlock(&lock);
	free(name);
	return rc;
}

const kith_reader kith_reader_hdf5 = {.name = "hdf5", .recognise = is_hdf5, .open = open_hdf5, .list = list_hdf5};
