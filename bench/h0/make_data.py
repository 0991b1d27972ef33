"""Networks for the benchmarks of kith-h0, with activations:  make_data.py NETWORK FOLDER [N]

ccff     the trained network of tests/golden/h0/ccff on N Fashion-MNIST test images (Debian's dataset-fashion-mnist)
lenet5   LeNet-5's shape (layers I R0 P0 R1 P1 R2 R3 O of examples/lenet5), random weights, the same images
alexnet  the talk's AlexNet (227 x 227, no groups), random weights, random images
"""
import gzip, json, os, sys
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "..", "tests", "golden", "h0", "ccff")
IMAGES = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"


def images(n):
    path = IMAGES if os.path.exists(IMAGES) else IMAGES[:-3]
    with (gzip.open if path.endswith(".gz") else open)(path) as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:n]
    return (x.astype("f4") / 255 - 0.5) / 0.5


def windows(x, kernel, stride, padding):
    """(n, channels, height, width) -> (n, channels, rows, columns, kernel, kernel), a view."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return w[:, :, ::stride, ::stride]


def conv(x, w, stride=1, padding=0):
    v = windows(x, w.shape[2], stride, padding)
    return np.stack([np.tensordot(s, w, ((0, 3, 4), (1, 2, 3))).transpose(2, 0, 1) for s in v]).astype("f4")


def pool(x, kernel, stride):
    return windows(x, kernel, stride, 0).max(axis=(4, 5))


class Net:
    """Layers as they are computed, and the operations between them."""

    def __init__(self, x, seed=0):
        self.x, self.layers, self.edges, self.arrays = x, [["I", x]], [], {}
        self.rng = np.random.default_rng(seed)

    def add(self, name, x, op):
        source = self.layers[-1][0]
        self.layers.append([name, x])
        self.edges.append({"from": source, "to": name, **op})
        self.x = x

    def weight(self, *shape):
        return (self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) / 2)).astype("f4")

    def conv(self, name, w, stride=1, padding=0):
        file = f"w{len(self.edges)}.npy"
        self.arrays[file] = w
        self.add(name, np.maximum(conv(self.x, w, stride, padding), 0),
                 {"op": "conv2d", "weight": file, "stride": [stride] * 2, "padding": [padding] * 2})

    def pool(self, name, kernel, stride):
        self.add(name, pool(self.x, kernel, stride), {"op": "maxpool", "kernel": [kernel] * 2, "stride": [stride] * 2})

    def dense(self, name, w, last=False):
        file = f"w{len(self.edges)}.npy"
        self.arrays[file] = w
        y = self.x.reshape(len(self.x), -1) @ w.T
        self.add(name, y if last else np.maximum(y, 0), {"op": "dense", "weight": file})

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)
        layers = []
        for name, x in self.layers:
            layers.append({"name": name, "shape": list(x.shape[1:])})
            if name != self.layers[-1][0]:
                np.save(os.path.join(folder, name + ".npy"), x.astype("f4"))
                layers[-1]["activations"] = name + ".npy"
        for file, w in self.arrays.items():
            np.save(os.path.join(folder, file), w)
        with open(os.path.join(folder, "net.json"), "w") as f:
            json.dump({"format": "kith-net", "version": 1, "layers": layers, "edges": self.edges}, f, indent=1)


def ccff(n):
    net = Net(images(n))
    w = [np.load(os.path.join(GOLDEN, f"w{k}.npy")) for k in range(4)]
    net.conv("C1", w[0])
    net.conv("C2", w[1])
    net.dense("F1", w[2])
    net.dense("O", w[3], last=True)
    return net


def lenet5(n):
    net = Net(images(n))
    net.conv("R0", net.weight(6, 1, 5, 5), padding=2)
    net.pool("P0", 2, 2)
    net.conv("R1", net.weight(16, 6, 5, 5))
    net.pool("P1", 2, 2)
    net.dense("R2", net.weight(120, 400))
    net.dense("R3", net.weight(84, 120))
    net.dense("O", net.weight(10, 84), last=True)
    return net


def alexnet(n):
    net = Net(np.random.default_rng(1).standard_normal((n, 3, 227, 227)).astype("f4"))
    net.conv("C1", net.weight(96, 3, 11, 11), 4)
    net.pool("P1", 3, 2)
    net.conv("C2", net.weight(256, 96, 5, 5), 1, 2)
    net.pool("P2", 3, 2)
    net.conv("C3", net.weight(384, 256, 3, 3), 1, 1)
    net.conv("C4", net.weight(384, 384, 3, 3), 1, 1)
    net.conv("C5", net.weight(256, 384, 3, 3), 1, 1)
    net.pool("P3", 3, 2)
    net.dense("F1", net.weight(4096, 9216))
    net.dense("F2", net.weight(4096, 4096))
    net.dense("F3", net.weight(1000, 4096), last=True)
    return net


if __name__ == "__main__":
    name, folder = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else {"ccff": 1000, "lenet5": 1000, "alexnet": 2}[name]
    {"ccff": ccff, "lenet5": lenet5, "alexnet": alexnet}[name](n).save(folder)
