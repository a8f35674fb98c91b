"""Rows of ONNX operators that change the size of images: the nearest pixel, or between."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .builder import Builder
from .folding import Batch
from .matrices import mixed
from .onnx_node import Node, constant, tensor
from .views import View
from .weights import Array, Weight

MOST_TIMES = 1024.0  # that an axis is enlarged
MOST_PLACES = 1 << 16  # that it has then
MOST_WEIGHTS = 1 << 20  # of pixels in other pixels


def resize(  # noqa: PLR0917 - as ONNX has them
    b: Builder, node: Node, x: Any, first: Any = None, second: Any = None, third: Any = None
) -> View:
    """Read Resize or Upsample."""
    v, new = tensor(x), node.op == "Resize" and node.opset >= 11
    scales, sizes = (second, third) if new else (first, None)
    told = [None if p is None else _told(p) for p in (scales, sizes)]
    count = len(v.axes) + 1
    axes = [k % count for k in node.get("axes", range(count))]
    old = (1, *v.shape)
    sizes, factors = _sizes(node, old, axes, *(p if p is None else p.reshape(-1) for p in told))
    if sizes[0] != 1 or factors[0] != 1.0:
        raise ValueError("repeats samples")
    if any(not 0 < f <= MOST_TIMES for f in factors) or not 0 < min(sizes) <= max(sizes):
        raise ValueError(f"enlarges by {factors[1:]}")
    if max(sizes) > MOST_PLACES:
        raise ValueError(f"enlarges by {factors[1:]}")
    windows = _windows(node, count, axes, constant(first, "roi").value if new and first else None)
    at = [
        places(node, *about) for about in zip(old[1:], sizes[1:], factors[1:], windows, strict=True)
    ]
    if node.get("mode", "nearest") == "nearest":
        return b.repicked(v, [nearest(node, n, p) for n, p in zip(old[1:], at, strict=True)])
    return between(b, node, v, at, factors[1:])


def _told(given: Any) -> Array:
    """Return scales or sizes; the number of samples stays what it is."""
    if isinstance(given, Weight) and given.value.dtype == object:
        whole = [1 if n == Batch(1) else n for n in given.value.reshape(-1).tolist()]
        given = Weight(np.array(whole, object))
    return constant(given, "its size").value


def _sizes(
    node: Node, old: Sequence[int], axes: Sequence[int], scales: Any, sizes: Any
) -> tuple[list[int], list[float]]:
    """Return what axes become, and by what they are enlarged."""
    scales = scales if scales is not None and len(scales) else node.get("scales", None)
    if sizes is None or not len(sizes):
        if scales is None:
            raise ValueError("does not say how far it enlarges")
        by = dict(zip(axes, map(float, scales), strict=True))
        factors = [by.get(k, 1.0) for k in range(len(old))]
        return [_floor(n * f) for n, f in zip(old, factors, strict=True)], factors
    wanted = {k: int(n) for k, n in zip(axes, sizes, strict=True) if k}  # the batch stays
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        made = [wanted.get(k, n) for k, n in enumerate(old)]
        return made, [m / n for m, n in zip(made, old, strict=True)]
    pick = min if policy == "not_larger" else max
    scale = pick((n / old[k] for k, n in wanted.items()), default=1.0)
    factors = [scale if k in wanted else 1.0 for k in range(len(old))]
    return [_floor(n * f + 0.5 * (f != 1.0)) for n, f in zip(old, factors, strict=True)], factors


def _floor(n: float) -> int:
    return int(n) if math.isfinite(n) and abs(n) < 1 << 31 else 0  # which is refused


def _windows(
    node: Node, count: int, axes: Sequence[int], roi: Array | None
) -> list[tuple[float, float]]:
    """Return which part of each axis of a sample is looked at."""
    found = [(0.0, 1.0)] * count
    if node.get("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        ends = [] if roi is None else [float(n) for n in roi.reshape(-1)]
        if len(ends) != 2 * len(axes):
            raise ValueError(f"has a region of {len(ends)} numbers for {len(axes)} axes")
        for k, axis in enumerate(axes):
            found[axis] = ends[k], ends[k + len(axes)]
        if found[0] != (0.0, 1.0):
            raise ValueError("cuts the batch")
    return found[1:]


def places(node: Node, old: int, new: int, scale: float, window: tuple[float, float]) -> Array:
    """Return where each place of a new axis lies on the old one."""
    at = np.arange(new, dtype=np.float64)
    way = node.get("coordinate_transformation_mode", "half_pixel")
    if node.op == "Upsample" or node.opset < 11:
        way = "asymmetric"
    first, last = window
    whole = old * scale  # which the standard does not round here
    if way == "asymmetric":
        at = at / scale
    elif way == "align_corners":
        at = at * (old - 1) / (whole - 1) if whole != 1 else at * 0
    elif way == "half_pixel_symmetric":
        at = old / 2 * (1 - new / whole) + (at + 0.5) / scale - 0.5
    elif way == "half_pixel" or (way == "pytorch_half_pixel" and new > 1):
        at = (at + 0.5) / scale - 0.5
    elif way == "pytorch_half_pixel":
        at = at * 0
    elif way == "tf_crop_and_resize" and new == 1:
        at = at + 0.5 * (first + last) * (old - 1)
    elif way == "tf_crop_and_resize":
        at = first * (old - 1) + at * (last - first) * (old - 1) / (new - 1)
    else:
        raise ValueError(f"has coordinates by {way!r}, which are not known here")
    return at


def nearest(node: Node, old: int, at: Array) -> list[int]:
    """Return which place of the old axis each new one takes."""
    low = node.op == "Upsample" or node.opset < 11
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }["floor" if low else node.get("nearest_mode", "round_prefer_floor")]
    return [int(k) for k in np.clip(rounded, 0, old - 1)]


# -- between pixels --------------------------------------------------------------------------------


def between(b: Builder, node: Node, v: View, at: Sequence[Array], factors: Sequence[float]) -> View:
    """Return sums of old pixels: those that change size together are one sparse product."""
    kernel = {"linear": _tent, "cubic": _cubic}.get(node.get("mode", ""))
    if kernel is None:
        raise ValueError(f"enlarges by mode {node.get('mode', '')!r}")
    matrices = {}
    for k, (size, places_, factor) in enumerate(zip(v.shape, at, factors, strict=True)):
        if len(places_) * size > MOST_WEIGHTS:
            raise ValueError(f"mixes {size} pixels into {len(places_)}")
        matrix = _mixed(node, kernel, size, places_, factor)
        if matrix.shape[0] != size or not np.array_equal(matrix, np.eye(size)):
            matrices[k] = matrix
    return mixed(v, matrices, MOST_WEIGHTS, b.moves) if matrices else v


def _mixed(node: Node, kernel: Any, old: int, at: Array, factor: float) -> Array:
    """Return how much of each old place is in each new one."""
    wide = min(factor, 1.0) if node.get("antialias", 0) else 1.0
    reach = math.ceil((2 if kernel is _cubic else 1) / wide)
    taken = np.floor(at)[:, None] + np.arange(1 - reach, reach + 1)
    weight = kernel((taken - at[:, None]) * wide, node)
    if node.get("exclude_outside", 0):
        weight = np.where((taken < 0) | (taken >= old), 0.0, weight)
    weight /= weight.sum(axis=1, keepdims=True)
    found, rows = np.zeros((len(at), old)), np.arange(len(at))[:, None]
    np.add.at(found, (rows, np.clip(taken, 0, old - 1).astype(np.int64)), weight)
    if not np.isfinite(found).all():
        raise ValueError("looks where no pixels are")
    if node.get("coordinate_transformation_mode", "") == "tf_crop_and_resize":
        beyond = (at < 0) | (at > old - 1)
        if beyond.any() and node.get("extrapolation_value", 0.0) != 0.0:
            raise ValueError("puts a number where it looks beyond an image")
        found[beyond] = 0.0
    return found


def _tent(x: Array, node: Node) -> Array:
    return np.clip(1.0 - np.abs(x), 0.0, 1.0)


def _cubic(x: Array, node: Node) -> Array:
    """Keys 1981, with the slope a at 1."""
    a, x = float(node.get("cubic_coeff_a", -0.75)), np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))
