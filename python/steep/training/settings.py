"""`Settings`: what a trainer is made with, and what of it may be assigned while it trains.

Training itself is `run`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _core, losses, optimizers, schedules
from ..checks.names import choose
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, flag, keeps_kind, seed
from ..network import Shape
from ..network.network import Network
from ..network.weights import PRECISIONS

COMMON = ("l1", "l2", "clip_norm", "clip_value")
# What a session is made with.
FIXED = ("net", "loss", "decay_bias", "reduction", "precision", "device", "seed", "metrics")


class Settings:
    """The settings of a trainer, checked; `Trainer` says what they mean."""

    def __init__(
        self,
        net: Network,
        loss: Any,
        optimizer: Any,
        common: Mapping[str, Any],
        fixed: Mapping[str, Any],
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"Trainer: net must be a steep network, got {type(net).__name__}")
        self.net = net
        self.loss = losses.get(loss)
        self.metrics = _metrics(fixed["metrics"], self.loss)
        self.decay_bias = flag("Trainer", "decay_bias", fixed["decay_bias"])
        self.reduction = choose("reduction", fixed["reduction"], {"mean": "mean", "sum": "sum"})
        self.precision = choose("precision", fixed["precision"], {k: k for k in PRECISIONS})
        self.device = _device(fixed["device"])
        self.seed = seed(fixed["seed"])
        self.optimizer: optimizers.Optimizer = self.fitting("optimizer", optimizer)
        self.common = {name: self.fitting(name, value) for name, value in common.items()}
        self.changes = 0  # of settings and of what was trained on: knob tables made before are old

    @property
    def names(self) -> tuple[str, ...]:
        """What may be assigned."""
        return (*COMMON, "optimizer", *self.optimizer.ranges)

    def __contains__(self, name: object) -> bool:
        return name in FIXED or name in self.names

    def get(self, name: str) -> Any:
        """Return a setting as it was given: a penalty, a limit or a hyper-parameter, too."""
        if name in COMMON:
            return self.common[name]
        if name not in self:
            raise AttributeError(f"Trainer has no attribute {name!r}")
        return getattr(self.optimizer if name in self.optimizer.ranges else self, name)

    def fitting(self, name: str, value: Any) -> Any:
        """Return a setting checked, as `take` takes it; for a hyper-parameter, the optimizer.

        Raises
        ------
        AttributeError
            If it stays as it was made.
        TypeError, ValueError
            If it takes no such value.
        """
        if name in FIXED:
            raise AttributeError(f"Trainer: {name} stays as it was made; make a new Trainer")
        if name in ("l1", "l2"):
            penalty = schedules.base.of("Trainer", name, value, NOT_NEGATIVE)
            if isinstance(penalty, float) and self.precision == "float32":
                keeps_kind("Trainer", name, penalty, NOT_NEGATIVE)
            return penalty
        if name in COMMON:  # None stands for no limit
            return None if value is None else schedules.base.of("Trainer", name, value, POSITIVE)
        given = (
            optimizers.get(value)
            if name == "optimizer"
            else dataclasses.replace(self.optimizer, **{name: value})
        )
        given._check_precision(self.precision)
        return given

    def take(self, name: str, value: Any) -> None:
        """Set what `fitting` returned."""
        if name in COMMON:
            self.common[name] = value
        else:
            self.optimizer = value
        self.changes += 1

    def build(self, shapes: tuple[Shape, ...] | None = None, draw: bool = True) -> None:
        """Build the network where it is not built, for these inputs or those it was made for."""
        if not self.net.built and (shapes := shapes or self.net.input_shapes) is not None:
            self.net._build_for(shapes, self.seed, self.precision, draw=draw)

    def output_shape(self) -> Shape:
        """Return the shape of the network's output; ValueError where it has several."""
        shapes = self.net.output_shapes
        if len(shapes) != 1:
            raise ValueError(f"Trainer: trains one output, got {len(shapes)}")
        return shapes[0]


def _metrics(given: Sequence[str] | None, loss: losses.Loss) -> tuple[str, ...]:
    if given is None:
        return ("accuracy",) if loss.classification else ()
    names = tuple(given) if not isinstance(given, str) else (given,)
    for name in names:
        choose("metric", name, {"accuracy": 0})
        if not loss.classification:
            raise ValueError(f"accuracy: counts right classes, but {loss.name} is for values")
    return names


def _device(name: str) -> str:
    device = choose("device", name, {"cpu": "cpu", "cuda": "cuda"})
    if device == "cuda":
        raise RuntimeError(f'device="cuda": {_core.info()["cuda"]}. Use device="cpu".')
    return device
