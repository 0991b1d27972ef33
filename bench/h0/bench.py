"""Every claim about kith-h0, and about kith-knn on its files, measured, with the bar it is held against.

    python3 bench/h0/bench.py [OPTION]... WORK...

  all       the works below, in this order, in about a quarter of an hour
  forest    forests, classes and the file, against GUDHI, SciPy, and a radix sort of all edges with Kruskal's algorithm in C: CPU
            time of one thread
  threads   ccff, two threads: time against one's
  memory    lenet5 with -m at an eighth of the activations: time against all in memory; whether both files are the same, but for the
            command line; and inside a memory cgroup of that and the program's size, from disk (needs root)
  disk      ccff: bits of the file for each edge of a forest, with values and without
  alexnet   CPU seconds of one thread for each sample, of eight
  jaccard   the 15 nearest of 10,000 ccff samples against SciPy: CPU time of one thread
  summary   on request only: the table from what the results have

Networks are make_data.py's: ccff (trained; 456,676 edges between 4,230 units), lenet5 (422,824 edge ids), alexnet (1.05e9 edges, random
weights). kith's seconds are those of the whole program: weights read and sorted, activations read, the file written. A
rival's are its median over some samples, without reading and what can be done once, times the samples: GUDHI 5, SciPy
5, the sort 20; of jaccard the first 512 rows against all columns, times n / 512. Needs dataset-fashion-mnist, python3-gudhi and
python3-scipy, all of /usr/bin/python3."""
import os
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import (BUILD, PYTHON, Bench, Claim, Program, attempt, confined, in_turn, output, seconds, slowdown, speedup, versus)

HERE = Path(__file__).resolve().parent
ROWS = 512  # of SciPy's products
PAGE = 4096


class Network:
    def __init__(self, bench, name, n):
        self.name, self.n = name, bench.rows or n
        self.folder = bench.folder / f"{name}-{self.n}"
        self.net = self.path = self.folder / "net.json"

    def columns(self, _):
        return {"data": self.name, "n": self.n}

    def prepare(self, bench):
        if not self.net.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            attempt(PYTHON, HERE / "make_data.py", self.name, self.folder, self.n)

    def bytes(self):
        return sum(path.stat().st_size for path in self.folder.glob("*.npy") if not path.name.startswith("w"))


class Generators(Network):
    """The network's .kh0, and some of its rows as text."""

    def prepare(self, bench):
        super().prepare(bench)
        self.kh0, self.rows = (self.folder / name for name in ("samples.kh0", "rows.svm"))
        output(BUILD / "kith-h0", "-q", "-o", self.kh0, self.net)
        with open(self.rows, "w") as file:
            file.write(output(BUILD / "kith-show", "--format", "svmlight", self.kh0) + "\n")


def kith(*options, clock="cpu", threads=1, name="out.kh0", label="kith"):
    def program(bench, network):
        out = bench.scratch / name
        more = [option(network) if callable(option) else option for option in options]
        return Program(label, [PYTHON, HERE / "measure.py", clock, BUILD / "kith-h0", "-q", "-t", threads, *more, "-o", out,
                               network.net])
    return program


def rival(label, columns, *command):
    """A rival that prints seconds for each of some samples; a sum of columns."""
    def measure(bench, inputs):
        network = inputs[0]
        ours = kith()(bench, network)
        pairs = []
        for _ in range(bench.runs):
            ((mine,),) = in_turn(1, ours)
            lines = attempt(*[network.net if part == "NET" else part for part in command]).splitlines()
            theirs = median(sum(float(line.split()[column]) for column in columns) for line in lines)
            pairs.append((mine, mine._replace(seconds=theirs * network.n)))
        a, b = zip(*pairs)
        return [{"kith_s": f"{seconds(a):.3f}", "kith_mib": max(one.mib for one in a), "against": label,
                 "against_s": f"{seconds(b):.3f}", "figure": f"{speedup(a, b):.3f}"}]
    return measure


def same_file(bench, inputs):
    """Pages in which the files of the last two runs differ: the command lines are of one length, and stand, with checksums, in the
    meta record's page and in the tail."""
    one, other = ((bench.scratch / name).read_bytes() for name in ("out.kh0", "all.kh0"))
    if len(one) != len(other):
        return [{"figure": "another size"}]
    pages = sum(one[at:at + PAGE] != other[at:at + PAGE] for at in range(0, len(one), PAGE))
    return [{"figure": "the same" if pages <= 2 else f"{pages} pages differ", "note": f"{len(one) // PAGE} pages"}]


