/* faiss_spec.c - see faiss_spec.h */
#include "faiss_spec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECALL_DEFAULT 0.99
#define RECORDED       120 /* characters of a factory string that a graph's header has room for */
#define MOST_WHOLE     2147483647.0
#define CODE_CENTROIDS 256 /* of each part of a product or additive quantiser, unless it says otherwise */
#define MOST_CODE_BITS 20
#define MOST_CENTROIDS (1ull << 40)

static int ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length > tail && !strcmp(text + length - tail, end);
}

/* ---- parsing ---- */

/* FAISS makes an index of 0 lists, links or parts, and then crashes. */
static int has_zero(const char *factory)
{
	for (const char *c = factory; *c; c++)
		if (isdigit((unsigned char)*c)) {
			size_t digits = strspn(c, "0123456789");
			if (strspn(c, "0") == digits)
				return 1;
			c += digits - 1;
		}
	return 0;
}

static int take_factory(kith_faiss_spec *s, const char *text, size_t length, kith_err *err)
{
	if (!length)
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: which index? For example faiss:IVF1024,Flat;nprobe=16", text);
	if (length >= sizeof s->factory)
		return kith_fail(err, KITH_EUSAGE, "engine faiss: the text is longer than %zu", sizeof s->factory - 1);
	memcpy(s->factory, text, length);
	s->factory[length] = 0;
	s->is_file = ends_with(s->factory, ".index");
	if (s->is_file)
		return 0;
	if (length > RECORDED)
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss: the factory string is longer than %d: make the index with FAISS and "
				 "name its file, faiss:FILE.index",
				 RECORDED);
	if (s->factory[0] == 'B')
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: that is a binary index, and samples are vectors of numbers: use one "
				 "such as IVF1024,Flat",
				 s->factory);
	if (has_zero(s->factory))
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: there is no index with 0 of anything", s->factory);
	return 0;
}

static int take_recall(kith_faiss_spec *s, const char *value, kith_err *err)
{
	char *end;
	s->recall = strtod(value, &end);
	if (!*value || *end || !(s->recall > 0 && s->recall <= 1))
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: recall=%s: not a number between 0 and 1, such as 0.99", s->factory,
				 value);
	if (s->recall == 1)
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: recall=%s: no audit of some samples can tell; use --engine exact",
				 s->factory, value);
	return 0;
}

static int is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names))
		names++;
	return *names != NULL;
}

static int take_auto(kith_faiss_spec *s, const kith_faiss_parameter *p, kith_err *err)
{
	static const char *const raised[] = {"nprobe", "efSearch", NULL};
	if (!is_one_of(p->name, raised))
		return kith_fail(err, KITH_EUSAGE,
				 "engine faiss:%s: %s=auto: only nprobe and efSearch are found by themselves",
				 s->factory, p->name);
	if (s->automatic >= 0)
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: %s=auto and %s=auto: give a value to one of them",
				 s->factory, s->parameter[s->automatic].name, p->name);
	s->automatic = (int)s->count;
	return 0;
}

/* FAISS takes any number, and crashes, finds nothing or forgets the fraction. */
static int take_value(const kith_faiss_spec *s, kith_faiss_parameter *p, const char *value, kith_err *err)
{
	static const char *const whole[] = {"nprobe", "efSearch", "efConstruction", "max_codes", "ht", NULL};
	const char *plain = !strncmp(p->name, "quantizer_", 10) ? p->name + 10 : p->name;
	int counts = is_one_of(plain, whole), may_be_0 = !strcmp(plain, "max_codes") || !strcmp(plain, "ht");
	char *end;
	p->value = strtod(value, &end);
	if (!*value || *end || !isfinite(p->value) || p->value < 0 || p->value > MOST_WHOLE)
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: %s=%s: not a number that it can be", s->factory,
				 p->name, value);
	if ((counts && p->value != floor(p->value)) || (!may_be_0 && p->value < (counts ? 1 : 1e-9)))
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: %s=%s: has to be %s", s->factory, p->name, value,
				 counts && !may_be_0 ? "a whole number from 1 on"
				 : counts            ? "a whole number"
						     : "above 0");
	return 0;
}

