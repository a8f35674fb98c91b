"""A small Vision Transformer of Fashion-MNIST: accuracy on the test images.

python docs/results/vit.py [--epochs 20] [--seed 0] [--root DIR]

The images stay bytes; each epoch reads half of them flipped.
"""

import argparse
import time
from typing import Any

import steep
from steep import data, layers, models, optimizers, schedules

BATCH = 128


def train(X: Any, y: Any, *, epochs: int = 20, seed: int = 0, **sizes: Any) -> steep.Sequential:
    """Return a network for images (N, 28, 28, 1) of uint8 that was trained on these."""
    net = steep.Sequential(layers.Rescale(1 / 127.5, -1.0), models.vit(**sizes))
    net.build(X.shape[1:], seed=seed)
    steps = epochs * -(-len(X) // BATCH)
    warm = steps // 20
    rate = schedules.Warmup(schedules.Cosine(2e-3, steps - warm, 1e-5), warm, 1e-5)
    optimizer = optimizers.AdamW(rate, weight_decay=0.05)
    trainer = steep.Trainer(net, "cross_entropy", optimizer, clip_norm=1.0, seed=seed)
    changed = data.Augment(flip=True)
    trainer.fit(X, y, epochs=epochs, batch_size=BATCH, augment=changed, progress=False)
    return net


def accuracy(net: steep.Sequential, X: Any, y: Any) -> tuple[float, float]:
    """Return the share of images told right: by their logits, and with those of mirror images."""
    logits = net.predict(X)
    both = logits + net.predict(X[:, :, ::-1])
    one, two = (float((z.argmax(axis=1) == y).mean()) for z in (logits, both))
    return one, two


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--root")
    given = parser.parse_args()
    (X, y), (Xt, yt) = data.load("fashion-mnist", root=given.root)
    start = time.process_time()
    sizes = {"layers": given.layers, "units": given.units}
    net = train(X[..., None], y, epochs=given.epochs, seed=given.seed, **sizes)
    seconds = time.process_time() - start
    one, two = accuracy(net, Xt[..., None], yt)
    print(f"{one:.4f} right, {two:.4f} with mirror images, {seconds:.0f} s of processor time")


if __name__ == "__main__":
    main()
