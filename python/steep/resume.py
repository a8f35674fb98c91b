"""A trainer as tensors and a description, and back: what a checkpoint holds. Files: `checkpoint`.

Everything that decides the further course is in it, and nothing else: no times, so that equal
trainings give equal bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import described, losses, optimizers, schedules
from .config import Decoder, Encoder
from .graph import Layer
from .history import History
from .model import Network
from .weights import fitting

if TYPE_CHECKING:
    from .trainer import Trainer

Array: TypeAlias = NDArray[Any]
VERSION = 1
_OPTIONAL = ("clip_norm", "clip_value")  # 0 in the knob table, None as an argument


@dataclass
class Call:
    """A `fit` that is not over: where it began, how many epochs it was asked for."""

    first: int
    epochs: int
    stopped: bool = False  # a callback said "stop"


@dataclass
class Place:
    """Where a training stands."""

    epoch: int = 0  # epochs done
    batch: int = 0  # batches done of the epoch in progress
    steps: int = 0  # updates done
    correct: float = 0.0  # right predictions of the epoch in progress
    seconds: float = 0.0  # and its time so far
    losses: list[float] = field(default_factory=list)  # of its steps
    layout: tuple[int, int, bool] | None = None  # its samples, batch size, shuffle
    call: Call | None = None

    def begin_epoch(self) -> None:
        """Stand at the beginning of the epoch in progress."""
        self.batch, self.correct, self.seconds, self.losses = 0, 0.0, 0.0, []


def describe(trainer: "Trainer") -> dict[str, Any]:
    """Return the settings of a trainer as JSON can hold them.

    Raises
    ------
    ValueError
        If a schedule is a Python function.
    """
    return {
        "format": "trainer",
        "version": VERSION,
        "loss": trainer.loss.get_config(),
        "optimizer": trainer.optimizer.get_config(),
        "settings": {
            "metrics": list(trainer.metrics),
            "decay_bias": trainer.decay_bias,
            "reduction": trainer.reduction,
            "precision": trainer.precision,
            "device": trainer.device,
            "seed": trainer.seed,
        },
        "common": {name: schedules.get_config(v) for name, v in trainer.common.items()},
    }


def pack(trainer: "Trainer") -> tuple[dict[str, Array], dict[str, Any]]:
    """Return everything a trainer is, as tensors and a description."""
    session, place, encoder = trainer.session(), trainer.place, Encoder()
    about = describe(trainer)
    try:
        about["net"] = encoder.encode(trainer.net)
    except TypeError as error:  # layers with arguments of other kinds: load(..., net=) takes it
        about["net_missing"] = str(error)
        encoder = Encoder()
    tensors = {f"weights/{name}": value for name, value in trainer.net.state_dict().items()}
    for slot in session.slots:
        for name, _ in trainer.net.native.parameters():
            tensors[f"slots/{slot}/{name}"] = np.array(session.get_slot(slot, name))
    call = place.call
    about["shapes"] = trainer.net.input_shapes
    about["place"] = {
        "epoch": place.epoch,
        "batch": place.batch,
        "steps": place.steps,
        "correct": place.correct,
        "layout": place.layout,
        "call": None if call is None else [call.first, call.epochs, call.stopped],
    }
    table = {k: v for k, v in trainer.history.history.items() if k != "seconds"}
    for name, values in table.items():
        tensors[f"history/epochs/{name}"] = np.array(values, np.float64)
    tensors["history/steps/loss"] = np.array(trainer.history.steps["loss"], np.float64)
    tensors["history/epoch_in_progress/loss"] = np.array(place.losses, np.float64)
    about["history"] = list(trainer.history.history)
    if call is not None:
        about["callbacks"] = encoder.encode(trainer.callback_states())
    return tensors | encoder.arrays, about


def settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the trainer that a checkpoint describes, the network aside."""
    if about["version"] != VERSION:
        raise ValueError(f"written in format {about['version']}, this steep reads {VERSION}")
    common = {name: schedules.from_config(v) for name, v in about["common"].items()}
    return {
        "loss": losses.from_config(about["loss"]),
        "optimizer": optimizers.from_config(about["optimizer"]),
        **{name: None if v == 0.0 and name in _OPTIONAL else v for name, v in common.items()},
        **about["settings"],
    }


def network(
    tensors: Mapping[str, Array], about: Mapping[str, Any], custom: Mapping[str, type[Layer]]
) -> Network:
    """Return the network a checkpoint describes, not built."""
    if "net" not in about:
        raise ValueError(f"its network could not be saved ({about['net_missing']}); pass net=...")
    described.check_size(about["net"])
    net = Decoder(tensors, custom).decode(about["net"])
    if not isinstance(net, Network):
        raise ValueError("describes no network")
    return net


def unpack(trainer: "Trainer", tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Give a new trainer the state of a checkpoint; weights and slots last, all checked before."""
    place = _place(about["place"])
    place.losses = tensors["history/epoch_in_progress/loss"].tolist()
    history = History()
    epochs = 0
    for name in about["history"]:
        if name != "seconds":
            history.history[name] = tensors[f"history/epochs/{name}"].tolist()
            epochs = len(history.history[name])
        else:
            history.history[name] = []
    if "seconds" in history.history:
        history.history["seconds"] = [math.nan] * epochs
    history.steps["loss"] = tensors["history/steps/loss"].tolist()
    states = Decoder(tensors, {}).decode(about.get("callbacks", []))
    native, session = trainer.net.native, trainer.session()
    parts = {slot: fitting(native, _under(f"slots/{slot}/", tensors)) for slot in session.slots}
    weights = fitting(native, _under("weights/", tensors))
    for slot, values in parts.items():
        for name, value in values.items():
            session.set_slot(slot, name, value)
    for name, value in weights.items():
        native.set(name, value)
    trainer.place, trainer.history = place, history
    trainer.loaded(states)


def _place(saved: Mapping[str, Any]) -> Place:
    call = saved["call"]
    layout = saved["layout"]
    return Place(
        epoch=int(saved["epoch"]),
        batch=int(saved["batch"]),
        steps=int(saved["steps"]),
        correct=float(saved["correct"]),
        layout=None if layout is None else (int(layout[0]), int(layout[1]), bool(layout[2])),
        call=None if call is None else Call(int(call[0]), int(call[1]), bool(call[2])),
    )


def _under(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
