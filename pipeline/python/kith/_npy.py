"""Activations as .npy files, written a batch at a time."""

from __future__ import annotations

import os
import secrets
import sys
from typing import Any, Optional, Union

import numpy as np

# What kith-knn reads. bfloat16 is what NumPy saves of it: two bytes without a meaning.
DTYPES = {"f2": np.dtype("<f2"), "f4": np.dtype("<f4"), "f8": np.dtype("<f8"), "u1": np.dtype("u1"), "i1": np.dtype("i1"),
          "bfloat16": np.dtype("V2")}
_ALSO = {"float16": "f2", "float32": "f4", "float64": "f8", "uint8": "u1", "int8": "i1", "bf16": "bfloat16", "V2": "bfloat16"}


def writer(path: Union[str, os.PathLike], dtype: Optional[str] = None) -> Writer:
    """Writes PATH.npy a batch of samples at a time:

        with kith.writer("conv1.npy") as conv1:
            for batch in batches:
                conv1.write(layer(batch))  # anything that NumPy takes for an array, or a torch.Tensor: (samples, ...)

    dtype   how values are stored: "f2", "f4", "f8", "u1", "i1" or "bfloat16" (16 bits, as kith-knn reads them). By
            default as they come; other integers, and truths, as "f8".

    The file is there under its name when the block ends, whole, and not at all if it ends by an exception."""
    return Writer(path, dtype)


class Values:
    """Samples on their way to a file, all of one shape and stored as one type. rows: so far; shape: of one sample; what:
    what messages call them."""

    def __init__(self, what: str, dtype: Optional[str] = None):
        self.what = what
        self.dtype = None if dtype is None else find_dtype(dtype)
        self.shape: Optional[tuple[int, ...]] = None
        self.rows = 0

    def take(self, values: Any) -> np.ndarray:
        """More samples, as they are stored; ValueError where they cannot be."""
        array = as_array(values)
        if array.ndim == 0:
            raise ValueError(f"{self.what}: a single number; the first axis has to be the samples")
        if array.ndim == 1:
            array = array[:, None]
        if self.shape is None:
            if 0 in array.shape[1:]:
                raise ValueError(f"{self.what} has no values: its shape is {array.shape}")
            if array.dtype.kind not in "fiubV" or array.dtype.kind == "V" and array.dtype != DTYPES["bfloat16"]:
                raise ValueError(f"{self.what}: values of type {array.dtype}: kith reads real numbers")
            self.shape = array.shape[1:]
            if self.dtype is None:
                self.dtype = next((t for t in DTYPES.values() if t == array.dtype.newbyteorder("<")), DTYPES["f8"])
        if array.shape[1:] != self.shape:
            raise ValueError(f"{self.what}: row {self.rows} has the shape {array.shape[1:]}, the rows before it "
                             f"{self.shape}: every sample must have the same")
        stored = _convert(array, self.dtype)
        if stored.size:
            self._check(array, stored)
        self.rows += len(stored)
        return stored

    def _check(self, array: np.ndarray, stored: np.ndarray) -> None:
        """Row, and what is wrong with it, of the first that is not finite as stored, or not the integer that it was."""
        if self.dtype.kind in "iu":
            good = stored == array
        else:
            good = _finite(stored)
            if good is None:
                return
        good = good.reshape(len(good), -1).all(axis=1)
        if good.all():
            return
        row = int(np.argmin(good))
        name = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
        finite = _finite(array[row:row + 1])
        if finite is None or finite.all():
            raise ValueError(f"{self.what}: row {self.rows + row} has a value that {name} cannot hold (too large"
                             f"{', or no whole number' if self.dtype.kind in 'iu' else ''})")
        raise ValueError(f"{self.what}: row {self.rows + row} has a NaN or Inf")


