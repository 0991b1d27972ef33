"""Every claim about kith-knn's speed and memory, measured, with the bar it is held against.

    python3 bench/knn/bench.py [OPTION]... WORK...

  all       the works below, in this order
  k15       FAISS' IndexFlatL2 against kith: LeNet-5's twelve layers, k=15; each one's ratio, and the total's
  k100      the same at k=100, the total
  k6000     the layers I, P1, M3 and O at k=6000
  gauss     isotropic Gaussian, d=784, k=15: no direction of greater variance that would rule pairs out
  memory    C0 with -m at 1/8 of the file: time against half of the machine's memory, and inside a memory cgroup of that
            size and 32 MiB (needs root), the file in the page cache of others, then read from disk
  short     -m at 1/2, 1/4, 1/8 and 1/16 of the file: P1, I, C2 and C0, and ordinary layers (bench_knn.c makes them) of
            n = 40,000, d = 64, 256 and 1,000; time against half of the machine's memory, and against that of smaller -m
  small     scikit-learn's brute NearestNeighbors against kith: 500 rows of d = 12,544, 1,000 and 2,000 of C0 (d = 4,704)
            and of I; k = 15 and 30
  six       six layers of d = 200 (layers.py makes them), k = 15: scikit-learn's search against kith-knn, n = 5,000; the same
            and all overlaps in NumPy, as DADApy has them, against kith-knn and kith-merge, n = 20,000
  threads   one thread against two: I and C1, k=15
  growth    time at a quarter, half and all of the rows, I and Gaussian, k=15: the exponent
  near      layers of many nearly identical, or equally far, samples against ordinary ones of the same n and d (bench_knn.c
            makes them): n = 20,000 and 60,000, d = 256 (one-hot: 1,000), k=15; half of the samples
            zeros, and copies of 95 samples: d = 128
  ties      --ties index against content: LeNet-5's twelve layers, k=15, the ratio of the total
  estimate  what --dry-run says of the time against the time taken: how many times too long or too short, layers of every
            kind, k = 15; with -m at 1/8 of the file, too
  sklearn   scikit-learn's brute NearestNeighbors (python3-sklearn) against kith: I, k=15
  check     on request only: how far kith's neighbour sets at k=15 equal FAISS' own, computed in floats
  summary   on request only: the table from what the results have

Every engine starts from an array in the page cache and ends with the neighbour lists; kith's time includes reading, the
graph's file and its fsync, the others' none of that. The waiting policy of OpenMP is passive for all, and kith and FAISS
are linked to one OpenBLAS. Needs libfaiss-dev and g++."""
import functools
import os
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import (BUILD, CORES, LENET, PYTHON, Bench, Claim, Program, Skip, alone, attempt, confined, exponent, output,
                    read_into_page_cache, shared, slowdown, speedup, total, versus)

BENCH_KNN = BUILD / "bench/bench_knn"
SKLEARN = Path(__file__).with_name("rival_sklearn.py")
SIX = Path(__file__).with_name("layers.py")
NEAR = "nearzero onerow blobs lengths collapsed far".split()
PARTS = {2: 1.5, 4: 1.8, 8: 2.5, 16: 4}  # of a file, which -m is; how many times longer it may take
HALF = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class Layer:
    """A layer's activations, or its first rows; "gauss" is made here. For graphs to k."""

    def __init__(self, name, k, rows=None):
        self.name, self.k, self.rows = name, k, rows

    def columns(self, bench):
        self.path = bench.gauss if self.name == "gauss" else bench.activation_file(self.name)
        n, d, self.bytes = self.shape()
        if self.rows and self.rows != n:
            whole, self.path = self.path, bench.scratch / ("rows.%d.npy" % self.rows)
            output(BENCH_KNN, "cut", self.rows, whole, self.path)
            n, d, self.bytes = self.shape()
        blas, faiss_version = output(BENCH_KNN, "versions").split(",")
        data = "-" if self.name == "gauss" else bench.data
        return {"blas": blas, "faiss": faiss_version, "data": data, "n": n, "d": d, "k": self.k}

    def shape(self):
        return map(int, output(BENCH_KNN, "shape", self.path).split())

    def prepare(self, _):
        read_into_page_cache(self.path)


class Made(Layer):
    """A layer of that kind (bench_knn.c), and one to compare it with."""

    def __init__(self, kind, n, d, k=15):
        super().__init__(kind, k, n)
        self.size, self.like = (n, d), "ordinary8" if kind == "blobs" else "ordinary"

    def columns(self, bench):
        self.path, self.other = (self.make(bench, kind) for kind in (self.name, self.like))
        n, d, self.bytes = self.shape()
        blas, faiss_version = output(BENCH_KNN, "versions").split(",")
        return {"blas": blas, "faiss": faiss_version, "data": "-", "n": n, "d": d, "k": self.k}

    def make(self, bench, kind):
        path = bench.scratch / f"near.{kind == self.name:d}.npy"
        output(BENCH_KNN, "layer", kind, *self.size, path)
        return path

    def prepare(self, _):
        read_into_page_cache(self.path)
        read_into_page_cache(self.other)


