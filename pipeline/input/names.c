/* names.c - see names.h */
#include "names.h"

#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "infile.h"

#define MAX_LIST (64u << 20) /* bytes of a list */

static int is_there(const char *path)
{
	return !access(path, F_OK);
}

static int is_pattern(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

static int no_memory(kith_err *err)
{
	return kith_fail_nomem(err, "names of files", 1);
}

static int add(kith_names *names, const char *path, const char *entry, kith_err *err)
{
	size_t count = names->count;
	if (!(count & (count - 1))) { /* room for twice as many whenever they are a power of two */
		kith_file_name *more = realloc(names->file, (count ? 2 * count : 1) * sizeof *more);
		if (!more)
			return no_memory(err);
		names->file = more;
	}
	kith_file_name *f = &names->file[names->count++];
	*f = (kith_file_name){strdup(path), entry ? strdup(entry) : NULL};
	return !f->path || (entry && !f->entry) ? no_memory(err) : 0;
}

/* Cuts `name` in two at the last colon before which there is something that `is` likes. Returns what follows the colon,
 * or NULL, and `name` is whole. */
static char *cut_entry(char *name, int (*is)(const char *))
{
	for (char *colon = name + strlen(name); colon-- > name;)
		if (*colon == ':') {
			*colon = '\0';
			if (is(name))
				return colon + 1;
			*colon = ':';
		}
	return NULL;
}

/* A file, or an array of one; of what is not there, opening it says so. */
static int add_file(kith_names *names, char *name, const char *entry, kith_err *err)
{
	char *own = is_there(name) ? NULL : cut_entry(name, is_there);
	return add(names, name, own ? own : entry, err);
}

/* ---- lists ---- */

static int is_list(const char *name)
{
	return name[0] == '@' && is_there(name + 1);
}

static int add_list(kith_names *names, const char *path, const char *entry, kith_err *err)
{
	FILE *file;
	char *line = NULL;
	size_t room = 0;
	uint64_t bytes;
	int rc = kith_infile_stream(&file, path, &bytes, err);
	if (rc)
		return rc;
	if (bytes > MAX_LIST)
		rc = kith_fail(err, KITH_EUSAGE, "%s: has %llu bytes, too many for a list of files, one a line", path,
			       (unsigned long long)bytes);
	for (ssize_t length; !rc && (length = getline(&line, &room, file)) >= 0;) {
		while (length && strchr("\r\n", line[length - 1]))
			line[--length] = '\0';
		if (strlen(line) != (size_t)length)
			rc = kith_fail(err, KITH_EUSAGE, "%s: not a list of files, one a line", path);
		else if (length)
			rc = add_file(names, line, entry, err);
	}
	if (!rc && !feof(file)) /* of the file, or of memory for a line */
		rc = kith_fail_errno(err, "%s: cannot read", path);
	if (!rc && !names->count)
		rc = kith_fail(err, KITH_EUSAGE, "%s: names no file: one a line", path);
	free(line);
	fclose(file);
	return rc;
}

/* ---- patterns ---- */

static int matches(const char *pattern)
{
	glob_t found = {0};
	int yes = is_pattern(pattern) && !glob(pattern, GLOB_NOSORT, NULL, &found);
	globfree(&found);
	return yes;
}

/* Numbers in names by their value: 2 before 10. */
static int by_nature(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int add_matches(kith_names *names, const char *pattern, const char *entry, kith_err *err)
{
	glob_t found = {0};
	int rc = glob(pattern, GLOB_NOSORT, NULL, &found) ? kith_fail_errno(err, "%s", pattern) : 0;
	if (!rc)
		qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_nature);
	for (size_t i = 0; !rc && i < found.gl_pathc; i++)
		rc = add(names, found.gl_pathv[i], entry, err);
	globfree(&found);
	return rc;
}

/* ---- all of them ---- */

/* Cuts ":[...]" from the end of a name; NULL if it has none. */
static char *cut_selection(char *name)
{
	size_t length = strlen(name);
	if (!length || name[length - 1] != ']')
		return NULL;
	for (char *at = name + length; at-- > name;)
		if (at[0] == ':' && at[1] == '[') {
			*at = '\0';
			return at + 1;
		}
	return NULL;
}

/* `name` is whole, but for a selection. */
static int find(kith_names *names, char *name, kith_err *err)
{
	char *entry = NULL;
	if (is_there(name) || (entry = cut_entry(name, is_there)))
		return add(names, name, entry, err);
	names->many = 1;
	if (is_list(name) || (entry = cut_entry(name, is_list))) {
		names->list = strdup(name + 1);
		return names->list ? add_list(names, name + 1, entry, err) : no_memory(err);
	}
	if (matches(name) || (entry = cut_entry(name, matches)))
		return add_matches(names, name, entry, err);
	names->many = 0;
	if (!is_pattern(name))
		return add(names, name[0] == '@' ? name + 1 : name, NULL, err);
	return kith_fail(err, KITH_EUSAGE,
			 "%s: no file has such a name (a part of an array is chosen by a colon and brackets: "
			 "acts.npy:[:,3])",
			 name);
}

int kith_names_find(const char *name, kith_names *out, kith_err *err)
{
	char *own = strdup(name), *selection = NULL;
	*out = (kith_names){0};
	if (!own)
		return no_memory(err);
	if (!is_there(own) && (selection = cut_selection(own)) && !(out->selection = strdup(selection))) {
		free(own);
		return no_memory(err);
	}
	int rc = find(out, own, err);
	free(own);
	if (rc)
		kith_names_free(out);
	return rc;
}

void kith_names_free(kith_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->file[i].path);
		free(names->file[i].entry);
	}
	free(names->file);
	free(names->selection);
	free(names->list);
	*names = (kith_names){0};
}
