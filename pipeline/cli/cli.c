/* cli.c - see cli.h */
#include "cli.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

/* A second signal, from an impatient user, kills in the ordinary way; but not one that comes with the first, as
 * timeout(1) and some shells send it to the process and to its group. */
static void on_signal(int number)
{
	static time_t first;
	if (!stop_signal) {
		stop_signal = number;
		first = time(NULL);
	} else if (time(NULL) - first >= 2) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void wait_passively(char **argv)
{
	char self[4096];
	if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1))
		return;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length <= 0)
		return;
	self[length] = 0;
	execv(self, argv); /* if it fails, the program runs on as it is */
}

/* Of a mapped file that was cut short: there is nothing to go on with. */
static void on_lost_input(int number)
{
	static const char text[] = "an input file became shorter while it was read\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
	(void)number, (void)written;
	_exit(1);
}

void kith_cli_start(kith_cli *cli, char **argv)
{
	wait_passively(argv);
	sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_lost_input}, NULL);
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* the write fails, and says so */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction old;
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
	cli->started = now();
	cli->is_terminal = isatty(STDERR_FILENO);
}

/* ---- the progress bar ---- */

static void time_text(double seconds, char out[32])
{
	unsigned long s = seconds > 0 && seconds < 1e7 ? (unsigned long)(seconds + 0.5) : 0;
	if (s < 3600)
		snprintf(out, 32, "%lu:%02lu", s / 60, s % 60);
	else
		snprintf(out, 32, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
}

static void draw(kith_cli *cli, const char *what, unsigned long long done, unsigned long long total, double t)
{
	static const char full[] = "####################";
	double elapsed = t - cli->phase_started, share = total ? (double)done / (double)total : 0;
	double rate = elapsed > 0 ? (double)done / elapsed : 0;
	char eta[32] = "-:--";
	if (done && share > 0)
		time_text(elapsed * (1 - share) / share, eta);
	fprintf(stderr, "\r\033[K%s: %-12s [%-20.*s] %3.0f%%  %.3g/s  ETA %s", cli->name, what, (int)(20 * share), full,
		100 * share, rate, eta);
	fflush(stderr);
	cli->drawn = 1;
}

static int tick(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	kith_cli *cli = context;
	if (stop_signal)
		return 1;
	if (cli->quiet || !cli->is_terminal)
		return 0;
	double t = now();
	if (!cli->phase || strcmp(cli->phase, what)) {
		cli->phase = what;
		cli->phase_started = t;
		cli->last_draw = 0;
	}
	if (t - cli->last_draw >= 0.1) {
		cli->last_draw = t;
		draw(cli, what, done, total, t);
	}
	return 0;
}

kith_progress kith_cli_progress(kith_cli *cli)
{
	return (kith_progress){tick, cli};
}

void kith_cli_clear(kith_cli *cli)
{
	if (cli->drawn)
		fputs("\r\033[K", stderr);
	cli->drawn = 0;
}

/* ---- how a program ends ---- */

int kith_cli_fail(kith_cli *cli, const kith_err *err)
{
	kith_cli_clear(cli);
	fprintf(stderr, "%s: %s\n", cli->name, err->msg);
	if (err->code == KITH_ECANCELED && stop_signal) {
		signal(stop_signal, SIG_DFL);
		raise(stop_signal);
	}
	return err->code == KITH_OK ? 0 : err->code == KITH_EUSAGE || err->code == KITH_EVERSION ? 2 : 1;
}

void kith_cli_report(kith_cli *cli, const char *format, ...)
{
	struct rusage usage;
	va_list args;
	kith_cli_clear(cli);
	if (cli->quiet)
		return;
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr, "%s: ", cli->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %.1f s, %ld MB peak\n", now() - cli->started, (usage.ru_maxrss + 1023) / 1024);
}

/* ---- option values ---- */

int kith_cli_bytes(const char *text, uint64_t *out, kith_err *err)
{
	static const char units[] = "KMGT";
	char *end;
	errno = 0;
	double value = isdigit((unsigned char)*text) ? strtod(text, &end) : (end = (char *)(uintptr_t)text, 0);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	int ok = end != text && !errno;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
	}
	if (!ok || *end || !(value >= 1) || value > 0x1p60)
		return kith_fail(err, KITH_EUSAGE, "-m %s: not a size of memory: try 512M or 4G", text);
	*out = (uint64_t)value;
	return 0;
}