class Six(Layer):
    """Six layers of a random network."""

    def __init__(self, n, k=15):
        super().__init__("six", k, n)

    def columns(self, bench):
        folder = bench.scratch / f"six.{self.rows}"
        folder.mkdir(exist_ok=True)
        output(PYTHON, SIX, "make", self.rows, 200, folder)
        self.paths = sorted(folder.glob("*.npy"))
        return {"data": "-", "n": self.rows, "d": 200, "k": self.k}

    def prepare(self, _):
        for path in self.paths:
            read_into_page_cache(path)


def kith(label="kith", threads=None, memory=lambda layer: 0):
    """memory(layer) in bytes; 0: kith-knn's default."""
    def program(bench, layer):
        return Program(label, [BENCH_KNN, "kith", layer.k, threads or bench.threads, memory(layer), layer.path])
    return program


def foreseen(memory=lambda layer: 0):
    def program(bench, layer):
        return Program("--dry-run", [BENCH_KNN, "foresee", layer.k, bench.threads, memory(layer), layer.path])
    return program


def off(ours, theirs):
    return median(max(a.seconds / b.seconds, b.seconds / a.seconds) for a, b in zip(ours, theirs))


def faiss(bench, layer):
    return Program("FAISS", [BENCH_KNN, "faiss", layer.k, bench.threads, 0, layer.path])


def sklearn(bench, layer):
    label = "scikit-learn " + attempt(PYTHON, SKLEARN, "version")
    return Program(label, [PYTHON, SKLEARN, layer.k, bench.threads, layer.path])


def six_by_kith(overlaps):
    return lambda bench, six: Program("kith", [PYTHON, SIX, "kith", BUILD, six.k, bench.threads, overlaps, *six.paths])


def six_by_numpy(overlaps):
    def program(bench, six):
        label = "scikit-learn " + attempt(PYTHON, SIX, "version") + (" and NumPy" if overlaps else "")
        return Program(label, [PYTHON, SIX, "numpy", six.k, bench.threads, overlaps, *six.paths])
    return program


def more_is_no_slower(name):
    """Of a layer's times with less and less memory: the greatest by which one is longer than a later one."""
    def make(lines):
        lines = [line for line in lines if line["case"].startswith(name + " 1/")]
        lines.sort(key=lambda line: int(line["case"].split("/")[1]))
        times = [float(line["kith_s"]) for line in lines]
        if len(times) < len(PARTS):
            raise Skip(f"{name}: {len(times)} of {len(PARTS)} times")
        most = max(more / less for at, more in enumerate(times) for less in times[at + 1:])
        return {**shared(lines, "n", "k"), "figure": f"{most:.3f}"}
    return make


def ordinary(bench, layer):
    return Program("kith, " + layer.like, [BENCH_KNN, "kith", layer.k, bench.threads, 0, layer.other])


def by_index(bench, layer):
    return Program("kith --ties index", [BENCH_KNN, "index", layer.k, bench.threads, 0, layer.path])


def one_thread(bench, layer):
    if CORES < 2:
        raise Skip("needs two cores")
    return kith("kith on 1 thread", threads=1)(bench, layer)


def part_of(part):
    return lambda layer: layer.bytes // part


def eighth(layer):
    return layer.bytes // 8


def eighth_and_program(layer):
    return eighth(layer) + (32 << 20)


def check(bench, inputs):
    rows, ids = output(BENCH_KNN, "check", inputs[0].k, bench.threads, 0, inputs[0].path).split()
    print("%s: rows with FAISS' neighbour set: %s %%, neighbours in common: %s %%" % (inputs[0].name, rows, ids), flush=True)
    return []


