"""The models of `steep train` that make images: what they train on, measure, and show."""

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import layers, models
from ..data import Dataset
from ..files import atomic, png
from ..gan import GAN
from ..network.model import Sequential
from ..training.trainer import Trainer
from ..vae import VAE
from .recipe import Recipe, build_optimizer

LATENT = {"vae": 20, "dcgan": 100}
NOISE = 0.3  # standard deviation of what a U-Net takes away
COLUMNS, ROWS = 10, 6  # of a sheet of samples


class Maker(ABC):
    """A model with its trainer, for images of a data set."""

    trainer: Trainer

    def __init__(self, recipe: Recipe, data: Dataset) -> None:
        self.recipe, self.data = recipe, data
        self.shape = data.train[0].shape[1:]

    def images(self, part: Any) -> Any:
        """Return the samples of a part of the data, 0 to 1, in float32."""
        return part[0].astype(np.float32) * np.float32(self.data.scale)

    @abstractmethod
    def fit(self, **options: Any) -> None:
        """Train as the trainer does."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Return losses on the test part."""

    @abstractmethod
    def sheet(self) -> tuple[str, Any]:
        """Return the name of a picture, and its rows of images, 0 to 1."""

    def draw(self, folder: Path) -> None:
        """Write the picture."""
        name, rows = self.sheet()
        atomic.replace(folder / name, png.encoded(png.sheet(rows)))

    def _limit(self) -> None:
        """Give the trainer what the recipe says beside the optimizer."""
        self.trainer.l1, self.trainer.l2 = self.recipe.l1, self.recipe.l2 or 0.0
        self.trainer.clip_norm = self.recipe.clip_norm


class Autoencoder(Maker):
    """Dense layers through 32 numbers; shows test images over what becomes of them."""

    def __init__(self, recipe: Recipe, data: Dataset) -> None:
        super().__init__(recipe, data)
        net = self.network()
        net.build(self.shape, seed=recipe.seed)
        optimizer = build_optimizer(recipe, len(data.train[0]))
        self.trainer = Trainer(net, "mse", optimizer, seed=recipe.seed, device=recipe.device)
        self._limit()

    def network(self) -> Sequential:
        """Return the network from images to images."""
        n = int(np.prod(self.shape))
        around = [layers.Dense(128, "relu"), layers.Dense(32), layers.Dense(128, "relu")]
        return Sequential(layers.Flatten(), *around, layers.Dense(n), layers.Reshape(self.shape))

    def given(self, images: Any) -> Any:
        """Return what the network is shown after training."""
        return images

    def fit(self, **options: Any) -> None:
        """Train it to give back what it gets."""
        held, X = self.data.validation, self.images(self.data.train)
        if held is not None:
            options["validation"] = (self.given(self.images(held)), self.images(held))
        self.trainer.fit(X, X, **options)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        self.trainer = Trainer.load(path, device=self.recipe.device)

    def measure(self) -> dict[str, float]:
        """Return the mean squared error of a pixel."""
        X = self.images(self.data.test)
        return {"mse": float(self.trainer.evaluate(self.given(X), X)["loss"])}

    def sheet(self) -> tuple[str, Any]:
        """Return test images, what the network was shown where that differs, and what it made."""
        X = self.images(self.data.test)[:COLUMNS]
        shown = self.given(X)
        between = [] if shown is X else [shown]
        return "reconstructions.png", [X, *between, self.trainer.net.predict(shown)]


class Denoiser(Autoencoder):
    """A U-Net that takes noise away."""

    def network(self) -> Sequential:
        """Return it behind the noise of training."""
        if self.shape[0] % 4 or self.shape[1] % 4:
            raise ValueError(
                f"--model unet: needs images whose height and width are multiples of 4, the "
                f"samples here have shape {self.shape}; --size scales pictures of class folders."
            )
        channels = 1 if len(self.shape) == 2 else self.shape[2]
        body = models.unet(2, 8, channels, convolutions=1)
        whole = (*self.shape[:2], channels)
        return Sequential(
            layers.GaussianNoise(NOISE), layers.Reshape(whole), body, layers.Reshape(self.shape)
        )

    def given(self, images: Any) -> Any:
        """Return the images with noise, the same every time."""
        noise = np.random.default_rng(self.recipe.seed).standard_normal(images.shape, np.float32)
        return images + np.float32(NOISE) * noise

    def measure(self) -> dict[str, float]:
        """Return the error besides that of the noise itself."""
        X = self.images(self.data.test)
        return {**super().measure(), "noise": float(np.mean((self.given(X) - X) ** 2))}


