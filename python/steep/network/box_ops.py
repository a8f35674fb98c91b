"""Functions of symbolic boxes (left, top, right, bottom), for detection. Re-exported by `ops`."""

from .axis_ops import slice
from .element_ops import clip, maximum, minimum
from .tensor import Tensor, title_of

_LEAST = 1e-7  # area that a quotient has at least below


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return intersection over union of boxes, box by box: (..., 4) gives (..., 1).

    Where boxes are apart it is 0 and has no gradient; `box_giou` has one everywhere.

    Parameters
    ----------
    a, b
        (..., 4): left, top, right, bottom, of one shape.

    Raises
    ------
    ValueError
        If these are no boxes of one shape.
    """
    both, union, _ = _areas("box_iou", a, b)
    return both / union


def box_giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU of boxes, box by box: (..., 4) gives (..., 1).

    IoU - (hull - union)/hull, the hull the smallest box around both (Rezatofighi et al. 2019). 1
    minus it is a loss: ``losses.Custom(lambda y, t: 1 - ops.box_giou(y, t))``.

    Parameters
    ----------
    a, b
        (..., 4): left, top, right, bottom, of one shape.

    Raises
    ------
    ValueError
        If these are no boxes of one shape.
    """
    both, union, hull = _areas("box_giou", a, b)
    return both / union - (hull - union) / hull


def _areas(where: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the areas of intersection, union and hull, the last two above 0."""
    if a.shape != b.shape or a.shape[-1] != 4:
        raise ValueError(
            f"{title_of(a, where)}: expects boxes (..., 4) of one shape, got {a.shape} and "
            f"{b.shape}"
        )
    first, last = (slice(a, 0, 2), slice(b, 0, 2)), (slice(a, 2, 4), slice(b, 2, 4))
    both = _area(maximum(*first), minimum(*last))
    each = [_area(low, high) for low, high in zip(first, last, strict=True)]
    union = clip(each[0] + each[1] - both, low=_LEAST)
    return both, union, clip(_area(minimum(*first), maximum(*last)), low=_LEAST)


def _area(low: Tensor, high: Tensor) -> Tensor:
    """Return width times height of boxes between these corners, 0 where there is none."""
    size = clip(high - low, low=0.0)
    return slice(size, 0, 1) * slice(size, 1, 2)
