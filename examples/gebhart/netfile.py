"""Write the net.json of a PyTorch network, kith-h0's input, with its weights, and say what is to be recorded for it.

Copy this one file into your project; it needs numpy and torch, nothing else.

    import kith
    from netfile import netfile

    network, layers = netfile(model, images[:1], "activations/net.json")
    kith.record(network, loader, "activations", layers)

writes activations/net.json, activations/weights/*.npy, and then each layer's activations; so

    kith-h0 -o samples.kh0 activations/net.json

has all it needs. A layer is what a nonlinearity puts out, or what an operation puts out whose values go on without one.
Its name is that of the module that computes it, such as "layer1.0.relu@1" for that module's second call.

What becomes an operation: Conv2d, Linear, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d (where its windows are all alike), and
additions. BatchNorm is folded into the weights before it, or, where none are before it, becomes a convolution with a
1 x 1 window for each channel. Elementwise nonlinearities end a layer. Dropout, Identity and whatever only views the
values in another shape are nothing. All else is refused, by the name of the module that does it.
"""

import contextlib
import json
import operator
import os
from collections import Counter

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F


class NetError(ValueError):
    """The network is none that net.json can express; the message names the module."""


def netfile(model, example, path, *, input="I", without=()):
    """Write `path` and, in the folder weights/ beside it, the weights. Returns (network, layers): what to give to
    kith.record as its model and its modules, with the folder of `path` as its out.

    example   a batch of inputs, of one sample or more; only its shape matters.
    input     NAME of the layer that is the model's input.
    without   names of layers that are left out, with all their edges: ["I"] for a graph without the input.

    `network` computes what `model` does, with its very parameters, and has a module for every layer, so that layers
    which a function such as torch.relu puts out are recorded, too. `layers` is {that module's name: the layer's NAME}.
    The model is looked at in eval mode and gets its modes back. Raises NetError, and then has written nothing.
    """
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        network = _trace(model, example)
        reader = _Reader(network, input)
        reader.read()
    finally:
        for module, training in modes:
            module.training = training
    unknown = set(without) - {value.layer for value in reader.layers}
    if unknown:
        raise NetError(f"without: no layer {', '.join(sorted(unknown))}; "
                       f"there are {', '.join(value.layer for value in reader.layers)}")
    layers = [value for value in reader.layers if value.layer not in without]
    edges = [(value, term) for value in layers for term in value.terms if term.source.layer not in without]
    if not edges:
        raise NetError("no operation is left: a graph needs one")
    _write(path, layers, edges)
    return network, _watch(network, layers)


def _watch(network, layers):
    """A module behind each node whose value is a layer: {the module's name: the layer's}."""
    watched = {}
    for value in layers:
        module = "layer " + value.layer.replace(".", ":")  # no module's name has a dot; no layer's a colon
        network.add_module(module, nn.Identity())
        with network.graph.inserting_after(value.node):
            watch = network.graph.call_module(module, (value.node,))
        value.node.replace_all_uses_with(watch)
        watch.args = (value.node,)
        watched[module] = value.layer
    network.recompile()
    return watched


class _Tracer(fx.Tracer):
    """Notes inside which module each node is."""

    def __init__(self):
        super().__init__()
        self.inside = [""]

    def call_module(self, module, forward, args, kwargs):
        self.inside.append(self.path_of_module(module))
        result = super().call_module(module, forward, args, kwargs)
        self.inside.pop()  # not after an error, which is said to be there
        return result

    def create_node(self, *args, **kwargs):
        node = super().create_node(*args, **kwargs)
        node.meta["inside"] = self.inside[-1]
        return node


def _trace(model, example):
    tracer = _Tracer()
    try:
        network = fx.GraphModule(model, tracer.trace(model))
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        where = f"in {tracer.inside[-1]}" if tracer.inside[-1] else "in the model"
        raise NetError(f"the forward pass cannot be traced {where}: {error}") from error
    with torch.no_grad():
        ShapeProp(network).propagate(example.detach().clone())  # a copy, for modules that work in place
    return network


class _Term:
    """One operation that adds to a value: what net.json says of it, and its weights in double precision."""

    def __init__(self, op, source, node, weight=None, dtype=None):
        self.op, self.source, self.node, self.weight, self.dtype = op, source, node, weight, dtype


class _Value:
    """What one or more nodes hold: the sum of `terms` (and of biases, which make no edges), a nonlinearity behind it or
    not. It is a layer once it has a name; before that, what follows may still add to it or scale it."""

    def __init__(self, terms, shape, node):
        self.terms, self.shape, self.node, self.layer = terms, tuple(shape), node, None


