"""All ids of a graph into a NumPy array (n, k): seconds, peak MiB.

    read_ids.py WAY GRAPH.nng

  kith    kith.graph(GRAPH).ids[:], in rank order where the graph has one, checksums verified
  tiers   the same, tier by tier, as they are stored
  show    what kith-show prints, by numpy.loadtxt
  lmdb    the records by python3-lmdb, python3-zstandard and NumPy, as store/FORMAT.md describes them: tier by tier, no
          checksums; for tiers that are stored as gaps (16 members < n)
  check   whether they all have the same ids in each tier

libkith and kith-show are those of the folder KITH_BIN."""
import os
import resource
import struct
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pipeline", "python"))
import kith


def by_show(path):
    shown = subprocess.Popen([os.path.join(os.environ["KITH_BIN"], "kith-show"), path], stdout=subprocess.PIPE, text=True)
    ids = np.loadtxt(shown.stdout, np.uint32, usecols=1)
    info = kith.graph(path)
    return ids.reshape(info.n, info.k)


def by_lmdb(path):
    import lmdb
    import zstandard
    decompress = zstandard.ZstdDecompressor().decompress

    def streams(value):
        at = 32
        while at < len(value):
            raw, stored = struct.unpack_from("<QQ", value, at)
            data = value[at + 16:at + 16 + stored]
            yield bytes(data) if raw == stored else decompress(data, raw)
            at += 16 + stored
    with lmdb.open(path, subdir=False, readonly=True, lock=False) as env, env.begin(buffers=True) as txn:
        meta = next(streams(txn.get(bytes(5))))
        tiers, _, block = struct.unpack_from("<III", meta, 12)
        (n,) = struct.unpack_from("<Q", meta, 24)
        ladder = struct.unpack_from(f"<{tiers}I", meta, 56)
        width = 1 if n <= 1 << 8 else 2 if n <= 1 << 16 else 3 if n <= 1 << 24 else 4
        ids = np.empty((n, ladder[-1]), np.uint32)
        for number, first in enumerate(range(0, n, block)):
            part = ids[first:first + block]
            planes = streams(txn.get(b"\x01" + number.to_bytes(4, "big")))
            for low, high in zip((0, *ladder), ladder):
                gaps = np.zeros((len(part), high - low), np.uint32)
                for plane in range(width):
                    gaps |= np.frombuffer(next(planes), np.uint8).reshape(gaps.shape).astype(np.uint32) << 8 * plane
                gaps[:, 1:] += 1
                np.cumsum(gaps, axis=1, out=part[:, low:high])
    return ids


WAYS = {"kith": lambda path: kith.graph(path).ids[:], "tiers": lambda path: kith.graph(path).read(ranked=False),
        "show": by_show, "lmdb": by_lmdb}


def check(path):
    ladder = kith.graph(path).ladder
    found = [[np.sort(ids[:, low:high]) for low, high in zip((0, *ladder), ladder)]
             for ids in (way(path) for way in WAYS.values())]
    assert all((a == b).all() for one in found for a, b in zip(one, found[0]))


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check(sys.argv[2])
        sys.exit()
    if sys.argv[1] == "lmdb":
        import lmdb, zstandard  # loading them is not what is measured
    else:
        kith._lib.lib()
    started = time.monotonic()
    array = WAYS[sys.argv[1]](sys.argv[2])
    print(f"{time.monotonic() - started:.4f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} {array.nbytes}")
