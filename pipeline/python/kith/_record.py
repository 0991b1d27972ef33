"""What the layers of a PyTorch network put out, for a whole data loader, as .npy or safetensors files: kith.record."""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from fnmatch import fnmatchcase
from typing import Any, Callable, Iterable, NamedTuple, Optional, Union

import torch
from torch import nn

from ._npy import Values, Writer, find_dtype
from ._shards import Shards

try:
    from torch.overrides import TorchFunctionMode
except ImportError:  # before PyTorch 1.13
    TorchFunctionMode = None

Pool = Union[str, Callable[[torch.Tensor], torch.Tensor]]

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
WRAPPED = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # in names of modules inside wrappers
SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
POOLS = ("flatten", "mean", "max", "cls", "last")
FIT_FOR_MAKE = re.compile(r"[A-Za-z0-9_+@,-][A-Za-z0-9._+@,-]*")


def record(model: nn.Module, loader: Iterable[Any], out: Union[str, os.PathLike],
           modules: Union[str, Iterable[str], Mapping[str, str]] = "*", *, input: Optional[str] = None,
           outputs: Optional[Callable[[Any], Mapping[str, torch.Tensor]]] = None,
           pool: Union[None, Pool, Mapping[str, Pool]] = None,
           mask: Union[None, str, Callable[[Any], torch.Tensor]] = None, dtype: Optional[str] = None,
           device: Union[None, str, torch.device] = None, samples: Optional[int] = None,
           pick: Optional[Mapping[str, Callable[[Any], torch.Tensor]]] = None,
           forward: Optional[Callable[[nn.Module, Any], Any]] = None, branches: bool = True,
           shard: Optional[tuple[int, int]] = None, format: str = "npy", shard_samples: Optional[int] = None,
           resume: bool = False) -> list[str]:
    """Runs `model` over `loader` once and writes each layer's output to OUT/NAME.npy, row i being sample i of the loader,
    and OUT/layers.mk, which names them in the order in which the network runs them, to be included before kith.mk.
    Returns the paths, in that order. Memory stays at one batch.

    modules   names as in model.named_modules(), "" being the model; patterns of them, in which * stands for anything, dots
              included: "layer1*"; or "*" alone: all modules without children, and all sums. A text, a list, or a
              dictionary {module: NAME}. Prefixes of DataParallel, DistributedDataParallel and torch.compile are left out.
              A module that runs several times in a pass is recorded as NAME@0, NAME@1, ...; "relu@0" is the first alone.
              "layer1.0.add" is the sum of two tensors of one shape that the module layer1.0 itself computes (x + y, x +=
              y, torch.add), as residual networks do. Other calls, such as torch.relu(x), are no modules and not seen.
    input     NAME for the model's own (first) input; None leaves it out.
    outputs   a function of what the model (or `forward`) returns that names tensors in it, recorded after the modules:
              lambda out: {f"h{i}": h for i, h in enumerate(out.hidden_states)}
    pool      how tokens or places become one vector: for all layers, or {pattern: how}, the first that fits. Of outputs
              (n, T, d): "mean" or "max" over T, "cls" the first, "last" the last of T; of (n, C, H, W): "mean" or "max"
              over the places; "flatten" (the default) everything side by side; or a function of the output.
    mask      which tokens are real: a batch's item of that name, or a function of the batch; (n, T), 0 for padding. "mean"
              and "max" are over real ones then, "last" is the last real one. By default a batch's "attention_mask".
    dtype     "f2", "f4", "f8" or "bfloat16". By default as the network computes: float16 and bfloat16 are stored as such.
    device    where batches are sent; by default where the model's parameters are.
    samples   how many samples the loader must give; by default what a DataLoader says it holds.
    pick      {pattern: function} for modules whose output is not one tensor with samples along its first axis, such as
              {"lstm": lambda output: output[0].transpose(0, 1)}.
    forward   function(model, batch) that runs the model on one batch of the loader, and returns its output. The default
              sends the batch, its first item if it is a list or tuple such as (images, labels), or all that the model
              takes of a dictionary, to the device, floating inputs in the type of the model's parameters.
    branches  warn of layers beside which a path leads from the input to the output: a pass of two samples with gradients
              (not with `forward`).
    shard     (i, of): this process has the i-th part of the samples and writes NAME.npy.i-of-of, or
              shard-i-of-of-00000.safetensors and so on; by default torch.distributed's rank and size. kith-knn reads them as
              one, "OUT/NAME.npy.*-of-4", part after part: give process i of 4 the samples of its part in their order,
              Subset(data, range(i * len(data) // 4, (i + 1) * len(data) // 4)), and rows are those of a single recording. A
              process that has written all its shards leaves shard-i-of-of.done; without one of each, layers.mk stops make.
    format    "npy"; or "safetensors": OUT/shard-00000.safetensors and so on, each with all layers of some samples, every layer
              a tensor by its NAME. What is returned then, as kith-knn takes it, is "OUT/shard-?????.safetensors:NAME".
    shard_samples  how many samples such a shard has; by default as many as make about a gigabyte.
    resume    with safetensors: go on after the shards that an interrupted recording of the same layers has left whole. Batches
              that are all in them are drawn from the loader and not run.

    The model runs in eval mode without gradients and gets its modes back afterwards. Files have their names only when all
    of them are whole; a run that fails or is interrupted leaves none behind, but for whole shards of safetensors. Raises ValueError for names or outputs that
    cannot be recorded, and says what to do."""
    model = _unwrap(model)
    run = _Forward(model, forward, device)
    _check_order(getattr(loader, "sampler", None))
    if samples is None:
        samples = _loader_samples(loader)
    targets = _Targets(model, modules)
    shard = shard or _process()
    if shard is not None and not (isinstance(shard, tuple) and len(shard) == 2 and 0 <= shard[0] < shard[1]):
        raise ValueError(f"shard={shard!r}: (i, of), such as (0, 4) to (3, 4)")
    if format not in ("npy", "safetensors"):
        raise ValueError(f"format {format!r}: use npy or safetensors")
    if format == "npy" and (shard_samples is not None or resume):
        raise ValueError("shard_samples= and resume= are for format='safetensors'")
    if shard_samples is not None and shard_samples < 1:
        raise ValueError("shard_samples: at least 1")
    shards = Shards(os.fspath(out), shard_samples, shard, resume) if format == "safetensors" else None
    files = _Files(os.fspath(out), targets, dtype, shard, _Shaper(pool, pick, mask), shards)
    if input is not None:
        files.check_name(input)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad(), _Watch(model, targets, files.take) as watch:
            for batch in loader:
                rows = run.rows(batch)
                if files.skip(rows):
                    continue
                files.start(batch, rows)
                watch.start()
                with ExitStack() as stack:
                    if input is not None and not run.is_default:
                        stack.callback(model.register_forward_pre_hook(lambda _, args: files.take_input(input, args)).remove)
                    result = run(batch, (lambda value: files.take_input(input, (value,))) if input is not None else None)
                if outputs is not None:
                    files.take_outputs(outputs, result)
                del result
                files.finish(watch)
                if branches and run.is_default and files.batches == 1:
                    watch.is_off = True
                    _warn_of_branches(model, targets, run, batch, files.names())
        if samples is not None and files.rows != samples:
            raise ValueError(f"the loader gave {files.rows} samples, {samples} were expected "
                             "(drop_last, or a sampler of its own? then say samples=)")
        if files.rows == 0:
            raise ValueError("the loader gave no samples")
        return files.close()
    finally:
        for module, training in modes:
            module.training = training
        files.discard()