def bits(*options):
    def measure(bench, inputs):
        output(*kith(*options)(bench, inputs[0]).command)
        file = bench.scratch / "out.kh0"
        text = output(BUILD / "kith-show", "--format", "svmlight", file)
        return [{"figure": f"{8 * file.stat().st_size / text.count(':'):.2f}"}]
    return measure


def each(bench, inputs):
    runs, = in_turn(bench.runs, kith()(bench, inputs[0]))
    return [{"kith_s": f"{seconds(runs):.3f}", "kith_mib": max(one.mib for one in runs),
             "figure": f"{seconds(runs) / inputs[0].n:.3f}"}]


def jaccard(bench, generators):
    out = bench.scratch / "h0.nng"
    return Program("kith", [PYTHON, HERE / "measure.py", "cpu", BUILD / "kith-knn", "-q", "-t", 1, "-k", 15, "--metric", "jaccard",
                            "-o", out, generators.kh0])


def scipy(bench, generators):
    attempt(PYTHON, "-c", "import scipy")
    return Program("SciPy", [PYTHON, HERE / "rival_jaccard.py", generators.rows, 15, ROWS])


def eighth(network):
    return f"-m{network.bytes() // 8 >> 20:05}M"


def group_limit(network):
    return (network.bytes() // 8 >> 20) + 8 << 20


class H0(Bench):
    NAME = "h0"
    TARGETS = ["kith-h0", "kith-knn", "kith-show", "rival_sort"]
    COLUMNS = "date,commit,machine,threads,data,runs,work,case,n,layers,k,kith_s,kith_mib,against,against_s,figure,bar,note"
    TABLE = "work<7 case<12 n>6 kith_s>8 kith_mib>5 against<18 against_s>8 figure>9 bar>8 verdict<11 note< commit<"

    def __init__(self, doc):
        super().__init__(doc)
        self.option("-f", "folder", "where networks are made, and stay: 1.5 GB (kith-bench-h0 in TMPDIR)", Path)

    def claims(self):
        self.folder = self.folder or Path(os.environ.get("TMPDIR", "/tmp")) / "kith-bench-h0"
        ccff, lenet = [Network(self, "ccff", 1000)], [Network(self, "lenet5", 1000)]
        many, large = [Network(self, "lenet5", 10000)], [Network(self, "alexnet", 8)]
        gudhi = rival("GUDHI", [1], PYTHON, HERE / "rival_gudhi.py", "NET", 5)
        trees = rival("SciPy", [0, 1], PYTHON, HERE / "rival_scipy.py", "NET", 5)
        sort = rival("all edges sorted", [0], BUILD / "bench/rival_sort", "NET", 20)
        limited, whole = kith(eighth, clock="wall"), kith("-m04000M", clock="wall", name="all.kh0", label="all in memory")
        return [
            Claim("forest", "GUDHI", ccff, gudhi, ">= 180"),
            Claim("forest", "SciPy", ccff, trees, ">= 33", "weights only"),
            Claim("forest", "sort", ccff, sort, ">= 10"),
            Claim("forest", "lenet5 sort", lenet, sort, ">= 5.5"),
            Claim("threads", "two", ccff, versus(kith(clock="wall", threads=2),
                                                 kith(clock="wall", label="one thread"), speedup), ">= 1.8"),
            Claim("memory", "eighth", many, versus(limited, whole, slowdown), "<= 1.1"),
            Claim("memory", "bytes", many, same_file, "the same"),
            Claim("memory", "cgroup", many, confined(limited, group_limit, cold=True), "not killed"),
            Claim("disk", "values", ccff, bits(), "<= 64"),
            Claim("disk", "--no-values", ccff, bits("--no-values"), "<= 12"),
            Claim("alexnet", "a sample", large, each, "<= 2.5"),
            Claim("jaccard", "k=15", [Generators(self, "ccff", 10000)], versus(jaccard, scipy, speedup), ">= 30"),
        ]

    def about(self, line):
        return f"""\
# kith-h0, measured

{line["machine"]} ({line["date"]}). Made by bench/h0/bench.py, which says what is measured.
Seconds are medians, of n samples; a figure is the rival's by kith's (forest, threads, jaccard), kith's by that with all in memory
(memory), bits of an edge (disk), or seconds of a sample (alexnet); MiB is the peak resident size."""


if __name__ == "__main__":
    H0(__doc__).main()
