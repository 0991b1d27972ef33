/* options.c - the command line: see cli.h */
#include <argp.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "infile.h"
#include "kith/limits.h"

/* ---- what takes values ---- */

/* "-t" or "--metric". */
static const char *option_text(const kith_option *o, char out[64])
{
	if (o->letter)
		snprintf(out, 64, "-%c", o->letter);
	else
		snprintf(out, 64, "--%s", o->name);
	return out;
}

int kith_take_flag(const kith_option *o, const char *arg, kith_err *err)
{
	(void)arg, (void)err;
	*(int *)o->to = 1;
	return 0;
}

int kith_take_text(const kith_option *o, const char *arg, kith_err *err)
{
	(void)err;
	*(const char **)o->to = arg;
	return 0;
}

int kith_take_one(const kith_option *o, const char *arg, kith_err *err)
{
	if (*(const char **)o->to)
		return kith_fail(err, KITH_EUSAGE, "%s: one %s at a time", arg, o->noun);
	*(const char **)o->to = arg;
	return 0;
}

int kith_take_each(const kith_option *o, const char *arg, kith_err *err)
{
	kith_texts *list = o->to;
	const char **more = reallocarray(list->text, list->count + 1, sizeof *more);
	if (!more)
		return kith_fail_nomem(err, "arguments", (list->count + 1) * sizeof *more);
	list->text = more;
	list->text[list->count++] = arg;
	return 0;
}

int kith_take_count(const kith_option *o, const char *arg, kith_err *err)
{
	char *end, text[64];
	errno = 0;
	unsigned long long value = isdigit((unsigned char)*arg) ? strtoull(arg, &end, 10) : (errno = EINVAL, 0);
	if (errno || *end || value < o->least || value > o->most)
		return kith_fail(err, KITH_EUSAGE, "%s %s: not a number from %u to %u", option_text(o, text), arg,
				 o->least, o->most);
	*(uint32_t *)o->to = (uint32_t)value;
	return 0;
}

int kith_take_choice(const kith_option *o, const char *arg, kith_err *err)
{
	char text[64], names[128] = "";
	size_t length = strlen(arg), used = 0;
	uint32_t index = o->least;
	for (const char *name = o->value; *name; index++) {
		size_t here = strcspn(name, "|");
		if (here == length && !memcmp(name, arg, length)) {
			*(uint32_t *)o->to = index;
			return 0;
		}
		const char *before = index == o->least ? "" : name[here] || !o->noun ? ", " : " or ";
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s", before, (int)here, name);
		name += here + (name[here] != 0);
	}
	if (o->noun)
		return kith_fail(err, KITH_EUSAGE, "%s %s: not a %s: %s", option_text(o, text), arg, o->noun, names);
	return kith_fail(err, KITH_EUSAGE, "%s %s: not one of %s", option_text(o, text), arg, names);
}

int kith_take_bytes(const kith_option *o, const char *arg, kith_err *err)
{
	static const char units[] = "KMGT";
	char text[64], *end;
	errno = 0;
	double value = isdigit((unsigned char)*arg) ? strtod(arg, &end) : (end = (char *)(uintptr_t)arg, 0);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	int ok = end != arg && !errno;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			value *= 1024;
		end++;
		end += *end == 'i';
		end += *end == 'B';
	}
	if (!ok || *end || !(value >= 1) || value > 0x1p60)
		return kith_fail(err, KITH_EUSAGE, "%s %s: not a size of memory: try 512M or 4G", option_text(o, text),
				 arg);
	*(uint64_t *)o->to = (uint64_t)value;
	return 0;
}

int kith_take_ladder(const kith_option *o, const char *arg, kith_err *err)
{
	uint32_t *out = o->to, found = 0;
	for (const char *p = arg;; p++) {
		char *end;
		errno = 0;
		unsigned long long k = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : (errno = EINVAL, 0);
		if (errno || (*end && *end != ','))
			return kith_fail(err, KITH_EUSAGE, "-k %s: not a list of numbers: try -k 15,100", arg);
		if (k < 1 || k > UINT32_MAX)
			return kith_fail(err, KITH_EUSAGE, "-k %s: k=%llu: k is at least 1 and less than the samples",
					 arg, k);
		if (found == KITH_MAX_TIERS)
			return kith_fail(err, KITH_EUSAGE, "-k %s: more than %u values of k", arg, found);
		uint32_t at = found++;
		for (; at && out[at - 1] > k; at--)
			out[at] = out[at - 1];
		out[at] = (uint32_t)k;
		if (at && out[at - 1] == k)
			return kith_fail(err, KITH_EUSAGE, "-k %s: k=%llu stands twice", arg, k);
		p = end;
		if (!*p)
			break;
	}
	*o->count = found;
	return 0;
}