# ---- the model and its batches -------------------------------------------------------------------------------------


def _unwrap(model: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel and torch.compile: one process, hooks that are called."""
    while type(model).__name__ in WRAPPERS:
        model = getattr(model, WRAPPERS[type(model).__name__])
    return model


def _plain_name(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPED)


def _process() -> Optional[tuple[int, int]]:
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return None
    return distributed.get_rank(), distributed.get_world_size()


def _check_order(sampler: Any) -> None:
    if not isinstance(sampler, torch.utils.data.DistributedSampler) or sampler.num_replicas == 1:
        if isinstance(sampler, torch.utils.data.RandomSampler) or getattr(sampler, "shuffle", False) is True:
            warnings.warn("the loader shuffles: row i is not sample i of the data set (use shuffle=False)", stacklevel=3)
        return
    whole, of = len(sampler.dataset), sampler.num_replicas
    share = f"Subset(data, range(i * {whole} // {of}, (i + 1) * {whole} // {of})) for process i"
    if sampler.total_size > whole:
        raise ValueError(f"the loader's DistributedSampler repeats {sampler.total_size - whole} of {whole} samples, so that {of} "
                         f"processes have as many, and samples would be neighbours of themselves: use {share}")
    warnings.warn(f"the loader's DistributedSampler deals samples out one by one: row i is not sample i of the data set (use {share})",
                  stacklevel=3)


def _loader_samples(loader: Any) -> Optional[int]:
    try:
        return len(loader.sampler)
    except (AttributeError, TypeError):
        return None


class _Forward:
    """Runs the model on a batch."""

    def __init__(self, model: nn.Module, forward: Optional[Callable], device: Any):
        parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
        self.model, self.forward = model, forward
        self.is_default = forward is None
        self.device = device if device is not None else parameter.device if parameter is not None else "cpu"
        self.dtype = parameter.dtype if parameter is not None else None
        takes = inspect.signature(model.forward).parameters.values()
        self.takes = None if any(p.kind is p.VAR_KEYWORD for p in takes) else {p.name for p in takes}

    def __call__(self, batch: Any, see: Optional[Callable[[torch.Tensor], Any]] = None) -> Any:
        """`see` is shown the model's first input, where the default forward knows it."""
        if self.forward is not None:
            return self.forward(self.model, batch)
        return self.run(self.inputs(batch), see)

    def run(self, inputs: Any, see: Optional[Callable[[torch.Tensor], Any]] = None) -> Any:
        if see is not None:
            see(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
        return self.model(**inputs) if isinstance(inputs, dict) else self.model(inputs)

    def inputs(self, batch: Any) -> Union[torch.Tensor, dict[str, Any]]:
        if isinstance(batch, Mapping):
            kept = {key: self._send(value) for key, value in self._taken(batch).items()}
            if any(isinstance(value, torch.Tensor) for value in kept.values()):
                return kept
        first = batch[0] if isinstance(batch, (list, tuple)) else batch
        if not isinstance(first, torch.Tensor):
            raise ValueError(f"a batch is a {type(batch).__name__}, not a tensor, (tensor, ...) or a dictionary of what the "
                             "model takes: say how to run the model on it with forward=")
        return self._send(first)

    def rows(self, batch: Any) -> Optional[int]:
        """How many samples a batch has, as far as the default forward can tell."""
        if self.forward is not None:
            return None
        if isinstance(batch, Mapping):
            values: Iterable[Any] = self._taken(batch).values()
        else:
            values = batch[:1] if isinstance(batch, (list, tuple)) else [batch]
        return next((len(value) for value in values if isinstance(value, torch.Tensor) and value.dim()), None)

    def _taken(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in batch.items() if self.takes is None or key in self.takes}

    def _send(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self.device, self.dtype if value.is_floating_point() and self.dtype is not None else value.dtype)


# ---- what to record ------------------------------------------------------------------------------------------------


class _Target(NamedTuple):
    key: str             # the module's name; NAME.add of a sum
    call: Optional[int]  # of its calls in a pass; None: all
    name: Optional[str]  # of the file; None: the key's
    is_asked: bool       # by its name, not by a pattern: it has to be there


class _Targets:
    """Which modules and sums are recorded."""

    def __init__(self, model: nn.Module, modules: Any):
        self.modules = {_plain_name(name): module for name, module in model.named_modules(remove_duplicate=False)}
        names = {_plain_name(name) for name, _ in model.named_modules()}  # shared ones once
        self.unique = [name for name in self.modules if name in names]
        self.found: list[_Target] = []
        texts = [modules] if isinstance(modules, str) else list(modules)
        if not texts:
            raise ValueError("nothing to record: name at least one module")
        for text in texts:
            self._add(text, modules[text] if isinstance(modules, Mapping) else None)
        self.by_key: dict[str, list[_Target]] = {}
        for target in self.found:
            self.by_key.setdefault(target.key, []).append(target)

    def has_sums(self) -> bool:
        return any(self.is_sum(key) for key in self.by_key)

    def is_sum(self, key: str) -> bool:
        return key not in self.modules

    def fit(self, key: str, call: int) -> list[_Target]:
        return [target for target in self.by_key.get(key, ()) if target.call in (None, call)]

    def _add(self, text: str, name: Optional[str]) -> None:
        text = _plain_name(text)
        key, at, call = text.rpartition("@")
        if self._is_name(text):
            self.found.append(_Target(text, None, name, True))
        elif at and call.isdecimal() and self._is_name(key):
            self.found.append(_Target(key, int(call), name or text, True))
        elif any(sign in text for sign in "*?[") and name is None:
            known = {target.key for target in self.found}
            fits = [key for key in self._all() if self._fits(key, text)]
            if not fits:
                raise ValueError(f"no module's name fits {text!r}; the model has: {self._names()}")
            self.found += [_Target(key, None, None, False) for key in fits if key not in known]
        else:
            raise ValueError(f"no module named {text!r}; the model has: {self._names()}")

    def _is_name(self, key: str) -> bool:
        return key in self.modules or key == "add" or key.endswith(".add") and key[:-4] in self.modules

    def _all(self) -> list[str]:
        """Every key there can be: modules but for the model, and sums that those with children may make."""
        sums = [f"{name}.add" if name else "add" for name in self.unique if self._has_children(name)]
        return [name for name in self.unique if name] + [
            key for key in sums if key not in self.modules and TorchFunctionMode is not None]

    def _has_children(self, name: str) -> bool:
        return any(True for _ in self.modules[name].children())

    def _fits(self, key: str, pattern: str) -> bool:
        if pattern == "*":
            return self.is_sum(key) or not self._has_children(key)
        return fnmatchcase(key, pattern)

    def _names(self) -> str:
        return ", ".join(name for name in self.unique if name)


# ---- seeing it -----------------------------------------------------------------------------------------------------


class _Watch:
    """Hooks that hand every output that is a target to take(key, call, value) the moment it is there.

    Waiting until the forward pass ends would be too late: a later in-place operation, as nn.ReLU(inplace=True), may
    overwrite the tensor."""

    def __init__(self, model: nn.Module, targets: _Targets, take: Callable[[str, int, Any], None]):
        self.model, self.targets, self.take = model, targets, take
        self.hooks: list[Any] = []
        self.inside: list[str] = []      # the modules that are running, where sums are looked for
        self.calls: dict[str, int] = {}  # in this pass
        self.is_off = False              # until the next pass

    def __enter__(self) -> _Watch:
        sums = self.targets.has_sums()
        if sums and TorchFunctionMode is None:
            raise ValueError("sums can be recorded from PyTorch 1.13 on")
        keys: dict[int, list[str]] = {}
        for key in self.targets.by_key:
            if not self.targets.is_sum(key):
                keys.setdefault(id(self.targets.modules[key]), []).append(key)
        for name in self.targets.unique:
            module = self.targets.modules[name]
            if sums:
                self.hooks.append(module.register_forward_pre_hook(lambda *_, name=name: self.inside.append(name)))
            if sums or id(module) in keys:
                self.hooks.append(module.register_forward_hook(self._hook(name, keys.get(id(module), []))))
        self.mode = _SumMode(self) if sums else nullcontext()
        self.mode.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self.mode.__exit__(*what)
        for hook in self.hooks:
            hook.remove()

    def start(self) -> None:
        self.calls, self.inside, self.is_off = {}, [], False

    def saw(self, key: str, value: Any) -> None:
        if self.is_off:
            return
        call = self.calls.get(key, 0)
        self.calls[key] = call + 1
        if self.targets.fit(key, call):
            self.take(key, call, value)

    def saw_sum(self, value: torch.Tensor) -> None:
        owner = self.inside[-1] if self.inside else ""
        self.saw(f"{owner}.add" if owner else "add", value)

    def _hook(self, name: str, keys: list[str]) -> Callable:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if self.inside:
                del self.inside[len(self.inside) - 1 - self.inside[::-1].index(name):]
            for key in keys:
                self.saw(key, output)
        return hook


if TorchFunctionMode is not None:
    class _SumMode(TorchFunctionMode):
        """Sees each call of a torch function, and of those the sums of two tensors of one shape."""

        def __init__(self, watch: _Watch):
            super().__init__()
            self.watch = watch

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            if getattr(function, "__name__", "") in SUMS and len(args) == 2 and isinstance(result, torch.Tensor):
                x, y = args
                if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor) and x.shape == y.shape and x.dim() > 1 \
                        and result.is_floating_point():
                    self.watch.saw_sum(result)
            return result


# ---- from outputs to vectors ---------------------------------------------------------------------------------------


class _Shaper:
    """pick, pool and mask."""

    def __init__(self, pool: Any, pick: Optional[Mapping[str, Callable]], mask: Any):
        self.pool = dict(pool) if isinstance(pool, Mapping) else {"*": pool} if pool is not None else {}
        self.pick, self.how_to_mask = dict(pick or {}), mask
        self.used: set[tuple[str, str]] = set()
        self.warned = False
        for how in self.pool.values():
            if not callable(how) and how not in POOLS:
                raise ValueError(f"pool: {how!r}: use one of {', '.join(POOLS)}, or a function of the output")

    def start(self, batch: Any) -> None:
        mask = self.how_to_mask
        if callable(mask):
            self.mask = mask(batch)
        elif mask is not None:
            self.mask = batch[mask]
        else:
            self.mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if self.mask is not None and self.mask.dim() != 2:
            raise ValueError(f"mask: its shape is {tuple(self.mask.shape)}, not (samples, tokens)")
        if self.mask is not None:
            self.mask = self.mask != 0

    def check_used(self) -> None:
        for option, patterns in (("pool", self.pool), ("pick", self.pick)):
            unused = [pattern for pattern in patterns if pattern != "*" and (option, pattern) not in self.used]
            if unused:
                raise ValueError(f"{option}: {', '.join(unused)}: not among the modules to record")

    def picked(self, key: str, value: Any) -> Any:
        function = self._find("pick", self.pick, key)
        return value if function is None else function(value)

    def pooled(self, key: str, what: str, value: torch.Tensor) -> torch.Tensor:
        how = self._find("pool", self.pool, key)
        if callable(how):
            return how(value)
        mask = self.mask.to(value.device) if self.mask is not None and value.dim() == 3 else None
        if mask is not None and mask.shape != value.shape[:2]:
            if how not in (None, "flatten", "cls"):
                raise ValueError(f"{what}: {tuple(value.shape)} does not fit the mask, {tuple(mask.shape)}: give it a pool= of "
                                 "its own")
            mask = None
        if how in (None, "flatten"):
            self._warn_of_padding(what, mask)
            return value
        if value.dim() < 3:
            return value
        if value.dim() > 3:
            if how in ("cls", "last"):
                raise ValueError(f"{what}: pool {how!r} is for outputs (samples, tokens, values), not {tuple(value.shape)}")
            return value.float().flatten(2).mean(2).to(value.dtype) if how == "mean" else value.flatten(2).amax(2)
        if mask is not None and how != "cls" and not bool(mask.any(1).all()):
            raise ValueError(f"{what}: sample {int((~mask.any(1)).nonzero()[0])} of the batch has no token that the mask "
                             "calls real")
        return _pool_tokens(value, how, mask)

    def _warn_of_padding(self, what: str, mask: Optional[torch.Tensor]) -> None:
        if mask is None or self.warned:
            return
        lengths = mask.sum(1)
        if int(lengths.min()) != int(lengths.max()):
            self.warned = True
            warnings.warn(f"{what} is flattened, all tokens side by side, and samples have {int(lengths.min())} to "
                          f"{int(lengths.max())} real ones: their padding is compared as well. pool='mean' or 'last' leaves "
                          "it out", stacklevel=2)

    def _find(self, option: str, patterns: Mapping[str, Any], key: str) -> Any:
        for pattern, value in patterns.items():
            if pattern == key or fnmatchcase(key, pattern):
                self.used.add((option, pattern))
                return value
        return None


def _pool_tokens(value: torch.Tensor, how: str, mask: Optional[torch.Tensor]) -> torch.Tensor:
    """(n, T, d) to (n, d)."""
    if how == "cls":
        return value[:, 0]
    if mask is None:
        return value[:, -1] if how == "last" else value.amax(1) if how == "max" else value.float().mean(1).to(value.dtype)
    if how == "last":
        last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1)
        return value[torch.arange(len(value), device=value.device), last]
    padding = ~mask.unsqueeze(2)
    if how == "max":
        return value.masked_fill(padding, float("-inf")).amax(1)
    wide = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    return (wide.masked_fill(padding, 0).sum(1) / mask.sum(1, keepdim=True)).to(value.dtype)


