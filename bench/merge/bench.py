"""Every claim about kith-merge's speed and memory, and about what graphs take on disk, measured, with the bar it is held
against.

    python3 bench/merge/bench.py [OPTION]... WORK...

  all       the works below, in this order
  paper     LeNet-5's twelve layers, ladder 15,100, all there is to ask for (--alpha all --graph both): seconds
  ladder    the same layers, ladder 15,100,6000,12000: time against decoding the same records and throwing the ids away
  million   n=1,000,000, 24 layers, k=15: time against decoding, and inside a memory cgroup of 256 MB (needs root)
  rivals    n=100,000, 24 layers, k=15: CRoaring's time for NNTS (libroaring-dev), and SciPy's for NNTS and NNTP
            (python3-scipy), by kith's for both. What they compute is compared with kith's result
  null      LeNet-5's twelve layers, --null 200: time against the same merge without it (ladder 15,100), and NumPy's time for the
            same relabellings, scaled from two (k=15; python3-numpy)
  growth    16, 32, 64, 128 and 256 layers, n=20,000, k=15: the exponent of time
  bits      LeNet-5's graphs, ladders 15 and 15,100,6000,12000: stored bits per directed edge, which is rows and reverse
            lists and all that the file takes besides, but near lists (distances), which are counted apart; and the least
            that random sets take, log2 C(n-1, k) / k
  summary   on request only: the table from what the results have

kith's seconds are those of the program kith-merge, from its start to its end: opening, reading, decoding and checking the
graphs, NNTS and NNTP, the result synced to disk; -k, --alpha and --graph as by default but for paper. Its MiB count the
graph files that it maps, save in the cgroup, whose own count is reported. A rival's seconds begin when its data
structures are made, and end with the numbers. Files are in the page cache. The waiting policy of OpenMP is passive.
Synthetic graphs: make_stack.c says how they are made. With -l, which is a trial, the stack is these layers. Needs
libroaring-dev, python3-numpy and python3-scipy for rivals; and python3-numpy for -r."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import (BUILD, LENET, PYTHON, Bench, Claim, Program, alone, attempt, confined, exponent, output,
                    read_into_page_cache, seconds, slowdown, speedup, versus)

BENCH_MERGE = BUILD / "bench/bench_merge"
ROARING = BUILD / "bench/rival_roaring"
SCIPY = Path(__file__).with_name("rival_scipy.py")
NUMPY_NULL = Path(__file__).with_name("rival_null.py")
RELABELLINGS = 200
LIMIT = 256 * 10**6  # bytes of the memory cgroup
OPTION = f"-m {(LIMIT >> 20) - 32}M"  # 32 MiB are for what a program takes besides its data
CUT = "import sys, numpy; numpy.save(sys.argv[3], numpy.load(sys.argv[1], mmap_mode='r')[:int(sys.argv[2])])"


class Stack:
    """Graphs of one n and ladder. Subclasses set folder, names, n, ladder and data, and make what is not there."""

    def columns(self, _):
        return {"data": self.data, "n": self.n, "layers": len(self.names), "k": self.ladder.replace(",", "-")}

    def prepare(self, bench):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.paths = [self.folder / (name + ".nng") for name in self.names]
        self.make(bench)
        for path in self.paths:
            read_into_page_cache(path)


class Lenet(Stack):
    def __init__(self, bench, ladder, layers):
        self.folder = bench.graphs / (f"first{bench.rows}" if bench.rows else "") / ladder
        self.names, self.n, self.ladder, self.data = layers, bench.rows or 60000, ladder, bench.data

    def make(self, bench):
        for name, path in zip(self.names, self.paths):
            if not path.exists():
                self.make_graph(bench, bench.activation_file(name), path)
            shape = output(BENCH_MERGE, "shape", path)
            if shape != f"{self.n} {self.ladder}":
                sys.exit(f"{path}: n and ladder are {shape}, not {self.n} {self.ladder}")

    def make_graph(self, bench, activations, path):
        if bench.rows:
            whole, activations = activations, bench.scratch / "rows.npy"
            output(PYTHON, "-c", CUT, whole, bench.rows, activations)
        output(BUILD / "kith-knn", "-q", "-k", self.ladder, "-t", bench.threads, "-o", path, activations)


class Synthetic(Stack):
    """The first layers of a stack, k=15."""
    ladder, data = "15", "synthetic"

    def __init__(self, bench, n, layers, made=None):
        self.n, self.made = bench.rows or n, made or layers
        self.folder = bench.graphs / f"synthetic/n{self.n}.k15.layers{self.made}"
        self.names = [f"{layer:03}" for layer in range(layers)]

    def make(self, _):
        if not (self.folder / f"{self.made - 1:03}.nng").exists():
            output(BUILD / "bench/make_stack", self.n, self.ladder, self.made, 1, self.folder)


def kith(options=""):
    def program(bench, stack):
        merge = [BUILD / "kith-merge", "-q", "-t", bench.threads, *options.split(), "-o", bench.stack_json, *stack.paths]
        return Program("kith", [BENCH_MERGE, "run", *merge])
    return program


def decoding(bench, stack):
    return Program("decoding", [BENCH_MERGE, "decode", bench.threads, *stack.paths], ("stored_gb", "decoded_gb"))


def roaring(bench, stack):
    attempt("cmake", "--build", BUILD, "--target", "rival_roaring")
    label = "CRoaring " + output(ROARING, "version")
    return Program(label, [ROARING, bench.threads, bench.stack_json, *stack.paths])


def rows_of(bench, stack):
    rows = [bench.scratch / (name + ".rows.npy") for name in stack.names]
    for graph, path in zip(stack.paths, rows):
        output(BENCH_MERGE, "rows", graph, path)
    return rows


def scipy(bench, stack):
    label = "SciPy " + attempt(PYTHON, SCIPY, "version")
    return Program(label, [PYTHON, SCIPY, bench.stack_json, *rows_of(bench, stack)])


def plain(bench, stack):
    return Program("without --null", kith()(bench, stack).command)


def numpy_null(bench, stack):
    label = "NumPy " + attempt(PYTHON, NUMPY_NULL, "version")
    return Program(label, [PYTHON, NUMPY_NULL, bench.stack_json, RELABELLINGS, *rows_of(bench, stack)])


def bits(_, inputs):
    file, rows, reverse, near, least = output(BENCH_MERGE, "bits", inputs[0].paths[0]).split()
    return [{"figure": file, "note": f"rows {rows} + reverse {reverse}; distances {near} apart; random sets {least}"}]


class Merge(Bench):
    NAME = "merge"
    TARGETS = ["kith-knn", "kith-merge", "bench_merge", "make_stack"]
    COLUMNS = ("date,commit,machine,threads,data,runs,work,case,n,layers,k,stored_gb,decoded_gb,kith_s,kith_mib,"
               "against,against_s,figure,bar,note")
    LAYERS_ARE_TRIAL = True
    TABLE = ("work<7 case<8 n>7 layers>6 k>17 stored_rate>6 decoded_rate>7 kith_s>8 kith_mib>5 against<16 against_s>8 "
             "figure>10 bar>10 verdict<11 note< commit<")

    def __init__(self, doc):
        super().__init__(doc)
        self.option("-g", "graphs", """\
