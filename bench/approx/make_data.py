"""The data of bench/approx: a file of n samples, d = 100, float32.

    /usr/bin/python3 make_data.py net|pix|gmm N FILE.npy [IMAGES]

  net   what the hidden layer of a small convnet says of augmented images
  pix   the pixels of the same images, in their 100 directions of greatest variance
  gmm   2,000 Gaussians, each spread over 12 dimensions of its own, plus noise in all of them; they overlap, so that their
        neighbours are hard to find

An augmented image is a training image of Fashion-MNIST (IMAGES, Debian's dataset-fashion-mnist), drawn at random, then
turned, shifted, scaled, mirrored, made brighter or darker and noisy. The convnet has two layers of convolutions (8 and 16
of 5 x 5, each followed by ReLU and the maximum of 2 x 2) and a hidden layer of 100 with ReLU; it is trained here on
augmented images to tell the ten classes, by Adam, in numpy. A smaller N makes the first rows of a larger one: the parts of
PART samples have seeds of their own. Sums of floats may differ between processors, and the data with them, in the last bits."""
import os
import sys
from multiprocessing import Pool

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the parts run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/lenet5"))
IMAGES = "/usr/share/datasets/fashion-mnist"
PART = 2500
D = 100
SIDE = 28
TRAINED = 720  # parts of PART / 10 images
FITTED = 20    # parts of PART images, whose directions of greatest variance are pix's


def read_images(folder):
    """Images and labels, as bytes."""
    import gzip
    arrays = []
    for name, head, shape in (("train-images-idx3", 16, (-1, SIDE, SIDE)), ("train-labels-idx1", 8, (-1,))):
        path = os.path.join(folder, name + "-ubyte.gz")
        try:
            with gzip.open(path) as file:
                arrays.append(np.frombuffer(file.read(), np.uint8, offset=head).reshape(shape))
        except OSError as error:
            sys.exit(f"make_data.py: {path}: {error.strerror or error} (dataset-fashion-mnist has it)")
    return arrays


def augment(rng, images, labels, count):
    """count images from some of these, and the labels."""
    chosen = rng.integers(0, len(images), count)
    turn = np.radians(rng.uniform(-20, 20, count))
    zoom = rng.uniform(0.85, 1.15, count)
    mirror = rng.choice([-1.0, 1.0], count)
    shift = rng.uniform(-3, 3, (2, count))
    # Where each pixel of the new image comes from in the old one, with 2 pixels of border.
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, 1, -1) - (SIDE - 1) / 2
    cos, sin = (np.cos(turn) / zoom)[:, None], (np.sin(turn) / zoom)[:, None]
    old_y = np.clip(cos * y - sin * x + shift[0][:, None] + (SIDE + 3) / 2, 0, SIDE + 2.99)
    old_x = np.clip(mirror[:, None] * (sin * y + cos * x) + shift[1][:, None] + (SIDE + 3) / 2, 0, SIDE + 2.99)
    row, column = old_y.astype(np.int64), old_x.astype(np.int64)
    down, right = (old_y - row).astype(np.float32), (old_x - column).astype(np.float32)
    wide = np.pad(images[chosen], ((0, 0), (2, 2), (2, 2))).reshape(-1)
    at = row * (SIDE + 4) + column + np.arange(count)[:, None] * (SIDE + 4) ** 2
    upper = wide[at] * (1 - right) + wide[at + 1] * right
    lower = wide[at + SIDE + 4] * (1 - right) + wide[at + SIDE + 5] * right
    made = (upper * (1 - down) + lower * down) * (rng.uniform(0.7, 1.3, (count, 1)) / 256).astype(np.float32)
    made += rng.normal(0, 0.05, made.shape).astype(np.float32)
    return np.clip(made, 0, 1).astype(np.float32), labels[chosen]


# ---- the convnet: weights by name; samples x height x width x channels ----