/* Whatever they are called. */
static int is_same_file(const char *one, const char *other)
{
	struct stat a, b;
	return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int kith_cli_distinct(const char *option, const char *output, const char *input, kith_err *err)
{
	if (!is_same_file(output, input))
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s %s: is the input %s itself: name another output", option, output, input);
}

int kith_cli_two_outputs(const char *option, const char *path, const char *output, kith_err *err)
{
	if (strcmp(path, output) && !is_same_file(path, output))
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s %s: is the output of -o, too: name another file", option, path);
}

const char *kith_cli_bytes_text(uint64_t bytes)
{
	static char text[32];
	static const char *const units[] = {"", "K", "M", "G", "T"};
	double value = (double)bytes;
	int u = 0;
	while (value >= 1024 && u < 4) {
		value /= 1024;
		u++;
	}
	snprintf(text, sizeof text, "%.4g%s", value, units[u]);
	return text;
}

int kith_cli_count(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out, kith_err *err)
{
	char *end;
	errno = 0;
	unsigned long long value = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : (errno = EINVAL, 0);
	if (errno || *end || value < least || value > most)
		return kith_fail(err, KITH_EUSAGE, "%s %s: not a number from %llu to %llu", option, text,
				 (unsigned long long)least, (unsigned long long)most);
	*out = value;
	return 0;
}

int kith_cli_ladder(const char *text, uint32_t capacity, uint32_t *out, uint32_t *count, kith_err *err)
{
	uint32_t found = 0;
	for (const char *p = text;; p++) {
		char *end;
		errno = 0;
		unsigned long long k = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : (errno = EINVAL, 0);
		if (errno || (*end && *end != ','))
			return kith_fail(err, KITH_EUSAGE, "-k %s: not a list of numbers: try -k 15,100", text);
		if (k < 1 || k > UINT32_MAX)
			return kith_fail(err, KITH_EUSAGE, "-k %s: k=%llu: k is at least 1 and less than the samples",
					 text, k);
		if (found == capacity)
			return kith_fail(err, KITH_EUSAGE, "-k %s: more than %u values of k", text, capacity);
		uint32_t at = found++;
		for (; at && out[at - 1] > k; at--)
			out[at] = out[at - 1];
		out[at] = (uint32_t)k;
		if (at && out[at - 1] == k)
			return kith_fail(err, KITH_EUSAGE, "-k %s: k=%llu stands twice", text, k);
		p = end;
		if (!*p)
			break;
	}
	*count = found;
	return 0;
}

void kith_cli_command(int argc, char **argv, char *out, size_t size)
{
	size_t used = 0;
	out[0] = 0;
	for (int i = 0; i < argc && used + 1 < size; i++) {
		const char *arg = argv[i];
		if (!i && strrchr(arg, '/'))
			arg = strrchr(arg, '/') + 1;
		int plain = *arg && !arg[strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
						     "_-+=.,:/@%")];
		used += (size_t)snprintf(out + used, size - used, plain ? "%s%s" : "%s'%s'", i ? " " : "", arg);
	}
}

/* ---- the command line ---- */

#define MAX_OPTIONS 32

struct parsing {
	kith_cli *cli;
	const kith_cli_arguments *arguments;
};

static error_t take(int key, char *arg, struct argp_state *state)
{
	struct parsing *p = state->input;
	kith_err err;
	if (key == 'q') {
		p->cli->quiet = 1;
		return 0;
	}
	int rc = arg && !*arg ? kith_fail(&err, KITH_EUSAGE, "an argument is empty (an unset variable of the shell?)")
			      : p->arguments->take(p->arguments->context, key, arg, &err);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\nTry `%s --help' for what it takes.\n", p->cli->name, err.msg, p->cli->name);
		exit(2);
	}
	return rc;
}

void kith_cli_parse(kith_cli *cli, const kith_cli_arguments *arguments, int argc, char **argv)
{
	static char version[64];
	struct argp_option all[MAX_OPTIONS + 2] = {{0}};
	struct parsing parsing = {cli, arguments};
	size_t count = 0;
	for (const struct argp_option *o = arguments->options; o->name || o->key; o++) {
		assert(count < MAX_OPTIONS);
		all[count++] = *o;
	}
	all[count] = (struct argp_option){"quiet", 'q', NULL, 0, "No progress bar and no closing report", -1};
	const struct argp argp = {all, take, arguments->usage, arguments->about, NULL, NULL, NULL};

	snprintf(version, sizeof version, "%s %s", cli->name, KITH_VERSION);
	argp_program_version = version;
	argp_err_exit_status = 2;
	program_invocation_name = program_invocation_short_name = (char *)(uintptr_t)cli->name;
	argp_parse(&argp, argc, argv, 0, NULL, &parsing);
}