where graphs are kept, and taken from if there: LeNet-5's as GRAPHS/LADDER/LAYER.nng, such as GRAPHS/15,100/C0.nng, synthetic
ones below GRAPHS/synthetic (build-bench/graphs). Take an empty folder to measure what today's kith-knn stores. Those to
k=12000 take a minute and 0.7 gigabytes each""", Path, BUILD / "graphs")

    def claims(self):
        full = self.rows or 60000
        long = f"15,100,{full // 10},{full // 5}"

        def lenet(ladder, layers=self.layers or LENET):
            return [Lenet(self, ladder, layers)]

        def synthetic(n):
            return [Synthetic(self, n, 24)]

        tested = kith(f"--null {RELABELLINGS}")
        both = "NNTS and NNTP; SciPy on one thread"
        growing = [Synthetic(self, 20000, layers, 256) for layers in (16, 32, 64, 128, 256)]
        group = confined(kith(OPTION), lambda stack: LIMIT, "cgroup of 256 MB", peak_of_group=True)
        return [  # work, case, input, what is measured, bar, note
            Claim("paper", "LeNet-5", lenet("15,100"), versus(kith("--alpha all --graph both"), decoding, seconds), "<= 5"),
            Claim("ladder", "LeNet-5", lenet(long), versus(kith(), decoding, slowdown), "<= 1.4"),
            Claim("million", "time", synthetic(1000000), versus(kith(OPTION), decoding, slowdown), "<= 2", OPTION),
            Claim("million", "cgroup", synthetic(1000000), group, "not killed", OPTION),
            Claim("rivals", "CRoaring", synthetic(100000), versus(kith(), roaring, speedup), ">= 10", "NNTS alone"),
            Claim("rivals", "SciPy", synthetic(100000), versus(kith(), scipy, speedup), ">= 50", both),
            Claim("null", "time", lenet("15,100"), versus(tested, plain, slowdown), "<= 60", "k=15 and 100"),
            Claim("null", "NumPy", lenet("15"), versus(tested, numpy_null, speedup), ">= 50", "NumPy on one thread"),
            Claim("growth", "time", growing, alone(kith())),
            Claim("growth", "exponent", None, exponent("time", "layers", 5), "<= 1.3"),
            *[Claim("bits", name, lenet("15", [name]), bits, "<= 30") for name in LENET],
            *[Claim("bits", name, lenet(long, [name]), bits, "<= 10") for name in LENET],
        ]

    def about(self, line):
        return f"""\
# kith-merge, measured

{line["machine"]}, threads: {line["threads"]} ({line["date"]}). Made by bench/merge/bench.py, which says what is measured.
Seconds are medians. A figure is seconds (paper), the median ratio of times, kith by decoding
(ladder, million, null) or the rival by kith (rivals, null), the exponent of time (growth), bits per directed
edge (bits). GB/s are of records read as stored, and as decoded, in the time of kith-merge. MiB is
the peak resident size, mapped graph files included (cgroup: the peak of what the kernel counted)."""

    def derive(self, line):
        """GB/s of kith-merge."""
        sizes = [name for name in ("stored", "decoded") if line.get(name + "_gb")]
        return {name + "_rate": f"{float(line[name + '_gb']) / float(line['kith_s']):.2f}" for name in sizes}

    @property
    def stack_json(self):
        return self.scratch / "stack.json"


if __name__ == "__main__":
    Merge(__doc__).main()
