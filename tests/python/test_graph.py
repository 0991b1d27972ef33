"""kith.graph: what is read of a graph is what the definition gives, however it is asked for."""

import gc
import os
import subprocess
import threading

import kith
import numpy as np
import pytest
from conftest import slow_knn


@pytest.mark.parametrize("n, d, ladder, near", [(60, 3, (4, 9), 5), (200, 7, (3, 40, 199), 32), (90, 2, (5,), 0),
                                                (130, 4, (2, 8), 8), (2, 1, (1,), 1)])
def test_rows(here, rng, n, d, ladder, near):
    X = rng.normal(size=(n, d)).astype("f4")
    graph = kith.knn(X, ladder, near=near)
    ids, distances = slow_knn(X, ladder[-1])
    assert (graph.n, graph.d, graph.k, graph.ladder, graph.near) == (n, d, ladder[-1], ladder, near)
    assert graph.ids.shape == (n, ladder[-1]) and graph.distances.shape == (n, near)
    np.testing.assert_array_equal(graph.ids[:, :near], ids[:, :near])
    np.testing.assert_allclose(graph.distances[:], distances[:, :near], rtol=2 ** -24)
    for ranked in (True, False):
        for k in ladder:
            got = graph.read(k=k, ranked=ranked)
            assert got.shape == (n, k) and got.dtype == np.uint32
            for one in [one for one in ladder if one <= k]:  # any k of the ladder: the k nearest
                np.testing.assert_array_equal(np.sort(got[:, :one]), np.sort(ids[:, :one]))


def test_indexing(here, rng):
    graph = kith.knn(rng.normal(size=(300, 5)), [7, 20])
    for rows in (graph.ids, graph.distances):
        whole = np.asarray(rows)
        assert len(rows) == 300 and whole.shape == rows.shape and whole.dtype == rows.dtype
        truths = rng.random(300) < 0.1
        for key in [0, -1, np.int64(299), slice(None), slice(10, 20), slice(-5, None), slice(None, None, 7), slice(20, 10, -3),
                    slice(250, None, -249), slice(5, 5), Ellipsis, [3, 1, 2, 3, -1], np.array([[5, 6], [7, 299]]), truths,
                    np.array([], int), (slice(3, 9), slice(0, 4)), (4, 2), ([1, 299], 0), (slice(2, 4), [0, 3])]:
            np.testing.assert_array_equal(rows[key], whole[key], err_msg=str(key))
        for key in (300, -301, [300]):
            with pytest.raises(IndexError, match="asked for, but there are 300" if isinstance(key, int) else ""):
                rows[key]


def test_threads_read_the_same(here, rng, monkeypatch):
    monkeypatch.setattr(kith._graph, "_WORTH_A_THREAD", 500)
    X = rng.normal(size=(3000, 3)).astype("f4")
    alone = kith.knn(X, 9, out="X.nng", threads=1)
    many = kith.graph("X.nng", threads=5)
    np.testing.assert_array_equal(alone.ids[:], many.ids[:])
    np.testing.assert_array_equal(alone.distances[77:2999], many.distances[77:2999])
    seen = []

    def read():
        for first in range(0, 3000, 250):
            seen.append((many.ids[first:first + 250] == alone.ids[first:first + 250]).all())
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 48 and all(seen)


def test_out(here, rng):
    graph = kith.knn(rng.normal(size=(40, 3)), 6)
    out = np.empty((10, 6), np.uint32)
    assert graph.read(5, 15, out=out) is out
    np.testing.assert_array_equal(out, graph.ids[5:15])
    for bad in (np.empty((10, 6), np.int32), np.empty((9, 6), np.uint32), np.empty((10, 12), np.uint32)[:, ::2]):
        with pytest.raises(ValueError, match=r"uint32, shape \(10, 6\)"):
            graph.read(5, 15, out=bad)
    with pytest.raises(IndexError, match="rows 5:41 asked for, but there are 40"):
        graph.read(5, 41)
    with pytest.raises(kith.InputError, match="k=5: the graph serves 6"):
        graph.read(k=5)


def test_info(here, rng):
    np.save("X.npy", rng.normal(size=(40, 3)))
    graph = kith.knn("X.npy", [3, 6], metric="cosine", out="X.nng")
    assert graph.info["metric"] == "cosine" and graph.info["engine"] == "exact" and graph.info["recall"] == 1
    assert graph.info["digest"].startswith("xxh3:") and graph.info["input"] == "X.npy"
    assert graph.info["ladder"] == (3, 6) and graph.info["command"].startswith("kith-knn -k 3,6")
    assert graph.info["ties"] == "content" and graph.info["tied"] == {"rows": [0, 0], "most": [0, 0], "zero": 0}
    assert "n=40 d=3 k=3,6 cosine exact" in repr(graph)
    with pytest.warns(UserWarning):
        tied = kith.knn(np.repeat([[0.0], [1.0]], 20, axis=0), [3, 30], ties="index")
    assert tied.info["ties"] == "index" and tied.info["tied"] == {"rows": [40, 40], "most": [19, 20], "zero": 0}
    np.testing.assert_array_equal(tied.ids[:], slow_knn(np.repeat([[0.0], [1.0]], 20, axis=0), 30)[0])


def test_to_scipy(here, rng):
    pytest.importorskip("scipy")
    X = rng.normal(size=(50, 3))
    graph = kith.knn(X, [4, 10], near=6)
    ids, distances = slow_knn(X, 10)
    for k in (4, 10):
        dense = np.zeros((50, 50))
        np.put_along_axis(dense, ids[:, :k], 1, axis=1)
        np.testing.assert_array_equal(graph.to_scipy(k).toarray(), dense)
    np.put_along_axis(dense := np.zeros((50, 50)), ids[:, :4], distances[:, :4], axis=1)
    np.testing.assert_allclose(graph.to_scipy(4, distances=True).toarray(), dense, rtol=2 ** -24)
    with pytest.raises(kith.InputError, match="of the 6 nearest"):
        graph.to_scipy(10, distances=True)


def test_errors_are_the_librarys(here, rng):
    with pytest.raises(kith.Error, match="nowhere.nng: .*No such file") as caught:
        kith.graph("nowhere.nng")
    assert caught.value.code == 1
    np.save("X.npy", np.zeros((3, 3)))
    with pytest.raises(kith.InputError, match="X.npy: not a kith graph"):
        kith.graph("X.npy")
    kith.knn(rng.normal(size=(3000, 3)), 9, out="X.nng")
    with open("X.nng", "r+b") as file:  # damage in the middle
        file.seek(len(file.read()) // 2)
        file.write(bytes(64))
    with pytest.raises(kith.Error) as caught:
        kith.graph("X.nng").ids[:]
    check = subprocess.run([kith._lib.program("kith-check"), "X.nng"], capture_output=True, text=True)
    assert check.returncode == 1 and str(caught.value).split(": ")[-1] in check.stderr + check.stdout


def test_closed_and_temporary(here, rng):
    graph = kith.knn(rng.normal(size=(30, 3)), 4)
    path = graph.path
    assert os.path.exists(path)
    ids = graph.ids
    assert ids[3].shape == (4,)
    with graph:
        pass
    with pytest.raises(ValueError, match="closed"):
        graph.ids[0]
    del graph, ids
    gc.collect()
    assert not os.path.exists(path)
