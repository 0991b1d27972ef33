"""What the paper claims of LeNet-5, one by one, held against networks that were trained here.

    python3 claims.py --out DIR [--subset SUBSET.json...] STACK.json...

Each STACK.json is one training's result at the paper's four k, each SUBSET.json one of fewer samples at k up to all of them.
Writes DIR/claims.md, a table with a figure for each claim (the mean over the trainings, and its standard error) and what the
data says, and DIR/claims.csv, the figure of each training. KITH_BIN names the folder with libkith, unless it is installed.
"""

import argparse
import csv
import os
import sys
from itertools import combinations
from typing import Callable, NamedTuple

import numpy as np

LAYERS = "I C0 R0 P0 C1 R1 P1 C2 R2 M3 R3 O".split()
LAST = ["M3", "R3", "O"]  # "the last couple of operations (bottom right hand corner)"
PAIRS = list(combinations(range(len(LAYERS)), 2))
PAPERS_TABLE = """
455 122 6.99 5.95 2.51 3.02 36.0 0.99 0.59 3.94 0.32 28.7
427 2.94 5.30 0.65 0.52 2.27 1.23 0.06 0.18 0.01 0.62
550 2.72 0.57 0.61 10.2 0.13 0.02 0.09 0.01 0.46
494 19.0 22.1 6.08 0.54 0.35 2.50 0.42 0.53
110 114 286 1.71 0.17 0.82 0.10 2.83
67.2 57.7 1.33 0.23 0.29 0.04 0.39
205 4.53 2.54 0.57 0.12 0.55
528 36.3 8.79 0.57 0.46
291 104 10.4 168
170 19.1 141
149 128
180"""  # Table 1: thousands of pairs, k = 15, from the diagonal on


class Training(NamedTuple):
    """One network: NNTS at each k, and (of a STACK.json) the runs of pairs at the smallest."""
    name: str
    n: int
    nnts: dict  # k: (L, L)
    chance: dict  # k: NNTS of random neighbours
    nntp: np.ndarray  # (L, L): first layer, last layer


class Claim(NamedTuple):
    says: str  # the paper
    figure_is: str
    paper: str
    figure: Callable  # training -> number
    holds: Callable  # training -> bool
    text: Callable  # trainings -> what the data says
    shown: str = "{:.3f}"
    of_subset: bool = False


def at(name):
    return LAYERS.index(name)


def mean(trainings, value):
    return float(np.mean([value(t) for t in trainings]))


def listed(names):
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "none"


# ---- NNTS ----


def similarity(t, k, pairs=None):
    """The mean NNTS of pairs of layers, all if none are given."""
    return float(np.mean([t.nnts[k][a, b] for a, b in pairs or PAIRS]))


def is_step_within(v):
    """Whether the operations v and v + 1 are of the same layer: their names end with its number."""
    return LAYERS[v][1:] == LAYERS[v + 1][1:] != ""


INSIDE = [(v, v + 1) for v in range(len(LAYERS) - 1) if is_step_within(v)]
BETWEEN = [(v, v + 1) for v in range(len(LAYERS) - 1) if not is_step_within(v)]


def block_gap(t, k):
    return similarity(t, k, INSIDE) - similarity(t, k, BETWEEN)


def is_border(trainings, k, a, b):
    """Whether a step into the next layer leaves less alike than the steps beside it that stay inside one."""
    beside = [step for step in ((a - 1, a), (b, b + 1)) if step in INSIDE]
    return all(mean(trainings, lambda t: t.nnts[k][a, b] - t.nnts[k][step]) < 0 for step in beside)


def blocks_text(trainings):
    ks = list(trainings[0].nnts)
    levels = [f"{mean(trainings, lambda t: similarity(t, k, INSIDE)):.2f} and "
              f"{mean(trainings, lambda t: similarity(t, k, BETWEEN)):.2f} at k = {k:,}" for k in ks]

    missing = [f"{LAYERS[a]} to {LAYERS[b]}" for a, b in BETWEEN if not is_border(trainings, ks[0], a, b)]
    return (f"NNTS of two operations in a row is, inside a layer and across its border, {'; '.join(levels)}. Of the {len(BETWEEN)} borders, "
            f"{len(BETWEEN) - len(missing)} are less alike than the steps beside them at k = {ks[0]:,}"
            + (f"; {listed(missing)} is not." if len(missing) == 1 else f"; {listed(missing)} are not." if missing else "."))