def patches(x):
    """The 5 x 5 patches of an image, each as one row."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), (1, 2))
    return np.ascontiguousarray(windows).reshape(-1, x.shape[3] * 25)


def convolve(x, weight, bias):
    """Convolution, ReLU, maximum of 2 x 2. Returns also what its gradient needs."""
    taken = patches(x)
    size = x.shape[1] - 4
    y = (taken @ weight + bias).reshape(len(x), size // 2, 2, size // 2, 2, -1)
    best = y.max((2, 4))
    return np.maximum(best, 0), (taken, y, best)


def convolve_back(gradient, weight, saved):
    """The gradients of weight and bias, and of the patches."""
    taken, y, best = saved
    gradient = (gradient * (best > 0))[:, :, None, :, None] * (y == best[:, :, None, :, None])
    gradient = gradient.reshape(-1, weight.shape[1])
    return taken.T @ gradient, gradient.sum(0), gradient


def unpatch(gradient, shape):
    """The gradient of the image from that of its patches."""
    total = np.zeros(shape, np.float32)
    size = shape[1] - 4
    gradient = gradient.reshape(shape[0], size, size, shape[3], 5, 5)
    for row in range(5):
        for column in range(5):
            total[:, row:row + size, column:column + size] += gradient[..., row, column]
    return total


def new_net(rng):
    shapes = {"conv1": (25, 8), "conv2": (200, 16), "hidden": (256, D), "out": (D, 10)}
    net = {name: (rng.normal(size=shape) * (2 / shape[0]) ** 0.5).astype(np.float32) for name, shape in shapes.items()}
    return {**net, **{name + " bias": np.zeros(shape[1], np.float32) for name, shape in shapes.items()}}


def hidden_layer(net, x):
    x = x.reshape(-1, SIDE, SIDE, 1)
    one, saved_one = convolve(x, net["conv1"], net["conv1 bias"])
    two, saved_two = convolve(one, net["conv2"], net["conv2 bias"])
    flat = two.reshape(len(x), -1)
    return np.maximum(flat @ net["hidden"] + net["hidden bias"], 0), (flat, one.shape, two.shape, saved_one, saved_two)


def gradients(net, x, labels):
    """Those of the mean cross entropy, and how many are right."""
    hidden, (flat, one_shape, two_shape, saved_one, saved_two) = hidden_layer(net, x)
    logits = hidden @ net["out"] + net["out bias"]
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    right = (share.argmax(1) == labels).sum()
    share[np.arange(len(x)), labels] -= 1
    share /= len(x)
    found = {"out": hidden.T @ share, "out bias": share.sum(0)}
    back = (share @ net["out"].T) * (hidden > 0)
    found["hidden"], found["hidden bias"] = flat.T @ back, back.sum(0)
    back = (back @ net["hidden"].T).reshape(two_shape)
    found["conv2"], found["conv2 bias"], back = convolve_back(back, net["conv2"], saved_two)
    back = unpatch(back @ net["conv2"].T, one_shape)
    found["conv1"], found["conv1 bias"], _ = convolve_back(back, net["conv1"], saved_one)
    return found, right


def train(images, labels):
    """Adam, its rate falling along half a cosine."""
    rng = np.random.default_rng(1)
    net = new_net(rng)
    first, second = ({name: np.zeros_like(value) for name, value in net.items()} for _ in range(2))
    step, batch, right = 0, 125, 0
    steps = TRAINED * PART // 10 // batch * 1.0
    for _ in range(TRAINED):
        made, classes = augment(rng, images, labels, PART // 10)
        for start in range(0, len(made), batch):
            step += 1
            rate = 1e-3 * (1 + np.cos(np.pi * step / steps)) / 2 + 1e-6
            found, good = gradients(net, made[start:start + batch], classes[start:start + batch])
            right = 0.99 * right + 0.01 * good / batch
            for name, gradient in found.items():
                first[name] += 0.1 * (gradient - first[name])
                second[name] += 0.001 * (gradient ** 2 - second[name])
                scale = np.sqrt(second[name] / (1 - 0.999 ** step)) + 1e-8
                net[name] -= (rate / (1 - 0.9 ** step) * first[name] / scale).astype(np.float32)
    print(f"make_data.py: of the last augmented images {100 * right:.1f} % are told right", file=sys.stderr)
    return net


# ---- parts ----


def net_part(part):
    made, _ = augment(np.random.default_rng([2, part]), *shared[:2], PART)
    return np.concatenate([hidden_layer(shared[2], piece)[0] for piece in np.split(made, 10)])


def pix_part(part):
    made, _ = augment(np.random.default_rng([2, part]), *shared[:2], PART)
    return made @ shared[2] if shared[2] is not None else made


def gmm_part(part):
    means, spread = shared
    rng = np.random.default_rng([3, part])
    of = rng.integers(0, len(means), PART)
    x = means[of] + np.einsum("nd,nde->ne", rng.normal(size=(PART, spread.shape[1])), spread[of])
    return (x + rng.normal(0, 0.1, x.shape)).astype(np.float32)


def directions(pool):
    """The 100 directions of greatest variance, as columns."""
    total, square = np.zeros(SIDE * SIDE), np.zeros((SIDE * SIDE,) * 2)
    for made in pool.imap(pix_part, range(FITTED)):
        total += made.sum(0)
        square += made.T @ made
    mean = total / (FITTED * PART)
    _, vectors = np.linalg.eigh(square / (FITTED * PART) - np.outer(mean, mean))
    return np.ascontiguousarray(vectors[:, :-D - 1:-1], np.float32)


def write(make, n, path):
    whole = np.lib.format.open_memmap(path + ".part", "w+", np.float32, (n, D))
    with Pool(len(os.sched_getaffinity(0))) as pool:
        for part, made in enumerate(pool.imap(make, range(-(-n // PART)))):
            whole[part * PART:(part + 1) * PART] = made[:n - part * PART]
    whole.flush()
    os.replace(path + ".part", path)


def main(kind, n, path, folder=IMAGES):
    global shared
    if kind == "gmm":
        rng = np.random.default_rng(0)
        means = rng.normal(0, 0.35, (2000, D))
        spread = np.linalg.qr(rng.normal(size=(2000, D, 12)))[0].transpose(0, 2, 1)
        shared = means, np.ascontiguousarray(spread)
    else:
        shared = (*read_images(folder), None)
        if kind == "net":
            made = train(*shared[:2])
        else:
            with Pool(len(os.sched_getaffinity(0))) as pool:
                made = directions(pool)
        shared = (*shared[:2], made)
    write({"net": net_part, "pix": pix_part, "gmm": gmm_part}[kind], int(n), path)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("net", "pix", "gmm"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
