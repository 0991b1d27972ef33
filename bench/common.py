"""What the benchmarks share: options, building, running programs in turn and in memory cgroups, results and their table.

A benchmark is a list of claims: what is measured over which input, and the bar that its figure is held against. Each
measurement is appended to bench/results/NAME.csv when it is finished, with date, commit and machine. NAME.md beside it has
a table for each machine and number of threads, the last used first, with the latest measurement of each case, and says
"falls short" where a bar is not reached.

Python 3.9 and its standard library; numpy, SciPy and scikit-learn, where they are used, are those of /usr/bin/python3."""
import argparse
import contextlib
import csv
import datetime
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from typing import Any, Callable, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-bench"
PYTHON = "/usr/bin/python3"
CORES = len(os.sched_getaffinity(0))
LENET = "I C0 R0 P0 C1 R1 P1 C2 R2 M3 R3 O".split()
KEY = ["work", "case", "n", "layers", "k"]  # the columns that tell one case from another
TITLES = {"kith_s": "kith s", "kith_mib": "MiB", "against_s": "its s", "stored_rate": "stored GB/s",
          "decoded_rate": "decoded GB/s", "verdict": "", "note": ""}  # of the table's columns, where not their names


class Skip(Exception):
    """A figure that cannot be had here, and why."""


class Claim(NamedTuple):
    work: str
    case: str
    inputs: Any  # a list: one, or several that are measured in turn. None: the figure is made of the work's other lines
    measure: Callable  # (bench, inputs) -> a dictionary of columns for each input; without inputs (lines) -> a dictionary
    bar: str = ""  # ">= 8", "<= 1.5", a text that the figure begins with, or none
    note: str = ""


class Program(NamedTuple):
    label: str
    command: list  # prints its seconds, its peak MiB and a number of bytes for each of sizes
    sizes: tuple = ()  # names of columns


class Run(NamedTuple):
    seconds: float
    mib: int
    sizes: list


# ---- running ----


def start(command, **options):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, **options)


def output(*command):
    """What a command prints; it has to succeed."""
    done = start(command)
    if done.returncode:
        sys.exit(f"{command[0]} {command[1]}: exit code {done.returncode}")
    return done.stdout.strip()


def attempt(*command):
    """What a command prints. Skip where it fails: a rival may not be installed."""
    done = start(command, stderr=subprocess.DEVNULL)
    if done.returncode:
        raise Skip(f"{' '.join(map(str, command))} fails; the head of bench.py says what is needed")
    return done.stdout.strip()


def run(program):
    seconds, mib, *sizes = output(*program.command).split()
    return Run(max(float(seconds), 0.001), int(mib), [int(size) for size in sizes])  # 0.001 s: the programs' resolution


def in_turn(count, *programs):
    """A B A B ...: the runs of A, the runs of B."""
    return list(zip(*[[run(program) for program in programs] for _ in range(count)]))


def read_into_page_cache(path):
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def drop_from_page_cache(path):
    os.sync()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_in_cgroup(limit, command):
    """Runs a command in a new memory cgroup, limit in bytes, below this process' own. Returns its exit code, what it
    printed, and the group's peak in bytes (None with cgroups of version 2)."""
    own = re.search(r"^\d+:memory:(.*)", Path("/proc/self/cgroup").read_text(), re.M)
    parent = Path("/sys/fs/cgroup/memory" + (own[1] if own else ""))
    group, peak = None, None
    if (parent / "memory.limit_in_bytes").exists() and os.access(parent, os.W_OK):
        group = parent / f"kith-bench.{os.getpid()}"
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
        enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group]
    elif all(map(os.path.exists, ["/sys/fs/cgroup/cgroup.controllers", "/run/systemd/system"])) and os.getuid() == 0:
        enter = ["systemd-run", "--quiet", "--scope", "-p", f"MemoryMax={limit}", "-p", "MemorySwapMax=0"]
    else:
        raise Skip("a memory cgroup needs root and a memory controller")
    try:
        done = start([*enter, *command])
        if group:
            peak = int((group / "memory.max_usage_in_bytes").read_text())
    finally:
        with contextlib.suppress(OSError):  # a process that outlived the killed one keeps the group
            if group:
                group.rmdir()
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, done.stdout, peak


