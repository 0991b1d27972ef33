/* rival_faiss.cc - FAISS without kith (rival.h): a factory string, then parameters, as in
 *   IVF1024,Flat;nprobe=12                 HNSW16;efConstruction=40,efSearch=24
 *   NSG16;GK=32,L=40,iter=8,search_L=32    NNDescent20;L=40,iter=8,S=10,R=100   (the graph itself, without a search) */
#include <faiss/AutoTune.h>
#include <faiss/index_factory.h>
#include <faiss/IndexNNDescent.h>
#include <faiss/IndexNSG.h>

#include <memory>

#include "rival.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

static void search(rival &r, const faiss::Index &index)
{
	size_t many = r.k + 1; // the query itself is one
	std::vector<float> distances(r.n * many);
	std::vector<faiss::Index::idx_t> labels(r.n * many);
	index.search((faiss::Index::idx_t)r.n, r.x.data(), (faiss::Index::idx_t)many, distances.data(), labels.data());
	for (size_t i = 0; i < r.n; i++)
		r.take(i, &labels[i * many], many);
}

static void descend(rival &r, int neighbours)
{
	faiss::IndexNNDescentFlat index((int)r.d, neighbours);
	index.nndescent.L = r.get("L", neighbours + 20);
	index.nndescent.iter = r.get("iter", 10);
	index.nndescent.S = r.get("S", 10);
	index.nndescent.R = r.get("R", 100);
	index.add((faiss::Index::idx_t)r.n, r.x.data());
	for (size_t i = 0; i < r.n; i++)
		r.take(i, &index.nndescent.final_graph[i * (size_t)neighbours], (size_t)neighbours);
}

static void spread(rival &r, int degree)
{
	faiss::IndexNSGFlat index((int)r.d, degree);
	index.build_type = 1;
	index.GK = r.get("GK", 64);
	index.nndescent_S = r.get("S", 10);
	index.nndescent_R = r.get("R", 100);
	index.nndescent_L = r.get("L", index.GK + 50);
	index.nndescent_iter = r.get("iter", 10);
	index.nsg.search_L = r.get("search_L", 16);
	index.add((faiss::Index::idx_t)r.n, r.x.data());
	search(r, index);
}

static void by_factory(rival &r, const std::string &factory, const std::string &parameters)
{
	std::unique_ptr<faiss::Index> index(faiss::index_factory((int)r.d, factory.c_str()));
	if (!parameters.empty())
		faiss::ParameterSpace().set_index_parameters(index.get(), parameters.c_str());
	index->train((faiss::Index::idx_t)r.n, r.x.data());
	index->add((faiss::Index::idx_t)r.n, r.x.data());
	search(r, *index);
}

static void build(rival &r)
{
	size_t end = r.settings.find(';');
	std::string factory = r.settings.substr(0, end);
	if (factory.rfind("NNDescent", 0) == 0)
		descend(r, atoi(factory.c_str() + strlen("NNDescent")));
	else if (factory.rfind("NSG", 0) == 0)
		spread(r, atoi(factory.c_str() + strlen("NSG")));
	else
		by_factory(r, factory, end == std::string::npos ? "" : r.settings.substr(end + 1));
}

int main(int argc, char **argv)
{
	return rival_main(
		argc, argv,
		"FAISS " TEXT(FAISS_VERSION_MAJOR) "." TEXT(FAISS_VERSION_MINOR) "." TEXT(FAISS_VERSION_PATCH), build);
}
