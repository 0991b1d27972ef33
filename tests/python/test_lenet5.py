"""examples/lenet5/lenet5.py: its reader, training and recording."""

import gzip
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip("torch")
LENET5 = os.path.join(ROOT, "examples", "lenet5")
sys.path.insert(0, LENET5)
import lenet5


def write_idx(path, array, magic=None, cut=0):
    raw = struct.pack(f">{1 + array.ndim}I", magic or 0x0800 + array.ndim, *array.shape) + array.tobytes()
    raw = raw[:len(raw) - cut]
    write(path, gzip.compress(raw, 1) if path.endswith(".gz") else raw)


def write(path, raw):
    with open(path, "wb") as file:
        file.write(raw)


class Lenet5Test(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = os.path.join(self.folder.name, "data")
        os.mkdir(self.data)
        rng = np.random.default_rng(3)
        self.images = rng.integers(0, 256, (150, 28, 28), dtype=np.uint8)
        self.labels = np.arange(150, dtype=np.uint8) % 10
        for part, dot in (("train", "-"), ("t10k", ".")):
            write_idx(self.path(f"{part}-images{dot}idx3-ubyte.gz"), self.images)
            write_idx(self.path(f"{part}-labels{dot}idx1-ubyte"), self.labels)

    def path(self, name):
        return os.path.join(self.data, name)

    def run_script(self, out, *options):
        return subprocess.run([sys.executable, "-B", os.path.join(LENET5, "lenet5.py"), "--data", self.data,
                               "--epochs", "1", "--out", os.path.join(self.folder.name, out), *options],
                              capture_output=True, text=True)

    def test_twelve_operations(self):
        self.assertEqual([n for n, _ in lenet5.lenet5().named_children() if n != "flatten"], lenet5.LAYERS[1:])

    def test_run(self):
        sizes = [784, 4704, 4704, 1176, 1600, 1600, 400, 120, 120, 84, 84, 10]
        run = self.run_script("a", "--limit", "140")
        self.assertEqual(run.returncode, 0, run.stderr)
        folder = os.path.join(self.folder.name, "a", "activations")
        for name, size in zip(lenet5.LAYERS, sizes):
            array = np.load(os.path.join(folder, name + ".npy"))
            self.assertEqual((len(array), array[0].size), (140, size), name)
        pixels = np.load(os.path.join(folder, "I.npy"))
        np.testing.assert_array_equal(pixels[:, 0] * 256, self.images[:140])  # exactly, and in file order

        again = self.run_script("a", "--limit", "140")
        self.assertIn("trained already", again.stderr)
        self.assertIn("recorded already", again.stderr)
        self.run_script("b", "--limit", "140")
        other = np.load(os.path.join(self.folder.name, "b", "activations", "O.npy"))
        np.testing.assert_array_equal(np.load(os.path.join(folder, "O.npy")), other)  # the same seed, the same network

        more = self.run_script("a", "--limit", "140", "--seed", "2")
        self.assertNotIn("already", more.stderr)
        self.assertFalse((np.load(os.path.join(folder, "O.npy")) == other).all())

    def test_bad_data(self):
        cases = [
            ("no train-images-idx3-ubyte.gz", lambda path: os.remove(path)),
            ("00000999, not 00000803", lambda path: write_idx(path, self.images, magic=0x999)),
            ("truncated", lambda path: write_idx(path, self.images, cut=1)),
            ("too short", lambda path: write_idx(path, self.images, cut=self.images.size + 3)),
            ("14 x 56, not 28 x 28", lambda path: write_idx(path, self.images.reshape(150, 14, 56))),
            ("150 labels for 149 images", lambda path: write_idx(path, self.images[1:])),
            ("[Nn]ot a gzip", lambda path: write(path, b"hello")),
            ("end-of-stream", lambda path: write(path, gzip.compress(bytes(999))[:-10])),
        ]
        for pattern, spoil in cases:
            with self.subTest(pattern):
                write_idx(self.path("train-images-idx3-ubyte.gz"), self.images)
                spoil(self.path("train-images-idx3-ubyte.gz"))
                with self.assertRaisesRegex(lenet5.DataError, pattern):
                    lenet5.load(self.data, "train")
        self.labels[3] = 10
        write_idx(self.path("train-images-idx3-ubyte.gz"), self.images)
        write_idx(self.path("train-labels-idx1-ubyte"), self.labels)
        with self.assertRaisesRegex(lenet5.DataError, "labels must be 0 to 9"):
            lenet5.load(self.data, "train")
        run = self.run_script("c")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, "^lenet5: .*train-labels-idx1-ubyte: labels must be")