# ---- measures of claims; kith and rival are functions (bench, input) -> Program ----


def speedup(ours, theirs):
    return median(b.seconds / a.seconds for a, b in zip(ours, theirs))


def slowdown(ours, theirs):
    return median(a.seconds / b.seconds for a, b in zip(ours, theirs))


def seconds(runs, _=None):
    return median(run.seconds for run in runs)


def describe(runs):
    return {"kith_s": f"{seconds(runs):.3f}", "kith_mib": max(run.mib for run in runs)}


def versus(kith, rival, figure):
    """kith and a rival in turn. figure is speedup, slowdown or seconds."""
    def measure(bench, inputs):
        ours, theirs = kith(bench, inputs[0]), rival(bench, inputs[0])
        a, b = in_turn(bench.runs, ours, theirs)
        sizes = {column: f"{size / 1e9:.3f}" for column, size in zip(theirs.sizes, b[-1].sizes)}
        against = {"against": theirs.label, "against_s": f"{seconds(b):.3f}"}
        return [{**describe(a), **sizes, **against, "figure": f"{figure(a, b):.3f}"}]
    return measure


def alone(kith):
    """kith over each of the inputs, in turn: seconds, for an exponent."""
    def measure(bench, inputs):
        return [describe(runs) for runs in in_turn(bench.runs, *[kith(bench, one) for one in inputs])]
    return measure


def confined(kith, limit, label="cgroup of {} MiB", cold=False, peak_of_group=False):
    """kith once in a memory cgroup of limit(input) bytes; cold: the input is not in the page cache. MiB is the program's own
    peak, or that of the group, which includes its page cache."""
    def measure(bench, inputs):
        size = limit(inputs[0])
        if cold:
            drop_from_page_cache(inputs[0].path)
        code, printed, peak = run_in_cgroup(size, kith(bench, inputs[0]).command)
        kith_s, mib = ("", "") if code else printed.split()
        if peak_of_group and peak is not None:
            mib = peak >> 20
        return [{"kith_s": kith_s, "kith_mib": mib, "against": label.format(size >> 20),
                 "figure": f"exit code {code}" if code else "not killed"}]
    return measure


# ---- measures of claims without inputs ----


def shared(lines, *columns):
    """These columns and the commit, where all lines agree on them."""
    values = {column: {line[column] for line in lines} for column in [*columns, "commit"]}
    same = {column: found.pop() if len(found) == 1 else "" for column, found in values.items()}
    return {**same, "commit": same["commit"] or "several"}


def total(lines):
    if len(lines) < len(LENET):
        raise Skip(f"no total: {len(lines)} of {len(LENET)} layers")
    ours, theirs = (sum(float(line[column]) for line in lines) for column in ("kith_s", "against_s"))
    sums = {"kith_s": f"{ours:.3f}", "against_s": f"{theirs:.3f}", "figure": f"{theirs / ours:.3f}"}
    return {**shared(lines, "k", "against"), **sums}


def exponent(case, column, sizes):
    """The slope of log seconds on the column's log, by least squares."""
    def make(lines):
        lines = [line for line in lines if line["case"] == case]
        if len(lines) != sizes:
            raise Skip(f"no exponent for {case}: {len(lines)} of {sizes} sizes")
        x, y = ([math.log(float(line[name])) for line in lines] for name in (column, "kith_s"))
        x, y = ([value - mean(values) for value in values] for values in (x, y))
        slope = sum(a * b for a, b in zip(x, y)) / sum(a * a for a in x)
        return {**shared(lines, "n", "k"), "figure": f"{slope:.3f}"}
    return make


def verdict(line):
    bar = line["bar"]
    if not bar:
        return ""
    figure = str(line["figure"])
    if bar.startswith(">= "):
        reached = float(figure) >= float(bar[3:])
    elif bar.startswith("<= "):
        reached = float(figure) <= float(bar[3:])
    else:
        reached = figure.startswith(bar)
    return "pass" if reached else "falls short"


# ---- a benchmark ----


def positive(text):
    if not re.fullmatch("[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text}: not a count")
    return int(text)


