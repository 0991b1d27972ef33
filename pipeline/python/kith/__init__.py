"""kith: which data samples stay neighbours as they pass through the layers of a deep network?

    import kith

    kith.record(model, loader, "activations", "*", input="I")  # a torch.nn.Module's layers to activations/*.npy
    graph = kith.knn("activations/conv1.npy", [15, 100], out="conv1.nng")
    graph.ids[:10]                                             # (10, 100) array, nearest first
    stack = kith.merge({"I": "I.nng", "conv1": "conv1.nng"}, out="stack.json")
    stack.nnts(15)                                             # (2, 2): how alike the layers are
    kith.import_neighbours(ids, distances, squared=True)       # what FAISS, cuVS, UMAP, ... have found
    kith.compare(X, Y, 30).overlap                             # two arrays in one line

    kith.graph("conv1.nng"), kith.stack("stack.json"), kith.pairs("pairs.kpr")   # what the programs have made
    kith.writer("conv1.npy")                                   # activations, a batch at a time, without torch

All is done by libkith and the programs kith-knn, kith-import, kith-merge and kith-pairs, which have to be installed; this package is a
door to them. It finds them in the folder that the environment variable KITH_BIN names (such as a build folder), else
where the `cmake --install` that brought the package put them, else as the dynamic linker and PATH do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._graph import Graph, graph
from ._lib import Error, InputError
from ._npy import Writer, writer
from ._pairs import Components, Pairs, pairs
from ._programs import Comparison, compare, import_neighbours, knn, merge
from ._stack import Stack, stack
from ._version import __version__

if TYPE_CHECKING:
    from ._record import record

__all__ = ["Comparison", "Components", "Error", "Graph", "InputError", "Pairs", "Stack", "Writer", "compare", "graph",
           "import_neighbours", "knn", "merge", "pairs", "record", "stack", "writer", "__version__"]


def __getattr__(name: str) -> Any:
    """kith.record needs torch, which takes seconds to import: only when it is asked for."""
    if name == "record":
        from ._record import record
        return record
    raise AttributeError(f"module 'kith' has no attribute {name!r}")
