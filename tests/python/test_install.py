"""The package as installed, by cmake --install and by pip, finds libkith and the programs without KITH_BIN."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

SCRIPT = """
import sys, numpy, kith
graph = kith.knn("X.npy", 3, out="X.nng")
assert kith.merge({"a": graph, "b": "X.nng"}).nnts(3, labels=False)[0, 1] == 1
print(kith.__file__, kith._lib.lib()._name, kith._lib.program("kith-knn"))
"""


def python(here, packages, **environment):
    kept = {key: value for key, value in os.environ.items() if key not in ("KITH_BIN", "PYTHONPATH", "LD_LIBRARY_PATH")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env={**kept, "PYTHONPATH": str(packages), **environment},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [os.path.relpath(path, here) for path in done.stdout.split()]


def test_by_cmake(here, rng):
    np.save("X.npy", rng.normal(size=(20, 3)))
    subprocess.run(["cmake", "--install", os.environ["KITH_BIN"], "--prefix", here / "usr"], check=True,
                   stdout=subprocess.DEVNULL)
    (package,) = here.glob("usr/lib/python3*/*-packages/kith")
    assert not list(package.glob("__pycache__"))
    where = python(here, package.parent)
    assert where[0] == str(package.relative_to(here) / "__init__.py") and where[2] == "usr/bin/kith-knn"
    assert where[1].startswith("usr/lib/") and where[1].endswith("/libkith.so.0")
    shutil.move("usr", "elsewhere")  # places are relative
    assert python(here, here / "elsewhere" / package.parent.relative_to(here / "usr"))[2] == "elsewhere/bin/kith-knn"


def test_by_pip(here, rng):
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("this Python has no pip")
    np.save("X.npy", rng.normal(size=(20, 3)))
    shutil.copytree(os.path.join(ROOT, "pipeline", "python"), "source")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check",
                    "--root-user-action=ignore", "--target", "packages", "./source"], check=True)
    build = os.path.abspath(os.environ["KITH_BIN"])
    where = python(here, here / "packages", PATH=f"{build}:{os.environ['PATH']}", LD_LIBRARY_PATH=build)
    assert where[0] == "packages/kith/__init__.py" and where[1] == "libkith.so.0"
    assert python(here, here / "packages", KITH_BIN=build)[2] == os.path.relpath(os.path.join(build, "kith-knn"), here)


def test_backend_makes_what_is_promised(here):
    import tarfile
    import zipfile
    sys.path.insert(0, os.path.join(ROOT, "pipeline", "python"))
    import backend
    names = zipfile.ZipFile(backend.build_wheel(str(here))).namelist()
    assert {"kith/__init__.py", "kith/py.typed", "kith/_record.py"} <= set(names) and names[-1].endswith("RECORD")
    assert not [name for name in names if "pycache" in name]
    assert f"{backend.NAME}/backend.py" in tarfile.open(backend.build_sdist(str(here))).getnames()
    assert zipfile.ZipFile(backend.build_editable(str(here))).read("kith.pth").decode().strip() == backend.HERE
