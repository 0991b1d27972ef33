/* rival_kgraph.cc - the KGraph of a finalist of the SIGMOD 2023 programming contest, without kith (rival.h):
 * K=15,L=30,S=10,R=100,iter=6. KGRAPH_ROOT is its source folder, adapted to this machine's vectors, for its file of 100
 * neighbours is not what is wanted here: the graph is taken from the constructor's pools. */
#include "kgraph.cpp"

#include "rival.h"

static void build(rival &r)
{
	std::cout.setstate(std::ios::failbit); // it talks
	kgraph::Matrix<float> data((unsigned)r.n, (unsigned)r.d);
	for (size_t i = 0; i < r.n; i++)
		memcpy(data[(unsigned)i], &r.x[i * r.d], r.d * sizeof(float));
	kgraph::MatrixOracle<float, kgraph::metric::l2sqr> oracle(data);
	kgraph::KGraph::IndexParams wanted;
	wanted.K = (unsigned)r.get("K", (int)r.k);
	wanted.L = (unsigned)r.get("L", 2 * (int)r.k);
	wanted.S = (unsigned)r.get("S", 10);
	wanted.R = (unsigned)r.get("R", 100);
	wanted.iterations = (unsigned)r.get("iter", 6);
	kgraph::verbosity = 0;
	kgraph::KGraphConstructor made(oracle, wanted, nullptr);
	for (size_t i = 0; i < r.n; i++) {
		std::vector<int64_t> labels;
		for (unsigned t = 0; t < made.nhoods[i].L; t++)
			labels.push_back(made.nhoods[i].pool[t].id);
		r.take(i, labels.data(), labels.size());
	}
}

int main(int argc, char **argv)
{
	return rival_main(argc, argv, "KGraph (SIGMOD 2023)", build);
}
