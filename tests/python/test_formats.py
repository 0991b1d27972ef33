"""Files of other formats, as their own libraries write them: the graph is that of the .npy. And what kith does not read, it says
how to convert: in two lines of Python, which are run here."""

import re
import shutil
import subprocess

import kith
import numpy as np
import pytest
from conftest import ROOT

try:
    import h5py
except ImportError:
    h5py = None

DATA = ROOT + "/tests/data/formats/"
X = (np.arange(42).reshape(7, 3, 2) / 4 - 3)


def write_bin(path, x, dtype):
    with open(path, "wb") as file:
        np.array(x.shape, "<u4").tofile(file)
        x.astype(dtype).tofile(file)


def write_vecs(path, x, dtype):
    rows = np.zeros(len(x), [("d", "<i4"), ("x", dtype, x.shape[1])])
    rows["d"], rows["x"] = x.shape[1], x
    rows.tofile(path)


def test_one_graph(here, rng):
    """Bit for bit, from every format that holds the values."""
    x = rng.integers(0, 120, (300, 12)).astype("f4")  # which all types hold
    np.save("x.npy", x)
    np.savez("x.npz", a=x, b=x * 2)
    np.savez_compressed("y.npz", x)
    names = ["x.npz:a", "y.npz"]
    for name, dtype in (("fbin", "<f4"), ("f16bin", "<f2"), ("u8bin", "u1"), ("i8bin", "i1")):
        write_bin(f"x.{name}", x, dtype)
        names.append(f"x.{name}")
    for name, dtype in (("fvecs", "<f4"), ("bvecs", "u1")):
        write_vecs(f"x.{name}", x, dtype)
        names.append(f"x.{name}")
    if h5py:
        with h5py.File("x.h5", "w") as file:
            file["plain"] = x
            file.create_dataset("chunked", data=x, chunks=(7, 5))
            file.create_dataset("gzip", data=x.astype(">f8"), chunks=(64, 12), compression="gzip", shuffle=True)
        names += ["x.h5:plain", "x.h5:/chunked", "x.h5:gzip"]
    want = kith.knn("x.npy", 5, out="want.nng")
    for name in names:
        got = kith.knn(name, 5, out="got.nng")
        np.testing.assert_array_equal(got.ids[:], want.ids[:])
        for memory in ("8M", "1G"):
            subprocess.run([kith._lib.program("kith-knn"), "-q", "-m", memory, "-k", "5", "-o", "got.nng", name], check=True)
    for i, part in enumerate(np.split(x, [100, 101, 250])):
        np.savez(f"part-{i}.npz", h=part)
    np.testing.assert_array_equal(kith.knn("part-*.npz:h", 5).ids[:], want.ids[:])


@pytest.mark.parametrize("name, module", [("acts.pt", "torch"), ("old.pth:layer", "torch"), ("acts2.pkl", "pickle"),
                                          ("acts5.pkl", "pickle"), ("acts.mat", "scipy.io"), ("acts.mat:acts", "scipy.io"),
                                          ("acts73.mat", "h5py"), ("acts73.mat:acts", "h5py")])
def test_two_lines(here, name, module):
    pytest.importorskip(module)
    file = name.split(":")[0]
    shutil.copy(DATA + file, file)
    done = subprocess.run([kith._lib.program("kith-knn"), "-q", "-k", "2", "-o", "x.nng", name], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    first, second = re.search(r"convert it: \(1\) (.*) \(2\) (.*)\n", done.stderr).groups()
    exec(f"{first}\n{second}", {})
    np.testing.assert_array_equal(np.load(file + ".npy"), X)
    kith.knn(file + ".npy", 2)


def test_folders(here):
    """A zarr array is a folder; other folders are not."""
    for name, text in (("x.zarr/.zarray", "zarr.open('x.zarr', mode='r')"), ("other/x", "is a directory")):
        folder = here / name.split("/")[0]
        folder.mkdir()
        (here / name).touch()
        done = subprocess.run([kith._lib.program("kith-knn"), "-q", "-k", "2", "-o", "x.nng", folder.name], stderr=subprocess.PIPE,
                              text=True)
        assert done.returncode == 2 and text in done.stderr
