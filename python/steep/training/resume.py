"""A run as tensors and a description, and back: what checkpoints, copies and pickles hold.

Everything that decides the further course is in it, and nothing else: no times, so that equal
trainings give equal bytes. Files are in `files.checkpoint`.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import averages, losses, optimizers, schedules
from ..checks.columns import from_file, to_file
from ..checks.names import exactly
from ..files import checkpoint
from ..files.checkpoint import under
from ..network import Layer
from ..network.model import Network
from ..network.weights import fitting, fitting_shapes
from ..saving import described
from ..saving.config import Decoder, Encoder
from .history import History, until
from .objective import Objective
from .place import Place
from .run import Run
from .settings import FIXED, OWN, Settings

Array: TypeAlias = NDArray[Any]
VERSION = 4  # of those with several losses or frozen weights; others are as they were
_READ = (1, 2, 3, VERSION)
COUNTERS = ("epoch", "batch", "steps")
SUMS = ("loss", "weighted", "right", "weight", "samples")


def counters(progress: Mapping[str, Any], plain: bool = False) -> dict[str, Any]:
    """Return what of a session's progress a checkpoint keeps: all but times.

    `plain`: of one loss as it is, whose sums by weights are the same.
    """
    found = {name: progress[name] for name in COUNTERS}
    if not plain:
        return {**found, "sums": [list(each) for each in progress["sums"]]}
    of = dict(zip(SUMS, progress["sums"][0], strict=True))
    return found | {name: of[name] for name in ("loss", "right", "weight")}


def describe(settings: Settings) -> dict[str, Any]:
    """Return the settings of a trainer as JSON can hold them.

    Raises
    ------
    ValueError
        If a schedule is a Python function.
    """
    frozen, given = settings.net._frozen_names(), bool(settings.given)
    about: dict[str, Any] = {"frozen": list(frozen)} if frozen else {}
    if given:
        about["objectives"] = [_objective(each) for each in settings.aims]
    else:
        about |= _own(settings)
    new = bool(frozen) or given or "loss_weights" in about or not settings.terms().plain
    return {
        "format": "trainer",
        "version": VERSION if new or isinstance(settings.loss, dict) else 3,
        **about,
        "settings": about.get("settings", {})
        | {name: getattr(settings, name) for name in ("reduction", "precision", "device", "seed")},
    }


def _own(settings: Settings) -> dict[str, Any]:
    """Return what is an objective's own: what it makes small, and how."""
    several = isinstance(settings.loss, dict)
    about: dict[str, Any] = {}
    if settings.loss_weights:
        given = settings.loss_weights
        about["loss_weights"] = {name: schedules.get_config(w) for name, w in given.items()}
    return about | {
        "loss": _by_name(settings.loss) if several else settings.loss.get_config(),
        "optimizer": settings.optimizer.get_config() if settings.owns else None,
        "groups": [
            [pattern, {name: _plain(value) for name, value in changes.items()}]
            for pattern, changes in settings.groups.items()
        ],
        "average": None if settings.average is None else settings.average.get_config(),
        "settings": {
            name: getattr(settings, name) for name in ("metrics", "sam_adaptive", "decay_bias")
        },
        "common": {
            name: None if v is None else schedules.get_config(v)
            for name, v in settings.common.items()
        },
    }


def _objective(settings: Settings) -> dict[str, Any]:
    """Return one of several objectives; what it trains by names, as it is now."""
    moved = settings.moved(settings.shapes())
    trains = None if settings.trains is None else [name for name in moved if moved[name]]
    return {
        "name": settings.name, "every": settings.every, "trains": trains, **_own(settings),
    }  # fmt: skip


def _by_name(given: Mapping[str, losses.Loss]) -> dict[str, Any]:
    return {"outputs": [[name, loss.get_config()] for name, loss in given.items()]}


def _losses(about: Any, functions: Mapping[str, Any]) -> Any:
    if "outputs" in about:
        return {str(name): losses.from_config(each, functions) for name, each in about["outputs"]}
    return losses.from_config(about, functions)


def _plain(value: Any) -> Any:
    if isinstance(value, optimizers.Optimizer):
        return value.get_config()
    return None if value is None else schedules.get_config(value)


def _optimizer(config: Any) -> optimizers.Optimizer | None:
    return None if config is None else optimizers.from_config(config)