class Writer(Values):
    """See kith.writer. rows: samples written so far; shape: of one sample; path: where the file will be."""

    def __init__(self, path: Union[str, os.PathLike], dtype: Optional[str] = None, what: Optional[str] = None):
        self.path = os.fspath(path)
        super().__init__(what or self.path, dtype)
        self._part = f"{self.path}.{secrets.token_hex(3)}.part"
        self._file = open(self._part, "xb", buffering=0)

    def write(self, values: Any) -> None:
        """Appends samples: (samples, ...), every sample of one shape; a number each is one value a sample. ValueError
        where a value is no finite number, or not one of the dtype's."""
        is_first = self.shape is None
        stored = self.take(values)
        if is_first:
            write_all(self._file, self._header(0))
        if stored.size:
            write_all(self._file, stored.reshape(-1).view(np.uint8))

    def close(self) -> str:
        """Completes the file, syncs it and gives it its name, which is returned."""
        self.complete()
        return self.rename()

    def flush(self) -> None:
        """Has what was written so far on disk, so that close takes less."""
        os.fdatasync(self._file.fileno())

    def complete(self) -> None:
        """The first half of close: the file is whole, but has not its name yet."""
        if self.shape is None:
            raise ValueError(f"{self.what}: nothing was written")
        self._file.seek(0)
        write_all(self._file, self._header(self.rows))
        os.fsync(self._file.fileno())
        self._file.close()

    def rename(self) -> str:
        """The second half."""
        os.replace(self._part, self.path)
        return self.path

    def discard(self) -> None:
        """Removes what has no name yet; nothing to do after close."""
        self._file.close()
        if os.path.exists(self._part):
            os.remove(self._part)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.discard()

    def __del__(self) -> None:
        if hasattr(self, "_file") and not self._file.closed:
            self.discard()

    def _header(self, rows: int) -> bytes:
        """As NumPy writes it, but always as long as the largest row count would need."""
        def text(n: int) -> str:
            shape = ", ".join(str(s) for s in (n, *self.shape))
            return f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': ({shape}), }}"
        room = -(-(10 + len(text(2 ** 63)) + 1) // 64) * 64 - 10
        return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + (text(rows).ljust(room - 1) + "\n").encode()


def find_dtype(name: str) -> np.dtype:
    name = str(name)
    name = _ALSO.get(name.lstrip("<|="), name.lstrip("<|="))
    if name not in DTYPES:
        raise ValueError(f"dtype {name!r}: use one of {', '.join(DTYPES)}")
    return DTYPES[name]


def as_array(values: Any) -> np.ndarray:
    """Any array as NumPy's; bfloat16, torch's or of ml_dtypes, as its 16 bits."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach()
        if values.dtype == torch.bfloat16:
            return values.contiguous().view(torch.int16).cpu().numpy().view("V2")
        return values.cpu().numpy()
    array = np.asarray(values)
    return np.ascontiguousarray(array).view("V2") if array.dtype.name == "bfloat16" else array


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint16)


def _convert(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """C-contiguous, of that type; bfloat16 to and from floats, rounded to the nearest, ties to even."""
    bfloat16 = DTYPES["bfloat16"]
    if array.dtype == dtype or array.dtype.kind != "V" and dtype != bfloat16:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(array, dtype)
    array = np.ascontiguousarray(array)
    if array.dtype == bfloat16:
        return _convert((_bits(array).astype(np.uint32) << 16).view(np.float32), dtype)
    with np.errstate(over="ignore"):
        wide = array.astype(np.float32)
    bits = wide.view(np.uint32)
    bits = np.where(np.isfinite(wide), bits + 0x7fff + (bits >> 16 & 1), bits)
    return (bits >> 16).astype(np.uint16).view(bfloat16)


def _finite(array: np.ndarray) -> Optional[np.ndarray]:
    """Which values are finite; None if all are, which mostly takes one sum to see."""
    if array.dtype == DTYPES["bfloat16"]:
        finite = (_bits(array) & 0x7f80) != 0x7f80
        return None if finite.all() else finite
    if array.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if array.dtype.itemsize > 2 and np.isfinite(np.add.reduce(array, axis=None)):
            return None
    finite = np.isfinite(array)
    return None if finite.all() else finite


def write_all(file: Any, data: Any) -> None:
    data = memoryview(data)
    while len(data):
        data = data[file.write(data):]
