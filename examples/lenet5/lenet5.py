"""LeNet-5 split into the paper's twelve atomic operations: train it, then record each one's output.

    python3 lenet5.py [--data DIR] --out DIR

writes OUT/lenet5.pt (the trained weights) and OUT/activations/{I,C0,...,O}.npy, row i being training image i of the
data set. Work already there, done with the same settings and data, is not done again.
"""

import argparse
import gzip
import hashlib
import json
import os
import struct
import sys
import time
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pipeline", "python"))
import kith  # this checkout's; only kith.record, which needs nothing built

LAYERS = ["I", "C0", "R0", "P0", "C1", "R1", "P1", "C2", "R2", "M3", "R3", "O"]
FASHION = "/usr/share/datasets/fashion-mnist"  # Debian's dataset-fashion-mnist
BATCH = 128


class DataError(Exception):
    pass


def lenet5():
    """The operations have the paper's names. Flatten only views C2's 120 x 1 x 1 as 120: not an operation on values."""
    return nn.Sequential(OrderedDict([
        ("C0", nn.Conv2d(1, 6, 5, padding=2)),  # 28 x 28 -> 6 x 28 x 28, as the original's 32 x 32 without its border
        ("R0", nn.ReLU()),
        ("P0", nn.MaxPool2d(2)),                # 6 x 14 x 14
        ("C1", nn.Conv2d(6, 16, 5)),            # 16 x 10 x 10
        ("R1", nn.ReLU()),
        ("P1", nn.MaxPool2d(2)),                # 16 x 5 x 5
        ("C2", nn.Conv2d(16, 120, 5)),          # 120 x 1 x 1
        ("R2", nn.ReLU()),
        ("flatten", nn.Flatten()),
        ("M3", nn.Linear(120, 84)),
        ("R3", nn.ReLU()),
        ("O", nn.Linear(84, 10)),               # the logits
    ]))


def read_idx(path, ndim):
    """An IDX file of unsigned bytes, plain or gzip, as an array of `ndim` axes."""
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            raw = file.read()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: {error}") from error
    if len(raw) < 4 + 4 * ndim:
        raise DataError(f"{path}: {len(raw)} bytes, too short for an IDX header")
    magic, *shape = struct.unpack_from(f">{1 + ndim}I", raw)
    if magic != 0x0800 + ndim:
        raise DataError(f"{path}: its first four bytes are {magic:08x}, not {0x0800 + ndim:08x} "
                        f"(IDX, unsigned bytes, {ndim} axes)")
    want = 4 + 4 * ndim + int(np.prod(shape, dtype=np.int64))
    if len(raw) != want:
        raise DataError(f"{path}: {len(raw)} bytes, but its header ({' x '.join(map(str, shape))}) makes it {want}: "
                        "truncated or damaged")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def find_idx(folder, stem, ndim):
    """Both spellings in use: train-images-idx3-ubyte and train-images.idx3-ubyte."""
    names = [f"{stem}{dot}idx{ndim}-ubyte{end}" for dot in "-." for end in (".gz", "")]
    for name in names:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise DataError(f"{folder}: no {names[0]} (nor {names[1]})")


def load(folder, part):
    """`part` is train or t10k. Returns images (n x 28 x 28) and labels, as bytes."""
    image_path, label_path = find_idx(folder, f"{part}-images", 3), find_idx(folder, f"{part}-labels", 1)
    images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{image_path}: images are {images.shape[1]} x {images.shape[2]}, not 28 x 28")
    if len(images) != len(labels):
        raise DataError(f"{label_path}: {len(labels)} labels for {len(images)} images")
    if len(labels) == 0 or labels.max() > 9:
        raise DataError(f"{label_path}: labels must be 0 to 9")
    return images, labels


class Pixels(Dataset):
    """Images scaled to [0, 1) by 1/256: a power of two, so the scaling is exact and layer I has the very neighbours,
    ties included, that the raw bytes have. 1/255 would round, and break ties at random."""

    def __init__(self, images, labels):
        self.images = torch.from_numpy(images.astype(np.float32)).unsqueeze(1) / 256
        self.labels = torch.from_numpy(labels.astype(np.int64))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def accuracy(model, data):
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(data.images.split(1000),
                                                                         data.labels.split(1000)))
    return right / len(data)