def _shape(node):
    """Of one sample; None if the node's value is no tensor."""
    meta = node.meta.get("tensor_meta")
    return tuple(meta.shape[1:]) if hasattr(meta, "shape") else None


def _first(node):
    return node.args[0] if node.args else node.kwargs.get("input")


def _pair(value):
    return [int(v) for v in (value if isinstance(value, (tuple, list)) else (value, value))]


class _Reader:
    """Goes through the nodes in their order."""

    def __init__(self, network, input):
        self.network, self.input = network, input
        self.modules = dict(network.named_modules())
        self.values = {}  # {node: _Value}
        self.layers = []  # those values that are layers
        self.same = {}    # {node: the node whose memory it may share}
        self.place = {node: i for i, node in enumerate(network.graph.nodes)}
        self.calls = Counter(map(self.where, network.graph.nodes))
        self.called = Counter()
        self.names = {}

    def read(self):
        for node in self.network.graph.nodes:
            self.name(node)
            if node.op == "output":
                for result in node.all_input_nodes:
                    self.layer(self.value(node, result))
            elif node.op == "placeholder":
                self.placeholder(node)
            elif node.op == "call_module" or node.op != "get_attr" and _shape(node) is not None:
                self.same[node] = node
                value = self.compute(node)
                self.values[node] = value
                if sum(user.op == "output" or _shape(user) is not None for user in node.users) > 1:
                    self.layer(value)

    # ---- names and messages

    def where(self, node):
        """The module that a node is a call of, or the function with the module that calls it."""
        if node.op == "call_module":
            return node.target
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        inside = node.meta.get("inside")
        return f"{inside}.{name}" if inside else name

    def name(self, node):
        where = self.where(node)
        self.names[node] = where if self.calls[where] == 1 else f"{where}@{self.called[where]}"
        self.called[where] += 1

    def refuse(self, node, why):
        what = f" ({type(self.modules[node.target]).__name__})" if node.op == "call_module" else ""
        raise NetError(f"{self.names[node]}{what}: {why}")

    # ---- values

    def value(self, node, source):
        """What `source` holds, for `node`."""
        if not isinstance(source, fx.Node) or source not in self.values:
            self.refuse(node, f"{source} is nothing that the input's layers have computed")
        return self.values[source]

    def layer(self, value):
        """Makes a value a layer, if it is none yet."""
        if value.layer is not None:
            return value
        name = self.names[value.node] if value.terms else self.input
        if not name or set(name) & set(":,>/\t\n") or name.startswith("."):
            raise NetError(f"{name!r} can be no layer's name: it has one of : , > / or begins with a dot")
        if name in (other.layer for other in self.layers):
            raise NetError(f"{name!r} is the input's name and a module's; choose with input=")
        if 0 in value.shape or not value.shape:
            self.refuse(value.node, "its value is no tensor with samples along the first axis")
        value.layer = name
        self.layers.append(value)
        return value

    def source(self, node, axes):
        """The layer that an operation reads: of `axes` axes a sample, in the layer's own shape if these are three."""
        source = _first(node)
        value = self.value(node, source)
        if len(_shape(source)) != axes:
            self.refuse(node, f"reads samples of shape {_shape(source)}: kith takes {axes} axes here")
        if axes == 3 and _shape(source) != value.shape:
            self.refuse(node, f"reads a layer of shape {value.shape} in another shape, {_shape(source)}")
        return self.layer(value)

    def placeholder(self, node):
        if any(value.node.op == "placeholder" for value in self.layers):
            if node.users:
                raise NetError(f"{node.target}: a second input; kith-h0 takes networks of one")
            return
        if _shape(node) is None:
            raise NetError("the example is no tensor")
        self.same[node] = node
        self.values[node] = self.layer(_Value([], _shape(node), node))

    # ---- operations: each method returns the node's value

    def compute(self, node):
        if node.op == "call_module":
            module = self.modules[node.target]
            method = next((method for kind, method in _MODULES.items() if isinstance(module, kind)), None)
        else:
            module, method = None, _FUNCTIONS.get(_function_name(node))
        if method is None:
            self.refuse(node, "kith has no operation for this")
        if _shape(node) is None:
            self.refuse(node, "puts out something other than one tensor")
        self.check_in_place(node, module)
        return getattr(self, method)(node, module)

    def check_in_place(self, node, module):
        """A value that is overwritten must not be wanted any more."""
        name = _function_name(node)
        if not (getattr(module, "inplace", False) or name.endswith("_") or name == "iadd" or
                any(v is True for v in (*node.args[1:], node.kwargs.get("inplace")))) or _is_dropout(module, name):
            return
        changed = self.same.get(_first(node))
        for other, same in self.same.items():
            late = [user for user in other.users if self.place[user] > self.place[node]]
            if same is changed and other is not node and late:
                self.refuse(node, f"changes what {self.where(late[0])} reads later: make it inplace=False")

    def nothing(self, node, module):
        """The same values, maybe in another shape."""
        source = _first(node)
        value = self.value(node, source)
        before, after = source.meta["tensor_meta"].shape, node.meta["tensor_meta"].shape
        if before[0] != after[0] or before.numel() != after.numel():
            self.refuse(node, f"makes {tuple(after)} of {tuple(before)}: the first axis has to stay the samples'")
        self.same[node] = self.same[source]
        return value

    def nonlinearity(self, node, module):
        value = self.value(node, _first(node))
        terms = value.terms if value.layer is None else [_Term({"op": "identity"}, value, node)]
        return self.layer(_Value(terms, value.shape, node))

    def add(self, node, module):
        if len(node.args) != 2 or set(node.kwargs) - {"inplace"}:
            self.refuse(node, "an addition with a factor")
        values = [self.value(node, arg) for arg in node.args]
        if values[0].shape != values[1].shape:
            self.refuse(node, f"adds shapes {values[0].shape} and {values[1].shape}")
        if values[0] is values[1]:
            self.layer(values[0])
        terms = []
        for value in values:
            terms += value.terms if value.layer is None else [_Term({"op": "identity"}, value, node)]
        return _Value(terms, values[0].shape, node)

    def weighted(self, node, op, source, weight, shape):
        dtype = np.float32 if weight.dtype == torch.bfloat16 else str(weight.dtype).split(".")[1]
        return _Value([_Term(op, source, node, weight.detach().cpu().double().numpy(), dtype)], shape, node)

    def linear(self, node, module):
        return self.weighted(node, {"op": "dense"}, self.source(node, 1), module.weight, _shape(node))

    def conv2d(self, node, module):
        if module.padding_mode != "zeros" and module.padding != (0, 0):
            self.refuse(node, f"padding_mode {module.padding_mode!r}: kith knows zeros")
        if isinstance(module.padding, str):
            reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size)]
            if module.padding == "same" and any(r % 2 for r in reach):
                self.refuse(node, "padding 'same' pads one side more than the other here")
            padding = [r // 2 if module.padding == "same" else 0 for r in reach]
        else:
            padding = _pair(module.padding)
        op = {"op": "conv2d", "stride": _pair(module.stride), "padding": padding, "dilation": _pair(module.dilation),
              "groups": module.groups}
        return self.weighted(node, op, self.source(node, 3), module.weight, _shape(node))

    def pool(self, node, op, kernel, stride, padding):
        source = self.source(node, 3)
        kernel, stride, padding = _pair(kernel), _pair(stride), _pair(padding)
        full = [(size + 2 * p - k) // s + 1 for size, k, s, p in zip(source.shape[1:], kernel, stride, padding)]
        if tuple(full) != _shape(node)[1:]:
            self.refuse(node, "ceil_mode gives windows that leave the image")
        return _Value([_Term({"op": op, "kernel": kernel, "stride": stride, "padding": padding}, source, node)],
                      _shape(node), node)

    def maxpool(self, node, module):
        if _pair(module.dilation) != [1, 1]:
            self.refuse(node, "a dilated maxpool")
        return self.pool(node, "maxpool", module.kernel_size, module.stride, module.padding)

    def avgpool(self, node, module):
        kernel, stride = _pair(module.kernel_size), module.stride
        if module.divisor_override not in (None, kernel[0] * kernel[1]):
            self.refuse(node, "divisor_override")
        if _pair(module.padding) != [0, 0] and not module.count_include_pad:
            self.refuse(node, "count_include_pad=False: windows at the border have other weights")
        return self.pool(node, "avgpool", kernel, kernel if stride is None else stride, module.padding)

    def adaptive(self, node, module):
        source = _first(node)
        before, after = _shape(source), _shape(node)
        if before == after:
            return self.nothing(node, module)
        if len(after) != 3 or any(b % a for b, a in zip(before[1:], after[1:])):
            self.refuse(node, f"makes {after} of {before}: windows of different sizes")
        kernel = [b // a for b, a in zip(before[1:], after[1:])]
        return self.pool(node, "avgpool", kernel, kernel, 0)

    def function_as_module(self, node, module):
        """A pool as a function: as the module that would do it."""
        kind, method, names = _POOLS[_function_name(node)]
        options = {**dict(zip(names, node.args[1:])), **node.kwargs}
        options.pop("input", None)
        return getattr(self, method)(node, kind(**options))

    def batchnorm(self, node, module):
        if module.running_var is None:
            self.refuse(node, "no running statistics: what it does depends on the other samples of a batch")
        scale = (module.running_var.double() + module.eps).rsqrt()
        if module.weight is not None:
            scale = scale * module.weight.double()
        scale = scale.detach().cpu().numpy()
        value = self.value(node, _first(node))
        if value.layer is not None or any(term.weight is None for term in value.terms):
            if len(value.shape) != 3 or _shape(_first(node)) != value.shape:
                self.refuse(node, "no convolution or Linear before it to fold it into")
            source, channels = self.layer(value), len(scale)
            weight = torch.from_numpy(scale.reshape(channels, 1, 1, 1)).to(module.running_var.dtype)
            return self.weighted(node, {"op": "conv2d", "groups": channels}, source, weight, value.shape)
        if value.shape[0] != len(scale):
            self.refuse(node, f"scales {len(scale)} channels of a layer of shape {value.shape}")
        for term in value.terms:
            term.weight = term.weight * scale.reshape(-1, *[1] * (term.weight.ndim - 1))
        return _Value(value.terms, value.shape, node)


_MODULES = {
    nn.Conv2d: "conv2d", nn.Linear: "linear", nn.MaxPool2d: "maxpool", nn.AvgPool2d: "avgpool",
    nn.AdaptiveAvgPool2d: "adaptive", (nn.BatchNorm1d, nn.BatchNorm2d): "batchnorm",
    (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d, nn.AlphaDropout): "nothing",
    (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
     nn.Sigmoid, nn.LogSigmoid, nn.Hardsigmoid, nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Softplus, nn.Softsign,
     nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold): "nonlinearity",
}
_POOLS = {  # functions: their modules, which method these have, the order of their options after the first
    "max_pool2d": (nn.MaxPool2d, "maxpool", ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    "avg_pool2d": (nn.AvgPool2d, "avgpool", ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
                                             "divisor_override")),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d, "adaptive", ("output_size",)),
}
_FUNCTIONS = {
    **dict.fromkeys(("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu", "gelu",
                     "silu", "mish", "sigmoid", "sigmoid_", "logsigmoid", "hardsigmoid", "tanh", "tanh_", "hardtanh",
                     "hardswish", "softplus", "softsign"), "nonlinearity"),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "contiguous", "dropout", "dropout2d"),
                    "nothing"),
    **dict.fromkeys(("add", "add_", "iadd"), "add"),
    **dict.fromkeys(_POOLS, "function_as_module"),
}


