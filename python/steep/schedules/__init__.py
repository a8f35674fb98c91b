"""Schedules: hyper-parameters as pure functions of the step or the epoch, in float64.

A schedule holds no counter and knows no optimizer: it maps times to values, whole arrays at once,
and gives the same bits however the times are split into arrays.
"""

from typing import Any

from ..checks.described import described, plain
from .base import Constant, Function, Piecewise, Schedule, Values
from .curves import (
    Cosine,
    Exponential,
    InversePower,
    InverseTime,
    Linear,
    Polynomial,
    SigmoidRamp,
    Step,
)
from .cycles import CosineRestarts, CosLog, Cyclic, OneCycle
from .joined import Join, Product, Warmup

__all__ = [
    "Constant",
    "CosLog",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "Function",
    "InversePower",
    "InverseTime",
    "Join",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "Product",
    "Schedule",
    "SigmoidRamp",
    "Step",
    "Values",
    "Warmup",
]

TABLE: dict[str, type[Schedule]] = {
    made.__name__: made
    for made in (
        Constant, Piecewise, Values, Exponential, InversePower, InverseTime, Polynomial, Step,
        Cosine, Linear, CosineRestarts, Cyclic, OneCycle, Warmup, Join, Product,
        SigmoidRamp, CosLog,
    )
}  # fmt: skip


def get_config(value: float | Schedule) -> Any:
    """Return a hyper-parameter as JSON can hold it; `from_config` turns it back."""
    return plain(value)


def from_config(config: Any) -> Any:
    """Return the number, schedule or list of such that a config holds.

    Raises
    ------
    ValueError
        If it names no known schedule or its arguments do not fit.
    """
    if isinstance(config, list):
        return [from_config(item) for item in config]
    if not isinstance(config, dict):
        return config
    return described("schedule", TABLE, config, from_config)