def r2_over_p1(t, k=None):
    nnts = t.nnts[k or min(t.nnts)]
    return nnts[at("R2"), at("M3")] - nnts[at("P1"), at("M3")]


def removal_text(trainings):
    ks = list(trainings[0].nnts)
    values = [f"{mean(trainings, lambda t: t.nnts[k][at('P1'), at('M3')]):.2f} and "
              f"{mean(trainings, lambda t: t.nnts[k][at('R2'), at('M3')]):.2f} at k = {k:,}" for k in ks]
    return (f"NNTS of P1 and of R2 with M3 is {'; '.join(values)}. The larger the difference, the more C2 and R2 rearrange "
            "the neighbours that M3 then works on.")


def growth(t):
    """The share of pairs of layers whose NNTS grows at each step of the ladder but the last."""
    ks = list(t.nnts)[:-1]
    return float(np.mean([all(t.nnts[k][p] < t.nnts[more][p] for k, more in zip(ks, ks[1:])) for p in PAIRS]))


def growth_text(trainings):
    ks = list(trainings[0].nnts)[:-1]
    means = ", ".join(f"{mean(trainings, lambda t: similarity(t, k)):.2f} at k = {k:,}" for k in ks)
    falls = [f"{LAYERS[a]}-{LAYERS[b]}" for a, b in PAIRS
             if any(mean(trainings, lambda t: t.nnts[more][a, b] - t.nnts[k][a, b]) < 0 for k, more in zip(ks, ks[1:]))]
    return f"The mean over all pairs of layers is {means}." + (
        f" {len(falls)} of {len(PAIRS)} pairs fall at some step: {listed(falls[:8])}{' and others' if falls[8:] else ''}."
        if falls else " Every pair grows at every step.")


LAST_PAIRS = [(a, b) for a, b in PAIRS if LAYERS[a] in LAST and LAYERS[b] in LAST]
OTHER_PAIRS = [pair for pair in PAIRS if pair not in LAST_PAIRS]


def change(t, pairs=None):
    """What the last step of the ladder adds to NNTS."""
    k, more = list(t.nnts)[-2:]
    return similarity(t, more, pairs) - similarity(t, k, pairs)


def change_text(trainings):
    k, more = list(trainings[0].nnts)[-2:]
    falling = mean(trainings, lambda t: np.mean([t.nnts[more][p] < t.nnts[k][p] for p in PAIRS]))
    last, others = (mean(trainings, lambda t: change(t, pairs)) for pairs in (LAST_PAIRS, OTHER_PAIRS))
    return (f"From k = {k:,} to {more:,}, NNTS falls for {100 * falling:.0f} % of the pairs of layers. Between {listed(LAST)} "
            f"it changes by {last:+.3f}, elsewhere by {others:+.3f}.")


def to_one(t):
    """NNTS where k is nearest to nine tenths of the samples."""
    return similarity(t, min(t.nnts, key=lambda k: abs(10 * k - 9 * t.n)))


def rises_to_one(t):
    means = [similarity(t, k) for k in t.nnts if 5 * k >= t.n]
    return bool(means) and all(a < b for a, b in zip(means, means[1:])) and means[-1] == 1


def to_one_text(trainings):
    t = trainings[0]
    means = "; ".join(f"{mean(trainings, lambda t: similarity(t, k)):.2f} (chance: {t.chance[k]:.2f}) at k = {k:,}" for k in t.nnts)
    return (f"For {t.n:,} samples the mean NNTS is {means}. At k = n - 1 everyone is everyone's neighbour, so 1 says nothing of "
            "the network: what counts is how far NNTS lies above what random neighbours would have.")


# ---- NNTP ----


def present(nntp, v):
    """The pairs of layer v, by the first and the last layer of their runs."""
    return nntp[:v + 1, v:]


def transient_shares(nntp):
    return np.array([nntp[v, v] / present(nntp, v).sum() for v in range(len(nntp))])


def plural_layers(nntp):
    """Where transient pairs are the largest group of all pairs present."""
    return [v for v in range(len(nntp)) if nntp[v, v] == present(nntp, v).max()]


