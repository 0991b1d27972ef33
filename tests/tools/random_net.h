/* random_net.h - small random networks of every kind of operation, with activations of every awkward kind. */
#ifndef RANDOM_NET_H
#define RANDOM_NET_H

#include "activations.h"
#include "slow_h0.h"

/* A network and its values. */
typedef struct random_net {
	slow_net net; /* with values as the files have them */
	kith_net_layer layers[8];
	kith_op ops[16];
	double *weights[16], *activations[8];
	char names[8][8];
	kith_dtype weight_types[16], activation_types[8];
	const char *kind; /* of its values */
} random_net;

/* Draws one with sizes that slow_h0 can do. Release with random_net_free. */
void random_net_draw(random_net *net, rng *r);
/* One of that many samples. */
void random_net_draw_of(random_net *net, uint64_t samples, rng *r);
void random_net_copy(random_net *copy, const random_net *net); /* to be freed as well */
void random_net_free(random_net *net);

uint64_t random_net_units(const kith_net_layer *layer);

/* Operation o's weights as a matrix. Returns 0 if it has none. */
int random_net_weight_shape(const random_net *net, uint32_t o, uint64_t *rows, uint64_t *columns);

/* Writes it as NAME.json and NAME.*.npy beside; `path` receives the former. */
void random_net_write(const random_net *net, const char *name, char *path, size_t size);

#endif
