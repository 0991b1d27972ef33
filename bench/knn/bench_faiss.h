/* bench_faiss.h - what the benchmark needs of FAISS and its C API does not have. */
#ifndef BENCH_FAISS_H
#define BENCH_FAISS_H

#ifdef __cplusplus
extern "C" {
#endif

const char *bench_faiss_version(void); /* of the headers: "1.7.3" */

#ifdef __cplusplus
}
#endif
#endif
