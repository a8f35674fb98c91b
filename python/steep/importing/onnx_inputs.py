"""What an ONNX graph says of its inputs. What becomes of them: `onnx_file`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, TypeAlias

from .onnx_arrays import LARGEST_AXIS
from .onnx_node import MOVING
from .onnx_patterns import RECURRENT

KINDS = (1, 10, 11)  # of floats
TEXT = 8
Sizes: TypeAlias = tuple[int, ...] | Mapping[str, tuple[int, ...]] | None


@dataclass
class Asked:
    """What the graph says of an input."""

    name: str
    batch: int  # 0 where it is open
    shape: tuple[int, ...]  # without it
    place: int = 0  # of the batch


def sizes_of(shapes: Any) -> Sizes:
    """Return the shapes of a sample that a caller gave, as tuples.

    Raises
    ------
    TypeError, ValueError
        If they are none.
    """
    if shapes is None:
        return None
    if isinstance(shapes, Mapping):
        return {str(name): _sizes(f"shapes[{name!r}]", given) for name, given in shapes.items()}
    return _sizes("shapes", shapes)


def _sizes(what: str, sizes: Any) -> tuple[int, ...]:
    """Return a shape of whole numbers from 1 on."""
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"{what} is {sizes!r}; a sample has a shape such as (3, 224, 224)")
    if not all(isinstance(n, Integral) and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"{what} is {sizes!r}; sizes are whole numbers")
    if not sizes or not all(0 < n <= LARGEST_AXIS for n in sizes):
        raise ValueError(f"{what} is {sizes!r}; sizes are 1 to {LARGEST_AXIS}")
    return tuple(map(int, sizes))


def by_name(shapes: Sizes, names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes a caller gave by the names of inputs.

    Raises
    ------
    ValueError
        If they are of no input.
    """
    if isinstance(shapes, tuple):
        if len(names) != 1:
            raise ValueError(f"shapes: a shape for each of the inputs {[*names]}, by name")
        return {names[0]: shapes}
    for name in shapes or {}:
        if name not in names:
            raise ValueError(f"shapes: no input is called {name!r}; there are {[*names]}")
    return shapes or {}


def asked(
    entry: Any, nodes: Sequence[Any], outputs: Sequence[str], shape: tuple[int, ...] | None
) -> Asked:
    """Return what the graph says of an input, with the shape that a caller gave of a sample.

    Raises
    ------
    ValueError
        If it is none that a network has.
    """
    dims = entry.type.tensor_type.shape.dim
    if not entry.type.HasField("tensor_type") or not (dims or shape):
        raise ValueError(
            f"input {entry.name!r} is no tensor (batch, ...); a number that is the same for all "
            "samples is an initializer of the file"
        )
    _floats_or_rows(entry, nodes, outputs)
    sizes = [_size(dim) for dim in dims] or [None] * (1 + len(shape or ()))
    words = [dim.dim_param or str(dim.dim_value) for dim in dims] or ["?"] * len(sizes)
    place = _batch_of(nodes, entry.name, sizes, given=shape is not None)
    of_sample = [n for k, n in enumerate(sizes) if k != place]
    if shape is not None:
        fits = len(of_sample) == len(shape)
        if not fits or any(n not in (None, m) for n, m in zip(of_sample, shape, strict=True)):
            raise ValueError(
                f"input {entry.name!r} has shape ({', '.join(words)}), a batch at axis {place}; "
                f"samples of shape {shape} do not fit"
            )
        of_sample = [*shape]
    if any(n is None or n > LARGEST_AXIS for n in of_sample):
        example = ", ".join(word if n else "..." for word, n in zip(words, sizes, strict=True))
        raise ValueError(
            f"input {entry.name!r} has shape ({', '.join(words)}); sizes other than the batch "
            f"must be known: shapes={{{entry.name!r}: ...}} gives those of a sample, of "
            f"({example}) without axis {place}"
        )
    return Asked(entry.name, sizes[place] or 0, tuple(n or 0 for n in of_sample), place)


def _size(dim: Any) -> int | None:
    """Return how long an axis is, None where the file leaves it open."""
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None


def agreed(inputs: Sequence[Asked]) -> list[Asked]:
    """Return inputs of one number of samples: states of recurrent layers have it second.

    Raises
    ------
    ValueError
        If there is no such number.
    """
    batches = {given.batch for given in inputs} - {0}
    if len(batches) < 2:
        return [*inputs]
    ways = []
    for n in sorted(batches):
        moved = [
            replace(x, batch=n, shape=(x.batch, *x.shape[1:]), place=1)
            if x.batch not in (0, n) and not x.place and x.shape[:1] == (n,)
            else x
            for x in inputs
        ]
        if all(x.batch in (0, n) for x in moved):
            ways.append(moved)
    if len(ways) != 1:
        raise ValueError(f"has inputs of other numbers of samples: {sorted(batches)}")
    return ways[0]


def _batch_of(nodes: Sequence[Any], name: str, sizes: Sequence[int | None], *, given: bool) -> int:
    """Return which axis of an input is the batch: the second of sequences with time first."""
    timed = [
        node
        for node in nodes
        if node.op_type in RECURRENT and not any(a.name == "layout" and a.i for a in node.attribute)
    ]
    free = [k for k, n in enumerate(sizes) if n is None]
    if len(sizes) < 3:
        return 0
    if free == [1] and (timed or sizes[0] != 1):  # one sample of any length is none of these
        return 1
    first = not free or (given and free[:2] == [0, 1])
    return int(first and any(name in node.input for node in timed))


def _floats_or_rows(entry: Any, nodes: Sequence[Any], outputs: Sequence[str]) -> None:
    """Refuse texts, and whole numbers that are neither made floats nor pick rows of tables."""
    kind, name = entry.type.tensor_type.elem_type, entry.name
    if kind == TEXT:
        raise ValueError(f"input {name!r} has texts; steep computes in floats")
    if kind in KINDS:
        return
    whole = {name}
    for node in nodes:
        if not whole.intersection(node.input):
            continue
        if node.op_type in (*MOVING, "Slice") and node.input[0] in whole:
            whole.update(node.output)
        elif not _takes_whole(node, whole):
            raise ValueError(
                f"input {name!r} has whole numbers, with which {node.name!r} ({node.op_type}) "
                "computes; steep computes in floats, and whole numbers pick rows of tables: where "
                "that node takes floats, too, declare the input as float, with a Cast before what "
                "picks rows"
            )
    if whole.intersection(outputs):
        raise ValueError(f"input {name!r} has whole numbers and is an output; steep has floats")


def _takes_whole(node: Any, whole: set[str]) -> bool:
    """Say whether a node reads whole numbers as lengths, positions or rows of a table."""
    if node.op_type in RECURRENT:
        return not whole.intersection([*node.input[:4], *node.input[5:]])
    if node.op_type == "RotaryEmbedding":
        return not whole.intersection(node.input[:3])
    rows = node.op_type == "Gather" and node.input[0] not in whole
    return rows or node.op_type in ("Cast", "Shape")
