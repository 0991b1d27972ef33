"""Which class an SVM gives to clean inputs and to adversaries, by generators and by what they are to be compared with.

    python3 table.py --bin DIR --out TABLE.csv OUT

OUT is gebhart.py's, with both/H0.kh0 and both/without-image.kh0 made of its networks by kith-h0. Rows are scaled to norm 1,
the SVM is LIBLINEAR's (L2 loss, C = 1, one class against the others, with a bias). Columns:

    clean       trained on test images 2,000 to 3,999, which were not attacked, tried on 0 to 1,999
    twin_free   recovery: the same SVM, tried on the adversaries of 0 to 1,999; the share put into the true class
    paired      recovery by an SVM that was trained on 0 to 1,999, among them each adversary's own clean twin

(gebhart.py --attacked N makes these N.)
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

from gebhart import read_json

PARTS = ("attacked", "other", "adversaries")  # test images 0 to 1,999, 2,000 to 3,999, and all further rows
GENERATORS = [  # what the table calls it, file, weights, basins of how many classes of which order
    ("H0, all forest edges, 0/1", "H0", "one", None),
    ("H0 without the image, all forest edges, 0/1", "without-image", "one", None),
    ("H0 without the image, lifetimes", "without-image", "lifetime", None),
    ("H0 without the image, basins of the 50 longest-lived, 0/1", "without-image", "one", (50, "lifetime")),
    ("H0 without the image, basins of the first 3, 0/1", "without-image", "one", (3, "birth")),
]
CONTROLS = [("control: pixels", "I"), ("control: activations C2", "C2"), ("control: activations F1", "F1"),
            ("control: activations O", "O")]


def run(*command):
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    except FileNotFoundError:
        sys.exit(f"table: no {command[0]} (sh setup.sh --examples installs LIBLINEAR)")
    except subprocess.CalledProcessError as error:
        sys.exit(f"table: {command[0]} failed ({error.returncode})")


def shown(kith_show, *arguments):
    """The lines that kith-show prints, but for its header."""
    with subprocess.Popen([kith_show, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if not line.startswith("#"):
                yield line
    if process.returncode:
        sys.exit(f"table: {kith_show} failed ({process.returncode})")


def basins(kith_show, path, count, order):
    """For each sample, in turn, whether each of its forest's edges is in the basin of one of the first classes, by birth or
    by lifetime."""
    lifetimes = {}
    for line in shown(kith_show, path):
        sample, _, _, _, lifetime, _ = line.split("\t", 5)
        lifetimes.setdefault(int(sample), []).append(float(lifetime))
    last, mask = 0, []
    for line in shown(kith_show, "--edges", path):
        sample, _, _, _, _, _, basin = line.split("\t")
        for _ in range(last, int(sample)):
            yield mask
            mask = []
        if int(sample) != last or not mask:
            last = int(sample)
            by = np.argsort(-np.array(lifetimes[last]), kind="stable") if order == "lifetime" else range(len(lifetimes[last]))
            chosen = {str(c) for c in by[:count]}
        mask.append(basin[:-1] in chosen)
    yield mask
    while True:  # samples without an edge
        yield []


def scaled(label, index, value):
    """A line of LIBSVM's format, scaled to norm 1."""
    value = value / (np.sqrt(value @ value) or 1)
    return f"{label} " + " ".join(f"{i}:{v:.9g}" for i, v in zip(index, value)) + "\n"


def scaled_ones(label, index):
    one = f":{(len(index) or 1) ** -0.5:.9g}"
    return f"{label} " + "".join(f"{i}{one} " for i in index) + "\n"


def generator_rows(kith_show, folder, file, weights, classes):
    path = os.path.join(folder, file + ".kh0")
    masks = basins(kith_show, path, *classes) if classes else None
    for line in shown(kith_show, "--format", "svmlight", "--weights", weights, "--labels",
                      os.path.join(folder, "labels.npy"), path):
        label, *features = line.split()
        index = [feature[:feature.index(":")] for feature in features]
        if masks:
            index = [i for i, keep in zip(index, next(masks), strict=True) if keep]
        if weights == "one":
            yield scaled_ones(label, index)
        else:
            yield scaled(label, index, np.array([float(feature[feature.index(":") + 1:]) for feature in features]))


def activation_rows(folder, layer):
    labels = np.load(os.path.join(folder, "labels.npy"))
    for label, row in zip(labels, np.load(os.path.join(folder, layer + ".npy"), mmap_mode="r")):
        row = row.astype(np.float64).ravel()
        index = np.flatnonzero(row)
        yield scaled(label, index + 1, row[index])


def accuracies(rows, attacked):
    """clean, twin_free and paired, of one kind of rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = {name: os.path.join(folder, name) for name in PARTS + ("model", "said")}
        files = {name: open(path[name], "w") for name in PARTS}
        for i, row in enumerate(rows):
            files[PARTS[min(i // attacked, 2)]].write(row)
        for file in files.values():
            file.close()

        def accuracy(train, test):
            run("liblinear-train", "-q", "-s", "1", "-c", "1", "-B", "1", path[train], path["model"])
            return [float(re.search(r"\((\d+)/(\d+)\)", text)[1]) / int(re.search(r"\((\d+)/(\d+)\)", text)[2])
                    for text in (run("liblinear-predict", path[t], path["model"], path["said"]) for t in test)]
        return accuracy("other", ["attacked", "adversaries"]) + accuracy("attacked", ["adversaries"])


def network(folder, attacked):
    """The same of the network itself, which knows no twins."""
    right = np.load(os.path.join(folder, "O.npy")).argmax(1) == np.load(os.path.join(folder, "labels.npy"))
    return [right[:attacked].mean(), right[2 * attacked:].mean(), right[2 * attacked:].mean()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", metavar="DIR", required=True, help="where kith's programs are")
    parser.add_argument("--out", metavar="TABLE.csv", required=True, help="the file to write")
    parser.add_argument("folder", metavar="OUT", help="gebhart.py's folder")
    args = parser.parse_args()
    both, kith_show = os.path.join(args.folder, "both"), os.path.join(args.bin, "kith-show")
    attacked = read_json(os.path.join(args.folder, "recorded.json"))["attacked"]
    rows = [("the network itself", network(both, attacked))]
    for name, *which in GENERATORS:
        rows.append((name, accuracies(generator_rows(kith_show, both, *which), attacked)))
        print(f"table: {name}: " + ", ".join(f"{value:.4f}" for value in rows[-1][1]), file=sys.stderr, flush=True)
    for name, layer in CONTROLS:
        rows.append((name, accuracies(activation_rows(both, layer), attacked)))
    with open(args.out + ".part", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["features", "clean", "twin_free", "paired"])
        writer.writerows([name, *(f"{value:.4f}" for value in values)] for name, values in rows)
    os.replace(args.out + ".part", args.out)


if __name__ == "__main__":
    main()
