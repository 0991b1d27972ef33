"""Results over all layers: stack.json (include/kith/stack.h, dynamics.h)."""

from __future__ import annotations

import json
import os
from typing import Any, Optional, Union

import numpy as np

from . import _lib

# Measures that have no key of their own name in the file, or whose errors stand apart; and those that are counts.
_KEYS = {"nnts": "mean", "nntp": "count"}
_COUNTS = {"nntp", "count", "pairs", "isolated", "births", "deaths", "survivors", "survival", "returns"}
_HEAD = {"k", "graph", "alpha", "stderr"}


def stack(path: Union[str, os.PathLike]) -> Stack:
    """Opens a result, stack.json, and checks every identity that it must satisfy."""
    return Stack(path)


class Stack:
    """What kith-merge found: how alike layers are (NNTS), how pairs of neighbours persist (NNTP), and what follows.

        n        samples
        layers   the layers' names, in causal order; L of them
        ks       the values of k
        measures the names that `measure` knows, such as nnts, overlap, nntp, births, removal
        data     the file as it is: dictionaries and lists

    Square matrices are (L, L), row = first layer, column = second (last) layer. Where pandas is installed, they are
    DataFrames, and lists Series, labelled by the layers; else plain arrays (labels=False: always)."""

    def __init__(self, path: Union[str, os.PathLike]):
        self.path = os.fspath(path)
        _lib.call("kith_stack_verify", os.fsencode(self.path))
        with open(self.path, encoding="utf-8", errors="surrogateescape") as file:
            self.data: dict[str, Any] = json.load(file)
        self.n: int = self.data["n"]
        self.layers: list[str] = [layer["name"] for layer in self.data["layers"]]
        self.ks: list[int] = [entry["k"] for entry in self.data["nnts"]]

    @property
    def measures(self) -> list[str]:
        names = {value: name for name, value in _KEYS.items()}
        keys = [key for entry in self._entries() for key in entry if key not in _HEAD]
        return list(dict.fromkeys(names.get(key, key) for key in keys))

    def measure(self, name: str, k: Optional[int] = None, graph: Optional[str] = None, alpha: int = 0, *,
                error: bool = False, labels: Optional[bool] = None) -> Any:
        """A measure by its name, at k (the smallest), in the graph "union" or "mutual" where it is one of pairs (the
        first that the stack has), for NNTP at alpha. With `error` its standard error.

        An int64 array where it counts, else float64, NaN where it is undefined. Shapes: (L, L); (L,) of a value for each
        layer, (L - 1,) of steps between layers; returns (L, gaps), column g - 1 for gaps of g layers; a number."""
        k = self.ks[0] if k is None else k
        key = _KEYS.get(name, name)
        for entry in self._entries():
            if key in entry and entry["k"] == k and graph in (None, entry.get("graph")) and alpha == entry.get("alpha", alpha):
                value = entry[key]
                if error:
                    if name != "nnts" and not isinstance(value, dict):
                        raise _lib.InputError(f"{self.path}: {name} has no standard error")
                    value = entry["stderr"] if name == "nnts" else value["stderr"]
                elif isinstance(value, dict):
                    value = value["mean"]
                if value is None:  # of a whole matrix: nothing is left to correct at k = n - 1
                    value = np.full((len(self.layers),) * 2, np.nan)
                array = np.array(value, np.int64 if name in _COUNTS and not error else np.float64)
                return self._label(array, labels)
        where = "".join(f" {what}={value}" for what, value in (("graph", graph), ("alpha", alpha or None)) if value)
        raise _lib.InputError(f"{self.path}: has no {name} at k={k}{where}; it has k={','.join(map(str, self.ks))}, "
                              f"{', '.join(self.tables())}: {', '.join(self.measures)}")

    def tables(self) -> list[str]:
        """Which tables of pairs there are: "union, alpha 0 to 2", ..."""
        most: dict[str, int] = {}
        for entry in self.data["nntp"]:
            most[entry["graph"]] = max(entry["alpha"], most.get(entry["graph"], 0))
        return [f"{graph}, alpha 0 to {alpha}" if alpha else f"{graph}, alpha 0" for graph, alpha in most.items()]

    def nnts(self, k: Optional[int] = None, **options: Any) -> Any:
        """(L, L) float64, 0..1: NNTS, the mean over the samples of the intersection over union of their k nearest."""
        return self.measure("nnts", k, **options)

    def stderr(self, k: Optional[int] = None, **options: Any) -> Any:
        """(L, L) float64: NNTS' standard error."""
        return self.measure("nnts", k, error=True, **options)

    def expected(self, k: Optional[int] = None) -> float:
        """What chance gives: the NNTS of independent random neighbours."""
        return float(self.measure("expected", k, labels=False))

    def corrected(self, k: Optional[int] = None, **options: Any) -> Any:
        """(L, L) float64, 1 at most: NNTS corrected for chance, (NNTS - expected) / (1 - expected)."""
        return self.measure("corrected", k, **options)

    def overlap(self, k: Optional[int] = None, **options: Any) -> Any:
        """(L, L) float64, 0..1: the neighbourhood overlap, the mean share of common ones among the k nearest."""
        return self.measure("overlap", k, **options)

    def nntp(self, k: Optional[int] = None, graph: Optional[str] = None, alpha: int = 0, **options: Any) -> Any:
        """(L, L) int64: NNTP, how many pairs' runs begin at the row's layer and end at the column's."""
        return self.measure("nntp", k, graph, alpha, **options)

    def pairs(self, k: Optional[int] = None, graph: Optional[str] = None, **options: Any) -> Any:
        """(L,) int64: the pairs of neighbours in each layer."""
        return self.measure("pairs", k, graph, **options)

    def removal(self, k: Optional[int] = None, graph: Optional[str] = None, **options: Any) -> Any:
        """(L,) float64, 0..1: the removal score, what share of the pairs of a layer and of the one before both have."""
        return self.measure("removal", k, graph, **options)

    def recall(self, k: Optional[int] = None, **options: Any) -> Any:
        """(L,) float64, 0..1: the part of the true neighbours that each layer's graph has; 1 where it is exact, NaN where
        it is not known."""
        if "recall" in self.measures:
            return self.measure("recall", k, **options)
        exact = [np.nan if layer["recall"] is None else layer["recall"] for layer in self.data["layers"]]
        return self._label(np.array(exact, np.float64), options.get("labels"))

    def __repr__(self) -> str:
        return f"<kith.Stack {self.path!r}: n={self.n} k={','.join(map(str, self.ks))} layers {' '.join(self.layers)}>"

    def _entries(self) -> list[dict[str, Any]]:
        return [entry for part in ("nnts", "nntp", "dynamics") for entry in self.data.get(part, [])]

    def _label(self, array: np.ndarray, labels: Optional[bool]) -> Any:
        if array.ndim == 0 or labels is False:
            return array
        try:
            import pandas
        except ImportError:
            if labels:
                raise
            return array
        rows = self.layers[:len(array)]
        if array.ndim == 1:
            return pandas.Series(array, rows)
        square = array.shape[1] == len(self.layers)
        return pandas.DataFrame(array, rows, self.layers if square else range(1, array.shape[1] + 1))