def _function_name(node):
    """Of a function of torch, torch.nn.functional or operator, or of a tensor's method; "" for others."""
    if node.op == "call_method":
        return node.target
    if node.op != "call_function":
        return ""
    for name in ("max_pool2d", "add", "iadd"):  # which have other names for themselves
        if node.target in (getattr(module, name, None) for module in (F, torch, operator)):
            return name
    module = getattr(node.target, "__module__", None) or ""
    known = module.startswith(("torch.nn.functional", "torch._C")) or getattr(torch, node.target.__name__, 0) is node.target
    return node.target.__name__ if known else ""


def _is_dropout(module, name):
    return isinstance(module, nn.modules.dropout._DropoutNd) or name.startswith("dropout")


# ---- files

def _write(path, layers, edges):
    net = {"layers": [], "edges": []}
    arrays = {}
    for value in layers:
        net["layers"].append({"name": value.layer, "shape": list(value.shape), "activations": value.layer + ".npy"})
    for value, term in edges:
        edge = {"from": term.source.layer, "to": value.layer, **term.op}
        if term.weight is not None:
            edge["weight"] = f"weights/{term.node.name}.npy"
            arrays[edge["weight"]] = _stored(term)
        net["edges"].append(edge)
    folder = os.path.dirname(path)
    os.makedirs(os.path.join(folder, "weights"), exist_ok=True)
    for name, array in arrays.items():
        with _whole(os.path.join(folder, name)) as file:
            np.save(file, array)
    lists = ",\n".join(f' "{key}": [\n  ' + ",\n  ".join(map(json.dumps, net[key])) + "\n ]" for key in net)
    with _whole(path) as file:
        file.write(f'{{\n "format": "kith-net",\n "version": 1,\n{lists}\n}}\n'.encode())


@contextlib.contextmanager
def _whole(path):
    """A file that has its name once it is written."""
    with open(path + ".part", "wb") as file:
        yield file
    os.replace(path + ".part", path)


def _stored(term):
    """Weights, folded in double precision, rounded once to the type of the model's parameters."""
    with np.errstate(over="ignore"):
        weight = np.ascontiguousarray(term.weight, dtype=term.dtype)
    if not np.isfinite(weight).all():
        raise NetError(f"{term.node.target}: a weight is NaN or infinite")
    return weight
