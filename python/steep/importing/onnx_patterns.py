"""Groups of ONNX nodes that are one function, as exporters write them: GELU, SiLU, x @ W + b.

Single operators are in `onnx_rows`.
"""

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from .onnx_node import DENSE, Node


def simplified(nodes: Sequence[Node], outputs: Set[str], weights: Mapping[str, Any]) -> list[Node]:
    """Return the nodes with known groups in one piece, where nobody else reads what is inside."""
    return _Graph(nodes, outputs, weights).simplified()


class _Graph:
    def __init__(
        self, nodes: Sequence[Node], outputs: Set[str], weights: Mapping[str, Any]
    ) -> None:
        self.nodes = list(nodes)
        self.maker = {name: node for node in nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.outputs, self.weights = outputs, weights
        self.gone: set[int] = set()
        self.new: dict[int, Node] = {}

    def simplified(self) -> list[Node]:
        for node in self.nodes:
            if node.op == "Erf":
                self._gelu(node)
            elif node.op == "Sigmoid":
                self._silu(node)
            elif node.op == "MatMul":
                self._dense(node)
        return [self.new.get(id(n), n) for n in self.nodes if id(n) not in self.gone]

    def number(self, name: str) -> float | None:
        """Return a constant of one number."""
        value = self.weights.get(name)
        maker = self.maker.get(name)
        if value is None and maker is not None and maker.op == "Constant":
            value = maker.get("value", maker.get("value_float", None))
        if value is None or np.size(value) != 1:
            return None
        return float(np.asarray(value, np.float64).reshape(()))

    def only_reader(self, node: Node) -> Node | None:
        """Return the one node that reads a node's result, where there is one."""
        found = self.readers.get(node.outputs[0], [])
        return found[0] if len(found) == 1 and node.outputs[0] not in self.outputs else None

    def times(self, node: Node | None, of: str) -> tuple[str, float] | None:
        """Return what `node` multiplies the tensor `of` by; None where it is no such node."""
        if node is None or node.op not in ("Mul", "Div") or of not in node.inputs:
            return None
        other = node.inputs[1 - node.inputs.index(of)]
        factor = self.number(other)
        if factor is None or (node.op == "Div" and (node.inputs[0] != of or factor == 0)):
            return None
        return other, factor if node.op == "Mul" else 1 / factor

    def _gelu(self, erf: Node) -> None:  # noqa: PLR0911 - one for each way not to be it
        """x*(1 + erf(x/sqrt 2))/2, the factors in any order."""
        inside = self.maker.get(erf.inputs[0])
        if inside is None or self.only_reader(inside) is not erf:
            return
        root = next(
            (self.times(inside, name) for name in inside.inputs if self.times(inside, name)), None
        )
        add = self.only_reader(erf)
        if root is None or abs(root[1] - math.sqrt(0.5)) > 1e-4 or add is None or add.op != "Add":
            return
        x = inside.inputs[1 - inside.inputs.index(root[0])]
        one = add.inputs[1 - add.inputs.index(erf.outputs[0])]
        if self.number(one) != 1.0:
            return
        first = self.only_reader(add)
        if first is None or first.op != "Mul":
            return
        by = first.inputs[1 - first.inputs.index(add.outputs[0])]
        inner = [inside, erf, add]
        if by == x:
            last = self.only_reader(first)
            factor = self.times(last, first.outputs[0])
            inner.append(first)
        elif self.number(by) == 0.5:
            last, factor = self.only_reader(first), (by, 0.5)
            inner.append(first)
            if last is None or last.op != "Mul" or x not in last.inputs:
                return
        else:  # x/2 was made before
            half = self.maker.get(by)
            factor, last = self.times(half, x), first
            if half is None or self.only_reader(half) is not first:
                return
            inner.append(half)
        if last is None or factor is None or factor[1] != 0.5:
            return
        self._replace(inner, last, Node("Gelu", last.name, [x], last.outputs, {}, last.opset))

    def _silu(self, sigmoid: Node) -> None:
        """x*sigmoid(x)."""
        last = self.only_reader(sigmoid)
        x = sigmoid.inputs[0]
        if last is not None and last.op == "Mul" and x in last.inputs and id(last) not in self.new:
            made = Node("Swish", last.name, [x], last.outputs, {}, last.opset)
            self._replace([sigmoid], last, made)

    def _dense(self, product: Node) -> None:
        """X @ W + b of weights that the file names."""
        last = self.only_reader(product)
        weight = self.weights.get(product.inputs[1]) if len(product.inputs) == 2 else None
        if last is None or last.op != "Add" or weight is None or np.ndim(weight) != 2:
            return
        if product.inputs[0] in self.weights:
            return
        bias = last.inputs[1 - last.inputs.index(product.outputs[0])]
        if bias in self.weights and np.shape(self.weights[bias]) == np.shape(weight)[1:]:
            given = [*product.inputs, bias]
            made = Node(DENSE, product.name, given, last.outputs, {}, product.opset)
            self._replace([product], last, made)

    def _replace(self, inner: Sequence[Node], last: Node, made: Node) -> None:
        self.gone.update(map(id, inner))
        self.new[id(last)] = made
