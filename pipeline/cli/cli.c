/* cli.c - see cli.h */
#include "cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "atomic_file.h"
#include "cpu.h"

#define MEASURE  0.02        /* seconds between two looks at the memory */
#define MAPPED   (64l << 10) /* KB: about what the program's and its libraries' own files take, and some more */
#define PATIENCE 5           /* seconds in which the work may come to an end by itself after a signal */

static volatile sig_atomic_t stop_signal, asks; /* asks: the work asks now and then whether to stop */

/* Ends the process by a signal, in a handler: unfinished outputs are removed, nothing else has to be. */
static void end_now(int number)
{
	kith_atomic_file_remove_all();
	signal(number, SIG_DFL);
	raise(number);
}

static void on_alarm(int number)
{
	(void)number;
	end_now(stop_signal);
}

/* Work that does not ask, or has not come to an end in time (somewhere in a library, in the reading of a slow disk), is
 * ended here. A second signal, from an impatient user, does it sooner; but not one that comes with the first, as
 * timeout(1) and some shells send it to the process and to its group. */
static void on_signal(int number)
{
	static time_t first;
	if (!asks || (stop_signal && time(NULL) - first >= 2)) {
		end_now(number);
	} else if (!stop_signal) {
		stop_signal = number;
		first = time(NULL);
		alarm(PATIENCE);
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

/* kith-merge has a file of every layer open at once. The usual limit, 1,024, is there for old programs, whose select(2)
 * knows no more; the hard one is meant for all others. */
static void allow_open_files(void)
{
	struct rlimit files;
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* A mapped file was cut short: what was to be read is gone. */
static void on_lost_input(int number)
{
	static const char text[] = "an input file became shorter while it was read\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
	(void)number, (void)written;
	kith_atomic_file_remove_all();
	_exit(1);
}

void kith_cli_start(kith_cli *cli, char **argv)
{
	if (kith_cpu_limit() < 0) {
		fprintf(stderr, "%s: KITH_CPU=%s: not one of portable, avx2, avx512\n", cli->name, getenv("KITH_CPU"));
		exit(2);
	}
	wait_passively(argv);
	allow_open_files();
	sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_lost_input}, NULL);
	sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* the write fails, and says so */
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART}, NULL);
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction old;
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
	atexit(kith_atomic_file_remove_all); /* libgomp calls exit where it cannot create threads */
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

/* The kernel keeps the peak of all pages in memory together: those of mapped files, which it takes back when it needs
 * them, and the program's own. This keeps that of the latter. */
static void measure_own(kith_cli *cli, double t)
{
	unsigned long resident, shared, own;
	FILE *file;
	if (t - cli->measured < MEASURE || !(file = fopen("/proc/self/statm", "re")))
		return;
	cli->measured = t;
	if (fscanf(file, "%*u %lu %lu", &resident, &shared) == 2 && resident > shared) {
		own = (resident - shared) * (unsigned long)sysconf(_SC_PAGESIZE);
		cli->most = own > cli->most ? own : cli->most;
	}
	fclose(file);
}

static int tick(void *context, const char *what, unsigned long long done, unsigned long long total)
{
	kith_cli *cli = context;
	if (stop_signal)
		return 1;
	if (cli->quiet)
		return 0;
	double t = now();
	measure_own(cli, t);
	if (!cli->is_terminal)
		return 0;
	if (!cli->phase || strcmp(cli->phase, what) || done < cli->done / 2) { /* the same again, of other samples */
		cli->phase = what;
		cli->phase_started = t;
		cli->last_draw = 0;
	}
	cli->done = done;
	if (t - cli->last_draw >= 0.1) {
		cli->last_draw = t;
		draw(cli, what, done, total, t);
	}
	return 0;
}

kith_progress kith_cli_progress(kith_cli *cli)
{
	asks = 1;
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

void kith_cli_warn(kith_cli *cli, const char *format, ...)
{
	va_list args;
	kith_cli_clear(cli);
	fprintf(stderr, "%s: ", cli->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
}

int kith_cli_say_file(void *context, const char *file, uint64_t i, uint64_t files)
{
	kith_cli *cli = context;
	kith_err line; /* in which a name gives a terminal no orders */
	if (!cli->verbose)
		return 0;
	kith_fail(&line, KITH_OK, "file %llu of %llu: %s", (unsigned long long)i + 1, (unsigned long long)files, file);
	kith_cli_warn(cli, "%s", line.msg);
	return 0;
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
	measure_own(cli, now());
	long all = usage.ru_maxrss, own = (long)(cli->most / 1024);
	int mapped = own && all - own > MAPPED;
	fprintf(stderr, ": %.1f s, %ld MB peak", now() - cli->started, ((mapped ? own : all) + 1023) / 1024);
	if (mapped)
		fprintf(stderr, ", %ld MB with mapped files", (all + 1023) / 1024);
	putc('\n', stderr);
}
