#!/usr/bin/env python3
"""What recall does to NNTS and NNTP: exact graphs, degraded as if a search had missed neighbours, and merged again.

    python3 bench/approx/degrade.py [-n 4000] [--recall 0.95,0.98,0.99,0.995] [--seeds 3] LAYER.npy...

Layers in causal order; the first N samples of each are used. Needs a build with tests (KITH_BIN, default build/). Prints
a table: by how much each result is off from that of the exact graphs, mean over the seeds.
"""
import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

K = 15
BIN = os.path.abspath(os.environ.get("KITH_BIN", "build"))
WAYS = [("at random", []), ("mostly the farthest", ["-f"]), ("at random, then candidates of the layers beside", None)]


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def cut(source, target, rows):
    """Copies the first rows of a .npy file."""
    with open(source, "rb") as f:
        magic = f.read(8)
        size = struct.unpack("<H", f.read(2))[0] if magic[6] == 1 else struct.unpack("<I", f.read(4))[0]
        header = f.read(size).decode("latin1")
        shape = [int(x) for x in re.search(r"'shape': \(([^)]*)\)", header).group(1).replace(" ", "").split(",") if x]
        width = int(re.search(r"'descr': '[<|=]?[a-z](\d+)'", header).group(1))
        for d in shape[1:]:
            width *= d
        text = header.rstrip().replace("(" + str(shape[0]) + ",", "(" + str(rows) + ",", 1)
        text = text.ljust(117) + "\n"
        with open(target, "wb") as out:
            out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1"))
            out.write(f.read(width * rows))


def degrade(exact, way, recall, seed, folder):
    options = ["-k", K, "-r", recall, *(way or [])]
    out = [os.path.join(folder, "degraded-" + os.path.basename(e)) for e in exact]
    reached = [float(run(os.path.join(BIN, "tests/degrade"), *options, "-s", 1000 * seed + v, e, o))
               for v, (e, o) in enumerate(zip(exact, out))]
    if way is not None:
        return out, reached
    better = [os.path.join(folder, "better-" + os.path.basename(e)) for e in exact]
    for v, (e, b) in enumerate(zip(exact, better)):
        reached[v] = float(run(os.path.join(BIN, "tests/degrade"), "-k", K, e, b, *out[max(0, v - 1):v + 2]))
    return better, reached


def merge(graphs, names, folder):
    path = os.path.join(folder, "stack.json")
    layers = [n + "=" + g for n, g in zip(names, graphs)]
    subprocess.run([os.path.join(BIN, "kith-merge"), "-q", "-k", str(K), "--graph", "both", "-o", path, *layers], check=True,
                   stderr=subprocess.DEVNULL)
    return json.load(open(path))


def pairs_of(matrix):
    return [row[b] for a, row in enumerate(matrix) for b in range(a + 1, len(row))]


def off(got, want):
    return (got - want) / want


def compare(stack, exact):
    """Relative errors of NNTS and NNTP; of the estimates, errors in standard errors, too."""
    got, want = stack["nnts"][0], exact["nnts"][0]
    raw = [off(g, w) for g, w in zip(pairs_of(got["mean"]), pairs_of(want["mean"]))]
    estimate = [off(g, w) for g, w in zip(pairs_of(got["estimate"]["mean"]), pairs_of(want["mean"]))]
    sigma = [(g - w) / e for g, w, e in zip(pairs_of(got["estimate"]["mean"]), pairs_of(want["mean"]),
                                            pairs_of(got["estimate"]["stderr"])) if e]
    nntp = {}
    for t, e in zip(stack["nntp"], exact["nntp"]):
        nntp[t["graph"] + " through"] = off(t["count"][0][-1], e["count"][0][-1])
        alone = [sum(m["count"][v][v] for v in range(1, len(m["count"]) - 1)) for m in (t, e)]
        nntp[t["graph"] + " one layer"] = off(*alone)
    return raw, estimate, sigma, nntp


def mean(values):
    return sum(values) / len(values)


def percent(x):
    return "%+.1f %%" % (100 * x)


def row(name, reached, results):
    raw = [mean(column) for column in zip(*(r[0] for r in results))]
    worst = max(raw, key=abs)
    estimate = mean([abs(x) for r in results for x in r[1]])
    sigma = [abs(s) for r in results for s in r[2]]
    nntp = [percent(mean([r[3][key] for r in results])) for key in ("union through", "union one layer", "mutual through")]
    within = 100 * mean([s <= 3 for s in sigma]) if sigma else 100
    return "| %.4f | %s | %s (%s) | %.1f %% | %.1f %% | %s |" % (mean(reached), name, percent(mean(raw)), percent(worst),
                                                          100 * estimate, within, " | ".join(nntp))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-n", type=int, default=4000)
    p.add_argument("--recall", default="0.95,0.98,0.99,0.995")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("layers", nargs="+")
    a = p.parse_args()
    names = [os.path.splitext(os.path.basename(f))[0] for f in a.layers]
    with tempfile.TemporaryDirectory() as folder:
        exact = []
        for name, source in zip(names, a.layers):
            npy, nng = os.path.join(folder, name + ".npy"), os.path.join(folder, name + ".nng")
            cut(source, npy, a.n)
            run(os.path.join(BIN, "kith-knn"), "-q", "-k", "%d,32" % K, "-o", nng, npy)
            exact.append(nng)
        truth = merge(exact, names, folder)
        print("| recall | misses | NNTS, mean (worst) | estimate, mean size of error | within 3 standard errors |"
              " NNTP union %s to %s | union, one layer only | mutual %s to %s |" % ((names[0], names[-1]) * 2))
        print("|---|---|---|---|---|---|---|---|")
        for recall in a.recall.split(","):
            for name, way in WAYS:
                results, reached = [], []
                for seed in range(1, a.seeds + 1):
                    graphs, r = degrade(exact, way, recall, seed, folder)
                    reached += r
                    results.append(compare(merge(graphs, names, folder), truth))
                print(row(name, reached, results))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
