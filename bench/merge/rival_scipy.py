"""NNTS of all pairs of layers, and NNTP (alpha = 0, union), with SciPy's sparse matrices.

    python3 rival_scipy.py STACK.json ROWS.npy...

prints the seconds of both together and the peak resident MiB; fails if a number is not that of kith-merge's STACK.json of
the same graphs (NNTS to 1e-12, NNTP exactly). ROWS.npy are the layers' rows (n x k indices, ascending). Making one CSR
matrix per layer of them is not timed. SciPy's sparse products use one thread.

Of what SciPy offers, the fastest of what was tried: bytes rather than floats; an intersection's size from the row pointers
of the product rather than by a sum; masks added up layer by layer rather than sorted out of one long list.
"""
import json
import resource
import sys
import time

import numpy as np
import scipy
import scipy.sparse as sparse


def nnts(layers, k):
    """mean IoU of every two layers' rows: an elementwise product's row keeps what two rows share"""
    mean = np.eye(len(layers))
    for a in range(len(layers)):
        for b in range(a + 1, len(layers)):
            common = np.diff(layers[a].multiply(layers[b]).indptr)
            mean[a, b] = mean[b, a] = np.mean(common / (2 * k - common))
    return mean


def nntp(layers):
    """runs of layers that have a pair, by first and last: each pair's layers as bits of one number"""
    masks = 0
    for v, layer in enumerate(layers):
        pairs = sparse.triu(layer + layer.T, 1, format="csr")
        pairs.data = np.full(pairs.nnz, 1 << v, np.int64)
        masks = masks + pairs if v else pairs
    mask = masks.data
    first, last = mask & ~(mask << 1), mask & ~(mask >> 1)
    count = np.zeros((len(layers), len(layers)), np.int64)
    for a in range(len(layers)):
        going = last[(first >> a) & 1 == 1]  # those that start at a
        for b in range(a, len(layers)):
            ends = (going >> b) & 1 == 1
            count[a, b] = np.count_nonzero(ends)
            going = going[~ends]
    return count


def main():
    if sys.argv[1:] == ["version"]:
        print(scipy.__version__)
        return
    stack = json.load(open(sys.argv[1]))
    layers = []
    for path in sys.argv[2:]:
        rows = np.load(path)
        n, k = rows.shape
        layers.append(sparse.csr_matrix((np.ones(n * k, np.int8), rows.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n)))
        layers[-1].has_canonical_format  # found out once, here
    assert len(layers) < 63, "a pair's layers must fit a number"
    start = time.monotonic()
    mean = nnts(layers, k)
    count = nntp(layers)
    seconds = time.monotonic() - start
    theirs = next(m for m in stack["nnts"] if m["k"] == k)["mean"]
    if not np.abs(mean - theirs).max() <= 1e-12:
        sys.exit("rival_scipy.py: NNTS differs from kith's by %g" % np.abs(mean - theirs).max())
    theirs = next(m for m in stack["nntp"] if (m["k"], m["graph"], m["alpha"]) == (k, "union", 0))["count"]
    if not np.array_equal(count, theirs):
        sys.exit("rival_scipy.py: NNTP differs from kith's")
    print("%.3f %d" % (seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


main()
