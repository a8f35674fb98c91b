"""What all networks share: building, weights, prediction, summary. The kinds are in `model`.

A network is described in Python and lowered once, at `build`, to a native one with the weights.
What that leaves is in `built`.
"""

import copy
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from os import PathLike
from typing import Any, TypeAlias

from numpy.typing import NDArray

from .. import _core
from ..checks.numbers import seed as checked_seed
from ..checks.numbers import whole
from ..files.checkpoint import read_weights, write_weights
from . import inputs
from .built import Built, Described, Home, Saved, Shared, describe, first_values, made
from .graph import Key, Layer, Part, Scope, Shape, Source, Tensor, label, shape_of
from .weights import fitting, init_name

Array: TypeAlias = NDArray[Any]


# What building changes of a network ...
BUILDING = threading.RLock()  # held by whoever builds, or tries to
_STATE = ("_shapes", "_kept", "_built", "_home", "_saved", "_seen", "_look")
# ... and what of it no copy takes along as it is.
_NATIVE = frozenset({"_built", "_home", "_saved", "_seen", "_look", "_undo"})


class Network(Layer):
    """What `Sequential` and `Model` share: weights, prediction, summary. Not used by itself.

    A network that stands in another one that is built is a part of it: its weights are that one's,
    and what is done to either shows in both. A look at a network that is not built shows it as
    ``build(seed=0)`` would make it, and decides nothing.
    """

    _shapes: tuple[Shape, ...] | None = None  # of the inputs, where they are known
    _kept: bool = False  # a part that had weights before: building the whole again leaves them
    _built: Built | None = None  # with a Store of its own, ...
    _home: Home | None = None  # ... or a part of another network, ...
    _saved: Saved | None = None  # ... or a copy that is built when somebody uses it
    _seen: Described | None = None  # as looked at while not built, ...
    _look: Built | None = None  # ... and with weights
    _undo: "list[tuple[Network, dict[str, Any]]] | None" = None  # inside `tentative`

    # -- what the two kinds differ in ----------------------------------------------------------

    def lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for these inputs, inside the scope the inputs belong to."""
        raise NotImplementedError

    def call(self, *tensors: Tensor) -> Tensor:
        """Stand as a layer in another network; weights already there are taken over at build."""
        scope = tensors[0].scope
        assert scope is not None
        brought = self._brought(scope.replaced) if scope.inherits else None
        for key, source in (brought or {}).items():
            scope.inherited.setdefault(key, source)
        shapes, first = tuple(x.shape for x in tensors), len(scope.log)
        outputs = self.lower(tensors)
        kept = brought is not None if scope.inherits else self._kept
        scope.parts.setdefault(id(self), Part(self, shapes, first, len(scope.log), kept))
        if len(outputs) != 1:
            raise ValueError(f"{label(self)}: has {len(outputs)} outputs; a layer has one")
        return outputs[0]

    # -- building ------------------------------------------------------------------------------

    def build(
        self, input_shape: Shape | int | Sequence[Shape] | None = None, seed: int = 0
    ) -> "Network":
        """Fix the input shape and draw the initial weights; building again draws them anew.

        Parameters
        ----------
        input_shape
            Without the batch axis; a list of shapes for several inputs; None where it is known.
        seed
            The weights are a pure function of it, of the parameter's place and of its shape.

        Raises
        ------
        ValueError
            If the shapes do not fit; the message begins with the layer. The network is as before.
        RuntimeError
            If a running `fit` uses the weights, or those of a network inside.

        Notes
        -----
        Networks inside become parts of this one: they keep the weights they had, and share them
        with it from now on. To build a part draws its weights anew in the whole.
        """
        self.build_for(self._given(input_shape), checked_seed(seed), "float32")
        return self

    def build_for(
        self, shapes: tuple[Shape, ...], seed: int, precision: str, draw: bool = True
    ) -> None:
        """Build for these inputs in this precision; `draw=False` leaves the weights 0.

        A part keeps the precision of the network it stands in.
        """
        with BUILDING:
            shared = self._shared
            if shared is not None:
                shared.refuse_in_use(f"{label(self)}: build")
            if self._home is not None:
                self._build_part(self._home, shapes, seed, draw=draw)
                return
            self._seen = self._look = None
            about = describe(self, shapes, Scope(inherits=draw, replaced=shared))
            for part in about.parts:
                theirs: Shared | None = part.net._shared
                if theirs is not None and theirs is not shared:
                    theirs.refuse_in_use(f"{label(self)}: build with {label(part.net)} inside")
            self._settle(made(about, precision, seed if draw else None))

    def _settle(self, built: Built) -> None:
        """Own what was built; the networks inside become parts."""
        about = built.about
        self._change(self, _shapes=about.shapes, _built=built)
        for part in about.parts:
            home = Home(built.shared, part.shapes, about.log, part.first, part.last)
            self._change(part.net, _shapes=part.net._shapes, _kept=part.kept, _home=home)

    def _change(self, net: "Network", **state: Any) -> None:
        """Replace all that building decides of a network."""
        if self._undo is not None:
            self._undo.append((net, {k: v for k, v in net.__dict__.items() if k in _STATE}))
        for name in _STATE:
            net.__dict__.pop(name, None)
        net.__dict__.update(state)

    def _build_part(self, home: Home, shapes: tuple[Shape, ...], seed: int, *, draw: bool) -> None:
        """Draw the weights of a part, in the network it stands in."""
        try:
            about = home.described(self, shapes)
        except ValueError as error:
            raise ValueError(f"{label(self)}: {error}. Build a copy.deepcopy of it.") from None
        values = first_values(about, home.shared.native.precision, seed) if draw else ()
        drawn = list(values)  # all of them, before the first is set
        if self.input_shapes != shapes:
            home = Home(home.shared, home.shapes, home.log, home.first, home.last)
        self._change(self, _shapes=shapes, _kept=True, _home=home)
        self.native.assign(drawn)

    @contextmanager
    def tentative(self) -> Iterator[None]:
        """Take back, where the body raises, that it built a network which was not built."""
        with BUILDING:  # who comes meanwhile waits for the end of it
            if not self.built:
                yield from self._taken_back()
                return
        yield

    def _taken_back(self) -> Iterator[None]:
        outer = self._undo
        undo: list[tuple[Network, dict[str, Any]]] = [] if outer is None else outer
        before = len(undo)
        try:
            self._undo = undo
            yield
        except BaseException:
            self._undo = None
            while len(undo) > before:
                net, state = undo.pop()
                net._change(net, **state)
            raise
        finally:
            self._undo = outer

    def in_use(self) -> AbstractContextManager[None]:
        """Refuse, while the body runs, what would take the weights from under it."""
        shared = self._shared
        if shared is None:
            raise RuntimeError(f"{label(self)}: is not built yet")
        return shared.in_use(label(self))

    def convert(self, precision: str) -> None:
        """Keep the weights in another precision from now on, those of the whole network.

        Raises
        ------
        RuntimeError
            If a running `fit` uses them.
        """
        native = self.native
        if native.precision != precision:
            assert self._shared is not None
            self._shared.refuse_in_use(f"{label(self)}: conversion to {precision}")
            native.convert(precision)

    @property
    def native(self) -> _core.Network:
        """The native network; built with seed 0 where it was not yet."""
        body = self._body()
        if body is None:
            self.build_for(self._known_shapes(), 0, "float32")
            body = self._body()
        assert body is not None
        return body.native

    @property
    def built(self) -> bool:
        """Whether the weights are there."""
        return not (self._built is None and self._home is None and self._saved is None)

    @property
    def input_shapes(self) -> tuple[Shape, ...] | None:
        """Shapes of the inputs without the batch axis, or None while unknown."""
        body = self._body()
        return self._shapes if body is None else body.about.shapes

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the outputs without the batch axis; empty before `build`."""
        body = self._body()
        return () if body is None else body.about.output_shapes

    @property
    def last_kind(self) -> str:
        """The op that makes the output; empty before `build`."""
        body = self._body()
        return "" if body is None else body.about.kinds.get(body.about.outputs[0], "")

    @property
    def normalises_samples(self) -> bool:
        """Whether a batch normalisation takes its statistics over the samples alone."""
        body = self._body()
        return body is not None and any(
            kind == "batch_norm" and math.prod(body.about.graph.shape(tensor)[:-1]) == 1
            for tensor, kind in body.about.kinds.items()
        )

    @property
    def input_labels(self) -> list[str]:
        """For each input the layer that takes it first, for messages."""
        body = self._body()
        about = self._seen if body is None else body.about
        if about is None:
            return [label(self)] * max(1, len(self._shapes or ()))
        return [about.first.get(i, label(self)) for i in range(len(about.shapes))]

    # -- use -----------------------------------------------------------------------------------

    def predict(self, X: Any, batch_size: int = 256) -> Any:
        """Return the outputs for X, dropout off.

        Parameters
        ----------
        X
            Array (N, ...), or a list of arrays for several inputs. float32, float64 and uint8 of
            any strides are read in place.
        batch_size
            Samples at a time; changes the memory used, not the result.

        Returns
        -------
        numpy.ndarray
            (N, ...) float32 (float64 in that precision), N = 0 too; a list for several outputs.

        Raises
        ------
        TypeError, ValueError
            If X does not fit the network or is not finite.
        """
        if self._shapes is not None:
            self._described()  # what is wrong with the network itself is told first
        precision = self.native.precision if self.built else "float32"
        arrays = inputs.features(X, self, empty=True, precision=precision)
        native = self._looked(tuple(a.shape[1:] for a in arrays)).native
        outputs = native.predict(arrays, whole("", "batch_size", batch_size))
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned; running statistics are not."""
        return self._count(trained=True)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition that one sample costs in products and convolutions."""
        return sum(row.multiply_adds for row in self._described().rows)

    def _count(self, trained: bool) -> int:
        weights = self._described().weights.values()
        return sum(math.prod(w.shape) for w in weights if w.trained is trained)

    def summary(self) -> str:
        """Return a table: layer, output shape, parameters, multiply-adds, how its weights begin.

        Multiply-adds are those of products and convolutions for one sample. Parameters that are
        kept but not learned, such as running statistics, are counted by themselves.
        """
        about, shared = self._described(), self._shared
        untrained = self._count(trained=False)
        table = [["layer", "output shape", "parameters", "untrained", "multiply-adds", "init"]]
        for row in about.rows:
            sizes = [
                sum(math.prod(w.shape) for w in row.weights if w.trained is trained)
                for trained in (True, False)
            ]
            begin = ", ".join(init_name(w) for w in row.weights if len(w.shape) > 1)
            title = f"{'  ' * row.depth}{row.name} ({row.kind})"
            numbers = (f"{n:,}" for n in (*sizes, row.multiply_adds))
            table.append([title, str(row.shape), *numbers, begin])
        if not untrained:
            table = [[*line[:3], *line[4:]] for line in table]
        text = _aligned(table)
        text.append(f"inputs {', '.join(map(str, about.shapes))}")
        kept = f", and {untrained:,} that are not trained" if untrained else ""
        precision = "float32" if shared is None else shared.native.precision
        text.append(f"parameters {self.num_parameters:,}{kept}  ({precision})")
        text.append(f"multiply-adds {self.multiply_adds:,} a sample")
        return "\n".join(text)

    # -- weights -------------------------------------------------------------------------------

    def state_dict(self) -> "OrderedDict[str, Array]":
        """Return the weights by name, in order of definition, as copies in their logical shapes."""
        return OrderedDict(self._looked().values())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every weight; all or, where something does not fit, none.

        Raises
        ------
        TypeError, ValueError
            Naming what is missing, unknown, of the wrong shape or not finite.
        """
        with self.tentative():
            if not self.built:
                self.build_for(self._known_shapes(), 0, "float32", draw=False)
            native = self.native
            native.assign(list(fitting(native, state).items()))

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write `state_dict` as a safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        write_weights(path, self.state_dict())

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Set every weight from a safetensors file; nothing changes where it does not fit.

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is damaged, is no safetensors file, or belongs to another network.
        """
        state = read_weights(path)
        try:
            self.load_state_dict(state)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None

    # -- inside --------------------------------------------------------------------------------

    def _given(self, input_shape: Any) -> tuple[Shape, ...]:
        """Return the input shapes `build` was asked for."""
        if input_shape is None:
            known = self.input_shapes
            if known is None:
                raise ValueError(f"{label(self)}: build needs the input_shape, without the batch")
            return known
        several = isinstance(input_shape, list) and all(
            isinstance(s, (tuple, list)) for s in input_shape
        )
        items = input_shape if several else [input_shape]
        return tuple(shape_of(label(self), shape) for shape in items)

    def _known_shapes(self) -> tuple[Shape, ...]:
        if self._shapes is None:
            raise RuntimeError(
                f"{label(self)}: its input shape is not known yet. Call "
                "net.build(input_shape), or fit it first."
            )
        return self._shapes

    @property
    def _shared(self) -> Shared | None:
        """The Store the weights are in; None while nothing is built."""
        owner = self._home or self._built
        return None if owner is None else owner.shared

    def _body(self) -> Built | None:
        """Return what was built; a part is seen as a network of its own when it is first asked."""
        if self._home is not None:
            return self._home.view(self, self._shapes)
        if self._built is None and self._saved is not None:
            self._restore(self._saved)
        return self._built

    def _described(self, shapes: tuple[Shape, ...] | None = None) -> Described:
        """Return what is known of the network, here or as it would be built."""
        body = self._body()
        if body is not None:
            return body.about
        shapes, seen = shapes or self._known_shapes(), self._seen
        if (
            seen is None
            or seen.shapes != shapes
            or seen.taken  # may have changed since
            or any(part.net.built for part in seen.parts)
        ):
            seen = describe(self, shapes, Scope())
            self._seen, self._look = seen, None
        return seen

    def _looked(self, shapes: tuple[Shape, ...] | None = None) -> Built:
        """Return what was built or, to look at, what ``build(shapes, seed=0)`` would make."""
        body = self._body()
        if body is not None:
            return body
        about, look = self._described(shapes), self._look
        if look is None or look.about is not about:
            look = self._look = made(about, "float32", 0)
        return look

    def _brought(self, replaced: object) -> dict[Key, Source] | None:
        """Return the weights that another network begins with, None where it draws its own.

        Where that network is built again, in place of the Store `replaced`, only those count that
        were here before they became its part.
        """
        if self._home is not None and self._home.shared is replaced and not self._kept:
            return None
        body = self._body()
        if body is None:
            return None
        return {
            key: (body.native, weight.name, weight.shape)
            for key, weight in body.about.weights.items()
        }

    # -- copies --------------------------------------------------------------------------------

    def _contents(self) -> dict[str, Any]:
        """Return the description; the native network is built again."""
        return {k: v for k, v in super()._contents().items() if k not in _NATIVE}

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle as description and weights.

        A part that is copied alone is a network of its own; copied with the whole, it is a part of
        the copy.
        """
        state = super().__getstate__()
        saved = self._weights()
        return state if saved is None else {**state, "_saved": saved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self._saved is not None and not self._saved.part:
            self._restore(self._saved)

    def __copy__(self) -> "Network":
        """Return a network of the same layers with weights of its own; parts stay its parts."""
        twin = type(self).__new__(type(self))
        twin.__setstate__(self._contents())
        saved = copy.deepcopy(self._weights())
        if saved is not None:
            twin._restore(saved, adopt=False)
        return twin

    def _weights(self) -> Saved | None:
        owner = self._home or self._built
        if owner is None:
            return self._saved
        body = self._body()
        assert body is not None
        taken = [weight.taken for weight in body.about.weights.values()]
        names = [name for name, _ in owner.parameters]  # in the Store, where parts have them too
        values = owner.shared.copied(dict(zip(names, body.native.values(), strict=True)))
        part = self._home is not None
        return Saved(body.about.shapes, body.native.precision, values, taken, part)

    def _restore(self, saved: Saved, *, adopt: bool = True) -> None:
        """Build what a copy brought."""
        about = describe(self, saved.shapes, Scope(inherits=False))
        built = made(about, saved.precision, None)
        saved.fill(built)
        if not adopt:
            about.parts.clear()
        self._settle(built)


def _aligned(table: list[list[str]]) -> list[str]:
    """Return the lines of a table under its head: two columns of text, numbers, text."""
    size = [max(map(len, column)) for column in zip(*table, strict=True)]
    sides = ["<", "<", *">" * (len(size) - 3), "<"]
    lines = [
        "  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(line, sides, size, strict=True))
        for line in table
    ]
    rule = "-" * (sum(size) + 2 * len(size) - 2)
    return [lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule]