def transient_text(trainings):
    share = np.mean([transient_shares(t.nntp) for t in trainings], 0)
    often = [LAYERS[v] for v in range(len(LAYERS)) if 2 * sum(v in plural_layers(t.nntp) for t in trainings) > len(trainings)]
    most = int(share.argmax())
    return (f"Transient pairs, which one operation makes and the next one parts, are the largest group in {listed(often)}. They "
            f"make {100 * share[0]:.0f} % of the pairs of I (paper: {100 * transient_shares(paper())[0]:.0f} %); the most are in "
            f"{LAYERS[most]}, {100 * share[most]:.0f} %.")


def lasting(nntp):
    """Runs of several layers, largest group first: (count, first, last)."""
    return sorted(((nntp[a, b], a, b) for a, b in PAIRS), reverse=True)


def rank(nntp, first, last):
    return 1 + [(a, b) for _, a, b in lasting(nntp)].index((at(first), at(last)))


def c1_p1_text(trainings):
    total = np.mean([t.nntp for t in trainings], 0)
    count, a, b = lasting(total)[0]
    share = mean(trainings, lambda t: t.nntp[at("C1"), at("P1")] / t.nntp[at("C1")].sum())
    papers = paper()[at("C1"), at("P1")] / paper()[at("C1")].sum()
    return (f"Runs from C1 to P1 are number {rank(total, 'C1', 'P1')} of the {len(PAIRS)} groups that last; the largest is from "
            f"{LAYERS[a]} to {LAYERS[b]}, {count / 1000:.0f} thousand. Of the pairs that C1 brings together, {100 * share:.0f} % are "
            f"last seen at P1 (paper: {100 * papers:.0f} %): that much of it C2 undoes.")


def through(nntp, before, after):
    """The share of the pairs of one layer that all operations up to another one keep."""
    return nntp[:before + 1, after:].sum() / present(nntp, before).sum()


def through_c2_r2(nntp):
    return through(nntp, at("P1"), at("R2"))


def through_text(trainings):
    steps = np.array([[through(t.nntp, v - 1, v) for v in range(1, len(LAYERS))] for t in trainings]).mean(0)
    order = [LAYERS[1 + i] for i in np.argsort(steps)]
    c2, r2 = steps[at("C2") - 1], steps[at("R2") - 1]
    return (f"C2 keeps {100 * c2:.0f} % of the pairs that it is given and R2 {100 * r2:.0f} %. The operations that keep least are "
            f"{listed(order[:3])}: what rearranges neighbours most is no candidate for removal, by this measure.")


def paper():
    table = np.zeros((len(LAYERS),) * 2)
    for v, line in enumerate(PAPERS_TABLE.split("\n")[1:]):
        table[v, v:] = [1000 * float(x) for x in line.split()]
    return table


CLAIMS = [
    Claim("Similarity has blocks: it drops where the layer number changes",
          "mean NNTS of steps inside a layer, less that of steps into the next one, at the smallest k; holds if every step into "
          "the next layer is less alike than those beside it, at every k", "above 0",
          lambda t: block_gap(t, min(t.nnts)), lambda t: all(is_border([t], k, a, b) for k in t.nnts for a, b in BETWEEN),
          blocks_text),
    Claim("P1 is only marginally less similar to M3 than R2 is, by about 0.05",
          "NNTS(R2, M3) - NNTS(P1, M3) at the smallest k; holds from 0 to 0.1", "about 0.05",
          r2_over_p1, lambda t: 0 < r2_over_p1(t) <= 0.1, removal_text),
    Claim("From k = 15 to 6,000 similarity grows between all layers",
          "share of the 66 pairs of layers that grow at every step", "all",
          growth, lambda t: growth(t) == 1, growth_text, "{:.2f}"),
    Claim("From k = 6,000 to 12,000 it falls, most between the last operations",
          "mean change of NNTS; holds if it is below 0, and lower between M3, R3 and O than elsewhere", "below 0",
          change, lambda t: change(t) < 0 and change(t, LAST_PAIRS) < change(t, OTHER_PAIRS), change_text, "{:+.3f}"),
    Claim("It tends to 1 as k nears n",
          "mean NNTS at k = 0.9 n; holds if from k = n / 5 on it rises up to 1 at k = n - 1", "expected",
          to_one, rises_to_one, to_one_text, of_subset=True),
    Claim("In many layers, transient pairs are the largest group",
          "layers where they are, of 12; holds from 6", f"{len(plural_layers(paper()))}",
          lambda t: len(plural_layers(t.nntp)), lambda t: len(plural_layers(t.nntp)) >= 6, transient_text, "{:.1f}"),
    Claim("Runs from C1 to P1 are by far the largest group that lasts",
          "thousands of them; holds if no group that lasts is larger", f"{paper()[at('C1'), at('P1')] / 1000:.0f}",
          lambda t: t.nntp[at("C1"), at("P1")] / 1000, lambda t: rank(t.nntp, "C1", "P1") == 1, c1_p1_text, "{:.1f}"),
    Claim("C2 and R2 are nearly redundant: they let most pairs through",
          "share of the pairs of P1 that get through both; holds above 1/2", f"{through_c2_r2(paper()):.2f}",
          lambda t: through_c2_r2(t.nntp), lambda t: through_c2_r2(t.nntp) > 0.5, through_text, "{:.2f}"),
]


