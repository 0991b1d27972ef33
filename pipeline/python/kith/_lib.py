"""libkith by ctypes: where it is, the structures and functions of include/kith that this package needs, and errors.

The headers are the contract; a test holds these structures against what the C compiler makes of them."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int, c_uint32, c_uint64, c_void_p
from functools import lru_cache
from typing import Any, Optional

try:
    from . import _installed  # by cmake --install: where it put the rest, from this folder
except ImportError:
    _installed = None  # type: ignore[assignment]

MAX_TIERS = 15


class Error(Exception):
    """What libkith or a program could not do; the message is its own. `code` is a program's exit code: 1 failed (files,
    memory, a damaged file), 2 wrong usage or unfit input."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


class InputError(Error, ValueError):
    """An input that this work cannot be done on, and what to do."""

    def __init__(self, message: str, code: int = 2):
        super().__init__(message, code)


class Err(ctypes.Structure):
    _fields_ = [("code", c_int), ("msg", c_char * 1024)]


class TieCounts(ctypes.Structure):
    _fields_ = [("counted", c_int), ("rows", c_uint64 * MAX_TIERS), ("most", c_uint64 * MAX_TIERS), ("zero", c_uint64)]


class GraphInfo(ctypes.Structure):
    _fields_ = [("n", c_uint64), ("d", c_uint64), ("tiers", c_uint32), ("ladder", c_uint32 * MAX_TIERS),
                ("near", c_uint32), ("block_nodes", c_uint32), ("near_nodes", c_uint32), ("near_bits", c_uint32),
                ("recall", c_double), ("ties", c_int), ("tied", TieCounts), ("metric", c_char * 16), ("engine", c_char * 128),
                ("parameters", c_char * 256),
                ("digest", c_char * 32), ("input", c_char * 256), ("command", c_char * 1024), ("version", c_char * 32)]


class Layer(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("dim", c_uint64), ("metric", c_char_p), ("engine", c_char_p), ("digest", c_char_p),
                ("input", c_char_p), ("command", c_char_p), ("recall", c_double), ("audited", c_uint32),
                ("ties", c_int), ("tied", TieCounts)]


class PairInfo(ctypes.Structure):
    _fields_ = [("n", c_uint64), ("pairs", c_uint64), ("layer_count", c_uint32), ("tiers", c_uint32),
                ("k", c_uint32 * MAX_TIERS), ("block_pairs", c_uint32), ("layers", POINTER(Layer)),
                ("command", c_char * 1024), ("version", c_char * 32)]


# Functions that return a status and take a kith_err last: their other arguments.
_FUNCTIONS = {
    "kith_graph_open": [POINTER(c_void_p), c_char_p],
    "kith_graph_unchanged": [c_void_p],
    "kith_graph_read_rows": [c_void_p, c_uint64, c_uint64, c_uint32, c_void_p],
    "kith_graph_read_ranked": [c_void_p, c_uint64, c_uint64, c_uint32, c_void_p, c_void_p],
    "kith_graph_read_near": [c_void_p, c_uint64, c_uint64, c_void_p, c_void_p],
    "kith_stack_verify": [c_char_p],
    "kith_pair_store_open": [POINTER(c_void_p), c_char_p],
}


def _beside(which: str) -> Optional[str]:
    folder = getattr(_installed, which, None)
    return folder and os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder))


def _candidates(name: str, which: str) -> list[str]:
    """Where a file of that name is, of the folders that are looked at before the system's."""
    folders = [os.environ.get("KITH_BIN"), _beside(which)]
    return [path for path in (os.path.join(folder, name) for folder in folders if folder) if os.path.exists(path)]


def program(name: str) -> str:
    """The path of a program, or its name for PATH to resolve."""
    return next(iter(_candidates(name, "BIN")), name)


@lru_cache(maxsize=None)
def lib() -> ctypes.CDLL:
    name = "libkith.so.0"
    try:
        found = ctypes.CDLL(next(iter(_candidates(name, "LIB")), name))
    except OSError as error:
        raise ImportError(f"libkith is not found ({error}): install kith (sudo cmake --install build && sudo ldconfig), "
                          "or let KITH_BIN name the folder where it is built") from error
    for function, arguments in _FUNCTIONS.items():
        if not hasattr(found, function):
            raise ImportError(f"{found._name} has no {function}: it is older than this package")
        getattr(found, function).argtypes = [*arguments, POINTER(Err)]
    for function in ("kith_graph_close", "kith_pair_store_close"):
        getattr(found, function).argtypes = [c_void_p]
        getattr(found, function).restype = None
    for function, result in (("kith_graph_get_info", GraphInfo), ("kith_pair_store_get_info", PairInfo)):
        getattr(found, function).argtypes = [c_void_p]
        getattr(found, function).restype = POINTER(result)
    return found


def call(function: str, *arguments: Any) -> None:
    """Calls a function of libkith, without the interpreter's lock; what it refuses is raised."""
    err = Err()
    status = getattr(lib(), function)(*arguments, byref(err))
    if status:
        message = err.msg.decode(errors="surrogateescape")
        raise InputError(message) if status in (-4, -7) else Error(message)


def open_handle(function: str, path: str) -> c_void_p:
    handle = c_void_p()
    call(function, byref(handle), os.fsencode(path))
    return handle


def fields(struct: ctypes.Structure) -> dict[str, Any]:
    """The numbers and texts of a structure."""
    plain = {}
    for name, *_ in struct._fields_:
        value = getattr(struct, name)
        if isinstance(value, bytes):
            value = value.decode(errors="surrogateescape")
        if isinstance(value, (int, float, str)):
            plain[name] = value
    return plain


__all__ = ["Err", "Error", "GraphInfo", "InputError", "Layer", "PairInfo", "TieCounts", "byref", "call", "fields", "lib",
           "open_handle", "program"]
