"""Which tensors of an ONNX graph are asked for, and which of its nodes they need. No networks."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from .onnx_node import Node

MOST_NAMED = 4  # tensors that a refusal proposes
_QUANTISED = ("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger",
              "QLinearConv", "QLinearMatMul", "QuantizeLinear")  # fmt: skip
CURES: Mapping[tuple[str, ...], str] = {
    _QUANTISED: "quantised numbers do not train: read the file that was quantised",
}
CLASSIFIER = "ai.onnx.ml.LinearClassifier"  # whose first output, labels, is none that steep has


def names_of(outputs: str | Sequence[str] | None) -> list[str] | None:
    """Return the names of tensors that a caller asks for, None for the file's own outputs.

    Raises
    ------
    TypeError, ValueError
        If they are no names.
    """
    if outputs is None:
        return None
    names = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"outputs is {outputs!r}; names of tensors are strings")
    if not names or len({*names}) < len(names):
        raise ValueError(f"outputs is {outputs!r}; each tensor has one name")
    return [*names]


def wanted(graph: Any, names: list[str] | None) -> list[str]:
    """Return the names of the tensors that a network is to give: the graph's outputs, or others.

    Raises
    ------
    ValueError
        If no node gives one of them.
    """
    own = [entry.name for entry in graph.output]
    if names is None:
        return own
    given = {name for node in graph.node for name in node.output}
    for name in names:
        if name not in given:
            raise ValueError(f"outputs: no node gives {name!r}; the file's own are {own}")
    return names


def reads(node: Any) -> list[str]:
    """Return what a node reads: its inputs, and what its branches read from outside."""
    found = dict.fromkeys(node.input)
    for branch in (a.g for a in node.attribute if a.HasField("g")):
        own = {w.name for w in branch.initializer}
        for inner in branch.node:
            found |= dict.fromkeys(name for name in reads(inner) if name not in own)
            own.update(inner.output)
        found |= dict.fromkeys(out.name for out in branch.output if out.name not in own)
    return [*found] if len(found) > len(node.input) else [*node.input]


def needed(nodes: Iterable[Any], names: Iterable[str]) -> list[Any]:
    """Return the nodes that some tensors need, in their order."""
    read, kept = set(names), []
    for node in reversed([*nodes]):
        if read.intersection(node.output):
            read.update(reads(node))
            kept.append(node)
    return kept[::-1]


def lacking(nodes: Sequence[Node], known: Container[str], outputs: Sequence[str]) -> list[Node]:
    """Return nodes that cannot be read: unknown ones, classifiers whose labels are asked for."""
    read = {*outputs, *(name for node in nodes for name in node.inputs)}
    return [
        node
        for node in nodes
        if node.op not in known or (node.op == CLASSIFIER and read.intersection(node.outputs[:1]))
    ]


def refused(
    nodes: Sequence[Node], gone: Sequence[Node], inputs: Iterable[str], outputs: Sequence[str],
    rows: Container[str],
) -> str:  # fmt: skip
    """Return what is said of nodes that cannot be read, and what can be asked for without them.

    `rows` are the operators that take tensors.
    """
    named: dict[str, list[str]] = {}
    for node in gone:
        named.setdefault(node.op, []).append(node.name)
    each = (f"{op} (nodes {', '.join(names)})" for op, names in sorted(named.items()))
    said = f"has operators that steep does not have: {'; '.join(each)}"
    cures = [cure for ops, cure in CURES.items() if any(named.keys() & {*ops})]
    if left := _left(nodes, gone, inputs, outputs, rows):
        cures.append(f"outputs={left} reads what needs none of them")
    return "; ".join([said, *cures])


def _left(
    nodes: Sequence[Node], gone: Sequence[Node], inputs: Iterable[str], outputs: Sequence[str],
    rows: Container[str],
) -> list[str]:  # fmt: skip
    """Return outputs that need none of some nodes; where there are none, what those nodes read."""
    whole, reached, bad = set(map(id, gone)), {*inputs}, set[str]()
    for node in nodes:
        tensors = bool(reached.intersection(node.inputs)) and node.op != "Shape"
        if bad.intersection(node.inputs) or (tensors and node.op not in rows):
            bad.update(node.outputs)
        elif id(node) in whole:
            bad.update(node.outputs[: 1 if node.op == CLASSIFIER else None])
        if tensors:
            reached.update(node.outputs)
    left = reached.difference(bad, inputs)
    own = [name for name in outputs if name in left]
    before = [name for node in gone for name in node.inputs if name in left]
    return own or [*dict.fromkeys(before)][:MOST_NAMED]
