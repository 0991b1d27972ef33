"""Every claim about reading files of other formats, measured, with the bar it is held against.

    python3 bench/input/bench.py [OPTION]... WORK...

  all       the works below, in this order
  layer     kith-knn -k 15 of one layer, n=60,000 and d=784 or 4,704, from each format, by the processors' time from a .npy of the
            same values (both read the page cache: there is no other waiting); npy by itself says what the figures' error is
  shards    the same from 1,000 safetensors files, by that from one
  import    seconds of kith-import of the neighbours of 1,000,000 samples, 15 each: without activations, and with (d=64), audit included
  memory    kith-knn -m 256M of 8 GB (n=200,000 d=10,000, of rank 4, so that the search is short) in a memory cgroup of 320 MiB, of
            which kith-knn(1) speaks (needs root), from each format, the file in the page cache of others
  summary   on request only: the table from what the results have

Files are made by make_data.py, and are in the page cache. Needs python3-numpy and python3-h5py, of /usr/bin/python3; about 12 GB in
TMPDIR, 24 for memory."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import (BUILD, PYTHON, Bench, Claim, Program, attempt, confined, describe, in_turn, read_into_page_cache, seconds,
                    slowdown, versus)

MAKE = Path(__file__).with_name("make_data.py")
SUFFIX = {"fortran": "npy", "bf16": "npy", "big": "npy", "npy-bf16": "npy", "raw": "bin", "deflated": "npz", "h5-rows": "h5"}
CGROUP = 320 << 20
# Runs a program; prints its seconds, or those of the processors, and its peak of resident memory in MiB.
TIMED = """import os, sys, time
begin = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(f"{time.monotonic() - begin if sys.argv[1] == 'wall' else usage.ru_utime + usage.ru_stime:.3f}", usage.ru_maxrss >> 10)
sys.exit(status != 0)"""


def program(label, clock, *command):
    return Program(label, [PYTHON, "-c", TIMED, clock, *command])


class Layer:
    """An array in two formats."""

    def __init__(self, n, d, kind, rival="npy", rank=0):
        self.n, self.d, self.kinds, self.rank = n, d, (kind, rival), rank

    def columns(self, _):
        return {"data": f"d={self.d}", "n": self.n, "layers": 1, "k": 15}

    def prepare(self, bench):
        if "h5" in "".join(self.kinds):
            attempt(PYTHON, "-c", "import h5py")
        for kind in self.kinds:
            path = self.path(bench, kind)
            if not path.exists():
                attempt(PYTHON, MAKE, "layer", kind, self.n, self.d, path, self.rank)
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                read_into_page_cache(file)

    def path(self, bench, kind):
        return bench.scratch / f"{kind}-{self.n}-{self.d}.{SUFFIX.get(kind, kind)}"

    def argument(self, bench, kind):
        path = self.path(bench, kind)
        if kind == "shards":
            return [f"{path}/*.safetensors:x"]
        if kind == "raw":
            return ["--dtype", "f4", "--shape", f"{self.n},{self.d}", path]
        return [f"{path}:x" if path.suffix in (".safetensors", ".npz", ".h5") else path]


def knn(which, *options, clock="cpu"):
    def make(bench, layer):
        kind = layer.kinds[which]
        return program(kind, clock, BUILD / "kith-knn", "-q", "-k", 15, "-t", bench.threads, *options, "-o", bench.scratch / "out.nng",
                       *layer.argument(bench, kind))
    return make


def within(bench, inputs):
    """In a cgroup; then the files, which are large, are removed."""
    try:
        return confined(knn(0, "-m", "256M", clock="wall"), lambda _: CGROUP, peak_of_group=True)(bench, inputs)
    finally:
        inputs[0].path(bench, inputs[0].kinds[0]).unlink()


class Lists:
    def __init__(self, n):
        self.n = n

    def columns(self, _):
        return {"data": "random", "n": self.n, "layers": 1, "k": 15}

    def prepare(self, bench):
        self.path = bench.scratch / f"lists-{self.n}"
        if not Path(f"{self.path}.npy").exists():
            attempt(PYTHON, MAKE, "lists", self.n, self.path)
        for end in (".npy", ".ids.npy", ".distances.npy"):
            read_into_page_cache(f"{self.path}{end}")


def imported(*options):
    """Seconds of kith-import, median of the runs."""
    def measure(bench, inputs):
        path = inputs[0].path
        ours = program("", "wall", BUILD / "kith-import", "-q", "-t", bench.threads,
                       *[option.format(path=path) for option in options], "-o", bench.scratch / "out.nng", f"{path}.ids.npy")
        runs, = in_turn(bench.runs, ours)
        return [{**describe(runs), "figure": f"{seconds(runs):.3f}"}]
    return measure


class Input(Bench):
    NAME = "input"
    TARGETS = ["kith-knn", "kith-import"]
    ON_REQUEST = ["summary"]
    COLUMNS = "date,commit,machine,threads,runs,work,case,data,n,layers,k,kith_s,kith_mib,against,against_s,figure,bar,note"
    TABLE = "work<7 case<16 data<7 n>7 k>3 kith_s>8 kith_mib>6 against<9 against_s>8 figure>7 bar<8 verdict<11"

    def claims(self):
        n, many = self.rows or 60000, self.rows or 1000000
        bars = {"raw": 1.05, "safetensors": 1.05, "fbin": 1.05, "npz": 1.05, "fortran": 1.15, "bf16": 1.15, "fvecs": 1.15, "big": 1.15,
                "h5": 1.5, "npy": ""}
        return [
            *[Claim("layer", f"{kind} {d}", [Layer(n, d, kind, "npy-bf16" if kind == "bf16" else "npy")],
                    versus(knn(0), knn(1), slowdown), bar and f"<= {bar}") for kind, bar in bars.items() for d in (784, 4704)],
            *[Claim("shards", f"1,000 of {d}", [Layer(n, d, "shards", "safetensors")], versus(knn(0), knn(1), slowdown), "<= 1.1")
              for d in (784, 4704)],
            Claim("import", "neighbours", [Lists(many)], imported("--euclidean", "--distances", "{path}.distances.npy"), "<= 3"),
            Claim("import", "activations", [Lists(many)], imported("--activations", "{path}.npy"), "<= 15"),
            *[Claim("memory", kind, [Layer(self.rows or 200000, 10000, kind, kind, 4)], within, "not killed")
              for kind in ("npy", "fortran", "raw", "safetensors", "h5-rows", "deflated")],
        ]

    def about(self, line):
        return f"""\
# Files of other formats, measured

{line["machine"]}, threads: {line["threads"]} ({line["date"]}). Made by bench/input/bench.py. Seconds are medians, of layer and
shards those of the processors; a figure is the median ratio of times, of the layer from this format by that from the other; of import,
seconds; MiB of memory are the cgroup's, with what it has of the page cache."""


if __name__ == "__main__":
    Input(__doc__).main()
