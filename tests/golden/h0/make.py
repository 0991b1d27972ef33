#!/usr/bin/env python3
"""Makes the networks windows/ and rounding/ here with expected.txt (golden_h0.c has its layout): from the definitions,
sharing nothing with kith, and each diagram held against GUDHI's. Needs numpy and GUDHI: python3 make.py FOLDER"""
import json, os, sys
import gudhi, numpy as np


def places(op, frm, to):
    """(target, place, source, |w|) of every edge, and the fan-in."""
    units = int(np.prod(to))
    if op["op"] == "dense":
        w = op["w"]
        return [(v, u, u, abs(w[v, u])) for v in range(units) for u in range(w.shape[1])], op["w"].shape[1]
    if op["op"] == "identity":
        return [(v, 0, v, 1.0) for v in range(units)], 1
    conv = op["op"] == "conv2d"
    kh, kw = op["w"].shape[2:] if conv else op["kernel"]
    per = frm[0] // op["groups"] if conv else 1
    (sy, sx), (py, px), (dy, dx) = op["stride"], op["padding"], op.get("dilation", [1, 1])
    out = []
    for v, (o, y, x) in enumerate(np.ndindex(*to)):
        for j, (c, ky, kx) in enumerate(np.ndindex(per, kh, kw)):
            h, g = y * sy + ky * dy - py, x * sx + kx * dx - px
            if 0 <= h < frm[1] and 0 <= g < frm[2]:
                channel = o // (to[0] // op["groups"]) * per + c if conv else o
                w = abs(op["w"][o, c, ky, kx]) if conv else 1.0 / (kh * kw) if op["op"] == "avgpool" else 1.0
                out.append((v, j, (channel * frm[1] + h) * frm[2] + g, w))
    return out, per * kh * kw


def edges_of(layers, ops, h):
    """(phi, id, a, b) of a sample, in order."""
    first, base, edges, at = {}, 0, [], 0
    for name, shape in layers:
        first[name], at = at, at + int(np.prod(shape))
    shapes = dict(layers)
    for op in ops:
        listed, fan_in = places(op, shapes[op["from"]], shapes[op["to"]])
        x = h[op["from"]].ravel()
        if op.get("rule") == "max":
            best = {}
            for e in listed:
                if e[0] not in best or x[e[2]] > x[best[e[0]][2]]:
                    best[e[0]] = e
            listed = list(best.values())
        edges += [(float(w) * abs(float(x[u])), base + v * fan_in + j, first[op["from"]] + u, first[op["to"]] + v)
                  for v, j, u, w in listed]
        base += int(np.prod(shapes[op["to"]])) * fan_in
    return sorted((e for e in edges if e[0] > 0), key=lambda e: (-e[0], e[1]))


def sample(number, edges, f):
    tree, birth, forest, born, died = {}, {}, [], [], {}
    for e in edges:
        a, b = (tree.setdefault(x, {x}) for x in e[2:])
        if a is b:
            continue
        n = len(forest)
        forest.append(e)
        births = sorted(birth[min(t)] for t in (a, b) if min(t) in birth)
        if not births:
            born.append(n)
            births = [n]
        elif len(births) == 2:
            died[births[1]] = (n, births[0])
        a |= b
        for x in b:
            tree[x] = a
        birth[min(a)] = births[0]
    classes = [n for n in born if n not in died or forest[n][0] > forest[died[n][0]][0]]
    check(edges, forest, classes, died)
    deaths = {died[n][0] for n in classes if n in died}

    def reach(n, allowed):
        seen, inside = set(forest[n][2:]), {n}
        while more := [k for k in allowed if k not in inside and seen & set(forest[k][2:])]:
            inside.update(more)
            for k in more:
                seen |= set(forest[k][2:])
        return inside

    basin = {k: c for c, n in enumerate(classes) for k in reach(n, set(range(len(forest))) - deaths)}
    print("sample", number, len(edges), len(born) - len(classes), len(forest), len(classes), file=f)
    for k, e in enumerate(forest):
        print(e[1], e[0].hex(), basin.get(k, -1), file=f)
    for n in classes:
        d, parent = died.get(n, (None, None))
        ids = sorted(forest[k][1] for k in reach(n, range(len(forest) if d is None else d)))
        print(forest[n][1], -1 if d is None else forest[d][1], -1 if d is None else classes.index(parent),
              forest[n][0].hex(), "0x0p+0" if d is None else forest[d][0].hex(), len(ids), *ids, file=f)


