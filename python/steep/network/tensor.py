"""Symbolic tensors, and what they ask of the scope they belong to. No graph is made here."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, Union

from ..checks.numbers import ANY, number

Shape: TypeAlias = tuple[int, ...]


class LayerLike(Protocol):
    """What is called on tensors: a layer."""

    name: str | None

    def call(self, *inputs: Any, **options: Any) -> "Tensor":
        """Return the output tensor."""
        ...


class _Owner(Protocol):
    """Where tensors belong: a graph that is being made, or the functional form."""

    @property
    def title(self) -> str: ...  # the layer being called, for messages; empty where none is
    def emit(
        self, kind: str, inputs: Sequence["Tensor"], attributes: dict[str, Any]
    ) -> "Tensor": ...
    def run(self, layer: Any, inputs: Sequence["Tensor"]) -> "Tensor": ...
    def recomputed(self) -> AbstractContextManager[None]: ...
    def spectral(self, layer: Any) -> AbstractContextManager[None]: ...


class Tensor:
    """A value of a network that is being described: a shape and where it comes from, no numbers.

    ``+ - * /`` work on a tensor and a number, and on two tensors of one shape, or such that one can
    be repeated along axes of size 1 and leading axes that it lacks; ``+`` and ``*`` also with a
    parameter of the last axis. ``x ** 2`` takes a number; ``x @ w`` multiplies by a weight of shape
    (in, out), ``y @ w.T`` by its transpose.

    Parameters
    ----------
    shape
        Without the batch axis.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        scope: _Owner,
        source: tuple[LayerLike, tuple["Tensor", ...]] | None = None,
        index: int = -1,
        parameter: str | None = None,
        turned: bool = False,
    ) -> None:
        self.shape = shape
        self._scope = scope  # the graph this tensor belongs to, or the functional form
        self._source = source  # of the functional form: the layer called, and on what
        self._index = index  # its number in the graph
        self._parameter = parameter  # its name, where this tensor is one
        self._turned = turned  # a parameter's transpose

    def __repr__(self) -> str:
        what = f"parameter {self._parameter!r}" if self._parameter else "tensor"
        return f"<{what} of shape {self.shape}>"

    def __add__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("add", *alike(self, other))
        return emit("affine", self, scale=1.0, shift=_plain(other))

    __radd__ = __add__

    def __sub__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("subtract", *alike(self, other))
        return emit("affine", self, scale=1.0, shift=-_plain(other))

    def __rsub__(self, other: float) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=_plain(other))

    def __mul__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("multiply", *alike(self, other))
        return emit("affine", self, scale=_plain(other), shift=0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("divide", *alike(self, other))
        divisor = _plain(other)
        if divisor == 0.0:
            raise ValueError("a symbolic tensor cannot be divided by 0")
        return emit("affine", self, scale=_plain(1.0 / divisor), shift=0.0)

    def __rtruediv__(self, other: float) -> "Tensor":
        return _plain(other) * emit("power", self, exponent=-1.0)

    def __pow__(self, exponent: float) -> "Tensor":
        return emit("power", self, exponent=_plain(exponent))

    def __pos__(self) -> "Tensor":
        return emit("affine", self, scale=1.0, shift=0.0)

    def __neg__(self) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=0.0)

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return emit("matmul", self, other)

    @property
    def T(self) -> "Tensor":
        """The transpose of a weight (in, out), for ``y @ w.T``; nothing is copied."""
        if self._parameter is None or len(self.shape) != 2:
            raise TypeError(
                f"{self!r} has no transpose: only a parameter (in, out) has, in y @ w.T"
            )
        return Tensor(
            self.shape[::-1],
            scope=self._scope,
            index=self._index,
            parameter=self._parameter,
            turned=not self._turned,
        )


def emit(op: str, /, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Add one op to the network that `inputs` belong to and return its output."""
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{op}: expects symbolic tensors, got {type(x).__name__}")
    return inputs[0]._scope.emit(op, inputs, attributes)


def alike(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tensors of one shape: each is repeated along the axes that it lacks.

    Tensors whose shapes do not fit, and parameters, are returned as they are: the op refuses them.
    """
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a._parameter or b._parameter:
        return a, b
    if a.shape == b.shape:
        return a, b
    axes = max(len(a.shape), len(b.shape))
    wide = [(1,) * (axes - len(x.shape)) + x.shape for x in (a, b)]
    shape = tuple(max(n, m) for n, m in zip(*wide, strict=True))
    if any(n not in (1, m) for one in wide for n, m in zip(one, shape, strict=True)):
        return a, b
    return repeated("broadcast", a, shape), repeated("broadcast", b, shape)


def repeated(where: str, x: Tensor, shape: Shape) -> Tensor:
    """Return x of a given shape, repeated along its axes of size 1 and leading axes that it lacks.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    now = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(now) != len(shape) or any(n not in (1, m) for n, m in zip(now, shape, strict=True)):
        raise ValueError(f"{title_of(x, where)}: {x.shape} cannot be repeated to {shape}")
    grows = [n != m for n, m in zip(now, shape, strict=True)]
    end = len(shape)
    while end > 0:  # axes beside each other at once, from the last ones on
        if not grows[end - 1]:
            end -= 1
            continue
        start = end
        while start > 0 and grows[start - 1]:
            start -= 1
        before, behind = now[:start], now[end:]
        kept = before + behind or (1,)
        axis = len(before)
        x = emit("reshape", x, shape=kept) if x.shape != kept else x
        x = emit("repeat", x, axis=axis, times=math.prod(shape[start:end]))
        now = (*before, *shape[start:end], *behind)
        end = start
    return emit("reshape", x, shape=shape) if x.shape != shape else x


def title_of(x: Tensor, default: str) -> str:
    """Return how messages name the layer that is called on a tensor, `default` where none is."""
    return x._scope.title or default


def recomputed(x: Tensor) -> AbstractContextManager[None]:
    """Have the ops inside computed again for the backward pass."""
    return x._scope.recomputed()


def spectral(x: Tensor, layer: LayerLike) -> AbstractContextManager[None]:
    """Have the weight of the product inside divided by its largest singular value."""
    return x._scope.spectral(layer)


def _plain(value: object) -> float:
    """Return the number beside an arithmetic sign."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"a symbolic tensor combines with tensors and numbers, got {value!r}")
    if not isinstance(value, int):
        value = float(value)  # of whatever has one, such as a tensor of other libraries
    return number("a symbolic tensor", "what it combines with", value, ANY, single=True)