def pack(run: Run) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return everything a run is at one moment, as tensors and a description."""
    encoder, net = Encoder(), run.settings.net
    about = describe(run.settings)
    try:
        about["net"] = encoder.encode(net)
    except TypeError as error:  # layers with arguments of other kinds: load(..., net=) takes it
        about["net_missing"] = str(error)
        encoder = Encoder()
    weights, slots, progress = run.session().copy_out()
    run.record()
    history, place = until(run.history, progress), run.place
    tensors = {f"weights/{name}": value for name, value in weights.items()}
    for slot, values in slots.items():
        tensors |= {f"slots/{slot}/{name}": value for name, value in values.items()}
    about["shapes"] = net.input_shapes
    about |= to_file(net._columns)
    about["place"] = counters(progress, run.settings.terms().plain) | place.described()
    for name, numbers in history.history.items():
        if name != "seconds":
            tensors[f"history/epochs/{name}"] = np.array(numbers, np.float64)
    tensors["history/steps/loss"] = np.array(history.steps["loss"], np.float64)
    about["history"] = list(history.history)
    if place.call is not None:
        about["callbacks"] = encoder.encode(run.states())
    return tensors | encoder.arrays, about


def settings(about: Mapping[str, Any], functions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the trainer that a checkpoint describes, the network aside.

    `functions` are those of losses, by name.
    """
    if about["version"] not in _READ:
        raise ValueError(f"written in format {about['version']}, this steep reads {_READ}")
    if "objectives" in about:
        made = [_made(each, functions) for each in about["objectives"]]
        return {"objectives": made, **about["settings"]}
    return {**_arguments(about, functions), **about["settings"]}


def _made(about: Mapping[str, Any], functions: Mapping[str, Any]) -> Objective:
    trains = about["trains"]
    if trains is not None:
        trains = [exactly(str(name)) for name in trains]
    given = _arguments(about, functions) | about["settings"]
    return Objective(trains=trains, every=about["every"], name=about["name"], **given)


