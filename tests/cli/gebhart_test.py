"""examples/gebhart from training to tables on a small data set, its tables against a plain reading of the same files; needs
KITH_BIN, the folder of kith's programs."""

import csv
import gzip
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
GEBHART = os.path.join(EXAMPLES, "gebhart")
BIN = os.path.abspath(os.environ["KITH_BIN"])
sys.dont_write_bytecode = True
sys.path.insert(0, GEBHART)
import gebhart
import table

ATTACKED = 60
GRAPHS = ["I", "C1", "C2", "F1", "O", "H0"]


def write_idx(path, array):
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes())


def show(*arguments):
    text = subprocess.run([os.path.join(BIN, "kith-show"), *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split("\t") for line in text.splitlines() if line[0] != "#"]


class GebhartTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.data, cls.out = os.path.join(folder.name, "data"), os.path.join(folder.name, "out")
        os.mkdir(cls.data)
        random = np.random.default_rng(5)
        patterns = random.integers(0, 200, (10, 28, 28))
        for part, n in (("train", 640), ("t10k", 200)):
            labels = random.integers(0, 10, n).astype(np.uint8)
            images = patterns[labels] + random.integers(0, 56, (n, 28, 28))
            write_idx(os.path.join(cls.data, part + "-images-idx3-ubyte.gz"), images.astype(np.uint8))
            write_idx(os.path.join(cls.data, part + "-labels-idx1-ubyte.gz"), labels)
        cls.said = cls.train(cls.out)
        cls.make(cls.out)
        cls.known = np.load(os.path.join(cls.out, "adversaries.npz"))

    @classmethod
    def train(cls, out, *options):
        return subprocess.run([sys.executable, "-B", os.path.join(GEBHART, "gebhart.py"), "--data", cls.data, "--out", out,
                               "--attacked", str(ATTACKED), "--epochs", "8", "--threads", "1", *options], check=True,
                              stderr=subprocess.PIPE, text=True).stderr

    @staticmethod
    def make(out):
        make = subprocess.run(["make", "-s", "-C", GEBHART, f"OUT={out}", f"KITH_BIN={BIN}", f"PYTHON={sys.executable} -B",
                               "NEAR=90"], stderr=subprocess.PIPE, text=True)
        if make.returncode:
            raise AssertionError(make.stderr)

    def rows(self, name):
        with open(os.path.join(self.out, name), newline="") as file:
            return list(csv.DictReader(file))

    def load(self, *path):
        return np.load(os.path.join(self.out, *path))

    def test_sets(self):
        count = len(self.known["twin"])
        self.assertGreater(count, 0.6 * ATTACKED)
        labels, logits = self.load("both", "labels.npy"), self.load("both", "O.npy")
        self.assertEqual(len(labels), 2 * ATTACKED + count)
        np.testing.assert_array_equal(logits[2 * ATTACKED:].argmax(1), self.known["taken_for"])
        self.assertTrue((logits[2 * ATTACKED:].argmax(1) != labels[2 * ATTACKED:]).all())
        twin = self.known["twin"]
        np.testing.assert_array_equal(labels[2 * ATTACKED:], labels[twin])
        np.testing.assert_array_equal(np.flatnonzero(logits[:ATTACKED].argmax(1) == labels[:ATTACKED]), twin)
        images = self.load("both", "I.npy")
        np.testing.assert_array_equal(images[2 * ATTACKED:], self.known["images"])
        self.assertGreaterEqual(images.min(), -1)
        self.assertLessEqual(images.max(), 255 / 128 - 1)
        np.testing.assert_array_equal(self.load("first", "C2.npy"), self.load("both", "C2.npy")[:ATTACKED // 2])
        np.testing.assert_allclose(self.load("twins", "F1.npy")[ATTACKED:], self.load("both", "F1.npy")[2 * ATTACKED:], rtol=1e-4, atol=1e-4)

    def test_once(self):
        self.assertIn("adversaries, pixels changed", self.said)
        again = self.train(self.out)
        self.assertIn("trained already", again)
        self.assertIn("recorded already", again)

    def test_rows(self):
        """The rows that the SVM gets, from the edges as kith-show lists them."""
        both, program = os.path.join(self.out, "both"), os.path.join(BIN, "kith-show")
        path = os.path.join(both, "without-image.kh0")
        classes, edges = {}, {}
        for sample, class_, _, _, lifetime, *_ in show(path):
            classes.setdefault(int(sample), []).append((float(lifetime), int(class_)))
        for sample, _, _, _, _, _, class_ in show("--edges", path):
            edges.setdefault(int(sample), []).append(class_)
        for order, count in (("birth", 3), ("lifetime", 5)):
            got = list(table.generator_rows(program, both, "without-image", "one", (count, order)))
            whole = list(table.generator_rows(program, both, "without-image", "one", None))
            self.assertEqual(len(got), len(edges))
            for s, (line, all_) in enumerate(zip(got, whole)):
                by = sorted(classes[s], key=lambda c: -c[0] if order == "lifetime" else c[1])
                chosen = {str(class_) for _, class_ in by[:count]}
                want = [f.split(":")[0] for f, c in zip(all_.split()[1:], edges[s]) if c in chosen]
                self.assertEqual([f.split(":")[0] for f in line.split()[1:]], want)
                self.assertAlmostEqual(sum(float(f.split(":")[1]) ** 2 for f in line.split()[1:]), 1, places=6)
                self.assertEqual(line.split()[0], str(self.load("both", "labels.npy")[s]))
        lifetimes = list(table.generator_rows(program, both, "without-image", "lifetime", None))
        for s in (0, 7, len(edges) - 1):
            of = dict((str(c), life) for life, c in classes[s])
            want = np.array([of[c] for c in edges[s] if c != "-"])
            np.testing.assert_allclose([float(f.split(":")[1]) for f in lifetimes[s].split()[1:]], want / np.linalg.norm(want), rtol=1e-8)
        pixels = list(table.activation_rows(both, "I"))
        image = self.load("both", "I.npy")[3].ravel()
        np.testing.assert_allclose([float(f.split(":")[1]) for f in pixels[3].split()[1:]], image[image != 0] / np.linalg.norm(image), rtol=1e-6)

    def test_table(self):
        rows = self.rows("table.csv")
        self.assertEqual(len(rows), 1 + len(table.GENERATORS) + len(table.CONTROLS))
        self.assertEqual([float(rows[0][c]) for c in ("twin_free", "paired")], [0, 0])
        for row in rows[1:]:
            for column in ("clean", "twin_free", "paired"):
                self.assertTrue(0 <= float(row[column]) <= 1)
        # Patterns that are hard to miss: chance would be 0.1.
        self.assertGreater(float(rows[1]["clean"]), 0.5)
        self.assertGreater(float(rows[6]["clean"]), 0.9)
        parts = [{"0": "0 1:1", "1": "1 2:1"}[str(i % 2)] + "\n" for i in range(8)] + ["0 2:1\n"] * 3
        self.assertEqual(table.accuracies(parts, 4), [1, 0, 0])

    def test_neighbours(self):
        """Against all distances, of a layer; of generators, whose edges are sets."""
        labels, twin, taken_for = self.load("twins", "labels.npy"), self.known["twin"], self.known["taken_for"]
        rows = {row["layer"]: row for row in self.rows("twins.csv")}
        self.assertEqual(list(rows), GRAPHS)
        for layer in GRAPHS:
            if layer == "H0":
                sets = [set() for _ in labels]
                for line, row in enumerate(subprocess.run(
                        [os.path.join(BIN, "kith-show"), "--format", "svmlight", os.path.join(self.out, "twins", "H0.kh0")],
                        check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()):
                    sets[line] = set(row.split()[1:])
                distance = np.array([[1 - len(a & b) / len(a | b) for b in sets[:ATTACKED]] for a in sets[ATTACKED:]])
            else:
                x = self.load("twins", layer + ".npy").reshape(len(labels), -1).astype(np.float64)
                distance = ((x[ATTACKED:, None] - x[None, :ATTACKED]) ** 2).sum(2)
            order = distance.argsort(1, kind="stable")
            self.assertAlmostEqual(float(rows[layer]["twin_nearest"]), (order[:, 0] == twin).mean(), delta=1e-4)
            adversarial = true = 0
            for a, row in enumerate(order):
                others = row[row != twin[a]][:15]
                adversarial += (labels[others] == taken_for[a]).mean() / len(order)
                true += (labels[others] == labels[twin[a]]).mean() / len(order)
            # Ties, of generators; and among the 90 nearest there may be fewer than 16 clean ones.
            self.assertAlmostEqual(float(rows[layer]["adversarial_class"]), adversarial, delta=0.02)
            self.assertAlmostEqual(float(rows[layer]["true_class"]), true, delta=0.02)
        with open(os.path.join(self.out, "twins.svg")) as file:
            self.assertIn("adversarial class", file.read())
        near = {row["layer"]: row for row in self.rows("neighbours.csv")}
        self.assertEqual(float(near["H0"]["nnts_with_h0"]), 1)
        first = self.load("first", "labels.npy")
        x = self.load("first", "C1.npy").reshape(len(first), -1).astype(np.float64)
        order = (((x[:, None] - x) ** 2).sum(2) + np.diag([np.inf] * len(x))).argsort(1)[:, :15]
        self.assertAlmostEqual(float(near["C1"]["label_overlap"]), (first[order] == first[:, None]).mean(), delta=1e-4)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
