"""Puts layers behind views, and keeps the weights they will have.

Whose operators ask for them: `onnx_rows`, `torch_rows`. Layers without weights: `weightless`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import layers
from ..network import Layer, Tensor, emit
from ..network.layouts import Layout
from ..network.model import Input, Model
from .vectors import Scale, Shift, Standardized
from .views import (
    Atom,
    View,
    channels_last,
    in_order,
    plain,
    shaped,
    size_of,
    trailing,
    view,
)
from .weightless import Weightless, channels_first, sides
from .weights import Array, Weight, beside, row, straight, turned

MOST_LISTED = 4096  # numbers of a constant that stand in a layer's config


@dataclass
class Builder(Weightless):
    """A network under construction.

    Attributes
    ----------
    values
        Weights by the names they will have.
    layouts
        By the same names, what they are elsewhere.
    reserved
        Names of layers that weights still to come begin with.
    samples
        How many those who described it elsewhere have; 0 where it is open.
    """

    values: dict[str, Array] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()
    samples: int = 0
    _names: set[str] = field(default_factory=set)
    _known: dict[tuple[Any, ...], Layer] = field(default_factory=dict)
    _products: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # dense layers by weight
    _owners: dict[str, Layer] = field(default_factory=dict)  # by name
    _alone: dict[int, tuple[Any, View]] = field(default_factory=dict)
    _once: dict[Any, list[tuple[Layer, dict[str, Weight]]]] = field(default_factory=dict)

    def made(self, layer: Layer, given: dict[str, tuple[Weight, Layout]], hint: str) -> Layer:
        """Return a layer under the name its weights have; the same one where it was made before."""
        sources = [(w.name or id(w), _place(w.value), at.perm) for w, at in given.values()]
        key = (type(layer), repr(layer.config()), *sources)
        if key in self._known:
            return self._known[key]
        layer.name = layer._arguments["name"] = self._name(given, hint, type(layer).__name__)
        self._owners[layer.name] = layer
        self._note(layer.name, given)
        self._known[key] = layer
        return layer

    def owner(self, name: str) -> Layer | None:
        """Return the layer that a weight belongs to."""
        return self._owners.get(name.rpartition(".")[0])

    def alone(self, value: Any) -> Any:
        """Return what a value that was kept back is by itself; all others as they are."""
        if not hasattr(value, "made"):
            return value
        if id(value) not in self._alone:
            self._alone[id(value)] = value, value.made(self)
        return self._alone[id(value)][1]

    def made_once(self, layer: Layer, given: dict[str, tuple[Weight, Layout]], hint: str) -> Layer:
        """Return a layer as `made` does; the same one where equal weights of one name were."""
        names = tuple(weight.name for weight, _ in given.values())
        key = (type(layer), repr(layer.config()), *names)
        for known, there in self._once.get(key, []) if all(names) else []:
            if all(np.array_equal(there[k].value, w.value) for k, (w, _) in given.items()):
                return known
        made = self.made(layer, given, hint)
        self._once.setdefault(key, []).append((made, {k: w for k, (w, _) in given.items()}))
        return made

    def _note(self, name: str, given: dict[str, tuple[Weight, Layout]]) -> None:
        for param, (weight, layout) in given.items():
            self.values[f"{name}.{param}"] = layout.take(weight.value)
            self.layouts[f"{name}.{param}"] = layout

    def _vector(
        self, kind: type[Shift | Scale], weight: Weight, layout: Layout, hint: str
    ) -> Layer:
        """Return a layer of one vector; where another one begins alike the vector is that one's."""
        stem, _, param = weight.name.rpartition(".")
        param = param or ("bias" if kind is Shift else "weight")
        owner = self._owners.get(stem)
        if owner is not None and f"{stem}.{param}" not in self.values:
            self._note(stem, {param: (weight, layout)})
            return kind(param, owner)
        layer = self.made(kind(param), {param: (weight, layout)}, hint)
        if not weight.name and not weight.sources:
            layer.trainable = False
        return layer

    def _name(self, given: dict[str, tuple[Weight, Layout]], hint: str, kind: str) -> str:
        """Return what the weights' names begin with, where they do so alike; else the hint."""
        named = {param: w for param, (w, _) in given.items() if w.name}
        stems = {w.name.rpartition(".")[0] for w in named.values()}
        right = all(w.name.rpartition(".")[2] == param for param, w in named.items())
        first = next(iter(given.values()))[0].name
        if right and len(stems) == 1:
            name, taken = stems.pop() or kind.lower(), self._names
        else:
            name, taken = hint or first or kind.lower(), self._names | self.reserved
        found, count = name, 0
        while found in taken:
            count += 1
            found = f"{name}_{count}"
        self._names.add(found)
        return found

    def conv(
        self, v: View, weight: Weight, bias: Weight | None, hint: str, *,
        stride: Sequence[int], pads: Sequence[int], dilation: Sequence[int], groups: int,
    ) -> View:  # fmt: skip
        """Correlate (C, S...) with W (out, C/groups, window...); pads as ONNX has them."""
        axes = len(v.axes) - 1
        x = channels_last(v, 0, self.moves)
        filters, kernel = weight.value.shape[0], weight.value.shape[2:]
        layer: Layer
        if axes == 1:
            layer = layers.Conv1D(
                filters,
                kernel[0],
                stride[0],
                (pads[0], pads[1]),
                groups,
                dilation[0],
                use_bias=bias is not None,
            )
        else:
            layer = layers.Conv2D(
                filters,
                kernel,
                stride,
                sides(pads),
                groups,
                tuple(dilation),
                use_bias=bias is not None,
            )
        perm = (*range(2, axes + 2), 1, 0)
        given = {"weight": (weight, turned(weight, perm))}
        if bias is not None:
            given["bias"] = (bias, straight(bias))
        return channels_first(self.made(layer, given, hint)(x))

    def conv_transpose(
        self, v: View, weight: Weight, bias: Weight | None, hint: str, *,
        stride: Sequence[int], pads: Sequence[int], dilation: Sequence[int], groups: int,
        more: Sequence[int],
    ) -> View:  # fmt: skip
        """Spread (C, S...) by W (C, out/groups, window...)."""
        axes = len(v.axes) - 1
        x = channels_last(v, 0, self.moves)
        channels, per_group, *kernel = weight.value.shape
        if axes == 1:  # an image one pixel wide
            x = shaped(x, (x.shape[0], 1, x.shape[1]))
            kernel, stride, dilation, more = [*kernel, 1], [*stride, 1], [*dilation, 1], [*more, 0]
            pads = [pads[0], 0, pads[1], 0]
        layer = layers.Conv2DTranspose(
            per_group * groups, tuple(kernel), tuple(stride), sides(pads), tuple(more), groups,
            tuple(dilation), use_bias=bias is not None,
        )  # fmt: skip
        inner = (channels, per_group, *kernel)
        layout = Layout(
            weight.name, inner, (2, 3, 1, 0), weight.value.shape, (*kernel, per_group, channels)
        )
        given = {"weight": (weight, layout)}
        if bias is not None:
            given["bias"] = (bias, straight(bias))
        y = self.made(layer, given, hint)(x)
        return channels_first(shaped(y, (y.shape[0], y.shape[2])) if axes == 1 else y)

    def dense(
        self, v: View, weight: Weight, bias: Weight | None, hint: str, *, out_first: bool
    ) -> View:
        """Multiply the last axis by W: (out, in) where `out_first`, else (in, out)."""
        x, found, lying = trailing(v, len(v.axes) - 1, self.moves)
        atoms = v.axes[-1]
        inside, out = weight.value.shape[::-1] if out_first else weight.value.shape
        if inside != size_of(atoms):
            raise ValueError(f"weights of {inside} inputs do not fit {v.shape}")
        if len(atoms) > 1 and atoms != lying:
            sizes = [atom.size for atom in atoms]
            places = [atoms.index(atom) for atom in lying]
        else:
            sizes, places = [inside], [0]
        n = len(sizes)
        if out_first:
            inner, perm = (out, *sizes), (*(1 + k for k in places), 0)
        else:
            inner, perm = (*sizes, out), (*places, n)
        layout = Layout(weight.name, inner, tuple(perm), weight.value.shape, (inside, out))
        given = {"weight": (weight, layout)}
        if bias is not None:
            given["bias"] = (bias, straight(bias))
        y = self._dense(layers.Dense(out, use_bias=bias is not None), given, hint)(x)
        atom = (Atom(out),) if out > 1 else ()
        order = tuple(a for a in found.order if a not in lying)
        return View(y, (*order, *atom), (*v.axes[:-1], atom))

    def _dense(self, layer: layers.Dense, given: dict[str, Any], hint: str) -> Layer:
        """Return the layer; one that multiplies by another's transpose shares its weight."""
        weight, layout = given["weight"]
        source = (
            self._products.setdefault(weight.name, (layer, layout.perm)) if weight.name else None
        )
        if source is None or source[0] is layer or source[1] == layout.perm or len(layout.perm) > 2:
            return self.made(layer, given, hint)
        tied = layers.TiedDense(source[0], layer.units, use_bias=layer.use_bias)
        if not layer.use_bias:
            return tied
        return self.made(tied, {"bias": given["bias"]}, hint)

    def batch_norm(
        self, v: View, given: Sequence[Weight], hint: str, *, eps: float, momentum: float,
        unbiased: bool,
    ) -> View:  # fmt: skip
        """Normalise the first axis by its statistics: weight, bias, mean, variance."""
        if given[0].fixed != given[1].fixed:
            raise ValueError("trains one of weight and bias; steep trains both, or none")
        x, found, lying = trailing(v, 0, self.moves)
        words = ("weight", "bias", "running_mean", "running_var")
        kept = {w: (p, row(p, v.axes[0], lying)) for w, p in zip(words, given, strict=True)}
        constant = all(w.fixed or not w.name for w in given[:2])
        kind = Standardized if constant else layers.BatchNorm
        layer = kind(momentum, eps, unbiased)
        return found.of(self.made(layer, kept, hint)(x))

    def layer_norm(
        self, v: View, weight: Weight, bias: Weight | None, hint: str, *, eps: float
    ) -> View:
        """Normalise each position over the last axis."""
        x, found, lying = trailing(v, len(v.axes) - 1, self.moves)
        pairs = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        given = {word: (p, row(p, v.axes[-1], lying)) for word, p in pairs.items()}
        return found.of(self.made(layers.LayerNorm(eps, bias is not None), given, hint)(x))

    def embedding(self, ids: View, table: Weight, hint: str) -> View:
        """Pick rows of a table by the whole numbers of an input."""
        layer = self.made(
            layers.Embedding(*table.value.shape), {"weight": (table, turned(table, (0, 1)))}, hint
        )
        if table.name:  # whose transpose may make logits
            self._products.setdefault(table.name, (layer, (0, 1)))
        else:
            layer.trainable = False
        return view(layer(plain(ids, self.moves)))

    def prelu(self, v: View, slope: Weight, hint: str) -> View:
        """Take slope*x below 0; a slope of each place of some axes, or one for all."""
        if slope.value.size == 1:
            layer = self.made(layers.PReLU(shared=True), {"slope": (slope, straight(slope))}, hint)
            return v.of(layer(v.x))
        flat, atoms = beside(v, slope)
        x, found, lying = trailing(flat, 0, self.moves)
        given = {"slope": (slope, row(slope, atoms, lying))}
        return View(self.made(layers.PReLU(), given, hint)(x), found.order, v.axes)

    # -- element by element ----------------------------------------------------------------------

    def add(self, v: View, weight: Weight, hint: str) -> View:
        """Add a constant, or a weight where it has a name or is a part of one."""
        return self._by_vector(v, weight, hint, scaled=False)

    def multiply(self, v: View, weight: Weight, hint: str) -> View:
        """Multiply by a constant, or by a weight where it has a name or is a part of one."""
        return self._by_vector(v, weight, hint, scaled=True)

    def _by_vector(self, v: View, weight: Weight, hint: str, *, scaled: bool) -> View:
        value = weight.value
        if not (np.abs(value.astype(np.float64)) <= np.finfo(np.float32).max).all():
            raise ValueError("works with numbers that are infinite or beyond float32")
        if value.size == 1 and not self._learned(v, weight):
            number = float(value.reshape(()))
            return self.affine(v, scale=number) if scaled else self.affine(v, shift=number)
        flat, atoms = beside(v, weight)
        x, found, lying = trailing(flat, 0, self.moves)
        if weight.name or weight.sources or value.size > MOST_LISTED:
            kind: type[Shift | Scale] = Scale if scaled else Shift
            y = self._vector(kind, weight, row(weight, atoms, lying), hint)(x)
        else:
            there = in_order(value.reshape(-1), 0, atoms, lying).astype(float).tolist()
            ones, zeros = [1.0] * len(there), [0.0] * len(there)
            scales, shifts = (there, zeros) if scaled else (ones, there)
            y = emit("affine_channels", x, scales=scales, shifts=shifts)
        return View(y, found.order, v.axes)

    def _learned(self, v: View, weight: Weight) -> bool:
        """Say whether a single number is a weight: of an axis of size 1, or surely one."""
        place = 0 if weight.value.ndim > 1 else len(v.axes) - 1  # of channels first, or last
        own = weight.value.ndim > 0 and v.shape[place : place + 1] == (1,)
        return weight.learned or (bool(weight.name) and own)


