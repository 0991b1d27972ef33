"""kith.writer: what it writes, NumPy reads; what is not whole is not there."""

import errno
import fcntl
import os
import warnings

import kith
import numpy as np
import pytest


def test_types_and_batches(here, rng):
    X = rng.normal(size=(23, 3, 2)) * 20
    for dtype, want in (("f2", "<f2"), ("f4", "<f4"), ("f8", "<f8"), ("float32", "<f4"), ("<f4", "<f4"), (None, "<f8")):
        with kith.writer("a.npy", dtype) as file:
            for part in (X[:10], X[10:10], X[10:]):
                file.write(part)
            assert os.listdir() != ["a.npy"] and (file.rows, file.shape) == (23, (3, 2))
        got = np.load("a.npy")
        assert got.dtype == np.dtype(want) and os.listdir() == ["a.npy"]
        np.testing.assert_array_equal(got, X.astype(want))
        os.remove("a.npy")
    for dtype, values in (("u1", X.astype("u1")), ("i1", X.astype("i1")), (None, X.astype("u1")), (None, X.astype("i8")),
                          (None, X > 0), (None, X.astype(">f4")), (None, X[..., 0])):
        with kith.writer("a.npy", dtype) as file:
            file.write(values)
        np.testing.assert_array_equal(np.load("a.npy"), values)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*samples are the same")
            kith.knn("a.npy", 3)  # it is read


def test_many_rows_fit_the_header(here):
    with kith.writer("a.npy") as file:
        for _ in range(11):
            file.write(np.zeros(100000, "f4"))
    assert np.load("a.npy").shape == (1100000, 1)


@pytest.mark.parametrize("how", ["direct", "not known", "refused", "short"])
def test_in_pages(here, rng, monkeypatch, how):
    """Whatever the sizes of batches and of pages, and whatever a file system says to O_DIRECT."""
    control, write, asked = fcntl.fcntl, os.write, []

    def set_flags(fd, command, flags=0):
        if how == "not known" and command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, "Invalid argument")
        return control(fd, command, flags)

    def write_some(fd, data):
        is_direct = bool(control(fd, fcntl.F_GETFL) & os.O_DIRECT)
        asked.append(is_direct)
        if how == "refused" and is_direct and len(asked) > 2:
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(fd, data[:1000] if how == "short" else data)
    monkeypatch.setattr(kith._npy._File, "CHUNK", 8192)
    monkeypatch.setattr(fcntl, "fcntl", set_flags)
    monkeypatch.setattr(os, "write", write_some)
    X = rng.normal(size=(700, 37))
    cuts = [0, 1, 2, 30, 30, 400, 401, 700]
    with kith.writer("a.npy") as file:
        for first, stop in zip(cuts, cuts[1:]):
            file.write(X[first:stop])
        file.flush()
    np.testing.assert_array_equal(np.load("a.npy"), X)
    assert not asked[-1] and len(asked) > X.nbytes // 8192


def test_full_file_system(here, monkeypatch):
    monkeypatch.setattr(kith._npy._File, "CHUNK", 8192)
    write, left = os.write, [20000]

    def write_some(fd, data):
        data = data[:left[0]]
        left[0] -= len(data)
        if not data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)
    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(OSError, match="No space left"):
        with kith.writer("a.npy") as file:
            file.write(np.zeros((700, 37)))
    assert os.listdir() == []


