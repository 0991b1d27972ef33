"""One layer through training: python3 checkpoints.py OUT [SAMPLES]

A small network learns Fashion-MNIST; its hidden layer is recorded at several moments. The "layers" of the result are moments:
NNTP says how many pairs of neighbours arise and stay as the network learns."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "pipeline", "python"), os.path.join(HERE, "..", "lenet5")]
import kith
import torch
from lenet5 import FASHION, Pixels, load
from torch import nn
from torch.utils.data import DataLoader


def main(out, samples=2000, steps=(0, 10, 50, 200, 500)):
    torch.manual_seed(1)
    data = Pixels(*(part[:10000] for part in load(FASHION, "train")))
    shown = DataLoader(Pixels(*(part[:samples] for part in load(FASHION, "t10k"))), 500)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer, loss_of = torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss()
    os.makedirs(f"{out}/checkpoints", exist_ok=True)
    batches = iter(DataLoader(data, 10000 // max(steps[-1], 1), shuffle=True))
    for step in range(steps[-1] + 1):
        if step in steps:
            torch.save(model.state_dict(), f"{out}/checkpoints/{step}.pt")
        if step < steps[-1]:
            images, labels = next(batches)
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    graphs = {}
    for step in steps:
        model.load_state_dict(torch.load(f"{out}/checkpoints/{step}.pt"))
        (path,) = kith.record(model, shown, f"{out}/activations", {"2": f"step{step}"})
        graphs[f"step{step}"] = kith.knn(path, 15, out=f"{out}/step{step}.nng")
    stack = kith.merge(graphs, alpha="all", out=f"{out}/stack.json", pairs=f"{out}/pairs.kpr")
    print(stack, stack.nnts(15), "NNTP:", stack.nntp(15), sep="\n")
    kept = kith.pairs(f"{out}/pairs.kpr").persist(f"step{steps[1]}", f"step{steps[-1]}", k=15)
    print(f"{len(kept)} pairs are neighbours from step {steps[1]} to step {steps[-1]}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
