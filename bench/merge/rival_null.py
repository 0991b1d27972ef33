"""The null distribution of NNTS of all pairs of layers by relabelling, with NumPy.

    python3 rival_null.py STACK.json RELABELLINGS ROWS.npy...

prints the seconds that so many relabellings take and the peak resident MiB; of these it makes two, and their time is scaled.
Fails if a number is not as it should be: NNTS of the rows as they are is that of kith-merge's STACK.json (to 1e-12), and
relabelled, the mean of both has to be within ten of the null distribution's standard deviations of its mean. ROWS.npy are the
layers' rows (n x k indices, ascending).

What two rows share are equal neighbours in both of them, sorted together: the fastest of what NumPy offers, where bits of all
samples would take n^2 / 8 bytes for a layer. NumPy sorts by one thread.
"""
import json
import resource
import sys
import time

import numpy as np

MADE = 2


def nnts(layers):
    """mean IoU of every two layers' rows"""
    k = layers[0].shape[1]
    mean = np.eye(len(layers))
    for a in range(len(layers)):
        for b in range(a + 1, len(layers)):
            both = np.sort(np.concatenate([layers[a], layers[b]], axis=1), axis=1)
            common = np.count_nonzero(both[:, 1:] == both[:, :-1], axis=1)
            mean[a, b] = mean[b, a] = np.mean(common / (2 * k - common))
    return mean


def relabelled(layer, random):
    """node s(i) has the neighbours s(K_i)"""
    s = random.permutation(len(layer)).astype(layer.dtype)
    out = np.empty_like(layer)
    out[s] = s[layer]
    return out


def main():
    if sys.argv[1:] == ["version"]:
        print(np.__version__)
        return
    stack = json.load(open(sys.argv[1]))
    relabellings = int(sys.argv[2])
    layers = [np.load(path) for path in sys.argv[3:]]
    theirs = next(t for t in stack["nnts"] if t["k"] == layers[0].shape[1])
    if not np.abs(nnts(layers) - theirs["mean"]).max() <= 1e-12:
        sys.exit("rival_null.py: NNTS differs from kith's")
    random = np.random.default_rng(1)
    start = time.monotonic()
    values = [nnts([layers[0], *[relabelled(layer, random) for layer in layers[1:]]]) for _ in range(MADE)]
    seconds = (time.monotonic() - start) * relabellings / MADE
    mean, deviation = (np.array(theirs[name], float) for name in ("null_mean", "null_sd"))
    if np.nanmax(np.abs(np.mean(values, axis=0) - mean) / deviation) > 10:
        sys.exit("rival_null.py: the null distribution is another than kith's")
    print("%.3f %d" % (seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


main()
