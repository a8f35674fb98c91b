"""Holds what a checkpoint says of itself against what it holds, before anything is built of it.

Nothing here changes the trainer or its network, and nothing takes more than the file's size allows.
Taking a checkpoint apart is `training.resume`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import whole
from ..files.checkpoint import under
from ..network import Shape, shape_of
from ..network.model import Network
from ..network.scope import Scope
from ..network.weights import fitting_shapes

Array: TypeAlias = NDArray[Any]
MOST = (1 << 53) - 1  # of a counter: schedules see it as a float64
LARGEST_AXIS = (1 << 31) - 1
SPARE_CALLS = 10_000  # layers that may run beyond ten for each that is described

_NO_LAYERS = {"array", "initializer", "constraint", "matrix", "schedule"}
_ASIDE = object()  # stands behind what does not run where it is described


def check_size(description: Any) -> None:
    """Refuse a network that runs many more layers than it describes.

    A layer may stand in two places, and so may what holds it: thirty lines could describe 2^30
    calls. A functional network, besides, is called once more where it is made.
    """
    sizes: dict[Any, int] = {}  # layers run by each one that is described, by its number
    counts, todo = [0], [description]  # counts of the layers around, outermost first
    described = made = 0
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo += reversed(item)
        elif item is _ASIDE:
            counts.pop()
        elif isinstance(item, _End):
            size = sizes[item.number] = min(counts.pop() + 1, MOST)
            counts[-1] += size
            made += size if item.functional else 0
        elif isinstance(item, dict) and not _NO_LAYERS & item.keys():
            if "dict" in item:
                todo.append(list(item["dict"].values()))
            elif "same" in item:
                counts[-1] += sizes.get(item["same"], 0)
            else:
                described += 1
                counts.append(0)
                todo += [_End(item["number"], item["layer"] == "Model")]
                todo.append(list(item["config"].values()))
                if "inner" in item:  # described ahead; it runs where it stands
                    counts.append(0)
                    todo += [_ASIDE, item["inner"]]
    if counts[0] + made > SPARE_CALLS + 10 * described:
        raise ValueError(f"its {described} layers would run {counts[0] + made} times; pass net=...")


def check_state(
    net: Network,
    slots_of: Callable[[Mapping[str, Shape]], Mapping[str, Mapping[str, Shape]]],
    precision: str,
    tensors: Mapping[str, Array],
    about: Mapping[str, Any],
) -> tuple[Shape, ...]:
    """Return the shapes of the inputs; refuse a checkpoint whose parts do not fit together.

    Parameters
    ----------
    slots_of
        From the shapes of weights to those of the slots, by name and parameter.

    Raises
    ------
    TypeError, ValueError, KeyError
        Saying which part.
    """
    inputs = tuple(_input(shape) for shape in about["shapes"])
    weights = _weights(net, inputs)
    slots = {f"slots/{slot}": shapes for slot, shapes in slots_of(weights).items()}
    for prefix, shapes in {"weights": weights, **slots}.items():
        try:
            fitting_shapes(shapes, precision, under(f"{prefix}/", tensors))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{prefix}: {error}") from None
    _check_counters(about["place"], tensors, about["version"])
    _check_call(about["place"])
    _check_history(about["history"], tensors, about["place"])
    _check_callbacks(about.get("callbacks", []))
    return inputs


class _End:
    """Stands behind the arguments of a layer on the list of what is left to count."""

    def __init__(self, number: Any, functional: bool) -> None:
        self.number, self.functional = number, functional


def _input(shape: Any) -> Shape:
    found = shape_of("input", shape)
    if max(found) > LARGEST_AXIS:
        raise ValueError(f"input: an axis is at most {LARGEST_AXIS}, got {found}")
    return found


def _weights(net: Network, inputs: tuple[Shape, ...]) -> dict[str, Shape]:
    """Return the shapes of a network's weights by name, found on a graph that is thrown away."""
    if net.input_shapes is not None and net.input_shapes != inputs:
        raise ValueError(f"network takes inputs {net.input_shapes}, got {inputs}")
    if net.built:
        return {name: tuple(shape) for name, shape in net._native.parameters()}
    scope = Scope()
    net._lower([scope.input(shape) for shape in inputs])
    return {weight.name: weight.shape for weight in scope.weights.values()}


def _check_counters(place: Mapping[str, Any], tensors: Mapping[str, Array], version: int) -> None:
    for name in ("epoch", "batch", "steps"):
        _counter(name, place[name])
    for each in place.get("sums", ()):
        if len(each) != 5 or not all(
            isinstance(x, (int, float)) and math.isfinite(x) for x in each
        ):
            raise ValueError(f"place: the sums of a loss are {each}")
    if "sums" in place:
        return
    for name in ("loss", "right", "weight") if version > 1 else ("correct",):
        if isinstance(place[name], bool) or not math.isfinite(place[name]):
            raise ValueError(f"place: {name} is {place[name]}")
    if version == 1:  # which kept the losses of the epoch in progress one by one
        losses = len(_vector(tensors, "history/epoch_in_progress/loss"))
        if place["batch"] != losses:
            raise ValueError(f"place: batch is {place['batch']}, but {losses} losses are there")


def _check_call(place: Mapping[str, Any]) -> None:
    """See that the fit in progress is one that can be: its batches, its epochs."""
    if place["layout"] is not None:
        samples, size = (_counter("layout", number) for number in place["layout"][:2])
        if not 1 <= size <= samples:
            raise ValueError(f"place: batches of {size} from {samples} samples")
        if place["batch"] > -(-samples // size):
            raise ValueError(f"place: batch is {place['batch']} of {-(-samples // size)}")
    elif place["batch"]:
        raise ValueError("place: stands within an epoch of which nothing is said")
    for number in (place["call"] or ())[:2]:
        _counter("call", number)


def _check_history(
    names: Sequence[str], tensors: Mapping[str, Array], place: Mapping[str, Any]
) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"history: expects a list of names, got {names!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"history: a name twice in {names}")
    lengths = {len(_vector(tensors, f"history/epochs/{n}")) for n in names if n != "seconds"}
    if len(lengths) > 1 or max(lengths, default=0) > place["epoch"]:
        raise ValueError(f"history: columns of {sorted(lengths)} epochs, {place['epoch']} are done")
    if len(_vector(tensors, "history/steps/loss")) != place["steps"]:
        raise ValueError(f"history: has not the losses of {place['steps']} steps")


def _check_callbacks(states: Any) -> None:
    """See that each one names a callback and holds something for it."""
    for state in states:
        if set(state["dict"]) != {"callback", "state"}:
            raise ValueError(f"callbacks: expects a name and a state, got {sorted(state['dict'])}")
        if not isinstance(state["dict"]["callback"], str):
            raise TypeError(f"callbacks: expects a name, got {state['dict']['callback']!r}")


def _vector(tensors: Mapping[str, Array], name: str) -> Array:
    found = tensors[name]
    if found.ndim != 1 or found.dtype != np.float64:
        raise ValueError(f"{name}: expects float64 of shape (n,), got {found.dtype} {found.shape}")
    return found


def _counter(name: str, value: Any) -> int:
    return whole("place", name, value, 0, MOST)
