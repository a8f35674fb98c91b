"""Functions of symbolic tensors that draw, or that change what goes backward. Re-exported by `ops`.

What is drawn is a function of the trainer's seed, the step, and the place of a sample in its batch:
the same for any number of threads and after a resume. No gradient passes through it.
"""

from typing import Any

from .. import schedules
from ..checks.numbers import ANY, FRACTION, NOT_NEGATIVE, flag, number
from .tensor import Tensor, emit, title_of


def normal_like(x: Tensor, sample: bool = False) -> Tensor:
    """Return numbers of N(0, 1) in the shape of x (Box & Muller 1958).

    Parameters
    ----------
    x
        Any shape; its values do not matter.
    sample
        Whether predictions draw, too; else they take 0, the mean.
    """
    return emit("normal_like", x, sample=flag("normal_like", "sample", sample))


def uniform_like(x: Tensor, low: float = 0.0, high: float = 1.0, sample: bool = False) -> Tensor:
    """Return numbers between `low` and `high` in the shape of x.

    Parameters
    ----------
    x
        Any shape; its values do not matter.
    low, high
        Numbers, low <= high.
    sample
        Whether predictions draw, too; else they take the middle.

    Raises
    ------
    TypeError, ValueError
        If low > high, or a number is not finite.
    """
    return emit(
        "uniform_like",
        x,
        low=number("uniform_like", "low", low, ANY, single=True),
        high=number("uniform_like", "high", high, ANY, single=True),
        sample=flag("uniform_like", "sample", sample),
    )


def bernoulli(p: Tensor, sample: bool = False) -> Tensor:
    """Return 1 with probability p, else 0.

    Parameters
    ----------
    p
        Probabilities, of any shape; below 0 counts as 0, above 1 as 1.
    sample
        Whether predictions draw, too; else they take p, the mean.
    """
    return emit("bernoulli", p, sample=flag("bernoulli", "sample", sample))


def gaussian_noise(x: Tensor, std: float) -> Tensor:
    """Return x + std*n, n ~ N(0, 1), while training; predictions take x.

    Parameters
    ----------
    x
        Any shape.
    std
        Standard deviation, at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.
    """
    return emit(
        "gaussian_noise", x, std=number("gaussian_noise", "std", std, NOT_NEGATIVE, single=True)
    )


def reparameterize(mean: Tensor, log_variance: Tensor, sample: bool = False) -> Tensor:
    """Return mean + e^(log_variance/2) n, n ~ N(0, 1) (Kingma & Welling 2014).

    A draw from N(mean, e^log_variance) that gradients pass through.

    Parameters
    ----------
    mean, log_variance
        Of one shape.
    sample
        Whether predictions draw, too; else they take the mean.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ.
    """
    if mean.shape != log_variance.shape:
        raise ValueError(
            f"{title_of(mean, 'reparameterize')}: expects a mean and a log_variance of one shape, "
            f"got {mean.shape} and {log_variance.shape}"
        )
    drawn = flag("reparameterize", "sample", sample)
    return emit("reparameterize", mean, log_variance, sample=drawn)


def stop_gradient(x: Tensor) -> Tensor:
    """Return x; no gradient comes back through it."""
    return emit("stop_gradient", x)


def gradient_reversal(x: Tensor, scale: Any = 1.0) -> Tensor:
    """Return x; its gradient comes back times -scale (Ganin & Lempitsky 2015).

    Parameters
    ----------
    x
        Any shape.
    scale
        The paper's lambda: a number, or a schedule for every step.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or not finite.
    """
    return emit("gradient_reversal", x, scale=reversal_scale("gradient_reversal", scale))


def dropout_rate(where: str, rate: Any, scale_at: str = "train") -> Any:
    """Return the rate of a dropout, checked: a number that float32 holds, or a schedule."""
    given = schedules.base.of(where, "rate", rate, FRACTION)
    if not isinstance(given, schedules.Schedule):
        return number(where, "rate", given, FRACTION, single=True)
    if scale_at == "test":
        raise ValueError(
            f'{where}: scale_at="test" multiplies predictions by 1 - rate, so that the rate must '
            f'be a number, got {given!r}; take scale_at="train"'
        )
    return given


def reversal_scale(where: str, scale: Any) -> Any:
    """Return the scale of a reversal, checked: a number that float32 holds, or a schedule."""
    given = schedules.base.of(where, "scale", scale, ANY)
    if isinstance(given, schedules.Schedule):
        return given
    return number(where, "scale", given, ANY, single=True)
