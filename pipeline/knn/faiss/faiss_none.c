/* faiss_none.c - the engine of a build without FAISS, which says how to get one. */
#include "engine.h"

static int parse(void *own, const char *spec, kith_err *err)
{
	(void)own;
	return kith_fail(
		err, KITH_EUSAGE,
		"engine faiss:%s: this kith was built without FAISS: install libfaiss-dev and g++ (sh setup.sh), "
		"then build it with cmake -DKITH_FAISS=ON",
		spec);
}

const kith_engine kith_engine_faiss = {
	.name = "faiss", .example = "IVF1024,Flat;nprobe=16", .parse = parse, .options_size = 1};
