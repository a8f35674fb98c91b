"""`Settings`: what a trainer is made with, and what of it may be assigned while it trains.

Training itself is `run`.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .. import _core, averages, optimizers
from ..checks.names import choose, matches
from ..checks.numbers import NOT_NEGATIVE, flag, keeps_kind, seed
from ..network import Shape, devices, label
from ..network.network import Network
from ..network.weights import PRECISIONS, TENSOR_CORES
from . import groups, terms

COMMON = (*groups.PENALTIES, "clip_norm", *groups.LIMITS, "sam")
# What a session is made with.
FIXED = (
    "net", "loss", "average", "sam_adaptive", "decay_bias", "reduction", "precision", "device",
    "seed", "metrics", "loss_weights", "objectives",
)  # fmt: skip


OWN = ("loss_weights", "metrics", "decay_bias", "average", "sam_adaptive")  # of each objective
REDUCTIONS = {name: name for name in ("mean", "sum", "weighted_mean")}


class Settings:
    """The settings of a trainer, checked; `Trainer` says what they mean."""

    owns = True  # an optimizer beside those of groups
    name = ""  # of its objective, where there are several
    every = 1  # steps it is due after
    trains: tuple[Any, ...] | None = None  # layers and patterns of names; None: all

    def __init__(
        self,
        net: Network,
        loss: Any,
        optimizer: Any,
        common: Mapping[str, Any],
        fixed: Mapping[str, Any],
        *,
        given: Any = None,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"Trainer: net must be a steep network, got {type(net).__name__}")
        self.net = net
        self.goal = terms.goal(loss, fixed.get("loss_weights"), fixed["metrics"])
        several = loss is None or isinstance(loss, Mapping)
        self.loss: Any = dict(self.goal.losses) if several else self.goal.losses[""]
        self.loss_weights = dict(self.goal.weights)
        self.metrics: Any = dict(self.goal.metrics)
        if not several and not isinstance(fixed["metrics"], Mapping):
            self.metrics = self.goal.metrics.get("", ())
        self.others: tuple[Settings, ...] = ()  # those of the objectives after this one
        self.given: tuple[Any, ...] = ()  # all of them, as users wrote them
        self._terms: terms.Terms | None = None
        self.average = averages.get(fixed["average"])
        self.sam_adaptive = flag("Trainer", "sam_adaptive", fixed["sam_adaptive"])
        self.decay_bias = flag("Trainer", "decay_bias", fixed["decay_bias"])
        self.reduction = choose("reduction", fixed["reduction"], REDUCTIONS)
        self.device = _device(fixed["device"])
        self.precision = _precision(fixed["precision"], self.device)
        self.seed = seed(fixed["seed"])
        self.common = {name: self._common(name, value) for name, value in common.items()}
        self.groups: Mapping[str, Mapping[str, Any]] = groups.checked(given)
        self._assigned: groups.Assignment | None = None
        if optimizer is None:
            optimizer = self._only_groups()
        self.optimizer: optimizers.Optimizer = self.fitting("optimizer", optimizer)
        self.changes = 0  # knob tables made before are old

    @property
    def aims(self) -> "tuple[Settings, ...]":
        """The settings of all objectives."""
        return self, *self.others

    @property
    def by_weight(self) -> bool:
        """Whether means are over the weights of samples, not their number."""
        return self.reduction == "weighted_mean"

    @property
    def names(self) -> tuple[str, ...]:
        """What may be assigned."""
        if self.others:
            return ()  # each objective's are its own
        optimizer = self.optimizer
        own = ("optimizer", *optimizer.ranges, *optimizer.others) if self.owns else ()
        return (*COMMON, "groups", *own)

    def __contains__(self, name: object) -> bool:
        return name in FIXED or name in self.names

    @property
    def rate(self) -> Any:
        """The learning rate that histories show: of several groups without one, the last one's."""
        return getattr(self.optimizer, "lr")  # noqa: B009 - not all of them have one

    def get(self, name: str) -> Any:
        """Return a setting as it was given: a penalty, a limit or a hyper-parameter, too."""
        if name == "objectives":
            return self.given
        if self.given and name in ("loss", *OWN):
            return {each.name: getattr(each, name) for each in self.aims}
        if name in COMMON:
            return self.common[name]
        if name == "groups":
            return dict(self.groups)
        if name not in self:
            raise AttributeError(f"Trainer has no attribute {name!r}")
        optimizer = self.optimizer
        return getattr(optimizer if name in (*optimizer.ranges, *optimizer.others) else self, name)

    def fitting(self, name: str, value: Any) -> Any:
        """Return a setting checked, as `take` takes it; for a hyper-parameter, the optimizer.

        Raises
        ------
        AttributeError
            If it stays as it was made.
        TypeError, ValueError
            If it takes no such value.
        """
        given = self._checked(name, value)
        if name in COMMON:
            self._refuse_kinks(self.optimizer, self.common | {name: given})
        elif name != "groups":  # which have no such optimizers
            self._refuse_kinks(given, self.common)
        return given

    def _refuse_kinks(self, optimizer: optimizers.Optimizer, common: Mapping[str, Any]) -> None:
        """Refuse what a method for full batches cannot search a line of."""
        if not optimizer.full_batch:
            return
        for name, value in {**common, "average": self.average}.items():
            if value and name != "l2":
                raise ValueError(
                    f"{type(optimizer).__name__}: {name}={value!r} is not for methods that search "
                    "lines of the objective; leave it out (the penalty l2 is part of it)"
                )

    def _checked(self, name: str, value: Any) -> Any:
        if name in FIXED:
            raise AttributeError(f"Trainer: {name} stays as it was made; make a new Trainer")
        if hasattr(self, "optimizer") and name not in self.names:
            raise AttributeError(
                f"Trainer: its groups have optimizers of their own, {name} is theirs; assign groups"
            )
        if name in COMMON:
            return self._common(name, value)
        given, patterns = self.optimizer if hasattr(self, "optimizer") else None, self.groups
        if name == "groups":
            patterns = groups.checked(value)
        elif name == "optimizer":
            given = optimizers.get(value)
        else:
            given = dataclasses.replace(self.optimizer, **{name: value})
        for _, each in groups.every(given, patterns, self.common):
            each.optimizer._check_precision(self.precision)
            for penalty in groups.PENALTIES:
                self._keeps(penalty, each.common[penalty])
        return patterns if name == "groups" else given

    def _common(self, name: str, value: Any) -> Any:
        found = groups.common(name, value)
        self._keeps(name, found)
        return found

    def _keeps(self, name: str, value: Any) -> None:
        """Refuse a penalty that is another number in float32."""
        if name in groups.PENALTIES and isinstance(value, float) and self.precision != "float64":
            keeps_kind("Trainer", name, value, NOT_NEGATIVE)

    def _only_groups(self) -> optimizers.Optimizer:
        """Return the optimizer of the last group, which stands for a trainer's that has none."""
        given = [changes["optimizer"] for changes in self.groups.values() if "optimizer" in changes]
        if not given:
            raise TypeError("Trainer: needs an optimizer, or groups that have one each")
        self.owns = False
        last: optimizers.Optimizer = given[-1]
        return last

    def with_(
        self,
        name: str,
        value: Any,
        shapes: Mapping[str, Shape] | None = None,
        still: Collection[str] | None = None,
    ) -> groups.Assignment:
        """Return who would move what with a setting that `fitting` returned.

        Parameters of other `shapes` by name than the network's may be asked for, and with others
        that stand `still`.
        """
        optimizer = value if name not in (*COMMON, "groups") else self.optimizer
        return groups.assign(
            optimizer if self.owns else None,
            value if name == "groups" else self.groups,
            self.common,
            self.shapes() if shapes is None else shapes,
            self.still() if still is None else still,
            self.lazy(),
        )

    def with_rates(self, change: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the settings that have learning rates, by name, with each rate changed."""
        own = {"optimizer": groups.of_rates(self.optimizer, change)} if self.owns else {}
        return {"groups": groups.with_rates(self.groups, change), **own}

    def take(self, name: str, value: Any) -> None:
        """Set what `fitting` returned."""
        if name in COMMON:
            self.common[name] = value
        elif name == "groups":
            self.groups = value
        else:
            self.optimizer = value
        self._assigned = None
        self.changes += 1

    def forget(self) -> None:
        """Find out anew who moves what: other weights may be frozen."""
        self._assigned = None
        self.changes += 1

    @property
    def assigned(self) -> groups.Assignment:
        """Who moves what; the network is built."""
        if self._assigned is None:
            self._assigned = self.with_("groups", self.groups)
        return self._assigned

    def slots(
        self, shapes: Mapping[str, Shape], frozen: Collection[str] | None = None
    ) -> dict[str, dict[str, Shape]]:
        """Return the shapes of all slots by name and parameter, of a network with such weights."""
        found: dict[str, dict[str, Shape]] = {}
        for each in self.aims:
            still = None if frozen is None else each.still(frozen, shapes)
            assigned = each.with_("groups", each.groups, shapes, still)
            prefix = f"{each.name}/" if self.others else ""
            own = assigned.slots(shapes, each.average is not None)
            found |= {f"{prefix}{slot}": of for slot, of in own.items()}
        return found

    # -- what is made small, by moving what; the network is built ------------------------------

    def terms(self) -> terms.Terms:
        """Return the losses of all objectives over the network as it is."""
        about = self.net._described()
        if self._terms is None or self._terms.about is not about:
            self._terms = terms.Terms(self.net, {each.name: each.goal for each in self.aims})
        return self._terms

    def still(
        self, frozen: Collection[str] | None = None, names: Collection[str] | None = None
    ) -> set[str]:
        """Return the parameters that this objective does not move: frozen ones, and others'."""
        frozen = self.net._frozen_names() if frozen is None else frozen
        moved = self.moved(self.shapes() if names is None else names)
        return {name for name in (moved if names is None else names) if not moved[name]} | {*frozen}

    def lazy(self) -> set[str]:
        """Return the weights of a built network that a layer wants moved by rows: `Embedding`."""
        if not self.net.built:
            return set()
        weights = self.net._described().weights.values()
        return {w.name for w in weights if getattr(w.layer, "sparse", False) is True}

    def moved(self, names: Collection[str]) -> dict[str, bool]:
        """Return of each parameter whether it is this objective's.

        Raises
        ------
        ValueError
            If a pattern or layer of `trains` is in no network, or has nothing to train.
        """
        if self.trains is None:
            return dict.fromkeys(names, True)
        about = self.net._described().weights.values()
        owners = {weight.name: weight.owners for weight in about}
        found = dict.fromkeys(names, False)
        for given in self.trains:
            hits = [
                name
                for name in found
                if (
                    matches(name, given)
                    if isinstance(given, str)
                    else any(owner is given for owner in owners.get(name, ()))
                )
            ]
            if not hits:
                shown = repr(given) if isinstance(given, str) else label(given)
                raise ValueError(
                    f"objective {self.name!r}: trains={shown} is no weight of the network; there "
                    f"are {', '.join(names)}"
                )
            found |= dict.fromkeys(hits, True)
        return found

    def native(self) -> list[_core.Objective]:
        """Return the objectives as a native session takes them.

        Raises
        ------
        ValueError
            If an objective has nothing to move, or a method for full batches has several losses.
        """
        found, names = self.terms(), list(self.shapes())
        frozen = {*self.net._frozen_names()}
        made = []
        for each, own in zip(self.aims, found.native, strict=True):
            moved, still = each.moved(names), each.still(frozen, names)
            trained = self.net._native.trained
            # A network without weights is nobody's mistake.
            if still.issuperset(free := [name for name in names if trained(name)]) and free:
                who = f"objective {each.name!r}" if each.name else "Trainer"
                raise ValueError(
                    f"{who}: trains nothing, all weights are frozen; net.unfreeze() frees them"
                )
            if each.optimizer.full_batch and len(found.terms) > 1:
                raise ValueError(
                    f"{type(each.optimizer).__name__}: takes one loss, got "
                    f"{', '.join(term.name for term in found.terms)}"
                )
            made.append(
                _core.Objective(
                    each.recipe(), own, list(moved.values()), [n in frozen for n in names],
                    each.every, each.name,
                )
            )  # fmt: skip
        return made

    def recipe(self) -> _core.Recipe:
        """Return how its parameters are moved."""
        return _core.Recipe(
            **self.assigned.made_with,
            seed=self.seed,
            mean=self.reduction != "sum",
            weighted=self.reduction == "weighted_mean",
            decay_bias=self.decay_bias,
            average=self.average is not None,
            adaptive=self.sam_adaptive,
        )

    def shapes(self) -> dict[str, Shape]:
        """Return the shapes of all parameters by name."""
        return {name: tuple(shape) for name, shape in self.net._native.parameters()}

    def build(self, shapes: tuple[Shape, ...] | None = None, draw: bool = True) -> None:
        """Build the network where it is not built, for these inputs or those it was made for."""
        if not self.net.built and (shapes := shapes or self.net.input_shapes) is not None:
            self.net._build_for(shapes, self.seed, self.precision, draw=draw)

    def output_shape(self) -> Shape:
        """Return the shape of the network's output; ValueError where it has several."""
        shapes = self.net.output_shapes
        if len(shapes) != 1:
            raise ValueError(f"Trainer: this is for one output, the network has {len(shapes)}")
        return shapes[0]


def _precision(name: str, device: str) -> str:
    alone = device == "cpu"
    if name == "float64" and not alone:
        raise ValueError(
            f'Trainer: device="{device}": networks are float32 there; use precision="float32", '
            '"tf32" or "bfloat16", or device="cpu"'
        )
    if alone and name in tuple(TENSOR_CORES):
        raise ValueError(
            f'Trainer: precision="{name}" is for tensor cores; use device="cuda", or '
            'precision="float32" or "float64"'
        )
    return choose(
        "precision", name, {k: k for k in PRECISIONS if not alone or k not in TENSOR_CORES}
    )


def _device(name: str) -> str:
    device = devices.named(name)
    if device == "cuda":
        devices.check()
    return device