/* One PARAMETER=VALUE of `length` characters. */
static int take_setting(kith_faiss_spec *s, const char *text, size_t length, kith_err *err)
{
	const char *equals = memchr(text, '=', length);
	kith_faiss_parameter p = {.value = 0};
	char value[64];
	size_t name = equals ? (size_t)(equals - text) : 0, rest = equals ? length - name - 1 : 0;
	if (!name || !rest || name >= sizeof p.name || rest >= sizeof value)
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: '%.*s': not PARAMETER=VALUE, such as nprobe=16",
				 s->factory, (int)(length < 64 ? length : 64), text);
	memcpy(p.name, text, name);
	memcpy(value, equals + 1, rest);
	value[rest] = 0;
	if (!strcmp(p.name, "recall"))
		return take_recall(s, value, err);
	if (s->count == KITH_FAISS_PARAMETERS)
		return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: more than %d parameters", s->factory,
				 KITH_FAISS_PARAMETERS);
	for (uint32_t i = 0; i < s->count; i++)
		if (!strcmp(s->parameter[i].name, p.name))
			return kith_fail(err, KITH_EUSAGE, "engine faiss:%s: %s is given twice", s->factory, p.name);
	p.is_auto = !strcmp(value, "auto");
	int rc = p.is_auto ? take_auto(s, &p, err) : take_value(s, &p, value, err);
	if (!rc)
		s->parameter[s->count++] = p;
	return rc;
}

int kith_faiss_spec_parse(kith_faiss_spec *s, const char *text, kith_err *err)
{
	size_t length = strcspn(text, ";");
	*s = (kith_faiss_spec){.automatic = -1, .block_rows = s->block_rows, .shard_rows = s->shard_rows};
	int rc = take_factory(s, text, length, err);
	text += length;
	while (!rc && *text) {
		length = strcspn(++text, ",;");
		rc = take_setting(s, text, length, err);
		text += length;
	}
	if (!rc && s->recall && s->automatic < 0)
		rc = kith_fail(
			err, KITH_EUSAGE,
			"engine faiss:%s: recall says how far nprobe=auto or efSearch=auto is to go, and neither "
			"is there",
			s->factory);
	if (!s->recall)
		s->recall = RECALL_DEFAULT;
	return rc;
}

/* ---- what it says ---- */

const char *kith_faiss_spec_text(const kith_faiss_spec *s, char *out, size_t size)
{
	size_t at = 0;
	*out = 0;
	for (uint32_t i = 0; i < s->count && at < size; i++) {
		const kith_faiss_parameter *p = &s->parameter[i];
		char value[32];
		snprintf(value, sizeof value, "%.10g", p->value);
		at += (size_t)snprintf(out + at, size - at, "%s%s=%s", i ? "," : "", p->name,
				       p->is_auto && !p->value ? "auto" : value);
	}
	if (s->automatic >= 0 && at < size)
		snprintf(out + at, size - at, ",recall=%.10g", s->recall);
	return out;
}

uint64_t kith_faiss_spec_number(const kith_faiss_spec *s, const char *word)
{
	const char *at = s->is_file ? NULL : strstr(s->factory, word);
	while (at && !isdigit((unsigned char)at[strlen(word)]))
		at = strstr(at + 1, word);
	return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

double kith_faiss_spec_value(const kith_faiss_spec *s, const char *name, double otherwise)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (!strcmp(s->parameter[i].name, name) && s->parameter[i].value)
			return s->parameter[i].value;
	return otherwise;
}

/* Codes of so many bits have 2^bits centroids: PQ16x10, IMI2x9. */
static uint64_t code_centroids(const char *factory)
{
	uint64_t most = strstr(factory, "OPQ") ? CODE_CENTROIDS : 1;
	static const char *const coders[] = {"PQ", "RQ", "LSQ", "IMI", "PLSQ", "PRQ"};
	for (size_t c = 0; c < sizeof coders / sizeof *coders; c++)
		for (const char *at = factory; (at = strstr(at, coders[c]));) {
			at += strlen(coders[c]);
			const char *bits = at + strspn(at, "0123456789");
			if (bits == at)
				continue;
			uint64_t count = CODE_CENTROIDS;
			if (*bits == 'x') {
				unsigned long number = strtoul(bits + 1, NULL, 10);
				count = 1ull << (number < MOST_CODE_BITS ? number : MOST_CODE_BITS);
			}
			most = count > most ? count : most;
		}
	return most;
}

uint64_t kith_faiss_spec_centroids(const kith_faiss_spec *s)
{
	uint64_t lists = kith_faiss_spec_number(s, "IVF"), codes = s->is_file ? 1 : code_centroids(s->factory);
	lists = lists < MOST_CENTROIDS ? lists : MOST_CENTROIDS;
	return lists > codes ? lists : codes;
}
