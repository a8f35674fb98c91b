"""Reads an ONNX file: what it claims is held against its size before anything is made of it.

What operators become is in `onnx_rows`; constants are computed in `folding`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..exporting.onnx_file import HOW_TO_GET, LARGEST
from ..network.model import Model
from .builder import Builder, entering, laid_out, model
from .folding import FOLDS, Batch, for_samples
from .onnx_arrays import array, attribute
from .onnx_attention import Product, followed
from .onnx_batch import Joined, beside, together
from .onnx_inputs import Sizes, agreed, asked, by_name, sizes_of
from .onnx_node import MOVING, Missing, Node, all_axes, constant
from .onnx_outputs import lacking, names_of, needed, reads, refused, wanted
from .onnx_patterns import simplified
from .onnx_rows import MOVING_BATCH, ROWS, WINDOWED
from .views import View, leaving, size_of
from .weights import Weight

OLDEST, NEWEST = 7, 28  # opsets whose meaning is known here


def from_onnx(
    path: str | PathLike[str],
    *,
    shapes: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    outputs: str | Sequence[str] | None = None,
) -> Model:
    """Return the network that an ONNX file describes, with its weights.

    It predicts, trains and is saved as any other. Images come in, and go out, as steep has them:
    (height, width, channels), wherever the file has channels first; what has another meaning for
    each axis keeps its axes. Weights keep their bits and, where they begin with the layer's name
    (``conv1.weight``), their names. docs/interchange.md lists the operators that are known.

    Parameters
    ----------
    path
        Of the file, opset 7 to 28, weights inside. The first axis of inputs is the batch; of series
        that recurrent operators read with time first it is the second. Here it is always the first.
    shapes
        Of a sample as the file has it, ``(3, 224, 224)``, where the file leaves sizes open; of
        several inputs by name.
    outputs
        Names of tensors of the file that the network is to give instead of the file's outputs:
        probabilities without labels, or what a layer in its middle gives. What they do not need
        is not read.

    Returns
    -------
    Model
        With the file's outputs, or those asked for, by name where there are several.

    Raises
    ------
    ImportError
        If the package `onnx` is not installed: ``pip install 'steep[onnx]'``.
    OSError
        If there is no such file.
    TypeError
        If `shapes` or `outputs` are of another kind.
    ValueError
        If it is damaged, or has operators that steep does not have: all of them, with their nodes.
        If `shapes` do not fit the file's inputs, or no node gives one of `outputs`.
    """
    sizes, names = sizes_of(shapes), names_of(outputs)
    try:
        import onnx  # noqa: PLC0415 - an extra
    except ImportError:
        raise ImportError(HOW_TO_GET) from None
    where = fspath(path)
    if Path(path).stat().st_size > LARGEST:
        raise ValueError(f"{where}: an ONNX file has at most 2 GB")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(Path(path).read_bytes())
    except Exception as error:  # of protobuf, whose classes differ by version
        raise ValueError(f"{where}: is no ONNX file, or damaged ({error})") from None
    try:
        return _Reading(onnx, proto, sizes, names).model()
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"{where}: {error}") from None


class _Reading:
    """One file on its way to a network."""

    def __init__(self, onnx: Any, proto: Any, sizes: Sizes, names: list[str] | None) -> None:
        self.onnx = onnx
        versions = {entry.domain: entry.version for entry in proto.opset_import}
        self.opset = versions.get("", versions.get("ai.onnx", 0))
        if not OLDEST <= self.opset <= NEWEST:
            raise ValueError(
                f"has opset {self.opset}; {OLDEST} to {NEWEST} are known, onnx.version_converter "
                "brings others to one of them"
            )
        if proto.functions:
            raise ValueError(
                "has functions of its own; onnx.inliner.inline_local_functions puts them in place"
            )
        graph = proto.graph
        if graph.sparse_initializer:
            raise ValueError("has sparse initializers, which are not known here")
        self.outputs = wanted(graph, names)
        nodes = graph.node if names is None else needed(graph.node, self.outputs)
        self.weights = {w.name: array(onnx, w) for w in graph.initializer}
        entries = [entry for entry in graph.input if entry.name not in self.weights]
        shapes = by_name(sizes, [entry.name for entry in entries])
        if names is not None:
            read = {name for node in nodes for name in reads(node)}
            entries = [entry for entry in entries if entry.name in read]
        if not entries:
            raise ValueError("has no inputs")
        self.inputs = agreed(
            [asked(entry, nodes, self.outputs, shapes.get(entry.name)) for entry in entries]
        )
        self.nodes = simplified(
            [self._node(k, node) for k, node in enumerate(nodes)], {*self.outputs}, self.weights
        )

    def model(self) -> Model:
        """Build it, with images' channels last or as they are: whichever moves fewer numbers."""
        known = {*ROWS, *FOLDS, "If", "Shape"}
        if gone := lacking(self.nodes, known, self.outputs):
            names = [given.name for given in self.inputs]
            raise ValueError(refused(self.nodes, gone, names, self.outputs, ROWS))
        stems = frozenset(name.rpartition(".")[0] for name in self.weights)
        ways = self._ways()
        return model(*laid_out(self._walk, ways, stems, surely=ways[0]))

    def _ways(self) -> tuple[bool, ...]:
        """Return whether channels are to be last, likelier ways first: by what images meet."""
        if not any(node.op in WINDOWED for node in self.nodes):
            return (False,)
        ahead = {given.name for given in self.inputs}
        for node in self.nodes:
            if ahead.intersection(node.inputs):
                if node.op in WINDOWED:
                    return True, False
                if node.op in ("Transpose", "Reshape"):
                    return False, True
                ahead.update(node.outputs)
        return False, True

    def _walk(self, builder: Builder) -> tuple[list[Any], Any]:
        values: dict[str, Any] = {name: Weight(w, name) for name, w in self.weights.items()}
        inputs = []
        builder.samples = max(given.batch for given in self.inputs)
        for given in self.inputs:
            x, v = entering(given.shape, last=builder.last and not given.place)
            values[given.name] = replace(v, batch=given.place)
            inputs.append(x)
        problems: list[str] = []
        for node in self.nodes:
            self._run(builder, node, values, problems)
        if problems:
            raise ValueError("cannot read " + "; ".join(problems))
        return inputs, self._outputs(values, builder)

    def _run(
        self, builder: Builder, node: Node, values: dict[str, Any], problems: list[str]
    ) -> None:
        """Put one node behind what it reads; note what is wrong with it and go on."""
        if any(name and name not in values for name in node.inputs):
            unknown = [name for name in node.inputs if name and name not in values]
            raise ValueError(f"{node}: reads {unknown[0]!r}, which nothing before it gives")
        given = [values[name] if name else None for name in node.inputs]
        if any(isinstance(value, Missing) for value in given):
            found: Any = Missing()
        else:
            try:
                if node.op == "If":
                    found = self._chosen(builder, node, values, problems)
                else:
                    found = _shape(node, given) or self._computed(builder, node, given)
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
                text = f"needs {error}" if isinstance(error, KeyError) else str(error)
                problems.append(f"{node}: {text}")
                found = Missing()
        several = found if isinstance(found, (list, tuple)) else [found] * len(node.outputs)
        values.update(zip(node.outputs, several, strict=False))

    def _chosen(
        self, builder: Builder, node: Node, values: Mapping[str, Any], problems: list[str]
    ) -> list[Any]:
        """Return what the branch gives that a condition on shapes, or a constant one, takes."""
        condition = constant(values[node.inputs[0]], "its condition").value
        branch = node.get("then_branch" if bool(condition.reshape(())) else "else_branch", None)
        if branch is None:
            raise ValueError("has no such branch")
        own = {w.name: array(self.onnx, w) for w in branch.initializer}
        inner = {**values, **{name: Weight(value, name) for name, value in own.items()}}
        names = [entry.name for entry in branch.output]
        nodes = [self._node(k, proto) for k, proto in enumerate(branch.node)]
        for part in simplified(nodes, {*names}, {**self.weights, **own}):
            self._run(builder, part, inner, problems)
        return [inner[name] for name in names]

    def _computed(self, builder: Builder, node: Node, given: Sequence[Any]) -> Any:
        if _elsewhere(node, given):
            return beside(builder, node, given, self._computed)
        if any(isinstance(value, Product) for value in given):
            found = followed(builder, node, given)
            if found is not None:
                return found
            given = [builder.alone(value) for value in given]
        known = all(value is None or isinstance(value, Weight) for value in given)
        if known and (found := for_samples(node, given)) is not None:
            return found
        if known and node.op in FOLDS:
            arrays = [None if value is None else value.value for value in given]
            made = FOLDS[node.op](node, *arrays)
            if isinstance(made, list):
                return [Weight(value, sources=_sources(node, given)) for value in made]
            return Weight(made, _name(node, given, made), sources=_sources(node, given))
        if known:
            raise ValueError("reads constants only; run the file through onnxsim first")
        if node.op not in ROWS:
            raise ValueError("is an operator that steep does not have")
        return ROWS[node.op](builder, node, *given)

    def _outputs(self, values: dict[str, Any], builder: Builder) -> Any:
        found = {}
        for name in self.outputs:
            value = builder.alone(values.get(name))
            if isinstance(value, Joined):
                value = together(replace(value, v=builder.alone(value.v)))
            if isinstance(value, Joined):
                raise ValueError(f"output {name!r} has samples in one axis with others")
            if not isinstance(value, View):
                raise ValueError(f"output {name!r} does not depend on the inputs")
            last = builder.last and not value.batch
            found[name] = leaving(value, builder.moves, last=last)
        if not found:
            raise ValueError("has no outputs")
        plain_names = all(name and "/" not in name for name in found)
        if len(found) > 1 and plain_names:
            return found
        return [*found.values()] if len(found) > 1 else next(iter(found.values()))

    def _node(self, place: int, proto: Any) -> Node:
        name = proto.name or f"{proto.op_type}_{place}"
        if not proto.output:
            raise ValueError(f"node {name!r} ({proto.op_type}) gives nothing")
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        attributes = {a.name: attribute(self.onnx, a) for a in proto.attribute}
        return Node(
            f"{domain}{proto.op_type}", name, reads(proto), list(proto.output), attributes,
            self.opset,
        )  # fmt: skip


