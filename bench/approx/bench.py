"""Every claim about approximate graphs, measured, with the bar it is held against.

    python3 bench/approx/bench.py [OPTION]... WORK...

  all       the works below, in this order
  sweep     the peers at several settings, over net, pix and gmm: seconds and recall, one run each
  peers98   net and pix: kith at recall 0.98 against the peers, each at its fastest setting of the sweep that reaches it
  peers995  the same at recall 0.995
  gmm       the same of gmm at recall 0.98; and against the exact engine
  rate      net at recall 0.99: points per second and core, by CPU time and by wall
  million   net, pix and gmm, a million samples, recall 0.99: against the exact engine
  growth    time from 125,000 samples to a million at recall 0.99: the exponent
  exact     the exact engine's time from 125,000 samples to a million, net and pix: seconds (bar: 60 and 120 at a million), the
            exponent
  wide      LeNet-5's I (d=784) and C0 (d=4704) at recall 0.99: against the exact engine
  k100      net at k=100, recall 0.98: against KGraph as its SIGMOD 2023 entry ran
  recall    net, pix, gmm, and LeNet-5's I, C1, M3 and O, asked for recall 0.9, 0.95, 0.99: how far all rows' recall is
            below it, and the time by that of the cheapest setting of a grid that reaches it. (leaf=560 is what it is
            anyway, and keeps approx from leaving LeNet-5's layers to the exact engine.)
  audit     a million samples: the part of the time that the audit of 1,000 takes
  faiss     kith's engine faiss against the bare calls of the same index: net
  memory    net, a million samples, -m at half of the file: in a memory cgroup of that size and 32 MiB (needs root), and
            the time against that of the usual -m
  nnts      NNTS of LeNet-5's layers from graphs at recall 0.95, corrected, against that of exact graphs
  summary   on request only: the table from what the results have

net, pix and gmm (make_data.py): d=100 and, unless said otherwise, 250,000 samples, k=15. kith's time is that of the whole
kith-knn: from the file, in the page cache, to the graph's file, synced, with the audit. A peer's is that of index and
search, from an array in memory to lists. Recall is that of all rows, against the exact engine's graph. Two threads each.

The peers, each left out where it is not found, which is said: FAISS' IVF, HNSW, NSG and NNDescent (libfaiss-dev, or a build
for this machine in the folder that cmake's -DKITH_FAISS_ROOT names); hnswlib (libhnswlib-dev, or -DHNSWLIB_ROOT);
PyNNDescent (python3-pynndescent); KGraph, the entry of a finalist of the SIGMOD 2023 programming contest
(-DKGRAPH_ROOT, its source folder; libboost-timer-dev, libmimalloc-dev). As in
    cmake -S . -B build-bench -DKITH_FAISS_ROOT=/opt/faiss -DKGRAPH_ROOT=$HOME/contest_kgraph"""
import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Callable, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import (BUILD, LENET, PYTHON, Bench, Claim, Skip, attempt, exponent, output, read_into_page_cache,
                    run_in_cgroup, shared, start)

HERE = Path(__file__).resolve().parent
BENCH_APPROX = BUILD / "bench/bench_approx"
KITH_KNN = BUILD / "kith-knn"
KITH_MERGE = BUILD / "kith-merge"
MADE = ["net", "pix", "gmm"]
TOO_SLOW = 1.5  # a peer is left out where its fastest setting takes so many times what the best peer's takes
HEADROOM = 32 << 20  # what a cgroup has above -m: kith-knn's own constant, and its libraries


# ---- the peers; a family's settings ascend in time and in recall; the fastest first, which shortens the others' sweeps ----


class Peer(NamedTuple):
    label: str
    program: str
    settings: list


