"""The scope that lowers layers onto a native graph: names, shared weights, mistakes by layer.

What it finds is a `Description`; building a network of it is in `built`.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .. import _core, schedules
from ..checks.numbers import ANY, Range
from ..constraints import constraint_of
from .description import Added, Counts, Description, Key, Part, Row, Source, Weight
from .naming import Names, label
from .tensor import LayerLike, Shape, Tensor

DEEPEST = 250  # layers inside layers: each takes some of Python's stack while it is described

# Before these the weights start with He's variance: about half of their input's is cut away.
RELU_LIKE = frozenset(_core.relu_like())
WAVES = ("cos", "sin")
SLOPED = ("prelu", "rrelu")  # ops that are like them, too

# Ops whose first input is a tensor and whose others are parameters, and how a mistake is told.
WEIGHTED = {
    "matmul": "x @ w expects w to be a parameter",
    "conv2d": "conv2d expects weight and bias to be parameters",
    "conv2d_transpose": "conv2d_transpose expects weight and bias to be parameters",
    "sparse_matmul": "sparse_matmul expects weight to be a parameter",
    "embedding": "embedding expects a tensor of ids and weight to be a parameter",
    "add_table": "add_table expects a tensor and weight to be a parameter",
    "feature_norm": "a norm expects weight and bias to be parameters",
    "spectral_norm": "spectral_norm expects weight, u and bias to be parameters",
    "prelu": "prelu expects its slope to be a parameter",
    "kept_rows": "kept_rows expects states to be a parameter",
    "keep_rows": "keep_rows expects states to be a parameter",
    "recurrent": "recurrent expects weights and biases to be parameters",
    "batch_norm": "batch_norm expects weight, bias and running statistics to be parameters",
}

# Attributes that may be a schedule: what the op is given in their place, where the values must lie
# (of a dropout, what 32 random bits tell from 1), and how a mistake is told.
OF_STEP = {
    "scale": (1.0, ANY, "the scale of a reversal"),
    "rate": (0.0, Range(0.0, 1.0 - 2.0**-24, high_open=False), "the rate of a dropout"),
}
# How many tensors come before their parameters, where it is not one.
TENSORS = {"recurrent": 2}

MULTIPLY = ("matmul", "conv2d", "conv2d_transpose")

being_described: ContextVar["Scope"] = ContextVar("steep_scope")


class Scope:
    """One native graph under construction.

    Parameters
    ----------
    inherits
        Whether nested networks that have weights pass them on.
    replaced
        The Store these weights come in place of, for networks to know theirs.
    graph
        One to go on with, whose inputs and layers are known to others; None: a new one.
    scalars
        What its ops go by that depends on the step, to go on with.
    """

    def __init__(
        self,
        *,
        inherits: bool = True,
        replaced: object = None,
        graph: _core.Graph | None = None,
        scalars: list[schedules.base.OfStep] | None = None,
    ) -> None:
        self.graph = _core.Graph() if graph is None else graph
        self.inherits, self.replaced = inherits, replaced
        self.weights: dict[Key, Weight] = {}  # in order of definition
        self.log: list[tuple[str, Shape]] = []  # parameters as they were asked for, again and again
        self.parts: dict[int, Part] = {}  # nested networks
        self.inherited: dict[Key, Source] = {}  # what nested networks have
        self._names = Names()
        self.rows: list[Row] = []
        self._kinds: dict[int, str] = {}  # op that made a tensor
        self._groups: list[int] = []  # samples that normalisations of vectors take together
        self._first: dict[int, str] = {}  # label of the layer that takes a tensor first
        self._parameters: dict[str, tuple[Tensor, Weight]] = {}  # by full name
        self._products: dict[int, Weight] = {}  # weight that made a tensor
        self._stack: list[tuple[Row, str]] = []  # layers being called, with their labels ...
        self._layers: list[LayerLike] = []  # ... and themselves
        self.losses: list[Added] = []
        self.lengths: dict[int, Counts] = {}  # by tensor
        self.kept: list[tuple[str, int]] = []  # layers that keep rows for the next batch, how many
        self.scalars = [] if scalars is None else scalars
        self._blocks = 0  # recomputed blocks so far ...
        self._block = 0  # ... and the one being described, or 0
        self._spectral: LayerLike | None = None  # divides the next product's weight by its norm

    @property
    def title(self) -> str:
        """The layer being called, for messages."""
        return self._stack[-1][1] if self._stack else "network"

    def input(self, shape: Shape) -> Tensor:
        """Add an input of the network."""
        return Tensor(shape, scope=self, index=self.graph.input(shape))

    def claim(self, layers: Iterable[LayerLike]) -> None:
        """Keep the names of layers to come from those that have none."""
        self._names.claim(layers)

    def run(self, layer: LayerLike, inputs: Sequence[Tensor]) -> Tensor:
        """Call a layer inside this graph."""
        for x in inputs:
            if x._scope is not self:
                raise ValueError(f"{label(layer)}: got tensors of two networks")
        if len(self._stack) >= DEEPEST:
            raise ValueError(
                f"{label(layer)}: more than {DEEPEST} layers stand inside each other; put them one "
                "after the other"
            )
        name = self._names.of(layer)
        row = Row(len(self._stack), name, type(layer).__name__)
        outer, token = self._names.prefix, being_described.set(self)
        title = f'{row.kind} "{name}"'
        for x in inputs:
            self._first.setdefault(x._index, title)
        self.rows.append(row)
        self._stack.append((row, title))
        self._layers.append(layer)
        self.graph.name_next(title)
        if layer.name is not None or getattr(layer, "names_inside", False):
            self._names.prefix = f"{name}."
        try:
            out = layer.call(*inputs)
        finally:
            self._names.prefix = outer
            self._stack.pop()
            self._layers.pop()
            self.graph.name_next(self._stack[-1][1] if self._stack else "")
            being_described.reset(token)
        if not isinstance(out, Tensor) or out._scope is not self or out._parameter:
            raise TypeError(f"{title}: call must return one tensor of its network, got {out!r}")
        row.shape = out.shape
        return out

    def emit(self, kind: str, inputs: Sequence[Tensor], attributes: dict[str, Any]) -> Tensor:
        """Add one op."""
        if any(x._scope is not self for x in inputs):
            raise ValueError(f"{self.title}: {kind} got tensors of two networks")
        if kind == "add_loss":
            self.add_loss(inputs[0], attributes["weight"], attributes["name"])
            return inputs[0]
        attributes = self._of_step(attributes)
        kind, inputs = self._of_parameter(kind, inputs)
        if self._spectral is not None and kind in MULTIPLY:
            return self._divided(self._spectral, kind, inputs, attributes)
        if len(inputs) > 1 and inputs[1]._turned:
            attributes = self._turned(kind, inputs, attributes)
        index = [x._index for x in inputs]
        if kind == "concat":
            out = self.graph.concat(index, **attributes)
        else:
            out = getattr(self.graph, kind)(*index, **attributes)
        y = Tensor(tuple(self.graph.shape(out)), scope=self, index=out)
        self._kinds[out] = attributes["kind"] if kind == "activation" else kind
        if kind == "batch_norm" and math.prod(y.shape[:-1]) == 1:
            self._groups.append(attributes["virtual_batch"])
        if kind == "recurrent" and self._stack:  # every step costs both weights once
            sizes = [math.prod(weight.shape) for weight in inputs[2:4]]
            self._stack[-1][0].multiply_adds += inputs[0].shape[0] * sum(sizes)
        if kind in MULTIPLY:
            self._note_product(kind, inputs, y, attributes)
        elif index[0] in self._products and kind in ("batch_norm", "spectral_norm"):
            self._products[out] = self._products[index[0]]
        elif index[0] in self._products and kind in ("activation", *SLOPED):
            weight = self._products[index[0]]
            weight.relu |= kind in SLOPED or attributes["kind"] in RELU_LIKE
            weight.wave |= kind == "activation" and attributes["kind"] in WAVES
        return y

    def _of_step(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Put numbers of the step in place of schedules, and note where these come from."""
        for name, (at_rest, allowed, what) in OF_STEP.items():
            by = attributes.get(name)
            if isinstance(by, schedules.Schedule):
                attributes = {**attributes, name: at_rest, "scalar": len(self.scalars)}
                self.scalars.append(schedules.base.OfStep(by, allowed, what))
        return attributes

    @contextmanager
    def spectral(self, layer: LayerLike) -> Iterator[None]:
        """Have the weight of the product inside divided by its largest singular value."""
        outer, self._spectral = self._spectral, layer
        try:
            yield
        finally:
            self._spectral = outer

    def _divided(
        self, layer: Any, kind: str, inputs: Sequence[Tensor], attributes: dict[str, Any]
    ) -> Tensor:
        """Add a product by a weight that is divided, and its bias behind that."""
        self._spectral = None
        product, weight = self.emit(kind, inputs[:2], attributes), inputs[1]
        u = self.parameter(
            layer, "u", weight.shape[-1:], init="random_normal", decay=False, trained=False
        )
        return self.emit(
            "spectral_norm", (product, weight, u, *inputs[2:]), {"iterations": layer.iterations}
        )

    def _note_product(
        self, kind: str, inputs: Sequence[Tensor], y: Tensor, attributes: dict[str, Any]
    ) -> None:
        """Note which weight made a tensor, how it is first used, and what that costs."""
        weight = self._parameters[str(inputs[1]._parameter)][1]
        back = kind == "conv2d_transpose"
        if not weight.used:
            weight.used, weight.turned = True, back or attributes.get("transposed", False)
            weight.stride = math.prod(attributes["stride"]) if back else 1
        weight.groups = attributes.get("groups", 1)
        self._products[y._index] = weight
        if self._stack:  # every output pixel costs the whole weight once, or every input pixel
            pixels = (inputs[0] if back else y).shape[:-1]
            self._stack[-1][0].multiply_adds += math.prod((*weight.shape, *pixels))

    def _turned(
        self, kind: str, inputs: Sequence[Tensor], attributes: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the attributes of a product by w.T; nothing else takes it."""
        if kind != "matmul":
            raise TypeError(f"{self.title}: w.T can only stand in y @ w.T, not in {kind}")
        return {**attributes, "transposed": not attributes.get("transposed", False)}

    @contextmanager
    def recomputed(self) -> Iterator[None]:
        """Have the ops inside computed again for the backward pass; an outer block stays whole."""
        if self._block:
            yield
            return
        self._blocks += 1
        self._block = self._blocks
        self.graph.recompute(self._block)
        try:
            yield
        finally:
            self._block = 0
            self.graph.recompute(0)

    def parameter(
        self,
        layer: LayerLike,
        name: str,
        shape: Shape | int,
        *,
        init: object,
        decay: bool | None,
        trained: bool,
        constraint: object = None,
    ) -> Tensor:
        """Return the parameter of a layer, new or, where the layer was called before, the same."""
        size = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
        known = self.weights.get((id(layer), name))
        source = self.inherited.get((id(layer), name))
        if source is not None and source[2] != size:
            raise ValueError(
                f"{self.title}: stands in a network that was built before, where {name!r} has "
                f"shape {source[2]}; here it would have to be {size}. Make two layers."
            )
        if known is not None:
            if known.shape != size:
                raise ValueError(
                    f"{self.title}: is used twice and shares {name!r}, whose shape is "
                    f"{known.shape}; here it would have to be {size}. Make two layers."
                )
            if source is not None and not known.taken:
                known.source, known.taken = source, True
            self.log.append((known.name, size))
            return self._parameters[known.name][0]
        full = f"{self._names.of(layer)}.{name}"
        decayed = len(size) > 1 if decay is None else bool(decay)
        index = self.graph.parameter(full, size, decayed, bool(trained))
        if constraint is None and trained:
            around = (getattr(owner, "_bound", None) for owner in reversed(self._layers))
            constraint = next((given for given in around if given is not None), None)
        if constraint is not None:
            bound = constraint_of(self.title, constraint)
            self.graph.constrain(index, bound.native, bound.number)
        tensor = Tensor(size, scope=self, index=index, parameter=full)
        weight = Weight(full, size, layer, self.title, init, bool(trained), source)
        weight.owners = (*self._layers, layer)
        weight.taken = source is not None
        self.weights[id(layer), name] = weight
        self._parameters[full] = tensor, weight
        self.log.append((full, size))
        if self._stack:
            self._stack[-1][0].weights.append(weight)
        return tensor

    def add_loss(self, x: Tensor, weight: Any, name: str | None) -> None:
        """Note a loss; a name that is there already gets a number."""
        if x._scope is not self or x._parameter:
            raise TypeError(f"{self.title}: add_loss takes a tensor of its network, got {x!r}")
        layer = self._layers[-1] if self._layers else None
        plain = name or (f"{self._names.of(layer)}_loss" if layer is not None else "added")
        taken = {loss.name for loss in self.losses}
        name, count = plain, 0
        while name in taken:
            count += 1
            name = f"{plain}_{count}"
        self.losses.append(Added(name, x._index, weight))

    def note_lengths(self, lengths: Tensor, steps: int) -> None:
        """Note that a tensor says how many of so many steps a sample has."""
        known = self.lengths.get(lengths._index)
        if known is None or steps < known.steps:
            self.lengths[lengths._index] = Counts(self.title, steps)

    def note_kept(self, rows: int) -> None:
        """Note that the layer being called keeps so many rows of a batch for the next one."""
        self.kept.append((self.title, rows))

    def close(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Description:
        """Return what was described; let go of what refers back to the scope."""
        for weight in self.weights.values():
            weight.last = weight.layer is self._names.layers[-1]
        self._parameters, self.inherited, self._names = {}, {}, Names()
        return Description(
            self.graph,
            tuple(x.shape for x in inputs),
            tuple(y.shape for y in outputs),
            [y._index for y in outputs],
            self._kinds,
            self._groups,
            self.rows,
            self.weights,
            [(x, w) for x, w in self._products.items() if self._kinds[x] in MULTIPLY],
            self._first,
            self.log,
            list(self.parts.values()),
            self.losses,
            self.scalars,
            {k: self.lengths[x._index] for k, x in enumerate(inputs) if x._index in self.lengths},
            self.kept,
        )

    def _of_parameter(self, kind: str, inputs: Sequence[Tensor]) -> tuple[str, Sequence[Tensor]]:
        """Give ops on a parameter their own name, with the parameter last."""
        if kind in WEIGHTED:
            count = TENSORS.get(kind, 1)
            plain, weights = inputs[:count], inputs[count:]
            if any(x._parameter for x in plain) or not all(x._parameter for x in weights):
                raise TypeError(f"{self.title}: {WEIGHTED[kind]}")
            return kind, inputs
        plain = inputs
        if len(inputs) == 2 and kind in ("add", "multiply"):
            first, second = inputs
            if first._parameter:
                first, second = second, first
            if second._parameter:
                kind, inputs, plain = f"{kind}_row", (first, second), (first,)
        if any(x._parameter for x in plain):
            raise TypeError(
                f"{self.title}: {kind} does not take a parameter there; a parameter p can stand in "
                "x + p, x * p and x @ p"
            )
        return kind, inputs
