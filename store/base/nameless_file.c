/* nameless_file.c - see nameless_file.h */
#include "nameless_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One that never has a name, where the file system can do that. -1 if it cannot. */
static int open_unnamed(const char *beside)
{
	char *folder = strdup(beside), *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[slash == folder] = '\0'; /* the root keeps its slash */
	int fd = folder ? open(slash ? folder : ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600) : -1;
	free(folder);
	return fd;
}

int kith_nameless_file(const char *beside)
{
	char *path;
	int unnamed = open_unnamed(beside);
	if (unnamed >= 0)
		return unnamed;
	if (asprintf(&path, "%s.XXXXXX", beside) < 0)
		return -1;
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}
