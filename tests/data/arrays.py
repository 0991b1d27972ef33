#!/usr/bin/python3
"""Writes tests/data/arrays.tar.gz: one array, as NumPy (and, for .safetensors, by that format's documentation) saves it
in several ways, for tests/cli/formats.bats. plain.npy is the array; the others hold the same values, or more."""
import io
import json
import pathlib
import tarfile

import numpy as np

files = {}


def save(name, array, **how):
    out = io.BytesIO()
    np.save(out, array, **how)
    files[name] = out.getvalue()


def safetensors(tensors):
    header, data = {"__metadata__": {"format": "np"}}, b""
    for name, (kind, array) in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


rng = np.random.default_rng(18)
x = rng.integers(-99, 99, (40, 6)).astype("<f4")
whole = rng.integers(-99, 99, (40, 3, 2, 6)).astype("<f4")
whole[:, 2, 1] = x
save("plain.npy", x)
save("fortran.npy", np.asfortranarray(x))
save("big.npy", x.astype(">f4"))
save("whole.npy", np.asfortranarray(whole))
for kind in ("<f2", "<f8", ">f8", "|i1", "<i2", ">i2", "<i4", "<i8", ">i8"):
    save(kind.replace("<", "little-").replace(">", "big-").replace("|", "") + ".npy", x.astype(kind))
upper = (x.view("<u4") >> 16).astype("<u2")  # bfloat16, which holds these values
save("bf16-i2.npy", upper.view("<i2"))
save("bf16-u2.npy", upper)
save("bf16-V2.npy", upper.view("|V2"))
save("bool.npy", x > 0)
save("bool-f4.npy", (x > 0).astype("<f4"))
for part, rows in enumerate(np.split(x, [1, 7, 20, 21, 22, 23, 24, 25, 26, 27, 30])):
    save(f"part-{part}.npy", rows if part % 2 else np.asfortranarray(rows))
    files[f"part-{part}.safetensors"] = safetensors({"h": ("F32", rows)})
files["some.safetensors"] = safetensors({"other": ("U8", np.arange(3, dtype="u1")), "x": ("F32", x), "whole": ("F32", whole),
                                         "b": ("BF16", upper), "eight": ("F8_E4M3", np.zeros((4, 2), "u1"))})
files["raw.bin"] = whole.tobytes()
files["raw-big.bin"] = b"header" + x.astype(">f4").tobytes()

with tarfile.open(pathlib.Path(__file__).with_name("arrays.tar.gz"), "w:gz") as archive:
    for name in sorted(files):
        entry = tarfile.TarInfo(name)
        entry.size = len(files[name])
        archive.addfile(entry, io.BytesIO(files[name]))