def _place(value: Array) -> tuple[Any, ...]:
    """Return where the numbers of an array lie: a weight and its transpose have one name."""
    return value.ctypes.data, value.shape, value.strides


def model(inputs: Sequence[Tensor], outputs: Any, builder: Builder) -> Model:
    """Return the network of what was put behind inputs, with its weights.

    Raises
    ------
    ValueError
        If a weight is not finite or does not fit.
    """
    net = Model(list(inputs), outputs)
    values = {}
    for weight in net._described().weights.values():  # before anything is allocated
        values[weight.name] = builder.values[weight.name]
        if values[weight.name].shape != weight.shape:
            raise ValueError(
                f"{weight.name}: its input wants shape {weight.shape}, it has "
                f"{values[weight.name].shape}"
            )
    net.load_state_dict(values)  # which builds the network and draws nothing
    return net


def laid_out(
    walk: Callable[[Builder], tuple[list[Tensor], Any]],
    ways: Sequence[bool],
    reserved: frozenset[str],
    *,
    surely: bool,
) -> tuple[list[Tensor], Any, Builder]:
    """Return inputs, outputs and builder of a walk, with channels last or where they are.

    `ways` says which to try: the first of those that move fewest numbers is taken, or, `surely`,
    the first that can be.
    """
    best: tuple[list[Tensor], Any, Builder] | None = None
    problem = ValueError("")
    for last in ways:
        builder = Builder(last=last, reserved=reserved)
        try:
            made = walk(builder)
        except ValueError as error:
            problem = error
            continue
        if best is None or builder.moves.count < best[2].moves.count:
            best = (*made, builder)
        if surely or builder.moves.count == 0:
            break
    if best is None:
        raise problem
    return best


def entering(shape: Sequence[int], *, last: bool) -> tuple[Tensor, View]:
    """Return an input for samples of a shape, and as others see it."""
    count = len(shape)
    if last and count > 1:
        x = Input((*shape[1:], shape[0]))
        return x, view(x, [count - 1, *range(count - 1)])
    x = Input(tuple(shape) or (1,))  # a sample has an axis here
    return x, view(x, range(count))
