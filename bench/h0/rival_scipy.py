"""SciPy's minimum_spanning_tree on a network's samples, which gives the forest's weights only. Prints the seconds of CPU time
for each sample, of phi and of the forest:  rival_scipy.py NET.json SAMPLES"""
import sys
import types

sys.modules.setdefault("gudhi", types.ModuleType("gudhi"))  # rival_gudhi's graph needs none
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from rival_gudhi import cpu, graph

if __name__ == "__main__":
    a, b, _, phi_of = graph(sys.argv[1])
    size = int(max(a.max(), b.max())) + 1
    for i in range(int(sys.argv[2])):
        start = cpu()
        phi = phi_of(i)
        here = phi > 0
        middle = cpu()
        forest = minimum_spanning_tree(csr_matrix((-phi[here], (a[here], b[here])), (size, size)))
        print(f"{middle - start:.6f} {cpu() - middle:.6f} {forest.nnz} {-forest.data.sum():.17g}", flush=True)
