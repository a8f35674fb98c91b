"""`GAN`: two networks against each other, as two objectives of one training. No step is here."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np

from . import _core, losses, ops, optimizers
from .checks.arrays import Array, array
from .checks.names import choose
from .checks.numbers import POSITIVE, number, whole
from .checks.numbers import seed as checked_seed
from .constraints import Clip
from .network import Tensor
from .network.model import Input, Model
from .network.network import Network
from .training.history import History
from .training.objective import Objective
from .training.trainer import Trainer

_SAMPLES = 0x5EED  # stream of what `sample` draws, far from those of weights and of noise


def _softplus(x: Tensor) -> Tensor:
    return ops.activation(x, "softplus")


def _relu(x: Tensor) -> Tensor:
    return ops.activation(x, "relu")


def cross_entropy_of_real(y: Tensor) -> Tensor:
    """Return -log sigmoid(y): small where real samples are taken for real."""
    return _softplus(-y)


def cross_entropy_of_fake(y: Tensor) -> Tensor:
    """Return -log(1 - sigmoid(y))."""
    return _softplus(y)


def squares_of_real(y: Tensor) -> Tensor:
    """Return (y - 1)^2/2."""
    return 0.5 * ((y - 1.0) * (y - 1.0))


def squares_of_fake(y: Tensor) -> Tensor:
    """Return y^2/2."""
    return 0.5 * (y * y)


def hinge_of_real(y: Tensor) -> Tensor:
    """Return max(0, 1 - y)."""
    return _relu(1.0 - y)


def hinge_of_fake(y: Tensor) -> Tensor:
    """Return max(0, 1 + y)."""
    return _relu(y + 1.0)


def score(y: Tensor) -> Tensor:
    """Return y."""
    return +y


def negative_score(y: Tensor) -> Tensor:
    """Return -y."""
    return -y


Formula = Callable[[Tensor], Tensor]
# Of each loss: the discriminator's of real samples and of fakes, and the generator's.
LOSSES: Mapping[str, tuple[Formula, Formula, Formula]] = {
    "gan": (cross_entropy_of_real, cross_entropy_of_fake, cross_entropy_of_real),
    "lsgan": (squares_of_real, squares_of_fake, squares_of_real),
    "hinge": (hinge_of_real, hinge_of_fake, negative_score),
    "wgan": (negative_score, score, negative_score),
}
FUNCTIONS = {f.__name__: f for each in LOSSES.values() for f in each}


class GAN:
    """A generator that learns to make what a discriminator takes for real (Goodfellow et al. 2014).

    Every step updates the discriminator on a batch of samples and as many fakes, then the generator
    through the discriminator as it is now, by the same noise. Batch normalisation of either half
    goes by the batch, real samples and fakes apart; running statistics follow with the half's own
    update. Both networks keep their own doors: ``generator.predict(z)``, `save_weights`.

    Parameters
    ----------
    generator
        From noise, (latent,) and after it the classes, to a sample.
    discriminator
        From a sample to one number, a logit or a score; classes lie behind its last axis.
    latent
        How many standard normal numbers the generator gets.
    loss
        ``"gan"``: cross entropy, the generator's not saturating; ``"lsgan"``: squares, halved (Mao
        et al. 2017); ``"hinge"`` (Lim & Ye 2017); ``"wgan"``: scores (Arjovsky et al. 2017), which
        want `clip`.
    optimizers
        The generator's and the discriminator's.
    d_steps
        Steps of the discriminator for one of the generator.
    clip
        Bound of the size of every weight of the discriminator, or None.
    classes
        How many there are, where both see the class of a sample (Mirza & Osindero 2014).
    seed
        Of weights, order and noise.
    precision, device
        As `Trainer` takes them.

    Raises
    ------
    TypeError, ValueError
        If the networks do not fit each other, `latent` or `classes`.
    """

    def __init__(
        self,
        generator: Network,
        discriminator: Network,
        latent: int,
        loss: str = "gan",
        optimizers: tuple[Any, Any] | None = None,
        *,
        d_steps: int = 1,
        clip: float | None = None,
        classes: int | None = None,
        seed: int = 0,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        for name, net in (("generator", generator), ("discriminator", discriminator)):
            if not isinstance(net, Network):
                raise TypeError(f"GAN: {name} must be a steep network, got {type(net).__name__}")
        self.generator, self.discriminator = generator, discriminator
        self.latent = whole("GAN", "latent", latent)
        self.classes = None if classes is None else whole("GAN", "classes", classes)
        real, fake, made = choose("GAN: loss", loss, LOSSES)
        if clip is not None:
            discriminator._bound = Clip(number("GAN", "clip", clip, POSITIVE, single=True))
        self.net = self._game()
        by_generator, by_discriminator = _pair(optimizers)
        of_critic = {"real": losses.Custom(real), "fake": losses.Custom(fake)}
        self.trainer = Trainer(
            self.net,
            objectives=[
                Objective(of_critic, discriminator, by_discriminator, name="discriminator"),
                Objective(
                    {"fake": losses.Custom(made)}, generator, by_generator,
                    whole("GAN", "d_steps", d_steps), name="generator",
                ),
            ],
            seed=seed,
            precision=precision,
            device=device,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"GAN({self.generator!r}, {self.discriminator!r}, latent={self.latent})"

    def _game(self) -> Model:
        """Return both networks as one: what the discriminator says of real samples and of fakes."""
        nothing = Input(self.latent)  # of the noise's shape; no number of it counts
        kind = [] if self.classes is None else [Input(self.classes)]
        noise = ops.normal_like(nothing)
        given = self.generator.input_shapes
        wide = self.latent + (self.classes or 0)
        if given is not None and given != ((wide,),):
            raise ValueError(
                f"GAN: latent={self.latent}{f' and classes={self.classes}' if kind else ''} give "
                f"the generator inputs ({wide},), it takes {given[0]}"
            )
        fake = self.generator(ops.concat([noise, *kind]) if kind else noise)
        real = Input(fake.shape)
        judged = [self.discriminator(_with_class(x, kind)) for x in (real, fake)]
        if judged[0].shape != (1,):
            raise ValueError(
                f"GAN: the discriminator must give one number for a sample, got {judged[0].shape}"
            )
        return Model([real, nothing, *kind], {"real": judged[0], "fake": judged[1]})

    def fit(self, X: Any, labels: Any = None, *, batch_size: int = 64, **options: Any) -> History:
        """Train both; called again, it goes on.

        Parameters
        ----------
        X
            Samples (N, ...), of the shape that the generator makes.
        labels
            The class of each, (N,) from 0, where there are `classes`.
        batch_size
            Samples of a step, and as many fakes.
        **options
            `epochs`, `shuffle`, `drop_last`, `callbacks`, `progress`: as `Trainer.fit` takes them.

        Returns
        -------
        History
            With ``discriminator_real_loss``, ``discriminator_fake_loss``, their sum
            ``discriminator_loss``, and ``generator_loss``.

        Raises
        ------
        TypeError, ValueError
            If the samples do not fit; before the first step.
        NonFiniteError
            As `Trainer.fit`.
        """
        samples = array("X", X)
        nothing = np.broadcast_to(np.float32(0), (len(samples), self.latent))
        given = [X, nothing, *self._one_hot(labels, len(samples))]
        return self.trainer.fit(given, None, batch_size=batch_size, **options)

    def sample(self, n: int, seed: int = 0, labels: Any = None) -> Array:
        """Return n samples that the generator makes as it is, by its running statistics.

        Parameters
        ----------
        n
            How many.
        seed
            Of the noise: equal seeds give equal samples.
        labels
            The class of each, (n,), where there are `classes`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of no use.
        """
        n = whole("sample", "n", n)
        z = _core.normal(checked_seed(seed), _SAMPLES, n * self.latent).reshape(n, self.latent)
        given = np.concatenate([z, *self._one_hot(labels, n)], axis=1).astype(np.float32)
        if self.trainer.steps == 0:
            self.trainer._run.settings.build()
        found: Array = self.generator.predict(given)
        return found

    @property
    def history(self) -> History:
        """What was recorded so far."""
        return self.trainer.history

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one file, as `Trainer.save`."""
        self.trainer.save(path)

    def load(self, path: str | PathLike[str]) -> None:
        """Go on from what `save` wrote, in a GAN that was made with the same arguments.

        It goes on where this one computes; the file may be of another device.

        Raises
        ------
        OSError, ValueError
            As `Trainer.load`.
        """
        self.trainer = Trainer.load(
            path, custom_objects=FUNCTIONS, net=self.net, device=self.trainer.device
        )

    def _one_hot(self, labels: Any, n: int) -> list[Array]:
        if (labels is None) != (self.classes is None):
            raise ValueError(
                "GAN: labels are for a GAN with classes, and such a one needs them; got "
                f"classes={self.classes} and {'no' if labels is None else 'some'} labels"
            )
        if self.classes is None:
            return []
        given = array("labels", labels)
        if given.shape != (n,) or given.dtype.kind not in "iu":
            raise ValueError(f"labels: expects {n} whole numbers, got {given.dtype} {given.shape}")
        if len(given) and not (given.min() >= 0 and given.max() < self.classes):
            raise ValueError(
                f"labels: are 0 to {self.classes - 1}, got {given.min()} to {given.max()}"
            )
        return [np.eye(self.classes, dtype=np.float32)[given]]


def _with_class(x: Tensor, kind: list[Tensor]) -> Tensor:
    """Return a sample with its class behind the last axis, at every place of the others."""
    if not kind:
        return x
    return ops.concat([x, ops.broadcast_to(kind[0], (*x.shape[:-1], *kind[0].shape))])


def _pair(given: Any) -> tuple[Any, Any]:
    if given is None:
        return optimizers.Adam(2e-4, beta1=0.5), optimizers.Adam(2e-4, beta1=0.5)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError("GAN: optimizers expects the generator's and the discriminator's")
    return given[0], given[1]
