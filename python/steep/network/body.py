"""The weights of a network: when they are built, shared with others, taken back or copied.

What users call is in `network`; what building leaves is in `built`.
"""

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from .. import _core
from ..checks.columns import Columns
from ..checks.names import exactly, matches
from .built import Built, Home, Saved, Shared, describe, first_values, made
from .description import Counts, Description, Key, Part, Source
from .layer import Layer, note_freeze
from .naming import label
from .scope import Scope
from .tensor import LayerLike, Shape, Tensor

# What building changes of a network ...
BUILDING = threading.RLock()  # held by whoever builds, or tries to
_STATE = ("_shapes", "_kept", "_built", "_home", "_saved", "_seen", "_look")
# ... and what of it no copy takes along as it is.
_NATIVE = frozenset({"_built", "_home", "_saved", "_seen", "_look", "_undo"})


class Body(Layer):
    """A layer made of layers that may have weights of its own, or share those of another one."""

    _shapes: tuple[Shape, ...] | None = None  # of the inputs, where they are known
    _kept: bool = False  # a part that had weights before: building the whole again leaves them
    _built: Built | None = None  # with a Store of its own, ...
    _home: Home | None = None  # ... or a part of another network, ...
    _saved: Saved | None = None  # ... or a copy that is built when somebody uses it
    _seen: Description | None = None  # as looked at while not built, ...
    _look: Built | None = None  # ... and with weights
    _undo: "list[tuple[Body, dict[str, Any]]] | None" = None  # inside `_tentative`
    _freezes: tuple[tuple[str, bool], ...] = ()  # patterns in order: frozen, or trained again
    output_names: tuple[str, ...] | None = None  # where they have some
    _bound: object = None  # a constraint of all weights inside that have none of their own

    def _lower(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for these inputs, inside the scope the inputs belong to."""
        raise NotImplementedError

    def call(self, *tensors: Tensor) -> Tensor:
        """Stand as a layer in another network; weights already there are taken over at build."""
        scope = tensors[0]._scope
        assert isinstance(scope, Scope)
        brought = self._brought(scope.replaced) if scope.inherits else None
        for key, source in (brought or {}).items():
            scope.inherited.setdefault(key, source)
        shapes, first = tuple(x.shape for x in tensors), len(scope.log)
        outputs = self._lower(tensors)
        kept = brought is not None if scope.inherits else self._kept
        places = tuple(x._index for x in tensors)
        scope.parts.setdefault(id(self), Part(self, shapes, first, len(scope.log), kept, places))
        if len(outputs) != 1:
            raise ValueError(f"{label(self)}: has {len(outputs)} outputs; a layer has one")
        return outputs[0]

    def _build_for(
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
            built = made(about, precision, seed if draw else None)
            for part in about.parts:
                if part.kept:
                    given = zip(part.inputs, part.net._columns, strict=False)
                    built.shared.columns |= {at: names for at, names in given if names is not None}
            self._settle(built)

    def _settle(self, built: Built) -> None:
        """Own what was built; the networks inside become parts."""
        about = built.about
        self._change(self, _shapes=about.shapes, _built=built)
        for part in about.parts:
            home = Home(built.shared, part.shapes, about.log, part.first, part.last, part.inputs)
            self._change(part.net, _shapes=part.net._shapes, _kept=part.kept, _home=home)

    def _change(self, net: "Body", **state: Any) -> None:
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
            home = replace(home, made={})
        self._change(self, _shapes=shapes, _kept=True, _home=home)
        self._native.assign(drawn)

    @contextmanager
    def _tentative(self) -> Iterator[None]:
        """Take back, where the body raises, that it built a network which was not built."""
        with BUILDING:  # who comes meanwhile waits for the end of it
            if not self.built:
                yield from self._taken_back()
                return
        yield

    def _taken_back(self) -> Iterator[None]:
        outer = self._undo
        undo: list[tuple[Body, dict[str, Any]]] = [] if outer is None else outer
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

    def _in_use(self) -> AbstractContextManager[None]:
        """Refuse, while the body runs, what would take the weights from under it."""
        shared = self._shared
        if shared is None:
            raise RuntimeError(f"{label(self)}: is not built yet")
        return shared.in_use(label(self))

    def _convert(self, precision: str, device: str | None = None) -> None:
        """Keep the weights in another precision or on another device, those of the whole network.

        They stay on their device where none is named.

        Raises
        ------
        RuntimeError
            If a running `fit` uses them, or the device is not there.
        """
        native = self._native
        device = device or native.device
        if (native.precision, native.device) != (precision, device):
            assert self._shared is not None
            self._shared.refuse_in_use(f"{label(self)}: conversion to {precision} on {device}")
            native.convert(precision, device)

    @property
    def _native(self) -> _core.Network:
        """The native network; built with seed 0 where it was not yet."""
        body = self._body()
        if body is None:
            self._build_for(self._known_shapes(), 0, "float32")
            body = self._body()
        assert body is not None
        return body.native

    @property
    def _precision(self) -> str:
        """Of the weights; that of a look where they are not there."""
        body = self._body()
        return "float32" if body is None else body.native.precision

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
    def _last_kind(self) -> str:
        """The op that makes the output; empty before `build`."""
        body = self._body()
        return "" if body is None else body.about.kinds.get(body.about.outputs[0], "")

    @property
    def _sample_groups(self) -> list[int]:
        """Samples that each batch normalisation over them alone takes together; 0: the batch."""
        body = self._body()
        return [] if body is None else body.about.groups

    @property
    def _lengths(self) -> dict[int, Counts]:
        """Inputs that say how many steps a sample has, by place."""
        body = self._body()
        about = self._seen if body is None else body.about
        return {} if about is None else about.lengths

    @property
    def _keeping(self) -> list[tuple[str, int]]:
        """Layers that keep rows of a batch for the next one, and how many."""
        body = self._body()
        return [] if body is None else body.about.kept

    @property
    def _input_labels(self) -> list[str]:
        """For each input the layer that takes it first, for messages."""
        body = self._body()
        about = self._seen if body is None else body.about
        if about is None:
            return [label(self)] * max(1, len(self._shapes or ()))
        return [about.first.get(i, label(self)) for i in range(len(about.shapes))]

    @property
    def _columns(self) -> tuple[Columns | None, ...]:
        """Names of the columns each input was trained on; where none had some, nothing."""
        if self._home is None and self._body() is None:
            return ()
        shared = self._shared
        if shared is None or not shared.columns:
            return ()
        return tuple(shared.columns.get(at) for at in self._places())

    def _note_columns(self, given: Sequence[Columns | None]) -> None:
        """Know the weights by the names of what they are trained on; forget what is None."""
        shared = self._shared
        assert shared is not None
        named = {at: names for at, names in zip(self._places(), given, strict=True) if names}
        rest = {k: v for k, v in shared.columns.items() if k not in self._places()}
        shared.columns = rest | named

    def _places(self) -> tuple[int, ...]:
        """Return the tensors that are the inputs, in the network that has the weights."""
        if self._home is not None:
            return self._home.inputs
        return tuple(range(len(self._called_shapes())))

    def _called_shapes(self) -> tuple[Shape, ...]:
        """Return the shapes of the inputs; a part has those that it is called with in the whole."""
        return self._known_shapes() if self._home is None else self._home.shapes

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

    def _described(self, shapes: tuple[Shape, ...] | None = None) -> Description:
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

    # -- what is trained -----------------------------------------------------------------------

    def _note_frozen(self, patterns: Sequence[str], frozen: bool) -> None:
        known = None if self._shapes is None and not self.built else self._described().weights
        for pattern in patterns:
            if not isinstance(pattern, str) or not pattern:
                raise TypeError(f"{label(self)}: freeze takes names of weights, got {pattern!r}")
            names = [] if known is None else [weight.name for weight in known.values()]
            if known is not None and not any(matches(name, pattern) for name in names):
                raise ValueError(
                    f"{label(self)}: no weight is called {pattern!r}; there are {', '.join(names)}"
                )
        self._freezes = (*self._freezes, *((p, frozen) for p in patterns)) if patterns else (
            (("*", True),) if frozen else ()
        )  # fmt: skip
        note_freeze()

    def _freeze_exactly(self, names: Sequence[str]) -> None:
        """Have these weights frozen, by names, and no others; layers free what they had frozen."""
        about = self._described()
        for weight in about.weights.values():
            if weight.name not in names:
                for owner in weight.owners:
                    setattr(owner, "_trainable", True)  # noqa: B010 - of a layer
        for part in about.parts:
            part.net._freezes = ()
        self._freezes = (("*", False), *((exactly(name), True) for name in names))
        note_freeze()

    def _frozen_names(self) -> tuple[str, ...]:
        """Return the names of weights that nobody trains: by patterns, here and in networks inside.

        Raises
        ------
        ValueError
            If a pattern, given before the weights were known, is no name of any.
        """
        about = self._described()
        names = [weight.name for weight in about.weights.values()]
        off = {w.name for w in about.weights.values() if not all(map(_trains, w.owners))}
        if not self._trainable:
            off.update(names)
        for part in about.parts:
            own = [name for name, _ in dict.fromkeys(about.log[part.first : part.last])]
            inner = _by_patterns(part.net, own)
            off |= {name for name, frozen in zip(own, inner, strict=True) if frozen}
        here = _by_patterns(self, names)
        return tuple(n for n, frozen in zip(names, here, strict=True) if frozen or n in off)

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

    def __copy__(self) -> "Body":
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
        columns = owner.shared.columns
        if part:
            columns = {k: names for k, names in enumerate(self._columns) if names is not None}
        about = body.about
        return Saved(about.shapes, body.native.precision, values, taken, part, columns)

    def _restore(self, saved: Saved, *, adopt: bool = True) -> None:
        """Build what a copy brought."""
        about = describe(self, saved.shapes, Scope(inherits=False))
        built = made(about, saved.precision, None)
        saved.fill(built)
        if not adopt:
            about.parts.clear()
        self._settle(built)


def _by_patterns(net: Body, names: Sequence[str]) -> list[bool]:
    """Return which weights a network's own patterns freeze; `names` are theirs elsewhere."""
    if not net._freezes:
        return [False] * len(names)
    own = [weight.name for weight in net._described().weights.values()]
    found = [False] * len(own)
    for pattern, frozen in net._freezes:
        hits = [matches(name, pattern) for name in own]
        if not any(hits):
            raise ValueError(f"{label(net)}: no weight is called {pattern!r}, which is to freeze")
        found = [frozen if hit else was for hit, was in zip(hits, found, strict=True)]
    return found


def _trains(layer: LayerLike) -> bool:
    return bool(getattr(layer, "_trainable", True))
