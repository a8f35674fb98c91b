"""`RBM`: free energies of ops as the loss of a training. No step is here; `dbn` piles them up."""

import math
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ops, optimizers
from .checks.arrays import Array, array, finite
from .checks.columns import columns_of
from .checks.names import choose
from .checks.numbers import FRACTION, NOT_NEGATIVE, flag, whole
from .checks.numbers import seed as checked_seed
from .initializers import Normal
from .layers import Dense
from .network import Layer, Tensor, emit, inputs
from .network.model import Sequential
from .schedules.base import of as number_or_schedule
from .training.history import History
from .training.trainer import Trainer

MOST_HIDDEN = 25  # units whose states are all gone through: 2^25
Parts = tuple[Tensor, Tensor, Tensor]  # weight (visible, hidden), visible bias, hidden bias


def logits(v: Tensor, parts: Parts) -> Tensor:
    """Return b + v W, the log odds of the hidden units."""
    return ops.matmul(v, parts[0], parts[2])


def free_energy(v: Tensor, z: Tensor, parts: Parts, gaussian: bool) -> Tensor:
    """Return F(v), (1,): -log of what p(v) is proportional to; z are its `logits`.

    -a.v - sum log(1 + e^(b + v W)); of Gaussian visible units |v - a|^2/2 in place of -a.v.
    """
    over, a = ops.sum(ops.activation(z, "softplus")), parts[1]
    return (0.5 * ops.sum(ops.square(-v + a)) if gaussian else -ops.sum(v * a)) - over


def visible_given(h: Tensor, parts: Parts, gaussian: bool) -> Tensor:
    """Return the mean of v given h."""
    mean = ops.matmul(h, parts[0], parts[1], transposed=True)
    return mean if gaussian else ops.activation(mean, "sigmoid")


class _Machine(Layer):
    """v to p(h = 1 | v); adds F(v) - F(v of the chain), whose gradient is the chain's estimate."""

    def __init__(self, of: "RBM") -> None:
        super().__init__("rbm")
        self.of = of
        self.bias: Array | None = None  # of the visible units, and where chains begin: by the data
        self.states: Array | None = None

    def call(self, v: Tensor) -> Tensor:
        """Walk the chain, and give the hidden units."""
        of, n = self.of, v.shape[0]
        gaussian = of.visible == "gaussian"
        parts = (
            self.parameter("weight", (n, of.hidden), init=Normal(0.01)),
            self.parameter("visible_bias", (n,), init=self.bias),
            self.parameter("hidden_bias", (of.hidden,)),
        )
        z = logits(v, parts)
        p = ops.activation(z, "sigmoid")
        if of.persistent:
            states = self.parameter(
                "chains", (of.chains * of.hidden,), init=self.states, decay=False, trained=False
            )
            h = emit("kept_rows", v, states, width=of.hidden)
        else:
            h = ops.bernoulli(p)
        for _ in range(of.k - 1):
            again = logits(visible_given(h, parts, gaussian), parts)
            h = ops.bernoulli(ops.activation(again, "sigmoid"))
        seen = visible_given(h, parts, gaussian)
        if of.persistent:  # at its means a chain that goes on would stay where it is
            seen = ops.gaussian_noise(seen, 1.0) if gaussian else ops.bernoulli(seen)
        seen = ops.stop_gradient(seen)
        end = logits(seen, parts)
        if of.persistent:
            emit("keep_rows", ops.bernoulli(ops.activation(end, "sigmoid")), states)
        away = free_energy(seen, end, parts, gaussian)
        self.add_loss(free_energy(v, z, parts, gaussian) - away, name="contrast")
        return p


