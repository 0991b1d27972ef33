"""examples/lenet5: the recorder against what the network computes, and lenet5.py's reader and training."""

import gzip
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LENET5 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "lenet5")
sys.dont_write_bytecode = True
sys.path.insert(0, LENET5)
import lenet5
from recorder import record


class Net(nn.Module):
    """What is awkward to record: a module run twice, in-place ReLU, a transposed output, a tuple, dropout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.turn = Turn()
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(2, 2)
        self.block = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6))

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = self.turn(x).flatten(2)[:, :4, :].transpose(1, 2)
        x = self.lstm(x)[0][:, -1]
        return self.relu(self.block(self.drop(x)))


class Turn(nn.Module):
    def forward(self, x):
        return x.transpose(1, 3)


class RecorderTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(7)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = os.path.join(self.folder.name, "activations")
        self.net = Net()
        self.x = torch.randn(23, 1, 8, 8)
        self.loader = DataLoader(TensorDataset(self.x, torch.arange(23)), batch_size=5)

    def load(self, name):
        return np.load(os.path.join(self.out, name + ".npy"))

    def left(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []

    def refuses(self, pattern, *args, **options):
        with self.assertRaisesRegex(ValueError, pattern):
            record(self.net, *args, **options)
        self.assertEqual(self.left(), [])
        for module in self.net.modules():
            self.assertFalse(module._forward_hooks or module._forward_pre_hooks)

    def test_values(self):
        paths = record(self.net, self.loader, self.out, ["conv", "relu@0", "relu@1", "turn", "block.0", "block.1"],
                       input="I")
        self.assertEqual([os.path.basename(p) for p in paths],
                         ["I.npy", "conv.npy", "relu@0.npy", "relu@1.npy", "turn.npy", "block.0.npy", "block.1.npy"])
        self.assertEqual(self.left(), sorted(os.path.basename(p) for p in paths))
        self.net.eval()
        with torch.no_grad():
            conv = torch.cat([self.net.conv(x) for x in self.x.split(5)])
            last = torch.cat([self.net(x) for x in self.x.split(5)])
        np.testing.assert_array_equal(self.load("I"), self.x.numpy())
        np.testing.assert_array_equal(self.load("conv"), conv.numpy())  # although relu overwrites it
        self.assertLess(self.load("conv").min(), 0)
        np.testing.assert_array_equal(self.load("relu@0"), conv.clamp(min=0).numpy())
        np.testing.assert_array_equal(self.load("turn"), conv.clamp(min=0).transpose(1, 3).numpy())
        np.testing.assert_array_equal(self.load("relu@1"), last.numpy())  # in eval mode: without dropout
        for path in paths:
            array = np.load(path)
            self.assertEqual((array.dtype, len(array), array.flags.c_contiguous), (np.dtype("<f4"), 23, True))

    def test_names_dtypes_modes(self):
        self.net.train()
        self.net.conv.eval()
        record(self.net, self.loader, self.out, {"conv": "C0", "block.0": "M"}, dtype="f2")
        self.assertEqual(self.left(), ["C0.npy", "M.npy"])
        self.assertEqual(self.load("C0").dtype, np.dtype("<f2"))
        self.assertTrue(self.net.training and self.net.drop.training)
        self.assertFalse(self.net.conv.training)
        self.net.double()
        double = DataLoader(TensorDataset(self.x.double()), batch_size=23)
        record(self.net, double, self.out, {"conv": "C8", "": "out"}, dtype="f8")
        with torch.no_grad():
            np.testing.assert_array_equal(self.load("C8"), self.net.conv(self.x.double()).numpy())
            np.testing.assert_array_equal(self.load("out"), self.net.eval()(self.x.double()).numpy())

    def test_pick_and_forward(self):
        seen = []

        def forward(model, batch):
            seen.append(len(batch[1]))
            model(x=batch[0])

        record(self.net, self.loader, self.out, ["lstm"], pick={"lstm": lambda o: o[1][0][0]}, forward=forward)
        self.assertEqual(self.load("lstm").shape, (23, 5))
        self.assertEqual(seen, [5, 5, 5, 5, 3])

    def test_one_value_per_sample(self):
        class Sum(nn.Module):
            def forward(self, x):
                return x.sum((1, 2, 3))
        self.net = nn.Sequential(Sum())
        record(self.net, self.loader, self.out, ["0"])
        np.testing.assert_array_equal(self.load("0")[:, 0], torch.cat([x.sum((1, 2, 3)) for x in self.x.split(5)]))

    def test_many_rows_fit_the_header(self):
        loader = DataLoader(TensorDataset(torch.zeros(1000001, 1)), batch_size=100000)
        record(nn.Sequential(nn.Identity()), loader, self.out, ["0"])
        self.assertEqual(self.load("0").shape, (1000001, 1))

    def test_rewrites(self):
        record(self.net, self.loader, self.out, ["conv"])
        first = self.load("conv")
        with self.assertRaises(ValueError):
            record(self.net, self.loader, self.out, ["conv", "unused"])
        np.testing.assert_array_equal(self.load("conv"), first)
        self.assertEqual(self.left(), ["conv.npy"])

    def test_refusals(self):
        self.refuses("no module named 'nope'; the model has: conv, relu", self.loader, self.out, ["nope"])
        self.refuses("no module named 'conv@x'", self.loader, self.out, ["conv@x"])
        self.refuses("a list of names", self.loader, self.out, "conv")
        self.refuses("nothing to record", self.loader, self.out, [])
        self.refuses("relu runs more than once.*'relu@0'", self.loader, self.out, ["conv", "relu"])
        self.refuses("relu@2: relu was called 2 times", self.loader, self.out, ["conv", "relu@2"])
        self.refuses("unused was not called", self.loader, self.out, ["conv", "unused"])
        self.refuses("lstm is a tuple, not a tensor", self.loader, self.out, ["lstm"])
        self.refuses("pick: conv", self.loader, self.out, ["turn"], pick={"conv": lambda o: o})
        self.refuses("lstm has 1 rows in a batch where conv has 5", self.loader, self.out, ["conv", "lstm"],
                     pick={"lstm": lambda o: o[1][0]})
        self.refuses("cannot be a file name", self.loader, self.out, {"conv": "a/b"})
        self.refuses("same file name", self.loader, self.out, {"conv": "a", "turn": "a"})
        self.refuses("dtype 'f9'", self.loader, self.out, ["conv"], dtype="f9")
        self.refuses("batch is a dict.*forward=", [{"x": self.x}], self.out, ["conv"])
        self.refuses("keyword arguments only", self.loader, self.out, ["conv"], input="I",
                     forward=lambda model, batch: model(x=batch[0]))

    def test_counts(self):
        self.refuses("gave 23 samples, 24 were expected", self.loader, self.out, ["conv"], samples=24)
        dropping = DataLoader(TensorDataset(self.x), batch_size=5, drop_last=True)
        self.refuses("gave 20 samples, 23 were expected", dropping, self.out, ["conv"])
        record(self.net, dropping, self.out, ["conv"], samples=20)
        self.assertEqual(len(self.load("conv")), 20)
        os.remove(os.path.join(self.out, "conv.npy"))
        self.refuses("gave no samples", [], self.out, ["conv"])
        self.refuses("not called", self.loader, self.out, ["conv"], forward=lambda model, batch: None)
        self.refuses("model was called more than once", self.loader, self.out, ["conv@0"], input="I",
                     forward=lambda model, batch: [model(batch[0]), model(batch[0])])

    def test_unfit_values(self):
        self.x[13, 0, 2, 2] = float("nan")
        self.refuses("the model's input: row 13 has a NaN or Inf", self.loader, self.out, ["conv"], input="I")
        self.x[13, 0, 2, 2] = 70000
        self.refuses("the model's input: row 13 has a value too large for f2", self.loader, self.out, ["conv"],
                     input="I", dtype="f2")

    def test_shape_changes(self):
        loader = [torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 9, 9)]
        self.refuses(r"conv: row 2 has the shape \(3, 7, 7\)", loader, self.out, ["conv"])

    def test_shuffle_warns(self):
        loader = DataLoader(TensorDataset(self.x), batch_size=5, shuffle=True)
        with self.assertWarnsRegex(UserWarning, "shuffles"):
            record(self.net, loader, self.out, ["conv"])

    def test_interrupted(self):
        def batches():
            yield self.x[:5]
            self.assertEqual(self.left(), ["conv.npy.part"])
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            record(self.net, batches(), self.out, ["conv"])
        self.assertEqual(self.left(), [])
        self.assertFalse(self.net.conv._forward_hooks)


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


if __name__ == "__main__":
    unittest.main()
