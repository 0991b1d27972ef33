/* cli.h - what every stage program's main has in common: options, progress bar, signals, the closing report. For
 * *_main.c files only: much of it prints, or ends the program. */
#ifndef KITH_CLI_H
#define KITH_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

/* A program's run: zero it, set `name`, then kith_cli_start. */
typedef struct kith_cli {
	const char *name; /* "kith-knn" */
	int quiet;        /* -q */
	int verbose;      /* -v, of programs that have KITH_CLI_VERBOSE */
	int is_terminal;  /* stderr is one */
	double started;   /* seconds */
	double last_draw; /* when the progress bar was last drawn */
	double phase_started;
	unsigned long long done; /* of the phase */
	const char *phase;
	int drawn;          /* a bar stands on the terminal */
	double measured;    /* when memory was last looked at, */
	unsigned long most; /* and the most of its own that the program had then, in bytes */
	/* The command line as it was parsed, for outputs to say how they were made, arguments quoted where a shell
	 * needs it. Without -q, -t and -v: no byte of an output depends on those. Cut where it is too long. */
	char command[1024];
} kith_cli;

/* Notes the time, refuses a KITH_CPU that names no processor (exit code 2), and makes SIGINT, SIGTERM and SIGHUP ask
 * the running work to stop (see kith_cli_progress) instead of killing it half-way; if it does not ask, or has not ended
 * five seconds later, the program ends there, less what it has written so far. Raises the limit of open files to what
 * the system allows. To be called first: unless the user
 * has set OMP_WAIT_POLICY, it sets it to passive and starts the program anew, because OpenMP reads it before main.
 * Threads that wait actively take the cores from other programs, so that two stages side by side (make -j2) took twice
 * the time they need. */
void kith_cli_start(kith_cli *cli, char **argv);

/* To stand once in the main file of a program that is linked with OpenBLAS (`KITH_CLI_LOADS_OPENBLAS;`): where the
 * address space is limited and has no room for all of its threads, OpenBLAS gets one, and if there is none for that,
 * the program says so and ends. Without it, OpenBLAS waits for ever, before main. (Sanitizers have to come first.) */
void kith_cli_make_room(int argc, char **argv, char **envp);
#ifdef KITH_NO_CLONES
#define KITH_CLI_LOADS_OPENBLAS extern int kith_cli_has_no_early_function
#else
#define KITH_CLI_LOADS_OPENBLAS                                                                                        \
	__attribute__((section(".preinit_array"), used)) static void (*const early)(int, char **, char **) =           \
		kith_cli_make_room
#endif

/* The callback that draws the bar on a terminal (rate and ETA, ten times a second) and answers "stop" after a signal.
 */
kith_progress kith_cli_progress(kith_cli *cli);

/* Prints "NAME: MESSAGE" to stderr and returns the exit code that fits the status: 0, 1 or 2. If the work stopped
 * because of a signal, ends the process by that signal instead, so that make and the shell see what happened. */
int kith_cli_fail(kith_cli *cli, const kith_err *err);

/* Prints the closing report on stderr unless -q: "NAME: FORMAT...: 7.1 s, 142 MB peak". Where more than 64 MB of that
 * are pages of mapped files, which the system takes back when it needs them, the peak is that of all other memory, as
 * seen every 20 ms at most, when the work said how far it was: "7.1 s, 142 MB peak, 910 MB with mapped files". */