class Knn(Bench):
    NAME = "knn"
    TARGETS = ["bench_knn", "kith-knn", "kith-merge"]
    COLUMNS = "date,commit,machine,threads,blas,faiss,data,runs,work,case,n,d,k,kith_s,kith_mib,against,against_s,figure,bar"
    ON_REQUEST = ["check"]
    TABLE = "work<7 case<14 n>6 k>5 kith_s>8 kith_mib>6 against<18 against_s>9 figure>10 bar>10 verdict<11 commit<"

    def claims(self):
        full = self.rows or 60000
        four = ["I", "P1", "M3", "O"]
        two = kith(threads=2)
        limited, unlimited = kith(memory=eighth), kith(f"-m {HALF >> 20}M", memory=lambda layer: HALF)

        def layer(name, k=15):
            return [Layer(name, k, self.rows)]

        def shortened():
            made = {f"d={d}": Made("ordinary", self.rows or 40000, d) for d in (64, 256, 1000)}
            return {**{name: Layer(name, 15, self.rows) for name in ("P1", "I", "C2", "C0")}, **made}

        def growing(name):
            return [Layer(name, 15, rows) for rows in (full // 4, full // 2, full)]

        def near(kind, d=256):
            sizes = [self.rows] if self.rows else [20000, 60000]
            return [Claim("near", kind, [Made(kind, n, d)], versus(kith(), ordinary, slowdown), "<= 3") for n in sizes]

        def estimate(case, layer, memory=lambda layer: 0):
            return Claim("estimate", case, [layer], versus(kith(memory=memory), foreseen(memory), off), "<= 2")

        return [  # work, case, input, what is measured, bar
            *[Claim("k15", name, layer(name), versus(kith(), faiss, speedup), ">= 8") for name in LENET],
            Claim("k15", "total of 12", None, total, ">= 25"),
            *[Claim("k100", name, layer(name, 100), versus(kith(), faiss, speedup)) for name in LENET],
            Claim("k100", "total of 12", None, total, ">= 12"),
            *[Claim("k6000", name, layer(name, full // 10), versus(kith(), faiss, speedup), ">= 4") for name in four],
            Claim("gauss", "gauss", layer("gauss"), versus(kith(), faiss, speedup), ">= 1.6"),
            Claim("memory", "C0", layer("C0"), versus(limited, unlimited, slowdown), "<= 1.5"),
            *[Claim("short", f"{name} 1/{part}", [made], versus(kith(memory=part_of(part)), unlimited, slowdown),
                    f"<= {bar}") for name, made in shortened().items() for part, bar in PARTS.items()],
            *[Claim("short", f"{name} more", None, more_is_no_slower(name), "<= 1.1") for name in shortened()],
            *[Claim("small", "wide", [Made("ordinary", 500, 12544, k)], versus(kith(), sklearn, speedup), ">= 1.3")
              for k in (15, 30)],
            *[Claim("small", f"{name} {rows} rows", [Layer(name, k, rows)], versus(kith(), sklearn, speedup), ">= 1.3")
              for name in ("C0", "I") for rows in (1000, 2000) for k in (15, 30)],
            Claim("six", "neighbours", [Six(self.rows or 5000)], versus(six_by_kith(0), six_by_numpy(0), speedup), ">= 2"),
            Claim("six", "and overlaps", [Six(self.rows or 20000)], versus(six_by_kith(1), six_by_numpy(1), speedup),
                  ">= 6"),
            Claim("memory", "C0 cgroup", layer("C0"), confined(limited, eighth_and_program), "not killed"),
            Claim("memory", "C0 cgroup disk", layer("C0"), confined(limited, eighth_and_program, cold=True), "not killed"),
            Claim("threads", "I", layer("I"), versus(two, one_thread, speedup), ">= 1.8"),
            Claim("threads", "C1", layer("C1"), versus(two, one_thread, speedup), ">= 1.8"),
            Claim("growth", "I", growing("I"), alone(kith())),
            Claim("growth", "gauss", growing("gauss"), alone(kith())),
            Claim("growth", "I exponent", None, exponent("I", "n", 3), "<= 2.0"),
            Claim("growth", "gauss exponent", None, exponent("gauss", "n", 3), "<= 2.0"),
            *[claim for kind in NEAR for claim in near(kind)],
            *near("onehot", 1000),
            *[Claim("near", kind, [Made(kind, full, 128)], versus(kith(), ordinary, slowdown), "<= 1.5")
              for kind in ("zeros", "copies")],
            *[Claim("ties", name, layer(name), versus(kith(), by_index, speedup)) for name in LENET],
            Claim("ties", "total of 12", None, total, ">= 0.952"),
            *[estimate(name, Layer(name, 15, self.rows)) for name in LENET + ["gauss"]],
            *[estimate(f"{name} 1/8", Layer(name, 15, self.rows), eighth) for name in ("P1", "I", "C2")],
            *[estimate(kind, Made(kind, n, d)) for n in ([self.rows] if self.rows else [5000, 20000, 60000])
              for kind, d in [("ordinary", 64), ("ordinary", 1000), *[(kind, 256) for kind in NEAR], ("onehot", 1000)]],
            Claim("sklearn", "I", layer("I"), versus(kith(), sklearn, speedup)),
            *[Claim("check", name, layer(name), check) for name in LENET],
        ]

    @functools.cached_property
    def gauss(self):
        path = self.scratch / "gauss.npy"
        output(BENCH_KNN, "gauss", self.rows or 60000, 784, path)
        return path

    def about(self, line):
        libraries = f'{line["blas"]}, FAISS {line["faiss"]}, ' if line["blas"] else ""
        return f"""\
# kith-knn, measured

{line["machine"]}, threads: {line["threads"]} ({libraries}{line["date"]}). Made by bench/knn/bench.py.
Seconds are medians; a figure is the median ratio of times, the other engine by kith
(memory: limited by unlimited); MiB is the peak resident size."""


if __name__ == "__main__":
    Knn(__doc__).main()
