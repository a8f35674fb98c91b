"""A variational autoencoder of Fashion-MNIST: nats of the test set after ten epochs.

python docs/results/vae.py [--epochs 10] [--seed 1] [--root DIR]
"""

import argparse
from typing import Any

import numpy as np
import steep
from steep import data, models, optimizers


def train(X: Any, Xt: Any, *, epochs: int = 10, seed: int = 1, **sizes: Any) -> dict[str, float]:
    """Return the bound on test images, the reconstruction's part and the divergence, in nats."""
    latent = sizes.pop("latent", 20)
    encoder, decoder = models.vae(X.shape[1:], latent, **sizes)
    made = steep.VAE(encoder, decoder, latent, optimizer=optimizers.Adam(1e-3), seed=seed)
    made.fit(X, epochs=epochs, batch_size=128, progress=False)
    found = made.evaluate(Xt)
    return {
        "bound": found["loss"],
        "kl": found["kl"],
        "reconstruction": found["loss"] - found["kl"],
    }


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--root")
    options = parser.parse_args()
    (X, _), (Xt, _) = data.load("fashion-mnist", root=options.root)
    X, Xt = (np.asarray(x, np.float32) / 255 for x in (X, Xt))
    print(
        {k: round(v, 2) for k, v in train(X, Xt, epochs=options.epochs, seed=options.seed).items()}
    )


if __name__ == "__main__":
    main()
