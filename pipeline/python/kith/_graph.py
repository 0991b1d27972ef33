"""Graph files: one layer's k nearest neighbours (include/kith/graph.h)."""

from __future__ import annotations

import math
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, Union

import numpy as np

from . import _lib

_WORTH_A_THREAD = 1 << 18  # ids: a millisecond or so


def graph(path: Union[str, os.PathLike], threads: Optional[int] = None) -> Graph:
    """Opens a graph file, LAYER.nng. `threads` read large ranges together; by default every core that there is."""
    return Graph(path, threads)


class Graph:
    """One layer's directed graph of nearest neighbours, read-only, on disk: what is asked for is decoded, and all of it
    is under checksums. May be used by several threads.

        n        samples
        d        activations per sample in this layer; None where neighbours come from elsewhere and it is not known
        ladder   the values of k that the graph serves, ascending
        k        the largest of them: neighbours per sample
        near     of how many nearest ones the graph keeps order and distance; 0..k
        ids      uint32, shape (n, k): graph.ids[5], graph.ids[10:20], graph.ids[[3, 1, 2]], graph.ids[:, :15], ...
                 Each row has the `near` nearest in rank order (by distance), then the others, tier by tier: for every k
                 of the ladder, the first k are the k nearest. A sample is not its own neighbour.
        distances  float64, shape (n, near), indexed in the same way: the distances (not squared, in the unit of the
                 activations; 0..2 under cosine, between normalised vectors) of the ids in the first `near` columns,
                 ascending, to 24 bits
        info     all that the file says of itself: n, d, metric, engine, recall (None: not known), digest, input, command, version, ...; ties, in
                 which order samples stand that are equally far; tied, None if nobody counted, else for each k of the
                 ladder the rows with such a sample beyond the k-th, and the most of them in one row
    """

    def __init__(self, path: Union[str, os.PathLike], threads: Optional[int] = None):
        self.path = os.fspath(path)
        self.threads = threads or len(os.sched_getaffinity(0))
        self._handles = _Handles(self.path)
        with self._handles as handle:
            info = _lib.lib().kith_graph_get_info(handle)[0]
            self.ladder = tuple(info.ladder[:info.tiers])
            tied = {"rows": list(info.tied.rows[:info.tiers]), "most": list(info.tied.most[:info.tiers]),
                    "zero": info.tied.zero} if info.tied.counted else None
            self.info: dict[str, Any] = {**_lib.fields(info), "ladder": self.ladder, "tied": tied,
                                         "ties": ("index", "content")[info.ties]}
            if math.isnan(self.info["recall"]):
                self.info["recall"] = None
            self.info["d"] = self.info["d"] or None
        self.n: int = self.info["n"]
        self.d: Optional[int] = self.info["d"]
        self.k: int = self.ladder[-1]
        self.near: int = self.info["near"]
        self._close = weakref.finalize(self, self._handles.close)

    @property
    def ids(self) -> Rows:
        return Rows(self, (self.n, self.k), np.dtype(np.uint32), self.read)

    @property
    def distances(self) -> Rows:
        return Rows(self, (self.n, self.near), np.dtype(np.float64), self.read_distances)

    def read(self, first: int = 0, stop: Optional[int] = None, k: Optional[int] = None, *, ranked: bool = True,
             out: Optional[np.ndarray] = None) -> np.ndarray:
        """The ids of rows first..stop-1 (to the end), uint32, shape (stop - first, k), k being one of the ladder (the
        largest). With ranked=False each tier is ascending, all through, which takes less time. `out`, a C-contiguous
        array of that type and shape, is filled and returned."""
        first, stop = self._range(first, stop)
        if k is not None and k not in self.ladder:
            raise _lib.InputError(f"{self.path}: k={k}: the graph serves {', '.join(map(str, self.ladder))}")
        tiers = self.ladder.index(k or self.k) + 1
        out = _array(out, (stop - first, k or self.k), np.uint32)

        def read(handle: Any, row: int, count: int, at: int) -> None:
            if ranked:
                _lib.call("kith_graph_read_ranked", handle, row, count, tiers, at, None)
            else:
                _lib.call("kith_graph_read_rows", handle, row, count, tiers, at)
        self._in_parts(read, first, stop, out, self.info["near_nodes" if ranked else "block_nodes"])
        return out

    def read_distances(self, first: int = 0, stop: Optional[int] = None, *,
                       out: Optional[np.ndarray] = None) -> np.ndarray:
        """The distances of rows first..stop-1, float64, shape (stop - first, near)."""
        first, stop = self._range(first, stop)
        out = _array(out, (stop - first, self.near), np.float64)

        def read(handle: Any, row: int, count: int, at: int) -> None:
            _lib.call("kith_graph_read_near", handle, row, count, None, at)
            part = out[row - first:row - first + count]
            np.sqrt(part, out=part)
        if self.near:
            self._in_parts(read, first, stop, out, self.info["near_nodes"])
        return out

    def to_scipy(self, k: Optional[int] = None, distances: bool = False) -> Any:
        """The directed graph as a scipy.sparse.csr_matrix, shape (n, n): 1.0 (float32) where column j is among row i's k
        nearest (k of the ladder; the largest by default), or with `distances` their distances (float64; k <= near)."""
        from scipy.sparse import csr_matrix
        k = k or self.k
        if distances and k > self.near:
            raise _lib.InputError(f"{self.path}: distances are kept of the {self.near} nearest (kith-knn --near)")
        indices = self.read(k=k, ranked=distances)
        data = self.read_distances()[:, :k].ravel() if distances else np.ones(indices.size, np.float32)
        indptr = np.arange(0, indices.size + 1, k, dtype=np.int64)
        if indices.size < 2 ** 31:
            indptr, indices = indptr.astype(np.int32), indices.view(np.int32)  # n < 2^31: the same bits
        else:
            indices = indices.astype(np.int64)
        return csr_matrix((data, indices.ravel(), indptr), shape=(self.n, self.n))

    def close(self) -> None:
        """Closes the file. Without it that happens when the object goes."""
        self._close()

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        ladder = ",".join(map(str, self.ladder))
        return f"<kith.Graph {self.path!r}: n={self.n} d={self.d} k={ladder} {self.info['metric']} {self.info['engine']}>"

    def _range(self, first: int, stop: Optional[int]) -> tuple[int, int]:
        stop = self.n if stop is None else stop
        if not 0 <= first <= stop <= self.n:
            raise IndexError(f"{self.path}: rows {first}:{stop} asked for, but there are {self.n}")
        return first, stop

    def _in_parts(self, read: Callable[[Any, int, int, int], None], first: int, stop: int, out: np.ndarray, unit: int) -> None:
        """Calls read(handle, row, count, address of that row in out) for parts of the range that meet where stored values, of
        `unit` rows, do, so that nothing is decoded twice; each in a thread, the first in this one."""
        def part(begin: int, end: int) -> None:
            with self._handles as handle:
                read(handle, begin, end - begin, out.ctypes.data + (begin - first) * out.strides[0])
        unit = max(unit, 1)
        parts = max(min(self.threads, out.size // _WORTH_A_THREAD), 1)
        cuts = {round((first + (stop - first) * i / parts) / unit) * unit for i in range(1, parts)}
        cuts = [first, *sorted(cut for cut in cuts if first < cut < stop), stop]
        with ThreadPoolExecutor(max(len(cuts) - 2, 1)) as pool:
            others = [pool.submit(part, *ends) for ends in zip(cuts[1:-1], cuts[2:])]
            part(first, cuts[1])
            for other in others:
                other.result()


class Rows:
    """Rows of a graph as an array that is read when it is indexed: by a number, a slice or an array (of numbers, or n
    truths) for rows, and anything that NumPy takes for columns. np.asarray(rows) reads all."""
    ndim = 2

    def __init__(self, owner: Graph, shape: tuple[int, int], dtype: np.dtype, read: Callable[[int, int], np.ndarray]):
        self._owner, self.shape, self.dtype, self._read = owner, shape, dtype, read

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._read(0, self.shape[0]), dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        row, columns = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if row is Ellipsis:
            row = slice(None)
        if isinstance(row, slice):
            found = self._slice(range(self.shape[0])[row])
            return found[(slice(None), *columns)]
        if isinstance(row, (int, np.integer)):
            if not -self.shape[0] <= row < self.shape[0]:
                raise IndexError(f"{self._owner.path}: row {row} asked for, but there are {self.shape[0]}")
            at = range(self.shape[0])[row]
            return self._read(at, at + 1)[(0, *columns)]
        found = self._scattered(np.arange(self.shape[0])[np.asarray(row)])
        return found[(Ellipsis, slice(None), *columns)] if not columns else found[(slice(None), *columns)]

    def _slice(self, rows: range) -> np.ndarray:
        if not len(rows):
            return np.empty((0, self.shape[1]), self.dtype)
        if abs(rows.step) > self._owner.info["block_nodes"]:
            return self._scattered(np.array(rows))
        low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1])
        found = self._read(low, high + 1)
        return found if rows.step == 1 else found[rows[0] - low::rows.step] if rows.step > 0 else found[::rows.step]

    def _scattered(self, rows: np.ndarray) -> np.ndarray:
        """Each stored block that has some of the rows is read once."""
        wanted, place = np.unique(rows, return_inverse=True)
        found = np.empty((len(wanted), self.shape[1]), self.dtype)
        cuts = np.flatnonzero(np.diff(wanted // max(self._owner.info["block_nodes"], 1))) + 1
        for part, into in zip(np.split(wanted, cuts), np.split(found, cuts)):
            if len(part):
                into[:] = self._read(int(part[0]), int(part[-1]) + 1)[part - part[0]]
        return found[place.reshape(rows.shape)]


class _Handles:
    """Open handles of one file, each for one thread at a time: `with handles as handle`."""

    def __init__(self, path: str):
        self.path = path
        self.lock = threading.Lock()
        self.free = [_lib.open_handle("kith_graph_open", path)]
        self.all = list(self.free)
        self.taken = threading.local()

    def __enter__(self) -> Any:
        with self.lock:
            if not self.all:
                raise ValueError(f"{self.path} is closed")
            if not self.free:  # the same file as before, or none
                _lib.call("kith_graph_unchanged", self.all[0])
                self.free.append(_lib.open_handle("kith_graph_open", self.path))
                self.all.append(self.free[0])
            self.taken.handle = self.free.pop()
            return self.taken.handle

    def __exit__(self, *_: Any) -> None:
        with self.lock:
            self.free.append(self.taken.handle)

    def close(self) -> None:
        with self.lock:
            for handle in self.free:
                _lib.lib().kith_graph_close(handle)
            self.free, self.all = [], []


def _array(out: Optional[np.ndarray], shape: tuple[int, int], dtype: Any) -> np.ndarray:
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"out: a writable C-contiguous array of {np.dtype(dtype)}, shape {shape}, is needed")
    return out