# ---- to files ------------------------------------------------------------------------------------------------------


class _Background:
    """Writes tensors in a thread of its own, in order, while the network goes on; each as it was when it was handed over.

    Outputs are not copied for that, unless a later in-place operation overwrites them. Which ones that happens to, the first
    batch tells, by PyTorch's count of a tensor's changes; and the same count tells if it is otherwise in a later batch."""
    SYNC_BYTES = 1 << 27

    def __init__(self) -> None:
        self.writing, self.syncing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.pending: list[tuple[Future, Writer, torch.Tensor, Optional[int]]] = []
        self.seen: list[tuple[Writer, torch.Tensor, int]] = []  # in the first batch
        self.lasting: set[Writer] = set()                       # whose tensors stayed as they were
        self.unsynced: dict[Writer, int] = {}

    def write(self, writer: Writer, value: torch.Tensor) -> None:
        version = None
        if value.device.type == "cpu" and not value.is_inference():
            if writer in self.lasting:
                version = value._version
            else:
                self.seen.append((writer, value, value._version))
        kept = value if version is not None else value.clone()
        self.pending.append((self.writing.submit(self._write, writer, kept), writer, kept, version))

    def wait(self) -> None:
        """Until all is written, before the network runs again."""
        for writer, value, version in self.seen:
            if value._version == version:
                self.lasting.add(writer)
        self.seen = []
        pending, self.pending = self.pending, []
        for future, writer, value, version in pending:
            future.result()
            if version is not None and value._version != version:
                raise ValueError(f"{writer.what} is overwritten in place in some batches only: let pick= copy it "
                                 "(lambda output: output.clone())")

    def stop(self) -> None:
        self.writing.shutdown()
        self.syncing.shutdown()

    def _write(self, writer: Writer, value: torch.Tensor) -> None:
        writer.write(value)
        self.unsynced[writer] = self.unsynced.get(writer, 0) + value.numel() * value.element_size()
        if self.unsynced[writer] > self.SYNC_BYTES:  # or all of it would be left for the end
            self.unsynced[writer] = 0
            self.syncing.submit(writer.flush)


