/* stubborn - a program that has begun an output and never comes to an end, for the tests of signals.
 *
 *   stubborn OUTPUT [asks]
 *
 * With a second argument it has asked for the callback by which work would learn that it should stop. */
#include "atomic_file.h"
#include "cli.h"

int main(int argc, char **argv)
{
	kith_cli cli = {.name = "stubborn"};
	kith_atomic_file *part;
	kith_err err;
	if (argc < 2)
		return 2;
	kith_cli_start(&cli, argv);
	if (argc > 2)
		kith_cli_progress(&cli);
	if (kith_atomic_file_open(&part, argv[1], &err))
		return kith_cli_fail(&cli, &err);
	for (volatile int runs = 1; runs;)
		;
	return 0;
}
