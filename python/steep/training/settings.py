"""`Settings`: what a trainer is made with, and what of it may be assigned while it trains.

Training itself is `trainer`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _core, losses, optimizers, schedules
from ..checks.names import choose
from ..checks.numbers import NOT_NEGATIVE, POSITIVE, flag, keeps_kind
from ..network import inputs
from ..network.model import Network
from ..network.weights import PRECISIONS

COMMON = ("l1", "l2", "clip_norm", "clip_value")
# What a session is made with.
FIXED = ("net", "loss", "decay_bias", "reduction", "precision", "device", "seed", "metrics")


class Settings:
    """The settings of a trainer, checked; `Trainer` says what they mean."""

    net: Network
    loss: losses.Loss
    metrics: tuple[str, ...]
    decay_bias: bool
    reduction: str
    precision: str
    device: str
    seed: int

    def __init__(
        self,
        net: Network,
        loss: Any,
        optimizer: Any,
        *,
        metrics: Sequence[str] | None,
        common: Mapping[str, Any],
        decay_bias: bool,
        reduction: str,
        precision: str,
        device: str,
        seed: int,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"Trainer: net must be a steep network, got {type(net).__name__}")
        known = losses.get(loss)
        self.__dict__.update(
            net=net,
            loss=known,
            metrics=_metrics(metrics, known),
            decay_bias=flag("Trainer", "decay_bias", decay_bias),
            reduction=choose("reduction", reduction, {"mean": "mean", "sum": "sum"}),
            precision=choose("precision", precision, {k: k for k in PRECISIONS}),
            device=_device(device),
            seed=inputs.seed(seed),
        )
        self._optimizer = self._fitting(optimizers.get(optimizer))
        self.common: dict[str, Any] = {
            name: self._common_of(name, value) for name, value in common.items()
        }
        self._changes = 0  # of settings and of what was trained on: knob tables made before are old

    def __setattr__(self, name: str, value: Any) -> None:
        """Take hyper-parameters by name; refuse what would have no effect."""
        if name.startswith("_") or name in ("common", "place", "logged"):
            object.__setattr__(self, name, value)
        elif name in COMMON:
            self.common[name] = self._common_of(name, value)
            self._changes += 1
        elif name in FIXED:
            raise AttributeError(f"Trainer: {name} stays as it was made; make a new Trainer")
        elif name == "optimizer":
            self._take_optimizer(optimizers.get(value))
        elif name in self._optimizer.ranges:
            self._take_optimizer(dataclasses.replace(self._optimizer, **{name: value}))
        elif Settings in type(self).__bases__ and not hasattr(type(self), name):  # no user's own
            known = (*COMMON, "optimizer", *self._optimizer.ranges)
            raise AttributeError(
                f"Trainer: has no setting {name!r}; settings are {', '.join(known)}"
            )
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """Return a penalty, a limit or a hyper-parameter of the optimizer, as it was given."""
        if name in COMMON:
            return self.common[name]
        optimizer = self.__dict__.get("_optimizer")
        if optimizer is not None and name in optimizer.ranges:
            return getattr(optimizer, name)
        raise AttributeError(f"Trainer has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *COMMON, *self._optimizer.ranges]

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer. Another one may be assigned, of the same update rule once steps are done.

        Raises
        ------
        ValueError
            If its rule is another one than that of the steps done.
        """
        return self._optimizer

    def _fitting(self, given: optimizers.Optimizer) -> optimizers.Optimizer:
        given.check_precision(self.precision)
        return given

    def _common_of(self, name: str, value: Any) -> Any:
        """Return a penalty or a limit as a float or a schedule; None stands for no limit."""
        if name not in ("l1", "l2"):
            return None if value is None else schedules.of("Trainer", name, value, POSITIVE)
        penalty = schedules.of("Trainer", name, value, NOT_NEGATIVE)
        if isinstance(penalty, float) and self.precision == "float32":
            keeps_kind("Trainer", name, penalty, NOT_NEGATIVE)
        return penalty

    def _take_optimizer(self, given: optimizers.Optimizer) -> None:
        self._fitting(given)
        self._take_rule(given)
        self._optimizer = given
        self._changes += 1

    def _take_rule(self, given: optimizers.Optimizer) -> None:
        """Refuse an update rule that cannot take over from the one there is."""

    @property
    def changes(self) -> int:
        """How often settings changed, or steps were done that no table foresaw."""
        return self._changes


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
