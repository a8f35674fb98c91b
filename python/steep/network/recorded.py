"""Notes the ops of a network as it is lowered, for those who write or draw it. Neither is here."""

from collections.abc import Callable
from typing import Any

from .. import _core
from ..exporting.steps import Call, Recorded, Step
from .built import describe
from .description import sizes
from .scope import TENSORS, WEIGHTED, Scope
from .tensor import Shape

# Ops whose first argument is a tensor and whose others are parameters.
_BY_PARAMETERS = frozenset({*WEIGHTED, "add_row", "multiply_row"})


class _Noting:
    """A native graph under construction that notes what is added."""

    def __init__(self) -> None:
        self.graph = _core.Graph()
        self.scope: Scope | None = None
        self.steps: list[Step] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.shapes: dict[int, Shape] = {}
        self._parameters: dict[int, str] = {}
        self._calls: dict[int, int] = {}  # number of each row of the summary

    def input(self, shape: Shape) -> int:
        self.inputs.append(self.graph.input(shape))
        self.shapes[self.inputs[-1]] = tuple(shape)
        return self.inputs[-1]

    def parameter(self, name: str, *about: Any) -> int:
        index = self.graph.parameter(name, *about)
        self._parameters[index] = name
        return index

    def output(self, tensors: list[int]) -> None:
        self.graph.output(tensors)
        self.outputs = list(tensors)

    def concat(self, tensors: list[int], axis: int = -1) -> int:
        return self._note("concat", tuple(tensors), (), {"axis": axis})

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        if kind not in _core.ops():
            return getattr(self.graph, kind)  # type: ignore[no-any-return]

        def add(*given: int, **attributes: Any) -> int:
            count = TENSORS.get(kind, 1) if kind in _BY_PARAMETERS else len(given)
            return self._note(kind, given[:count], given[count:], attributes)

        return add

    def _note(
        self, kind: str, tensors: tuple[int, ...], given: tuple[int, ...], attributes: Any
    ) -> int:
        if kind == "concat":
            out = self.graph.concat(list(tensors), **attributes)
        else:
            out = getattr(self.graph, kind)(*tensors, *given, **attributes)
        assert self.scope is not None
        rows = [row for row, _ in self.scope._stack]
        for row in self.scope.rows[len(self._calls) :]:
            self._calls[id(row)] = len(self._calls)
        path, calls = tuple(row.name for row in rows), tuple(self._calls[id(row)] for row in rows)
        names = tuple(self._parameters[p] for p in given)
        self.steps.append(Step(kind, tensors, names, dict(attributes), out, path, calls))
        self.shapes[out] = tuple(self.graph.shape(out))
        return out


def recorded(net: Any) -> Recorded:
    """Return the ops of a network of known inputs, with its weights as they are."""
    noting: Any = _Noting()
    noting.scope = Scope(inherits=False, graph=noting)
    shapes = net._known_shapes() if net.input_shapes is None else net.input_shapes
    about = describe(net, shapes, noting.scope)
    values = net._looked().native.values()
    names = [weight.name for weight in about.weights.values()]
    outputs = net.output_names
    if outputs is None:
        count = len(noting.outputs)
        outputs = ["output"] if count == 1 else [f"output_{k}" for k in range(count)]
    return Recorded(
        noting.steps,
        noting.inputs,
        noting.outputs,
        list(outputs),
        noting.shapes,
        dict(zip(names, values, strict=True)),
        [Call(row.name, row.kind, row.shape, sum(sizes(row.weights))) for row in about.rows],
    )