void kith_cli_report(kith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "NAME: FORMAT..." on stderr, with -q, too: of a result that may mislead. */
void kith_cli_warn(kith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Erases the progress bar, if one stands. */
void kith_cli_clear(kith_cli *cli);

/* ---- the command line (options.c) ---- */

/* An option of a program or, without letter and name, its arguments. A table of them ends with an empty one:
 *
 *     const kith_option options[] = {
 *             {0, "metric", "l2|cosine", "Distance", 1, kith_take_choice, .to = &o.metric, .noun = "metric"},
 *             {'t', NULL, "THREADS", "Threads", 2, kith_take_count, .to = &o.threads, .least = 1, .most = 256},
 *             {0, NULL, NULL, NULL, 0, kith_take_one, .to = &input, .noun = "file", .missing = "no file given"},
 *             {0}}; */
typedef struct kith_option kith_option;

/* Takes the value of an option, or an argument, and puts it where option->to points. Returns 0 or a kith_status with
 * `err` filled, which is printed and ends the program with exit code 2. */
typedef int kith_take(const kith_option *option, const char *arg, kith_err *err);

struct kith_option {
	int letter;        /* 't': -t; 0: none */
	const char *name;  /* "metric": --metric; NULL: none */
	const char *value; /* what --help calls its value; NULL: it has none */
	const char *help;
	int group; /* --help shows one group after the other */
	kith_take *take;
	void *to;
	uint32_t least, most; /* of kith_take_count; least: of kith_take_choice, too */
	uint32_t *count;      /* of kith_take_ladder: how many there are */
	const char *noun;     /* what messages call the value */
	/* After a value that is a word by itself (--against B1, not --against=B1), all arguments up to the next option
	 * or
	 * "--" are its values, too. */
	int takes_rest;
	const char *missing; /* the message if the pointer at `to` is still NULL at the end; NULL: it may be */
};

/* What each sets: */
kith_take kith_take_flag;   /* an int, to 1 */
kith_take kith_take_text;   /* a const char *, to argv's */
kith_take kith_take_one;    /* the same, which may be there once */
kith_take kith_take_each;   /* a kith_texts, to all that come */
kith_take kith_take_count;  /* an int or uint32_t, from `least` to `most` */
kith_take kith_take_choice; /* an int, uint32_t or enum, to `least` and the index of a name in `value`: "l2|cosine" */
kith_take kith_take_bytes;  /* a uint64_t: 512M, 4G, 65536, 1.5G */
kith_take kith_take_ladder; /* uint32_t[KITH_MAX_TIERS]: 15,100 */

/* What kith_take_each gathers. Zero it; free() text. */
typedef struct kith_texts {
	const char **text;
	size_t count;
} kith_texts;

/* The options of programs that read arrays, into a kith_input_how. */
#define KITH_CLI_INPUT_OPTIONS(how)                                                                                    \
	{0,                                                                                                            \
	 "dtype",                                                                                                      \
	 "TYPE",                                                                                                       \
	 "Type of raw values: f4, bf16, ...; bf16: what 16-bit integers are",                                          \
	 5,                                                                                                            \
	 kith_take_text,                                                                                               \
	 .to = &(how)->dtype},                                                                                         \
		{0, "shape", "N,D[,...]", "Shape of raw values; N may be -1", 5, kith_take_text, .to = &(how)->shape}, \
	{                                                                                                              \
		0, "offset", "BYTES", "Where raw values begin", 5, kith_take_bytes, .to = &(how)->offset               \
	}

/* Of programs that read an array from several files: -v says which, a line each, by kith_cli_say_file, which is to be
 * given to kith_source_files (source.h) with the kith_cli. */
#define KITH_CLI_VERBOSE(cli)                                                                                          \
	{                                                                                                              \
		'v', "verbose", NULL, "Say which files a pattern or a list names, in the order of their rows", -1,     \
			kith_take_flag, .to = &(cli)->verbose                                                          \
	}
int kith_cli_say_file(void *cli, const char *file, uint64_t i, uint64_t files);

/* KITH_EUSAGE if `output`, which `option` names, is the same file as `input`, under whatever name: writing it would
 * destroy what is read. */
int kith_cli_distinct(const char *option, const char *output, const char *input, kith_err *err);

/* KITH_EUSAGE if what `option` names is the file of `other` ("-o"), or would be. */
int kith_cli_two_outputs(const char *option, const char *path, const char *output, const char *other, kith_err *err);

/* "512M", "4G", "1.5G": what kith_take_bytes takes, for --help. Uses a static buffer. */
const char *kith_cli_bytes_text(uint64_t bytes);

/* A program's own part of its command line; -q, --help, --usage and --version are every program's. */
typedef struct kith_cli_arguments {
	const kith_option *options;
	const char *usage; /* what follows the options: "ACTIVATIONS.npy" */
	const char *about; /* what --help says: before '\v' above the options, after it below */
	/* Looks at all together, once it has been taken; returns what a kith_take does. NULL: nothing to look at. */
	int (*check)(void *context, kith_err *err);
	void *context;
} kith_cli_arguments;

/* Parses the command line; does not return from --help, --version or wrong usage. */
void kith_cli_parse(kith_cli *cli, const kith_cli_arguments *arguments, int argc, char **argv);

#endif
