/* foreign.c - formats that people have activations in and that kith does not read: recognised, and refused with the two
 * lines of Python that convert the very file, a block of rows at a time where the format lets one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reader.h"

#define LITERAL 700 /* room for a name in Python */

typedef struct foreign {
	const char *what;
	/* Imports, and how the file is opened, with %s for its name; behind it, which array: the one that the user
	 * named, %s, or the one that there is; and what then has the blocks. */
	const char *open, *named, *unnamed, *blocks;
} foreign;

enum { TORCH, PICKLE, ARROW, ARROW_STREAM, PARQUET, ZARR, MAT, MAT73, FOREIGN };

#define SLICES "(x[i:i + 4096] for i in range(0, len(x), 4096))"

static const foreign known[FOREIGN] = {
	[TORCH] = {"a PyTorch file, in which is a Python pickle, a program that kith does not run",
		   "import torch, kith; x = torch.load(%s, map_location='cpu')", "[%s]", "", "x.split(4096)"},
	[PICKLE] = {"a Python pickle, a program that kith does not run",
		    "import pickle, kith; x = pickle.load(open(%s, 'rb'))", "[%s]", "", SLICES},
	[ARROW] = {"an Arrow file, which kith does not read",
		   "import pyarrow, numpy, kith; x = pyarrow.ipc.open_file(%s)", "; c = %s", "; c = x.schema.names[0]",
		   "(numpy.stack(x.get_batch(i).to_pydict()[c]) for i in range(x.num_record_batches))"},
	[ARROW_STREAM] = {"an Arrow stream, which kith does not read",
			  "import pyarrow, numpy, kith; x = pyarrow.ipc.open_stream(%s)", "; c = %s",
			  "; c = x.schema.names[0]", "(numpy.stack(part.to_pydict()[c]) for part in x)"},
	[PARQUET] = {"a Parquet file, which kith does not read",
		     "import pyarrow.parquet, numpy, kith; x = pyarrow.parquet.ParquetFile(%s)", "; c = %s",
		     "; c = x.schema_arrow.names[0]",
		     "(numpy.stack(part.to_pydict()[c]) for part in x.iter_batches(4096, columns=[c]))"},
	[ZARR] = {"a zarr array, which kith does not read", "import zarr, kith; x = zarr.open(%s, mode='r')", "[%s]",
		  "", SLICES},
	[MAT] = {"a MATLAB file, which kith does not read", "import scipy.io, kith; x = scipy.io.loadmat(%s)", "[%s]",
		 ".popitem()[1]", SLICES},
	[MAT73] =
		{"a MATLAB file of version 7.3, HDF5 with the dimensions in the other order, which kith does not read",
		 "import h5py, kith; x = h5py.File(%s)", "[%s]",
		 "; x = next(v for v in x.values() if hasattr(v, 'shape'))",
		 "(x[..., i:i + 4096].T for i in range(0, x.shape[-1], 4096))"},
};

/* A string as Python writes it. */
static const char *python_string(const char *text, char out[LITERAL])
{
	size_t at = 0;
	out[at++] = '\'';
	for (; *text && at + 6 < LITERAL; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '\'' || c == '\\') {
			out[at++] = '\\';
			out[at++] = *text;
		} else if (c < ' ') {
			at += (size_t)snprintf(out + at, 5, "\\x%02x", c);
		} else {
			out[at++] = *text;
		}
	}
	memcpy(out + at, "'", 2);
	return out;
}

static int refuse(int which, const char *path, const char *entry, kith_err *err)
{
	const foreign *f = &known[which];
	const char *item = entry ? f->named : f->unnamed;
	char target[LITERAL], file[LITERAL], npy[LITERAL], array[LITERAL] = "", open[2 * LITERAL],
							   which_one[2 * LITERAL];
	snprintf(target, sizeof target, "%.600s.npy", path);
	python_string(path, file);
	python_string(target, npy);
	if (entry)
		python_string(entry, array);
	(void)snprintf(open, sizeof open, f->open, file);
	(void)snprintf(which_one, sizeof which_one, item, array);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: %s; two lines of Python convert it: (1) %s%s (2) with kith.writer(%s) as out: "
			 "[out.write(part) for "
			 "part in %s]",
			 path, f->what, open, which_one, npy, f->blocks);
}

/* ---- which of them ---- */

static int starts(const uint8_t *head, size_t size, const char *magic, size_t length)
{
	return size >= length && !memcmp(head, magic, length);
}

/* A zip file whose first member is a pickle, as PyTorch's; or its older files: a pickle of a number of theirs. */
static int is_torch(const uint8_t *head, size_t size)
{
	size_t name = size > 30 ? head[26] | (size_t)head[27] << 8 : 0;
	if (starts(head, size, "PK\3\4", 4) && name >= 8 && 30 + name <= size)
		return !memcmp(head + 30 + name - 8, "data.pkl", 8);
	return starts(head, size, "\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
}

/* Which by its first bytes, or FOREIGN. */
static int by_content(const uint8_t *head, size_t size)
{
	if (is_torch(head, size))
		return TORCH;
	if (size > 2 && head[0] == 0x80 && head[1] >= 4 && head[1] <= 5 && head[2] == 0x95) /* a frame follows */
		return PICKLE;
	if (starts(head, size, "ARROW1\0\0", 8))
		return ARROW;
	if (starts(head, size, "PAR1", 4))
		return PARQUET;
	if (starts(head, size, "MATLAB 7.3 MAT-file", 19))
		return MAT73;
	return starts(head, size, "MATLAB 5.0 MAT-file", 19) ? MAT : FOREIGN;
}

static int by_name(const char *path)
{
	static const struct {
		const char *suffix;
		int which;
	} suffixes[] = {{".pt", TORCH},           {".pth", TORCH},       {".pkl", PICKLE}, {".pickle", PICKLE},
			{".arrow", ARROW_STREAM}, {".parquet", PARQUET}, {".mat", MAT},    {".zarr", ZARR}};
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (kith_path_ends(path, suffixes[i].suffix))
			return suffixes[i].which;
	return FOREIGN;
}

static int recognise(const char *path, const uint8_t *head, size_t size, uint64_t bytes)
{
	(void)bytes;
	if (by_content(head, size) != FOREIGN)
		return KITH_BY_CONTENT;
	return by_name(path) != FOREIGN ? KITH_BY_NAME : KITH_NOT_MINE;
}

static int open_foreign(kith_part *p, kith_err *err)
{
	uint8_t head[KITH_HEAD_BYTES];
	size_t size = p->bytes < sizeof head ? p->bytes : sizeof head;
	int rc = kith_part_read_header(p, head, size, 0, err), which = rc ? FOREIGN : by_content(head, size);
	if (!rc)
		rc = refuse(which != FOREIGN ? which : by_name(p->path), p->path, p->entry, err);
	return rc;
}

int kith_part_refuse_folder(const char *path, const char *entry, kith_err *err)
{
	static const char *const inside[] = {".zarray", ".zgroup", "zarr.json"};
	char name[4096];
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
		if (snprintf(name, sizeof name, "%s/%s", path, inside[i]) < (int)sizeof name && !access(name, F_OK))
			return refuse(ZARR, path, entry, err);
	return 0;
}

const kith_reader kith_reader_foreign = {.name = "foreign", .recognise = recognise, .open = open_foreign, .refused = 1};
