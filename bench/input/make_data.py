"""Arrays for bench.py:  make_data.py layer FORMAT N D OUTPUT [RANK]  |  make_data.py lists N OUTPUT  (NumPy, and h5py for FORMAT h5)

A layer: n samples around 100 centres, or with a RANK in so many directions, the same for every format; of bf16 the values that a
bfloat16 holds, so that npy-bf16 has the same. FORMAT shards makes a folder of 1,000 safetensors, h5-rows chunks of 1,000 whole rows,
deflated a compressed .npz. Lists: OUTPUT.ids.npy and OUTPUT.distances.npy, 15 a row, and
OUTPUT.npy, activations of 64 values."""
import json
import os
import sys
import zipfile

import numpy as np

ROWS = 4096


def blocks(n, d):
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(100, d)).astype("f4")
    for first in range(0, n, ROWS):
        count = min(ROWS, n - first)
        yield centres[rng.integers(0, 100, count)] + rng.normal(size=(count, d)).astype("f4") / 2


def flat_blocks(n, d, rank):
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(rank, d)).astype("f4")
    for first in range(0, n, ROWS):
        yield rng.normal(size=(min(ROWS, n - first), rank)).astype("f4") @ directions


def columns(parts, n, d, scratch):
    """The array turned, some columns at a time, by way of a file."""
    write(scratch, b"", parts)
    x = np.memmap(scratch, "<f4", "r", shape=(n, d))
    for first in range(0, d, 256):
        yield x[:, first:first + 256].T
    os.remove(scratch)


def bfloat16(x):
    return x.view("<u4") & 0xffff0000


def write(path, head, parts):
    with open(path, "wb") as file:
        file.write(head)
        for part in parts:
            file.write(np.ascontiguousarray(part))


def npy_head(descr, n, d, fortran=False):
    text = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({n}, {d}), }}"
    return b"\x93NUMPY\1\0" + (118).to_bytes(2, "little") + (text.ljust(117) + "\n").encode()


def safetensors_head(n, d):
    text = json.dumps({"x": {"dtype": "F32", "shape": [n, d], "data_offsets": [0, 4 * n * d]}}).ljust(120).encode()
    return len(text).to_bytes(8, "little") + text


def vecs(part):
    return np.concatenate([np.full((len(part), 1), part.shape[1], "<i4").view("<f4"), part], axis=1)


def layer(kind, n, d, out, rank=0):
    parts = flat_blocks(n, d, rank) if rank else blocks(n, d)
    if kind in ("npy", "raw"):
        write(out, npy_head("<f4", n, d) if kind == "npy" else b"", parts)
    elif kind == "npy-bf16":
        write(out, npy_head("<f4", n, d), map(bfloat16, parts))
    elif kind == "bf16":
        write(out, npy_head("|V2", n, d), ((bfloat16(part) >> 16).astype("<u2") for part in parts))
    elif kind == "big":
        write(out, npy_head(">f4", n, d), (part.astype(">f4") for part in parts))
    elif kind == "fortran":
        write(out, npy_head("<f4", n, d, True), columns(parts, n, d, out + ".rows"))
    elif kind == "safetensors":
        write(out, safetensors_head(n, d), parts)
    elif kind == "fbin":
        write(out, np.array([n, d], "<u4").tobytes(), parts)
    elif kind == "fvecs":
        write(out, b"", map(vecs, parts))
    elif kind in ("npz", "deflated"):
        method = zipfile.ZIP_STORED if kind == "npz" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(out, "w", method, compresslevel=1) as file, file.open("x.npy", "w", force_zip64=True) as member:
            member.write(npy_head("<f4", n, d))
            for part in parts:
                member.write(part.tobytes())
    elif kind in ("h5", "h5-rows"):
        import h5py
        with h5py.File(out, "w") as file:
            x = file.create_dataset("x", (n, d), "f4", chunks=(min(n, 64), min(d, 784)) if kind == "h5" else (min(n, 1000), d))
            for i, part in enumerate(parts):
                x[i * ROWS:i * ROWS + len(part)] = part
    elif kind == "shards":
        os.makedirs(out, exist_ok=True)
        for i, part in enumerate(np.array_split(np.concatenate(list(parts)), min(n, 1000))):
            write(f"{out}/{i}.safetensors", safetensors_head(len(part), d), [part])
    else:
        sys.exit(__doc__)


def lists(n, out):
    rng = np.random.default_rng(2)
    steps = np.sort(rng.integers(1, max(2, n // 16), (n, 15), dtype="i4").cumsum(1) % n, axis=1)
    ids = (np.arange(n, dtype="i4")[:, None] + np.maximum(steps, np.arange(1, 16, dtype="i4"))) % n
    np.save(out + ".ids.npy", ids)
    np.save(out + ".distances.npy", np.sort(rng.random((n, 15), dtype="f4"), axis=1))
    layer("npy", n, 64, out + ".npy")


if sys.argv[1] == "layer":
    layer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], *map(int, sys.argv[6:]))
else:
    lists(int(sys.argv[2]), sys.argv[3])
