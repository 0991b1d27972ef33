"""Record what chosen modules of a PyTorch network put out, for a whole data loader, into .npy files.

Copy this one file into your project; it needs numpy and torch, nothing else.

    from recorder import record

    loader = DataLoader(dataset, batch_size=256, shuffle=False)
    record(model, loader, "activations", ["conv1", "layer1.0.relu", "fc"], input="I")

writes activations/I.npy, conv1.npy, layer1.0.relu.npy and fc.npy. In each, row i is sample i of the loader.
Memory stays at one batch: rows go to disk as the network computes them.
"""

import os
import warnings

import numpy as np
import torch

DTYPES = {"f2": np.dtype("<f2"), "f4": np.dtype("<f4"), "f8": np.dtype("<f8")}


def record(model, loader, out, modules, *, input=None, dtype="f4", device=None, samples=None, pick=None, forward=None):
    """Run `model` over `loader` once and write each module's output to OUT/NAME.npy. Returns the paths, in order.

    modules   names as in model.named_modules(): a list (NAME is the module's name) or a dict {module: NAME}.
              A module that runs more than once in a forward pass is named with the call: "relu@0", "relu@1", ...
              Calls such as torch.relu(x) are not modules and cannot be seen: give them an nn.ReLU() of their own.
    input     NAME for the model's own (first) input; None leaves it out.
    dtype     "f4", "f2" (half the disk; a value that does not fit is an error) or "f8".
    device    where batches are sent; by default where the model's parameters are.
    samples   how many samples the loader must give; by default what a DataLoader says it holds.
    pick      {module: function} for modules whose output is not one tensor with samples along its first axis,
              such as {"lstm": lambda output: output[0].transpose(0, 1)}.
    forward   function(model, batch) that runs the model on one batch of the loader. The default sends the batch,
              or its first item if it is a list or tuple such as (images, labels), to the device and calls the model.

    The model runs in eval mode without gradients and gets its modes back afterwards. Files are written as
    NAME.npy.part and renamed when all of them are whole; a run that fails or is interrupted leaves none behind under
    its final name. Raises ValueError for names or outputs that cannot be recorded, and says what to do.
    """
    names = _names(modules, input)
    targets = _targets(model, names)
    pick = dict(pick or {})
    unknown = set(pick) - set(names)
    if unknown:
        raise ValueError(f"pick: {', '.join(sorted(unknown))}: not among the modules to record")
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: use one of {', '.join(DTYPES)}")
    if isinstance(getattr(loader, "sampler", None), torch.utils.data.RandomSampler):
        warnings.warn("the loader shuffles: row i is not sample i of the data set (use shuffle=False)", stacklevel=2)
    if samples is None:
        samples = _loader_samples(loader)
    if device is None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if forward is None:
        def forward(model, batch):
            model(_model_input(batch).to(device))

    os.makedirs(out, exist_ok=True)
    files = {}
    modes = [(m, m.training) for m in model.modules()]
    hooks = []
    try:
        for key, name in names.items():
            what = {None: "the model's input", "": "the model's output"}.get(key, key)
            files[key] = _NpyStream(os.path.join(out, name + ".npy"), DTYPES[dtype], what)
        watch = _Watch(files, targets, pick)
        hooks = watch.attach(model)
        model.eval()
        with torch.no_grad():
            for batch in loader:
                watch.start()
                forward(model, batch)
                watch.finish()
        if samples is not None and watch.rows != samples:
            raise ValueError(f"the loader gave {watch.rows} samples, {samples} were expected "
                             "(drop_last, or a sampler of its own? then say samples=)")
        if watch.rows == 0:
            raise ValueError("the loader gave no samples")
        for file in files.values():
            file.close()
        return [file.rename() for file in files.values()]
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
        for file in files.values():
            file.discard()


def _names(modules, input):
    """{key: file name}, a key being what the caller calls a module, or None for the model's input."""
    if isinstance(modules, str):
        raise ValueError("modules: give a list of names, not one string")
    names = {} if input is None else {None: input}
    names.update(modules if isinstance(modules, dict) else {m: m for m in modules})
    if not names:
        raise ValueError("nothing to record: name at least one module")
    for name in names.values():
        if not name or name.startswith(".") or os.path.basename(name) != name:
            raise ValueError(f"{name!r} cannot be a file name")
    if len(set(names.values())) != len(names):
        raise ValueError("two modules have the same file name")
    return names


def _targets(model, keys):
    """{key: (module's name, call)}, call being None where the key names no call."""
    known = dict(model.named_modules())
    targets = {}
    for key in keys:
        module, at, call = (key or "").rpartition("@")
        if key is None or key in known:
            targets[key] = key, None
        elif at and module in known and call.isdecimal():
            targets[key] = module, int(call)
        else:
            raise ValueError(f"no module named {key!r}; the model has: {', '.join(n for n in known if n)}")
    return targets


def _loader_samples(loader):
    try:
        return len(loader.sampler)
    except (AttributeError, TypeError):
        return None