def check(edges, forest, classes, died):
    t = gudhi.SimplexTree()
    for phi, _, a, b in edges:
        for x in (a, b):
            if not t.find([x]) or t.filtration([x]) > -phi:
                t.insert([x], -phi)
                t.assign_filtration([x], -phi)
        if not t.find([a, b]) or t.filtration([a, b]) > -phi:
            t.insert([a, b], -phi)
            t.assign_filtration([a, b], -phi)
    t.compute_persistence(min_persistence=0, persistence_dim_max=True)
    theirs = sorted((-b, 0.0 if d == np.inf else -d) for b, d in t.persistence_intervals_in_dimension(0) if b < d)
    ours = sorted((forest[n][0], forest[died[n][0]][0] if n in died else 0.0) for n in classes)
    assert ours == theirs, (ours, theirs)


def write(folder, layers, ops, h):
    os.makedirs(folder, exist_ok=True)
    net = {"format": "kith-net", "version": 1, "layers": [], "edges": []}
    for name, shape in layers:
        np.save(os.path.join(folder, name + ".npy"), h[name])
        net["layers"].append({"name": name, "shape": list(shape), "activations": name + ".npy"})
    for o, op in enumerate(ops):
        plain = {k: v for k, v in op.items() if k != "w"}
        if "w" in op:
            plain["weight"] = "w%d.npy" % o
            np.save(os.path.join(folder, plain["weight"]), op["w"])
        net["edges"].append(plain)
    with open(os.path.join(folder, "net.json"), "w") as f:
        f.write(json.dumps(net).replace('"edges"', '\n  "edges"').replace("}, {", "},\n    {") + "\n")
    with open(os.path.join(folder, "expected.txt"), "w") as f:
        n = len(h[layers[0][0]])
        for i in range(n):
            sample(i, edges_of(layers, ops, {k: v[i] for k, v in h.items()}), f)


def main(out):
    r = np.random.default_rng(17)
    layers = [("I", (4, 6, 5)), ("C", (4, 3, 3)), ("R", (4, 3, 3)), ("M", (4, 2, 2)), ("A", (4, 1, 2)), ("O", (3,))]
    halves = lambda *shape: (r.integers(-3, 4, shape) / 2).astype("f4")
    ops = [{"from": "I", "to": "C", "op": "conv2d", "w": halves(4, 2, 3, 2), "stride": [2, 2], "padding": [1, 1],
            "dilation": [1, 2], "groups": 2},
           {"from": "C", "to": "R", "op": "conv2d", "w": halves(4, 4, 3, 3), "stride": [1, 1], "padding": [1, 1],
            "dilation": [1, 1], "groups": 1},
           {"from": "C", "to": "R", "op": "identity"},
           {"from": "R", "to": "M", "op": "maxpool", "kernel": [2, 2], "stride": [2, 2], "padding": [1, 1], "rule": "max"},
           {"from": "M", "to": "A", "op": "avgpool", "kernel": [3, 1], "stride": [2, 1], "padding": [1, 0]},
           {"from": "A", "to": "O", "op": "dense", "w": r.standard_normal((3, 8)).astype("f4")}]
    write(os.path.join(out, "windows"), layers, ops, {n: np.maximum(halves(3, *s), -0.5) for n, s in layers})
    # Doubles whose products round to the same though they are not the same.
    near = lambda start, step, *shape: start + r.integers(0, 4, shape) * step * 2.0**-52
    layers = [("I", (5,)), ("H", (6,)), ("O", (4,))]
    ops = [{"from": "I", "to": "H", "op": "dense", "w": near(1.0, 1, 6, 5)},
           {"from": "H", "to": "O", "op": "dense", "w": near(1.0, 1, 4, 6)}]
    write(os.path.join(out, "rounding"), layers, ops, {n: near(3.0, 2, 3, *s) for n, s in layers})


main(sys.argv[1])
