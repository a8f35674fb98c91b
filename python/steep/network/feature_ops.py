"""Functions that normalise a symbolic sample by itself. Re-exported by `ops`."""

from ..checks.numbers import POSITIVE, number, whole
from .tensor import Tensor, emit, title_of


def layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Return (x - mean)/sqrt(var + eps)*weight + bias over the last axis (Ba et al. 2016).

    Parameters
    ----------
    x
        (..., n): every position by itself.
    weight, bias
        Parameters (n,), or None; a bias only with a weight.
    eps
        Positive. The variance is the biased one.

    Raises
    ------
    TypeError, ValueError
        If `eps` is not positive, or shapes do not fit.
    """
    return _norm("layer_norm", x, weight, bias, eps)


def rms_norm(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """Return x/sqrt(mean(x^2) + eps)*weight over the last axis (Zhang & Sennrich 2019).

    Parameters
    ----------
    x
        (..., n): every position by itself.
    weight
        A parameter (n,), or None.
    eps
        Positive.

    Raises
    ------
    TypeError, ValueError
        If `eps` is not positive, or shapes do not fit.
    """
    return _norm("rms_norm", x, weight, None, eps, centred=False)


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return x normalised over all positions and each group of channels (Wu & He 2018).

    Parameters
    ----------
    x
        (..., channels), such as an image.
    groups
        It divides the channels; as many as channels: instance normalisation (Ulyanov et al. 2016).
    weight, bias
        Parameters (channels,), or None; a bias only with a weight.
    eps
        Positive. The variance is the biased one.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or shapes do not fit.
    """
    where = title_of(x, "group_norm")
    return _norm("group_norm", x, weight, bias, eps, groups=whole(where, "groups", groups))


def _norm(
    op: str,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    *,
    groups: int = 0,
    centred: bool = True,
) -> Tensor:
    where = title_of(x, op)
    if weight is None and bias is not None:
        raise ValueError(f"{where}: a bias stands with a weight; give both")
    given = [p for p in (weight, bias) if p is not None]
    return emit(
        "feature_norm",
        x,
        *given,
        groups=groups,
        eps=number(where, "eps", eps, POSITIVE, single=True),
        centred=centred,
    )
