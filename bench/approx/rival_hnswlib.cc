/* rival_hnswlib.cc - hnswlib without kith (rival.h): M=12,efc=60,ef=24. */
#include <hnswlib/hnswlib.h>

#include "rival.h"

static void build(rival &r)
{
	hnswlib::L2Space space(r.d);
	hnswlib::HierarchicalNSW<float> index(&space, r.n, (size_t)r.get("M", 12), (size_t)r.get("efc", 60));
	size_t many = r.k + 1; // the query itself is one
	index.addPoint(r.x.data(), 0);
#pragma omp parallel for schedule(dynamic, 64)
	for (size_t i = 1; i < r.n; i++)
		index.addPoint(&r.x[i * r.d], i);
	index.setEf(std::max((size_t)r.get("ef", 24), many));
#pragma omp parallel for schedule(dynamic, 64)
	for (size_t i = 0; i < r.n; i++) {
		auto found = index.searchKnn(&r.x[i * r.d], many); // the farthest on top
		std::vector<int64_t> labels(found.size());
		for (size_t t = found.size(); t-- > 0; found.pop())
			labels[t] = (int64_t)found.top().second;
		r.take(i, labels.data(), labels.size());
	}
}

int main(int argc, char **argv)
{
	return rival_main(argc, argv, "hnswlib", build);
}
