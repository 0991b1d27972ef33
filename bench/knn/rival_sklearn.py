"""scikit-learn's brute-force neighbours.

    python3 rival_sklearn.py K THREADS FILE.npy      prints seconds and peak resident MiB
    python3 rival_sklearn.py version

The array is in memory when time begins; k + 1 neighbours are asked for, since a sample is its own nearest."""
import os
import resource
import sys
import time

if len(sys.argv) > 2:
    os.environ["OMP_NUM_THREADS"] = sys.argv[2]  # read when the libraries are loaded
import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors

if sys.argv[1:] == ["version"]:
    print(sklearn.__version__)
else:
    x = np.load(sys.argv[3])
    x = x.reshape(len(x), -1)
    start = time.monotonic()
    NearestNeighbors(n_neighbors=int(sys.argv[1]) + 1, algorithm="brute").fit(x).kneighbors(x)
    print("%.3f %d" % (time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
