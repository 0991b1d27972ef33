"""kith.knn, compare, merge, stack and pairs: the command line's results, byte for byte, and the definitions' numbers."""

import json
import os
import subprocess
import warnings

import kith
import numpy as np
import pytest
from conftest import slow_knn


def program(name, *arguments):
    done = subprocess.run([kith._lib.program(name), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def layers(here, rng):
    """Three layers of 80 samples: X, what it becomes, and noise."""
    X = rng.normal(size=(80, 4))
    arrays = {"I": X, "mid": np.tanh(X @ rng.normal(size=(4, 6))), "out": rng.normal(size=(80, 2))}
    graphs = {}
    for name, array in arrays.items():
        np.save(f"{name}.npy", array.astype("f4"))
        graphs[name] = kith.knn(f"{name}.npy", [3, 10], out=f"{name}.nng")
    return arrays, graphs


def test_knn_is_the_command_lines(layers):
    for name in layers[1]:
        assert program("kith-knn", "-q", "-k", "3,10", "--metric", "l2", "--engine", "exact", "--ties", "content",
                       "-o", "again.nng", "--", f"{name}.npy")[0] == 0
        ours, again = open(f"{name}.nng", "rb").read(), open("again.nng", "rb").read()
        assert len(ours) == len(again)
        graph, other = kith.graph(f"{name}.nng"), kith.graph("again.nng")
        np.testing.assert_array_equal(graph.ids[:], other.ids[:])
        np.testing.assert_array_equal(graph.distances[:], other.distances[:])
        command = {"command": None}
        assert {**graph.info, **command} == {**other.info, **command}
    os.rename("mid.nng", "kept.nng")  # the same command line: the same bytes
    assert program(*kith.graph("kept.nng").info["command"].split())[0] == 0
    assert open("mid.nng", "rb").read() == open("kept.nng", "rb").read()


def test_knn_of_arrays(here, rng):
    X = rng.normal(size=(70, 2, 3)).astype("f4")
    np.save("X.npy", X)
    want = kith.knn("X.npy", 5).ids[:]
    bfloat16 = (X.view("u4") >> 16 << 16).view("f4")
    for array in (X, X.astype("f8"), X[::-1][::-1], np.asfortranarray(X), X.tolist()):
        np.testing.assert_array_equal(kith.knn(array, 5).ids[:], want)
    np.testing.assert_array_equal(kith.knn((X.view("u4") >> 16).astype("u2").view("V2"), 5).ids[:],
                                  slow_knn(bfloat16, 5)[0])
    np.testing.assert_array_equal(kith.knn(X, 5, metric="cosine", threads=1, memory="64M").ids[:],
                                  slow_knn((x := X.reshape(70, -1).astype("f8")) / np.linalg.norm(x, axis=1)[:, None], 5)[0])


def test_messages(here, rng):
    X = rng.normal(size=(20, 3)).astype("f4")
    X[17, 2] = np.nan
    np.save("X.npy", X)
    code, _, said = program("kith-knn", "-q", "-o", "X.nng", "X.npy")
    with pytest.raises(kith.InputError) as caught:
        kith.knn("X.npy", out="X.nng")
    assert code == 2 and f"kith-knn: {caught.value}\n" == said and "row 17, column 2" in said
    assert isinstance(caught.value, ValueError) and caught.value.code == 2 and not os.path.exists("X.nng")
    for call, name in ((lambda: kith.knn(X, 3), "X"), (lambda: kith.compare(X[:, :2], X, 3), "Y")):
        with pytest.raises(kith.InputError, match=f"^{name}: row 17, column 2 is NaN"):
            call()
    with pytest.raises(kith.InputError, match="^--metric manhattan: not a metric[^\n]*$"):
        kith.knn(X, 3, metric="manhattan")
    for k in ("15", 2.5, [3, 4.5], ["3"]):
        with pytest.raises(kith.InputError, match=r"k=.*: a whole number, or several as \[15, 100\]"):
            kith.knn(X, k)
    with pytest.raises(kith.Error, match="nowhere.npy") as caught:
        kith.knn("nowhere.npy")
    assert caught.value.code == 1
    with pytest.raises(kith.InputError, match="k=20"):
        kith.knn(np.zeros((20, 3)) + np.arange(20)[:, None], 20)
    with pytest.raises(kith.InputError, match="single number"):
        kith.knn(5.0)
    with pytest.warns(UserWarning, match="samples are the same as another"):
        kith.knn(np.ones((20, 3)), 3)
    with pytest.raises(kith.InputError, match="no layers given"):
        kith.merge([], k=3)


def test_without_programs(here, monkeypatch):
    monkeypatch.setenv("KITH_BIN", str(here))
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(ImportError, match="kith-knn is not found: install kith, or let KITH_BIN"):
        kith.knn(np.zeros((3, 3)), 1)


def test_merge_is_the_command_lines(layers):
    _, graphs = layers
    stack = kith.merge(graphs, alpha="all", graph="both", out="stack.json", pairs="pairs.kpr")
    assert program("kith-merge", "-q", "--alpha", "all", "--graph", "both", "--pairs", "again.kpr", "-o", "again.json",
                   *[f"{name}={name}.nng" for name in graphs])[0] == 0
    assert open("stack.json", "rb").read() == open("again.json", "rb").read()
    data = json.load(open("stack.json"))
    assert stack.layers == ["I", "mid", "out"] and stack.ks == [3, 10] and stack.n == 80 and stack.data == data
    for q, k in enumerate(stack.ks):
        for got, want in ((stack.nnts(k), data["nnts"][q]["mean"]), (stack.stderr(k), data["nnts"][q]["stderr"]),
                          (stack.overlap(k), data["nnts"][q]["overlap"]["mean"]),
                          (stack.corrected(k), data["nnts"][q]["corrected"])):
            np.testing.assert_array_equal(np.asarray(got), want)
        assert stack.expected(k) == data["nnts"][q]["expected"]
    for entry in data["nntp"]:
        got = np.asarray(stack.nntp(entry["k"], entry["graph"], entry["alpha"]))
        np.testing.assert_array_equal(got, entry["count"])
        assert got.dtype == np.int64
    for entry in data["dynamics"]:
        for name in ("births", "deaths", "survivors", "removal", "survival", "share", "returns"):
            got = np.asarray(stack.measure(name, entry["k"], entry["graph"]))
            np.testing.assert_array_equal(got, np.array(entry[name], float))
            assert (got.dtype == np.int64) == (name not in ("removal", "share"))
    assert {"nnts", "expected", "overlap", "nntp", "pairs", "isolated", "births", "returns"} <= set(stack.measures)
    by_name = kith.merge(["I.nng", graphs["out"]], 3)
    assert by_name.layers == ["I", "out"] and by_name.ks == [3]
    np.testing.assert_array_equal(np.asarray(by_name.nnts())[0, 1], np.asarray(stack.nnts(3))[0, 2])


def test_stack_refuses(layers):
    _, graphs = layers
    stack = kith.merge(graphs, out="stack.json")
    with pytest.raises(kith.InputError, match=r"no nntp at k=3 graph=mutual; it has k=3,10, union, alpha 0: expected, nnts"):
        stack.nntp(3, "mutual")
    for arguments in (("nnts", 4), ("nntp", 3, "union", 1), ("beauty",)):
        with pytest.raises(kith.InputError, match="has no"):
            stack.measure(*arguments)
    with pytest.raises(kith.InputError, match="births has no standard error"):
        stack.measure("births", error=True)
    text = open("stack.json").read()
    open("stack.json", "w").write(text.replace('"pairs": [', '"pairs": [1'))
    with pytest.raises(kith.Error, match="stack.json: "):
        kith.stack("stack.json")


def test_labels(layers, monkeypatch):
    """With a stand-in for pandas: what it is given."""
    import sys
    import types
    _, graphs = layers
    stack = kith.merge(graphs, alpha="all")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert type(stack.nnts(3)) is np.ndarray
    with pytest.raises(ImportError):
        stack.nnts(3, labels=True)
    fake = types.SimpleNamespace(DataFrame=lambda array, rows, columns: ("frame", rows, list(columns)),
                                 Series=lambda array, rows: ("series", rows))
    monkeypatch.setitem(sys.modules, "pandas", fake)
    names = ["I", "mid", "out"]
    assert stack.nnts(3) == ("frame", names, names) and stack.removal(3) == ("series", names)
    assert stack.measure("survivors") == ("series", names[:2])
    assert stack.measure("returns") == ("frame", names, [1])
    assert type(stack.nnts(3, labels=False)) is np.ndarray


def slow_overlaps(X, Y, k):
    a, b = slow_knn(X, k)[0], slow_knn(Y, k)[0]
    common = np.array([len(set(x) & set(y)) for x, y in zip(a.tolist(), b.tolist())])
    return common / k, common / (2 * k - common)


@pytest.mark.parametrize("n, k", [(40, 30), (120, 7), (3, 2)])
def test_compare(here, rng, n, k):
    X = rng.normal(size=(n, 3)).astype("f4")
    Y = X[:, 1:] + rng.normal(size=(n, 2)).astype("f4") / 3
    overlap, iou = slow_overlaps(X, Y, k)
    got = kith.compare(X, Y, k)
    assert (got.n, got.k) == (n, k)
    assert got.overlap == pytest.approx(overlap.mean(), abs=1e-15) and got.nnts == pytest.approx(iou.mean(), abs=1e-15)
    assert got.overlap_stderr == pytest.approx(overlap.std(ddof=1) / np.sqrt(n), abs=1e-15)
    assert got.stderr == pytest.approx(iou.std(ddof=1) / np.sqrt(n), abs=1e-15)
    if got.expected < 1:
        assert got.corrected == pytest.approx((got.nnts - got.expected) / (1 - got.expected))
    else:
        assert np.isnan(got.corrected)
    np.save("X.npy", X)
    graph = kith.knn(Y, k, out="Y.nng")
    assert str(got) == str(kith.compare("X.npy", graph, k)) == str(kith.compare("X.npy", "Y.nng", k))
    with pytest.raises(kith.InputError, match=f"X has {n} samples, Y {n - 1}|k={k}"):
        kith.compare(X, Y[1:], k)


def test_dadapy(here):
    """DADApy's own test data and the value that its test_neighbour_overlap.py publishes."""
    folder = os.environ.get("KITH_DADAPY_TESTS")
    if not folder:
        pytest.skip("KITH_DADAPY_TESTS does not name the folder tests/ of DADApy, whose data is not ours to ship")
    X = np.load(os.path.join(folder, "2gaussians_in_2d_overlap.npy"))
    assert kith.compare(X, X[:, 1:], 30).overlap == pytest.approx(0.78, abs=1e-12)


def test_pairs(layers):
    """Every question, from the rows of the graphs."""
    _, graphs = layers
    kith.merge(graphs, pairs="pairs.kpr")
    store = kith.pairs("pairs.kpr")
    assert (store.n, store.ks, store.layers) == (80, [3, 10], ["I", "mid", "out"])
    everywhere = set()
    for k in store.ks:
        for kind in ("union", "mutual"):
            present = []
            for graph in graphs.values():
                edges = {(i, j) for i, row in enumerate(graph.ids[:, :k].tolist()) for j in row}
                back = {(j, i) for i, j in edges}
                present.append({(i, j) for i, j in (edges | back if kind == "union" else edges & back) if i < j})
            if k == 10 and kind == "union":
                everywhere = set().union(*present)
            a, b, c = present
            for question, want in ((store.all, a | b | c), (store.returns, (a & c) - b)):
                check(question(k=k, graph=kind), want)
            check(store.persist("I", "out", k=k, graph=kind), a & b & c)
            check(store.persist("mid", k=k, graph=kind), b)
            check(store.run("mid", "mid", k=k, graph=kind), b - a - c)
            check(store.run(0, 1, k=k, graph=kind), (a & b) - c)
            check(store.born("mid", k=k, graph=kind), b - a)
            check(store.dies("mid", k=k, graph=kind), b - c)
            check(store.gap("I", "out", k=k, graph=kind), (a & c) - b)
            found = store.components("I", "mid", k=k, graph=kind)
            label = slow_components(80, a & b)
            np.testing.assert_array_equal(found.label, label)
            sizes = sorted(np.bincount(label).tolist(), reverse=True)
            assert found.sizes.tolist() == [size for size in sizes if size]
    assert store.count == len(everywhere)
    with pytest.raises(kith.InputError, match="nothere"):
        store.born("nothere")
    with pytest.raises(kith.InputError, match="-k 4: pairs.kpr has k=3,10"):
        store.all(k=4)


def check(got, want):
    assert got.dtype == np.uint32 and got.ndim == 2 and got.shape[1] == 2
    assert [tuple(pair) for pair in got.tolist()] == sorted(want)


def slow_components(n, pairs):
    label = np.arange(n)
    for _ in range(n):
        for i, j in pairs:
            label[i] = label[j] = min(label[i], label[j])
    return label


def test_options_pass_through(here, rng):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = kith.knn(rng.normal(size=(300, 8)), 5, engine="exact", options=["--near", "2"])
    assert graph.near == 2


def test_neighbours_from_elsewhere(layers):
    """Their recall is not known: None, NaN in a stack, and a warning; never 1."""
    graph = layers[1]["I"]
    given = kith.import_neighbours(graph.ids[:], graph.distances[:], squared=False, k=[3, 10], source="umap 0.5", out="x.nng")
    np.testing.assert_array_equal(given.ids[:], graph.ids[:])
    np.testing.assert_array_equal(given.distances[:], graph.distances[:])
    assert given.info["recall"] is None and given.d is None and given.info["engine"] == "import:umap 0.5"
    with pytest.warns(UserWarning, match="recall not known"):
        stack = kith.merge(["x.nng", "out.nng"], out="s.json", options=["--mixed"])
    assert np.isnan(np.asarray(stack.recall())[0]) and np.asarray(stack.recall())[1] == 1
    assert stack.data["layers"][0]["recall"] is None and stack.data["layers"][0]["dim"] is None


def test_neighbours_are_the_command_lines(layers):
    """Arrays, of any integers, or files; with their own samples, squared, missing; with the activations."""
    X, graph = layers[0]["I"].astype("f4"), layers[1]["I"]
    own = np.concatenate([np.arange(80)[:, None], graph.ids[:]], axis=1).astype("i8")
    np.save("own.npy", own)
    np.save("squares.npy", graph.distances[:] ** 2)
    for indices in (own, own.astype("f4"), "own.npy", os.path.abspath("own.npy")):
        got = kith.import_neighbours(indices)
        assert (got.n, got.k) == (80, 10)
        np.testing.assert_array_equal(np.sort(got.ids[:], axis=1), np.sort(graph.ids[:], axis=1))
    got = kith.import_neighbours(graph.ids[:] + 1, "squares.npy", squared=True, one_based=True, k=3, near=2)
    assert got.near == 2 and got.info["metric"] == "l2"
    np.testing.assert_array_equal(got.ids[:], graph.ids[:, :3])
    np.testing.assert_array_equal(got.distances[:], graph.distances[:, :2])
    measured = kith.import_neighbours(own, activations=X, ties="index", audit=20)
    np.testing.assert_array_equal(measured.ids[:], graph.ids[:])
    np.testing.assert_array_equal(measured.distances[:], graph.distances[:])
    assert measured.info["recall"] > 0.9 and measured.d == X.shape[1]
    np.save("X.npy", X)
    assert program("kith-import", "-q", "--activations", "X.npy", "--ties", "index", "--audit", "20", "-o", "y.nng", "own.npy")[0] == 0
    again = kith.graph("y.nng")
    assert (again.info["recall"], again.info["digest"]) == (measured.info["recall"], measured.info["digest"])
    np.testing.assert_array_equal(again.ids[:], measured.ids[:])
    own[7, 3] = -1
    with pytest.raises(kith.InputError, match="^indices: row 7, column 3 is -1"):
        kith.import_neighbours(own)
    completed = kith.import_neighbours(own, activations="X.npy", complete=True, ties="index", k=10)
    np.testing.assert_array_equal(completed.ids[:], graph.ids[:])
    for wrong, arguments in (("are they squared", {"distances": graph.distances[:]}), ("of which distances", {"squared": True}),
                             ("leave it out", {"distances": graph.distances[:], "squared": False, "activations": X}),
                             ("k=11, but", {"k": 11})):
        with pytest.raises(kith.InputError, match=wrong):
            kith.import_neighbours(graph.ids[:], **arguments)
