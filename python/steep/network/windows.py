"""Windows over images and sequences: padding and sizes that follow. Plain integers, no tensors."""

from collections.abc import Sequence
from typing import TypeAlias

from ..checks.numbers import LARGEST, pair, whole

Pair: TypeAlias = tuple[int, int]  # rows, columns
Sides: TypeAlias = tuple[int, int, int, int]  # top, bottom, left, right
PairLike: TypeAlias = int | Sequence[int]
PaddingLike: TypeAlias = str | int | Sequence[int]
EndsLike: TypeAlias = str | int | Sequence[int]  # of one axis


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
        given = padding if isinstance(padding, str) else padding[2 * axis : 2 * axis + 2]
        found += along(
            where, given, image[axis], kernel[axis], stride[axis], dilation[axis], word=word
        )
    return found[0], found[1], found[2], found[3]


def ends_of(where: str, value: object, *, causal: bool = False) -> str | Pair:
    """Return ``"same"``, ``"valid"``, ``"causal"`` where that is allowed, or (before, after).

    Given are one of the names, an int for both ends, or a pair.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    names = ("same", "valid", "causal") if causal else ("same", "valid")
    if isinstance(value, str):
        if value in names:
            return value
        known = ", ".join(f'"{name}"' for name in names)
        raise ValueError(f'{where}: padding must be {known} or ints, got "{value}"')
    return pair(where, "padding", value, 0)


def along(  # noqa: PLR0917 - as a window slides
    where: str,
    padding: str | Sequence[int],
    size: int,
    kernel: int,
    stride: int,
    dilation: int = 1,
    *,
    word: str = "steps",
) -> Pair:
    """Return the zeros before and after one axis, checked: the window fits in.

    `padding` is what `ends_of` returns, or a part of that of `padding_of`; `word` names what the
    axis counts.

    Raises
    ------
    ValueError
        If the window is larger than the padded axis.
    """
    reach = (kernel - 1) * dilation + 1
    before = after = 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before, after = total // 2, total - total // 2
    elif padding == "causal":
        before = reach - 1
    elif not isinstance(padding, str):
        before, after = int(padding[0]), int(padding[1])
    if isinstance(padding, str) and max(before, after) > LARGEST:
        raise ValueError(
            f'{where}: padding="{padding}" needs {before + after} zeros for a window of {reach} '
            f"{word}; at most 2^31 on a side"
        )
    if size + before + after < reach:
        padded = f" with padding {before} + {after}" if before or after else ""
        raise ValueError(
            f"{where}: a window of {reach} {word} does not fit into {size} {word}{padded}. "
            'Use padding="same", a smaller window or a larger input.'
        )
    return before, after


def cut_sides(
    where: str,
    padding: str | Sides,
    output_padding: Pair | None,
    image: Pair,
    *,
    kernel: Pair,
    stride: Pair,
    dilation: Pair = (1, 1),
) -> tuple[Sides, Pair]:
    """Return what a transposed convolution cuts off its result, and what it adds, checked.

    ``"same"`` leaves size*stride, ``"valid"`` size*stride + max(window - stride, 0), of windows
    that are shorter than the stride with pixels that none of them reaches. `padding` is what
    `padding_of` returns.

    Raises
    ------
    ValueError
        If nothing is left, or more is added than one step.
    """
    if padding == "same" and output_padding is not None:
        raise ValueError(
            f'{where}: padding="same" gives size * stride; give it as ints beside output_padding'
        )
    found: list[int] = []
    more: list[int] = []
    for axis, word in enumerate(("rows", "columns")):
        size, step, apart = image[axis], stride[axis], dilation[axis]
        reach = (kernel[axis] - 1) * apart + 1
        added = max(step - reach, 0) if isinstance(padding, str) else 0
        if output_padding is not None:
            added = output_padding[axis]
            if added >= max(step, apart):
                raise ValueError(
                    f"{where}: output_padding must be below the stride {step} or the dilation "
                    f"{apart}, got {added}"
                )
        if padding == "same":
            total = max(reach - step, 0)
            before, after = total // 2, total - total // 2
        elif padding == "valid":
            before = after = 0
        else:
            before, after = int(padding[2 * axis]), int(padding[2 * axis + 1])
        left = (size - 1) * step + reach + added - before - after
        if left < 1:
            raise ValueError(
                f"{where}: padding {before} + {after} leaves nothing of {left + before + after} "
                f"{word}"
            )
        found += [before, after]
        more.append(added)
    return (found[0], found[1], found[2], found[3]), (more[0], more[1])
