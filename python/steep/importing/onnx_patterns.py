"""Groups of ONNX nodes that are one function, as exporters write them: GELU, SiLU, x @ W + b.

Single operators are in `onnx_rows`.
"""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from .onnx_node import DENSE, HOLD, TURNED, Node

WHOLE = (6, 7)  # ONNX's numbers of int32 and int64
RECURRENT = ("GRU", "LSTM", "RNN")
LENGTHS = 4  # place of sequence_lens among what they read
MOVED = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


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
            if not node.inputs:
                continue
            if node.op == "Erf":
                self._gelu(node)
            elif node.op == "Sigmoid":
                self._silu(node)
            elif node.op == "Exp":
                self._gated(node)
            elif node.op == "Cast":
                self._ids(node)
                self._lengths(node)
            elif node.op == "Where":
                self._hold(node)
            elif node.op == "MatMul":
                self._dense(node)
        found = [self.new.get(id(n), n) for n in self.nodes if id(n) not in self.gone]
        return self._read(found)

    def _read(self, nodes: Sequence[Node]) -> list[Node]:
        """Return nodes without what only moves numbers that nobody reads, the last ones first."""
        read, kept = set(self.outputs), []
        for node in reversed(nodes):
            if node.op in RECURRENT:
                seen = [name if name in read else "" for name in node.outputs]
                node = replace(node, outputs=seen if any(seen) else node.outputs)  # noqa: PLW2901
            elif node.op in MOVED and not read.intersection(node.outputs):
                continue
            read.update(node.inputs)
            kept.append(node)
        return kept[::-1]

    def array(self, name: str) -> Any:
        """Return a constant."""
        value, maker = self.weights.get(name), self.maker.get(name)
        if value is None and maker is not None and maker.op == "Constant":
            value = maker.get("value", maker.get("value_float", None))
        return value

    def number(self, name: str) -> float | None:
        """Return a constant of one number."""
        value = self.array(name)
        if value is None or np.size(value) != 1:
            return None
        return float(np.asarray(value, np.float64).reshape(()))

    def only_reader(self, node: Node) -> Node | None:
        """Return the one node that reads a node's result, where there is one."""
        found = self.readers.get(node.outputs[0], [])
        return found[0] if len(found) == 1 and node.outputs[0] not in self.outputs else None

    def times(self, node: Node | None, of: str) -> tuple[str, float] | None:
        """Return what `node` multiplies the tensor `of` by; None where it is no such node."""
        by = other(node, "Mul", of) or other(node, "Div", of)
        factor = None if by is None else self.number(by)
        if by is None or node is None or factor is None:
            return None
        if node.op == "Mul":
            return by, factor
        return (by, 1 / factor) if node.inputs[0] == of and factor != 0 else None

    def _gelu(self, erf: Node) -> None:
        """x*(1 + erf(x/sqrt 2))/2, the factors in any order."""
        inside, add = self.maker.get(erf.inputs[0]), self.only_reader(erf)
        one, x = other(add, "Add", erf.outputs[0]), ""
        for name in [] if inside is None else inside.inputs:
            by = self.times(inside, name)
            x = name if by and abs(by[1] - math.sqrt(0.5)) < 1e-4 else x
        if not x or one is None or self.number(one) != 1.0 or add is None or inside is None:
            return
        if self.only_reader(inside) is not erf:
            return
        first = self.only_reader(add)
        by_first = other(first, "Mul", add.outputs[0])
        if first is None or by_first is None:
            return
        inner, last = [inside, erf, add], self.only_reader(first)
        if by_first == x:
            half = self.times(last, first.outputs[0])
            inner.append(first)
        elif other(last, "Mul", first.outputs[0]) == x:
            half = self.times(first, add.outputs[0])
            inner.append(first)
        else:  # x/2 was made before
            maker, last = self.maker.get(by_first), first
            half = self.times(maker, x)
            if maker is None or self.only_reader(maker) is not first:
                return
            inner.append(maker)
        if last is not None and half is not None and half[1] == 0.5:
            made = Node("Gelu", last.name, [x], last.outputs, {}, last.opset)
            self._replace(inner, last, made)

    def _silu(self, sigmoid: Node) -> None:
        """x*sigmoid(x)."""
        last, x = self.only_reader(sigmoid), sigmoid.inputs[0]
        if last is not None and other(last, "Mul", sigmoid.outputs[0]) == x:
            made = Node("Swish", last.name, [x], last.outputs, {}, last.opset)
            self._replace([sigmoid], last, made)

    def _gated(self, power: Node) -> None:
        """x/(1 + e^-z), which is x*sigmoid(z) and has a gradient wherever e^-z is infinite, too."""
        inside, add = self.maker.get(power.inputs[0]), self.only_reader(power)
        one = other(add, "Add", power.outputs[0])
        if one is None or self.number(one) != 1.0 or add is None or inside is None:
            return
        last = self.only_reader(add)
        x = other(last, "Div", add.outputs[0])
        if last is None or x is None or last.inputs[0] != x or self.number(x) is not None:
            return
        if inside.op != "Neg" or self.only_reader(inside) is not power:
            return
        z = inside.inputs[0]
        if x == z:
            made = Node("Swish", last.name, [x], last.outputs, {}, last.opset)
            return self._replace([inside, power, add], last, made)
        gate = Node("Sigmoid", add.name, [z], add.outputs, {}, add.opset)
        self._replace([inside, power], add, gate)
        self.new[id(last)] = Node("Mul", last.name, [x, *add.outputs], last.outputs, {}, last.opset)

    def _ids(self, cast: Node) -> None:
        """Pass floats on that are made whole numbers to pick rows: embeddings refuse others."""
        made, readers = cast.outputs[0], self.readers.get(cast.outputs[0], [])
        rows = all(n.op == "Gather" and n.inputs[0] != made for n in readers)
        if readers and rows and made not in self.outputs and cast.get("to", 1) in WHOLE:
            self.new[id(cast)] = Node("Identity", cast.name, cast.inputs, [made], {}, cast.opset)

    def _lengths(self, cast: Node) -> None:
        """Pass floats on that are made whole numbers to count steps: layers refuse others."""
        if cast.get("to", 1) not in WHOLE or self.outputs & {*cast.outputs}:
            return
        names = dict.fromkeys(cast.outputs)
        left = [*names]
        while left:
            name = left.pop()
            for node in self.readers.get(name, []):
                if node.op in MOVED and node.inputs[0] == name:
                    left += [out for out in node.outputs if out not in names]
                    names |= dict.fromkeys(node.outputs)
                elif node.op != "Less" and (
                    node.op not in RECURRENT or node.inputs.index(name) != LENGTHS
                ):
                    return
        if any(name in self.readers for name in names):
            self.new[id(cast)] = Node(
                "Identity", cast.name, cast.inputs[:1], cast.outputs, {}, cast.opset
            )

    def _hold(self, where: Node) -> None:
        """Have an LSTM, or one like it, leave its last h behind a sample's length, not 0."""
        less = self.maker.get(where.inputs[0])
        if less is None or less.op != "Less" or len(where.inputs) != 3:
            return
        (y, *between), last, ends = (
            self._moved(name) for name in (*where.inputs[1:], less.inputs[1])
        )
        cell = self.maker.get(y)
        if cell is None or cell.op not in RECURRENT or len(cell.inputs) <= LENGTHS:
            return
        known = self.array(less.inputs[0])
        if known is None or not np.array_equal(known.reshape(-1), np.arange(known.size)):
            return
        wanted = [*cell.outputs[:2], self._moved(cell.inputs[LENGTHS])[0]]
        alone = all(self.readers[name] == self.readers[name][:1] for name in (y, *between))
        if [y, last[0], ends[0]] == wanted and alone and self.only_reader(less) is where:
            given = {**cell.attributes, HOLD: 1}
            self.new[id(cell)] = replace(cell, attributes=given)
            self.new[id(where)] = Node(
                "Identity", where.name, where.inputs[1:2], where.outputs, {}, where.opset
            )
            self.gone.add(id(less))

    def _moved(self, name: str) -> list[str]:
        """Return a tensor before its axes were moved, and what it was called on the way."""
        found = [name]
        while (maker := self.maker.get(found[0])) is not None and maker.op in MOVED:
            if len(found) > len(self.nodes):  # they read each other, which is refused later
                break
            found.insert(0, maker.inputs[0])
        return found

    def _turned(self, product: Node) -> Node:
        """X @ W^T of a weight that the file names: the layer of W may be there, too."""
        x, weight = [*product.inputs, "", ""][:2]
        maker = self.maker.get(weight)
        if maker is None or maker.op != "Transpose" or maker.get("perm", [1, 0]) != [1, 0]:
            return product
        source = self.weights.get(maker.inputs[0])
        if source is None or np.ndim(source) != 2 or x in self.weights:
            return product
        made = Node(product.op, product.name, [x, maker.inputs[0]], product.outputs,
                    {TURNED: 1}, product.opset)  # fmt: skip
        self.new[id(product)] = made
        return made

    def _dense(self, node: Node) -> None:
        """X @ W + b of weights that the file names."""
        product = self._turned(node)
        last = self.only_reader(product)
        bias = other(last, "Add", product.outputs[0])
        x, weight = [*product.inputs, "", ""][:2]
        if last is None or bias is None or bias not in self.weights or weight not in self.weights:
            return
        turned = product.get(TURNED, 0)
        shape = np.shape(self.weights[weight])[:: -1 if turned else 1]
        if x not in self.weights and len(shape) == 2 and np.shape(self.weights[bias]) == shape[1:]:
            made = Node(DENSE, product.name, [x, weight, bias], last.outputs,
                        {TURNED: turned}, product.opset)  # fmt: skip
            self._replace([node], last, made)

    def _replace(self, inner: Sequence[Node], last: Node, made: Node) -> None:
        self.gone.update(map(id, inner))
        self.new[id(last)] = made


def other(node: Node | None, op: str, of: str) -> str | None:
    """Return what a node of two operands reads besides `of`; None where it is no such node."""
    if node is None or node.op != op or len(node.inputs) != 2 or of not in node.inputs:
        return None
    return node.inputs[1 - node.inputs.index(of)]
