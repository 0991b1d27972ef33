/* network_read.c - net.json. See network.h. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "hash.h"
#include "infile.h"
#include "network.h"

#define MAX_JSON_BYTES (64u << 20)

/* What is being read, for messages: "net.json: edges[2]: ...". */
typedef struct reading {
	kith_network *network;
	const kith_input_how *how;
	kith_err *err;
	char part[64]; /* "edges[2]", or "" at the top */
} reading;

__attribute__((format(printf, 2, 3))) static int refuse(const reading *r, const char *format, ...)
{
	char what[768];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return kith_fail(r->err, KITH_EUSAGE, "%s: %s%s%s", r->network->path, r->part, *r->part ? ": " : "", what);
}

/* A copy that lives as long as the network. */
static char *keep(const reading *r, char *text)
{
	kith_network *n = r->network;
	if (!text) {
		kith_fail_nomem(r->err, "a string", 1);
		return NULL;
	}
	n->strings[n->string_count++] = text;
	return text;
}

/* ---- members ---- */

/* Refuses a member that is not in the list, "name, shape, activations". */
static int check_keys(const reading *r, const json_t *object, const char *known)
{
	const char *key;
	json_t *value;
	if (!json_is_object(object))
		return refuse(r, "not an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		size_t length = strlen(key);
		const char *at = known;
		while (at && (strncmp(at, key, length) || (at[length] && at[length] != ',')))
			at = (at = strchr(at, ' ')) ? at + 1 : NULL;
		if (!at || !length || strpbrk(key, ", "))
			return refuse(r, "unknown key \"%.64s\": known here are %s", key, known);
	}
	return 0;
}

static int get_text(const reading *r, const json_t *object, const char *member, const char **out)
{
	const json_t *value = json_object_get(object, member);
	if (!value)
		return refuse(r, "lacks \"%s\"", member);
	if (!json_is_string(value) || !json_string_length(value))
		return refuse(r, "\"%s\" is not a string of some length", member);
	*out = json_string_value(value);
	return 0;
}

static int is_number(const json_t *value, uint64_t least, uint64_t most)
{
	return json_is_integer(value) && json_integer_value(value) >= (json_int_t)least &&
	       (uint64_t)json_integer_value(value) <= most;
}

/* [height, width]; unless it is there, out is left as it is. */
static int get_pair(const reading *r, const json_t *object, const char *member, uint64_t least, uint32_t out[2])
{
	const json_t *value = json_object_get(object, member);
	if (!value)
		return 0;
	for (size_t side = 0; side < 2; side++)
		if (json_array_size(value) != 2 || !is_number(json_array_get(value, side), least, KITH_MAX_WINDOW))
			return refuse(r, "\"%s\" is not [height, width], two whole numbers from %" PRIu64 " to %u",
				      member, least, KITH_MAX_WINDOW);
	for (size_t side = 0; side < 2; side++)
		out[side] = (uint32_t)json_integer_value(json_array_get(value, side));
	return 0;
}

/* An array's file, whose name is relative to that of net.json. */
static int open_array(const reading *r, const char *name, kith_activations **out)
{
	const char *path = r->network->path, *slash = strrchr(path, '/');
	size_t folder = *name == '/' || !slash ? 0 : (size_t)(slash + 1 - path);
	char *full = kith_alloc(folder + strlen(name) + 1, 1);
	if (!full)
		return kith_fail_nomem(r->err, "a name", folder + strlen(name) + 1);
	memcpy(full, path, folder);
	strcpy(full + folder, name);
	int rc = kith_activations_open_as(out, full, r->how, r->err);
	free(full);
	if (rc) {
		char where[sizeof r->part + 512];
		snprintf(where, sizeof where, "%.448s: %s", path, r->part);
		return kith_fail_in(r->err, rc, where);
	}
	return 0;
}

/* ---- layers ---- */