class RBM:
    """A restricted Boltzmann machine, trained by contrastive divergence (Hinton 2002).

    p(v, h) is proportional to e^-E, E = -a.v - b.h - v W h; of Gaussian visible units, whose
    variance is 1, |v - a|^2/2 in place of -a.v. What is made small is F(v) - F(v'), F the free
    energy and v' where a chain of `k` steps from v ends, at its means; its gradient is that of
    CD-k. W begins as N(0, 0.01^2), a as the log odds (or means) of the first data, b as 0.

    Parameters
    ----------
    hidden
        Number of hidden units.
    visible
        ``"bernoulli"``: data from 0 to 1; ``"gaussian"``: of mean 0 and variance 1.
    k
        Steps of the chain.
    persistent
        Whether chains go on from step to step in place of beginning at the data, row by row of the
        batch (Tieleman 2008).
    momentum, l2
        Of the gradient's average, in [0, 1), and of the penalty on W: numbers or schedules.
    lr
        Step size, a number or a schedule; Gaussian units want a hundredth of it.
    chains
        How many are kept where they persist: at least the batch size, or rows share their start.
    seed
        Of W, order and noise.
    precision, device
        As `Trainer` takes them.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    RuntimeError
        For a device that this build does not have.
    """

    def __init__(  # noqa: PLR0917 - what the literature names, in its order
        self,
        hidden: int,
        visible: str = "bernoulli",
        k: int = 1,
        persistent: bool = False,
        momentum: Any = 0.5,
        l2: Any = 2e-4,
        *,
        lr: Any = 0.1,
        chains: int = 100,
        seed: int = 0,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        self.hidden, self.k = whole("RBM", "hidden", hidden), whole("RBM", "k", k)
        self.visible = choose(
            "RBM: visible", visible, {"bernoulli": "bernoulli", "gaussian": "gaussian"}
        )
        self.persistent = flag("RBM", "persistent", persistent)
        self.chains, self.seed = whole("RBM", "chains", chains), checked_seed(seed)
        self._optimizer = optimizers.SGD(
            lr, number_or_schedule("RBM", "momentum", momentum, FRACTION)
        )
        self._l2 = number_or_schedule("RBM", "l2", l2, NOT_NEGATIVE)
        self._machine = _Machine(self)
        self.net = Sequential(self._machine)
        self.trainer = Trainer(
            self.net, None, self._optimizer, l2=self._l2, seed=seed, precision=precision,
            device=device,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"RBM({self.hidden}, {self.visible!r}, k={self.k}, persistent={self.persistent})"

    def fit(self, X: Any, epochs: int = 10, batch_size: int = 10, **options: Any) -> History:
        """Train; called again, it goes on.

        Parameters
        ----------
        X
            Samples (N, ...), flattened.
        epochs
            Passes over them.
        batch_size
            Samples of a step.
        **options
            `shuffle`, `drop_last`, `callbacks`, `progress`: as `Trainer.fit` takes them.

        Returns
        -------
        History
            With ``loss``, the difference of free energies: near 0 all along, it tells little; watch
            `pseudo_likelihood`.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As `Trainer.fit`; or if Bernoulli units get numbers outside of 0 to 1.
        """
        samples = self._samples(X)
        if not self.net.built:
            mean = samples.mean(axis=0, dtype=np.float64)
            odds = np.clip(mean, 0.01, 0.99)
            self._machine.bias = mean if self.visible == "gaussian" else np.log(odds / (1.0 - odds))
            coins = np.random.default_rng(self.seed).random(self.chains * self.hidden)
            self._machine.states = (coins < 0.5).astype(np.float32)
        given = X if columns_of(X) else samples
        return self.trainer.fit(given, None, epochs=epochs, batch_size=batch_size, **options)

    def transform(self, X: Any) -> Array:
        """Return p(h = 1 | v) of samples (N, ...), (N, hidden)."""
        self._ready()
        found: Array = self.net.predict(self._samples(X))
        return found

    def reconstruct(self, X: Any) -> Array:
        """Return the mean of v given p(h = 1 | v), (N, visible)."""
        w, a, _ = self._parts()
        return self._visible(self.transform(X) @ w.T + a)

    def free_energy(self, X: Any) -> NDArray[np.float64]:
        """Return F of each sample, (N,): -log p(v) but for `log_partition`."""
        w, a, b = self._parts()
        v = self._samples(X).astype(np.float64)
        own = 0.5 * ((v - a) ** 2).sum(axis=1) if self.visible == "gaussian" else -(v @ a)
        energy: NDArray[np.float64] = own - np.logaddexp(0.0, v @ w + b).sum(axis=1)
        return energy

    def pseudo_likelihood(self, X: Any, seed: int = 0) -> NDArray[np.float64]:
        """Return n log p(one bit | the others) of each sample, the bit drawn; (N,).

        What scikit-learn's `score_samples` gives; of Bernoulli units, data of 0 and 1.

        Raises
        ------
        ValueError
            Of Gaussian units.
        """
        if self.visible == "gaussian":
            raise ValueError("RBM: the pseudo-likelihood flips bits; Gaussian units have none")
        v = self._samples(X)
        rows, n = np.arange(len(v)), v.shape[1]
        bits = np.random.default_rng(checked_seed(seed)).integers(0, n, len(v))
        other = v.copy()
        other[rows, bits] = 1.0 - other[rows, bits]
        odds = self.free_energy(other) - self.free_energy(v)
        likely: NDArray[np.float64] = -n * np.logaddexp(0.0, -odds)
        return likely

    def log_partition(self) -> float:
        """Return log Z exactly, over all states of the hidden units.

        Raises
        ------
        ValueError
            Of more than 25 hidden units.
        """
        if self.hidden > MOST_HIDDEN:
            raise ValueError(
                f"RBM: log Z goes through 2^hidden states, at most 2^{MOST_HIDDEN}, got "
                f"{self.hidden} hidden units"
            )
        w, a, b = self._parts()
        total, step = -math.inf, 1 << min(self.hidden, 14)
        for first in range(0, 1 << self.hidden, step):
            number = np.arange(first, first + step)[:, None]
            h = (number >> np.arange(self.hidden)) & 1
            x = h @ w.T + a
            gaussian = self.visible == "gaussian"
            over = (
                0.5 * (x**2 - a**2 + math.log(2.0 * math.pi)) if gaussian else np.logaddexp(0.0, x)
            )
            total = float(np.logaddexp(total, np.logaddexp.reduce(h @ b + over.sum(axis=1))))
        return total

    def sample(self, n: int, steps: int = 1000, seed: int = 0) -> Array:
        """Return n samples (n, visible): the means where chains of `steps` end.

        Parameters
        ----------
        n
            How many.
        steps
            Of Gibbs sampling, from hidden units that are coins.
        seed
            Equal seeds give equal samples.
        """
        n, steps = whole("sample", "n", n), whole("sample", "steps", steps)
        w, a, b = self._parts()
        random = np.random.default_rng(checked_seed(seed))
        h = random.random((n, self.hidden)) < 0.5
        for step in range(steps):
            v = self._visible(h @ w.T + a)
            if step + 1 == steps:
                break
            gaussian = self.visible == "gaussian"
            v = v + random.standard_normal(v.shape) if gaussian else random.random(v.shape) < v
            h = random.random(h.shape) < _sigmoid(v @ w + b)
        return v

    def layer(self) -> Dense:
        """Return a sigmoid layer that begins as p(h = 1 | v); its bias is `hidden_bias`."""
        return Dense(self.hidden, "sigmoid", init=self._parts()[0])

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one file, as `Trainer.save`."""
        self.trainer.save(path)

    def load(self, path: str | PathLike[str]) -> None:
        """Go on from what `save` wrote, in a machine that was made with the same arguments.

        It goes on where this one computes; the file may be of another device.

        Raises
        ------
        OSError, ValueError
            As `Trainer.load`.
        """
        self.trainer = Trainer.load(path, net=self.net, device=self.trainer.device)

    def _ready(self) -> None:
        if not self.net.built:
            raise RuntimeError("RBM: was not trained yet; call fit first")

    def _parts(self) -> tuple[Array, Array, Array]:
        self._ready()
        state = self.net.state_dict()
        w, a, b = (
            state[f"rbm.{name}"].astype(np.float64)
            for name in ("weight", "visible_bias", "hidden_bias")
        )
        return w, a, b

    def _visible(self, x: Array) -> Array:
        return x if self.visible == "gaussian" else _sigmoid(x)

    def _samples(self, X: Any) -> Array:
        given = array("X", X)
        if given.ndim < 2 or not given.size:
            raise ValueError(f"X: expects samples (N, visible), got shape {given.shape}")
        inputs.columns(X, self.net)
        given = given.reshape(len(given), -1)
        finite("X", given)
        if self.visible == "bernoulli" and not (given.min() >= 0 and given.max() <= 1):
            raise ValueError(
                f"X: Bernoulli units take 0 to 1, got {given.min():g} to {given.max():g}; scale "
                'them, or take visible="gaussian"'
            )
        return given


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))