class _Files:
    """A writer for each target and call, opened when it is first seen, in the first batch: that is the causal order."""

    def __init__(self, folder: str, targets: _Targets, dtype: Optional[str], shard: Optional[tuple[int, int]],
                 shaper: _Shaper, shards: Optional[Shards]):
        self.folder, self.targets, self.shard, self.shaper, self.shards = folder, targets, shard, shaper, shards
        self.dtype = dtype
        if dtype is not None and find_dtype(dtype).kind not in "fV":
            raise ValueError(f"dtype {dtype!r}: use one of f2, f4, f8, bfloat16")
        for target in targets.found:
            if target.name is not None:
                self.check_name(target.name)
        # By (the module or sum, its call in a pass, the target that asks for it), or (NAME, None, None) of the input and
        # of outputs.
        self.files: dict[tuple[str, Optional[int], Optional[_Target]], Values] = {}
        self.name: dict[tuple, str] = {}
        self.background = _Background()
        self.left_out: dict[str, str] = {}  # what patterns name and cannot be recorded, and why
        self.rows = self.batches = 0
        os.makedirs(folder, exist_ok=True)

    def check_name(self, name: str, what_to_do: str = "") -> None:
        if not FIT_FOR_MAKE.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a file name: letters, digits and . _ + @ , - can be in it{what_to_do}")

    def names(self) -> dict[str, list[tuple[str, int]]]:
        """{file's name: the key and call that it is of}, of modules and sums."""
        return {self.name[place]: place[:2] for place in self.files if place[2] is not None}

    def skip(self, rows: Optional[int]) -> bool:
        """Whether a batch of so many rows is in shards that are there already, and then counts it."""
        if self.shards is None or rows is None or self.rows + rows > self.shards.resumed:
            return False
        self.rows += rows
        return True

    def start(self, batch: Any, rows: Optional[int]) -> None:
        self._wait()
        self.shaper.start(batch)
        self.batch = None if rows is None else (rows, "the batch")
        self.done: set[tuple] = set()

    def take(self, key: str, call: int, value: Any) -> None:
        for target in self.targets.fit(key, call):
            self._put((key, call, target), key or "the model", value)

    def take_input(self, name: str, args: tuple) -> None:
        if not args:
            raise ValueError("the model was called with keyword arguments only: its input cannot be recorded")
        if (name, None, None) in self.done:
            raise ValueError("the model was called more than once for one batch")
        self._put((name, None, None), "the model's input", args[0])

    def take_outputs(self, outputs: Callable, result: Any) -> None:
        if result is None:
            raise ValueError("outputs=: forward= has to return what the model put out")
        named = outputs(result)
        if not isinstance(named, Mapping):
            raise ValueError("outputs= has to return a dictionary {NAME: tensor}")
        for name, value in named.items():
            self.check_name(name)
            self._put((name, None, None), f"output {name}", value)

    def finish(self, watch: _Watch) -> None:
        if self.batches == 0:
            self._finish_first(watch)
        for place, file in self.files.items():
            if place not in self.done:
                raise ValueError(f"{file.what}, recorded as {self.name[place]}, was not there in the batch from row "
                                 f"{self.rows} on: every batch has to run the same modules, as often")
        self.rows += self.batch[0]
        self.batches += 1

    def close(self) -> list[str]:
        self._wait()
        self.background.stop()
        if self.shards is not None:
            paths = self.shards.close(self.rows)
            self._write_makefile(self.shards.names(), "/" + self.shards.pattern())
            return paths
        for file in self.files.values():
            file.complete()
        paths = [file.rename() for file in self.files.values()]
        self._write_makefile(list(self.name.values()))
        return paths

    def discard(self) -> None:
        self.background.stop()
        if self.shards is not None:
            self.shards.discard()
        else:
            for file in self.files.values():
                file.discard()

    def _wait(self) -> None:
        self.background.wait()
        if self.shards is not None and self.batches:
            self.shards.settle()

    def _put(self, place: tuple[str, Optional[int], Optional[_Target]], what: str, value: Any) -> None:
        key, call, target = place
        if key in self.left_out:
            return
        if place not in self.files and self.batches:
            raise ValueError(f"{what} was called more often from row {self.rows} on than in the batches before")
        value = self.shaper.picked(key, value)
        wrong = self._unfit(what, value)
        if wrong and target is not None and not target.is_asked and self.batches == 0:
            self.left_out[key] = wrong
            return
        if wrong:
            raise ValueError(wrong)
        if self.batch is None:
            self.batch = len(value), what
        value = self.shaper.pooled(key, what, value.detach())
        if place not in self.files:
            name = key if call is None else f"{key}@{call}"
            self.files[place], self.name[place] = self._open(name.replace("/", "_"), what), name  # it gets its name in _finish_first
        if self.shards is not None and self.rows < self.shards.resumed:
            value = value[self.shards.resumed - self.rows:]
        self.background.write(self.files[place], value)
        self.done.add(place)

    def _unfit(self, what: str, value: Any) -> Optional[str]:
        if not isinstance(value, torch.Tensor):
            return f"{what} is a {type(value).__name__}, not a tensor: record a module inside it, or choose with pick={{...}}"
        if getattr(value, "is_nested", False):
            return f"{what} is a nested tensor: build the nn.TransformerEncoder with enable_nested_tensor=False"
        if value.dim() == 0 or value.is_complex():
            return (f"{what} is {'complex' if value.is_complex() else 'a single number'}: "
                    "kith reads real numbers, with samples along the first axis (see pick=)")
        if self.batch is not None and len(value) != self.batch[0]:
            return (f"{what} has {len(value)} rows in a batch where {self.batch[1]} has {self.batch[0]}: "
                    "its first axis must be the sample (see pick=)")
        return None

    def _open(self, name: str, what: str) -> Values:
        return Writer(self._path(name), self.dtype, what) if self.shards is None else self.shards.layer(what, self.dtype)

    def _path(self, name: str) -> str:
        part = f".{self.shard[0]}-of-{self.shard[1]}" if self.shard else ""
        return os.path.join(self.folder, f"{name}.npy{part}")

    def _finish_first(self, watch: _Watch) -> None:
        """Now it is known which modules run, and how often."""
        for target in self.targets.found:
            calls = watch.calls.get(target.key, 0)
            if target.is_asked and (calls == 0 if target.call is None else calls <= target.call):
                raise ValueError(_why_not_called(self.targets, watch.calls, target, calls))
        hidden = [t.key for t in self.targets.found if not t.is_asked and not watch.calls.get(t.key)
                  and _fast_path(self.targets, watch.calls, t.key)]
        if hidden:
            warnings.warn(f"{_some(hidden)}: not recorded. {_fast_path(self.targets, watch.calls, hidden[0])}", stacklevel=3)
        if self.left_out:
            warnings.warn(f"{_some(list(self.left_out))}: not recorded: {next(iter(self.left_out.values()))}", stacklevel=3)
        if not self.files:
            raise ValueError("nothing to record: none of the modules was called in the forward pass")
        for place, file in self.files.items():
            key, call, target = place
            if target is not None:
                number = f"@{call}" if target.call is None and watch.calls[key] > 1 else ""
                self.name[place] = (target.name or key or "out") + number
                self.check_name(self.name[place], f"; give it another by modules={{{key!r}: NAME}}" if target.name is None else "")
                file.path = self._path(self.name[place])
        for place, file in self.files.items() if self.shards is not None else ():
            file.name = self.name[place]
        names = list(self.name.values())
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two layers have the same file name: {', '.join(sorted(twice))}")
        self.shaper.check_used()

    def _write_makefile(self, names: list[str], files: str = "") -> None:
        """`files`: those in this folder that have all layers, if there are such. One of several processes writes for all, which
        may be at work still, and then make has to stop: fewer shards are fewer samples."""
        if self.shard is not None and self.shard[0] != 0:
            return
        path = os.path.join(self.folder, "layers.mk")
        shards = ""
        if self.shard is not None:
            of = self.shard[1]
            shards = f"ACTIVATIONS_SHARDS = {of}\n" if not files else (
                f"KITH_AT_WORK := $(foreach KITH_PROCESS,{' '.join(map(str, range(of)))},$(if $(wildcard $(dir $(lastword \\\n"
                f"\t$(MAKEFILE_LIST)))shard-$(KITH_PROCESS)-of-{of}.done),,$(KITH_PROCESS)))\n"
                "ifneq ($(strip $(KITH_AT_WORK)),)\n"
                f"$(error $(lastword $(MAKEFILE_LIST)): of {of} processes that record, these have not ended: $(strip $(KITH_AT_WORK)): \\\n"
                "\twait for them, or let them go on with resume=True)\nendif\n")
        with open(path + ".part", "w", encoding="utf-8") as file:
            file.write("# Written by kith.record: what is in this folder, in the order in which the network runs it. To be\n"
                       "# included before kith.mk.\n"
                       f"LAYERS = {' '.join(names)}\n"
                       f"ACTIVATIONS := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST)))){files}\n{shards}")
        os.replace(path + ".part", path)


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _why_not_called(targets: _Targets, calls: Mapping[str, int], target: _Target, count: int) -> str:
    what = target.key or "the model"
    if target.call is not None and count:
        return f"{target.key}@{target.call}: {what} was called {count} times in the forward pass (the first call is @0)"
    if targets.is_sum(target.key):
        return f"{what}: {target.key[:-4] or 'the model'} itself adds no two tensors of one shape in the forward pass"
    return f"{what} was not called in the forward pass. {_fast_path(targets, calls, target.key) or ''}".rstrip(" .")


