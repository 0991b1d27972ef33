"""Every claim about the Python package's speed, measured, with the bar it is held against.

    python3 bench/python/bench.py [OPTION]... WORK...

  all       the works below, in this order
  ids       all ids of a graph, n=60,000, ladder 100, into NumPy: kith's time, and GB/s of ids decoded; that of kith-show and
            numpy.loadtxt, and that of python3-lmdb, python3-zstandard and NumPy by hand, by kith's
  record    kith.record of LeNet-5's twelve operations, n=60,000, by the time of the model's forward pass alone
  summary   on request only: the table from what the results have

ids: LeNet-5's graph of -l (C1), made by kith-knn; seconds are from opening the file to the array, without the start of
Python. Files are in the page cache. record: synced to disk, on the file system of TMPDIR. Needs python3-numpy, python3-lmdb,
python3-zstandard, python3-torch and dataset-fashion-mnist, all of /usr/bin/python3."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import BUILD, PYTHON, Bench, Claim, Program, attempt, output, read_into_page_cache, seconds, slowdown, speedup, versus

READ = Path(__file__).with_name("read_ids.py")
RECORD = Path(__file__).with_name("record_lenet5.py")
CUT = "import sys, numpy; numpy.save(sys.argv[3], numpy.load(sys.argv[1], mmap_mode='r')[:int(sys.argv[2])])"


class Graph:
    def __init__(self, bench):
        self.layer, self.n = bench.layers[0] if bench.layers else "C1", bench.rows or 60000

    def columns(self, _):
        return {"data": self.layer, "n": self.n, "layers": 1, "k": 100}

    def prepare(self, bench):
        self.path = bench.scratch / f"{self.layer}.nng"
        if not self.path.exists():
            activations = bench.activation_file(self.layer)
            if bench.rows:
                output(PYTHON, "-c", CUT, activations, bench.rows, bench.scratch / "rows.npy")
                activations = bench.scratch / "rows.npy"
            output(BUILD / "kith-knn", "-q", "-k", 100, "-t", bench.threads, "-o", self.path, activations)
        read_into_page_cache(self.path)


class Images:
    def __init__(self, bench):
        self.n = bench.rows or 60000

    def columns(self, _):
        return {"data": "fashion-mnist", "n": self.n, "layers": 12}

    def prepare(self, _):
        pass


def ids(way, label=None):
    def program(bench, graph):
        if way == "lmdb":
            attempt(PYTHON, READ, "check", graph.path)
        return Program(label or way, [PYTHON, READ, way, graph.path], ("decoded_gb",))
    return program


def lenet5(way):
    def program(bench, images):
        return Program(way, [PYTHON, RECORD, way, bench.threads, images.n, bench.scratch / "activations"])
    return program


def rate(bench, inputs):
    (line,) = versus(ids("kith"), ids("tiers", "tier by tier"), seconds)(bench, inputs)
    return [{**line, "figure": f"{float(line['decoded_gb']) / float(line['kith_s']):.3f}"}]


class Python(Bench):
    NAME = "python"
    TARGETS = ["kith", "kith-knn", "kith-show"]
    COLUMNS = ("date,commit,machine,threads,data,runs,work,case,n,layers,k,decoded_gb,kith_s,kith_mib,against,against_s,figure,"
               "bar,note")
    TABLE = ("work<7 case<12 n>6 k>4 kith_s>8 kith_mib>5 against<22 against_s>8 figure>8 bar>7 verdict<11 note< commit<")

    def claims(self):
        graph, images = [Graph(self)], [Images(self)]
        return [
            Claim("ids", "GB/s", graph, rate, ">= 1", "in rank order"),
            Claim("ids", "text", graph, versus(ids("kith"), ids("show", "kith-show, loadtxt"), speedup), ">= 50"),
            Claim("ids", "by hand", graph, versus(ids("tiers"), ids("lmdb", "lmdb, zstandard, NumPy"), speedup), ">= 3",
                  "both tier by tier, as stored"),
            Claim("record", "LeNet-5", images, versus(lenet5("record"), lenet5("forward"), slowdown), "<= 1.5"),
        ]

    def about(self, line):
        return f"""\
# kith from Python, measured

{line["machine"]}, threads: {line["threads"]} ({line["date"]}). Made by bench/python/bench.py, which says what is measured.
Seconds are medians. A figure is GB/s of ids in NumPy, or the median ratio of times: the rival's by kith's (text, by hand),
recording by the forward pass (LeNet-5)."""


if __name__ == "__main__":
    os.environ["KITH_BIN"] = str(BUILD)
    Python(__doc__).main()
