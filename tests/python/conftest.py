"""What the tests of the Python package share. It is this checkout's; libkith and the programs are those of KITH_BIN."""

import os
import runpy
import sys

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "pipeline", "python"))


def pytest_collection_modifyitems(items):
    """A library with the address sanitizer cannot be loaded by a Python without it."""
    if os.environ.get("KITH_SANITIZED"):
        for item in items:
            if item.module.__name__ not in ("test_record", "test_lenet5", "test_claims"):
                item.add_marker(pytest.mark.skip(reason="libkith is built with a sanitizer, which Python is not"))


def slow_knn(X, k):
    """From the definition: the k nearest by squared distance, summed in double precision in index order, ties by number
    (ties="index"); and their distances."""
    X = np.asarray(X, np.float64).reshape(len(X), -1)
    ids, distances = [], []
    for i, x in enumerate(X):
        dist2 = np.zeros(len(X))
        for t in range(X.shape[1]):
            dist2 += (X[:, t] - x[t]) ** 2
        order = np.lexsort((np.arange(len(X)), dist2))
        order = order[order != i][:k]
        ids.append(order)
        distances.append(np.sqrt(dist2[order]))
    return np.array(ids), np.array(distances)


def run_script(monkeypatch, path, *arguments):
    """As `python3 path arguments`, but in this process, which has torch; kith it finds itself. What it exits with, or None."""
    monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
    monkeypatch.setattr(sys, "path", [os.path.dirname(path), *(folder for folder in sys.path if not folder.startswith(ROOT))])
    for name in [name for name in sys.modules if name.split(".")[0] in ("kith", "lenet5")]:
        monkeypatch.delitem(sys.modules, name)
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as done:
        return done.code


@pytest.fixture
def rng():
    return np.random.default_rng(17)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