def _fast_path(targets: _Targets, calls: Mapping[str, int], key: str) -> Optional[str]:
    """Why a module inside PyTorch's own transformer is not called, if that is why."""
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:end])
        module = targets.modules.get(above)
        if isinstance(module, nn.TransformerEncoderLayer):
            return (f"In eval mode nn.TransformerEncoderLayer computes {above} as a whole (its fast path): record {above}, or "
                    "take the slow path: forward= a function that runs the model inside torch.enable_grad()")
        if isinstance(module, nn.MultiheadAttention):
            inner = f"nn.MultiheadAttention uses {key}'s weights without calling it: record {above}"
            layer = ".".join(parts[:end - 1])
            whole = isinstance(targets.modules.get(layer), nn.TransformerEncoderLayer)
            return _fast_path(targets, calls, above) if whole else inner
    return None


# ---- branches ------------------------------------------------------------------------------------------------------


def _warn_of_branches(model: nn.Module, targets: _Targets, run: _Forward, batch: Any,
                      names: Mapping[str, tuple[str, int]]) -> None:
    """Layers that a path from the input to the output avoids, in the graph that gradients would go back through."""
    try:
        avoided = _avoided(model, targets, run, batch)
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return  # a model that cannot run with gradients: nothing can be said
    found = [name for name, place in names.items() if place in avoided]
    if found:
        warnings.warn(f"{_some(found)}: on a branch, as a path from the input to the output avoids "
                      f"{'it' if len(found) == 1 else 'them'}. NNTP counts chains of layers: choose layers that everything "
                      "passes, such as the sums where branches meet (NAME.add) or whole blocks", stacklevel=4)


