"""kith.record: against what the network computes, and what it refuses or warns of."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import kith
import numpy as np
import pytest
from conftest import ROOT

torch = pytest.importorskip("torch")
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


class Net(nn.Module):
    """What is awkward to record: a module run twice, in-place ReLU, a transposed output, a tuple, dropout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.turn = Turn()
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(2, 2)
        self.block = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6))

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = self.turn(x).flatten(2)[:, :4, :].transpose(1, 2)
        x = self.lstm(x)[0][:, -1]
        return self.relu(self.block(self.drop(x)))


class Turn(nn.Module):
    def forward(self, x):
        return x.transpose(1, 3)


class Residual(nn.Module):
    """relu is shared; two sums in the block, one in the net, and one that is none: of other shapes."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.relu = nn.Linear(6, 6), nn.Linear(6, 6), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.b(self.relu(self.a(x)))
            y += x
            return self.relu(y + torch.ones(6) + x)

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(4, 6), self.Block(), nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        return self.head(torch.add(self.block(x), x))


class Language(nn.Module):
    """A causal language model as libraries have them: keyword arguments, a tuple of hidden states."""

    def __init__(self, layers=2):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(20, 8), nn.Embedding(12, 8)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(layers))
        self.head = nn.Linear(8, 20)

    def forward(self, input_ids, attention_mask=None):
        x = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1])[None])
        hidden = [x]
        for block in self.blocks:
            hidden.append(block(hidden[-1]))
        return {"logits": self.head(hidden[-1]), "hidden_states": tuple(hidden)}


class Work:
    def __init__(self, out):
        torch.manual_seed(7)
        self.out = str(out)
        self.net = Net()
        self.x = torch.randn(23, 1, 8, 8)
        self.loader = DataLoader(TensorDataset(self.x, torch.arange(23)), batch_size=5)

    def load(self, name):
        return np.load(os.path.join(self.out, name + ".npy"))

    def left(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []

    def record(self, *args, **options):
        options.setdefault("branches", False)
        return [os.path.basename(path)[:-4] for path in kith.record(self.net, *args, **options)]

    def refuses(self, pattern, *args, **options):
        with pytest.raises(ValueError, match=pattern):
            self.record(*args, **options)
        assert self.left() == []
        for module in self.net.modules():
            assert not module._forward_hooks and not module._forward_pre_hooks


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path / "activations")


def batches(*tensors, size=5):
    return DataLoader(TensorDataset(*tensors), batch_size=size)


def test_values_and_causal_order(work):
    names = work.record(work.loader, work.out, ["block.0", "relu", "conv", "turn", "block.1"], input="I")
    assert names == ["I", "conv", "relu@0", "turn", "block.0", "block.1", "relu@1"]
    assert work.left() == sorted([f"{name}.npy" for name in names] + ["layers.mk"])
    work.net.eval()
    with torch.no_grad():
        conv = torch.cat([work.net.conv(x) for x in work.x.split(5)])
        last = torch.cat([work.net(x) for x in work.x.split(5)])
    np.testing.assert_array_equal(work.load("I"), work.x.numpy())
    np.testing.assert_array_equal(work.load("conv"), conv.numpy())  # although relu overwrites it
    assert work.load("conv").min() < 0
    np.testing.assert_array_equal(work.load("relu@0"), conv.clamp(min=0).numpy())
    np.testing.assert_array_equal(work.load("turn"), conv.clamp(min=0).transpose(1, 3).numpy())
    np.testing.assert_array_equal(work.load("relu@1"), last.numpy())  # in eval mode: without dropout
    for name in names:
        array = work.load(name)
        assert (array.dtype, len(array), array.flags.c_contiguous) == (np.dtype("<f4"), 23, True)


def test_names_dtypes_modes(work):
    work.net.train()
    work.net.conv.eval()
    work.record(work.loader, work.out, {"conv": "C0", "block.0": "M", "relu": "R", "relu@1": "again"}, dtype="f2")
    assert work.left() == ["C0.npy", "M.npy", "R@0.npy", "R@1.npy", "again.npy", "layers.mk"]
    assert work.load("C0").dtype == np.dtype("<f2")
    np.testing.assert_array_equal(work.load("R@1"), work.load("again"))
    assert work.net.training and work.net.drop.training and not work.net.conv.training
    work.net.double()
    work.record(batches(work.x.double(), size=23), work.out, {"conv": "C8", "": "out"})
    with torch.no_grad():
        np.testing.assert_array_equal(work.load("C8"), work.net.conv(work.x.double()).numpy())
        np.testing.assert_array_equal(work.load("out"), work.net.eval()(work.x.double()).numpy())


def test_patterns(work):
    with pytest.warns(UserWarning, match="lstm: not recorded: lstm is a tuple, not a tensor"):
        names = work.record(work.loader, work.out)
    assert names == ["conv", "relu@0", "turn", "drop", "block.0", "block.1", "relu@1"]  # no containers, nothing unused
    assert work.record(work.loader, work.out, "block*") == ["block.0", "block.1", "block"]
    assert work.record(work.loader, work.out, ["co?v", "block.[0-9]"]) == ["conv", "block.0", "block.1"]
    assert work.record(work.loader, work.out, "l*", pick={"l*m": lambda o: o[0]}) == ["lstm"]


def test_sums(work):
    work.net = Residual()
    x = torch.randn(11, 4)
    names = work.record(batches(x), work.out, ["*add", "stem"])
    assert names == ["stem", "block.add@0", "block.add@1", "add"]
    with torch.no_grad():
        stem = work.net.stem(x)
        inner = work.net.block.b(work.net.block.a(stem).clamp(min=0)) + stem
        for name, want in (("block.add@0", inner), ("block.add@1", inner + 1 + stem),
                           ("add", (inner + 1 + stem).clamp(min=0) + stem)):
            np.testing.assert_allclose(work.load(name), want.numpy(), atol=1e-6)
    assert work.record(batches(x), work.out, ["block.add@1"]) == ["block.add@1"]
    assert set(work.record(batches(x), work.out)) == {"stem", "block.a", "block.relu@0", "block.b", "block.add@0",
                                                       "block.add@1", "block.relu@1", "add", "head"}
    for file in work.left():
        os.remove(os.path.join(work.out, file))
    work.net = nn.Sequential(nn.Linear(4, 4))
    work.refuses("add: the model itself adds no two tensors of one shape", batches(x), work.out, ["add"])


def test_branches(work):
    x = torch.randn(11, 4)
    work.net = Residual()
    with pytest.warns(UserWarning, match=r"block.a, block.relu@0, block.b, block.add@0 and 2 more: on a branch.*\(NAME.add\)"):
        work.record(batches(x), work.out, "*", branches=True)
    with pytest.warns(UserWarning, match="block: on a branch, as a path from the input to the output avoids it"):
        work.record(batches(x), work.out, ["stem", "block", "add", "head"], branches=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        work.record(batches(x), work.out, ["stem", "add", "head"], branches=True)
        for parameter in work.net.parameters():
            parameter.requires_grad_(False)  # the graph is there all the same
        work.record(batches(x), work.out, ["stem", "add", "head"], branches=True)
        Work.__init__(work, work.out)
        work.record(work.loader, work.out, ["conv", "relu", "turn", "block"], branches=True)  # a chain
    assert all(parameter.grad is None for parameter in work.net.parameters())
    work.net = Language()
    loader = [{"input_ids": ids} for ids in torch.randint(0, 20, (11, 7)).split(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        work.record(loader, work.out, ["wte", "blocks.0", "blocks.1", "head"], branches=True)
    work.net.blocks[1].forward = lambda x, block=work.net.blocks[0]: x + block.linear2(block.linear1(x))
    with pytest.warns(UserWarning, match="^blocks.0.linear1: on a branch"):
        work.record(loader, work.out, ["wte", "blocks.0", "blocks.0.linear1", "head"], branches=True)


def test_outputs_and_pools(work):
    work.net = Language()
    ids, lengths = torch.randint(0, 20, (11, 7)), torch.randint(1, 8, (11,))
    mask = (torch.arange(7) < lengths[:, None]).long()
    loader = [{"input_ids": i, "attention_mask": m, "labels": i} for i, m in zip(ids.split(4), mask.split(4))]

    def outputs(result):
        return {f"h{i}": h for i, h in enumerate(result["hidden_states"])}
    work.net.eval()
    with torch.no_grad():
        states = torch.stack(work.net(ids)["hidden_states"][1:]).numpy()
    real = mask.numpy()[None, :, :, None] > 0
    for how, want in (("mean", np.where(real, states, 0).sum(2) / lengths.numpy()[:, None]),
                      ("max", np.where(real, states, -np.inf).max(2)), ("cls", states[:, :, 0]),
                      ("last", states[:, np.arange(11), lengths - 1]),
                      (lambda value: value[:, 1], states[:, :, 1])):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "output h0 is flattened")
            names = work.record(loader, work.out, "blocks.?", input="I", outputs=outputs, pool={"h0": "flatten", "*": how})
        assert names == ["I", "blocks.0", "blocks.1", "h0", "h1", "h2"]
        for v in range(2):
            np.testing.assert_allclose(work.load(f"blocks.{v}"), want[v], atol=1e-5)
            np.testing.assert_allclose(work.load(f"h{v + 1}"), want[v], atol=1e-5)
        assert work.load("h0").shape == (11, 7, 8)
        np.testing.assert_array_equal(work.load("I"), ids.numpy() if isinstance(how, str) else ids.numpy()[:, 1:2])
    without = [{"input_ids": i["input_ids"]} for i in loader]
    for how, want in (("mean", states.mean(2)), ("max", states.max(2)), ("last", states[:, :, -1])):
        work.record(without, work.out, ["blocks.1"], pool=how)
        np.testing.assert_allclose(work.load("blocks.1"), want[1], atol=1e-5)
    left = [{"input_ids": i, "real": m} for i, m in zip(ids.split(4), mask.flip(1).split(4))]  # padded on the left
    for option in ("real", lambda batch: batch["real"]):
        work.record(left, work.out, ["blocks.1"], pool="last", mask=option)
        np.testing.assert_allclose(work.load("blocks.1"), states[1][:, -1], atol=1e-5)
    with pytest.warns(UserWarning, match="blocks.0 is flattened.*have [0-9]+ to [0-9]+ real ones: their padding"):
        work.record(loader, work.out, "blocks.?")


def test_pools_of_images(work):
    work.record(work.loader, work.out, ["conv", "block.0"], pool={"conv": "mean", "block*": "max"})
    with torch.no_grad():
        conv = work.net.eval().conv(work.x)
    np.testing.assert_allclose(work.load("conv"), conv.mean((2, 3)).numpy(), atol=1e-6)
    assert work.load("block.0").shape == (23, 6)
    work.record(work.loader, work.out, ["conv"], pool="max")
    np.testing.assert_array_equal(work.load("conv"), conv.amax((2, 3)).numpy())


def test_pool_refusals(work):
    work.refuses("pool: 'median': use one of flatten", work.loader, work.out, ["conv"], pool="median")
    work.refuses("pool: fc: not among the modules", work.loader, work.out, ["conv"], pool={"fc": "mean"})
    work.refuses(r"conv: pool 'cls' is for outputs \(samples, tokens, values\)", work.loader, work.out, ["conv"], pool="cls")
    work.refuses(r"mask: its shape is \(5,\)", work.loader, work.out, ["conv"], mask=lambda batch: batch[1])
    work.refuses(r"outputs= has to return a dictionary", work.loader, work.out, ["conv"], outputs=lambda out: out)
    work.net = Language()
    ids = torch.randint(0, 20, (4, 7))
    loader = [{"input_ids": ids, "attention_mask": torch.zeros(4, 7)}]
    work.refuses("blocks.0: sample 0 of the batch has no token", loader, work.out, ["blocks.0"], pool="mean")
    loader = [{"input_ids": ids, "attention_mask": torch.ones(4, 6)}]
    work.refuses(r"blocks.0: \(4, 7, 8\) does not fit the mask, \(4, 6\)", loader, work.out, ["blocks.0"], pool="mean")


def test_fast_path(work):
    work.net = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    x = torch.randn(11, 7, 8)
    assert work.record(batches(x), work.out, ["layers.0", "layers.1"]) == ["layers.0", "layers.1"]
    for file in work.left():
        os.remove(os.path.join(work.out, file))
    work.refuses("layers.1.linear1 was not called.*computes layers.1 as a whole.*torch.enable_grad", batches(x), work.out,
                 ["layers.1.linear1"])
    work.refuses("layers.0.self_attn.out_proj was not called.*layers.0 as a whole", batches(x), work.out,
                 ["layers.0.self_attn.out_proj"])

    def slow(model, batch):
        with torch.enable_grad():
            return model(batch[0])
    assert work.record(batches(x), work.out, ["layers.1.linear1"], forward=slow) == ["layers.1.linear1"]
    work.net = nn.Sequential(nn.Linear(8, 8))
    work.net.attention = nn.MultiheadAttention(8, 2, batch_first=True)
    work.out += "2"
    work.refuses("attention.out_proj's weights without calling it: record attention", batches(x), work.out,
                 ["attention.out_proj"], forward=lambda model, batch: model.attention(batch[0], batch[0], batch[0]))


def test_wrappers(work):
    class OptimizedModule(nn.Module):  # torch.compile's, by its name
        def __init__(self, inner):
            super().__init__()
            self._orig_mod = inner

        def forward(self, *_):
            raise AssertionError("compiled code calls no hooks")
    inner = work.net
    want = work.record(work.loader, work.out, ["conv", "block.0"])
    for wrap in (nn.DataParallel, OptimizedModule, lambda m: OptimizedModule(nn.DataParallel(m))):
        work.net = wrap(inner)
        assert work.record(work.loader, work.out, ["conv", "block.0"]) == want

    class Part(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self._orig_mod = inner

        def forward(self, x):
            return self._orig_mod(x)
    inner.conv = Part(inner.conv)
    work.net = inner
    assert work.record(work.loader, work.out, ["conv", "block.0"]) == want


def test_half_precision(work):
    x = torch.randn(11, 4)
    for dtype, stored in ((torch.bfloat16, "V2"), (torch.float16, "f2"), (torch.float64, "f8")):
        work.net = nn.Sequential(nn.Linear(4, 3))
        work.net.to(dtype)
        if dtype == torch.float16:  # which CPUs do not multiply
            work.net.forward = lambda y, net=work.net: net[0](y.float()) if False else y[:, :3] * 2
            work.net = nn.Sequential(Half(work.net[0]))
        work.record(batches(x), work.out, ["0"], input="I")  # the float32 of the loader is cast
        got = work.load("0")
        assert got.dtype == np.dtype(stored) and work.load("I").dtype == np.dtype(stored)
        with torch.no_grad():
            want = torch.cat([work.net(y.to(dtype)) for y in x.split(5)])
        bits = {2: torch.int16, 8: torch.int64}[got.dtype.itemsize]
        np.testing.assert_array_equal(got.view(f"i{got.dtype.itemsize}"), want.view(bits).numpy())
    work.net = nn.Sequential(nn.Linear(4, 3))
    work.record(batches(x), work.out, ["0"], dtype="bfloat16")
    with torch.no_grad():
        want = work.net(x).bfloat16().view(torch.int16).numpy()
    assert np.abs(work.load("0").view("i2").astype(int) - want).max() <= 1  # of other batches' sums


class Half(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return x[:, :3] * self.linear.bias


def test_shards(work):
    loaders = [batches(part) for part in work.x.split([12, 11])]
    for i, loader in enumerate(loaders):
        kith.record(work.net, loader, work.out, ["conv"], shard=(i, 2))
    assert work.left() == ["conv.npy.0-of-2", "conv.npy.1-of-2", "layers.mk"]
    parts = [np.load(os.path.join(work.out, f"conv.npy.{i}-of-2")) for i in range(2)]
    with torch.no_grad():
        np.testing.assert_allclose(np.concatenate(parts), work.net.conv(work.x).numpy(), atol=1e-6)


PROCESSES = """
import multiprocessing, sys, torch
import kith
from torch.utils.data import DataLoader, DistributedSampler, Subset, TensorDataset

