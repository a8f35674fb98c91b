"""How weights are laid out elsewhere: PyTorch's order of axes, there and back. No files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks.arrays import Array
from ..exporting.steps import Recorded, Step
from .tensor import Shape


@dataclass(frozen=True)
class Layout:
    """How a weight of others becomes one of steep: axes split, turned, joined."""

    name: str  # theirs
    inner: tuple[int, ...]  # their shape, axes split
    perm: tuple[int, ...]
    theirs: tuple[int, ...]
    ours: tuple[int, ...]

    def take(self, value: Array) -> Array:
        """Return a weight of theirs as steep has it."""
        return value.reshape(self.inner).transpose(self.perm).reshape(self.ours)

    def give(self, value: Array) -> Array:
        """Return a weight of steep as they have it."""
        back = sorted(range(len(self.perm)), key=self.perm.__getitem__)
        inner = [self.inner[k] for k in self.perm]
        return value.reshape(inner).transpose(back).reshape(self.theirs)


def torch_layouts(recorded: Recorded) -> dict[str, Layout]:
    """Return the layout in PyTorch of every weight, by name.

    Products have their outputs first, windows of convolutions come last, and a dense layer behind a
    flattened image has its inputs in the order (channels, height, width).
    """
    found = {
        name: Layout(name, value.shape, tuple(range(value.ndim)), value.shape, value.shape)
        for name, value in recorded.weights.items()
    }
    flat: dict[int, Shape] = {}  # images that a vector was made of
    for step in recorded.steps:
        _note_flat(step, recorded.shapes, flat)
        for name in step.parameters[: 2 if step.kind == "recurrent" else 1]:
            perm = _perm(step, recorded.weights[name].ndim)
            if perm is None:
                continue
            ours = recorded.weights[name].shape
            image = flat.get(step.tensors[0]) if step.kind == "matmul" else None
            if image is not None and not step.attributes.get("transposed"):
                h, w, c = image
                inner, turn = (ours[1], c, h, w), (2, 3, 1, 0)
                found[name] = Layout(name, inner, turn, ours[::-1], ours)
                continue
            theirs = tuple(ours[perm.index(k)] for k in range(len(ours)))
            found[name] = Layout(name, theirs, perm, theirs, ours)
    return found


def _perm(step: Step, axes: int) -> tuple[int, ...] | None:
    """Return which of PyTorch's axes each of steep's is; None where they are the same."""
    if step.kind in {"matmul", "recurrent"}:
        return None if step.attributes.get("transposed") else (1, 0)
    if step.kind == "conv2d":
        return (*range(2, axes), 1, 0)
    return (2, 3, 1, 0) if step.kind == "conv2d_transpose" else None


def _note_flat(step: Step, shapes: Mapping[int, Shape], flat: dict[int, Shape]) -> None:
    """Note what image a vector is made of, through what changes single numbers only."""
    if not step.tensors:
        return
    before, after = shapes[step.tensors[0]], shapes[step.out]
    if step.kind == "reshape" and len(before) == 3 and len(after) == 1:
        if before[:2] != (1, 1):
            flat[step.out] = before
    elif after == before and len(after) == 1 and step.kind != "matmul":
        image = flat.get(step.tensors[0])
        if image is not None:
            flat[step.out] = image


def taken(
    state: Mapping[str, Any], layouts: Mapping[str, Layout], extras: Iterable[str]
) -> dict[str, Any]:
    """Return a state dict of PyTorch as one of steep; names that are not known stay.

    Raises
    ------
    ValueError
        If a weight has another shape.
    """
    by_name = {layout.name: (ours, layout) for ours, layout in layouts.items()}
    found: dict[str, Any] = {}
    left = set(extras)
    for name, value in state.items():
        if name in left or str(name).endswith(".num_batches_tracked"):
            continue
        ours, layout = by_name.get(name, (name, None))
        array = plain(value)
        if layout is not None and array.shape != layout.theirs:
            raise ValueError(f"{name}: expects shape {layout.theirs}, got {array.shape}")
        found[ours] = array if layout is None else layout.take(array)
    return found


def plain(value: Any) -> Any:
    """Return a tensor of PyTorch, on whatever device, as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)