class Variational(Maker):
    """A variational autoencoder of dense layers; shows samples."""

    def __init__(self, recipe: Recipe, data: Dataset) -> None:
        super().__init__(recipe, data)
        optimizer = build_optimizer(recipe, len(data.train[0]))
        pair = models.vae(self.shape, LATENT["vae"])
        self.made = VAE(
            *pair, LATENT["vae"], optimizer=optimizer, seed=recipe.seed, device=recipe.device
        )
        self.made.net.build(self.shape, seed=recipe.seed)
        self.trainer = self.made._trained_on(data.train[0])
        self._limit()

    def fit(self, **options: Any) -> None:
        """Train it on the images."""
        held = self.data.validation
        if held is not None:
            options["validation"] = (self.images(held), self.images(held))
        self.made.fit(self.images(self.data.train), **options)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        self.made.load(path)
        assert self.made.trainer is not None
        self.trainer = self.made.trainer

    def measure(self) -> dict[str, float]:
        """Return the bound and the divergence, in nats."""
        found = self.made.evaluate(self.images(self.data.test))
        return {"loss": found["loss"], "kl": found["kl"]}

    def sheet(self) -> tuple[str, Any]:
        """Return samples."""
        made = self.made.sample(ROWS * COLUMNS)
        return "samples.png", made.reshape(ROWS, COLUMNS, *self.shape)


class Adversarial(Maker):
    """A DCGAN; shows samples."""

    def __init__(self, recipe: Recipe, data: Dataset) -> None:
        super().__init__(recipe, data)
        if data.validation is not None and recipe.early_stopping:
            raise ValueError("--model dcgan: has no validation loss; leave out --early-stopping.")
        for name in ("l1", "l2", "clip_norm"):
            if getattr(recipe, name):
                option = "--" + name.replace("_", "-")
                raise ValueError(f"--model dcgan: takes no {option}; leave it out.")
        self.whole = (*self.shape[:2], 1 if len(self.shape) == 2 else self.shape[2])
        try:
            pair = models.dcgan(self.whole, LATENT["dcgan"])
        except ValueError as error:
            raise ValueError(
                f"--model dcgan: {error}; --size scales pictures of class folders."
            ) from None
        rule: Any = build_optimizer(recipe, len(data.train[0]))
        if recipe.optimizer == "adam":
            rule = replace(rule, beta1=0.5)
        self.game = GAN(
            *pair, LATENT["dcgan"], optimizers=(rule, rule), seed=recipe.seed, device=recipe.device
        )
        self.game.net.build([self.whole, (LATENT["dcgan"],)], seed=recipe.seed)
        self.trainer = self.game.trainer

    def _wide(self, part: Any) -> Any:
        """Return images from -1 to 1, with channels."""
        return 2.0 * self.images(part).reshape(-1, *self.whole) - 1.0

    def fit(self, **options: Any) -> None:
        """Play on the images."""
        self.game.fit(self._wide(self.data.train), **options)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        self.game.load(path)
        self.trainer = self.game.trainer

    def measure(self) -> dict[str, float]:
        """Return what the discriminator makes of test images and of samples, its two losses."""
        X = self._wide(self.data.test)
        found = self.trainer.evaluate([X, np.zeros((len(X), LATENT["dcgan"]), np.float32)], None)
        return {name: float(found[f"discriminator_{name}_loss"]) for name in ("real", "fake")}

    def sheet(self) -> tuple[str, Any]:
        """Return samples."""
        made = self.game.sample(ROWS * COLUMNS) * 0.5 + 0.5
        return "samples.png", made.reshape(ROWS, COLUMNS, *self.whole)


MAKERS: dict[str, type[Maker]] = {
    "autoencoder": Autoencoder,
    "vae": Variational,
    "dcgan": Adversarial,
    "unet": Denoiser,
}


def make(recipe: Recipe, data: Dataset) -> Maker | None:
    """Return the model of a recipe that makes images; None where it is of another kind.

    Raises
    ------
    ValueError
        If it does not fit the data, or an option does not fit it.
    """
    if (recipe.model or "mlp") not in MAKERS:
        return None
    shape = data.train[0].shape[1:]
    if len(shape) not in (2, 3):
        raise ValueError(
            f"--model {recipe.model}: needs images, the samples here have shape {shape}."
        )
    low, high = (float(end(data.train[0])) * data.scale for end in (np.min, np.max))
    if not (low >= 0.0 and high <= 1.0 + 1e-6):
        raise ValueError(
            f"--model {recipe.model}: needs images of bytes (uint8): what is stored as other "
            f"numbers is standardised, here to {low:.3g} to {high:.3g}."
        )
    if (recipe.augment or "none") != "none":
        raise ValueError(f"--model {recipe.model}: takes no --augment; leave it out.")
    return MAKERS[str(recipe.model)](recipe, data)
