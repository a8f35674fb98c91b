"""Windows over images: padding and the sizes that follow. Plain integers, no tensors."""

from collections.abc import Sequence
from typing import TypeAlias

from ..checks.numbers import LARGEST, pair, whole

Pair: TypeAlias = tuple[int, int]  # rows, columns
Sides: TypeAlias = tuple[int, int, int, int]  # top, bottom, left, right
PairLike: TypeAlias = int | Sequence[int]
PaddingLike: TypeAlias = str | int | Sequence[int]


def padding_of(where: str, value: object) -> str | Sides:
    """Return ``"same"``, ``"valid"`` or (top, bottom, left, right).

    Given are one of the names, an int for every side, a pair (rows, columns), or four ints.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    if isinstance(value, str):
        if value in ("same", "valid"):
            return value
        raise ValueError(f'{where}: padding must be "same", "valid" or ints, got "{value}"')
    if isinstance(value, (tuple, list)) and len(value) == 4:
        top, bottom, left, right = (whole(where, "padding", n, 0) for n in value)
        return top, bottom, left, right
    if isinstance(value, (tuple, list)) and len(value) != 2:
        raise ValueError(
            f'{where}: padding must be "same", "valid", an int, (rows, columns) or '
            f"(top, bottom, left, right), got {value}"
        )
    rows, columns = pair(where, "padding", value, 0)
    return rows, rows, columns, columns


def sides(
    where: str,
    padding: str | Sides,
    image: Pair,
    *,
    kernel: Pair,
    stride: Pair,
    dilation: Pair = (1, 1),
) -> Sides:
    """Return the zeros around an image of (height, width), checked: the window fits in.

    ``"same"`` gives ceil(size/stride) outputs along each axis; where the zeros are odd in number,
    the one more is below or to the right. `padding` is what `padding_of` returns.

    Raises
    ------
    ValueError
        If the window is larger than the padded image.
    """
    found: list[int] = []
    for axis, word in enumerate(("rows", "columns")):
        size, step = image[axis], stride[axis]
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        if padding == "same":
            total = max((-(-size // step) - 1) * step + reach - size, 0)
            before, after = total // 2, total - total // 2
            if after > LARGEST:
                raise ValueError(
                    f'{where}: padding="same" needs {total} zeros for a window of {reach} {word}; '
                    "at most 2^31 on a side"
                )
        elif padding == "valid":
            before = after = 0
        else:
            before, after = int(padding[2 * axis]), int(padding[2 * axis + 1])
        if size + before + after < reach:
            padded = f" with padding {before} + {after}" if before or after else ""
            raise ValueError(
                f"{where}: a window of {reach} {word} does not fit into {size} {word}{padded}. "
                'Use padding="same", a smaller window or a larger input.'
            )
        found += [before, after]
    return found[0], found[1], found[2], found[3]
