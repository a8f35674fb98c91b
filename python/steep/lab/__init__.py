"""The lab: descent, gradients and signals looked at outside of training; search for networks."""

from . import surfaces
from .compared import OnNetwork, OnSurface
from .comparison import Comparison
from .curvature import Curvature, curvature
from .descend import DivergedError, Minimum, behaviour, descend, minimize
from .find_lr import RateTest, find_lr
from .flow import GradientFlow, GradientNorm, gradient_flow
from .generalisation import CapacityCurve, LearningCurve, capacity_curve, learning_curve
from .gradients import (
    chain_gradients,
    check_gradients,
    count_derivatives,
    gradient_errors,
    least_squares,
)
from .landscape import Landscape, Trajectory, landscape
from .lsuv import UnitVariance, lsuv
from .paths import plot_paths
from .search import Search, search
from .surfaces import Surface
from .sweep import Sweep, sweep
from .unit_outputs import unit_outputs

__all__ = [
    "CapacityCurve",
    "Comparison",
    "Curvature",
    "DivergedError",
    "GradientFlow",
    "GradientNorm",
    "Landscape",
    "LearningCurve",
    "Minimum",
    "OnNetwork",
    "OnSurface",
    "RateTest",
    "Search",
    "Surface",
    "Sweep",
    "Trajectory",
    "UnitVariance",
    "behaviour",
    "capacity_curve",
    "chain_gradients",
    "check_gradients",
    "count_derivatives",
    "curvature",
    "descend",
    "find_lr",
    "gradient_errors",
    "gradient_flow",
    "landscape",
    "learning_curve",
    "least_squares",
    "lsuv",
    "minimize",
    "plot_paths",
    "search",
    "surfaces",
    "sweep",
    "unit_outputs",
]