def train(data, epochs, seed):
    """Adam with the learning rate falling to zero along half a cosine. All chance comes from `seed`."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    model = lenet5()
    steps = epochs * -(-len(data) // BATCH)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        start, total = time.monotonic(), 0.0
        for index in torch.randperm(len(data)).split(BATCH):
            optimizer.zero_grad()
            loss = loss_of(model(data.images[index]), data.labels[index])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        say(f"epoch {epoch + 1}/{epochs}: loss {total / len(data):.4f}, {time.monotonic() - start:.1f} s")
    return model


def say(text):
    print(f"lenet5: {text}", file=sys.stderr, flush=True)


def write_json(path, value):
    with open(path + ".part", "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
    os.replace(path + ".part", path)


def read_json(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def trained(path, settings, model, train, accuracy, images, say=say):
    """`model` with the weights of these settings: from `path`, a .pt, if that is what it holds, else those of the model that
    train() returns, put there with its accuracy(model), of so many test images."""
    note = os.path.splitext(path)[0] + ".json"
    known = read_json(note)
    if known is not None and known.get("settings") == settings and os.path.isfile(path):
        model.load_state_dict(torch.load(path, map_location="cpu"))
        say(f"{path}: trained already, test accuracy {100 * known['accuracy']:.2f} %")
        return model
    model = train()
    score = accuracy(model)
    say(f"test accuracy {100 * score:.2f} % ({images} images)")
    if os.path.exists(note):
        os.remove(note)  # until the weights it speaks of are in place
    torch.save(model.state_dict(), path + ".part")
    os.replace(path + ".part", path)
    write_json(note, {"settings": settings, "accuracy": score})
    return model


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def recorded(out, model, data):
    """OUT/activations, made anew unless it was recorded from these weights and images."""
    folder = os.path.join(out, "activations")
    note = os.path.join(folder, "recorded.json")
    source = {"weights": digest(os.path.join(out, "lenet5.pt")), "samples": len(data),
              "images": hashlib.sha256(data.images.numpy()).hexdigest()}
    if read_json(note) == source and all(os.path.isfile(os.path.join(folder, f"{name}.npy")) for name in LAYERS):
        say(f"{folder}: recorded already")
        return
    if os.path.exists(note):
        os.remove(note)
    start = time.monotonic()
    kith.record(model, DataLoader(data, batch_size=500), folder, LAYERS[1:], input="I")
    write_json(note, source)
    say(f"{folder}: {len(LAYERS)} layers of {len(data)} images recorded in {time.monotonic() - start:.1f} s")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", metavar="DIR", default=FASHION, help="folder of *-ubyte or *-ubyte.gz IDX files")
    parser.add_argument("--out", metavar="DIR", required=True, help="where weights and activations go")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="passes over the training images")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of all chance in training")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N training images")
    parser.add_argument("--threads", type=int, default=2, metavar="T",
                        help="threads; another number may round otherwise and train other weights")
    args = parser.parse_args()
    if args.epochs < 0 or args.threads < 1 or (args.limit is not None and args.limit < 1):
        parser.error("--epochs must be at least 0, --threads and --limit at least 1")
    return args


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    if args.data == FASHION and not os.path.isdir(FASHION):
        raise DataError(f"{FASHION} is not there: install dataset-fashion-mnist, or name a folder with --data")
    data, test = Pixels(*(a[:args.limit] for a in load(args.data, "train"))), Pixels(*load(args.data, "t10k"))
    os.makedirs(args.out, exist_ok=True)
    settings = {"epochs": args.epochs, "seed": args.seed, "threads": args.threads, "samples": len(data),
                "torch": torch.__version__, "images": hashlib.sha256(data.images.numpy()).hexdigest(),
                "labels": hashlib.sha256(data.labels.numpy()).hexdigest()}
    model = trained(os.path.join(args.out, "lenet5.pt"), settings, lenet5(), lambda: train(data, args.epochs, args.seed),
                    lambda model: accuracy(model, test), len(test))
    recorded(args.out, model, data)


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError, ValueError) as error:
        sys.exit(f"lenet5: {error}")
    except KeyboardInterrupt:
        sys.exit("lenet5: interrupted")
