"""`VAE`: an encoder and a decoder as one network with two losses. No step is here."""

import math
from os import PathLike
from typing import Any

import numpy as np

from . import _core, losses, ops
from .checks.arrays import Array, array
from .checks.numbers import seed as checked_seed
from .checks.numbers import whole
from .network import Layer, Tensor, label
from .network.model import Sequential
from .network.network import Network
from .training.history import History
from .training.trainer import Trainer

LOGITS = ("binary_cross_entropy", "focal", "dice")  # losses of logits
_SAMPLES = 0x5EEE  # stream of what `sample` draws, far from those of weights and of noise


class _Code(Layer):
    """Splits what the encoder gives into mean and log variance, adds the divergence, and draws."""

    def __init__(self, weight: Any, latent: int) -> None:
        super().__init__("code")
        self.weight, self.latent = weight, latent

    def call(self, x: Tensor) -> Tensor:
        """Return z = mean + e^(log_variance/2) n."""
        if x.shape != (2 * self.latent,):
            raise ValueError(
                f"{label(self)}: the encoder must give (2*latent,) = ({2 * self.latent},), means "
                f"and then log variances, got {x.shape}"
            )
        mean, log_variance = ops.split(x, 2)
        self.add_loss(ops.kl_normal(mean, log_variance), self.weight, "kl")
        return ops.reparameterize(mean, log_variance, sample=True)


class VAE:
    """A variational autoencoder: minus the bound of log p(x), in nats (Kingma & Welling 2014).

    The sum over a sample's elements of the reconstruction's loss plus the divergence of the code
    from N(0, 1), the mean over samples.

    Parameters
    ----------
    encoder
        From a sample to (2*latent,): means, and then log variances.
    decoder
        From (latent,) to the shape of a sample: logits for ``"binary_cross_entropy"``.
    latent
        Length of the code.
    loss
        Of the reconstruction, a name or one of `steep.losses` that takes values.
    kl_weight
        What the divergence is multiplied by: a number, or a schedule of steps.
    optimizer
        A name or one of `steep.optimizers`.
    seed
        Of weights, order and noise.
    precision, device
        As `Trainer` takes them.

    Raises
    ------
    TypeError, ValueError
        If something is no network, or an argument is out of range; what does not fit each other is
        refused by `fit` before the first step.
    """

    def __init__(
        self,
        encoder: Network,
        decoder: Network,
        latent: int,
        loss: Any = "binary_cross_entropy",
        kl_weight: Any = 1.0,
        *,
        optimizer: Any = "adam",
        seed: int = 0,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        for name, net in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(net, Network):
                raise TypeError(f"VAE: {name} must be a steep network, got {type(net).__name__}")
        self.latent = whole("VAE", "latent", latent)
        self.encoder, self.decoder, self._loss = encoder, decoder, losses.get(loss)
        if self._loss.name == "cross_entropy" or not self._loss.targeted:
            raise ValueError(f"VAE: {self._loss.name} compares no sample with a reconstruction")
        self.net = Sequential(encoder, _Code(kl_weight, self.latent), decoder)
        self._made_with = {
            "optimizer": optimizer,
            "seed": seed,
            "precision": precision,
            "device": device,
        }
        self.trainer: Trainer | None = None

    def __repr__(self) -> str:
        return f"VAE({self.encoder!r}, {self.decoder!r}, latent={self.latent})"

    def fit(self, X: Any, *, batch_size: int = 128, **options: Any) -> History:
        """Train both; called again, it goes on.

        Parameters
        ----------
        X
            Samples (N, ...), as the loss takes targets: 0 to 1 for ``"binary_cross_entropy"``.
        batch_size
            Samples of a step.
        **options
            `epochs`, `shuffle`, `drop_last`, `callbacks`, `progress`: as `Trainer.fit` takes them.

        Returns
        -------
        History
            With ``loss`` in nats a sample, ``kl``, and the reconstruction's loss by its name, the
            mean over elements.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As `Trainer.fit`.
        """
        samples = array("X", X)
        return self._trained_on(samples).fit(X, samples, batch_size=batch_size, **options)

    def evaluate(self, X: Any) -> dict[str, float]:
        """Return the losses that `fit` records, of one draw for every sample."""
        samples = array("X", X)
        return self._trained_on(samples).evaluate(X, samples)

    def encode(self, X: Any) -> Array:
        """Return the means of the codes of X (N, ...), (N, latent)."""
        found: Array = self.encoder.predict(X)[:, : self.latent]
        return found

    def decode(self, z: Any) -> Array:
        """Return the samples of codes z (N, latent); probabilities where the loss is of logits."""
        found: Array = self.decoder.predict(z)
        return 1.0 / (1.0 + np.exp(-found)) if self._loss.name in LOGITS else found

    def reconstruct(self, X: Any) -> Array:
        """Return what is decoded of the codes of X."""
        return self.decode(self.encode(X))

    def sample(self, n: int, seed: int = 0) -> Array:
        """Return n samples of the model: codes drawn from N(0, 1), decoded.

        Parameters
        ----------
        n
            How many.
        seed
            Equal seeds give equal samples.
        """
        n = whole("sample", "n", n)
        z = _core.normal(checked_seed(seed), _SAMPLES, n * self.latent)
        return self.decode(z.reshape(n, self.latent).astype(np.float32))

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one file, as `Trainer.save`.

        Raises
        ------
        RuntimeError
            Before the first `fit`.
        """
        if self.trainer is None:
            raise RuntimeError("VAE: was not trained yet, there is nothing to save")
        self.trainer.save(path)

    def load(self, path: str | PathLike[str]) -> None:
        """Go on from what `save` wrote, in a VAE that was made with the same arguments.

        It goes on where this one computes; the file may be of another device.

        Raises
        ------
        OSError, ValueError
            As `Trainer.load`.
        """
        self.trainer = Trainer.load(path, net=self.net, device=self._made_with["device"])

    def _trained_on(self, samples: Array) -> Trainer:
        """Return the trainer, made when the shape of samples is known first."""
        if self.trainer is None:
            elements = math.prod(samples.shape[1:])
            self.trainer = Trainer(
                self.net, self._loss, metrics=(),
                loss_weights={self._loss.name: float(elements)}, **self._made_with,
            )  # fmt: skip
        return self.trainer
