"""Pair stores: every pair of samples through all layers (include/kith/pairs.h), asked by kith-pairs."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Optional, Union

import numpy as np

from . import _lib
from ._programs import run

Layer = Union[str, int]


def pairs(path: Union[str, os.PathLike]) -> Pairs:
    """Opens a pair store, PAIRS.kpr."""
    return Pairs(path)


class Components:
    """The connected components of the pairs that a question finds.

        label   int64, (n,): each sample's component, the number of its smallest member; its own of a sample in no pair
        sizes   int64, (components,): samples in each, descending"""

    def __init__(self, n: int, nodes: np.ndarray):
        self.label = np.arange(n)
        self.label[nodes[:, 0]] = nodes[:, 1]
        self.sizes = np.sort(np.unique(self.label, return_counts=True)[1])[::-1]


class Pairs:
    """Every pair of samples that are neighbours in some layer, and in which.

        n, ks, layers   samples, values of k, the layers' names
        count           pairs in the file: at the largest k, in either direction, in some layer

    Questions return the pairs i < j that answer them, uint32, (m, 2), ascending, at one k (the smallest) in one graph: a
    pair is present in a layer of the "union" graph if either is among the other's k nearest, of the "mutual" one if both
    are. Layers are names or numbers from 0. Counts agree with stack.json to the last unit."""

    def __init__(self, path: Union[str, os.PathLike]):
        self.path = os.fspath(path)
        handle = _lib.open_handle("kith_pair_store_open", self.path)
        try:
            info = _lib.lib().kith_pair_store_get_info(handle)[0]
            self.n: int = info.n
            self.count: int = info.pairs
            self.ks: list[int] = list(info.k[:info.tiers])
            self.layers = [info.layers[v].name.decode(errors="surrogateescape") for v in range(info.layer_count)]
        finally:
            _lib.lib().kith_pair_store_close(handle)

    def all(self, **options: Any) -> np.ndarray:
        """Present in some layer."""
        return self.ask("--all", **options)

    def persist(self, first: Layer, last: Optional[Layer] = None, **options: Any) -> np.ndarray:
        """Present in every layer from first to last (in first, if last is not given)."""
        return self.ask("--persist", first, last, **options)

    def run(self, first: Layer, last: Optional[Layer] = None, **options: Any) -> np.ndarray:
        """Whose run begins just at first and ends just at last: as many as NNTP[first][last]."""
        return self.ask("--run", first, last, **options)

    def born(self, layer: Layer, **options: Any) -> np.ndarray:
        """Present in the layer, not in the one before."""
        return self.ask("--born", layer, **options)

    def dies(self, layer: Layer, **options: Any) -> np.ndarray:
        """Present in the layer, not in the one after."""
        return self.ask("--dies", layer, **options)

    def returns(self, **options: Any) -> np.ndarray:
        """Present, then absent, then present again."""
        return self.ask("--returns", **options)

    def gap(self, first: Layer, last: Layer, **options: Any) -> np.ndarray:
        """Present in first and last, in none between."""
        return self.ask("--gap", first, last, **options)

    def components(self, first: Layer, last: Optional[Layer] = None, **options: Any) -> Components:
        """The connected components of the pairs present in every layer from first to last."""
        with tempfile.TemporaryDirectory(prefix="kith.") as folder:
            out = os.path.join(folder, "components.tsv")
            run("kith-pairs", *self._question("--components", first, last, **options), "-o", out, "--", self.path)
            with open(out) as file:
                lines = [line.split() for line in file if not line.startswith("#")]
        return Components(self.n, np.array(lines, np.int64).reshape(-1, 2))

    def ask(self, question: str, first: Optional[Layer] = None, last: Optional[Layer] = None, **options: Any) -> np.ndarray:
        """Any question of kith-pairs, such as "--persist"."""
        with tempfile.TemporaryDirectory(prefix="kith.") as folder:
            out = os.path.join(folder, "pairs.npy")
            arguments = [*self._question(question, first, last, **options), "--format", "npy", "-o", out]
            run("kith-pairs", *arguments, "--", self.path)
            return np.load(out)

    def __repr__(self) -> str:
        ks = ",".join(map(str, self.ks))
        return f"<kith.Pairs {self.path!r}: n={self.n} k={ks}, {self.count} pairs, layers {' '.join(self.layers)}>"

    def _question(self, question: str, first: Optional[Layer] = None, last: Optional[Layer] = None, *,
                  k: Optional[int] = None, graph: str = "union") -> list[str]:
        layers = [] if first is None else [str(first) if last is None else f"{first}:{last}"]
        return [*(["-k", str(k)] if k is not None else []), "--graph", graph, question, *layers]