static int get_shape(const reading *r, const json_t *object, kith_net_layer *layer)
{
	const json_t *shape = json_object_get(object, "shape");
	if (!shape)
		return refuse(r, "lacks \"shape\"");
	if (!json_is_array(shape) || !json_array_size(shape) || json_array_size(shape) > KITH_MAX_SHAPE)
		return refuse(r, "\"shape\" is not a list of 1 to %u numbers", KITH_MAX_SHAPE);
	layer->dims = (uint32_t)json_array_size(shape);
	for (uint32_t t = 0; t < layer->dims; t++) {
		const json_t *value = json_array_get(shape, t);
		if (!is_number(value, 1, KITH_MAX_DIM))
			return refuse(r, "\"shape\" has something other than whole numbers from 1 to %u", KITH_MAX_DIM);
		layer->shape[t] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

/* Names stand in texts between colons, commas and tabs, and on terminals. */
static int is_name(const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		if (*c < 32 || *c == 127 || strchr(":,>", *c))
			return 0;
	return 1;
}

/* The layer of that name, or layer_count. */
static uint32_t find_layer(const kith_network *n, uint32_t count, const char *name)
{
	uint32_t l = 0;
	while (l < count && strcmp(n->info.layers[l].name, name))
		l++;
	return l;
}

static int get_layer(reading *r, const json_t *object, uint32_t l)
{
	kith_network *n = r->network;
	kith_net_layer *layer = &n->info.layers[l];
	const char *name = NULL, *array = NULL;
	int rc;
	snprintf(r->part, sizeof r->part, "layers[%u]", l);
	layer->digest = "";
	if ((rc = check_keys(r, object, "name, shape, activations")) || (rc = get_text(r, object, "name", &name)))
		return rc;
	if (!is_name(name))
		return refuse(r, "name \"%.64s\": names have no colon, comma, > or control character", name);
	if (find_layer(n, l, name) < l)
		return refuse(r, "name \"%.64s\" is that of layers[%u], too", name, find_layer(n, l, name));
	if (!(layer->name = keep(r, strdup(name))))
		return KITH_ENOMEM;
	if ((rc = get_shape(r, object, layer)) || !json_object_get(object, "activations"))
		return rc;
	return (rc = get_text(r, object, "activations", &array)) ? rc : open_array(r, array, &n->activations[l]);
}

/* Activations of as many samples as the others have, each as large as the layer. */
static int check_activations(reading *r)
{
	kith_network *n = r->network;
	const char *first = NULL;
	for (uint32_t l = 0; l < n->info.layer_count; l++) {
		const kith_net_layer *layer = &n->info.layers[l];
		snprintf(r->part, sizeof r->part, "layers[%u]", l);
		if (!n->activations[l] && kith_network_is_source(n, l))
			return refuse(r, "%s is the source of edges: it needs \"activations\"", layer->name);
		if (!n->activations[l])
			continue;
		const kith_activations_info *a = kith_activations_get_info(n->activations[l]);
		if (a->d != layer->units)
			return refuse(r, "%s has %" PRIu64 " values per sample, but the shape of %s makes %" PRIu64,
				      a->path, a->d, layer->name, layer->units);
		if (first && a->n != n->info.n)
			return refuse(r, "%s has %" PRIu64 " samples, but %s has %" PRIu64, a->path, a->n, first,
				      n->info.n);
		n->info.n = a->n;
		first = a->path;
	}
	return 0;
}

/* ---- operations ---- */

/* Which keys each kind has. */
static const char *const op_keys[] = {
	[KITH_DENSE] = "from, to, op, weight",
	[KITH_CONV2D] = "from, to, op, weight, stride, padding, dilation, groups",
	[KITH_MAXPOOL] = "from, to, op, kernel, stride, padding, rule",
	[KITH_AVGPOOL] = "from, to, op, kernel, stride, padding",
	[KITH_IDENTITY] = "from, to, op",
};
#define KINDS (sizeof op_keys / sizeof *op_keys)

static int get_kind(const reading *r, const json_t *object, kith_op *op)
{
	const char *name = NULL;
	int rc = get_text(r, object, "op", &name);
	size_t kind = 0;
	if (rc)
		return rc;
	while (kind < KINDS && strcmp(kith_op_kind_name((kith_op_kind)kind), name))
		kind++;
	if (kind == KINDS)
		return refuse(r, "\"op\" %.64s: none of dense, conv2d, maxpool, avgpool, identity", name);
	op->kind = (kith_op_kind)kind;
	return 0;
}

static int get_end(const reading *r, const json_t *object, const char *member, uint32_t *out)
{
	const char *name = NULL;
	int rc = get_text(r, object, member, &name);
	if (rc)
		return rc;
	*out = find_layer(r->network, r->network->info.layer_count, name);
	if (*out == r->network->info.layer_count)
		return refuse(r, "\"%s\" names no layer: %.64s", member, name);
	return 0;
}

static int get_rule(const reading *r, const json_t *object, kith_op *op)
{
	const char *rule = "all";
	int rc = json_object_get(object, "rule") ? get_text(r, object, "rule", &rule) : 0;
	if (rc)
		return rc;
	if (strcmp(rule, "all") && strcmp(rule, "max"))
		return refuse(r, "\"rule\" %.64s: neither all nor max", rule);
	op->rule = strcmp(rule, "all") ? KITH_POOL_MAX : KITH_POOL_ALL;
	return 0;
}

/* The window, but for the kernel of a convolution, which is its weights'. A pool's stride is its kernel, as in PyTorch,
 * if nothing else is said. */
static int get_window(const reading *r, const json_t *object, kith_op *op)
{
	const json_t *groups = json_object_get(object, "groups");
	int rc;
	if (op->kind == KITH_MAXPOOL || op->kind == KITH_AVGPOOL) {
		if (!json_object_get(object, "kernel"))
			return refuse(r, "lacks \"kernel\"");
		if ((rc = get_pair(r, object, "kernel", 1, op->kernel)))
			return rc;
		memcpy(op->stride, op->kernel, sizeof op->stride);
	}
	if (groups && !is_number(groups, 1, KITH_MAX_DIM))
		return refuse(r, "\"groups\" is not a whole number from 1 on");
	if (groups)
		op->groups = (uint32_t)json_integer_value(groups);
	if ((rc = get_pair(r, object, "stride", 1, op->stride)) ||
	    (rc = get_pair(r, object, "padding", 0, op->padding)) ||
	    (rc = get_pair(r, object, "dilation", 1, op->dilation)))
		return rc;
	return get_rule(r, object, op);
}

/* "(3, 1, 5, 5)" */
static const char *shape_text(const kith_activations_info *a, char *out, size_t size)
{
	size_t at = 0;
	for (int t = 0; t < a->dims && at < size; t++)
		at += (size_t)snprintf(out + at, size - at, "%s%" PRIu64, t ? ", " : "(", a->shape[t]);
	if (at < size)
		snprintf(out + at, size - at, "%s", a->dims == 1 ? ",)" : ")");
	return out;
}

static int check_dense(const reading *r, const kith_op *op, const kith_activations_info *w)
{
	const kith_net_layer *from = &r->network->info.layers[op->from], *to = &r->network->info.layers[op->to];
	uint64_t rows = 1, columns = 1;
	char shape[256];
	for (uint32_t t = 0; t < to->dims; t++)
		rows *= to->shape[t];
	for (uint32_t t = 0; t < from->dims; t++)
		columns *= from->shape[t];
	if (w->dims == 2 && w->n == rows && w->d == columns)
		return 0;
	return refuse(r, "%s has shape %s, but dense from %s to %s takes (%" PRIu64 ", %" PRIu64 ")", w->path,
		      shape_text(w, shape, sizeof shape), from->name, to->name, rows, columns);
}

static int check_conv(const reading *r, kith_op *op, const kith_activations_info *w)
{
	const kith_net_layer *from = &r->network->info.layers[op->from], *to = &r->network->info.layers[op->to];
	char shape[256];
	if (from->dims != 3 || to->dims != 3)
		return refuse(r,
			      "conv2d joins layers of shape [channels, height, width]: %s has %u dimensions, %s has %u",
			      from->name, from->dims, to->name, to->dims);
	if (from->shape[0] % op->groups || to->shape[0] % op->groups)
		return refuse(r, "%u groups do not divide the %" PRIu64 " channels of %s and %" PRIu64 " of %s",
			      op->groups, from->shape[0], from->name, to->shape[0], to->name);
	if (w->dims != 4 || w->n != to->shape[0] || w->shape[1] != from->shape[0] / op->groups)
		return refuse(
			r, "%s has shape %s, but conv2d from %s to %s takes (%" PRIu64 ", %" PRIu64 ", height, width)",
			w->path, shape_text(w, shape, sizeof shape), from->name, to->name, to->shape[0],
			from->shape[0] / op->groups);
	for (size_t side = 0; side < 2; side++) {
		if (w->shape[2 + side] > KITH_MAX_WINDOW)
			return refuse(r, "%s: a window of more than %u", w->path, KITH_MAX_WINDOW);
		op->kernel[side] = (uint32_t)w->shape[2 + side];
	}
	return 0;
}

static int get_op(reading *r, const json_t *object, uint32_t o)
{
	kith_network *n = r->network;
	kith_op *op = &n->info.ops[o];
	const char *array = NULL;
	int rc;
	*op = (kith_op){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .digest = ""};
	snprintf(r->part, sizeof r->part, "edges[%u]", o);
	if (!json_is_object(object))
		return refuse(r, "not an object");
	if ((rc = get_kind(r, object, op)) || (rc = check_keys(r, object, op_keys[op->kind])) ||
	    (rc = get_end(r, object, "from", &op->from)) || (rc = get_end(r, object, "to", &op->to)))
		return rc;
	if (op->from >= op->to)
		return refuse(r, "the source %s has to stand before the target %s in \"layers\"",
			      n->info.layers[op->from].name, n->info.layers[op->to].name);
	if ((rc = get_window(r, object, op)) || (op->kind != KITH_DENSE && op->kind != KITH_CONV2D))
		return rc;
	if ((rc = get_text(r, object, "weight", &array)) || (rc = open_array(r, array, &n->files[o])))
		return rc;
	const kith_activations_info *w = kith_activations_get_info(n->files[o]);
	return op->kind == KITH_DENSE ? check_dense(r, op, w) : check_conv(r, op, w);
}

/* ---- the file ---- */

static int get_list(const reading *r, const json_t *root, const char *member, uint32_t *count)
{
	const json_t *list = json_object_get(root, member);
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > KITH_MAX_LAYERS)
		return refuse(r, "\"%s\" is not a list of 1 to %u objects", member, KITH_MAX_LAYERS);
	*count = (uint32_t)json_array_size(list);
	return 0;
}

static int allocate(reading *r)
{
	kith_network *n = r->network;
	size_t layers = n->info.layer_count, ops = n->info.op_count;
	n->info.layers = kith_alloc_zero(layers, sizeof *n->info.layers);
	n->info.ops = kith_alloc_zero(ops, sizeof *n->info.ops);
	n->activations = kith_alloc_zero(layers, sizeof *n->activations);
	n->files = kith_alloc_zero(ops, sizeof *n->files);
	n->weights = kith_alloc_zero(ops, sizeof *n->weights);
	n->strings = kith_alloc_zero(2 * layers + ops, sizeof *n->strings);
	if (n->info.layers && n->info.ops && n->activations && n->files && n->weights && n->strings)
		return 0;
	return kith_fail_nomem(r->err, "a network", layers * sizeof *n->info.layers + ops * sizeof *n->info.ops);
}

static int get_network(reading *r, const json_t *root)
{
	kith_network *n = r->network;
	const char *format = NULL;
	int rc = check_keys(r, root, "format, version, layers, edges");
	if (rc || (rc = get_text(r, root, "format", &format)))
		return rc;
	if (strcmp(format, "kith-net"))
		return refuse(r, "\"format\" is %.64s, not kith-net", format);
	if (!is_number(json_object_get(root, "version"), 1, 1))
		return refuse(r, "\"version\" is not 1, the one that this kith reads");
	if ((rc = get_list(r, root, "layers", &n->info.layer_count)) ||
	    (rc = get_list(r, root, "edges", &n->info.op_count)) || (rc = allocate(r)))
		return rc;
	for (uint32_t l = 0; !rc && l < n->info.layer_count; l++)
		rc = get_layer(r, json_array_get(json_object_get(root, "layers"), l), l);
	for (uint32_t o = 0; !rc && o < n->info.op_count; o++)
		rc = get_op(r, json_array_get(json_object_get(root, "edges"), o), o);
	if (rc || (rc = kith_fail_in(r->err, kith_network_check(&n->info, r->err), n->path)))
		return rc;
	return check_activations(r);
}

/* The whole file, its bytes and how many. */
static int read_text(const char *path, char **out, size_t *size, kith_err *err)
{
	FILE *file;
	uint64_t bytes;
	int rc = kith_infile_stream(&file, path, &bytes, err);
	if (rc)
		return rc;
	if (bytes > MAX_JSON_BYTES)
		rc = kith_fail(err, KITH_EUSAGE, "%s: %" PRIu64 " bytes are no net.json", path, bytes);
	else if (!(*out = kith_alloc(bytes + 1, 1)))
		rc = kith_fail_nomem(err, "a file", bytes + 1);
	else if ((*size = fread(*out, 1, bytes + 1, file)) > bytes || ferror(file))
		rc = ferror(file) ? kith_fail_errno(err, "%s: cannot read", path)
				  : kith_fail(err, KITH_EIO, "%s: changed while it was read", path);
	fclose(file);
	return rc;
}

static int read_json(reading *r, const char *text, size_t size)
{
	json_error_t why;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!root && json_error_code(&why) == json_error_out_of_memory)
		return kith_fail_nomem(r->err, "net.json", size);
	if (!root)
		return refuse(r, "no JSON: line %d, column %d: %s", why.line, why.column, why.text);
	int rc = get_network(r, root);
	json_decref(root);
	return rc;
}

int kith_network_read(kith_network **out, const char *path, const kith_input_how *how, kith_err *err)
{
	const char *slash = strrchr(path, '/');
	kith_network *n = kith_alloc_zero(1, sizeof *n);
	reading r = {n, how, err, ""};
	char *text = NULL;
	size_t size = 0;
	int rc;
	if (!n || !(n->path = strdup(path))) {
		free(n);
		return kith_fail_nomem(err, "a network", sizeof *n);
	}
	if (!(rc = read_text(path, &text, &size, err)) && !(rc = read_json(&r, text, size))) {
		snprintf(n->info.digest, sizeof n->info.digest, "xxh3:%016" PRIx64, kith_hash(text, size));
		snprintf(n->info.input, sizeof n->info.input, "%s", slash ? slash + 1 : path);
		n->info.keep = 1;
		n->info.values = 1;
	}
	free(text);
	if (rc)
		kith_network_free(n);
	else
		*out = n;
	return rc;
}