PEERS = [
    Peer("KGraph", "rival_kgraph", [
        "K=15,L=15,S=10,iter=5", "K=15,L=15,S=10,iter=6", "K=15,L=18,S=10,iter=6", "K=15,L=24,S=10,iter=6",
        "K=15,L=30,S=10,iter=7", "K=15,L=40,S=15,iter=7", "K=15,L=60,S=20,iter=8"]),
    Peer("FAISS IVF", "rival_faiss", [f"IVF1024,Flat;nprobe={probes}" for probes in (6, 9, 12, 18, 27, 40, 64)]),
    Peer("FAISS HNSW", "rival_faiss", [
        "HNSW12;efConstruction=40,efSearch=20", "HNSW16;efConstruction=40,efSearch=24",
        "HNSW16;efConstruction=60,efSearch=32", "HNSW24;efConstruction=60,efSearch=40",
        "HNSW32;efConstruction=80,efSearch=64", "HNSW32;efConstruction=120,efSearch=128"]),
    Peer("FAISS NSG", "rival_faiss", [
        "NSG16;GK=20,L=40,iter=6,search_L=24", "NSG24;GK=32,L=50,iter=8,search_L=32",
        "NSG32;GK=40,L=60,iter=8,search_L=64"]),
    Peer("FAISS NNDescent", "rival_faiss", [
        "NNDescent15;L=15,iter=6", "NNDescent16;L=20,iter=6", "NNDescent16;L=30,iter=7", "NNDescent20;L=40,iter=8",
        "NNDescent24;L=60,iter=8", "NNDescent32;L=80,iter=10"]),
    Peer("hnswlib", "rival_hnswlib", [
        "M=8,efc=40,ef=20", "M=12,efc=40,ef=20", "M=12,efc=60,ef=24", "M=12,efc=80,ef=32", "M=16,efc=80,ef=48",
        "M=16,efc=120,ef=80", "M=24,efc=160,ef=128"]),
    Peer("PyNNDescent", "rival_pynndescent.py", [
        "n_neighbors=16,n_iters=4", "n_neighbors=20,n_iters=5", "n_neighbors=30", "n_neighbors=45", "n_neighbors=60"]),
]
CONTEST = Peer("KGraph", "rival_kgraph", ["K=100,L=165,S=85,R=400,iter=6"])


def program_of(peer):
    """Its command; Skip where it cannot be had."""
    if peer.program.endswith(".py"):
        command = [PYTHON, HERE / peer.program]
    else:
        built = start(["cmake", "--build", BUILD, "--target", peer.program], stderr=subprocess.STDOUT)
        if built.returncode:
            why = re.search(r"\w+ needs .*", built.stdout)
            raise Skip(why[0] if why else f"{peer.program} does not build")
        command = [BUILD / "bench" / peer.program]
    attempt(*command, "version")
    return command


# ---- inputs ----


def shape_of(path):
    """n, d of a .npy, and how many bytes stand before the rows."""
    with open(path, "rb") as file:
        head = file.read(10)
        length = int.from_bytes(head[8:10], "little")
        shape = ast.literal_eval(file.read(length).decode())["shape"]
    n, d = shape[0], 1
    for size in shape[1:]:
        d *= size
    return n, d, 10 + length