def whole_numbers():  # of which sums are exact, in whatever order
    net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 4))
    for parameter in net.parameters():
        parameter.data = (torch.arange(parameter.numel()).reshape(parameter.shape) * 37 % 11 - 5).float()
    return net

torch.manual_seed(5)
data = TensorDataset(torch.randint(-20, 20, (90, 6)).float())

def process(i):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=i, world_size=4)
    net = torch.nn.parallel.DistributedDataParallel(whole_numbers())
    part = Subset(data, range(i * 90 // 4, (i + 1) * 90 // 4))
    kith.record(net, DataLoader(part, 7), sys.argv[1], ["0", "2"], input="I")
    kith.record(net, DataLoader(part, 7), sys.argv[1] + ".st", ["0", "2"], input="I", format="safetensors", shard_samples=10)
    try:
        kith.record(net, DataLoader(data, 7, sampler=DistributedSampler(data, shuffle=False)), "never", ["0"])
    except ValueError as error:
        assert "repeats 2 of 90 samples" in str(error) and "range(i * 90 // 4, (i + 1) * 90 // 4)" in str(error)
    else:
        raise AssertionError

if __name__ == "__main__":
    processes = [multiprocessing.get_context("fork").Process(target=process, args=(i,)) for i in range(4)]
    [one.start() for one in processes]
    [one.join(120) for one in processes]
    assert [one.exitcode for one in processes] == [0, 0, 0, 0]
    kith.record(whole_numbers(), DataLoader(data, 25), sys.argv[1] + ".one", ["0", "2"], input="I")
"""


def test_processes(work):
    """Four of torch.distributed, with DistributedDataParallel, record what one process does: the same rows, and by kith-knn and
    kith.mk the same graphs."""
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    subprocess.run([sys.executable, "-c", PROCESSES, work.out, work.out + ".meet"], check=True, env={**os.environ,
                   "PYTHONPATH": os.path.join(ROOT, "pipeline", "python")})
    names = ["I", "0", "2"]
    assert work.left() == sorted([f"{name}.npy.{i}-of-4" for name in names for i in range(4)] + ["layers.mk"])
    single = {name: np.load(f"{work.out}.one/{name}.npy") for name in names}
    for name in names:
        parts = [np.load(f"{work.out}/{name}.npy.{i}-of-4") for i in range(4)]
        assert [len(part) for part in parts] == [22, 23, 22, 23]
        np.testing.assert_array_equal(np.concatenate(parts), single[name])
        shards = read_shards(work.out + ".st", name)
        assert list(shards) == [f"shard-{i}-of-4-{j:05d}.safetensors" for i in range(4) for j in range(3)]
        np.testing.assert_array_equal(np.concatenate(list(shards.values())), single[name])
    if os.environ.get("KITH_SANITIZED"):
        return
    want = {name: kith.knn(f"{work.out}.one/{name}.npy", [3, 8]) for name in names}
    for folder in ("", ".st"):
        Path(work.out + ".mk").write_text(f"include {work.out}{folder}/layers.mk\nK = 3,8\nOUT = {work.out}{folder}.kith\n"
                                          f"KITH_BIN = {os.environ['KITH_BIN']}\ninclude {ROOT}/pipeline/kith.mk\n")
        make = ["make", "-s", "-f", work.out + ".mk", *[f"{work.out}{folder}.kith/{name}.nng" for name in names]]
        subprocess.run(make, check=True)
    for i in (3, 1):  # had these not come to their ends, all the others would be there
        os.remove(f"{work.out}.st/shard-{i}-of-4.done")
    stopped = subprocess.run(make, capture_output=True, text=True)
    assert stopped.returncode == 2 and "of 4 processes that record, these have not ended: 1 3: wait for them" in stopped.stderr
    for name in names:
        for got in (kith.knn(f"{work.out}/{name}.npy.*-of-4", [3, 8]), kith.graph(f"{work.out}.kith/{name}.nng"),
                    kith.graph(f"{work.out}.st.kith/{name}.nng")):
            np.testing.assert_array_equal(got.ids[:], want[name].ids[:])
            np.testing.assert_array_equal(got.distances[:], want[name].distances[:])
            assert got.info["digest"] == want[name].info["digest"] and got.info["tied"] == want[name].info["tied"]


def test_layers_mk(work):
    names = work.record(work.loader, work.out, ["relu", "conv"], input="I")
    with open(work.out + ".mk", "w") as file:
        file.write(f"include {work.out}/layers.mk\nall:\n\t@echo $(LAYERS) in $(ACTIVATIONS)\n")
    make = subprocess.run(["make", "-f", work.out + ".mk"], capture_output=True, text=True, check=True)
    assert make.stdout == f"{' '.join(names)} in {work.out}\n"


def test_pick_and_forward(work):
    seen = []

    def forward(model, batch):
        seen.append(len(batch[1]))
        model(x=batch[0])

    kith.record(work.net, work.loader, work.out, ["lstm"], pick={"lstm": lambda o: o[1][0][0]}, forward=forward)
    assert work.load("lstm").shape == (23, 5)
    assert seen == [5, 5, 5, 5, 3]


def test_outputs_that_are_overwritten(work):
    """While they wait to be written: by an in-place operation, as relu does in all these tests; by the next pass; or, which
    cannot be known in time, in some passes only."""
    class Buffer(nn.Module):
        def forward(self, x):
            self.buffer = getattr(self, "buffer", torch.empty(5, 64))[:len(x)]
            return self.buffer.copy_(x.flatten(1))

    work.net = nn.Sequential(Buffer(), nn.Identity())
    work.record(work.loader, work.out, ["0", "1"])
    np.testing.assert_array_equal(work.load("0"), work.x.flatten(1).numpy())
    np.testing.assert_array_equal(work.load("1"), work.x.flatten(1).numpy())
    for file in work.left():
        os.remove(os.path.join(work.out, file))

    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.passes = Double(), 0

        def forward(self, x):
            y, self.passes = self.twice(x), self.passes + 1
            return y.add_(1) if self.passes == 3 else y + 1

    work.net = Sometimes()
    work.refuses("twice is overwritten in place in some batches only: let pick= copy it", work.loader, work.out, ["twice"])
    work.net.passes = 0
    work.record(work.loader, work.out, ["twice"], pick={"twice": lambda output: output.clone()})
    np.testing.assert_array_equal(work.load("twice"), 2 * work.x.numpy())


class Double(nn.Module):
    def forward(self, x):
        return 2 * x


def test_one_value_per_sample(work):
    class Sum(nn.Module):
        def forward(self, x):
            return x.sum((1, 2, 3))
    work.net = nn.Sequential(Sum())
    work.record(work.loader, work.out, ["0"])
    np.testing.assert_array_equal(work.load("0")[:, 0], torch.cat([x.sum((1, 2, 3)) for x in work.x.split(5)]))


def test_rewrites(work):
    work.record(work.loader, work.out, ["conv"])
    first = work.load("conv")
    with pytest.raises(ValueError):
        work.record(work.loader, work.out, ["conv", "unused"])
    np.testing.assert_array_equal(work.load("conv"), first)
    assert work.left() == ["conv.npy", "layers.mk"]


def test_refusals(work):
    loader, out = work.loader, work.out
    work.refuses("no module named 'nope'; the model has: conv, relu", loader, out, ["nope"])
    work.refuses("no module named 'conv@x'", loader, out, ["conv@x"])
    work.refuses(r"no module's name fits 'nope\*'; the model has: conv", loader, out, ["nope*"])
    work.refuses("nothing to record", loader, out, [])
    work.refuses("relu@2: relu was called 2 times", loader, out, ["conv", "relu@2"])
    work.refuses("unused was not called", loader, out, ["conv", "unused"])
    work.refuses("lstm is a tuple, not a tensor", loader, out, ["lstm"])
    work.refuses("pick: conv", loader, out, ["turn"], pick={"conv": lambda o: o})
    work.refuses("lstm has 1 rows in a batch where the batch has 5", loader, out, ["conv", "lstm"],
                 pick={"lstm": lambda o: o[1][0]})
    work.refuses("cannot be a file name", loader, out, {"conv": "a/b"})
    work.refuses("cannot be a file name", loader, out, {"conv": "two words"})
    odd = nn.Sequential()
    odd.add_module("a/b", nn.Linear(2, 2))
    with pytest.raises(ValueError, match="'a/b' cannot be a file name: .*; give it another by modules={'a/b': NAME}"):
        kith.record(odd, batches(torch.ones(4, 2)), out)
    assert work.left() == []
    assert kith.record(odd, batches(torch.ones(4, 2)), out + ".odd", {"a/b": "b"}) == [out + ".odd/b.npy"]
    work.refuses("same file name: a", loader, out, {"conv": "a", "turn": "a"})
    work.refuses("same file name: conv", loader, out, ["conv", "conv@0"], input="conv")
    work.refuses("dtype 'f9'", loader, out, ["conv"], dtype="f9")
    work.refuses("dtype 'u1'", loader, out, ["conv"], dtype="u1")
    work.refuses("batch is a dict.*forward=", [{"y": work.x}], out, ["conv"])
    work.refuses("keyword arguments only", loader, out, ["conv"], input="I", forward=lambda model, batch: model(x=batch[0]))
    work.refuses("forward= has to return", loader, out, ["conv"], outputs=dict,
                 forward=lambda model, batch: model(batch[0]) and None if False else [model(batch[0])] and None)


def test_counts(work):
    work.refuses("gave 23 samples, 24 were expected", work.loader, work.out, ["conv"], samples=24)
    dropping = DataLoader(TensorDataset(work.x), batch_size=5, drop_last=True)
    work.refuses("gave 20 samples, 23 were expected", dropping, work.out, ["conv"])
    work.record(dropping, work.out, ["conv"], samples=20)
    assert len(work.load("conv")) == 20
    for file in work.left():
        os.remove(os.path.join(work.out, file))
    work.refuses("gave no samples", [], work.out, ["conv"])
    work.refuses("not called", work.loader, work.out, ["conv"], forward=lambda model, batch: None)
    work.refuses("model was called more than once", work.loader, work.out, ["conv@0"], input="I",
                 forward=lambda model, batch: [model(batch[0]), model(batch[0])])


def test_calls_that_change(work):
    calls = iter([1, 2, 1, 1, 1])

    def forward(model, batch):
        for _ in range(next(calls)):
            model(batch[0])
    work.refuses("conv was called more often from row 5 on", work.loader, work.out, ["conv"], forward=forward)
    calls = iter([2, 1])
    work.refuses("conv, recorded as conv@1, was not there in the batch from row 5 on", work.loader, work.out, ["conv"],
                 forward=forward)


def test_unfit_values(work):
    work.x[13, 0, 2, 2] = float("nan")
    work.refuses("the model's input: row 13 has a NaN or Inf", work.loader, work.out, ["conv"], input="I")
    work.x[13, 0, 2, 2] = 70000
    work.refuses("the model's input: row 13 has a value that f2 cannot hold", work.loader, work.out, ["conv"], input="I",
                 dtype="f2")


def test_shape_changes(work):
    loader = [torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 9, 9)]
    work.refuses(r"conv: row 2 has the shape \(3, 7, 7\)", loader, work.out, ["conv"])


def test_shuffle_warns(work):
    loader = DataLoader(TensorDataset(work.x), batch_size=5, shuffle=True)
    with pytest.warns(UserWarning, match="shuffles"):
        work.record(loader, work.out, ["conv"])
    data = TensorDataset(work.x[:22])
    dealt = DataLoader(data, sampler=torch.utils.data.DistributedSampler(data, 2, 0, shuffle=False))
    with pytest.warns(UserWarning, match=r"deals samples out one by one.*use Subset\(data, range\(i \* 22 // 2"):
        work.record(dealt, work.out, ["conv"], samples=11)
    for of, shuffle, count in ((2, True, 1), (1, True, 1), (1, False, 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work.record(DataLoader(data, sampler=torch.utils.data.DistributedSampler(data, of, 0, shuffle=shuffle)), work.out, ["conv"])
        assert len([one for one in caught if "row i is not sample i" in str(one.message)]) == count


def test_interrupted(work):
    def some():
        yield work.x[:5]
        assert len(work.left()) == 1 and work.left()[0].startswith("conv") and work.left()[0].endswith(".part")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        work.record(some(), work.out, ["conv"])
    assert work.left() == []
    assert not work.net.conv._forward_hooks


def test_torch_is_imported_when_it_is_used(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('imported')\n")
    done = subprocess.run([sys.executable, "-c", "import kith; print(kith.writer); kith.record; print('not imported')"],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": f"{ROOT}/pipeline/python:{tmp_path}"})
    assert done.stdout.startswith("<function writer") and done.stdout.count("\n") == 1 and done.stderr == "imported\n"


def read_shards(folder, name, pattern="shard-*.safetensors"):
    """{shard's name: one tensor of it}, checked against what safetensors says of its files."""
    found = {}
    for path in sorted(Path(folder).glob(pattern)):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header, data = json.loads(data[8:8 + length]), data[8 + length:]
        at = 0
        for tensor in [header[key] for key in header if key != "__metadata__"]:
            begin, end = tensor["data_offsets"]
            assert begin == at and end - begin == np.prod(tensor["shape"]) * {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}[tensor["dtype"]]
            at = end
        assert at == len(data) and length % 8 == 0
        begin, end = header[name]["data_offsets"]
        dtype = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "V2"}[header[name]["dtype"]]
        found[path.name] = np.frombuffer(data[begin:end], dtype).reshape(header[name]["shape"])
    return found


def test_safetensors(work):
    """Shards of every size, whole ones and a shorter last one, hold what the .npy files hold."""
    names = work.record(work.loader, work.out, ["conv", "relu", "block"], input="I")
    want = {name: work.load(name) for name in names}
    for size in (1, 4, 5, 7, 23, 40, None):
        out = f"{work.out}.{size}"
        got = kith.record(work.net, work.loader, out, ["conv", "relu", "block"], input="I", format="safetensors",
                          shard_samples=size, branches=False)
        assert got == [f"{out}/shard-?????.safetensors:{name}" for name in names]
        for name in names:
            shards = read_shards(out, name)
            assert list(shards) == [f"shard-{i:05d}.safetensors" for i in range(-(-23 // (size or 23)))]
            assert {len(shard) for shard in list(shards.values())[:-1]} <= {size}
            np.testing.assert_array_equal(np.concatenate(list(shards.values())), want[name])
    out = work.out + ".half"
    kith.record(work.net, work.loader, out, ["conv"], format="safetensors", dtype="bfloat16", branches=False)
    kith.record(work.net, work.loader, work.out, ["conv"], dtype="bfloat16", branches=False)
    np.testing.assert_array_equal(read_shards(out, "conv")["shard-00000.safetensors"], work.load("conv"))


class Fails(Exception):
    pass


def test_resume(work):
    """A recording that ends by an exception goes on where its whole shards end, and becomes what it would have been."""
    work.record(work.loader, work.out, ["conv", "block"], input="I")
    runs = []

    def loader(stop, size=5):
        for number, batch in enumerate(DataLoader(TensorDataset(work.x, torch.arange(23)), batch_size=size)):
            if number == stop:
                raise Fails()
            yield batch

    work.net.conv.register_forward_hook(lambda *_: runs.append(1))
    options = {"input": "I", "format": "safetensors", "shard_samples": 4, "branches": False}
    for stop in range(1, 5):
        out, whole = f"{work.out}.{stop}", 5 * stop // 4 if stop > 1 else 0  # the first batch waits for the second
        with pytest.raises(Fails):
            kith.record(work.net, loader(stop), out, ["conv", "block"], **options)
        assert len(os.listdir(out)) == whole  # and no parts, nor layers.mk
        (Path(out) / "shard-00009.safetensors.0a1b2c.part").touch()  # a process that was killed
        if os.listdir(out)[1:]:
            with pytest.raises(ValueError, match="resume=True"):
                kith.record(work.net, loader(None), out, ["conv", "block"], **options)
        for size in (5, 3):
            runs.clear()
            kith.record(work.net, loader(None, size), out, ["conv", "block"], resume=True, **options)
            there = 4 * whole if size == 5 else 20
            assert len(runs) == -(-23 // size) - there // size
            assert len(os.listdir(out)) == 7
            for name in ("I", "conv", "block"):
                np.testing.assert_allclose(np.concatenate(list(read_shards(out, name).values())), work.load(name), atol=1e-6)
    with pytest.raises(ValueError, match="of other layers, types or shapes"):
        kith.record(work.net, work.loader, out, ["conv"], resume=True, **options)
    with pytest.raises(ValueError, match="shards of 4 samples, not 5"):
        kith.record(work.net, work.loader, out, ["conv", "block"], resume=True, **{**options, "shard_samples": 5})
    with pytest.raises(ValueError, match="its shards have 23 samples, the loader has 15"):
        kith.record(work.net, batches(work.x[:15]), out, ["conv", "block"], resume=True, **options)
    assert kith.record(work.net, batches(work.x), out, ["conv", "block"], resume=True, **options)[0] == out + "/shard-?????.safetensors:I"
    seen = len(runs)
    kith.record(work.net, work.loader, out, ["conv", "block"], resume=True, forward=lambda model, batch: model(batch[0]), **options)
    assert len(runs) == seen + 5  # what the batches have, forward= alone knows
    (Path(out) / "shard-00003.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="shard-00003.safetensors: not written by kith.record"):
        kith.record(work.net, work.loader, out, ["conv", "block"], resume=True, **options)


def test_format_refusals(work):
    work.refuses("format 'hdf5': use npy or safetensors", work.loader, work.out, ["conv"], format="hdf5")
    for shard in ((4, 4), (-1, 4), 3, (1,)):
        work.refuses(r"shard=.*: \(i, of\), such as \(0, 4\) to \(3, 4\)", work.loader, work.out, ["conv"], shard=shard)
    work.refuses("are for format='safetensors'", work.loader, work.out, ["conv"], resume=True)
    work.refuses("shard_samples: at least 1", work.loader, work.out, ["conv"], format="safetensors", shard_samples=0)
    out = work.out + ".two"
    for i in range(2):
        kith.record(work.net, batches(work.x), out, ["conv"], format="safetensors", branches=False, shard=(i, 2))
    assert sorted(os.listdir(out)) == ["layers.mk", *(f"shard-{i}-of-2{end}" for i in range(2) for end in ("-00000.safetensors", ".done"))]
    with pytest.raises(ValueError, match="its shards have 23 samples, the loader has 15"):
        kith.record(work.net, batches(work.x[:15]), out, ["conv"], format="safetensors", branches=False, shard=(1, 2), resume=True)
    assert not os.path.exists(out + "/shard-1-of-2.done")  # it has not come to its end
    for shard in (None, (0, 3)):
        for resume in (False, True):
            with pytest.raises(ValueError, match="shard-0-of-2-00000.safetensors: of another recording, by another number of processes"):
                kith.record(work.net, work.loader, out, ["conv"], format="safetensors", shard=shard, resume=resume)
    work.refuses("row 0 has a NaN", batches(torch.full_like(work.x, np.nan)), work.out, ["conv"], format="safetensors")
