"""Zeros around windows, as ONNX tells them: by name, as numbers, or by rounding up."""

from collections.abc import Sequence
from typing import Any


def explicit_pads(
    node: Any, sizes: Sequence[int], reach: Sequence[int], stride: Sequence[int]
) -> list[int]:
    """Return the zeros before all axes, then those after, of windows that reach so far."""
    way, count = node.get("auto_pad", "NOTSET"), len(sizes)
    if way == "VALID":
        return [0] * 2 * count
    if way in ("SAME_UPPER", "SAME_LOWER"):
        before, after = [], []
        for size, window, step in zip(sizes, reach, stride, strict=True):
            total = max((-(-size // step) - 1) * step + window - size, 0)
            small, large = total // 2, total - total // 2
            before.append(small if way == "SAME_UPPER" else large)
            after.append(large if way == "SAME_UPPER" else small)
        return [*before, *after]
    pads = list(node.get("pads", [0] * 2 * count))
    if way != "NOTSET" or len(pads) != 2 * count or min(pads) < 0:
        raise ValueError(f"has pads {pads}, {way!r}")
    return pads


def pool_pads(
    node: Any, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], *, counted: bool
) -> list[int]:
    """Return the zeros around a pool, those that rounding up adds among them."""
    pads, count = explicit_pads(node, sizes, kernel, stride), len(sizes)
    if not node.get("ceil_mode", 0):
        return pads
    for k in range(count):
        whole = sizes[k] + pads[k] + pads[k + count] - kernel[k]
        more = -whole % stride[k]
        start = (whole + more) // stride[k] * stride[k]
        if start >= sizes[k] + pads[k]:  # the last window would begin beyond the image
            more = 0
        if more and counted:
            raise ValueError("counts zeros in means and rounds sizes up (ceil_mode)")
        pads[k + count] += more
    return pads
