"""Symbolic tensors, and what they ask of the scope they belong to. No graph is made here."""

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


class Tensor:
    """A value of a network that is being described: a shape and where it comes from, no numbers.

    ``+ - *`` and ``/`` a number work on tensors of equal shapes, on a tensor and a number, and on a
    tensor and a parameter of its last axis; ``x @ w`` multiplies by a weight of shape (in, out).

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
    ) -> None:
        self.shape = shape
        self._scope = scope  # the graph this tensor belongs to, or the functional form
        self._source = source  # of the functional form: the layer called, and on what
        self._index = index  # its number in the graph
        self._parameter = parameter  # its name, where this tensor is one

    def __repr__(self) -> str:
        what = f"parameter {self._parameter!r}" if self._parameter else "tensor"
        return f"<{what} of shape {self.shape}>"

    def __add__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("add", self, other)
        return emit("affine", self, scale=1.0, shift=_plain(other))

    __radd__ = __add__

    def __sub__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("subtract", self, other)
        return emit("affine", self, scale=1.0, shift=-_plain(other))

    def __rsub__(self, other: float) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=_plain(other))

    def __mul__(self, other: Union["Tensor", float]) -> "Tensor":
        if isinstance(other, Tensor):
            return emit("multiply", self, other)
        return emit("affine", self, scale=_plain(other), shift=0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: float) -> "Tensor":
        divisor = _plain(other)
        if divisor == 0.0:
            raise ValueError("a symbolic tensor cannot be divided by 0")
        return emit("affine", self, scale=_plain(1.0 / divisor), shift=0.0)

    def __pos__(self) -> "Tensor":
        return emit("affine", self, scale=1.0, shift=0.0)

    def __neg__(self) -> "Tensor":
        return emit("affine", self, scale=-1.0, shift=0.0)

    def __matmul__(self, other: "Tensor") -> "Tensor":
        return emit("matmul", self, other)


def emit(op: str, /, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Add one op to the network that `inputs` belong to and return its output."""
    for x in inputs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{op}: expects symbolic tensors, got {type(x).__name__}")
    return inputs[0]._scope.emit(op, inputs, attributes)


def title_of(x: Tensor, default: str) -> str:
    """Return how messages name the layer that is called on a tensor, `default` where none is."""
    return x._scope.title or default


def recomputed(x: Tensor) -> AbstractContextManager[None]:
    """Have the ops inside computed again for the backward pass."""
    return x._scope.recomputed()


def _plain(value: object) -> float:
    """Return the number beside an arithmetic sign."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"a symbolic tensor combines with tensors and numbers, got {value!r}")
    if not isinstance(value, int):
        value = float(value)  # of whatever has one, such as a tensor of other libraries
    return number("a symbolic tensor", "what it combines with", value, ANY, single=True)
