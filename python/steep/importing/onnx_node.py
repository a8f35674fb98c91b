"""One ONNX operator, and how its rows ask for what it reads. What operators become: `onnx_rows`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .folding import axes_of
from .views import View
from .weights import Weight

Row: TypeAlias = Callable[..., Any]  # of a builder, the node and what it reads: what it gives
DENSE = "steep.Dense"  # of no file: what `onnx_patterns` makes of MatMul and Add
TURNED = "steep.turned"  # attribute of no file: a product by the transpose of a weight


class Missing:
    """What a node that cannot be read would have given."""


@dataclass
class Node:
    """One operator of the graph."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: Mapping[str, Any]
    opset: int

    def get(self, key: str, default: Any) -> Any:
        """Return an attribute."""
        return self.attributes.get(key, default)

    @property
    def hint(self) -> str:
        """How its layer is called where its weights do not say: /a/a.0/Conv is a.0."""
        parts = [part for part in self.name.split("/") if part]
        if len(parts) > 1 and parts[-1].split("_")[0] == self.op:
            parts.pop()
        kept = [
            p for p, q in zip(parts, [*parts[1:], ""], strict=True) if not q.startswith(f"{p}.")
        ]
        return ".".join(kept)

    def __str__(self) -> str:
        return f"{self.name!r} ({self.op})"


def tensor(value: Any, what: str = "its input") -> View:
    """Return a tensor, or say that it is a constant."""
    if not isinstance(value, View):
        raise ValueError(f"{what} is a constant")
    return value


def constant(value: Any, what: str) -> Weight:
    """Return a constant, or say that it is computed from the inputs."""
    if not isinstance(value, Weight):
        raise ValueError(f"{what} depends on the inputs; steep multiplies by weights only")
    if value.value.dtype == object:
        raise ValueError(f"{what} depends on the number of samples")
    return value


def numbers(value: Any, what: str) -> list[int]:
    """Return whole numbers of a constant."""
    return [int(n) for n in constant(value, what).value.reshape(-1)]


def axis_of(v: View, axis: int) -> int:
    """Return an axis of a sample, counted without the batch.

    Raises
    ------
    ValueError
        If it is none, or the batch.
    """
    count = len(v.axes) + 1
    if not -count <= axis < count:
        raise ValueError(f"axis {axis} of {count}")
    if axis % count == 0:
        raise ValueError("works along the batch, which steep never does")
    return axis % count - 1


def axes(v: View, node: Node, given: Any, *, none: str = "") -> list[int]:
    """Return axes of a sample that an operator is told."""
    told = axes_of(node, None if given is None else constant(given, "axes").value, len(v.axes) + 1)
    if not told:
        raise ValueError(none or "works along all axes, the batch too, which steep never does")
    return [axis_of(v, k) for k in told]