/* ---- texts ---- */

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

/* Adds a word to the command line that outputs keep. */
static void record_word(kith_cli *cli, const char *word)
{
	size_t used = strlen(cli->command);
	int plain = *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
						"_-+=.,:/@%")];
	snprintf(cli->command + used, sizeof cli->command - used, plain ? "%s%s" : "%s'%s'", used ? " " : "", word);
}

static void record(kith_cli *cli, const kith_option *o, const char *arg)
{
	char text[64];
	if (o->letter == 't' || o->letter == 'v')
		return;
	if (o->letter || o->name)
		record_word(cli, option_text(o, text));
	if (arg)
		record_word(cli, arg);
}

/* ---- outputs ---- */

int kith_cli_distinct(const char *option, const char *output, const char *input, kith_err *err)
{
	if (!kith_is_same_file(output, input))
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s %s: is the input %s itself: name another output", option, output, input);
}

int kith_cli_two_outputs(const char *option, const char *path, const char *output, const char *other, kith_err *err)
{
	if (strcmp(path, output) && !kith_is_same_file(path, output))
		return 0;
	return kith_fail(err, KITH_EUSAGE, "%s %s: is the output of %s, too: name another file", option, path, other);
}

/* ---- the command line ---- */

#define MAX_OPTIONS 64
#define FIRST_KEY   256 /* of options without a letter: this and their place in the table */

struct parsing {
	kith_cli *cli;
	const kith_cli_arguments *arguments;
	const kith_option *rest; /* the option that arguments belong to; NULL: none */
};

static int key_of(const kith_option *o, size_t at)
{
	return o->letter ? o->letter : o->name ? FIRST_KEY + (int)at : ARGP_KEY_ARG;
}

static const kith_option *option_of(const kith_cli_arguments *a, int key)
{
	for (size_t at = 0; a->options[at].take; at++)
		if (key_of(&a->options[at], at) == key)
			return &a->options[at];
	return NULL;
}

static int take_key(kith_cli *cli, const kith_cli_arguments *a, int key, const char *arg, kith_err *err)
{
	if (arg && !*arg)
		return kith_fail(err, KITH_EUSAGE, "an argument is empty (an unset variable of the shell?)");
	const kith_option *option = option_of(a, key);
	if (option) {
		record(cli, option, arg);
		return option->take(option, arg, err);
	}
	if (key != ARGP_KEY_END)
		return ARGP_ERR_UNKNOWN;
	for (const kith_option *o = a->options; o->take; o++) {
		const void *is = o; /* pointers of any type have one representation */
		if (o->missing)
			memcpy(&is, o->to, sizeof is);
		if (!is)
			return kith_fail(err, KITH_EUSAGE, "%s", o->missing);
	}
	return a->check ? a->check(a->context, err) : 0;
}

/* Which option the next arguments belong to, after this one and its value. */
static const kith_option *rest_after(const struct parsing *p, int key, const char *arg, const struct argp_state *state)
{
	const kith_option *o = option_of(p->arguments, key);
	return o && o->takes_rest && arg == state->argv[state->next - 1] ? o : NULL;
}

static error_t take(int key, char *arg, struct argp_state *state)
{
	struct parsing *p = state->input;
	kith_err err;
	if (key == ARGP_KEY_ARG && p->rest && !state->quoted)
		key = key_of(p->rest, (size_t)(p->rest - p->arguments->options));
	else if (key != ARGP_KEY_ARG)
		p->rest = rest_after(p, key, arg, state);
	if (key == 'q') {
		p->cli->quiet = 1;
		return 0;
	}
	int rc = take_key(p->cli, p->arguments, key, arg, &err);
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
	struct parsing parsing = {cli, arguments, NULL};
	size_t count = 0;
	unsigned flags = 0;
	for (size_t at = 0; arguments->options[at].take; at++) {
		const kith_option *o = &arguments->options[at];
		assert(count < MAX_OPTIONS);
		flags |= o->takes_rest ? ARGP_IN_ORDER : 0;
		if (o->letter || o->name)
			all[count++] = (struct argp_option){o->name, key_of(o, at), o->value, 0, o->help, o->group};
	}
	all[count] = (struct argp_option){"quiet", 'q', NULL, 0, "No progress bar and no closing report", -1};
	const struct argp argp = {all, take, arguments->usage, arguments->about, NULL, NULL, NULL};

	snprintf(version, sizeof version, "%s %s", cli->name, KITH_VERSION);
	argp_program_version = version;
	record_word(cli, cli->name);
	argp_err_exit_status = 2;
	program_invocation_name = program_invocation_short_name = (char *)(uintptr_t)cli->name;
	argp_parse(&argp, argc, argv, flags, NULL, &parsing);
}
