"""Activations of several layers as safetensors shards, written a batch at a time."""

from __future__ import annotations

import glob
import json
import os
import secrets
from fnmatch import fnmatchcase
from typing import Any, Optional, Union

import numpy as np

from ._npy import DTYPES, Values, write_all

SHARD_BYTES = 1 << 30  # about, where nobody says how many samples a shard has
COPY_BYTES = 1 << 24
MAX_HEADER = 100_000_000  # as safetensors has it
DIGITS = 5  # of a shard's number, so that a pattern for them does not fit shards of several processes
NAMES = {"f2": "F16", "f4": "F32", "f8": "F64", "u1": "U8", "i1": "I8", "bfloat16": "BF16"}
OFFICIAL = {DTYPES[name]: official for name, official in NAMES.items()}


class Layer(Values):
    """A tensor of every shard, which goes by `name` from the end of the first batch on."""

    def __init__(self, shards: Shards, what: str, dtype: Optional[str]):
        super().__init__(what, dtype)
        self.shards, self.name, self.first = shards, what, shards.resumed
        self.rows = self.first
        self.waiting: list[np.ndarray] = []  # of the first batch: until all layers are known

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def write(self, values: Any) -> None:
        row = self.rows
        stored = self.take(values)
        if self.shards.is_laid_out:
            self.shards.put(self, row, stored)
        else:
            self.waiting.append(stored)

    def flush(self) -> None:
        """Nothing: shards are synced one by one as they are filled."""


