"""One ONNX operator, and how its rows ask for what it reads. What operators become: `onnx_rows`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .folding import Batch, axes_of
from .views import Axis, View
from .weights import Weight

Row: TypeAlias = Callable[..., Any]  # of a builder, the node and what it reads: what it gives
FLOATS = (1, 10, 11, 16)  # ONNX's numbers of kinds of floats
MOVING = ("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze")  # a weight stays itself
DENSE = "steep.Dense"  # of no file: what `onnx_patterns` makes of MatMul and Add
TURNED = "steep.turned"  # attribute of no file: a product by the transpose of a weight


HOLD = "steep.hold"  # attribute of no file: behind a sample's length stands its last h


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
    if value.value.dtype != object and value.batch is None:
        return value
    found = value.value.reshape(-1).tolist()
    if value.batch is not None or any(isinstance(n, Batch) for n in found):
        raise ValueError(f"{what} depends on the number of samples")
    return Weight(np.array(found).reshape(value.value.shape), value.name)  # of sizes alone


def numbers(value: Any, what: str) -> list[int]:
    """Return whole numbers of a constant."""
    return [int(n) for n in constant(value, what).value.reshape(-1)]


def all_axes(v: View) -> list[Axis | None]:
    """Return the axes that others see, None for the batch."""
    return [*v.axes[: v.batch], None, *v.axes[v.batch :]]


def of_axes(v: View, axes: Sequence[Axis | None]) -> View:
    """Return a tensor under other axes, None for the batch."""
    left = tuple(axis for axis in axes if axis is not None)
    return View(v.x, v.order, left, [*axes].index(None))


def dropped(node: Node, ratio: Any = None, training: Any = None) -> float:
    """Return the rate of a Dropout while training.

    Raises
    ------
    ValueError
        If it drops in predictions, too, or gives its mask.
    """
    if training is not None and constant(training, "training_mode").value.any():
        raise ValueError("drops in predictions; make the file of a network in evaluation mode")
    if any(node.outputs[1:]):
        raise ValueError("gives its mask, which steep does not have")
    given = node.get("ratio", 0.5) if ratio is None else constant(ratio, "ratio").value.reshape(())
    return float(given) if 0.0 < float(given) < 1.0 else 0.0


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
    place = axis % count
    if place == v.batch:
        raise ValueError("works along the batch, which steep never does")
    return place - (place > v.batch)


def axes(v: View, node: Node, given: Any, *, none: str = "") -> list[int]:
    """Return axes of a sample that an operator is told."""
    told = axes_of(node, None if given is None else constant(given, "axes").value, len(v.axes) + 1)
    if not told:
        raise ValueError(none or "works along all axes, the batch too, which steep never does")
    return [axis_of(v, k) for k in told]
