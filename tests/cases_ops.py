"""A row for each op a network may ask for: what it is in NumPy, and the shapes it is tried on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import reference
import reference_recurrent
from steep import data


@dataclass(frozen=True)
class Op:
    """An op of the native graph, and what it is in NumPy, on a batch of samples."""

    build: Any  # (graph, tensors..., parameters...) -> tensor
    value: Any  # (arrays of shape (N, ...)..., parameters...) -> (N, ...)
    shapes: tuple[tuple[int, ...], ...]  # of the tensors
    parameters: tuple[tuple[int, ...], ...] = ()
    fixed: int = 0  # the last so many parameters are not trained
    roundings: float = 32.0  # of a result, relative to the largest
    passes: float = 1.0  # what part of its gradient comes back


_IMAGE = (5, 6, 3)
_SLIDING = {"size": (3, 2), "stride": (2, 1), "padding": (1, 0, 0, 1)}
_FILTERS = {"stride": (2, 1), "padding": (1, 0, 0, 1), "dilation": (1, 2)}

# Every op that a network may ask for; `test_ops.py` holds each against its value and its gradient
# against differences.
_GRAPH = data.Sparse(np.arange(72).reshape(8, 9) % 7 * (np.arange(72).reshape(8, 9) % 3 == 0) / 4)
_FEATURES = data.Sparse(np.sin(np.arange(70 * 65).reshape(70, 65) ** 2) * np.tri(70, 65, -4))


def _recurrent(cell, units, **options):
    """Return a row of a recurrent layer over five steps of three features, with first states."""
    gates, memory = {"lstm": (4, 2), "tanh": (1, 1), "relu": (1, 1)}.get(cell, (3, 1))
    names = ("weight", "recurrent", "bias", "recurrent_bias")[: 3 + (cell == "gru")]
    columns = gates * units

    def value(x, start, *parameters):
        states = (start[:, :units], start[:, -units:])
        y, *last = reference_recurrent.run(
            cell, x, dict(zip(names, parameters, strict=True)), start=states,
            reverse=options.get("reverse", False),
        )  # fmt: skip
        first = y if options.get("sequences") else last[0][:, None]
        more = [h[:, None] for h in last[:memory] if options.get("returned")]
        return np.concatenate([first, *more], axis=1)

    return Op(
        lambda g, x, start, *p: g.recurrent(x, start, *p, cell=cell, states=True, **options),
        value,
        ((5, 3), (memory * units,)),
        ((3, columns), (units, columns), *[(columns,)] * (len(names) - 2)),
        roundings=2000.0,
    )


OPS = {
    "matmul": Op(
        lambda g, x, w, b: g.matmul(x, w, b), lambda x, w, b: x @ w + b, ((7,),), ((7, 5), (5,))
    ),
    "matmul of positions": Op(
        lambda g, x, w, b: g.matmul(x, w, b), lambda x, w, b: x @ w + b, ((6, 7),), ((7, 33), (33,))
    ),
    "matmul of many positions": Op(
        lambda g, x, w, b: g.activation(g.matmul(x, w, b), "gelu"),
        lambda x, w, b: reference.ACTIVATIONS["gelu"][0](x @ w + b, 0),
        ((9, 33, 5),),
        ((5, 6), (6,)),
    ),
    "matmul of positions, few outputs": Op(
        lambda g, x, w, b: g.activation(g.matmul(x, w, b), "tanh"),
        lambda x, w, b: np.tanh(x @ w + b),
        ((3, 4, 35),),
        ((35, 3), (3,)),
        roundings=64.0,
    ),
    "activation": Op(lambda g, x: g.activation(x, "tanh"), np.tanh, ((7,),)),
    "add": Op(lambda g, a, b: g.add(a, b), np.add, ((7,), (7,))),
    "subtract": Op(lambda g, a, b: g.subtract(a, b), np.subtract, ((7,), (7,))),
    "multiply": Op(lambda g, a, b: g.multiply(a, b), np.multiply, ((7,), (7,))),
    "affine": Op(lambda g, x: g.affine(x, -0.5, 2.0), lambda x: 2 - 0.5 * x, ((7,),)),
    "affine_channels": Op(
        lambda g, x: g.affine_channels(x, [0.5, 2, -1], [1, 0, 3]),
        lambda x: x * [0.5, 2, -1] + [1, 0, 3],
        (_IMAGE,),
    ),
    "add_row": Op(lambda g, x, p: g.add_row(x, p), np.add, ((7,),), ((7,),)),
    "multiply_row": Op(lambda g, x, p: g.multiply_row(x, p), np.multiply, ((7,),), ((7,),)),
    "add_row of positions": Op(lambda g, x, p: g.add_row(x, p), np.add, ((5, 7),), ((7,),)),
    "multiply_row of positions": Op(
        lambda g, x, p: g.multiply_row(x, p), np.multiply, ((4, 5, 3),), ((3,),)
    ),
    "reshape": Op(
        lambda g, x: g.reshape(x, (2, 3)), lambda x: x.reshape(-1, 2, 3), ((6,),), roundings=0.0
    ),
    "sparse_product": Op(
        lambda g, x: g.sparse_product(x, _GRAPH), lambda x: _GRAPH.dense() @ x, ((9, 5),)
    ),
    "sparse_product of many channels": Op(
        lambda g, x: g.sparse_product(g.activation(x, "tanh"), _GRAPH),
        lambda x: np.einsum("ij,nj...->ni...", _GRAPH.dense(), np.tanh(x)),
        ((9, 2, 35),),
    ),
    "sparse_matmul": Op(
        lambda g, x, w: g.sparse_matmul(x, w, _FEATURES),
        lambda x, w: x * (_FEATURES.dense() @ w),
        ((70, 1),),
        ((65, 33),),
    ),
    "sparse_matmul of few outputs": Op(
        lambda g, x, w: g.sparse_matmul(x, w, _FEATURES),
        lambda x, w: x * (_FEATURES.dense() @ w),
        ((70, 1),),
        ((65, 3),),
    ),
    "embedding": Op(
        lambda g, x, w: g.add(g.embedding(g.affine(x, 0.0, 2.0), w), g.repeat(x, 1, 35)),
        lambda x, w: w[2] + np.repeat(x[:, :, None], 35, 2),
        ((3,),),
        ((7, 35),),
    ),
    "embedding of few units": Op(
        lambda g, x, w: g.add(g.embedding(g.affine(x, 0.0, 40.0), w), g.repeat(x, 1, 3)),
        lambda x, w: w[40] + np.repeat(x[:, :, None], 3, 2),
        ((3,),),
        ((70, 3),),
    ),
    "add_table": Op(lambda g, x, w: g.add_table(x, w), lambda x, w: x + w, ((5, 35),), ((5, 35),)),
    "add_table of few units": Op(
        lambda g, x, w: g.add_table(x, w), lambda x, w: x + w, ((70, 2),), ((70, 2),)
    ),
    "feature_norm": Op(
        lambda g, x, w, b: g.feature_norm(x, w, b, 0, 1e-3, True),
        lambda x, w, b: reference.feature_norm(x, 1e-3, (-1,)) * w + b,
        ((5, 37),),
        ((37,), (37,)),
        roundings=64.0,
    ),
    "feature_norm without a mean": Op(
        lambda g, x, w: g.feature_norm(x, w, -1, 0, 1e-3, False),
        lambda x, w: reference.feature_norm(x, 1e-3, (-1,), centred=False) * w,
        ((18,),),
        ((18,),),
        roundings=64.0,
    ),
    "feature_norm of groups": Op(
        lambda g, x, w, b: g.feature_norm(x, w, b, 3, 1e-3, True),
        lambda x, w, b: reference.group_norm(x, 3, 1e-3) * w + b,
        ((4, 5, 33),),
        ((33,), (33,)),
        roundings=64.0,
    ),
    "feature_norm of channels": Op(
        lambda g, x: g.feature_norm(x, -1, -1, 18, 1e-3, True),
        lambda x: reference.group_norm(x, 18, 1e-3),
        ((9, 18),),
        roundings=64.0,
    ),
    "attention": Op(
        lambda g, q, k, v: g.attention(q, k, v, 2, False, 0.0, 3),
        lambda q, k, v: reference.attention(q, k, v, 2),
        ((5, 6), (37, 6), (37, 6)),
        roundings=64.0,
    ),
    "attention causal and packed": Op(
        lambda g, x: g.attention(x, x, x, 3, True, 0.0, 1),
        lambda x: reference.attention(*np.split(x, 3, -1), 3, causal=True),
        ((35, 27),),
        roundings=64.0,
    ),
    "attention to a context": Op(
        lambda g, q, x: g.attention(q, x, x, 1, False, 0.0, 2),
        lambda q, x: reference.attention(q, *np.split(x, 2, -1), 1),
        ((3, 40), (7, 80)),
        roundings=64.0,
    ),
    "masked_attention": Op(
        lambda g, q, k, v, n: g.masked_attention(q, k, v, g.affine(n, 0.0, 2.0), 2, False, 0.0, 3),
        lambda q, k, v, n: reference.attention(q, k[:, :2], v[:, :2], 2),
        ((5, 6), (4, 6), (4, 6), (1,)),
        roundings=64.0,
    ),
    "batch_matmul": Op(
        lambda g, a, b: g.batch_matmul(a, b, False, False),
        lambda a, b: a @ b,
        ((2, 5, 7), (2, 7, 37)),
        roundings=64.0,
    ),
    "batch_matmul transposed": Op(
        lambda g, a, b: g.add(
            g.batch_matmul(a, b, True, True), g.batch_matmul(a, g.reshape(b, (7, 35)), True, False)
        ),
        lambda a, b: a.swapaxes(1, 2) @ b.swapaxes(1, 2) + a.swapaxes(1, 2) @ b.reshape(-1, 7, 35),
        ((7, 5), (35, 7)),
        roundings=64.0,
    ),
    "softmax": Op(lambda g, x: g.softmax(x), reference.softmax, ((7,),)),
    "softmax of positions": Op(lambda g, x: g.softmax(x), reference.softmax, ((5, 4, 3),)),
    "softmax of many positions": Op(lambda g, x: g.softmax(x), reference.softmax, ((3, 37),)),
    # Its gradient is that of one drawn mask; what it draws has tests of its own.
    "dropout": Op(lambda g, x: g.dropout(x, 0.4, False, False), lambda x: x, ((7,),)),
    "alpha_dropout": Op(lambda g, x: g.alpha_dropout(x, 0.4), lambda x: x, ((7,),)),  # likewise
    "rrelu": Op(
        lambda g, x: g.rrelu(x, 0.1, 0.4), lambda x: np.where(x > 0, x, 0.25 * x), ((17,),)
    ),
    "prelu": Op(
        lambda g, x, p: g.prelu(x, p),
        lambda x, p: np.where(x > 0, x, p * x),
        (_IMAGE,),
        ((3,),),
    ),
    "glu": Op(
        lambda g, x: g.glu(x, "tanh"),
        lambda x: x[..., :11] * np.tanh(x[..., 11:]),
        ((3, 2, 22),),
    ),
    "maxout": Op(
        lambda g, x: g.maxout(x, 3),
        lambda x: x.reshape(*x.shape[:-1], -1, 3).max(axis=-1),
        ((4, 15),),
        roundings=0.0,
    ),
    "divide": Op(lambda g, a, b: g.divide(a, b), np.divide, ((7,), (7,)), roundings=64.0),
    "power": Op(
        lambda g, x: g.power(g.affine(g.activation(x, "abs"), 1.0, 0.5), -1.7),
        lambda x: (np.abs(x) + 0.5) ** -1.7,
        ((17,),),
    ),
    "clip": Op(lambda g, x: g.clip(x, -0.3, 0.8), lambda x: np.clip(x, -0.3, 0.8), ((17,),)),
    "maximum": Op(lambda g, a, b: g.maximum(a, b), np.maximum, ((17,), (17,)), roundings=0.0),
    "minimum": Op(lambda g, a, b: g.minimum(a, b), np.minimum, ((17,), (17,)), roundings=0.0),
    "sum": Op(
        lambda g, x: g.sum(x, 1, 2, -0.5), lambda x: -0.5 * x.sum(axis=(2, 3)), ((3, 5, 7, 2),)
    ),
    "repeat": Op(
        lambda g, x: g.repeat(x, 1, 5),
        lambda x: np.repeat(x[:, :, None], 5, axis=2),
        ((3, 7),),
        roundings=0.0,
    ),
    "slice": Op(
        lambda g, x: g.slice(x, 1, 2, 5), lambda x: x[:, :, 2:5], ((3, 6, 5),), roundings=0.0
    ),
    "stop_gradient": Op(
        lambda g, x: g.stop_gradient(x), lambda x: x, ((7,),), roundings=0.0, passes=0.0
    ),
    "gradient_reversal": Op(
        lambda g, x: g.gradient_reversal(x, 0.7), lambda x: x, ((7,),), roundings=0.0, passes=-0.7
    ),
    "kept_rows": Op(
        lambda g, x, states: g.kept_rows(x, states, 5),
        lambda x, states: 0 * x[:, :5] + states,
        ((7,),),
        ((5,),),
        fixed=1,
        roundings=0.0,
        passes=0.0,
    ),
    "keep_rows": Op(
        lambda g, x, states: g.keep_rows(x, states),
        lambda x, states: x,
        ((7,),),
        ((21,),),
        fixed=1,
        roundings=0.0,
        passes=0.0,
    ),
    "recurrent lstm": _recurrent("lstm", 7, sequences=True, returned=True),
    "recurrent lstm, last": _recurrent("lstm", 33, reverse=True),
    "recurrent lstm of one unit": _recurrent("lstm", 1, sequences=True),
    "recurrent gru": _recurrent("gru", 16, sequences=True),
    "recurrent gru before": _recurrent("gru_before", 5, sequences=True, returned=True),
    "recurrent tanh": _recurrent("tanh", 35, reverse=True, sequences=True),
    "recurrent relu": _recurrent("relu", 3),
    "step_dropout": Op(lambda g, x: g.step_dropout(x, 0.4), lambda x: x, ((4, 7),)),
    # Of what draws: the mean, and the gradient of one draw. What is drawn has tests of its own.
    "normal_like": Op(lambda g, x: g.normal_like(x, False), lambda x: 0 * x, ((7,),), passes=0.0),
    "uniform_like": Op(
        lambda g, x: g.uniform_like(x, -1.0, 0.5, False),
        lambda x: np.full_like(x, -0.25),
        ((7,),),
        passes=0.0,
    ),
    "bernoulli": Op(lambda g, x: g.bernoulli(x, False), lambda x: x, ((7,),), passes=0.0),
    "gaussian_noise": Op(lambda g, x: g.gaussian_noise(x, 0.4), lambda x: x, ((17,),)),
    "reparameterize": Op(
        lambda g, m, v: g.reparameterize(m, v, False), lambda m, v: m, ((17,), (17,))
    ),
    "conv2d": Op(
        lambda g, x, w, b: g.conv2d(x, w, b, **_FILTERS),
        lambda x, w, b: reference.conv2d(x, w, b, **_FILTERS),
        (_IMAGE,),
        ((3, 2, 3, 4), (4,)),
        roundings=64.0,
    ),
    "conv2d_transpose": Op(
        lambda g, x, w, b: g.conv2d_transpose(x, w, b, output_padding=(1, 1), **_FILTERS),
        lambda x, w, b: reference.conv2d_transpose(x, w, b, output_padding=(1, 1), **_FILTERS),
        (_IMAGE,),
        ((3, 2, 4, 3), (4,)),
        roundings=64.0,
    ),
    "max_pool": Op(
        lambda g, x: g.max_pool(x, **_SLIDING),
        lambda x: reference.max_pool(x, *_SLIDING.values()),
        (_IMAGE,),
    ),
    "avg_pool": Op(
        lambda g, x: g.avg_pool(x, **_SLIDING, count_padding=True),
        lambda x: reference.avg_pool(x, (3, 2), (2, 1), padding=(1, 0, 0, 1), count_padding=True),
        (_IMAGE,),
    ),
    "upsample": Op(
        lambda g, x: g.upsample(x, (2, 3)),
        lambda x: x.repeat(2, axis=1).repeat(3, axis=2),
        (_IMAGE,),
    ),
    "lrn": Op(
        lambda g, x: g.lrn(x, 3, 0.3, 0.75, 2.0),
        lambda x: reference.lrn(x, size=3, alpha=0.3, beta=0.75, bias=2.0),
        (_IMAGE,),
    ),
    "zero_pad": Op(
        lambda g, x: g.zero_pad(x, (1, 0), (2, 1), (0, 2)),
        lambda x: np.pad(x, ((0, 0), (1, 0), (2, 1), (0, 2))),
        (_IMAGE,),
    ),
    # With u as it is after many steps: only then are u and v numbers that do not move.
    "spectral_norm": Op(
        lambda g, x, w, u, b: g.spectral_norm(g.matmul(x, w), w, u, b, 400),
        lambda x, w, u, b: x @ w / np.linalg.norm(w, 2) + b,
        ((7,),),
        ((7, 5), (5,), (5,)),
        fixed=0,
        roundings=64.0,
    ),
    "batch_norm": Op(
        lambda g, x, *p: g.batch_norm(x, *p, 0.9, 1e-3),
        lambda x, w, b, mean, variance: (x - mean) / np.sqrt(variance + 1e-3) * w + b,
        (_IMAGE,),
        ((3,),) * 4,
        fixed=2,
    ),
}