def _shape(node: Node, given: Sequence[Any]) -> Weight | None:
    """Return what Shape gives of a tensor, or of a product not made yet; None for other nodes."""
    x = given[0] if given else None
    if node.op != "Shape" or not isinstance(x, (Joined, Product, View)):
        return None
    if isinstance(x, View):
        sizes = [Batch(1) if axis is None else size_of(axis) for axis in all_axes(x)]
    else:
        sizes = x.sizes if isinstance(x, Joined) else [Batch(1), *x.shape]
    return Weight(np.array(sizes, object)[slice(node.get("start", 0), node.get("end", None))])


def _elsewhere(node: Node, given: Sequence[Any]) -> bool:
    """Say whether samples lie where the row of an operator would not know of it."""
    moved = any(isinstance(value, View) and value.batch for value in given)
    joined = any(isinstance(value, Joined) for value in given)
    return joined or (moved and node.op not in MOVING_BATCH)


def _name(node: Node, given: Sequence[Any], made: Any) -> str:
    """Return the name of a weight that is moved, or repeated once."""
    if not given or node.op not in (*MOVING, "Expand", "Tile"):
        return ""
    whole = node.op in MOVING or made.shape == given[0].value.shape
    return str(given[0].name) if whole else ""


def _sources(node: Node, given: Sequence[Any]) -> tuple[str, ...]:
    """Return the weights that moved numbers come from."""
    if node.op not in (*MOVING, "Concat", "Gather", "Slice", "Split"):
        return ()
    joined = given if node.op == "Concat" else given[:1]
    return tuple(
        name
        for value in joined
        if value is not None
        for name in value.sources or (value.name,)
        if name
    )
