/* cgroup.c - the limits of the control groups that this process is in: see machine.h.
 *
 * /proc/self/cgroup says which group of each hierarchy it is in: "4:memory:/job/7", or "0::/job/7" for version 2.
 * /proc/self/mountinfo says where a hierarchy can be seen, and from which group on: all of it ("/"), or the container's
 * part. A limit of any group above holds, too, as far up as can be seen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define PATH 4096

/* A line of mountinfo: the group that is mounted, where, and which controllers it has ("" for version 2). */
struct mount {
	char top[PATH], at[PATH], controllers[256];
	int version;
};

/* "\040" is a space, as mountinfo writes it. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; to++) {
		int octal = from[0] == '\\' && strspn(from + 1, "01234567") >= 3;
		*to = octal ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0')) : *from;
		from += octal ? 4 : 1;
	}
	*to = 0;
}

/* "36 25 0:31 /top /at rw,... [optional fields] - cgroup cgroup rw,memory" */
static int take_mount(const char *line, struct mount *m)
{
	char type[32];
	const char *dash = strstr(line, " - ");
	if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s", m->top, m->at) != 2 ||
	    sscanf(dash + 3, "%31s %*s %255s", type, m->controllers) != 2)
		return 0;
	m->version = !strcmp(type, "cgroup2") ? 2 : !strcmp(type, "cgroup") ? 1 : 0;
	unescape(m->top);
	unescape(m->at);
	return m->version;
}

/* Whether `name` is one of the words that commas part. */
static int has_word(const char *words, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = words; (at = strstr(at, name)); at += length)
		if ((at == words || at[-1] == ',') && (!at[length] || at[length] == ',' || at[length] == '\n'))
			return 1;
	return 0;
}

/* A line of /proc/self/cgroup: the group, if the hierarchy is the one that is sought. */
static const char *take_group(char *line, const char *controller, int version)
{
	char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return NULL;
	*group++ = 0;
	group[strcspn(group, "\n")] = 0;
	if (version == 2)
		return !strcmp(controllers, ":") && !strncmp(line, "0:", 2) ? group : NULL;
	return has_word(controllers + 1, controller) ? group : NULL;
}

static FILE *open_below(const char *root, const char *folder, const char *group, const char *name)
{
	char *path;
	if (asprintf(&path, "%s%s%s/%s", root, strcmp(folder, "/") ? folder : "", group, name) < 0)
		return NULL;
	FILE *file = fopen(path, "re");
	free(path);
	return file;
}

/* The group of the process, as a path below the mount: "" or "/job/7". What lies beside the mount cannot be seen from
 * it, and counts as its top. */
static int find_group(const char *root, const char *controller, const struct mount *m, char out[PATH])
{
	FILE *file = open_below(root, "/proc/self", "", "cgroup");
	char *line = NULL;
	size_t room = 0, top = strcmp(m->top, "/") ? strlen(m->top) : 0;
	int found = 0;
	while (file && !found && getline(&line, &room, file) > 0) {
		const char *group = take_group(line, controller, m->version);
		found = group != NULL;
		if (!found)
			continue;
		int inside = !strncmp(group, m->top, top) && (!group[top] || group[top] == '/') && !strstr(group, "..");
		snprintf(out, PATH, "%s", inside && strcmp(group + top, "/") ? group + top : "");
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* Up to two whole numbers of a file ("max" is no number, and no limit, nor is a negative one). Returns how many. */
static int read_numbers(const char *root, const struct mount *m, const char *group, const char *name, uint64_t out[2])
{
	char text[128] = "", *at = text;
	int count = 0;
	FILE *file = open_below(root, m->at, group, name);
	if (!file)
		return 0;
	if (!fgets(text, sizeof text, file))
		text[0] = 0;
	fclose(file);
	while (count < 2) {
		char *end;
		at += strspn(at, " ");
		if (*at < '0' || *at > '9')
			break;
		errno = 0;
		out[count++] = strtoull(at, &end, 10);
		out[count - 1] = errno ? UINT64_MAX : out[count - 1];
		at = end;
	}
	return count;
}

/* A limit of one group; UINT64_MAX if it has none. */
typedef uint64_t limit_of(const char *root, const struct mount *m, const char *group);

static uint64_t memory_of(const char *root, const struct mount *m, const char *group)
{
	static const char *const files[][2] = {{"memory.limit_in_bytes", NULL}, {"memory.max", "memory.high"}};
	uint64_t limit = UINT64_MAX, number[2];
	for (int f = 0; f < 2 && files[m->version - 1][f]; f++)
		if (read_numbers(root, m, group, files[m->version - 1][f], number) && number[0] < limit)
			limit = number[0];
	return limit;
}

static uint64_t cores_of(const char *root, const struct mount *m, const char *group)
{
	uint64_t number[2] = {0}, period[2];
	int known = m->version == 2 ? read_numbers(root, m, group, "cpu.max", number) == 2
				    : read_numbers(root, m, group, "cpu.cfs_quota_us", number) &&
					      read_numbers(root, m, group, "cpu.cfs_period_us", period);
	if (known && m->version == 1)
		number[1] = period[0];
	if (!known || !number[0] || !number[1] || number[0] == UINT64_MAX)
		return UINT64_MAX;
	return (number[0] - 1) / number[1] + 1;
}

/* The least limit of the process's group and those above it. */
static uint64_t least_limit(const char *root, const char *controller, limit_of *limit)
{
	FILE *file = open_below(root, "/proc/self", "", "mountinfo");
	char *line = NULL, group[PATH];
	size_t room = 0;
	uint64_t least = UINT64_MAX;
	struct mount m;
	while (file && getline(&line, &room, file) > 0) {
		if (!take_mount(line, &m) || (m.version == 1 && !has_word(m.controllers, controller)) ||
		    !find_group(root, controller, &m, group))
			continue;
		for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
			*end = 0;
			uint64_t here = limit(root, &m, group);
			least = here < least ? here : least;
		}
	}
	free(line);
	if (file)
		fclose(file);
	return least;
}

uint64_t kith_cgroup_memory(const char *root)
{
	return least_limit(root, "memory", memory_of);
}

uint64_t kith_cgroup_cores(const char *root)
{
	uint64_t cores = least_limit(root, "cpu", cores_of);
	return cores == UINT64_MAX ? 0 : cores;
}
