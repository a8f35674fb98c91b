"""A U-Net that finds and names digits on canvases: a class for every pixel, or ink alone.

python docs/results/unet.py            # a mask of the ink, 1000 canvases: seconds
python docs/results/unet.py --classes  # which digit each pixel is of, 16,000 canvases: minutes

A canvas is 32x32 of noise with three digits of 8x8 anywhere, one over the other, too.
"""

import argparse
from typing import Any

import numpy as np
import steep
from steep import data, metrics, models, optimizers, schedules


def canvases(count: int, seed: int) -> tuple[Any, Any]:
    """Return images (N, 32, 32, 1), and for each pixel 0, or 1 + the digit whose ink it is."""
    parts = data.load("digits")
    images, kind = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    random = np.random.default_rng(seed)
    X = random.random((count, 32, 32, 1)).astype(np.float32) * np.float32(0.6)
    y = np.zeros((count, 32, 32), np.uint8)
    for canvas, classes in zip(X, y, strict=True):
        for _ in range(3):
            k = random.integers(len(images))
            r, c = random.integers(0, 25, 2)
            ink = images[k] / np.float32(16)
            canvas[r : r + 8, c : c + 8, 0] += np.float32(0.7) * ink
            part = classes[r : r + 8, c : c + 8]
            part[ink > 0.5] = 1 + kind[k]
    return X, y


def mask(count: int = 1000, epochs: int = 8) -> float:
    """Return the intersection over union of ink and what is taken for ink, on 200 canvases."""
    X, y = canvases(count, 0)
    net = models.unet(2, 8, 1, convolutions=1)
    trainer = steep.Trainer(net, "binary_cross_entropy", optimizers.Adam(3e-3), seed=0)
    trainer.fit(X, (y > 0)[..., None], epochs=epochs, batch_size=32, progress=False)
    Xt, yt = canvases(200, 1)
    found = net.predict(Xt)[..., 0] > 0
    return float((found & (yt > 0)).sum() / (found | (yt > 0)).sum())


def classes(count: int = 16_000, epochs: int = 10, filters: int = 32) -> float:
    """Return the mean intersection over union of background and ten digits, on 200 canvases."""
    X, y = canvases(count, 0)
    rate = schedules.OneCycle(1e-2, epochs * -(-count // 32))
    net = models.unet(2, filters, 11, batch_norm=True)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=0)
    trainer.fit(X, y, epochs=epochs, batch_size=32, progress=False)
    Xt, yt = canvases(200, 1)
    return float(metrics.mean_iou(yt, net.predict(Xt).argmax(axis=-1), 11))


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    if options.classes:
        print(f"mean intersection over union {classes(epochs=options.epochs):.3f}")
    else:
        print(f"intersection over union of ink {mask():.3f}")


if __name__ == "__main__":
    main()
