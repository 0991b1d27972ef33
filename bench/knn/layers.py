"""Six layers, and how alike each two are, by kith's programs and by the usual Python.

    python3 layers.py make N D FOLDER                          writes FOLDER/0.npy .. 5.npy
    python3 layers.py kith BUILD K THREADS OVERLAPS FILE...    kith-knn for each file; OVERLAPS 1: and kith-merge
    python3 layers.py numpy K THREADS OVERLAPS FILE...         scikit-learn's brute NearestNeighbors; OVERLAPS 1: and for
                                                               each two files the mean part of neighbours in common, row
                                                               by row, as DADApy's data overlap goes about it
    python3 layers.py version                                  scikit-learn's

Prints seconds and peak resident MiB. NumPy's seconds begin with the arrays in memory, kith's with its first program."""
import os
import resource
import subprocess
import sys
import tempfile
import time

if sys.argv[1:2] == ["numpy"]:
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[3]  # read when they are loaded

LAYERS = 6


def make(n, d, folder):
    """What six random layers with ReLU make of 20 clusters in 24 dimensions."""
    import numpy as np
    rng = np.random.default_rng(1)
    x = 3 * rng.normal(size=(20, 24))[rng.integers(0, 20, n)] + rng.normal(size=(n, 24))
    for layer in range(LAYERS):
        x = np.maximum(x @ rng.normal(0, (2 / x.shape[1]) ** 0.5, (x.shape[1], d)) + 0.1 * rng.normal(size=(n, d)), 0)
        np.save(f"{folder}/{layer}.npy", x.astype(np.float32))


def by_kith(build, k, threads, overlaps, paths):
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        graphs = [f"{folder}/{layer}.nng" for layer in range(len(paths))]
        for path, graph in zip(paths, graphs):
            subprocess.run([f"{build}/kith-knn", "-q", "-k", k, "-t", threads, "-o", graph, path], check=True)
        if overlaps:
            subprocess.run([f"{build}/kith-merge", "-q", "-t", threads, "-o", f"{folder}/stack.json", *graphs], check=True)
        return time.monotonic() - start


def by_numpy(k, overlaps, paths):
    import numpy as np
    from sklearn.neighbors import NearestNeighbors
    layers = [np.load(path) for path in paths]
    start = time.monotonic()
    found = [NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(x).kneighbors(x)[1][:, 1:] for x in layers]
    for a in range(len(found) if overlaps else 0):
        for b in range(a + 1, len(found)):
            np.mean([len(np.intersect1d(one, other, True)) / k for one, other in zip(found[a], found[b])])
    return time.monotonic() - start


def main(verb, *rest):
    who = resource.RUSAGE_SELF
    if verb == "version":
        import sklearn
        return print(sklearn.__version__)
    if verb == "make":
        return make(int(rest[0]), int(rest[1]), rest[2])
    if verb == "kith":
        seconds, who = by_kith(*rest[:3], int(rest[3]), rest[4:]), resource.RUSAGE_CHILDREN
    else:
        seconds = by_numpy(int(rest[0]), int(rest[2]), rest[3:])
    print("%.3f %d" % (seconds, resource.getrusage(who).ru_maxrss // 1024))


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("make", "kith", "numpy", "version"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
