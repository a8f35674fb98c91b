"""A trainer as tensors and a description, and back: what a checkpoint holds. Files: `checkpoint`.

Everything that decides the further course is in it, and nothing else: no times, so that equal
trainings give equal bytes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import losses, optimizers, schedules
from ..network.graph import Layer
from ..network.model import Network
from ..network.weights import fitting
from ..training.history import History
from . import described
from .config import Decoder, Encoder

if TYPE_CHECKING:
    from ..training.trainer import Trainer

Array: TypeAlias = NDArray[Any]
Layout: TypeAlias = tuple[int, int, bool, bool]  # samples, batch_size, shuffle, drop_last
VERSION = 2
_READ = (1, 2)
COUNTERS = ("epoch", "batch", "steps", "loss", "right", "weight")


@dataclass
class Call:
    """A `fit`: where it began, how many epochs it was asked for."""

    first: int
    epochs: int
    stopped: bool = False  # a callback said "stop"
    done: bool = False  # it is over


@dataclass
class Place:
    """What the `fit` in progress was asked for. How far it is, the session knows."""

    layout: Layout | None = None
    call: Call | None = None
    rate: float | None = None  # of the last step


def counters(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a session's progress a checkpoint keeps: all but times."""
    return {name: progress[name] for name in COUNTERS}


def until(history: History, progress: Mapping[str, Any]) -> History:
    """Return a copy of a history up to where a session stood."""
    copy = History()
    copy.history = {k: v[: progress["epoch"]] for k, v in history.history.items()}
    copy.steps["loss"] = history.steps["loss"][: progress["steps"]]
    return copy


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
        "common": {
            name: None if v is None else schedules.get_config(v)
            for name, v in trainer.common.items()
        },
    }


def pack(trainer: "Trainer") -> tuple[dict[str, Array], dict[str, Any]]:
    """Return everything a trainer is at one moment, as tensors and a description."""
    encoder = Encoder()
    about = describe(trainer)
    try:
        about["net"] = encoder.encode(trainer.net)
    except TypeError as error:  # layers with arguments of other kinds: load(..., net=) takes it
        about["net_missing"] = str(error)
        encoder = Encoder()
    weights, slots, progress = trainer.session().copy_out()
    history, place = until(trainer.history, progress), trainer.place
    tensors = {f"weights/{name}": value for name, value in weights.items()}
    for slot, values in slots.items():
        tensors |= {f"slots/{slot}/{name}": value for name, value in values.items()}
    call = place.call
    about["shapes"] = trainer.net.input_shapes
    about["place"] = {
        **counters(progress),
        "layout": place.layout,
        "rate": place.rate,
        "call": None if call is None else [call.first, call.epochs, call.stopped, call.done],
    }
    for name, numbers in history.history.items():
        if name != "seconds":
            tensors[f"history/epochs/{name}"] = np.array(numbers, np.float64)
    tensors["history/steps/loss"] = np.array(history.steps["loss"], np.float64)
    about["history"] = list(history.history)
    if call is not None:
        about["callbacks"] = encoder.encode(trainer.callback_states())
    return tensors | encoder.arrays, about


def settings(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the trainer that a checkpoint describes, the network aside."""
    if about["version"] not in _READ:
        raise ValueError(f"written in format {about['version']}, this steep reads {_READ}")
    none = 0.0 if about["version"] == 1 else None  # what stood for no limit
    common = {
        name: None if v == none and name.startswith("clip") else schedules.from_config(v)
        for name, v in about["common"].items()
    }
    return {
        "loss": losses.from_config(about["loss"]),
        "optimizer": optimizers.from_config(about["optimizer"]),
        **common,
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
    progress, place = progress_of(tensors, about), _place(about["place"])
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
    slots = {slot: fitting(native, _under(f"slots/{slot}/", tensors)) for slot in session.slots}
    weights = fitting(native, _under("weights/", tensors))
    session.assign_slots(slots)
    native.assign(list(weights.items()))
    session.set_progress(**progress)
    trainer.loaded(place, history, states)


def progress_of(tensors: Mapping[str, Array], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counters of a session; format 1 kept the losses of the epoch, not their sum.

    Raises
    ------
    ValueError
        If the counters do not fit together.
    """
    saved = about["place"]
    if about["version"] > 1:
        found = {name: saved[name] for name in COUNTERS}
        return {
            k: int(v) if k in ("epoch", "batch", "steps") else float(v) for k, v in found.items()
        }
    counts = {name: int(saved[name]) for name in ("epoch", "batch", "steps")}
    losses = tensors["history/epoch_in_progress/loss"].tolist()
    if counts["batch"] != len(losses):
        raise ValueError(f"place: batch is {counts['batch']}, with {len(losses)} losses of it")
    rows = [0] * len(losses)
    if saved["layout"] is not None:
        samples, size = (int(n) for n in saved["layout"][:2])
        rows = [min(size, samples - k * size) for k in range(len(losses))]
    mean = about["settings"]["reduction"] == "mean"
    total = sum(v * n if mean else v for v, n in zip(losses, rows, strict=True))
    return {**counts, "loss": total, "right": float(saved["correct"]), "weight": float(sum(rows))}


def _place(saved: Mapping[str, Any]) -> Place:
    call, layout = saved["call"], saved["layout"]
    if layout is not None:
        samples, size, shuffle, *drop = layout
        layout = int(samples), int(size), bool(shuffle), bool(drop and drop[0])
    if call is not None:
        first, epochs, stopped, *done = call
        call = Call(int(first), int(epochs), bool(stopped), bool(done and done[0]))
    rate = saved.get("rate")
    return Place(layout, call, None if rate is None else float(rate))


def _under(prefix: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
