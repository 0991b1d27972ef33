"""examples/lenet5/lenet5.py: its reader, training and recording."""

import gzip
import os
import re
import struct
import sys

import numpy as np
import pytest
from conftest import ROOT, run_script

torch = pytest.importorskip("torch")
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


@pytest.fixture
def data(here, rng):
    """150 images and labels, in both spellings of their files."""
    os.mkdir("data")
    images, labels = rng.integers(0, 256, (150, 28, 28), dtype=np.uint8), np.arange(150, dtype=np.uint8) % 10
    for part, dot in (("train", "-"), ("t10k", ".")):
        write_idx(f"data/{part}-images{dot}idx3-ubyte.gz", images)
        write_idx(f"data/{part}-labels{dot}idx1-ubyte", labels)
    return images, labels


@pytest.fixture
def run(monkeypatch, capsys):
    def run(out, *options):
        code = run_script(monkeypatch, os.path.join(LENET5, "lenet5.py"), "--data", "data", "--epochs", "1", "--out", out, *options)
        return code, capsys.readouterr().err
    yield run
    torch.use_deterministic_algorithms(False)


def test_twelve_operations():
    assert [name for name, _ in lenet5.lenet5().named_children() if name != "flatten"] == lenet5.LAYERS[1:]


def test_run(data, run):
    sizes = [784, 4704, 4704, 1176, 1600, 1600, 400, 120, 120, 84, 84, 10]
    assert run("a", "--limit", "140")[0] is None
    for name, size in zip(lenet5.LAYERS, sizes):
        array = np.load(f"a/activations/{name}.npy")
        assert (len(array), array[0].size) == (140, size)
    pixels = np.load("a/activations/I.npy")
    np.testing.assert_array_equal(pixels[:, 0] * 256, data[0][:140])  # exactly, and in file order

    said = run("a", "--limit", "140")[1]
    assert "trained already" in said and "recorded already" in said
    run("b", "--limit", "140")
    other = np.load("b/activations/O.npy")
    np.testing.assert_array_equal(np.load("a/activations/O.npy"), other)  # the same seed, the same network

    assert "already" not in run("a", "--limit", "140", "--seed", "2")[1]
    assert not (np.load("a/activations/O.npy") == other).all()


@pytest.mark.parametrize("pattern, spoil", [
    ("no train-images-idx3-ubyte.gz", lambda path, images: os.remove(path)),
    ("00000999, not 00000803", lambda path, images: write_idx(path, images, magic=0x999)),
    ("truncated", lambda path, images: write_idx(path, images, cut=1)),
    ("too short", lambda path, images: write_idx(path, images, cut=images.size + 3)),
    ("14 x 56, not 28 x 28", lambda path, images: write_idx(path, images.reshape(150, 14, 56))),
    ("150 labels for 149 images", lambda path, images: write_idx(path, images[1:])),
    ("[Nn]ot a gzip", lambda path, images: write(path, b"hello")),
    ("end-of-stream", lambda path, images: write(path, gzip.compress(bytes(999))[:-10])),
])
def test_bad_data(data, pattern, spoil):
    spoil("data/train-images-idx3-ubyte.gz", data[0])
    with pytest.raises(lenet5.DataError, match=pattern):
        lenet5.load("data", "train")


def test_bad_labels(data, run):
    data[1][3] = 10
    write_idx("data/train-labels-idx1-ubyte", data[1])
    code, _ = run("c")
    assert re.match("lenet5: .*train-labels-idx1-ubyte: labels must be 0 to 9", code)  # sys.exit prints it, and exits with 1
