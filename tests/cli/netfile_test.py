"""examples/gebhart/netfile.py: every layer's values are those that the edges of net.json make, by the definition of edges
in kith/generators.h, written out here a second time; edge counts of known networks; what is refused."""

import json
import os
import sys
import tempfile
import unittest

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(EXAMPLES, "gebhart"), os.path.join(EXAMPLES, "lenet5")]
import lenet5  # which knows where kith.record is
import kith
from netfile import NetError, netfile

torch.set_num_threads(1)


# ---- edges by their definition

def units(shape):
    return int(np.prod(shape))


class Op:
    def __init__(self, edge, layers, folder):
        self.kind, self.source, self.target = edge["op"], layers[edge["from"]], layers[edge["to"]]
        self.weight = np.load(os.path.join(folder, edge["weight"])) if "weight" in edge else None
        self.kernel = self.weight.shape[2:] if self.kind == "conv2d" else edge.get("kernel")
        self.stride = edge.get("stride", [1, 1] if self.kind == "conv2d" else self.kernel)
        self.padding, self.dilation = edge.get("padding", [0, 0]), edge.get("dilation", [1, 1])
        self.groups = edge.get("groups", 1) if self.kind == "conv2d" else self.source["shape"][0]

    def edges(self, v):
        """[(source unit, weight)] of target unit v."""
        source, target = self.source["shape"], self.target["shape"]
        if self.kind == "dense":
            return [(u, self.weight[v, u]) for u in range(units(source))]
        if self.kind == "identity":
            return [(v, 1)]
        o, y, x = np.unravel_index(v, target)
        group = o // (target[0] // self.groups)
        found = []
        for c in range(source[0] // self.groups):
            for ky in range(self.kernel[0]):
                for kx in range(self.kernel[1]):
                    sy = y * self.stride[0] - self.padding[0] + ky * self.dilation[0]
                    sx = x * self.stride[1] - self.padding[1] + kx * self.dilation[1]
                    if 0 <= sy < source[1] and 0 <= sx < source[2]:
                        u = np.ravel_multi_index((group * (source[0] // self.groups) + c, sy, sx), source)
                        found.append((u, {"conv2d": lambda: self.weight[o, c, ky, kx], "maxpool": lambda: 1,
                                          "avgpool": lambda: 1 / (self.kernel[0] * self.kernel[1])}[self.kind]()))
        return found

    def count(self):
        source, target = self.source["shape"], self.target["shape"]
        if self.kind == "dense":
            return units(source) * units(target)
        if self.kind == "identity":
            return units(target)
        sides = [sum(0 <= o * self.stride[i] - self.padding[i] + k * self.dilation[i] < source[1 + i]
                     for o in range(target[1 + i]) for k in range(self.kernel[i])) for i in (0, 1)]
        return target[0] * (source[0] // self.groups) * sides[0] * sides[1]


class Recorded:
    """net.json, with the activations where they have been recorded."""

    def __init__(self, path):
        folder = os.path.dirname(path)
        with open(path) as file:
            net = json.load(file)
        assert (net["format"], net["version"]) == ("kith-net", 1)
        self.order = [layer["name"] for layer in net["layers"]]
        self.layers = {layer["name"]: layer for layer in net["layers"]}
        for layer in net["layers"]:
            file = os.path.join(folder, layer["activations"])
            if os.path.exists(file):
                rows = np.load(file)
                layer["values"] = rows.reshape(len(rows), -1)
        self.edges = net["edges"]
        self.ops = [Op(edge, self.layers, folder) for edge in net["edges"]]

    def kinds(self):
        return [(edge["from"], edge["to"], edge["op"]) for edge in self.edges]

    def counts(self):
        return sum(op.count() for op in self.ops), sum(units(layer["shape"]) for layer in self.layers.values())

    def sums(self, name, targets):
        """What the edges bring to some units of a layer: (samples, units)."""
        total = 0
        for op in self.ops:
            if op.target is not self.layers[name]:
                continue
            h = op.source["values"].astype(np.float64)
            columns = []
            for v in targets:
                u, w = map(np.array, zip(*op.edges(v)))
                columns.append((h[:, u] * w).sum(1) if op.kind != "maxpool" else h[:, u].max(1))
            total = total + np.array(columns).T
        return total


# ---- networks

class Residual(nn.Module):
    """Additions of identities, of a convolution beside another, of a layer to itself; a module called twice; functions."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.down = nn.Sequential(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.pre = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        y = self.relu(self.bn(self.conv(x)))
        y = self.conv2(y)
        y += self.down(x)
        y = self.relu(y)
        y = y + y
        z = F.relu(self.pre(y)) + y
        return self.fc(F.adaptive_avg_pool2d(F.leaky_relu(z, 0.5), 1).flatten(1))


def block(*layers):
    return nn.Sequential(*layers)


# Each with the shape of its input. Nonlinearities are ReLUs, or LeakyReLUs of slope 0.5, so that what was before them can
# be told.
NETS = {
    "dense": (block(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)), (7,)),
    "conv": (block(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, (2, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 5 * 3, 2)),
             (3, 8, 7)),
    "stride, padding": (block(nn.Conv2d(2, 3, (3, 2), stride=(2, 3), padding=(2, 1)), nn.ReLU()), (2, 7, 9)),
    "dilation, groups": (block(nn.Conv2d(4, 6, 3, dilation=(2, 1), groups=2, padding=1), nn.LeakyReLU(0.5)), (4, 8, 6)),
    "depthwise": (block(nn.Conv2d(3, 6, 3, groups=3, padding=1)), (3, 5, 5)),
    "same": (block(nn.Conv2d(2, 2, (3, 5), padding="same", dilation=(1, 2)), nn.ReLU()), (2, 9, 9)),
    "pools": (block(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Dropout(), nn.Conv2d(3, 2, 2),
                    nn.AvgPool2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(4, 3)),
              (1, 12, 18)),
    "ceil_mode that changes nothing": (block(nn.MaxPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(3)), (2, 6, 6)),
    "pool, then relu": (block(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU()), (1, 8, 8)),
    "relu of the input": (block(nn.ReLU(), nn.Linear(6, 2)), (6,)),
    "batch norm": (block(nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU(),
                         nn.Conv2d(4, 3, 3, bias=False), nn.BatchNorm2d(3, affine=False), nn.ReLU(), nn.Flatten(),
                         nn.Linear(48, 5), nn.BatchNorm1d(5), nn.LeakyReLU(0.5)), (2, 6, 6)),
    "batch norm that cannot be folded": (block(nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3)), (3, 6, 6)),
    "residual": (Residual(), (2, 6, 5)),
}


class BasicBlock(nn.Module):
    """ResNet's; with `expansion` 4 its bottleneck."""

    def __init__(self, before, width, stride, expansion):
        super().__init__()
        if expansion == 1:
            self.conv1, self.conv2 = nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.Conv2d(width, width, 3, 1, 1, bias=False)
            convs = [self.conv1, self.conv2]
        else:
            convs = [nn.Conv2d(before, width, 1, bias=False), nn.Conv2d(width, width, 3, stride, 1, bias=False),
                     nn.Conv2d(width, 4 * width, 1, bias=False)]
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv.out_channels) for conv in convs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != expansion * width:
            self.downsample = nn.Sequential(nn.Conv2d(before, expansion * width, 1, stride, bias=False),
                                            nn.BatchNorm2d(expansion * width))

    def forward(self, x):
        out = x
        for conv, norm in zip(self.convs[:-1], self.norms[:-1]):
            out = self.relu(norm(conv(out)))
        out = self.norms[-1](self.convs[-1](out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def resnet(blocks, expansion):
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for stage, count in enumerate(blocks):
        for b in range(count):
            width = 64 << stage
            layers.append(BasicBlock(before, width, 2 if stage and not b else 1, expansion))
            before = expansion * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


def alexnet():
    """The talk's: 227 x 227, no groups; its table has no padding, its sizes have."""
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(nn.Conv2d(3, 96, 11, 4), relu, nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2), relu,
                         nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1), relu, nn.Conv2d(384, 384, 3, padding=1),
                         relu, nn.Conv2d(384, 256, 3, padding=1), relu, nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6),
                         nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), relu, nn.Dropout(), nn.Linear(4096, 4096), relu,
                         nn.Linear(4096, 1000))


class Functions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 3)
        self.fc1, self.fc2 = nn.Linear(12, 7), nn.Linear(7, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), kernel_size=2)
        x = F.dropout(x.view(x.size(0), -1), training=self.training)
        return self.fc2(torch.relu(self.fc1(x)))