def _model_input(batch):
    first = batch[0] if isinstance(batch, (list, tuple)) else batch
    if not isinstance(first, torch.Tensor):
        raise ValueError(f"a batch is a {type(batch).__name__}, not a tensor or (tensor, ...): "
                         "say how to run the model on it with forward=")
    return first


class _Watch:
    """The hooks of one recording: each output goes to its file the moment the module returns it.

    Waiting until the forward pass ends would be too late: a later in-place operation, as nn.ReLU(inplace=True), may
    overwrite the tensor.
    """

    def __init__(self, files, targets, pick):
        self.files, self.targets, self.pick = files, targets, pick
        self.rows = 0
        self.start()

    def attach(self, model):
        modules = dict(model.named_modules())
        hooks = [model.register_forward_pre_hook(self._on_input)] if None in self.targets else []
        for name in {module for module, _ in self.targets.values()} - {None}:
            keys = {call: key for key, (module, call) in self.targets.items() if module == name}
            hooks.append(modules[name].register_forward_hook(self._on_output(name, keys)))
        return hooks

    def start(self):
        self.batch = None  # this batch's number of samples, and the key that said so
        self.calls = {}    # {module: how often it was called}
        self.done = set()

    def finish(self):
        for key, (module, call) in self.targets.items():
            if key not in self.done:
                what = module or "the model"
                raise ValueError(f"{what} was not called in the forward pass" if call is None else
                                 f"{key}: {what} was called {self.calls.get(module, 0)} times in the forward pass "
                                 "(the first call is @0)")
        self.rows += self.batch[0]

    def _on_input(self, module, args):
        if not args:
            raise ValueError("the model was called with keyword arguments only: its input cannot be recorded")
        if None in self.done:
            raise ValueError("the model was called more than once for one batch")
        self._take(None, args[0])

    def _on_output(self, name, keys):
        def hook(module, args, output):
            call = self.calls.get(name, 0)
            self.calls[name] = call + 1
            if None in keys:
                if call > 0:
                    raise ValueError(f"{name or 'the model'} runs more than once in a forward pass; "
                                     f"name the call you mean: '{name}@0', '{name}@1', ...")
                self._take(keys[None], output)
            if call in keys:
                self._take(keys[call], output)
        return hook

    def _take(self, key, value):
        what = self.files[key].what
        if key in self.pick:
            value = self.pick[key](value)
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{what} is a {type(value).__name__}, not a tensor: "
                             "record a module inside it, or choose with pick={...}")
        if value.dim() == 0 or value.is_complex():
            raise ValueError(f"{what} is {'complex' if value.is_complex() else 'a single number'}: "
                             "kith reads real numbers, with samples along the first axis (see pick=)")
        rows = value.shape[0]
        if self.batch is None:
            self.batch = rows, what
        if rows != self.batch[0]:
            raise ValueError(f"{what} has {rows} rows in a batch where {self.batch[1]} has {self.batch[0]}: "
                             "its first axis must be the sample (see pick=)")
        self.files[key].write(value.detach())
        self.done.add(key)


class _NpyStream:
    """A .npy file written row by row; the header's row count is filled in at the end."""

    def __init__(self, path, dtype, what):
        self.path, self.dtype, self.what = path, dtype, what
        self.part = path + ".part"
        self.shape = None
        self.rows = 0
        self.file = open(self.part, "wb")

    def write(self, value):
        if value.dtype == torch.bfloat16:
            value = value.float()  # numpy has no bfloat16
        array = value.cpu().numpy()
        if array.ndim == 1:
            array = array[:, None]
        if self.shape is None:
            self.shape = array.shape[1:]
            if 0 in self.shape:
                raise ValueError(f"{self.what} has no values: its shape is {array.shape}")
            self.file.write(self._header(0))
        if array.shape[1:] != self.shape:
            raise ValueError(f"{self.what}: row {self.rows} has the shape {array.shape[1:]}, the rows before it "
                             f"{self.shape}: every sample must have the same")
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(array, dtype=self.dtype)
        good = np.isfinite(stored).reshape(len(stored), -1).all(axis=1)
        if not good.all():
            row = int(np.argmin(good))
            cause = (f"a value too large for {self.dtype.str[1:]}" if np.isfinite(array[row]).all() else "a NaN or Inf")
            raise ValueError(f"{self.what}: row {self.rows + row} has {cause}")
        stored.tofile(self.file)
        self.rows += len(stored)

    def _header(self, rows):
        """As numpy writes it, but always as long as the largest row count would need."""
        def text(n):
            shape = ", ".join(str(s) for s in (n,) + self.shape)
            return f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': ({shape}), }}"
        room = -(-(10 + len(text(2 ** 63)) + 1) // 64) * 64 - 10
        return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + (text(rows).ljust(room - 1) + "\n").encode()

    def close(self):
        self.file.seek(0)
        self.file.write(self._header(self.rows))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def rename(self):
        os.replace(self.part, self.path)
        return self.path

    def discard(self):
        """Remove what was never renamed; nothing to do after rename()."""
        self.file.close()
        if os.path.exists(self.part):
            os.remove(self.part)
