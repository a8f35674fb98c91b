"""The lab: instruments for looking at descent, gradients and networks, outside of training."""

from .descend import DivergedError, Minimum, behaviour, descend, minimize
from .flow import GradientNorm, gradient_flow
from .gradients import (
    chain_gradients,
    check_gradients,
    count_derivatives,
    gradient_errors,
    least_squares,
)

__all__ = [
    "DivergedError",
    "GradientNorm",
    "Minimum",
    "behaviour",
    "chain_gradients",
    "check_gradients",
    "count_derivatives",
    "descend",
    "gradient_errors",
    "gradient_flow",
    "least_squares",
    "minimize",
]
