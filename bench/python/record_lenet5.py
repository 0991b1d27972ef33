"""LeNet-5's twelve operations over Fashion-MNIST's training images, weights at random: seconds, peak MiB.

    record_lenet5.py forward|record THREADS IMAGES FOLDER

  forward   the model alone, without gradients, in batches of 500
  record    kith.record to FOLDER, which is removed again; synced to disk and named, as it always does"""
import os
import resource
import shutil
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [os.path.join(ROOT, "examples", "lenet5"), os.path.join(ROOT, "pipeline", "python")]
import kith
import lenet5
import torch
from torch.utils.data import DataLoader


def main():
    way, threads, images, folder = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = lenet5.lenet5().eval()
    data = lenet5.Pixels(*(part[:int(images)] for part in lenet5.load(lenet5.FASHION, "train")))
    loader = DataLoader(data, batch_size=500)
    record = kith.record
    with torch.no_grad():
        model(data.images[:500])  # PyTorch sets itself up
    started = time.monotonic()
    if way == "record":
        record(model, loader, folder, lenet5.LAYERS[1:], input="I")
    else:
        with torch.no_grad():
            for batch, _ in loader:
                model(batch)
    print(f"{time.monotonic() - started:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
