"""PyNNDescent without kith.

    /usr/bin/python3 rival_pynndescent.py SETTINGS K THREADS FILE.npy LISTS
    /usr/bin/python3 rival_pynndescent.py version

SETTINGS are NNDescent's: n_neighbors=20,n_trees=8,n_iters=5,max_candidates=20; n_neighbors counts the query itself. A first
graph of few rows has the code compiled; that is not counted."""
import os
import resource
import sys
import time

if len(sys.argv) > 3:
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = sys.argv[3]  # read when the libraries are loaded
import numpy as np
import pynndescent


def used():
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


def without_self(ids, k):
    """Each row's first k that are not the row itself."""
    others = ids != np.arange(len(ids))[:, None]
    order = np.argsort(~others, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, 1)


if sys.argv[1:] == ["version"]:
    print("PyNNDescent", pynndescent.__version__)
else:
    settings, k, threads, path, lists = sys.argv[1:]
    options = {name: int(value) for name, value in (one.split("=") for one in settings.split(",") if one)}
    options = {"n_neighbors": int(k) + 1, "n_jobs": int(threads), "random_state": 1, **options}
    x = np.load(path)
    pynndescent.NNDescent(x[:5000], **options)
    start, start_cpu = time.monotonic(), used()
    ids, _ = pynndescent.NNDescent(x, **options).neighbor_graph
    seconds, cpu = time.monotonic() - start, used() - start_cpu
    without_self(ids, int(k)).astype(np.uint32).tofile(lists)
    print("%.3f %.3f %d" % (seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
