"""`Objective`: what one of a training's optimizers makes small, and which weights it moves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..checks.numbers import whole
from ..network import Layer
from .settings import OWN, Settings


class Objective:
    """One of a trainer's objectives: losses, the weights they train, and an optimizer for those.

    A step of the trainer does its objectives in order, each on the weights that the one before it
    left: forward, backward and an update of its own weights. Backward passes reach what the
    objective trains, and no further; running statistics follow in the objective whose weights they
    stand beside.

    Parameters
    ----------
    loss
        As `Trainer` takes it. Losses that layers add belong to the first objective.
    trains
        Which weights it moves: layers or networks, patterns of names, a list of these; None: all.
    optimizer
        A name or one of `steep.optimizers`; its state is this objective's alone. Rules that look
        ahead of the weights (Nesterov's) and methods for full batches are for one objective only.
    every
        It is due at every so many steps: at 5 after four in which it was left out.
    name
        Begins the names of its losses in histories.
    groups, loss_weights, metrics, l1, l2, decay_bias, clip_norm, clip_value, clip_parameter, \
average, sam, sam_adaptive
        As `Trainer` takes them, for the weights that it trains.

    Raises
    ------
    TypeError, ValueError
        If an argument is of no use; what does not fit the network is refused by the trainer.
    """

    def __init__(
        self,
        loss: Any = None,
        trains: Any = None,
        optimizer: Any = None,
        every: int = 1,
        name: str | None = None,
        *,
        groups: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, Any] | None = None,
        metrics: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        l1: Any = 0.0,
        l2: Any = 0.0,
        decay_bias: bool = False,
        clip_norm: Any = None,
        clip_value: Any = None,
        clip_parameter: Any = None,
        average: Any = None,
        sam: Any = 0.0,
        sam_adaptive: bool = False,
    ) -> None:
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise TypeError(f"Objective: name must be a string without a slash, got {name!r}")
        self.loss, self.optimizer, self.groups, self.name = loss, optimizer, groups, name
        self.trains = _trained(trains)
        self.every = whole("Objective", "every", every)
        self._common = {
            "l1": l1, "l2": l2, "clip_norm": clip_norm, "clip_value": clip_value,
            "clip_parameter": clip_parameter, "sam": sam,
        }  # fmt: skip
        self._fixed = {
            "loss_weights": loss_weights, "metrics": metrics, "decay_bias": decay_bias,
            "average": average, "sam_adaptive": sam_adaptive,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"Objective({self.loss!r}, optimizer={self.optimizer!r}, name={self.name!r})"


def _trained(given: Any) -> tuple[Any, ...] | None:
    if given is None:
        return None
    items = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    found = tuple(items)
    for item in found:
        if not isinstance(item, (str, Layer)) or item == "":
            raise TypeError(f"Objective: trains takes layers and names of weights, got {item!r}")
    if not found:
        raise ValueError("Objective: trains is empty; it would train nothing")
    return found


def settings_of(net: Any, given: Any, shared: Mapping[str, Any]) -> Settings:
    """Return the settings of a trainer with several objectives.

    Raises
    ------
    TypeError, ValueError
        If there is none, something is no objective, or two have one name.
    """
    if not isinstance(given, (list, tuple)) or not given:
        raise TypeError("Trainer: objectives expects a list of steep.Objective, at least one")
    made: list[Settings] = []
    for number, each in enumerate(given):
        if not isinstance(each, Objective):
            raise TypeError(f"Trainer: objectives expects steep.Objective, got {each!r}")
        name = each.name or f"objective_{number}"
        if name in [one.name for one in made]:
            raise ValueError(f"Trainer: two objectives are called {name!r}; names must differ")
        one = Settings(
            net, each.loss, each.optimizer, each._common, {**shared, **each._fixed},
            given=each.groups,
        )  # fmt: skip
        one.name, one.every, one.trains = name, each.every, each.trains
        made.append(one)
    assert {*given[0]._fixed} == {*OWN}
    made[0].others = tuple(made[1:])
    made[0].given = tuple(given)
    return made[0]