# ---- the page ----


def read(path):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pipeline", "python"))
    import kith  # this checkout's
    stack = kith.stack(path)
    if stack.layers != LAYERS:
        sys.exit(f"claims: {path}: has layers {' '.join(stack.layers)}, not LeNet-5's {' '.join(LAYERS)}")
    if len(stack.ks) < 3:
        sys.exit(f"claims: {path}: has k={','.join(map(str, stack.ks))}: what is claimed of a ladder takes three k at least")
    return Training(path, stack.n, {k: stack.nnts(k, labels=False) for k in stack.ks},
                    {k: stack.expected(k) for k in stack.ks}, stack.nntp(graph="union", labels=False))


def verdict(held):
    return "holds" if all(held) else f"holds in {sum(held)} of {len(held)}" if any(held) else "does not hold"


def figure(claim, trainings):
    values = [claim.figure(t) for t in trainings]
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
    return claim.shown.format(np.mean(values)) + (f" ± {claim.shown.replace('+', '').format(error)}" if error is not None else "")


def rows(trainings, subsets):
    for claim in CLAIMS:
        chosen = subsets if claim.of_subset else trainings
        if chosen:
            yield claim, chosen


def page(trainings, subsets):
    count, n, ks = len(trainings), trainings[0].n, ", ".join(f"{k:,}" for k in trainings[0].nnts)
    lines = [f"{count} training{'s' if count > 1 else ''}, n = {n:,} samples, k = {ks}; figures are the mean over the trainings"
             + (" ± its standard error." if count > 1 else "."), "",
             "| | the paper says | figure | paper | here | verdict |", "|---|---|---|---|---|---|"]
    found = list(rows(trainings, subsets))
    for number, (claim, chosen) in enumerate(found, 1):
        lines.append(f"| {number} | {claim.says} | {claim.figure_is} | {claim.paper} | {figure(claim, chosen)} | "
                     f"**{verdict([bool(claim.holds(t)) for t in chosen])}** |")
    lines += ["", "What the data says:", ""]
    lines += [f"{number}. {claim.text(chosen)}" for number, (claim, chosen) in enumerate(found, 1)]
    return "\n".join(lines) + "\n"


def replace(path, write):
    with open(path + ".part", "w", newline="") as file:
        write(file)
    os.replace(path + ".part", path)


def write_csv(file, trainings, subsets):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["claim", "stack", "figure", "holds"])
    for claim, chosen in rows(trainings, subsets):
        writer.writerows([claim.says, t.name, f"{claim.figure(t):.6g}", "yes" if claim.holds(t) else "no"] for t in chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", metavar="DIR", required=True, help="where claims.md and claims.csv go")
    parser.add_argument("--subset", metavar="STACK.json", nargs="+", default=[], help="results of fewer samples, k up to all")
    parser.add_argument("stacks", metavar="STACK.json", nargs="+", help="results of trainings")
    args = parser.parse_args()
    trainings, subsets = [read(path) for path in args.stacks], [read(path) for path in args.subset]
    for group in (trainings, subsets):
        if any((t.n, list(t.nnts)) != (group[0].n, list(group[0].nnts)) for t in group):
            sys.exit("claims: trainings are compared at one n and one ladder of k; these have several")
    os.makedirs(args.out, exist_ok=True)
    replace(os.path.join(args.out, "claims.md"), lambda file: file.write(page(trainings, subsets)))
    replace(os.path.join(args.out, "claims.csv"), lambda file: write_csv(file, trainings, subsets))


if __name__ == "__main__":
    main()
