// faiss_shim.cc - the functions of FAISS' C API that faiss.c calls, as its headers declare them, for a libfaiss that
// comes without them: Debian's ships the headers alone. Where a libfaiss_c links, this file is not compiled.
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

#include <faiss/AutoTune.h>
#include <faiss/impl/FaissException.h>
#include <faiss/Index.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

#include <cstdio>
#include <exception>
#include <string>

namespace
{

thread_local std::string last_error;

int failed(int code, const char *reason) noexcept
{
	try {
		last_error = reason;
	} catch (...) {
		last_error.clear();
	}
	return code;
}

template <class Call> int guarded(Call call) noexcept
{
	try {
		call();
		return OK;
	} catch (const faiss::FaissException &e) {
		return failed(FAISS_EXCEPT, e.what());
	} catch (const std::exception &e) {
		return failed(STD_EXCEPT, e.what());
	} catch (...) {
		return failed(UNKNOWN_EXCEPT, "an exception of an unknown kind");
	}
}

faiss::Index *of(FaissIndex *index)
{
	return reinterpret_cast<faiss::Index *>(index);
}

const faiss::Index *of(const FaissIndex *index)
{
	return reinterpret_cast<const faiss::Index *>(index);
}

FaissIndex *to(faiss::Index *index)
{
	return reinterpret_cast<FaissIndex *>(index);
}

} // namespace

extern "C" {

const char *faiss_get_last_error()
{
	return last_error.c_str();
}

int faiss_index_factory(FaissIndex **out, int d, const char *description, FaissMetricType metric)
{
	return guarded(
		[&] { *out = to(faiss::index_factory(d, description, static_cast<faiss::MetricType>(metric))); });
}

void faiss_Index_free(FaissIndex *index)
{
	delete of(index);
}

int faiss_Index_d(const FaissIndex *index)
{
	return static_cast<int>(of(index)->d);
}

int faiss_Index_is_trained(const FaissIndex *index)
{
	return of(index)->is_trained;
}

idx_t faiss_Index_ntotal(const FaissIndex *index)
{
	return of(index)->ntotal;
}

FaissMetricType faiss_Index_metric_type(const FaissIndex *index)
{
	return static_cast<FaissMetricType>(of(index)->metric_type);
}

int faiss_Index_train(FaissIndex *index, idx_t n, const float *x)
{
	return guarded([&] { of(index)->train(n, x); });
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
	return guarded([&] { of(index)->add(n, x); });
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances, idx_t *labels)
{
	return guarded([&] { of(index)->search(n, x, k, distances, labels); });
}

int faiss_Index_reset(FaissIndex *index)
{
	return guarded([&] { of(index)->reset(); });
}

int faiss_ParameterSpace_new(FaissParameterSpace **space)
{
	return guarded([&] { *space = reinterpret_cast<FaissParameterSpace *>(new faiss::ParameterSpace); });
}

void faiss_ParameterSpace_free(FaissParameterSpace *space)
{
	delete reinterpret_cast<faiss::ParameterSpace *>(space);
}

int faiss_ParameterSpace_set_index_parameter(const FaissParameterSpace *space, FaissIndex *index, const char *name,
					     double value)
{
	return guarded([&] {
		reinterpret_cast<const faiss::ParameterSpace *>(space)->set_index_parameter(of(index), name, value);
	});
}

int faiss_read_index_fname(const char *path, int io_flags, FaissIndex **out)
{
	return guarded([&] { *out = to(faiss::read_index(path, io_flags)); });
}

int faiss_write_index(const FaissIndex *index, FILE *file)
{
	return guarded([&] { faiss::write_index(of(index), file); });
}
}
