/* property_h0.c - kith_h0_build on small random networks of every operation, against the definition: every edge, value,
 * class, basin and component equal, whatever the threads and memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kith/h0.h"
#include "random_net.h"
#include "sandbox.h"
#include "slow_h0.h"

static void draw_options(kith_h0_options *options, rng *r)
{
	kith_h0_defaults(options);
	if (rng_chance(r, 40))
		options->keep = rng_chance(r, 50) ? 0.01 + 0.99 * rng_unit(r) : (double)rng_between(r, 1, 4) / 4;
	options->values = rng_chance(r, 80);
	options->threads = (int)rng_between(r, 1, 3);
	options->command = "property_h0";
}

static int round_h0(uint64_t seed, char *why, size_t size)
{
	rng r = {seed};
	random_net net;
	kith_h0_options options;
	kith_h0_summary summary = {0};
	kith_err err = {0};
	char json[SANDBOX_PATH], kh0[SANDBOX_PATH], what[1024] = "";
	random_net_draw(&net, &r);
	draw_options(&options, &r);
	random_net_write(&net, "net", json, sizeof json);
	sandbox_path(kh0, "net.kh0");
	remove(kh0);
	size_t entries = sandbox_entries();
	int differs = 0;
	if (kith_h0_build(json, kh0, &options, &summary, &err))
		differs = snprintf(what, sizeof what, "%.900s", err.msg) > 0;
	else
		differs = slow_h0_file_differs(kh0, &net.net, options.keep, 30, &r, what, sizeof what);
	if (!differs && sandbox_entries() != entries + 1)
		differs = snprintf(what, sizeof what, "something is left behind") > 0;
	if (differs)
		snprintf(why, size, "%s, keep %g, %s, %d threads: %s", net.kind, options.keep,
			 options.values ? "values" : "no values", options.threads, what);
	random_net_free(&net);
	return differs;
}

int main(int argc, char **argv)
{
	return property_run_all("property_h0", property_start(argc, argv, 2000), round_h0);
}
