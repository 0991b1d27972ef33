/* early.c - what has to happen before a program's libraries begin: see KITH_CLI_LOADS_OPENBLAS in cli.h.
 *
 * OpenBLAS takes address space for each core as soon as it is loaded, and where there is none (ulimit -v), asks for it
 * for ever. Only what stands in .preinit_array comes before that. The C library has not begun, either: nothing here but
 * system calls, and functions that need no more. */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli.h"

#define BUFFER   (129ull << 20) /* OpenBLAS takes one for each thread, and one more */
#define WHATEVER (16ull << 20)  /* the least that the program needs for itself */

static int is_limited(void)
{
	struct rlimit space, data;
	return (!getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY) ||
	       (!getrlimit(RLIMIT_DATA, &data) && data.rlim_cur != RLIM_INFINITY);
}

static int has_room(unsigned long long threads)
{
	size_t bytes = (size_t)((threads + 1) * BUFFER + WHATEVER);
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room != MAP_FAILED)
		munmap(room, bytes);
	return room != MAP_FAILED;
}

/* Starts the program anew with one more variable in its environment. */
static void start_with(char *variable, char **argv, char **envp)
{
	char *environment[4096], self[4096];
	size_t count = 0;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length <= 0)
		return;
	self[length] = 0;
	environment[count++] = variable;
	for (size_t e = 0; envp[e] && count + 1 < sizeof environment / sizeof *environment; e++)
		if (strncmp(envp[e], variable, (size_t)(strchr(variable, '=') + 1 - variable)))
			environment[count++] = envp[e];
	environment[count] = NULL;
	execve(self, argv, environment);
}

void kith_cli_make_room(int argc, char **argv, char **envp)
{
	static const char text[] =
		": no room for OpenBLAS in the address space, of which it takes 256 MB: raise the limit, ulimit -v, "
		"to 512000 or more\n";
	static char one_thread[] = "OPENBLAS_NUM_THREADS=1";
	long cores = sysconf(_SC_NPROCESSORS_CONF);
	int is_one = 0;
	(void)argc;
	if (!is_limited())
		return;
	for (size_t e = 0; envp[e]; e++)
		is_one |= !strcmp(envp[e], one_thread);
	if (!is_one && has_room(cores > 0 ? (unsigned long long)cores : 1))
		return;
	if (has_room(1)) {
		if (!is_one)
			start_with(one_thread, argv, envp);
		return;
	}
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	ssize_t written = write(STDERR_FILENO, name, strlen(name));
	written = write(STDERR_FILENO, text, sizeof text - 1);
	(void)written;
	_exit(1);
}
