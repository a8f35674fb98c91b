"""The lab: descent, gradients and signals looked at outside of training; weights from data."""

from .curvature import Curvature, curvature
from .descend import DivergedError, Minimum, behaviour, descend, minimize
from .flow import GradientNorm, gradient_flow
from .gradients import (
    chain_gradients,
    check_gradients,
    count_derivatives,
    gradient_errors,
    least_squares,
)
from .lsuv import UnitVariance, lsuv

__all__ = [
    "Curvature",
    "DivergedError",
    "GradientNorm",
    "Minimum",
    "UnitVariance",
    "behaviour",
    "chain_gradients",
    "check_gradients",
    "count_derivatives",
    "curvature",
    "descend",
    "gradient_errors",
    "gradient_flow",
    "least_squares",
    "lsuv",
    "minimize",
]
