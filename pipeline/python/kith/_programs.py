"""The programs kith-knn, kith-import and kith-merge on arrays and files; their results are those of the command line."""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
import weakref
from dataclasses import dataclass
from operator import index
from typing import Any, Mapping, Optional, Sequence, Union

import numpy as np

from . import _lib
from ._graph import Graph
from ._npy import as_array
from ._stack import Stack

Path = Union[str, "os.PathLike[str]"]


def run(name: str, *arguments: Any, called: Optional[Mapping[str, str]] = None, level: int = 3) -> None:
    """Runs a program. Its message is raised if it fails, and a warning of its becomes one, of the caller `level` calls up.
    `called`: what the user calls the files of messages, if not by their paths."""
    command = [_lib.program(name), "-q", *map(os.fspath, arguments)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise ImportError(f"{name} is not found: install kith, or let KITH_BIN name the folder where it is built") from error
    said = [line.removeprefix(f"{name}: ") for line in done.stderr.decode(errors="surrogateescape").splitlines()
            if line and not line.startswith(f"Try `{name} --help'")]
    for path, known in (called or {}).items():
        said = [line.replace(path, known) for line in said]
    if done.returncode:
        message = "\n".join(said) or f"{name} ended by signal {-done.returncode}"
        raise _lib.InputError(message) if done.returncode == 2 else _lib.Error(message)
    for line in said:
        warnings.warn(line, stacklevel=level)


def knn(X: Any, k: Union[int, Sequence[int]] = 15, *, metric: str = "l2", engine: str = "exact", ties: str = "content",
        out: Optional[Path] = None,
        near: Optional[int] = None, candidates: Sequence[Path] = (), audit: Optional[int] = None,
        memory: Union[None, int, str] = None, threads: Optional[int] = None, options: Sequence[str] = (),
        _called: str = "X") -> Graph:
    """Each sample's k nearest neighbours, by kith-knn. Returns the graph, opened.

    X           an array (n, ...), flattened to (n, d), of finite real numbers, bfloat16 among them; or what kith-knn reads:
                "conv1.npy", "acts.safetensors:conv1", shards that are read as one "conv1.npy.*-of-4", ...
    k           neighbours per sample, 1..n-1; several (ascending) are a ladder that one graph serves
    metric      "l2" or "cosine"
    engine      "exact"; "approx" or "approx:recall=0.95": nearly all, with a measured recall; "faiss:FACTORY"
    ties        the order of samples that are equally far: "content", a pseudo-random one that the layer's values fix, or "index"
    out         where the graph is written, such as "conv1.nng"; by default a temporary file that goes with the object
    near        of how many nearest ones order and distance are kept (32)
    candidates  graphs of other layers whose rows are measured as well (engines that are not exact)
    audit       samples that measure the recall (1,000; engines that are not exact)
    memory      to work in, bytes or "4G"; threads: by default every core
    options     further options of kith-knn, as on its command line

    InputError (a ValueError) says what is wrong with X, and where; Error what else went wrong."""
    arguments = ["-k", _ladder(k), "--metric", metric, "--engine", engine, "--ties", ties, *_limits(memory, threads)]
    arguments += _counts(near=near, audit=audit)
    for graph in candidates:
        arguments += ["--candidates", os.fspath(graph)]
    return _build("kith-knn", [*arguments, *options], X, _called, {}, out)


def import_neighbours(indices: Any, distances: Any = None, *, squared: Optional[bool] = None, activations: Any = None,
                      k: Union[None, int, Sequence[int]] = None, metric: str = "l2", one_based: bool = False,
                      complete: bool = False, source: Optional[str] = None, ties: str = "content", near: Optional[int] = None,
                      audit: Optional[int] = None, out: Optional[Path] = None, memory: Union[None, int, str] = None,
                      threads: Optional[int] = None, options: Sequence[str] = ()) -> Graph:
    """A graph of neighbours that something else found (FAISS, cuVS, hnswlib, PyNNDescent, UMAP, DADApy, ...), by kith-import.
    Returns it, opened.

    indices      (n, columns): row i has the samples 0..n-1 that are nearest to sample i, nearest first. An array, or the path
                 of a file. Sample i itself may be among them, anywhere, and is dropped
    distances    theirs, (n, columns) or of the first columns only; not together with activations, which are measured
    squared      of distances, and has to be said: True (FAISS, hnswlib, cuVS' sqeuclidean), False (UMAP, PyNNDescent,
                 scikit-learn, DADApy). Under cosine, squared distances are 2 - 2 cos
    activations  (n, ...): what the neighbours were found in. Distances and order are then kith's own, and the recall is
                 measured; without them it is not known: graph.info["recall"] is None
    k            neighbours per sample; several (ascending) are a ladder. By default all columns but the samples themselves
    metric       by which they are the nearest: "l2", "cosine" or, without activations, "jaccard"
    one_based    samples are numbered 1..n
    complete     with activations: lists with a -1, a sample that there is not or one twice, or too few others, which are
                 refused by row and column otherwise, are found anew
    source       who found them, for the graph to say: "cuvs 25.10 nn_descent"
    ties, near, audit, out, memory, threads
                 as of kith.knn; ties and audit are of activations
    options      further options of kith-import, as on its command line

    InputError (a ValueError) says what is wrong, and where; Error what else went wrong."""
    arguments = ["--metric", metric, "--ties", ties, *_counts(near=near, audit=audit), *_limits(memory, threads)]
    arguments += ["-k", _ladder(k)] if k is not None else []
    arguments += ["--squared" if squared else "--euclidean"] if squared is not None else []
    arguments += [option for option, given in (("--one-based", one_based), ("--complete", complete)) if given]
    arguments += ["--source", source] if source is not None else []
    more = {"distances": distances, "activations": activations}
    given = {name: one for name, one in more.items() if one is not None}
    return _build("kith-import", [*arguments, *options], indices, "indices", given, out)


def _build(name: str, arguments: Sequence[str], X: Any, called: str, more: Mapping[str, Any], out: Optional[Path]) -> Graph:
    """A program's graph of X, opened. X, which the user calls so, and what its options `more` name are paths, or arrays that
    are saved for it."""
    needed = out is None or not all(map(_is_path, [X, *more.values()]))
    temporary = tempfile.TemporaryDirectory(prefix="kith.") if needed else None
    saved: dict[str, str] = {}  # paths, and what the user calls them

    def path_of(what: Any, known: str) -> Any:
        if _is_path(what):
            return what
        path = _save(what, os.path.join(temporary.name, f"{known}.npy"))
        saved[path] = known
        return path

    try:
        named = [part for option, what in more.items() for part in (f"--{option}", path_of(what, option))]
        graph_path = os.path.join(temporary.name, "X.nng") if out is None else os.fspath(out)
        path = path_of(X, called)
        run(name, *arguments, *named, "-o", graph_path, "--", path, called=saved, level=4)
        for path in saved:
            os.remove(path)
        found = Graph(graph_path)
        if out is None:
            weakref.finalize(found, temporary.cleanup)
            temporary = None
        return found
    finally:
        if temporary is not None:
            temporary.cleanup()


def merge(layers: Union[Mapping[str, Any], Sequence[Any]], k: Union[None, int, Sequence[int]] = None, *,
          alpha: Union[int, str] = 0, graph: str = "union", out: Optional[Path] = None, pairs: Optional[Path] = None,
          memory: Union[None, int, str] = None, threads: Optional[int] = None, options: Sequence[str] = ()) -> Stack:
    """The layers' graphs to one result, by kith-merge. Returns it, opened.

    layers  the graphs, in causal order: {name: graph} or a list, each a path or a kith.Graph; of a list, the names are
            the files' stems
    k       which k of the graphs (every one that all share)
    alpha   NNTP for 0..alpha; "all": 0..L-2
    graph   "union", "mutual" or "both": which directions make two samples a pair
    out     where stack.json is written; by default nowhere that stays
    pairs   also write every pair through all layers, for kith.pairs
    memory  to work in, bytes or "4G"; threads: by default every core
    options further options of kith-merge, as on its command line"""
    named = layers.items() if isinstance(layers, Mapping) else [(None, layer) for layer in layers]
    graphs = []
    for name, layer in named:
        path = layer.path if isinstance(layer, Graph) else os.fspath(layer)
        graphs.append(path if name is None else f"{name}={path}")
    with tempfile.TemporaryDirectory(prefix="kith.") as folder:
        path = os.fspath(out) if out is not None else os.path.join(folder, "stack.json")
        arguments = [] if k is None else ["-k", _ladder(k)]
        arguments += ["--alpha", str(alpha), "--graph", graph, *_limits(memory, threads)]
        arguments += ["--pairs", os.fspath(pairs)] if pairs is not None else []
        run("kith-merge", *arguments, *options, "-o", path, "--", *graphs)
        return Stack(path)


@dataclass(frozen=True)
class Comparison:
    """How alike the neighbourhoods of the same n samples are in two representations, at k. All are floats.

    nnts, stderr             mean intersection over union of a sample's k nearest, and its standard error
    overlap, overlap_stderr  mean share of common ones among the k nearest: DADApy's return_data_overlap
    expected                 the nnts that chance gives
    corrected                nnts corrected for chance: 1 if equal, 0 for chance"""
    n: int
    k: int
    nnts: float
    stderr: float
    overlap: float
    overlap_stderr: float
    expected: float
    corrected: float


def compare(X: Any, Y: Any, k: int = 15, **options: Any) -> Comparison:
    """Compares two representations of the same samples: each an array (n, ...), a path of one (.npy), a kith.Graph or the
    path of one (.nng). Options are those of kith.knn, for both."""
    graphs = []
    for which, name in ((X, "X"), (Y, "Y")):
        is_graph = isinstance(which, Graph) or _is_path(which) and os.fspath(which).endswith(".nng")
        graphs.append(which if is_graph else knn(which, k, near=0, _called=name, **options))
    if isinstance(graphs[0], Graph) and isinstance(graphs[1], Graph) and graphs[0].n != graphs[1].n:
        raise _lib.InputError(f"X has {graphs[0].n} samples, Y {graphs[1].n}")
    found = merge({"X": graphs[0], "Y": graphs[1]}, k)

    def value(name: str, error: bool = False) -> float:
        return float(found.measure(name, k, error=error, labels=False)[0, 1])
    return Comparison(found.n, k, value("nnts"), value("nnts", True), value("overlap"), value("overlap", True),
                      found.expected(k), value("corrected"))


def _is_path(what: Any) -> bool:
    return isinstance(what, (str, os.PathLike))


def _save(X: Any, path: str) -> str:
    array = as_array(X)
    if array.ndim == 0:
        raise _lib.InputError("a single number; an array (samples, ...) is needed")
    np.save(path, np.ascontiguousarray(array))
    return path


def _ladder(k: Union[int, Sequence[int]]) -> str:
    try:
        return ",".join(str(index(one)) for one in (k if isinstance(k, (Sequence, np.ndarray)) else [k]))
    except TypeError:
        raise _lib.InputError(f"k={k!r}: a whole number, or several as [15, 100]") from None


def _counts(**options: Optional[int]) -> list[str]:
    return [part for option, value in options.items() if value is not None for part in (f"--{option}", str(value))]


def _limits(memory: Union[None, int, str], threads: Optional[int]) -> list[str]:
    return (["-m", str(memory)] if memory is not None else []) + (["-t", str(threads)] if threads is not None else [])