def _avoided(model: nn.Module, targets: _Targets, run: _Forward, batch: Any) -> set[tuple[str, int]]:
    nodes: dict[tuple[str, int], Any] = {}
    sources: list[Any] = []

    def source(value: torch.Tensor) -> torch.Tensor:
        copy = value.detach().requires_grad_().clone()  # no leaf: in-place operations on it are allowed
        sources.append(copy.grad_fn)
        return copy

    def first_two(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        value = value[:2]
        shapes.add(value.shape)
        return source(value) if value.is_floating_point() else value

    def embed(module: nn.Module, args: Any, output: Any) -> Any:
        """Whole numbers have no gradients: the first thing that is made of an input is taken for it."""
        return source(output) if args and args[0].shape in shapes else None

    def take(key: str, call: int, value: Any) -> None:
        value = value if isinstance(value, torch.Tensor) else None
        if value is not None and value.grad_fn is not None:
            nodes[key, call] = value.grad_fn

    shapes: set[torch.Size] = set()
    inputs = run.inputs(batch)
    with torch.enable_grad(), ExitStack() as stack:
        inputs = {k: first_two(v) for k, v in inputs.items()} if isinstance(inputs, dict) else first_two(inputs)
        if not sources:
            for module in model.modules():
                if isinstance(module, nn.Embedding):
                    stack.callback(module.register_forward_hook(embed).remove)
        stack.enter_context(_Watch(model, targets, take))
        end = _first_tensor(run.run(inputs))
    if end is None or not _reaches(end.grad_fn, sources, None):
        return set()
    return {place for place, node in nodes.items() if _reaches(end.grad_fn, sources, node)}


def _first_tensor(result: Any) -> Optional[torch.Tensor]:
    """What the model is for: of several outputs the first."""
    if isinstance(result, torch.Tensor):
        return result if result.grad_fn is not None else None
    inner = result.values() if isinstance(result, Mapping) else result if isinstance(result, (list, tuple)) else []
    return next((found for found in map(_first_tensor, inner) if found is not None), None)


def _reaches(start: Any, ends: list[Any], without: Any) -> bool:
    seen, left = set(), [start]
    while left:
        node = left.pop()
        if node is None or node is without or node in seen:
            continue
        if node in ends:
            return True
        seen.add(node)
        left += [before for before, _ in node.next_functions]
    return False