def randomise(model):
    """Statistics, scales and biases that show where they are used wrongly."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model


class NetfileTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = folder.name

    def path(self, name="net.json"):
        return os.path.join(self.out, name)

    def record(self, model, x, **options):
        network, layers = netfile(model, x[:1], self.path(), **options)
        kith.record(network, [x[:2], x[2:]], self.out, layers, samples=len(x), branches=False)
        return Recorded(self.path())

    def check(self, net, some=None, tolerance=1e-9):
        """Every layer but the input is what its edges bring, a constant per channel, and its nonlinearity."""
        for name in net.order[1:]:
            shape, values = net.layers[name]["shape"], net.layers[name]["values"].astype(np.float64)
            v = np.arange(units(shape)) if some is None else np.random.default_rng(0).integers(0, units(shape), some)
            sums, values, channel = net.sums(name, v), values[:, v], np.unravel_index(v, shape)[0]
            self.assertEqual(sums.shape, values.shape)
            for c in np.unique(channel):
                s, a = sums[:, channel == c], values[:, channel == c]
                for before in (a, np.where(a < 0, 2 * a, a)):  # as it is; before a LeakyReLU
                    bias = before - s
                    bias = bias[before != 0] if (a >= 0).all() else bias  # where a ReLU lets nothing through: below
                    if bias.size == 0 or np.ptp(bias) <= tolerance * max(1, np.abs(s).max()):
                        break
                else:
                    self.fail(f"{name}, channel {c}: values are not the sums of its edges")
                if bias.size:
                    self.assertLessEqual(s[a == 0].max(initial=-np.inf) + bias.mean(), 1e-6 * max(1, np.abs(s).max()))

    def test_values(self):
        for name, (model, shape) in NETS.items():
            with self.subTest(name):
                x = torch.randn(5, *shape, dtype=torch.float64)
                model = randomise(model.double())
                self.check(self.record(model, x))
                self.assertTrue(model.training)

    def test_values_show_what_is_wrong(self):
        """The check itself: other weights, strides or paddings do not pass."""
        x = torch.randn(5, 2, 7, 7, dtype=torch.float64)
        self.record(nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU()).double(), x)
        with open(self.path()) as file:
            text = file.read()
        for a, b in (('"stride": [2, 2]', '"stride": [1, 2]'), ('"padding": [1, 1]', '"padding": [1, 0]')):
            self.assertIn(a, text)
            with open(self.path(), "w") as file:
                file.write(text.replace(a, b))
            with self.assertRaises(AssertionError):
                self.check(Recorded(self.path()))

    def test_layers(self):
        net = self.record(NETS["pools"][0].double(), torch.randn(3, 1, 12, 18, dtype=torch.float64))
        self.assertEqual(net.order, ["I", "1", "2", "4", "6", "7", "9"])
        self.assertEqual(net.kinds(), [("I", "1", "conv2d"), ("1", "2", "maxpool"), ("2", "4", "conv2d"),
                                       ("4", "6", "avgpool"), ("6", "7", "avgpool"), ("7", "9", "dense")])
        self.assertEqual(net.edges[1], {"from": "1", "to": "2", "op": "maxpool", "kernel": [3, 3], "stride": [2, 2],
                                        "padding": [1, 1]})
        net = self.record(NETS["residual"][0].double(), torch.randn(3, 2, 6, 5, dtype=torch.float64))
        self.assertEqual(net.order, ["I", "relu@0", "relu@1", "add@1", "relu@2", "leaky_relu", "adaptive_avg_pool2d", "fc"])
        self.assertEqual(net.kinds(), [
            ("I", "relu@0", "conv2d"), ("relu@0", "relu@1", "conv2d"), ("I", "relu@1", "conv2d"),
            ("relu@1", "add@1", "identity"), ("relu@1", "add@1", "identity"), ("add@1", "relu@2", "conv2d"),
            ("relu@2", "leaky_relu", "identity"), ("add@1", "leaky_relu", "identity"),
            ("leaky_relu", "adaptive_avg_pool2d", "avgpool"), ("adaptive_avg_pool2d", "fc", "dense")])

    def test_functions(self):
        x = torch.randn(4, 1, 14, 14)
        model = Functions()
        net = self.record(model, x)
        self.check(net, tolerance=1e-5)
        self.assertEqual(net.order, ["I", "relu@0", "max_pool2d", "relu@1", "avg_pool2d", "relu@2", "fc2"])
        with torch.no_grad():
            np.testing.assert_array_equal(net.layers["fc2"]["values"], model.eval()(x).numpy())
        np.testing.assert_array_equal(np.load(self.path("weights/conv2.npy")), model.conv2.weight.detach().numpy())

    def test_without(self):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
        network, layers = netfile(model, torch.zeros(1, 1, 4, 4), self.path("a.json"), input="X", without=["X"])
        self.assertEqual(sorted(layers.values()), ["1", "3"])
        self.assertEqual(Recorded(self.path("a.json")).kinds(), [("1", "3", "dense")])
        self.assertEqual(os.listdir(self.path("weights")), ["_3.npy"])

    def test_edge_counts(self):
        """Counted by others; see kith-h0 --dry-run."""
        ccff = nn.Sequential(nn.Conv2d(1, 3, 5, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 3, bias=False), nn.ReLU(), nn.Flatten(),
                             nn.Linear(1452, 256, bias=False), nn.ReLU(), nn.Linear(256, 10, bias=False))
        for model, side, edges, vertices in ((ccff, 28, 456676, 4230), (lenet5.lenet5(), 28, 412960, None),
                                             (alexnet(), 227, 1045132160, 936323), (resnet((3, 4, 6, 3), 4), 224, 3954151232, 9962984)):
            channels = next(model.parameters()).shape[1]
            netfile(model, torch.zeros(1, channels, side, side), self.path())
            got = Recorded(self.path()).counts()
            self.assertEqual(got, (edges, vertices or got[1]))

    def test_resnet18_alexnet(self):
        for model, layers in ((resnet((2, 2, 2, 2), 1), 21), (alexnet(), 12)):
            net = self.record(randomise(model), torch.randn(3, 3, 67, 67) if layers == 21 else torch.randn(3, 3, 227, 227))
            self.assertEqual(len(net.order), layers)
            self.check(net, some=40, tolerance=1e-4)

    def test_torchvision(self):
        try:
            import torchvision
        except ImportError:
            self.skipTest("no torchvision")
        for name, side in (("resnet18", 96), ("alexnet", 224)):
            model = getattr(torchvision.models, name)(weights=None)
            self.check(self.record(randomise(model), torch.randn(3, 3, side, side)), some=20, tolerance=1e-4)

    def refuses(self, pattern, model, *shape, **options):
        with self.assertRaisesRegex(NetError, pattern):
            netfile(model, torch.zeros(2, *shape), self.path(), **options)
        self.assertEqual(os.listdir(self.out), [])
        self.assertTrue(all(module.training for module in model.modules()))

    def test_refusals(self):
        def inside(*modules):
            return nn.Sequential(nn.Sequential(*modules))
        image = (3, 6, 6)
        self.refuses(r"^0\.1 \(Softmax\): kith has no operation", inside(nn.Linear(4, 3), nn.Softmax(1)), 4)
        self.refuses(r"^0\.0 \(ConvTranspose2d\): kith has no", inside(nn.ConvTranspose2d(3, 2, 3)), *image)
        self.refuses(r"^0\.0 \(LSTM\): kith has no", inside(nn.LSTM(4, 3)), 5, 4)
        self.refuses(r"^0\.0 \(LayerNorm\): kith has no", inside(nn.LayerNorm(4)), 4)
        self.refuses(r"^0\.0 \(Conv2d\): padding_mode 'reflect'", inside(nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")), *image)
        self.refuses(r"^0\.0 \(Conv2d\): padding 'same' pads", inside(nn.Conv2d(3, 2, 2, padding="same")), *image)
        self.refuses(r"^0\.0 \(Linear\): reads samples of shape \(5, 4\)", inside(nn.Linear(4, 3)), 5, 4)
        self.refuses(r"^0\.0 \(MaxPool2d\): a dilated", inside(nn.MaxPool2d(2, dilation=2)), *image)
        self.refuses(r"^0\.0 \(MaxPool2d\): ceil_mode", inside(nn.MaxPool2d(4, 3, ceil_mode=True)), *image)
        self.refuses(r"^0\.0 \(MaxPool2d\): puts out something other", inside(nn.MaxPool2d(2, return_indices=True)), *image)
        self.refuses(r"^0\.0 \(AvgPool2d\): count_include_pad", inside(nn.AvgPool2d(2, padding=1, count_include_pad=False)), *image)
        self.refuses(r"^0\.0 \(AvgPool2d\): divisor", inside(nn.AvgPool2d(2, divisor_override=3)), *image)
        self.refuses(r"^0\.0 \(AdaptiveAvgPool2d\): makes \(3, 4, 4\) of \(3, 6, 6\)", inside(nn.AdaptiveAvgPool2d(4)), *image)
        self.refuses(r"^0\.0 \(BatchNorm2d\): no running", inside(nn.BatchNorm2d(3, track_running_stats=False)), *image)
        self.refuses(r"^0\.1 \(BatchNorm1d\): no convolution", inside(nn.ReLU(), nn.BatchNorm1d(4)), 4)
        self.refuses(r"^0\.1 \(Conv2d\): reads a layer of shape \(12,\) in", inside(nn.Unflatten(1, (3, 2, 2)), nn.Conv2d(3, 2, 1)), 12)
        self.refuses(r"^without: no layer X; there are I, 0", nn.Sequential(nn.Linear(4, 3)), 4, without=["X"])
        self.refuses(r"^no operation is left", nn.Sequential(nn.Linear(4, 3)), 4, without=["I"])
        self.refuses(r"^'0' is the input's name and a module's", nn.Sequential(nn.Linear(4, 3)), 4, input="0")
        self.refuses(r"^'a/b' can be no layer's name", nn.Sequential(nn.Linear(4, 3)), 4, input="a/b")

        class Forward(nn.Module):
            def __init__(self, forward):
                super().__init__()
                self.inner, self.fc, self.relu = Inner(forward), nn.Linear(4, 4), nn.ReLU(inplace=True)
                self.one = nn.Linear(4, 1)
                self.constant = nn.Parameter(torch.zeros(4))

            def forward(self, x):
                return self.inner(self, x)

        class Inner(nn.Module):
            def __init__(self, forward):
                super().__init__()
                self.run = forward

            def forward(self, model, x):
                return self.run(model, x)

        for pattern, forward in (
                (r"^inner\.cat: kith has no operation", lambda m, x: torch.cat([x, m.fc(x)], 1)),
                (r"^inner\.mul: kith has no operation", lambda m, x: m.fc(x) * 2),
                (r"^inner\.add: constant is nothing", lambda m, x: m.fc(x) + m.constant),
                (r"^inner\.add: 1 is nothing", lambda m, x: m.fc(x) + 1),
                (r"^inner\.linear: kith has no operation", lambda m, x: F.linear(x, m.fc.weight)),
                (r"^inner\.add: an addition with a factor", lambda m, x: torch.add(x, m.fc(x), alpha=2)),
                (r"^inner\.add: adds shapes \(4,\) and \(1,\)", lambda m, x: m.fc(x) + m.one(x)),
                (r"^relu \(ReLU\): changes what inner\.add reads later", lambda m, x: m.fc(m.relu(x)) + x),
                (r"^inner\.relu: changes what inner\.add", lambda m, x: F.relu(x, inplace=True) + x),
                (r"^inner\.flatten: makes \(8,\) of \(2, 4\)", lambda m, x: x.flatten()),
                (r"^the forward pass cannot be traced in inner", lambda m, x: m.fc(x) if x.sum() > 0 else x)):
            with self.subTest(pattern):
                self.refuses(pattern, Forward(forward), 4)


if __name__ == "__main__":
    unittest.main()
