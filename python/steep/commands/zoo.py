"""The image networks that `steep train --model` knows: their builders and settings that suit them.

The networks themselves are in steep.models; a name whose builder is not there is not known.
"""

from dataclasses import dataclass
from typing import Any

from .. import layers, models

_RESIDUAL = {"lr": 0.1, "l2": 5e-4, "epochs": 30}
_PLAIN = {"lr": 0.01, "l2": 5e-4, "epochs": 30}  # no normalisation: larger rates diverge


@dataclass(frozen=True)
class Entry:
    """A function of steep.models, its arguments besides the classes, settings unlike `SETTINGS`."""

    builder: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()


def _entry(builder: str, *arguments: Any, settings: dict[str, Any], **options: Any) -> Entry:
    return Entry(builder, arguments, tuple(options.items()), tuple(settings.items()))


# Stochastic gradient descent as the papers have it (He et al. 2016), with one cycle of the rate.
SETTINGS: dict[str, Any] = {
    "units": (),
    "dropout": 0.0,
    "batch_size": 128,
    "optimizer": "momentum",
    "momentum": 0.9,
    "schedule": "onecycle",
    "augment": "none",
}
ENTRIES: dict[str, Entry] = {
    "lenet5": _entry("lenet5", settings={"lr": 0.05, "l2": 5e-4, "epochs": 15}),
    "cnn": _entry("convnet", settings={"lr": 0.05, "l2": 5e-4, "epochs": 10}),
    "alexnet": _entry("alexnet", settings=_PLAIN),
    **{f"vgg{depth}": _entry("vgg", depth, settings=_PLAIN) for depth in (11, 13, 16, 19)},
    "googlenet": _entry("googlenet", settings=_RESIDUAL),
    **{
        f"resnet{depth}": _entry("resnet_cifar", depth, settings=_RESIDUAL)
        for depth in (20, 32, 44, 56, 110)
    },
    **{
        f"plain{depth}": _entry("resnet_cifar", depth, plain=True, settings=_RESIDUAL)
        for depth in (20, 32, 44, 56, 110)
    },
    **{
        f"resnet{depth}": _entry("resnet", depth, settings=_RESIDUAL)
        for depth in (18, 34, 50, 101, 152)
    },
    **{
        f"densenet{depth}": _entry("densenet", depth, settings=_RESIDUAL)
        for depth in (121, 169, 201, 264)
    },
}
# By data set and builder. Clothes look as likely from the other side.
SUITED: dict[tuple[str, str], dict[str, Any]] = {
    ("fashion-mnist", "convnet"): {"augment": "flip"},
    ("fashion-mnist", "lenet5"): {"augment": "flip"},
    ("fashion-mnist", "resnet_cifar"): {"augment": "flip,shift=2", "epochs": 15},
}


def known() -> dict[str, Entry]:
    """Return the networks that this steep can build."""
    return {name: e for name, e in ENTRIES.items() if hasattr(models, e.builder)}


def settings(name: str, dataset: str) -> dict[str, Any]:
    """Return what suits a network where the user leaves it open."""
    entry = ENTRIES[name]
    suited = SUITED.get((dataset, entry.builder), {})
    return {**SETTINGS, **dict(entry.settings), **suited}


def build(name: str, shape: tuple[int, ...], outputs: int) -> list[layers.Layer]:
    """Return the layers from images of this shape to `outputs` numbers.

    Raises
    ------
    ValueError
        The samples are no images.
    """
    if len(shape) not in (2, 3):
        raise ValueError(f"--model {name}: needs images, the samples here have shape {shape}.")
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] > 4:
        raise ValueError(
            f"--model {name}: samples of {shape} have their channels first; steep has them last: "
            "X.transpose(0, 2, 3, 1)."
        )
    entry = ENTRIES[name]
    builder = getattr(models, entry.builder)
    grey: list[layers.Layer] = [layers.Reshape((*shape, 1))] if len(shape) == 2 else []
    return [*grey, builder(*entry.arguments, classes=outputs, **dict(entry.options))]
