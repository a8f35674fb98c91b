"""Attention of heads and the Transformer's block. What they become is in `ops`."""

from collections.abc import Callable
from typing import TypeAlias

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import FRACTION, flag, number, whole
from ..network import Layer, Tensor, label, title_of
from .embedding import positions_of
from .feature_norm import LayerNorm
from .pointwise import Dropout

Part: TypeAlias = Callable[[Tensor], Tensor]


class MultiHeadAttention(Layer):
    """Attention of several heads (Vaswani et al. 2017), to x itself or to a context.

    (q, k, v) = x Wqkv + b, y = [softmax(q_h k_h^T / sqrt(head_units)) v_h of each head h] Wout + b.
    ``attention(x)`` attends to itself, ``attention(x, context)`` to another sequence; either may
    have lengths behind it, an input (1,): how many keys of each sample there are, 1 to all. What
    lies behind them is not seen; the outputs of padded queries are for the loss to leave out.

    Parameters
    ----------
    heads
        How many; they divide the width d where `head_units` is None.
    head_units
        Numbers of a head; None: d / heads.
    causal
        Whether position i sees positions 0 to i only.
    dropout
        Rate of dropout on the probabilities, in [0, 1).
    use_bias
        Whether the products have biases.
    init, out_init
        Of the weights, and of that behind the heads: a name, one of `steep.initializers` or a
        number. None: "xavier".
    name
        Begins the names of the weights: ``qkv.weight`` (d, 3*units), columns q, k, v, each head
        after head, which is PyTorch's in_proj_weight transposed; ``qkv.bias``, ``out.weight``
        (units, d), ``out.bias``. With a context ``q.*`` and ``kv.*`` in the place of ``qkv.*``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, heads do not divide the width, or inputs do not fit.
    """

    names_inside = True

    def __init__(  # noqa: PLR0917 - as users write them
        self,
        heads: int,
        head_units: int | None = None,
        causal: bool = False,
        dropout: float = 0.0,
        use_bias: bool = True,
        name: str | None = None,
        *,
        init: object = None,
        out_init: object = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.heads = whole(where, "heads", heads)
        self.head_units = None if head_units is None else whole(where, "head_units", head_units)
        self.causal = flag(where, "causal", causal)
        self.dropout = number(where, "dropout", dropout, FRACTION, single=True)
        self.use_bias = flag(where, "use_bias", use_bias)
        self.init, self.out_init = init, out_init

    def call(self, x: Tensor, *others: Tensor) -> Tensor:
        """Project, attend, project."""
        _, width = positions_of(self, x)
        where = title_of(x, label(self))
        context, lengths = self._told_apart(where, others)
        if self.head_units is None and width % self.heads:
            raise ValueError(f"{where}: {self.heads} heads do not divide the width {width}")
        units = self.heads * (self.head_units or width // self.heads)
        if context is None:
            q, kv = self._product("qkv", x, 3 * units, self.init), None
        else:
            q = self._product("q", x, units, self.init)
            kv = self._product("kv", context, 2 * units, self.init)
        y = ops.packed_attention(
            q, kv, self.heads, causal=self.causal, lengths=lengths, dropout=self.dropout
        )
        return self._product("out", y, width, self.out_init)

    def _told_apart(
        self, where: str, others: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return context and lengths: a sequence, and one number a sample."""
        context = [x for x in others[:1] if len(x.shape) == 2]
        rest = others[len(context) :]
        if len(rest) > 1 or any(x.shape != (1,) for x in rest):
            shapes = ", ".join(str(x.shape) for x in others)
            raise ValueError(
                f"{where}: expects x, then a context (positions, width), lengths (1,) or both, got "
                f"{shapes} behind x"
            )
        return next(iter(context), None), next(iter(rest), None)

    def _product(self, name: str, x: Tensor, units: int, init: object) -> Tensor:
        first = "xavier" if init is None else init
        weight = self.parameter(f"{name}.weight", (x.shape[-1], units), first)
        bias = self.parameter(f"{name}.bias", (units,)) if self.use_bias else None
        return ops.matmul(x, weight, bias)


class TransformerBlock(Layer):
    """x + attention, then x + down(f(up(x))), with layer normalisation (Vaswani et al. 2017).

    Before each half where `norm_first` (Xiong et al. 2020; GPT-2), else behind each sum, as in the
    paper. PyTorch's `TransformerEncoderLayer` has the norm behind, ReLU, dropout 0.1 and a width of
    2048 unless told otherwise.

    Parameters
    ----------
    heads
        Of the attention; they divide the width d.
    mlp
        How many times d the hidden layer has, positive.
    norm_first
        Where the norms stand.
    activation
        f: a name or a layer.
    causal
        Whether position i sees positions 0 to i only.
    dropout
        Rate on the probabilities of the attention, and on what each half adds.
    eps
        Of the norms.
    name
        Begins the names of the weights: ``attention.*``, ``norm1.*``, ``norm2.*``, ``up.weight``
        (d, mlp*d), ``up.bias``, ``down.weight``, ``down.bias``.
    init, out_init
        Of the weights, and of those whose products are added to x, ``attention.out`` and ``down``.
        None: "xavier", of ``up`` as its activation asks.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the input is not (positions, width).
    """

    names_inside = True

    def __init__(  # noqa: PLR0917 - as users write them
        self,
        heads: int,
        mlp: int = 4,
        norm_first: bool = True,
        activation: ActivationLike = "gelu",
        causal: bool = False,
        dropout: float = 0.0,
        eps: float = 1e-5,
        name: str | None = None,
        *,
        init: object = None,
        out_init: object = None,
    ) -> None:
        super().__init__(name)
        where = label(self)
        self.mlp = whole(where, "mlp", mlp)
        self.norm_first = flag(where, "norm_first", norm_first)
        self.activation = activation_layer(activation)
        self.init, self.out_init = init, out_init
        rate = number(where, "dropout", dropout, FRACTION, single=True)
        self._attention = MultiHeadAttention(
            heads, None, causal, rate, name="attention", init=init, out_init=out_init
        )
        self._norms = [LayerNorm(eps, name="norm1"), LayerNorm(eps, name="norm2")]
        self._dropouts = [Dropout(rate), Dropout(rate)] if rate else []

    def call(self, x: Tensor, *lengths: Tensor) -> Tensor:
        """Attend, then transform each position."""
        positions_of(self, x)
        if any(given.shape != (1,) for given in lengths):
            raise ValueError(
                f"{title_of(x, label(self))}: expects lengths (1,) behind x, got {lengths[0].shape}"
            )
        x = self._half(0, x, lambda y: self._attention(y, *lengths))
        return self._half(1, x, self._transformed)

    def _half(self, k: int, x: Tensor, part: Part) -> Tensor:
        y = part(self._norms[k](x) if self.norm_first else x)
        if self._dropouts:
            y = self._dropouts[k](y)
        y = ops.add(x, y)
        return y if self.norm_first else self._norms[k](y)

    def _transformed(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        up = self.parameter("up.weight", (width, self.mlp * width), self.init)
        y = ops.matmul(x, up, self.parameter("up.bias", (self.mlp * width,)))
        if self.activation is not None:
            y = self.activation.call(y)
        first = self.out_init if self.out_init is not None else self.init
        down = self.parameter("down.weight", (self.mlp * width, width), first)
        return ops.matmul(y, down, self.parameter("down.bias", (width,)))