class Shards:
    """FOLDER/shard-00000.safetensors and so on: each has every layer's values of the same `size` samples, the last one
    perhaps of fewer. A shard has its name only when it is whole, so that what an interrupted recording leaves behind can be
    gone on with: the first `resumed` samples are there. One of several processes leaves shard-I-of-OF.done at its end."""

    def __init__(self, folder: str, size: Optional[int], process: Optional[tuple[int, int]], resume: bool):
        self.folder, self.size, self.process = folder, size, process
        self.prefix = "shard-" if process is None else f"shard-{process[0]}-of-{process[1]}-"
        self.layers: list[Layer] = []
        self.parts: dict[int, _Part] = {}  # shards that are being written
        self.is_laid_out = False
        others = [path for path in sorted(glob.glob(os.path.join(folder, "shard-*.safetensors")))
                  if not fnmatchcase(os.path.basename(path), self.pattern())]
        if others:
            raise ValueError(f"{others[0]}: of another recording, by another number of processes: record into another folder, or "
                             "remove its shards")
        there = sorted(glob.glob(self._path("[0-9]" * DIGITS)))
        if there and not resume:
            raise ValueError(f"{folder}: shards of another recording are there already: resume=True goes on with it; or remove "
                             "them")
        for left in glob.glob(self._path("?" * DIGITS) + ".*.part") if resume else ():
            os.remove(left)  # of a process that was killed
        self.old = [_read_header(path) for path in there]
        if self.old:
            said = int(self.old[0]["__metadata__"]["samples"])
            if size not in (None, said):
                raise ValueError(f"{there[0]}: shards of {said} samples, not {size}")
            self.size = said
        for number, (path, header) in enumerate(zip(there, self.old)):
            if path != self._path(number) or _tensors(header) != _tensors(self.old[0]):
                raise ValueError(f"{path}: not one recording with the shards beside it: remove them")
        self.recorded = sum(map(_rows, self.old))
        # a shorter one, the end of a recording, is written again: there may be more samples now
        self.resumed = self.recorded - self.recorded % (self.size or 1)
        done = self.done()
        if done is not None and os.path.exists(done):
            os.remove(done)

    def layer(self, what: str, dtype: Optional[str]) -> Layer:
        self.layers.append(Layer(self, what, dtype))
        return self.layers[-1]

    def names(self) -> list[str]:
        return [layer.name for layer in self.layers] or list(_tensors(self.old[0]))

    def pattern(self) -> str:
        """What fits the shards' names, of all processes."""
        return f"shard-{'' if self.process is None else f'*-of-{self.process[1]}-'}{'?' * DIGITS}.safetensors"

    def done(self) -> Optional[str]:
        """The file that says that this one of several processes has recorded all of its samples."""
        return None if self.process is None else os.path.join(self.folder, f"shard-{self.process[0]}-of-{self.process[1]}.done")

    def settle(self) -> None:
        """After each batch, with all of it written: gives the shards that are full their names."""
        if not self.is_laid_out:
            self._lay_out()
        self._name_full()

    def discard(self) -> None:
        """Keeps the shards that are full: what was done is gone on with."""
        try:
            if self.is_laid_out:
                self._name_full()
        finally:
            while self.parts:
                self.parts.popitem()[1].discard()

    def close(self, rows: int) -> list[str]:
        """`rows`: of all shards together, in the end."""
        if rows < self.recorded:
            raise ValueError(f"{self.folder}: its shards have {self.recorded} samples, the loader has {rows}: record into another "
                             "folder, or remove the shards")
        if self.layers:
            self.settle()
            for number in sorted(self.parts):
                self.parts.pop(number).close(rows - number * self.size)
        done = self.done()
        if done is not None:
            open(done, "w").close()
        return [f"{self._path('?' * DIGITS)}:{name}" for name in self.names()]

    def put(self, layer: Layer, row: int, stored: np.ndarray) -> None:
        """Rows from `row` on, into the shards that they are of."""
        data = memoryview(stored.reshape(-1).view(np.uint8)) if stored.size else memoryview(b"")
        while len(data):
            number, at = divmod(row, self.size)
            if number >= 10 ** DIGITS:
                raise ValueError(f"{self.folder}: more than {10 ** DIGITS} shards: more samples in each, shard_samples=")
            if number not in self.parts:
                self.parts[number] = _Part(self._path(number), self.layers, self.size)
            rows = min(self.size - at, len(data) // layer.row_bytes)
            self.parts[number].put(layer, at, data[:rows * layer.row_bytes])
            data, row = data[rows * layer.row_bytes:], row + rows

    def _name_full(self) -> None:
        rows = min(layer.rows for layer in self.layers)
        for number in [number for number in sorted(self.parts) if (number + 1) * self.size <= rows]:
            self.parts.pop(number).close(self.size)

    def _lay_out(self) -> None:
        if self.size is None:
            self.size = max(1, SHARD_BYTES // sum(layer.row_bytes for layer in self.layers))
        if self.old:
            now = {layer.name: [OFFICIAL[layer.dtype], list(layer.shape)] for layer in self.layers}
            if now != _tensors(self.old[0]):
                raise ValueError(f"{self._path(0)}: of other layers, types or shapes than what is recorded now: record into "
                                 "another folder, or remove the shards")
        self.is_laid_out = True
        for layer in self.layers:
            row = layer.first
            for stored in layer.waiting:
                self.put(layer, row, stored)
                row += len(stored)
            layer.waiting = []

    def _path(self, number: Union[int, str]) -> str:
        number = number if isinstance(number, str) else f"{number:0{DIGITS}d}"
        return os.path.join(self.folder, f"{self.prefix}{number}.safetensors")


class _Part:
    """A shard in the making: every layer has its place for `size` samples."""

    def __init__(self, path: str, layers: list[Layer], size: int):
        self.path, self.layers, self.size = path, layers, size
        self.room = -(-(8 + len(self._header(size))) // 64) * 64
        if self.room > MAX_HEADER:
            raise ValueError(f"{path}: its header would be longer than the {MAX_HEADER} bytes that safetensors allows")
        self.part = f"{path}.{secrets.token_hex(3)}.part"
        self.file = open(self.part, "x+b", buffering=0)

    def put(self, layer: Layer, row: int, data: memoryview) -> None:
        self.file.seek(self.room + self._begins(self.size)[layer] + row * layer.row_bytes)
        write_all(self.file, data)

    def close(self, rows: int) -> None:
        """`rows` are there: what stands behind gaps is moved up, in the order of the file."""
        here, there = self._begins(self.size), self._begins(rows)
        for layer in self.layers:
            self._move(self.room + here[layer], self.room + there[layer], rows * layer.row_bytes)
        self.file.truncate(self.room + sum(rows * layer.row_bytes for layer in self.layers))
        self.file.seek(0)
        write_all(self.file, (self.room - 8).to_bytes(8, "little") + self._header(rows).ljust(self.room - 8))
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.part, self.path)

    def discard(self) -> None:
        self.file.close()
        if os.path.exists(self.part):
            os.remove(self.part)

    def _begins(self, rows: int) -> dict[Layer, int]:
        begins, at = {}, 0
        for layer in self.layers:
            begins[layer] = at
            at += rows * layer.row_bytes
        return begins

    def _move(self, here: int, there: int, count: int) -> None:
        while here != there and count:
            self.file.seek(here)
            data = self.file.read(min(count, COPY_BYTES))
            self.file.seek(there)
            write_all(self.file, data)
            here, there, count = here + len(data), there + len(data), count - len(data)

    def _header(self, rows: int) -> bytes:
        begins = self._begins(rows)
        tensors = {layer.name: {"dtype": OFFICIAL[layer.dtype], "shape": [rows, *layer.shape],
                                "data_offsets": [begins[layer], begins[layer] + rows * layer.row_bytes]}
                   for layer in self.layers}
        return json.dumps({"__metadata__": {"by": "kith.record", "samples": str(self.size)}, **tensors},
                          separators=(",", ":")).encode()


def _read_header(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, MAX_HEADER)))
        if header["__metadata__"]["by"] == "kith.record" and int(header["__metadata__"]["samples"]) > 0 and len(header) > 1:
            return header
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{path}: not written by kith.record: record into another folder, or remove it")


def _tensors(header: dict[str, Any]) -> dict[str, Any]:
    """{name: [type, shape of a sample]}"""
    return {name: [tensor["dtype"], tensor["shape"][1:]] for name, tensor in header.items() if name != "__metadata__"}


def _rows(header: dict[str, Any]) -> int:
    return next(tensor["shape"][0] for name, tensor in header.items() if name != "__metadata__")
