// faiss_c.cc - the four functions of FAISS' C API that the benchmark calls. Debian ships the API's headers but not its
// code; where a libfaiss_c has them, only the version below is needed.
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/IndexFlat.h>

#include <exception>

#include "bench_faiss.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

template <class F> static int guarded(F f)
{
	try {
		f();
		return 0;
	} catch (const std::exception &) {
		return -1;
	}
}

extern "C" {

int faiss_IndexFlatL2_new_with(FaissIndexFlatL2 **out, idx_t d)
{
	return guarded([&] { *out = reinterpret_cast<FaissIndexFlatL2 *>(new faiss::IndexFlatL2(d)); });
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
	return guarded([&] { reinterpret_cast<faiss::Index *>(index)->add(n, x); });
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances, idx_t *labels)
{
	return guarded([&] { reinterpret_cast<const faiss::Index *>(index)->search(n, x, k, distances, labels); });
}

void faiss_Index_free(FaissIndex *index)
{
	delete reinterpret_cast<faiss::Index *>(index);
}

const char *bench_faiss_version(void)
{
	return TEXT(FAISS_VERSION_MAJOR) "." TEXT(FAISS_VERSION_MINOR) "." TEXT(FAISS_VERSION_PATCH);
}
}
