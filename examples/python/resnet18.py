"""A ResNet-18: python3 resnet18.py OUT [SAMPLES]

torchvision's where that is installed, else one with the same names; weights at random, images of Fashion-MNIST: put your own
model and loader in their place."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "pipeline", "python"), os.path.join(HERE, "..", "lenet5")]
import kith
import torch
from lenet5 import FASHION, Pixels, load
from torch import nn


class Block(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)) \
            if stride > 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for i, channels in enumerate([64, 128, 256, 512]):
            before, stride = (64, 1) if i == 0 else (channels // 2, 2)
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(before, channels, stride), Block(channels, channels, 1)))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 1000)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def main(out, samples=300):
    torch.manual_seed(1)
    try:
        from torchvision.models import resnet18
        model = resnet18()
    except ImportError:
        model = ResNet18()
    images = Pixels(*(part[:samples] for part in load(FASHION, "t10k"))).images.expand(-1, 3, -1, -1)

    # What everything passes: the stem, the sums where branches meet, the end. "*" would be all there is, with a warning of
    # those on branches. Places are averaged, as the network itself does at its end.
    kith.record(model, torch.utils.data.DataLoader(images, 50), f"{out}/activations", ["maxpool", "layer*.add", "avgpool", "fc"],
                pool={"layer*": "mean", "maxpool": "mean"})
    with open(f"{out}/Makefile", "w") as file:
        file.write("include activations/layers.mk\nK = 5, 15\ninclude /usr/local/share/kith/kith.mk\n")
    print(f"{out}: make kith there writes a report. Or here:")

    names = [line.split()[2:] for line in open(f"{out}/activations/layers.mk") if line.startswith("LAYERS")][0]
    graphs = {name: kith.knn(f"{out}/activations/{name}.npy", 15) for name in names}
    stack = kith.merge(graphs, out=f"{out}/stack.json")
    print(stack, stack.nnts(15), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
