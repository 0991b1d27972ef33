"""GUDHI's SimplexTree on a network's samples: phi by numpy, insert_batch, persistence in dimension 0. Prints the seconds of
CPU time for each sample, of phi and of GUDHI:  rival_gudhi.py NET.json SAMPLES [DIAGRAMS.npz]"""
import json, os, resource, sys
import numpy as np
import gudhi


def load(path):
    net = json.load(open(path))
    folder = os.path.dirname(path)
    layers = {l["name"]: l for l in net["layers"]}
    first, at = {}, 0
    for l in net["layers"]:
        first[l["name"]] = at
        at += int(np.prod(l["shape"]))
    return net, folder, layers, first


def ends(layers, e, w):
    """Source unit, target unit and |w| of each edge, in order of ids; dense, conv2d and maxpool without padding's places."""
    s, t = layers[e["from"]]["shape"], layers[e["to"]]["shape"]
    if e["op"] == "dense":
        v, u = np.divmod(np.arange(w.size), w.shape[1])
        return u, v, np.abs(w).ravel().astype("f8")
    pool = e["op"] == "maxpool"
    kh, kw = e["kernel"] if pool else w.shape[2:]
    sh, sw = e.get("stride", [1, 1])
    ph, pw = e.get("padding", [0, 0])
    o, y, x, c, ky, kx = np.ogrid[:t[0], :t[1], :t[2], :1 if pool else s[0], :kh, :kw]
    sy, sx = y * sh + ky - ph, x * sw + kx - pw
    u = ((o if pool else c) * s[1] + sy) * s[2] + sx
    v = (o * t[1] + y) * t[2] + x
    shape = np.broadcast_shapes(u.shape, v.shape)
    ok = np.broadcast_to((sy >= 0) & (sx >= 0) & (sy < s[1]) & (sx < s[2]), shape).ravel()
    u, v = np.broadcast_to(u, shape).ravel()[ok], np.broadcast_to(v, shape).ravel()[ok]
    a = np.ones(shape) if pool else np.broadcast_to(np.abs(w).astype("f8")[:, None, None], shape)
    return u, v, a.ravel()[ok]


def graph(path):
    """For all samples: both ends as vertices, |w|, and for a sample the source units' activations."""
    net, folder, layers, first = load(path)
    parts, sources = [], []
    for e in net["edges"]:
        w = np.load(os.path.join(folder, e["weight"])) if "weight" in e else None
        u, v, a = ends(layers, e, w)
        h = np.load(os.path.join(folder, layers[e["from"]]["activations"]), mmap_mode="r")
        parts.append((u + first[e["from"]], v + first[e["to"]], a))
        sources.append((u, h))
    a, b, w = (np.concatenate(p) for p in zip(*parts))
    return a, b, w, lambda i: w * np.concatenate([np.abs(h[i].ravel()[u]).astype("f8") for u, h in sources])


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


if __name__ == "__main__":
    a, b, _, phi_of = graph(sys.argv[1])
    diagrams = {}
    for i in range(int(sys.argv[2])):
        start = cpu()
        phi = phi_of(i)
        here = phi > 0
        values, edges = phi[here], np.stack([a[here], b[here]])
        middle = cpu()
        vertices = np.unique(edges)
        heaviest = np.zeros(vertices.max() + 1)
        np.maximum.at(heaviest, edges[0], values)
        np.maximum.at(heaviest, edges[1], values)
        tree = gudhi.SimplexTree()
        tree.insert_batch(vertices[None, :], -heaviest[vertices])
        tree.insert_batch(edges, -values)
        tree.compute_persistence(min_persistence=0, persistence_dim_max=False)
        diagram = tree.persistence_intervals_in_dimension(0)
        print(f"{middle - start:.6f} {cpu() - start:.6f}", flush=True)
        diagrams[str(i)] = diagram
    if len(sys.argv) > 3:
        np.savez(sys.argv[3], **diagrams)
