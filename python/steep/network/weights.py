"""Values of weights: what they begin with, and whether given ones fit. Files: `saving`."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import _core
from ..checks import on_device
from ..checks.arrays import Array
from ..initializers import Initializer, VarianceScaling
from . import initializers
from .description import Weight

# The type of weights and results. Tensor cores round what they multiply, and weights are float32.
TENSOR_CORES: Mapping[str, type] = {"tf32": np.float32, "bfloat16": np.float32}
PRECISIONS: Mapping[str, type] = {"float32": np.float32, "float64": np.float64, **TENSOR_CORES}


def of_weights(precision: str) -> str:
    """Return the precision that weights have, in which every device can compute."""
    return "float32" if precision in TENSOR_CORES else precision


def fitting(
    native: _core.Network, state: Mapping[str, Any], strict: bool = True, prefix: str = ""
) -> dict[str, Array]:
    """Return the values of `state` as arrays that fit a network, every one checked.

    `prefix` is what their names begin with there. Not `strict`, those that are there by name.

    Raises
    ------
    TypeError, ValueError
        Naming what is missing, unknown, of the wrong shape or not finite.
    """
    shapes = {name: tuple(shape) for name, shape in native.parameters()}
    if (prefix or not strict) and isinstance(state, Mapping):
        n = len(prefix)
        state = {k[n:]: v for k, v in state.items() if isinstance(k, str) and k.startswith(prefix)}
        if not any(name in shapes for name in state):
            raise ValueError(
                f"weights: none of this network is there{f' behind {prefix!r}' * bool(prefix)}; it "
                f"has {', '.join(shapes)}"
            )
    if not strict:
        shapes = {name: shape for name, shape in shapes.items() if name in state}
        state = {name: state[name] for name in shapes}
    return fitting_shapes(shapes, native.precision, state)


def fitting_shapes(
    shapes: Mapping[str, tuple[int, ...]], precision: str, state: Mapping[str, Any]
) -> dict[str, Array]:
    """Return the values of `state` in these shapes and this precision; raises as `fitting`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"weights: expects a dict of arrays by name, got {type(state).__name__}")
    missing = [name for name in shapes if name not in state]
    extra = [str(name) for name in state if name not in shapes]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(extra)}"] if extra else []
        raise ValueError(f"weights do not belong to this network: {'; '.join(parts)}")
    checked = {}
    for name, shape in shapes.items():
        value = state[name]
        if on_device.lies_there(value):
            if _core.cuda_status():
                raise on_device.refuse(name)
            value = on_device.taken(name, value).numpy()
        value = np.asarray(value)
        if value.dtype.kind not in "fiu":
            raise TypeError(f"{name}: expects numbers, got dtype {value.dtype}")
        if value.shape != shape:
            raise ValueError(f"{name}: expects shape {shape}, got {value.shape}")
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite, and refused
            value = np.ascontiguousarray(value, dtype=PRECISIONS[precision])
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: holds NaN or infinity, or is beyond {precision}")
        checked[name] = value
    return checked


def first_value(weight: Weight, seed: int, index: int) -> Array:
    """Return what a parameter begins with, in float64: a function of the seed and its place."""
    if weight.source is not None:
        native, name, _ = weight.source
        return np.asarray(native.get(name))
    init, shape = _init_of(weight), weight.shape
    if weight.init is None and len(shape) == 1:
        return np.zeros(shape)
    with warnings.catch_warnings():
        if weight.last or shape[-1] == 1 or not weight.trained:
            # Units of the last layer have targets of their own: equal ones do not stay equal. What
            # is not trained is no unit's choice.
            warnings.simplefilter("ignore", UserWarning)
        return initializers.draw(
            init,
            shape,
            *weight.fans,
            seed=seed,
            stream=index,
            groups=weight.groups,
            where=weight.title,
        )


def _init_of(weight: Weight) -> Any:
    if weight.init is not None:
        return weight.init
    return 0.0 if len(weight.shape) == 1 else "he" if weight.relu else "xavier"


def init_name(weight: Weight) -> str:
    """Return how a summary names the distribution."""
    if weight.taken:
        return "taken over"
    init = _init_of(weight)
    made = initializers.named(weight.title, init)
    if isinstance(made, VarianceScaling):
        name = init if isinstance(init, str) else "VarianceScaling"
        spread = made.spread(*weight.fans)
        if made.distribution == "uniform":
            return f"{name}: uniform +-{spread:.4g}"
        cut = "truncated " if made.distribution == "truncated_normal" else ""
        return f"{name}: {cut}normal, std {spread:.4g}"
    if isinstance(init, Initializer):
        return repr(init)
    return init if isinstance(init, str) else "given"