def test_bfloat16(here, rng):
    X = (rng.normal(size=4096) * 10.0 ** rng.integers(-40, 38, 4096)).astype("f4")
    X[:4] = [0, -0.0, 1 + 2 ** -8, 1 + 3 * 2 ** -8]  # two ties: to even
    with kith.writer("a.npy", "bfloat16") as file:
        file.write(X)
    got = np.load("a.npy")
    assert got.dtype == np.dtype("V2")
    back = (got.view("u2").astype("u4") << 16).view("f4").ravel()
    low = (X.view("u4") & 0xffff0000).view("f4").astype("f8")  # the candidates beside each value, and the nearer one
    high = ((X.view("u4") & 0xffff0000) + 0x10000).view("f4").astype("f8")
    even = (X.view("u4") >> 16) % 2 == 0
    down = np.abs(X - low) < np.abs(high - X)
    tie = np.abs(X - low) == np.abs(high - X)
    np.testing.assert_array_equal(back, np.where(down | tie & even, low, high))
    with kith.writer("b.npy") as file:
        file.write(got)
    np.testing.assert_array_equal(np.load("b.npy"), got)
    with kith.writer("c.npy", "f4") as file:
        file.write(got)
    np.testing.assert_array_equal(np.load("c.npy").ravel(), back)
    for name in "bc":
        with kith.writer(f"{name}.npy", "bfloat16" if name == "b" else "f4") as file:
            file.write(got[4:304].reshape(100, 3))
    np.testing.assert_array_equal(kith.knn("b.npy", 3).ids[:], kith.knn("c.npy", 3).ids[:])


@pytest.mark.parametrize("dtype, row, value, message", [
    ("f4", 13, np.nan, "row 13 has a NaN or Inf"), ("f4", 0, -np.inf, "row 0 has a NaN or Inf"),
    ("f4", 22, 1e39, "row 22 has a value that f4 cannot hold"), ("f2", 5, 70000, "row 5 has a value that f2 cannot hold"),
    ("bfloat16", 7, 3.39e38, None), ("bfloat16", 7, 3.402e38, "bfloat16 cannot hold"), ("bfloat16", 7, np.nan, "NaN"),
    ("u1", 3, 256, "row 3 has a value that u1 cannot hold .too large, or no whole number"), ("i1", 3, 0.5, "no whole number"),
    ("f8", 4, 1e308, None)])
def test_values_that_do_not_fit(here, dtype, row, value, message):
    X = np.zeros((23, 4))
    X[row, 2] = value
    X[row, 3] = value if value == 1e308 else 0  # whose sum is no double
    if message is None:
        with kith.writer("a.npy", dtype) as file:
            file.write(X)
        return
    with pytest.raises(ValueError, match=f"a.npy: .*{message}"):
        with kith.writer("a.npy", dtype) as file:
            file.write(X[:2])
            file.write(X[2:])
    assert os.listdir() == []


def test_refusals(here):
    with pytest.raises(ValueError, match="dtype 'f9': use one of f2, f4"):
        kith.writer("a.npy", "f9")
    for values, message in ((np.zeros((3, 5)), r"row 2 has the shape \(5,\), the rows before it \(4,\)"), (1.0, "single number"),
                            (np.zeros((2, 4), complex), "real numbers")):
        with pytest.raises(ValueError, match=message):
            with kith.writer("a.npy") as file:
                if np.shape(values) != (2, 4):
                    file.write(np.zeros((2, 4)))
                file.write(values)
    with pytest.raises(ValueError, match=r"has no values: its shape is \(2, 0\)"):
        with kith.writer("a.npy") as file:
            file.write(np.zeros((2, 0)))
    with pytest.raises(ValueError, match="nothing was written"):
        with kith.writer("a.npy"):
            pass
    np.save("a.npy", np.ones((2, 2)))
    with pytest.raises(KeyboardInterrupt):
        with kith.writer("a.npy") as file:
            file.write(np.zeros((2, 4)))
            raise KeyboardInterrupt
    assert os.listdir() == ["a.npy"] and np.load("a.npy").shape == (2, 2)


def test_without_a_block(here):
    file = kith.writer("a.npy")
    file.write([[1.0, 2.0]])
    assert file.close() == "a.npy" and np.load("a.npy").tolist() == [[1, 2]]
    forgotten = kith.writer("b.npy")
    forgotten.write([[1.0]])
    del forgotten
    assert os.listdir() == ["a.npy"]