def _arguments(about: Mapping[str, Any], functions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that an objective, or a trainer with one, was made with."""
    none = 0.0 if about.get("version") == 1 else None  # what stood for no limit
    common = {
        name: None if v == none and name.startswith("clip") else schedules.from_config(v)
        for name, v in about["common"].items()
    }
    return {
        "loss": _losses(about["loss"], functions),
        "loss_weights": {
            str(name): schedules.from_config(v) for name, v in about.get("loss_weights", {}).items()
        },
        "optimizer": _optimizer(about["optimizer"]),
        "groups": {
            str(pattern): {name: optimizers.read_argument(v) for name, v in changes.items()}
            for pattern, changes in about.get("groups", [])
        },
        "average": averages.from_config(about.get("average")),
        **common,
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


def save(run: Run, path: str | PathLike[str]) -> None:
    """Write everything to one file, where it could be loaded again."""
    with run.untouched():
        run.verify()
        checkpoint.write(path, *pack(run))


@contextmanager
def opened(path: str | PathLike[str]) -> Iterator[tuple[dict[str, Array], dict[str, Any]]]:
    """Give what is in a file that `save` wrote; say which it is where the body cannot use it."""
    tensors, about = checkpoint.read(path)
    if about.get("format") != "trainer":
        raise ValueError(f"{path}: no checkpoint of a trainer; net.load_weights reads weights")
    try:
        yield tensors, about
    except RecursionError:
        raise ValueError(f"{path}: its description is nested too deeply") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: {reason}") from error
    except RuntimeError as error:  # of a device that is not here
        raise RuntimeError(f"{path}: {error}") from error
    except MemoryError as error:
        raise MemoryError(f"{path}: does not fit into the memory that is left") from error


def unpack(run: Run, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Give a new run the state of a checkpoint; where it does not fit, nothing changes."""
    own = run.settings
    frozen = [str(name) for name in about.get("frozen", ())]
    shapes = described.check_state(
        own.net, lambda weights: own.slots(weights, frozen), own.precision, tensors, about
    )
    before, columns = own.net._freezes, from_file(about, shapes)
    try:
        with own.net._tentative():
            own.build(shapes, draw=False)
            if {*frozen} != {*own.net._frozen_names()}:
                own.net._freeze_exactly(frozen)
                own.forget()
            _fill(run, tensors, about)
            own.net._note_columns(columns)
    except BaseException:
        own.net._freezes = before
        raise


def _fill(run: Run, tensors: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Set weights and slots last, all checked before."""
    progress, place = progress_of(tensors, about), Place.of(about["place"])
    columns: dict[str, list[float]] = {
        name: tensors[f"history/epochs/{name}"].tolist()
        for name in about["history"]
        if name != "seconds"
    }
    epochs = max(map(len, columns.values()), default=0)
    history = History()
    history.history = {name: columns.get(name, [math.nan] * epochs) for name in about["history"]}
    history.steps["loss"] = tensors["history/steps/loss"].tolist()
    place.states = Decoder(tensors, {}).decode(about.get("callbacks", []))
    place.loaded = place.call is not None
    if "sums" not in progress:
        progress = _one_sum(progress, place)
    native, session = run.settings.net._native, run.session()
    slots = {
        slot: fitting_shapes(shapes, native.precision, under(f"slots/{slot}/", tensors))
        for slot, shapes in run.settings.slots(run.settings.shapes()).items()
    }
    weights = fitting(native, under("weights/", tensors))
    session.assign_slots(slots)
    native.assign(list(weights.items()))
    session.set_progress(**progress)
    run.place, run.history = place, history


def state(run: Run) -> dict[str, Any]:
    """Return what a copy or pickle keeps: settings, network and, once steps are done, the rest."""
    own = run.settings
    kept: dict[str, Any] = {
        "fixed": {name: own.get(name) for name in FIXED},
        "optimizer": own.optimizer if own.owns else None,
        "groups": dict(own.groups),
        "common": dict(own.common),
    }
    if own.given:  # theirs is what they were made with
        shared = {name: own.get(name) for name in FIXED if name not in ("loss", *OWN)}
        kept = {"fixed": shared, "optimizer": None, "groups": None, "common": {}}
    if run.trained:
        weights, slots, progress = run.session().copy_out()
        run.record()
        kept["trained"] = (weights, slots, progress, until(run.history, progress))
        kept["place"] = (run.place.described(), run.place.loaded, list(run.states()))
    return kept


def set_state(run: Run, kept: Mapping[str, Any]) -> None:
    """Give a run, made with the settings that `state` returned, the rest of it."""
    if "trained" in kept:
        weights, slots, progress, run.history = kept["trained"]
        run.settings.net.load_state_dict(weights)
        run.session().assign_slots(slots)
        progress = progress if "sums" in progress else _one_sum(progress, _place_of(kept))
        run.session().set_progress(**counters(progress))
        _, loaded, states = kept["place"]
        run.place = _place_of(kept)
        run.place.loaded, run.place.states = loaded, states


def _place_of(kept: Mapping[str, Any]) -> Place:
    place = kept["place"][0]
    return place if isinstance(place, Place) else Place.of(place)  # as once pickled


def _one_sum(progress: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return progress as of several losses, from that of one as it is."""
    seen = 0
    if place.layout is not None:
        seen = min(progress["batch"] * place.layout[1], place.layout[0])
    loss, right, weight = (float(progress[name]) for name in ("loss", "right", "weight"))
    sums = [(loss, loss, right, weight, float(seen))]
    return {name: progress[name] for name in COUNTERS} | {"sums": sums}


def progress_of(tensors: Mapping[str, Array], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counters of a session; format 1 kept the losses of the epoch, not their sum."""
    saved = about["place"]
    counts: dict[str, Any] = {name: int(saved[name]) for name in COUNTERS}
    if "sums" in saved:
        return counts | {"sums": [tuple(float(x) for x in each) for each in saved["sums"]]}
    if about["version"] > 1:
        sums = {name: float(saved[name]) for name in ("loss", "right", "weight")}
        return {**counts, **sums}
    losses = tensors["history/epoch_in_progress/loss"].tolist()
    rows = [0] * len(losses)
    if saved["layout"] is not None:
        samples, size = (int(n) for n in saved["layout"][:2])
        rows = [min(size, samples - k * size) for k in range(len(losses))]
    mean = about["settings"]["reduction"] == "mean"
    total = sum(v * n if mean else v for v, n in zip(losses, rows, strict=True))
    return {**counts, "loss": total, "right": float(saved["correct"]), "weight": float(sum(rows))}
