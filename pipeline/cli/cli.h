/* cli.h - what every stage program's main has in common: option values, progress bar, signals, the closing report. What
 * prints or ends the program is for *_main.c files only; the texts and the machine's facts are for anyone. */
#ifndef KITH_CLI_H
#define KITH_CLI_H

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

#include "kith/err.h"

/* A program's run: zero it, set `name`, then kith_cli_start. */
typedef struct kith_cli {
	const char *name; /* "kith-knn" */
	int quiet;        /* -q */
	int is_terminal;  /* stderr is one */
	double started;   /* seconds */
	double last_draw; /* when the progress bar was last drawn */
	double phase_started;
	const char *phase;
	int drawn; /* a bar stands on the terminal */
} kith_cli;

/* Notes the time, and makes SIGINT, SIGTERM and SIGHUP ask the running work to stop (see kith_cli_progress) instead of
 * killing it half-way. To be called first: unless the user has set OMP_WAIT_POLICY, it sets it to passive and starts
 * the program anew, because OpenMP reads it before main. Threads that wait actively take the cores from other programs,
 * so that two stages side by side (make -j2) took twice the time they need. */
void kith_cli_start(kith_cli *cli, char **argv);

/* The callback that draws the bar on a terminal (rate and ETA, ten times a second) and answers "stop" after a signal.
 */
kith_progress kith_cli_progress(kith_cli *cli);

/* Prints "NAME: MESSAGE" to stderr and returns the exit code that fits the status: 0, 1 or 2. If the work stopped
 * because of a signal, ends the process by that signal instead, so that make and the shell see what happened. */
int kith_cli_fail(kith_cli *cli, const kith_err *err);

/* Prints the closing report on stderr unless -q: "NAME: FORMAT...: 7.1 s, 142 MB peak". */
void kith_cli_report(kith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Erases the progress bar, if one stands. */
void kith_cli_clear(kith_cli *cli);

/* Option values. Each returns 0 or KITH_EUSAGE with a message that names the option and shows what would be right. */
int kith_cli_bytes(const char *text, uint64_t *out, kith_err *err); /* 512M, 4G, 65536, 1.5G */
int kith_cli_count(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out, kith_err *err);
int kith_cli_ladder(const char *text, uint32_t capacity, uint32_t *out, uint32_t *count, kith_err *err); /* 15,100 */

/* KITH_EUSAGE if `output`, which `option` names, is the same file as `input`, under whatever name: writing it would
 * destroy what is read. */
int kith_cli_distinct(const char *option, const char *output, const char *input, kith_err *err);

/* KITH_EUSAGE if what `option` names is the file of -o, or would be. */
int kith_cli_two_outputs(const char *option, const char *path, const char *output, kith_err *err);

/* "512M", "4G", "1.5G": the inverse of kith_cli_bytes, for --help. Uses a static buffer. */
const char *kith_cli_bytes_text(uint64_t bytes);

/* The command line as one string, arguments quoted where a shell needs it; cut at `size`. */
void kith_cli_command(int argc, char **argv, char *out, size_t size);

/* A program's own part of its command line; -q, --help, --usage and --version are every program's. */
typedef struct kith_cli_arguments {
	const struct argp_option *options;
	const char *usage; /* what follows the options: "ACTIVATIONS.npy" */
	const char *about; /* what --help says: before '\v' above the options, after it below */
	/* As argp's parser: keys of the options, ARGP_KEY_ARG (arg is one) and ARGP_KEY_END. Returns 0,
	 * ARGP_ERR_UNKNOWN, or a kith_status with `err` filled, which is printed and ends the program with exit code 2.
	 */
	int (*take)(void *context, int key, char *arg, kith_err *err);
	void *context;
} kith_cli_arguments;

/* Parses the command line; does not return from --help, --version or wrong usage. */
void kith_cli_parse(kith_cli *cli, const kith_cli_arguments *arguments, int argc, char **argv);

#endif
