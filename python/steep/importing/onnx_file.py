"""Reads an ONNX file: what it claims is held against its size before anything is made of it.

What operators become is in `onnx_rows`; constants are computed in `folding`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..exporting.onnx_file import HOW_TO_GET, LARGEST
from ..network.model import Model
from .builder import Builder, entering, laid_out, model
from .folding import FOLDS, Batch
from .onnx_node import Missing, Node
from .onnx_patterns import simplified
from .onnx_rows import ROWS, WINDOWED
from .views import View, leaving
from .weights import Weight

Array: TypeAlias = NDArray[Any]
LARGEST_AXIS = (1 << 31) - 1
MOVING = ("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze")  # a weight stays itself
OLDEST, NEWEST = 7, 28  # opsets whose meaning is known here
# Elements of a tensor: how NumPy has them, and where they are when they are not raw bytes.
_KINDS: Mapping[str, tuple[str, str]] = {
    "FLOAT": ("<f4", "float_data"),
    "DOUBLE": ("<f8", "double_data"),
    "FLOAT16": ("<f2", "int32_data"),
    "INT64": ("<i8", "int64_data"),
    "INT32": ("<i4", "int32_data"),
    "INT16": ("<i2", "int32_data"),
    "INT8": ("i1", "int32_data"),
    "UINT8": ("u1", "int32_data"),
    "UINT16": ("<u2", "int32_data"),
    "BOOL": ("?", "int32_data"),
}


def from_onnx(path: str | PathLike[str]) -> Model:
    """Return the network that an ONNX file describes, with its weights.

    It predicts, trains and is saved as any other. Images come in, and go out, as steep has them:
    (height, width, channels), wherever the file has channels first; what has another meaning for
    each axis keeps its axes. Weights keep their bits and, where they begin with the layer's name
    (``conv1.weight``), their names. docs/interchange.md lists the operators that are known.

    Parameters
    ----------
    path
        Of the file, opset 7 to 28, weights inside. Its first axis is the batch.

    Returns
    -------
    Model
        With the file's outputs, by name where there are several.

    Raises
    ------
    ImportError
        If the package `onnx` is not installed: ``pip install 'steep[onnx]'``.
    OSError
        If there is no such file.
    ValueError
        If it is damaged, or has operators that steep does not have: all of them, with their nodes.
    """
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
        return _Reading(onnx, proto).model()
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"{where}: {error}") from None


@dataclass
class Asked:
    """What the graph says of an input."""

    name: str
    batch: int  # 0 where it is open
    shape: tuple[int, ...]  # without it


class _Reading:
    """One file on its way to a network."""

    def __init__(self, onnx: Any, proto: Any) -> None:
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
        self.graph = proto.graph
        if self.graph.sparse_initializer:
            raise ValueError("has sparse initializers, which are not known here")
        self.weights = {w.name: self.array(w) for w in self.graph.initializer}
        self.inputs = [
            self._asked(entry) for entry in self.graph.input if entry.name not in self.weights
        ]
        if not self.inputs:
            raise ValueError("has no inputs")
        batches = {asked.batch for asked in self.inputs} - {0}
        if len(batches) > 1:
            raise ValueError(f"has inputs of other numbers of samples: {sorted(batches)}")
        self.nodes = simplified(
            [self._node(k, node) for k, node in enumerate(self.graph.node)],
            {entry.name for entry in self.graph.output},
            self.weights,
        )

    def model(self) -> Model:
        """Build it, with images' channels last or as they are: whichever moves fewer numbers."""
        self._refuse_unknown()
        stems = frozenset(name.rpartition(".")[0] for name in self.weights)
        return model(*laid_out(self._walk, self._ways(), stems))

    def _ways(self) -> tuple[bool, ...]:
        """Return whether channels are to be last, likelier ways first: by what images meet."""
        if not any(node.op in WINDOWED for node in self.nodes):
            return (False,)
        ahead = {asked.name for asked in self.inputs}
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
        for asked in self.inputs:
            x, values[asked.name] = entering(asked.shape, last=builder.last)
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
                found = self._computed(builder, node, given)
            except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
                text = f"needs {error}" if isinstance(error, KeyError) else str(error)
                problems.append(f"{node}: {text}")
                found = Missing()
        several = found if isinstance(found, (list, tuple)) else [found] * len(node.outputs)
        values.update(zip(node.outputs, several, strict=False))

    def _computed(self, builder: Builder, node: Node, given: Sequence[Any]) -> Any:
        constant = all(value is None or isinstance(value, Weight) for value in given)
        if node.op == "Shape" and isinstance(given[0], View):
            axes = np.array([Batch(1), *given[0].shape], object)
            return Weight(axes[slice(node.get("start", 0), node.get("end", None))])
        if constant and node.op in FOLDS:
            arrays = [None if value is None else value.value for value in given]
            made = FOLDS[node.op](node, *arrays)
            if isinstance(made, list):
                return [Weight(value) for value in made]
            kept = given[0].name if given and node.op in MOVING else ""
            return Weight(made, kept)
        if constant:
            raise ValueError("reads constants only; run the file through onnxsim first")
        if node.op not in ROWS:
            raise ValueError("is an operator that steep does not have")
        return ROWS[node.op](builder, node, *given)

    def _outputs(self, values: dict[str, Any], builder: Builder) -> Any:
        found = {}
        for entry in self.graph.output:
            value = values.get(entry.name)
            if not isinstance(value, View):
                raise ValueError(f"output {entry.name!r} does not depend on the inputs")
            found[entry.name] = leaving(value, builder.moves, last=builder.last)
        if not found:
            raise ValueError("has no outputs")
        plain_names = all(name and "/" not in name for name in found)
        if len(found) > 1 and plain_names:
            return found
        return [*found.values()] if len(found) > 1 else next(iter(found.values()))

    def _refuse_unknown(self) -> None:
        lacking: dict[str, list[str]] = {}
        for node in self.nodes:
            if node.op not in ROWS and node.op not in FOLDS and node.op != "Shape":
                lacking.setdefault(node.op, []).append(node.name)
        if lacking:
            each = (f"{op} (nodes {', '.join(names)})" for op, names in sorted(lacking.items()))
            raise ValueError(f"has operators that steep does not have: {'; '.join(each)}")

    def _asked(self, entry: Any) -> Asked:
        dims = entry.type.tensor_type.shape.dim
        if not entry.type.HasField("tensor_type") or not dims:
            raise ValueError(f"input {entry.name!r} is no tensor (batch, ...)")
        kind = entry.type.tensor_type.elem_type
        if kind not in (1, 10, 11) and not self._named(entry.name):
            raise ValueError(f"input {entry.name!r} has whole numbers; steep computes in floats")
        sizes = tuple(int(dim.dim_value) for dim in dims[1:])
        if any(not 0 < n <= LARGEST_AXIS for n in sizes):
            words = [dim.dim_param or str(dim.dim_value) for dim in dims]
            raise ValueError(
                f"input {entry.name!r} has shape ({', '.join(words)}); sizes other than the batch "
                "must be known: onnx.tools.update_model_dims sets them"
            )
        return Asked(entry.name, int(dims[0].dim_value), sizes)

    def _named(self, name: str) -> bool:
        """Say whether whole numbers are only made floats, or rows of tables."""
        whole = {name}
        for node in self.graph.node:
            if not whole.intersection(node.input):
                continue
            if node.op_type in (*MOVING, "Slice") and node.input[0] in whole:
                whole.update(node.output)
            elif node.op_type != "Cast" and (node.op_type != "Gather" or node.input[0] in whole):
                return False
        return not whole.intersection(entry.name for entry in self.graph.output)

    def _node(self, place: int, proto: Any) -> Node:
        name = proto.name or f"{proto.op_type}_{place}"
        if not proto.output:
            raise ValueError(f"node {name!r} ({proto.op_type}) gives nothing")
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
        attributes = {a.name: self._attribute(name, a) for a in proto.attribute}
        return Node(
            f"{domain}{proto.op_type}", name, list(proto.input), list(proto.output), attributes,
            self.opset,
        )  # fmt: skip

    def _attribute(self, node: str, proto: Any) -> Any:
        kinds = self.onnx.AttributeProto
        if proto.type == kinds.TENSOR:
            return self.array(proto.t)
        if proto.type == kinds.STRING:
            return proto.s.decode()
        if proto.type in (kinds.FLOAT, kinds.INT):
            return proto.f if proto.type == kinds.FLOAT else proto.i
        if proto.type in (kinds.FLOATS, kinds.INTS):
            return [*(proto.floats if proto.type == kinds.FLOATS else proto.ints)]
        if proto.type == kinds.STRINGS:
            return [text.decode() for text in proto.strings]
        return None  # a graph: its operator is refused by name

    def array(self, proto: Any) -> Array:
        """Return a tensor of the file, whose bytes are all in it.

        Raises
        ------
        ValueError
            If they are elsewhere, of a kind that is not known, or not as many as its shape says.
        """
        name = f"tensor {proto.name!r}"
        if proto.data_location == self.onnx.TensorProto.EXTERNAL or proto.external_data:
            raise ValueError(
                f"{name}: its data are in another file, which is not read; "
                "onnx.save(onnx.load(path), new) puts them inside"
            )
        try:
            kind = self.onnx.TensorProto.DataType.Name(proto.data_type)
        except ValueError:
            kind = str(proto.data_type)
        if kind not in _KINDS:
            raise ValueError(f"{name}: elements of kind {kind} are not known here")
        dims = tuple(proto.dims)
        if any(not 0 <= n <= LARGEST_AXIS for n in dims) or len(dims) > 16:
            raise ValueError(f"{name}: cannot have shape {dims}")
        dtype, place = np.dtype(_KINDS[kind][0]), _KINDS[kind][1]
        if proto.HasField("raw_data"):
            if len(proto.raw_data) != math.prod(dims) * dtype.itemsize:
                raise ValueError(f"{name}: has not the bytes of {dims} elements of {kind}")
            return np.frombuffer(proto.raw_data, dtype).reshape(dims)
        listed = getattr(proto, place)
        if len(listed) != math.prod(dims):
            raise ValueError(f"{name}: has {len(listed)} elements, its shape {dims} wants others")
        if kind == "FLOAT16":  # their bits
            return np.array(listed, np.int32).astype(np.uint16).view(dtype).reshape(dims)
        return np.array(listed).astype(dtype).reshape(dims)
