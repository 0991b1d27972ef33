/* rival.h - what the programs that run other libraries have in common.
 *
 *   PROGRAM SETTINGS K THREADS FILE.npy LISTS
 *       writes each row's K neighbours to LISTS, 32-bit ids, ones where fewer were found; prints seconds, CPU seconds
 * and peak resident MiB. Seconds run from the array in memory to the finished lists: index and search of all rows
 *   PROGRAM version
 *
 * SETTINGS are NAME=VALUE, separated by commas or semicolons. FILE.npy holds 32-bit floats. */
#ifndef RIVAL_H
#define RIVAL_H

#include <omp.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

struct rival {
	std::string settings;
	size_t k, n, d;
	int threads;
	std::vector<float> x;        // n x d
	std::vector<uint32_t> lists; // n x k, for the library to fill in; all ones

	/* The value of a setting. */
	int get(const char *name, int otherwise) const
	{
		for (size_t at = 0; at < settings.size();) {
			size_t end = settings.find_first_of(",;", at);
			std::string one = settings.substr(at, end - at);
			size_t equals = one.find('=');
			if (equals != std::string::npos && one.substr(0, equals) == name)
				return atoi(one.c_str() + equals + 1);
			at = end == std::string::npos ? end : end + 1;
		}
		return otherwise;
	}

	/* Row i from labels, nearest first, of which i itself may be one; those below 0 stand for nothing. */
	template <class label> void take(size_t i, const label *labels, size_t count)
	{
		size_t taken = 0;
		for (size_t t = 0; t < count && taken < k; t++)
			if (labels[t] >= 0 && (size_t)labels[t] != i)
				lists[i * k + taken++] = (uint32_t)labels[t];
	}
};

static inline void rival_read(rival &r, const char *path)
{
	FILE *file = fopen(path, "rb");
	unsigned char head[10];
	if (!file || fread(head, 1, 10, file) != 10)
		throw std::runtime_error(std::string(path) + ": cannot read");
	std::string text(head[8] + 256u * head[9], ' ');
	unsigned long long n, d;
	size_t read = fread(&text[0], 1, text.size(), file), shape = text.find("'shape': (");
	if (read != text.size() || text.find("<f4") == text.npos || shape == text.npos ||
	    sscanf(text.c_str() + shape, "'shape': (%llu, %llu)", &n, &d) != 2)
		throw std::runtime_error(std::string(path) + ": not a matrix of 32-bit floats");
	r.n = n, r.d = d;
	r.x.resize(r.n * r.d);
	read = fread(r.x.data(), sizeof(float), r.x.size(), file);
	fclose(file);
	if (read != r.x.size())
		throw std::runtime_error(std::string(path) + ": too short");
}

static inline void rival_write(const rival &r, const char *path)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(r.lists.data(), sizeof(uint32_t), r.lists.size(), file) != r.lists.size() || fclose(file))
		throw std::runtime_error(std::string(path) + ": cannot write");
}

static inline double rival_cpu(const struct rusage &used)
{
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* build(r) fills in r.lists. */
template <class F> int rival_main(int argc, char **argv, const char *version, F build)
{
	if (argc == 2 && !strcmp(argv[1], "version")) {
		printf("%s\n", version);
		return 0;
	}
	if (argc != 6) {
		fprintf(stderr, "%s: wrong usage; rival.h says what there is\n", argv[0]);
		return 2;
	}
	try {
		rival r;
		r.settings = argv[1], r.k = strtoul(argv[2], NULL, 10), r.threads = atoi(argv[3]);
		rival_read(r, argv[4]);
		r.lists.assign(r.n * r.k, UINT32_MAX);
		omp_set_num_threads(r.threads);
		struct rusage before, after;
		getrusage(RUSAGE_SELF, &before);
		auto start = std::chrono::steady_clock::now();
		build(r);
		std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
		getrusage(RUSAGE_SELF, &after);
		rival_write(r, argv[5]);
		printf("%.3f %.3f %ld\n", took.count(), rival_cpu(after) - rival_cpu(before),
		       (after.ru_maxrss + 1023) / 1024);
		return 0;
	} catch (const std::exception &failure) {
		fprintf(stderr, "%s: %s\n", argv[0], failure.what());
		return 1;
	}
}

#endif
