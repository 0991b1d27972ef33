/* check_main.c - kith-check: validates files, and says what is wrong with them. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "inspect.h"

struct arguments {
	char **paths;
	int count;
};

static const struct argp_option options[] = {{0}};

static int take(void *context, int key, char *arg, kith_err *err)
{
	struct arguments *a = context;
	switch (key) {
	case ARGP_KEY_ARG:
		a->paths[a->count++] = arg; /* there are at most argc */
		return 0;
	case ARGP_KEY_END:
		return a->count ? 0 : kith_fail(err, KITH_EUSAGE, "no file given");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const char about[] =
		"Validate kith files (.nng, .kpr, stack.json) and activations (.npy), and say what is wrong "
		"with them.\v"
		"Everything is read: every checksum, every rule of the format, every identity that the "
		"definitions imply.\n\n"
		"Exit status: 0 all are sound, 1 one is damaged or cannot be read, 2 wrong usage or unfit "
		"input; the worst file decides.";
	kith_cli cli = {.name = "kith-check"};
	struct arguments a = {.paths = calloc((size_t)argc, sizeof *a.paths)};
	int worst = 0;
	kith_err err;

	if (!a.paths)
		return 1;
	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE ...", about, take, &a}, argc, argv);
	kith_progress progress = kith_cli_progress(&cli);
	for (int i = 0; i < a.count; i++) {
		int code = kith_check(a.paths[i], &progress, &err) ? kith_cli_fail(&cli, &err) : 0;
		kith_cli_clear(&cli);
		if (!code && !cli.quiet)
			fprintf(stderr, "kith-check: %s: sound\n", a.paths[i]);
		/* damage (1) is worse than unfitness (2) */
		worst = code == 1 || worst == 1 ? 1 : code > worst ? code : worst;
	}
	free(a.paths);
	return worst;
}
