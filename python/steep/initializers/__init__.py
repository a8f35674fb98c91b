"""First values of weights: what layers take as `init`, as descriptions or by name.

Draws are Philox words: functions of (seed, place of the parameter, index) alone, the same on every
machine. Which one a layer takes where none is given, and how values are checked: `network`.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..checks.described import described
from ..checks.names import choose
from ..checks.numbers import ANY, number
from .base import Initializer, Place
from .drawn import Normal, Sparse, TruncatedNormal, Uniform, VarianceScaling
from .matrices import Constant, DeltaOrthogonal, Dirac, Identity, Orthogonal

__all__ = [
    "Constant",
    "DeltaOrthogonal",
    "Dirac",
    "Identity",
    "Initializer",
    "Normal",
    "Orthogonal",
    "Place",
    "Sparse",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "gain",
]

TABLE: dict[str, type[Initializer]] = {
    made.__name__: made
    for made in (
        Constant, Normal, TruncatedNormal, Uniform, VarianceScaling, Sparse, Orthogonal,
        DeltaOrthogonal, Dirac, Identity,
    )
}  # fmt: skip

_HE = VarianceScaling(2.0, "fan_in", "untruncated_normal")
_HE_UNIFORM = VarianceScaling(2.0, "fan_in", "uniform")
_GLOROT_UNIFORM = VarianceScaling(1.0, "fan_avg", "uniform")
# Names that PyTorch and Keras have, too, are what they are there: "he_normal" is truncated.
NAMED: dict[str, Initializer] = {
    "he": _HE,
    "kaiming_normal": _HE,
    "he_normal": VarianceScaling(2.0, "fan_in", "truncated_normal"),
    "xavier_in": _HE_UNIFORM,
    "kaiming_uniform": _HE_UNIFORM,
    "he_uniform": _HE_UNIFORM,
    "xavier": _GLOROT_UNIFORM,
    "xavier_uniform": _GLOROT_UNIFORM,
    "glorot_uniform": _GLOROT_UNIFORM,
    "xavier_normal": VarianceScaling(1.0, "fan_avg", "untruncated_normal"),
    "glorot_normal": VarianceScaling(1.0, "fan_avg", "truncated_normal"),
    "lecun": VarianceScaling(1.0, "fan_in", "truncated_normal"),
    "lecun_normal": VarianceScaling(1.0, "fan_in", "truncated_normal"),
    "lecun_uniform": VarianceScaling(1.0, "fan_in", "uniform"),
    "variance_scaling": VarianceScaling(),
    "normal": Normal(),
    "random_normal": Normal(),
    "truncated_normal": TruncatedNormal(),
    "uniform": Uniform(),
    "random_uniform": Uniform(),
    "orthogonal": Orthogonal(),
    "delta_orthogonal": DeltaOrthogonal(),
    "dirac": Dirac(),
    "identity": Identity(),
    "eye": Identity(),
    "zeros": Constant(0.0),
    "ones": Constant(1.0),
}

_GAINS: dict[str, float] = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0),
    "selu": 0.75,
}


def gain(activation: str, alpha: float | None = None) -> float:
    """Return what weights before an activation are multiplied with, PyTorch's calculate_gain.

    linear and sigmoid 1, tanh 5/3, relu sqrt(2), leaky_relu sqrt(2/(1 + alpha^2)), selu 3/4: about
    what keeps the variance of a signal from layer to layer (He et al. 2015).

    Parameters
    ----------
    activation
        Its name.
    alpha
        Slope of "leaky_relu", 0.01 where left out.

    Raises
    ------
    TypeError, ValueError
        If PyTorch has no gain for it, or no alpha.
    """
    found = choose("activation with a gain", activation, _GAINS)
    if choose("activation", activation, {name: name for name in _GAINS}) == "leaky_relu":
        slope = 0.01 if alpha is None else number("gain", "alpha", alpha, ANY)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if alpha is not None:
        raise ValueError(f'gain: alpha is the slope of "leaky_relu", got it for "{activation}"')
    return found


def from_config(config: Mapping[str, Any]) -> Initializer:
    """Return what ``get_config()`` of an initialiser described.

    Raises
    ------
    ValueError
        If it names no known one or its arguments do not fit.
    """
    return described("initializer", TABLE, config)
