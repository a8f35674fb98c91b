"""Where a row of PyTorch's functions stands, and how it tells what it does as an ONNX operator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .builder import Builder
from .onnx_node import Node
from .onnx_rows import ROWS
from .weights import Weight

Row: TypeAlias = Callable[..., Any]
OPSET = 18


@dataclass
class Call:
    """Where a row stands: the builder, the name of the module, all weights by name."""

    builder: Builder
    name: str
    weights: Mapping[str, Weight]

    def onnx(self, op: str, *given: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Return what an ONNX operator gives."""
        kept = {key: value for key, value in attributes.items() if value is not None}
        node = Node(op, self.name, [], [str(k) for k in range(outputs)], kept, OPSET)
        return ROWS[op](self.builder, node, *map(operand, given))

    def own(self, word: str) -> Weight | None:
        """Return a weight of the module; None where it has none of that name."""
        return self.weights.get(f"{self.name}.{word}" if self.name else word)


def operand(value: Any) -> Any:
    """Return a number as a constant, anything else as it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Weight(np.asarray(value, np.float64))
    return value


def pair(value: Any, count: int) -> list[int]:
    """Return a number for each axis."""
    return [*value] if isinstance(value, (tuple, list)) else [value] * count