def cut(whole, rows, path):
    """The first rows of a matrix of floats."""
    _, d, begin = shape_of(whole)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (rows, d)
    head = head.ljust((len(head) + 10) // 64 * 64 + 64 - 11) + "\n"
    part = path.with_suffix(".part")
    with open(whole, "rb") as source, open(part, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
        source.seek(begin)
        left = rows * d * 4
        while left:
            left -= file.write(source.read(min(left, 1 << 24)))
    part.rename(path)


class Data:
    """net, pix or gmm of n samples, or a layer of LeNet-5; for graphs to k."""

    def __init__(self, name, k=15, n=None):
        self.name, self.k, self.n = name, k, n

    def columns(self, bench):
        if self.name in MADE:
            self.path = bench.made(self.name, self.n)
        else:
            self.path = bench.activation_file(self.name)
            if bench.rows and bench.rows < shape_of(self.path)[0]:
                whole, self.path = self.path, bench.folder / f"lenet5-{bench.data}-{self.name}-{bench.rows}.npy"
                cut(whole, bench.rows, self.path)
        self.n, self.d, _ = shape_of(self.path)
        return {"data": "-" if self.name in MADE else bench.data, "n": self.n, "d": self.d, "k": self.k}

    def prepare(self, bench):
        read_into_page_cache(self.path)

    def exact(self, bench):
        """The exact graph, kept beside the made data."""
        of = self.name if self.name in MADE else f"lenet5-{bench.data}-{self.name}"
        path = bench.folder / f"{of}-{self.n}.k{self.k}.exact.nng"
        if not path.exists():
            output(KITH_KNN, "-q", "-k", self.k, "-t", bench.threads, "-o", path, self.path)
        return path


# ---- running ----


class Timed(NamedTuple):
    seconds: float
    cpu: float
    mib: int
    plan: str = ""  # what kith-knn's closing report says of the engine
    audit: str = ""  # and of the recall


class Engine(NamedTuple):
    label: str
    setting: str
    run: Callable  # () -> Timed, with its neighbours in
    found: Path


def timed(command):
    """A whole kith-knn: its seconds, CPU seconds and peak MiB, and what it reports."""
    begin = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begin
    if child.returncode:
        raise Skip(f"{' '.join(map(str, command))}: exit code {child.returncode}: {said.strip()}")
    plan = re.search(r" k=\S+ (.*?): ", said)
    audit = re.search(r": recall ([0-9.]+ \([^)]*\))", said)
    return Timed(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, *(found[1] if found else ""
                                                                                  for found in (plan, audit)))


def kith(engine, *options):
    def prepared(bench, data):
        setting = " ".join(map(str, [engine, *options]))
        found = bench.scratch / (re.sub(r"\W+", "-", setting) + ".nng")  # of its own: two of kith's may run in turn
        command = [KITH_KNN, "--engine", engine, "-k", data.k, "-t", bench.threads, *options, "-o", found, data.path]
        return Engine("exact" if engine == "exact" else "kith", setting, lambda: timed(command), found)
    return prepared


def rival(peer, setting):
    def prepared(bench, data):
        found = bench.scratch / "rival.lists"
        command = [*program_of(peer), setting, data.k, bench.threads, data.path, found]

        def run():
            seconds, cpu, mib = attempt(*command).split()
            return Timed(float(seconds), float(cpu), int(mib))
        return Engine(peer.label, setting, run, found)
    return prepared


def recall_of(bench, data, found):
    return float(output(BENCH_APPROX, "recall", data.exact(bench), found))


def measured(bench, data, engine, times):
    """An engine's columns after its last run, without what they are called."""
    recall = recall_of(bench, data, engine.found)
    engine.found.unlink()
    plan = times[-1].plan[times[-1].plan.find("("):]
    return {"s": f"{median(run.seconds for run in times):.3f}", "cpu": f"{median(run.cpu for run in times):.3f}",
            "mib": max(run.mib for run in times), "recall": f"{recall:.5f}", "audit": times[-1].audit,
            "setting": f"{engine.setting} {plan}".strip().replace(",", " ")}


def ours(columns):
    return {f"kith_{name}": value for name, value in columns.items()}


def theirs(label, columns):
    return {"against": label, **{f"against_{name}": value for name, value in columns.items()}}


def faster(a, b):
    return median(y.seconds / x.seconds for x, y in zip(a, b))


def slower(a, b):
    return median(x.seconds / y.seconds for x, y in zip(a, b))


# ---- measures ----


def versus(one, other, figure):
    """kith and another, in turn."""
    def measure(bench, inputs):
        data = inputs[0]
        a, b = one(bench, data), other(bench, data)
        times = [(a.run(), b.run()) for _ in range(bench.runs)]
        first, second = zip(*times)
        return [{**ours(measured(bench, data, a, first)), **theirs(b.label, measured(bench, data, b, second)),
                 "figure": f"{figure(first, second):.3f}"}]
    return measure


def alone(engine, figure=None):
    def measure(bench, inputs):
        lines = []
        for data in inputs:
            made = engine(bench, data)
            times = [made.run() for _ in range(bench.runs)]
            columns = ours(measured(bench, data, made, times))
            lines.append({**columns, "figure": figure(data, bench, columns) if figure else ""})
        return lines
    return measure


def once(peer, setting):
    """One setting of the sweep, unless earlier ones show that against_peer would not choose it."""
    def measure(bench, inputs):
        data = inputs[0]
        others = [line for line in bench.swept(data, peer) if line["against_setting"] != setting.replace(",", " ")]
        for line in others:
            if float(line["against_recall"]) >= 0.995:
                raise Skip(f"{line['against_setting']} has {line['against_recall']} already")
        best = fastest([line for other in PEERS for line in bench.swept(data, other)], 0.995)
        if best and others and float(others[-1]["against_s"]) > TOO_SLOW * float(best["against_s"]):
            raise Skip(f"{others[-1]['against_setting']} took {others[-1]['against_s']} s, {best['against']} "
                       f"{best['against_s']} s for 0.995")
        made = rival(peer, setting)(bench, data)
        return [theirs(peer.label, measured(bench, data, made, [made.run()]))]
    return measure


def against_peer(peer, recall):
    """kith against a peer at the setting that the sweep chooses."""
    def measure(bench, inputs):
        data = inputs[0]
        best = {other.label: fastest(bench.swept(data, other), recall) for other in PEERS}
        if not best[peer.label]:
            raise Skip(f"no setting of the sweep reaches {recall}")
        least = min(float(line["against_s"]) for line in best.values() if line)
        mine = float(best[peer.label]["against_s"])
        if mine > TOO_SLOW * least:
            raise Skip(f"{mine} s with {best[peer.label]['against_setting']}; another peer takes {least} s")
        setting = next(one for one in peer.settings if one.replace(",", " ") == best[peer.label]["against_setting"])
        return versus(kith(f"approx:recall={recall}"), rival(peer, setting), faster)(bench, inputs)
    return measure


def fastest(lines, recall):
    reaching = [line for line in lines if float(line["against_recall"]) >= recall]
    return min(reaching, key=lambda line: float(line["against_s"]), default=None)


def least(name):
    """Of a data set's figures, that against the best peer."""
    def make(lines):
        lines = [line for line in lines if line["case"].startswith(name + " ") and line["case"] != name + " exact"]
        if not lines:
            raise Skip(f"no peer for {name}")
        worst = min(lines, key=lambda line: float(line["figure"]))
        return {**shared(lines, "n", "k"), "against": worst["against"], "against_setting": worst["against_setting"],
                "figure": worst["figure"]}
    return make


def per_core(column):
    def figure(data, bench, columns):
        seconds = float(columns["kith_cpu"]) if column == "cpu" else float(columns["kith_s"]) * bench.threads
        return f"{data.n / seconds:.0f}"
    return figure


def below(recall):
    """How far all rows' recall is below what was asked for."""
    return lambda data, bench, columns: f"{recall - float(columns['kith_recall']):.5f}"


def by_cheapest(name, recall):
    """A time by that of the cheapest setting of the grid that reaches the recall."""
    def make(lines):
        asked = [line for line in lines if line["case"] == f"{name} R={recall}"]
        grid = [line for line in lines if line["case"].startswith(f"{name} trees=") and float(line["kith_recall"]) >= recall]
        if not asked or not grid:
            raise Skip(f"{name} R={recall}: {'no setting of the grid reaches it' if asked else 'no time'}")
        cheapest = min(grid, key=lambda line: float(line["kith_s"]))
        return {**shared([asked[0], cheapest], "n", "k"), "kith_s": asked[0]["kith_s"], "against": "cheapest",
                "against_setting": cheapest["case"].split(" ")[1], "against_s": cheapest["kith_s"],
                "figure": f"{float(asked[0]['kith_s']) / float(cheapest['kith_s']):.3f}"}
    return make


def share_of_audit(bench, inputs):
    """The part of the time that auditing 1,000 samples adds to auditing few, where all goes as the engine has chosen."""
    chosen = kith("approx:recall=0.99")(bench, inputs[0])
    plan = chosen.run().plan
    chosen.found.unlink()
    numbers = re.search(r"(\d+) trees of (\d+), (\d+) rounds", plan)
    if not numbers:
        raise Skip(f"{plan}: no trees")
    spec = "approx:trees=%s,leaf=%s,rounds=%s" % numbers.groups()
    line = versus(kith(spec, "--audit", 1000), kith(spec, "--audit", 20), slower)(bench, inputs)[0]
    return [{**line, "figure": f"{1 - 1 / float(line['figure']):.3f}"}]


def half(data):
    return data.path.stat().st_size // 2


def confined(bench, inputs):
    """kith at half of the file's memory, in a cgroup of that and the constant."""
    data = inputs[0]
    limit = half(data) + HEADROOM
    command = [KITH_KNN, "-q", "--engine", "approx:recall=0.99", "-k", data.k, "-t", bench.threads, "-m",
               f"{half(data) >> 20}M", "-o", bench.scratch / "kith.nng", data.path]
    begin = time.monotonic()
    code, _, peak = run_in_cgroup(limit, list(map(str, command)))
    line = {"kith_s": f"{time.monotonic() - begin:.3f}", "kith_mib": peak >> 20 if peak else "",
            "against": f"cgroup of {limit >> 20} MiB", "figure": f"exit code {code}" if code else "completes"}
    if not code:
        line["kith_recall"] = f"{recall_of(bench, data, bench.scratch / 'kith.nng'):.5f}"
        (bench.scratch / "kith.nng").unlink()
    return [line]


def limited(bench, inputs):
    small = f"{half(inputs[0]) >> 20}M"
    return versus(kith("approx:recall=0.99", "-m", small), kith("approx:recall=0.99"), slower)(bench, inputs)


def merged(bench, graphs):
    """kith-merge's NNTS of graphs by layer."""
    path = bench.scratch / "stack.json"
    output(KITH_MERGE, "-q", "-k", 15, "-o", path, *[f"{layer}={graph}" for layer, graph in graphs.items()])
    return json.loads(path.read_text())["nnts"][0]


def pairs_of(matrix):
    return [row[b] for a, row in enumerate(matrix) for b in range(a + 1, len(row))]


def corrected_nnts(bench, inputs):
    """The part of the pairs of layers whose corrected NNTS is within 3 of its standard errors of the exact graphs'."""
    want = pairs_of(merged(bench, {data.name: data.exact(bench) for data in inputs})["mean"])
    good, recalls = [], []
    for seed in range(1, bench.runs + 1):
        engines = {data: kith(f"approx:recall=0.95,leaf=560,seed={seed}")(bench, data) for data in inputs}
        graphs = {data.name: bench.scratch / f"{data.name}.nng" for data in inputs}
        for data, engine in engines.items():
            engine.run()
            engine.found.rename(graphs[data.name])
            recalls.append(recall_of(bench, data, graphs[data.name]))
        found = merged(bench, graphs).get("estimate")
        if not found:
            raise Skip("kith-merge writes no estimates")
        cells = zip(pairs_of(found["mean"]), want, pairs_of(found["stderr"]))
        good += [abs(mean - exact) <= 3 * error for mean, exact, error in cells]
    return [{"kith_setting": "approx:recall=0.95 leaf=560", "kith_recall": f"{min(recalls):.5f}",
             "figure": f"{sum(good) / len(good):.4f}"}]


class Approx(Bench):
    NAME = "approx"
    TARGETS = ["kith-knn", "kith-merge", "bench_approx"]
    COLUMNS = ("date,commit,machine,threads,data,runs,work,case,n,d,k,kith_setting,kith_s,kith_cpu,kith_mib,kith_recall,"
               "kith_audit,against,against_setting,against_s,against_cpu,against_mib,against_recall,figure,bar")
    TABLE = ("work<8 case<24 n>7 k>3 kith_s>8 kith_cpu>8 kith_recall>7 against<15 against_setting<34 against_s>8 "
             "against_cpu>8 against_recall>7 figure>9 bar>9 verdict<11 commit<")

    def __init__(self, doc):
        super().__init__(doc)
        self.option("-d", "folder", "for net, pix, gmm and exact graphs, made where missing (build-bench/approx)", Path,
                    BUILD / "approx")

    def claims(self):
        base = self.rows or 250000
        grid = [f"trees={trees},leaf={leaf},rounds={rounds}" for trees in (2, 4, 8, 12) for leaf in (250, 500)
                for rounds in (0, 1, 2) if leaf == 500 or (4 <= trees <= 8 and rounds)]
        layers = ["I", "C1", "M3", "O"]

        def data(name, k=15, n=base):
            return [Data(name, k, n if name in MADE else None)]

        def peers(work, name, recall, bar):
            cases = [Claim(work, f"{name} {peer.label}", data(name), against_peer(peer, recall)) for peer in PEERS]
            return [*cases, Claim(work, f"best peer {name}", None, least(name), bar)]

        usual, exact = kith("approx:recall=0.99"), kith("exact")
        million = 4 * base
        return [  # work, case, input, what is measured, bar
            *[Claim("sweep", f"{name} {peer.label} {setting}".replace(",", " "), data(name), once(peer, setting))
              for name in MADE for peer in PEERS for setting in peer.settings],
            *peers("peers98", "net", 0.98, ">= 3"), *peers("peers98", "pix", 0.98, ">= 3"),
            *peers("peers995", "net", 0.995, ">= 4"), *peers("peers995", "pix", 0.995, ">= 4"),
            *peers("gmm", "gmm", 0.98, ">= 2"),
            Claim("gmm", "gmm exact", data("gmm"), versus(kith("approx:recall=0.98"), exact, faster), ">= 1"),
            Claim("rate", "net by CPU", data("net"), alone(usual, per_core("cpu")), ">= 25000"),
            Claim("rate", "net by wall", data("net"), alone(usual, per_core("wall")), ">= 25000"),
            *[Claim("million", name, data(name, n=million), versus(usual, exact, faster), bar)
              for name, bar in zip(MADE, (">= 3", ">= 5", ">= 3"))],
            *[Claim("growth", name, [Data(name, 15, million // part) for part in (8, 4, 2, 1)], alone(usual))
              for name in MADE],
            *[Claim("growth", f"{name} exponent", None, exponent(name, "n", 4), "<= 1.15") for name in MADE],
            *[Claim("exact", name, [Data(name, 15, million // part) for part in (8, 4, 2, 1)], alone(exact))
              for name in ("net", "pix")],
            *[Claim("exact", f"{name} exponent", None, exponent(name, "n", 4), "<= 1.4") for name in ("net", "pix")],
            *[Claim("wide", name, data(name), versus(usual, exact, faster), ">= 0.909") for name in ("I", "C0")],
            Claim("k100", "net", data("net", 100),
                  versus(kith("approx:recall=0.98"), rival(CONTEST, CONTEST.settings[0]), faster), ">= 2"),
            *[Claim("recall", f"{name} {setting}".replace(",", "/"), data(name), alone(kith(f"approx:{setting}")))
              for name in [*MADE, *layers] for setting in grid],
            *[Claim("recall", f"{name} R={recall}", data(name),
                    alone(kith(f"approx:recall={recall},leaf=560"), below(recall)), "<= 0.005")
              for name in [*MADE, *layers] for recall in (0.9, 0.95, 0.99)],
            *[Claim("recall", f"{name} R={recall} time", None, by_cheapest(name, recall), "<= 1.5")
              for name in [*MADE, *layers] for recall in (0.9, 0.95, 0.99)],
            *[Claim("audit", name, data(name, n=million), share_of_audit, "<= 0.1") for name in MADE],
            *[Claim("faiss", f"net {setting}".replace(",", " "), data("net"),
                    versus(kith(f"faiss:{setting}"), rival(peer, setting), slower), "<= 1.15")
              for peer, setting in ((PEERS[1], "IVF1024,Flat;nprobe=12"),
                                    (PEERS[2], "HNSW16;efConstruction=40,efSearch=24"))],
            Claim("memory", "net cgroup", data("net", n=million), confined, "completes"),
            Claim("memory", "net time", data("net", n=million), limited, "<= 2"),
            Claim("nnts", f"{len(LENET)} layers", [Data(name) for name in LENET], corrected_nnts, ">= 0.99"),
        ]

    def made(self, name, n):
        """The path of net, pix or gmm. The largest that is needed is made, the others are its first rows."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}-{n}.npy"
        if not path.exists():
            most = max(n, 4 * (self.rows or 250000))
            whole = self.folder / f"{name}-{most}.npy"
            if not whole.exists():
                print(f"(making {whole})", flush=True)
                output(PYTHON, HERE / "make_data.py", name, most, whole)
            if path != whole:
                cut(whole, n, path)
        return path

    def swept(self, data, peer):
        """The sweep's lines of a peer over this input on this machine."""
        here = self.machine, str(self.threads), "sweep", str(data.n), str(data.k), peer.label
        names = "machine", "threads", "work", "n", "k", "against"
        return [line for line in self.read_results()
                if tuple(line[name] for name in names) == here and line["case"].startswith(data.name + " ")]

    def about(self, line):
        return f"""\
# Approximate graphs, measured

{line["machine"]}, threads: {line["threads"]} ({line["date"]}). Made by bench/approx/bench.py, whose head says what each work is.
Seconds are medians, cpu those of the processors; recall is that of all rows; a figure is the median ratio of times, the
other by kith (faiss, memory: kith by the other), unless its work is another thing's: points per second and core (rate),
recall asked for less recall found (recall), the audit's part of the time (audit)."""


if __name__ == "__main__":
    Approx(__doc__).main()
