"""Gebhart's CCFF network: train it, make adversaries of test images, and record what kith-h0 and kith-knn need.

    python3 gebhart.py [--data DIR] [--sigmoid] --out DIR

writes OUT/ccff.pt (the trained weights), OUT/adversaries.npz and three data sets, each a folder with activations, net.json
(see netfile.py) and labels.npy:

    both    test images 0 to 2 N - 1, then the adversaries; and without-image.json, the network without its input layer
    first   test images 0 to N/2 - 1
    twins   test images 0 to N - 1, then the adversaries, which are those of the images here that the network gets right

Work already there, done with the same settings and data, is not done again.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lenet5"))
from lenet5 import FASHION, DataError, digest, load, read_json, trained, write_json
from netfile import netfile
import kith  # lenet5.py has found this checkout's; only kith.record, which needs nothing built

LAYERS = ["I", "C1", "C2", "F1", "O"]
STEP = 0.004  # of an attack, per pixel
STEPS = 2000  # after which it is given up


def ccff(sigmoid):
    """Layers have the name of the module that ends them; no biases, as edges know none."""
    nonlinearity = nn.Sigmoid if sigmoid else nn.ReLU
    return nn.Sequential(OrderedDict([
        ("conv1", nn.Conv2d(1, 3, 5, bias=False)), ("C1", nonlinearity()),           # 3 x 24 x 24
        ("conv2", nn.Conv2d(3, 3, 3, bias=False)), ("C2", nonlinearity()),           # 3 x 22 x 22
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(3 * 22 * 22, 256, bias=False)), ("F1", nonlinearity()),
        ("O", nn.Linear(256, 10, bias=False)),
    ]))


def pixels(images):
    """From -1 on, in steps of 1/128: exact in floating point, so that equal distances of bytes stay equal."""
    return torch.from_numpy(images.astype(np.float32)).unsqueeze(1) / 128 - 1


def predicted(model, x):
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in x.split(1000)])


def train(x, y, settings):
    torch.manual_seed(settings["seed"])
    torch.use_deterministic_algorithms(True)
    model = ccff(settings["sigmoid"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(settings["epochs"]):
        start, total = time.monotonic(), 0.0
        for index in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        say(f"epoch {epoch + 1}/{settings['epochs']}: loss {total / len(x):.4f}, {time.monotonic() - start:.1f} s")
    return model


def attack(model, x, y):
    """Untargeted projected gradient descent in the l-infinity norm, each image until the network first gets it wrong.
    Returns the images and which of them it has got wrong at the end."""
    low, high = x.min().item(), 255 / 128 - 1
    x, wrong = x.clone(), torch.zeros(len(x), dtype=torch.bool)
    loss_of = nn.CrossEntropyLoss(reduction="sum")
    for _ in range(STEPS):
        index = (~wrong).nonzero()[:, 0]
        if not len(index):
            break
        now = x[index].requires_grad_()
        loss_of(model(now), y[index]).backward()
        x[index] = (now + STEP * now.grad.sign()).detach().clamp(low, high)
        wrong[index] = predicted(model, x[index]) != y[index]
    model.zero_grad()
    return x, wrong


def say(text):
    print(f"gebhart: {text}", file=sys.stderr, flush=True)


def adversaries(model, x, y):
    """Of the attacked images: the adversaries, whose they are, and what the network takes them for."""
    start = time.monotonic()
    index = (predicted(model, x) == y).nonzero()[:, 0]
    images, wrong = attack(model, x[index], y[index])
    if not wrong.all():
        say(f"{(~wrong).sum()} of {len(index)} images resisted {STEPS} steps and are left out")
    if not wrong.any():
        raise DataError("no image could be made an adversary: has the network learned anything?")
    index, images = index[wrong], images[wrong]
    reach = (images - x[index]).abs().amax((1, 2, 3))
    say(f"{len(index)} adversaries, pixels changed by {reach.mean():.3f} on average, at most {reach.max():.3f}, in "
        f"{time.monotonic() - start:.1f} s")
    return images, index, predicted(model, images)


def recorded(folder, model, x, y, networks):
    """A data set: activations, labels, and each of the networks, {file: layers left out}."""
    os.makedirs(folder, exist_ok=True)
    for name, without in networks.items():
        network, layers = netfile(model, x[:1], os.path.join(folder, name), without=without)
        if not without:
            kith.record(network, DataLoader(TensorDataset(x), batch_size=500), folder, layers)
    np.save(os.path.join(folder, "labels.npy"), y.numpy().astype(np.uint8))  # what kith-show reads


def make_sets(out, model, x, y, attacked):
    note = os.path.join(out, "recorded.json")
    source = {"attacked": attacked, "weights": digest(os.path.join(out, "ccff.pt")), "images": hashlib.sha256(x.numpy()).hexdigest(),
              "program": digest(os.path.abspath(__file__))}
    if read_json(note) == source:
        say(f"{out}: recorded already")
        return
    if os.path.exists(note):
        os.remove(note)
    images, index, wrong = adversaries(model, x[:attacked], y[:attacked])
    np.savez(os.path.join(out, "adversaries.npz"), images=images.numpy(), twin=index.numpy(), taken_for=wrong.numpy())
    both, first, twins = (os.path.join(out, name) for name in ("both", "first", "twins"))
    recorded(both, model, torch.cat([x[:2 * attacked], images]), torch.cat([y[:2 * attacked], y[index]]),
             {"net.json": (), "without-image.json": ("I",)})
    recorded(first, model, x[:attacked // 2], y[:attacked // 2], {"net.json": ()})
    recorded(twins, model, torch.cat([x[:attacked], images]), torch.cat([y[:attacked], y[index]]), {"net.json": ()})
    write_json(note, source)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", metavar="DIR", default=FASHION, help="folder of *-ubyte or *-ubyte.gz IDX files")
    parser.add_argument("--out", metavar="DIR", required=True, help="where weights and activations go")
    parser.add_argument("--sigmoid", action="store_true", help="sigmoids in place of ReLUs")
    parser.add_argument("--attacked", type=int, default=2000, metavar="N", help="how many test images are attacked")
    parser.add_argument("--epochs", type=int, default=20, metavar="N", help="passes over the training images")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of all chance in training")
    parser.add_argument("--threads", type=int, default=1, metavar="T",
                        help="threads; another number may round otherwise and train other weights")
    args = parser.parse_args()
    if args.epochs < 0 or min(args.threads, args.attacked) < 1:
        parser.error("--epochs must be at least 0, --attacked and --threads at least 1")
    return args


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    if args.data == FASHION and not os.path.isdir(FASHION):
        raise DataError(f"{FASHION} is not there: install dataset-fashion-mnist, or name a folder with --data")
    (x, y), (test_x, test_y) = ((pixels(images), torch.from_numpy(labels.astype(np.int64)))
                                for images, labels in (load(args.data, "train"), load(args.data, "t10k")))
    if len(test_x) < 2 * args.attacked:
        raise DataError(f"{args.data}: {len(test_x)} test images; --attacked {args.attacked} takes {2 * args.attacked}")
    os.makedirs(args.out, exist_ok=True)
    settings = {"sigmoid": args.sigmoid, "epochs": args.epochs, "seed": args.seed, "threads": args.threads,
                "torch": torch.__version__, "images": hashlib.sha256(x.numpy()).hexdigest(),
                "labels": hashlib.sha256(y.numpy()).hexdigest()}
    model = trained(os.path.join(args.out, "ccff.pt"), settings, ccff(args.sigmoid), lambda: train(x, y, settings),
                    lambda model: (predicted(model, test_x) == test_y).double().mean().item(), len(test_x), say)
    make_sets(args.out, model, test_x, test_y, args.attacked)


if __name__ == "__main__":
    try:
        main()
    except (DataError, OSError, ValueError) as error:
        sys.exit(f"gebhart: {error}")
    except KeyboardInterrupt:
        sys.exit("gebhart: interrupted")
