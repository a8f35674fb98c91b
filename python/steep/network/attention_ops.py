"""Functions of symbolic tokens: tables of rows, attention, products. Re-exported by `ops`."""

from ..checks.numbers import FRACTION, flag, number, whole
from .tensor import Tensor, emit, title_of


def embedding(ids: Tensor, weight: Tensor, padding: int | None = None) -> Tensor:
    """Return the rows of a table that whole numbers name: (...) gives (..., units).

    The gradient of the table adds up the rows of all occurrences, in the order of samples and
    positions.

    Parameters
    ----------
    ids
        An input of the network, reshaped or sliced at most: whole numbers from 0 to vocabulary - 1,
        which `fit` and `predict` check before the first step.
    weight
        A parameter (vocabulary, units).
    padding
        An id whose row gets no gradient, or None.

    Raises
    ------
    TypeError, ValueError
        If `padding` is no id, or shapes do not fit.
    """
    where = title_of(ids, "embedding")
    skipped = -1 if padding is None else whole(where, "padding", padding, 0)
    return emit("embedding", ids, weight, padding=skipped)


def add_table(x: Tensor, weight: Tensor) -> Tensor:
    """Return x + W for every sample: (positions, width) both.

    Parameters
    ----------
    x
        (positions, width).
    weight
        A parameter of that shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    return emit("add_table", x, weight)


def attention(  # noqa: PLR0917 - as the formula has them
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int = 1,
    causal: bool = False,
    lengths: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d/heads)) V of each head, side by side (Vaswani et al. 2017).

    Parameters
    ----------
    q
        (queries, d): head h has columns h*d/heads to (h + 1)*d/heads.
    k, v
        (keys, d) each.
    heads
        It divides d.
    causal
        Whether query i sees keys 0 to i only.
    lengths
        An input (1,): how many keys of a sample there are, 1 to `keys`; None: all.
    dropout
        Rate of dropout on the probabilities while training, those kept scaled by 1/(1 - rate).

    Returns
    -------
    Tensor
        (queries, d).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or shapes do not fit.
    """
    return _attention((q, k, v), 3, heads, causal=causal, lengths=lengths, dropout=dropout)


def packed_attention(
    x: Tensor,
    context: Tensor | None,
    heads: int,
    *,
    causal: bool,
    lengths: Tensor | None,
    dropout: float,
) -> Tensor:
    """Return `attention` of x = (q, k, v) side by side or, with a context = (k, v), x = q."""
    given = (x, x, x) if context is None else (x, context, context)
    tensors = 1 if context is None else 2
    return _attention(given, tensors, heads, causal=causal, lengths=lengths, dropout=dropout)


def _attention(
    given: tuple[Tensor, Tensor, Tensor],
    tensors: int,
    heads: int,
    *,
    causal: bool,
    lengths: Tensor | None,
    dropout: float,
) -> Tensor:
    where = title_of(given[0], "attention")
    numbers = {
        "heads": whole(where, "heads", heads),
        "causal": flag(where, "causal", causal),
        "rate": number(where, "dropout", dropout, FRACTION, single=True),
        "tensors": tensors,
    }
    if lengths is None:
        return emit("attention", *given, **numbers)
    return emit("masked_attention", *given, lengths, **numbers)


def batch_matmul(
    a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False
) -> Tensor:
    """Return the products of two tensors' matrices: (..., n, k) and (..., k, m) give (..., n, m).

    Parameters
    ----------
    a, b
        Of equal leading axes.
    transpose_a, transpose_b
        Whether the last two axes of a tensor change places first.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit.
    """
    where = title_of(a, "batch_matmul")
    return emit(
        "batch_matmul",
        a,
        b,
        transpose_a=flag(where, "transpose_a", transpose_a),
        transpose_b=flag(where, "transpose_b", transpose_b),
    )
