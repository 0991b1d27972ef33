"""Makes the files beside it, by the libraries whose formats they are:  /usr/bin/python3 make.py

All hold the same 7 x 3 x 2 values, x[i, j, k] = (6 i + 2 j + k) / 4 - 3, or as integers 6 i + 2 j + k, so that tests know them.
NumPy, h5py, PyTorch, SciPy (python3-numpy, python3-h5py, python3-torch, python3-scipy)."""
import pickle
import struct

import h5py
import numpy as np
import scipy.io
import torch

COUNT = np.arange(42).reshape(7, 3, 2)
X = COUNT / 4 - 3
TYPES = "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split()


def of_type(name):
    return (X if name.lstrip("<>")[0] == "f" else COUNT).astype(name)


def write(name, *parts):
    with open(name, "wb") as file:
        file.writelines(parts)


# ---- .npz ----

arrays = {**{name: of_type(name) for name in TYPES}, "b1": COUNT % 2 == 1, "big": of_type(">f4"), "fortran": np.asfortranarray(X),
          "deep/er": X.astype("f4")}
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays, text=np.array(["a", "b"]))
np.savez_compressed("one.npz", X)

# ---- .fbin and .fvecs ----

FLAT, COUNTS = X.reshape(7, 6), COUNT.reshape(7, 6)
for name, dtype in (("fbin", "<f4"), ("f16bin", "<f2"), ("u8bin", "u1"), ("i8bin", "i1"), ("ibin", "<i4")):
    write(f"x.{name}", struct.pack("<2I", 7, 6), (FLAT if dtype[1] == "f" else COUNTS).astype(dtype).tobytes())
write("truth.ibin", struct.pack("<2I", 7, 6), COUNTS.astype("<i4").tobytes(), FLAT.astype("<f4").tobytes())
for name, dtype in (("fvecs", "<f4"), ("bvecs", "u1"), ("ivecs", "<i4")):
    rows = (FLAT if dtype[1] == "f" else COUNTS).astype(dtype)
    write(f"x.{name}", *(struct.pack("<i", 6) + row.tobytes() for row in rows))

# ---- HDF5 ----

with h5py.File("types.h5", "w", libver="earliest") as file:
    for name in TYPES + [">f2", ">f4", ">f8", ">i2", ">i4", ">i8", ">u2"]:
        file[name.replace(">", "big_")] = of_type(name)
    file["b1"] = COUNT % 2 == 1
    file["V2"] = (X.astype("<f4").view("<u4") >> 16).astype("<u2").view("V2")
    file["group/inner"] = X.astype("f4")
    file["soft"] = h5py.SoftLink("/group/inner")
    file["other"] = h5py.ExternalLink("one.h5", "/x")
    file["through"] = h5py.SoftLink("/other")
    file["strings"] = np.array([b"a", b"b"])
    file["texts"] = ["a", "b"]
    file["compound"] = np.zeros(3, [("x", "f4"), ("y", "i4")])
    file["complex"] = X.astype("c8")
    file["long"] = X.astype("f8").astype(np.longdouble)
    file["scalar"] = 3.0
    file["empty"] = np.zeros((0, 4), "f4")
    file["nothing"] = h5py.Empty("f4")
    file["references"] = np.array([file["f4"].ref], h5py.ref_dtype)
    file.create_dataset("unwritten", (7, 6), "f4", fillvalue=2.5)
with h5py.File("one.h5", "w") as file:
    file["x"] = X.astype("f4")
with h5py.File("chunked.h5", "w") as file:
    file.create_dataset("rows", data=X.astype("f4"), chunks=(2, 3, 2))
    file.create_dataset("tiles", data=X.astype("f4"), chunks=(2, 2, 1))
    file.create_dataset("gzip", data=X, chunks=(3, 3, 2), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("grown", data=X.astype("f4"), chunks=(4, 1, 2), maxshape=(None, 3, 2))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((7, 3, 2))
    h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, compact).write(space, space, X.astype("f4"))
    filtered = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    filtered.set_chunk((2, 3, 2))
    filtered.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # Zstandard, which is not there
    h5py.h5d.create(file.id, b"zstd", h5py.h5t.IEEE_F32LE, space, filtered).write(space, space, X.astype("f4"))
    file.create_dataset("elsewhere", (7, 3, 2), "f4", external=[("x.fbin", 8, 168)])
    layout = h5py.VirtualLayout((7, 3, 2), "f4")
    layout[:] = h5py.VirtualSource("one.h5", "x", (7, 3, 2))
    file.create_virtual_dataset("virtual", layout)
with h5py.File("wide.h5", "w") as file:  # a row leads to 67 MiB of chunks, of which nearly all is beyond the array
    twice = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    twice.set_chunk((3, 2_800_001, 1))
    twice.set_deflate(9)
    twice.set_deflate(9)
    space = h5py.h5s.create_simple((7, 3, 2), (h5py.h5s.UNLIMITED,) * 3)
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, twice).write(space, space, X.astype("f4"))
with h5py.File("endless.h5", "w") as file:  # as many rows as there are in another file
    layout = h5py.VirtualLayout((7, 6), "f4", maxshape=(None, 6))
    layout[:h5py.h5s.UNLIMITED] = h5py.VirtualSource("source.h5", "x", (7, 6), maxshape=(None, 6))[:h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("x", layout)

# ---- what is not read ----

torch.save(torch.tensor(X), "acts.pt")
torch.save({"layer": torch.tensor(X)}, "old.pth", _use_new_zipfile_serialization=False)
for protocol in (2, 5):
    with open(f"acts{protocol}.pkl", "wb") as file:
        pickle.dump(X, file, protocol)
scipy.io.savemat("acts.mat", {"acts": X})
with h5py.File("acts73.mat", "w", userblock_size=512) as file:
    file["acts"] = X.T
with open("acts73.mat", "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 .".ljust(124) + b"\0\2IM")
