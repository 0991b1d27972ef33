"""How pip builds the package (PEP 517, 660): a wheel is a zip of its files. By the standard library alone, so that nothing has
to be fetched, nor setuptools to be there."""

import base64
import hashlib
import os
import runpy
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = runpy.run_path(os.path.join(HERE, "kith", "_version.py"))["__version__"]
NAME = f"kith-{VERSION}"
METADATA = f"""\
Metadata-Version: 2.1
Name: kith
Version: {VERSION}
Summary: Which data samples stay neighbours through the layers of a deep network? kith from Python
License: MIT
Requires-Python: >=3.9
Requires-Dist: numpy
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: kith\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _zip(wheel_directory, {f"kith/{name}": _read("kith", name) for name in sorted(os.listdir(os.path.join(HERE, "kith")))
                                  if name.endswith((".py", ".typed"))})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _zip(wheel_directory, {"kith.pth": HERE.encode() + b"\n"})


def build_sdist(sdist_directory, config_settings=None):
    name = f"{NAME}.tar.gz"
    with tarfile.open(os.path.join(sdist_directory, name), "w:gz") as file:
        for part in ("pyproject.toml", "backend.py", "kith"):
            file.add(os.path.join(HERE, part), f"{NAME}/{part}", filter=lambda i: None if "__pycache__" in i.name else i)
    return name


def _read(*parts):
    with open(os.path.join(HERE, *parts), "rb") as file:
        return file.read()


def _zip(folder, files):
    name, record = f"{NAME}-py3-none-any.whl", f"{NAME}.dist-info/RECORD"
    files = {**files, f"{NAME}.dist-info/METADATA": METADATA.encode(), f"{NAME}.dist-info/WHEEL": WHEEL.encode()}
    lines = [f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
             for path, data in files.items()]
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as out:
        for path, data in {**files, record: "".join([*lines, f"{record},,\n"]).encode()}.items():
            out.writestr(path, data)
    return name
