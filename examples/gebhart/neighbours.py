"""Neighbours by generators and by the activations of each layer.

    python3 neighbours.py --bin DIR OUT

OUT is gebhart.py's, with the graphs, stack.json and pairs.kpr of its sets first and twins made by the Makefile beside this
file. Writes

    OUT/neighbours.csv   of each layer: NNTS with H0, and label overlap: the share of neighbours of the sample's own class
    OUT/twins.csv        of adversaries among clean inputs, in each layer: how many have their clean twin as their nearest
                         clean input; of the other 15 nearest clean inputs, the share of the class that the network takes
                         the adversary for, and that of its true class; how many are a pair with their twin (k = 15, union),
                         and how many of these pairs have parted in the next layer
    OUT/twins.svg        the shares, from layer to layer
"""

import argparse
import csv
import json
import os
import subprocess
import sys

import numpy as np

from gebhart import LAYERS, read_json

NEAREST = 15
INK, LINES = "#333", {"true class": "#4477aa", "adversarial class": "#cc3311"}


def run(program, *arguments):
    try:
        return subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    except subprocess.CalledProcessError as error:
        sys.exit(f"neighbours: {program} failed ({error.returncode})")


def ranked(kith_show, path):
    """n x k: each sample's neighbours, nearest first."""
    rows = np.array([line.split("\t", 2)[:2] for line in run(kith_show, path).splitlines() if line[0] != "#"], dtype=np.int64)
    n = rows[-1, 0] + 1
    return rows[:, 1].reshape(n, -1)


def write_csv(path, header, rows):
    with open(path + ".part", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([f"{value:.4f}" if isinstance(value, float) else value for value in row] for row in rows)
    os.replace(path + ".part", path)


def neighbours(folder, graphs, kith_show):
    labels = np.load(os.path.join(folder, "labels.npy"))
    overlap = {g: float((labels[ranked(kith_show, os.path.join(folder, g + ".nng"))] == labels[:, None]).mean()) for g in graphs}
    with open(os.path.join(folder, "stack.json")) as file:
        stack = json.load(file)
    names = [layer["name"] for layer in stack["layers"]]
    nnts = dict(zip(names, stack["nnts"][0]["mean"][names.index("H0")])) if "H0" in names else {}
    return [[g, nnts.get(g, ""), overlap[g]] for g in graphs]


def twins(folder, out, graphs, programs):
    attacked = read_json(os.path.join(out, "recorded.json"))["attacked"]
    known = np.load(os.path.join(out, "adversaries.npz"))
    twin, taken_for = known["twin"], known["taken_for"]
    labels = np.load(os.path.join(folder, "labels.npy"))
    rows = []
    for g in graphs:
        near = ranked(programs["show"], os.path.join(folder, g + ".nng"))[attacked:]
        first, adversarial, true, seen = 0, 0, 0, 0
        for a, row in enumerate(near):
            clean = row[row < attacked]
            first += len(clean) > 0 and clean[0] == twin[a]
            others = clean[clean != twin[a]][:NEAREST]
            seen += len(others)
            adversarial += (labels[others] == taken_for[a]).sum()
            true += (labels[others] == labels[attacked + a]).sum()
        if seen < NEAREST * len(near):
            print(f"neighbours: {g}: {seen} of {NEAREST * len(near)} clean neighbours are among the "
                  f"{near.shape[1]} nearest: the shares are of these", file=sys.stderr)
        pairs = {}
        for question in ("persist", "dies"):
            text = run(programs["pairs"], "-k", str(NEAREST), "--" + question, g, os.path.join(folder, "pairs.kpr"))
            found = {tuple(map(int, line.split("\t", 2)[:2])) for line in text.splitlines() if line[0] != "#"}
            pairs[question] = sum((int(t), attacked + a) in found for a, t in enumerate(twin))
        rows.append([g, first / len(near), adversarial / seen, true / seen, pairs["persist"],
                     pairs["dies"] if g in LAYERS[:-1] else ""])
    return len(twin), rows


def figure(path, count, rows):
    """The shares by layer: H0, no layer, stands apart."""
    width, height, left, top = 90 * len(rows) + 150, 330, 60, 40
    x = [left + 45 + 90 * i + (20 if row[0] == "H0" else 0) for i, row in enumerate(rows)]

    def y(share):
        return top + 230 * (1 - share)

    def text(at, share, words, anchor="middle", colour=INK):
        return f'<text x="{at}" y="{y(share) if share is not None else 295}" text-anchor="{anchor}" fill="{colour}">{words}</text>'

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>',
             f'<text x="{left}" y="20" fill="{INK}">Classes among the 15 clean inputs nearest to an adversary, its twin left out</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path d="M{left} {y(share)}H{x[-1] + 40}" stroke="#ddd"/>' + text(left - 8, share - 0.02, f"{share:g}", "end"))
    for line, (name, colour) in enumerate(LINES.items()):
        shares = [row[2] if name == "adversarial class" else row[3] for row in rows]
        layers = [i for i, row in enumerate(rows) if row[0] != "H0"]
        parts.append(f'<path d="M{" L".join(f"{x[i]} {y(shares[i]):.1f}" for i in layers)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for i, share in enumerate(shares):
            parts.append(f'<circle cx="{x[i]}" cy="{y(share):.1f}" r="4" fill="{colour}"/>' +
                         text(x[i], share + 0.05, f"{100 * share:.0f} %", colour=colour))
        parts.append(f'<text x="{left + 160 * line}" y="320" fill="{colour}">{name}</text>')
    parts += [text(at, None, row[0]) for at, row in zip(x, rows)]
    with open(path + ".part", "w") as file:
        file.write("\n".join(parts) + f"\n<!-- {count} adversaries -->\n</svg>\n")
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", metavar="DIR", required=True, help="where kith's programs are")
    parser.add_argument("folder", metavar="OUT", help="gebhart.py's folder")
    args = parser.parse_args()
    out, programs = args.folder, {name: os.path.join(args.bin, "kith-" + name) for name in ("show", "pairs")}
    first, both = os.path.join(out, "first"), os.path.join(out, "twins")
    graphs = [g for g in LAYERS + ["H0"] if os.path.exists(os.path.join(both, g + ".nng"))]
    write_csv(os.path.join(out, "neighbours.csv"), ["layer", "nnts_with_h0", "label_overlap"],
              neighbours(first, graphs, programs["show"]))
    count, rows = twins(both, out, graphs, programs)
    write_csv(os.path.join(out, "twins.csv"),
              ["layer", "twin_nearest", "adversarial_class", "true_class", "paired_with_twin", "part_in_next"], rows)
    figure(os.path.join(out, "twins.svg"), count, rows)


if __name__ == "__main__":
    main()