def name_machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name[^:]*: *(.*)", text, re.M)  # which may not say what processor it is
    best = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if re.search(rf"\b{flag}\b", text)), "")
    return f"{model[1].replace(',', ' ') if model else ''} ({CORES} cores{best and ' with ' + best})"


def name_commit():
    head = start(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stderr=subprocess.DEVNULL)
    if head.returncode:
        return "unknown"
    # Results that were appended are no change to what is measured.
    changed = start(["git", "-C", ROOT, "diff", "--quiet", "HEAD", "--", ".", ":!bench/results"]).returncode
    return head.stdout.strip() + ("-dirty" if changed else "")


class Bench:
    """A subclass has NAME (of its folder and results), TARGETS (of the build), COLUMNS (of the results), TABLE (columns of
    the table, each with "<" or ">" and its width), claims(), in the table's order, and about(line), the text above the table
    whose latest line it is."""
    ON_REQUEST = []  # works that are no part of all, and keep no results
    LAYERS_ARE_TRIAL = False  # whether -l alters what is measured

    def __init__(self, doc):
        self.parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.parser.add_argument("works", nargs="*", metavar="WORK")
        self.option("-a", "activations", "their folder (examples/lenet5/out/mnist/activations, or fashion-mnist's)", Path)
        self.option("-n", "runs", "runs of each program, in turn; medians are reported (3)", positive, 3)
        self.option("-t", "threads", "threads of all programs (the machine's cores)", positive, CORES)
        self.option("-l", "layers", "only these layers, where there are several: -l 'I O'", str.split)
        self.option("-r", "rows", "a trial with this number of samples; k=6000 and 12000 become a tenth and a fifth", positive)
        self.option("-o", "results", f"a .csv, table beside (bench/results/{self.NAME}.csv; a trial's are not kept)", Path)
        self.parser.add_argument("-c", dest="resume", action="store_true",
                                 help="continue: leave out what this machine, commit and number of threads have results of")

    def option(self, letter, name, text, kind, default=None):
        self.parser.add_argument(letter, dest=name, metavar=name.upper(), help=text, type=kind, default=default)

    def main(self):
        self.parse()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, lambda *_: sys.exit(130))  # removes scratch files and the cgroup
        self.machine, self.commit = name_machine(), name_commit()
        output("cmake", "-S", ROOT, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF", "-DKITH_BENCH=ON")
        output("cmake", "--build", BUILD, "--parallel", "--target", *self.TARGETS)
        with tempfile.TemporaryDirectory() as scratch:
            self.scratch = Path(scratch)
            os.environ.update(OMP_WAIT_POLICY="passive", TMPDIR=scratch)
            self.open_results()
            print("A trial: the bars are for the real thing.\n" if self.trial else "", self.head(), sep="", flush=True)
            for work in self.works:
                for claim in self.all_claims:
                    if work == claim.work or work == "all" and claim.work not in self.ON_REQUEST:
                        self.measure(claim)
            if set(self.works) - set(self.ON_REQUEST):
                self.results.with_suffix(".md").write_text(self.summary())
                print("\n" + self.summary(), end="")

    def parse(self):
        self.parser.parse_args(namespace=self)
        self.trial = bool(self.rows or self.layers and self.LAYERS_ARE_TRIAL)
        if not self.activations:
            mnist, fashion = (ROOT / "examples/lenet5/out" / data / "activations" for data in ("mnist", "fashion-mnist"))
            self.activations = mnist if mnist.is_dir() else fashion
        self.data = self.activations.resolve().parent.name.replace(",", " ")
        self.all_claims = self.claims()
        self.known = list(dict.fromkeys(claim.work for claim in self.all_claims))
        for work in self.works:
            if work not in [*self.known, "all", "summary"]:
                self.parser.error(f"{work}: no such work")
        if not self.works:
            self.parser.print_help()
            sys.exit(2)

    def activation_file(self, layer):
        path = self.activations / (layer + ".npy")
        if not path.exists():
            sys.exit(f"{path}: no such file (examples/lenet5/run.sh makes it; -a names another folder)")
        return path

    def is_chosen(self, claim):
        """-l chooses among the layers of works that have several."""
        layers = {other.case for other in self.all_claims if other.work == claim.work and other.case in LENET}
        return not self.layers or len(layers) < 2 or claim.case in self.layers

    def measure(self, claim):
        if not claim.inputs or not self.is_chosen(claim):
            return
        common = {"date": datetime.date.today(), "commit": self.commit, "machine": self.machine, "threads": self.threads,
                  "runs": self.runs, "work": claim.work, "case": claim.case, "bar": claim.bar, "note": claim.note}
        lines = [(one, {**common, **one.columns(self)}) for one in claim.inputs]
        lines = [(one, line) for one, line in lines if not (self.resume and self.is_known(line))]
        for one, _ in lines:
            one.prepare(self)
        try:
            measured = claim.measure(self, [one for one, _ in lines]) if lines else []
        except Skip as why:
            print(f"{claim.work}, {claim.case}: skipped: {why}", flush=True)
            return
        for (_, line), columns in zip(lines, measured):
            self.record({**line, **columns})

    # ---- results ----

    def open_results(self):
        self.results = self.results or (self.scratch if self.trial else ROOT / "bench/results") / (self.NAME + ".csv")
        if not self.results.exists():
            self.results.write_text(self.COLUMNS + "\n")
        with open(self.results) as file:
            if file.readline() != self.COLUMNS + "\n":
                sys.exit(f"{self.results}: has other columns; choose another file with -o")

    def read_results(self):
        with open(self.results, newline="") as file:
            return list(csv.DictReader(file))

    def is_known(self, line):
        columns = [column for column in ["commit", "machine", "threads", *KEY] if column in line]
        return any(all(old[column] == str(line[column]) for column in columns) for old in self.read_results())

    def record(self, line):
        with open(self.results, "a", newline="") as file:
            csv.DictWriter(file, self.COLUMNS.split(","), "", "ignore", lineterminator="\n").writerow(line)
        print(self.row(line), flush=True)

    # ---- the table ----

    def head(self):
        columns = re.findall(r"(\w+)([<>])", self.TABLE)
        titles = [TITLES.get(name, name) for name, _ in columns]
        rule = "".join("--:|" if align == ">" else "---|" for _, align in columns)
        return "|" + "".join(f" {title} |" if title else " |" for title in titles) + "\n|" + rule

    def row(self, line):
        cells = {**line, "verdict": verdict(line), **self.derive(line)}
        columns = re.findall(r"(\w+)([<>]\d*)", self.TABLE)
        return "| " + " | ".join(format(str(cells.get(name, "")), width) for name, width in columns) + " |"

    def derive(self, line):
        """Columns of the table alone."""
        return {}

    def summary(self):
        results = self.read_results()
        machines = dict.fromkeys((line["machine"], line["threads"]) for line in reversed(results))  # the latest first
        last = [[line for line in results if (line["machine"], line["threads"]) == one] for one in machines]
        tables = [f"## Before: {lines[-1]['machine']}, threads: {lines[-1]['threads']} ({lines[-1]['date']})\n\n{self.table(lines)}"
                  for lines in last[1:]]
        return "\n".join([self.about(last[0][-1]), "", self.table(last[0]), *tables])

    def table(self, lines):
        """What one machine has measured."""
        latest = {tuple(line.get(column) for column in KEY): line for line in lines}
        shown, missing = [], []
        for work in self.known:  # results of other works, which are measured no more, are left out
            found = [line for line in latest.values() if line["work"] == work]
            if not found and work not in self.ON_REQUEST:
                missing.append(work)
            shown += found
            for claim in [claim for claim in self.all_claims if found and claim.work == work and claim.inputs is None]:
                try:
                    shown.append({"work": work, "case": claim.case, "bar": claim.bar, **claim.measure(found)})
                except Skip as why:
                    missing.append(f"{work} ({why})")
        verdicts = [verdict(line) for line in shown if line["bar"]]
        reached = f"{verdicts.count('pass')} of {len(verdicts)} bars reached."
        reached += f" Not measured: {' '.join(missing)}." if missing else ""
        return "\n".join([self.head(), *map(self.row, shown), "", reached, ""])
