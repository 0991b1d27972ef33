/* check_main.c - kith-check: is each file what it should be, all the way down? */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "inspect.h"

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
	kith_texts paths = {0};
	const kith_option options[] = {
		{0, NULL, NULL, NULL, 0, kith_take_each, .to = &paths, .missing = "no file given"},
		{0},
	};
	int worst = 0;
	kith_err err;

	kith_cli_start(&cli, argv);
	kith_cli_parse(&cli, &(kith_cli_arguments){options, "FILE ...", about, NULL, NULL}, argc, argv);
	kith_progress progress = kith_cli_progress(&cli);
	for (size_t i = 0; i < paths.count; i++) {
		int code = kith_check(paths.text[i], &progress, &err) ? kith_cli_fail(&cli, &err) : 0;
		kith_cli_clear(&cli);
		if (!code && !cli.quiet)
			fprintf(stderr, "kith-check: %s: sound\n", paths.text[i]);
		/* damage (1) is worse than unfitness (2) */
		worst = code == 1 || worst == 1 ? 1 : code > worst ? code : worst;
	}
	free(paths.text);
	return worst;
}
