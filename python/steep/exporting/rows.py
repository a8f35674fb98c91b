"""Every op as ONNX nodes: a row for each in `ROWS`. Activations are in `activations`.

Ops that draw are in `drawn_rows`, those of tokens in `sequence_rows`, of time in `recurrent`.

A row is called with the writer and the step, asks the writer for the tensors with their channels
first or last, adds nodes and says what the result is called.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .activations import ACTIVATIONS
from .drawn_rows import bernoulli, normal_like, reparameterize, uniform_like
from .recurrent import recurrent
from .sequence_rows import add_table, attention, batch_matmul, embedding, feature_norm
from .steps import Array, Step
from .writer import Writer

Row: TypeAlias = Callable[[Writer, Step], None]

# Ops without a row, and why.
NOT_EXPORTABLE: Mapping[str, str] = {
    "kept_rows": "numbers that one batch leaves for the next have no place in an ONNX graph",
    "keep_rows": "numbers that one batch leaves for the next have no place in an ONNX graph",
}


# -- element by element ----------------------------------------------------------------------------


def _each(op: str) -> Row:
    def row(w: Writer, step: Step) -> None:
        names, order = w.together(step.tensors)
        w.give(step.out, w.node(op, names), order)

    return row


def _same(w: Writer, step: Step) -> None:
    """Pass on what predictions take as it is."""
    names, order = w.together(step.tensors[:1])
    w.give(step.out, names[0], order)


def _affine(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    w.give(step.out, w.scaled(x, step.attributes["scale"], step.attributes["shift"]), order)


def _affine_channels(w: Writer, step: Step) -> None:
    x = w.get(step.tensors[0], "last")
    scales, shifts = (np.asarray(step.attributes[k], w.dtype) for k in ("scales", "shifts"))
    x = w.node("Mul", [x, w.constant(scales)])
    w.give(step.out, w.node("Add", [x, w.constant(shifts)]) if shifts.any() else x)


def _by_row(op: str) -> Row:
    def row(w: Writer, step: Step) -> None:
        (x,), order = w.together(step.tensors)
        p = w.row(step.parameters[0], step.tensors[0], order)
        w.give(step.out, w.node(op, [x, p]), order)

    return row


def _activation(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    made = ACTIVATIONS[step.attributes["kind"]](w, x, step.attributes.get("alpha", 0.0))
    w.give(step.out, made, order)


def _power(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    w.give(step.out, w.node("Pow", [x, w.number(step.attributes["exponent"])]), order)


def _clip(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    ends = [
        w.number(end) if math.isfinite(end) else ""
        for end in (step.attributes["low"], step.attributes["high"])
    ]
    w.give(step.out, w.node("Clip", [x, *ends]), order)


def _rrelu(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    slope = (step.attributes["lower"] + step.attributes["upper"]) / 2
    w.give(step.out, w.node("LeakyRelu", [x], alpha=slope), order)


def _dropout(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    kept = 1.0 - step.attributes["rate"] if step.attributes.get("scale_at_test") else 1.0
    w.give(step.out, w.scaled(x, kept, 0.0), order)


# -- products --------------------------------------------------------------------------------------


def _matmul(w: Writer, step: Step) -> None:
    x, turned = step.tensors[0], bool(step.attributes.get("transposed", False))
    bias = step.parameters[1:]
    name, given = w.get(x, "last"), w.weight(step.parameters[0])
    if len(w.shapes[x]) == 1 and (bias or turned):
        inputs = [name, given, *(w.weight(b) for b in bias)]
        return w.give(step.out, w.node("Gemm", inputs, transB=int(turned)))
    given = w.node("Transpose", [given], perm=[1, 0]) if turned else given
    y = w.node("MatMul", [name, given])
    return w.give(step.out, w.node("Add", [y, w.weight(bias[0])]) if bias else y)


def _windowed(step: Step, axes: int) -> dict[str, Any]:
    """Return the attributes of a window along so many axes of an image."""
    top, bottom, left, right = step.attributes["padding"]
    pads = [top, left, bottom, right] if axes == 2 else [top, bottom]
    return {"strides": list(step.attributes["stride"])[:axes], "pads": pads}


def _convolving(w: Writer, step: Step, axes: int) -> dict[str, Any]:
    return {
        "kernel_shape": list(w.values[step.parameters[0]].shape[:axes]),
        "dilations": list(step.attributes["dilation"])[:axes],
        "group": step.attributes["groups"],
        **_windowed(step, axes),
    }


def _conv(w: Writer, step: Step) -> None:
    name, *bias = step.parameters
    axes = w.values[name].ndim - 2  # 2 of images, 1 of sequences
    order = [axes + 1, axes, *range(axes)]  # (out, in/groups, window)
    inputs = [w.get(step.tensors[0], "first"), w.weight(name, order), *map(w.weight, bias)]
    w.give(step.out, w.node("Conv", inputs, **_convolving(w, step, axes)), "first")


def _conv_transpose(w: Writer, step: Step) -> None:
    """Write one whose added rows and columns, where runtimes want fewer, are put there after it."""
    name, *bias = step.parameters
    x = [w.get(step.tensors[0], "first"), w.weight(name, (3, 2, 0, 1))]
    about, more = _convolving(w, step, 2), list(step.attributes["output_padding"])
    if all(n < stride for n, stride in zip(more, about["strides"], strict=True)):
        y = w.node("ConvTranspose", [*x, *map(w.weight, bias)], **about, output_padding=more)
        return w.give(step.out, y, "first")
    top, left, bottom, right = about["pads"]
    less = [max(bottom - more[0], 0), max(right - more[1], 0)]
    beyond = [max(more[0] - bottom, 0), max(more[1] - right, 0)]
    y = w.node("ConvTranspose", x, **{**about, "pads": [top, left, *less]})
    y = w.node("Pad", [y, w.ints(0, 0, 0, 0, 0, 0, *beyond)])
    for b in bias:
        y = w.node("Add", [y, w.row(b, step.out, "first")])
    return w.give(step.out, y, "first")


def _spectral_norm(w: Writer, step: Step) -> None:
    """Divide a product by sigma, which the power method finds from u."""
    weight, start = (w.values[name].astype(np.float64) for name in step.parameters[:2])
    matrix = weight.reshape(-1, weight.shape[-1])
    u = start
    for _ in range(step.attributes["iterations"]):
        v = _unit(matrix @ u)
        u = _unit(matrix.T @ v)
    (x,), order = w.together(step.tensors)
    y = w.node("Mul", [x, w.number(1.0 / float(v @ matrix @ u))])
    for bias in step.parameters[2:]:
        y = w.node("Add", [y, w.row(bias, step.tensors[0], order)])
    w.give(step.out, y, order)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))


def _sparse_product(w: Writer, step: Step) -> None:
    x = step.tensors[0]
    nodes, *rest = w.shapes[x]
    name = w.get(x, "last")
    if len(rest) != 1:
        name = w.node("Reshape", [name, w.ints(0, nodes, math.prod(rest))])
    y = w.node("MatMul", [_dense(w, step), name])
    y = y if len(rest) == 1 else w.node("Reshape", [y, w.ints(0, *w.shapes[step.out])])
    w.give(step.out, y)


def _sparse_matmul(w: Writer, step: Step) -> None:
    scaled = w.node("Mul", [w.get(step.tensors[0], "last"), _dense(w, step)])
    w.give(step.out, w.node("MatMul", [scaled, w.weight(step.parameters[0])]))


def _dense(w: Writer, step: Step) -> str:
    return w.constant(step.attributes["matrix"].dense().astype(w.dtype))


# -- windows and channels --------------------------------------------------------------------------


def _pool(op: str) -> Row:
    def row(w: Writer, step: Step) -> None:
        counted = {"count_include_pad": int(step.attributes.get("count_padding", False))}
        y = w.node(
            op,
            [w.get(step.tensors[0], "first")],
            kernel_shape=list(step.attributes["size"]),
            **_windowed(step, 2),
            **(counted if op == "AveragePool" else {}),
        )
        w.give(step.out, y, "first")

    return row


def _batch_norm(w: Writer, step: Step) -> None:
    x = w.get(step.tensors[0], "first")
    given = [w.weight(name) for name in step.parameters]
    about = {key: step.attributes[key] for key in ("momentum", "eps")}
    y = w.node("BatchNormalization", [x, *given], momentum=about["momentum"], epsilon=about["eps"])
    w.give(step.out, y, "first")


def _lrn(w: Writer, step: Step) -> None:
    size, alpha, beta, bias = (step.attributes[k] for k in ("size", "alpha", "beta", "bias"))
    x = w.get(step.tensors[0], "first")
    y = w.node("LRN", [x], size=size, alpha=alpha * size, beta=beta, bias=bias)
    w.give(step.out, y, "first")


def _upsample(w: Writer, step: Step) -> None:
    scales = np.asarray((1, 1, *step.attributes["size"]), np.float32)
    about = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    x = w.get(step.tensors[0], "first")
    y = w.node("Resize", [x, "", w.constant(scales)], nearest_mode="floor", **about)
    w.give(step.out, y, "first")


def _zero_pad(w: Writer, step: Step) -> None:
    ends = [(0, 0), *(step.attributes[k] for k in ("rows", "columns", "channels"))]
    pads = w.ints(*(before for before, _ in ends), *(after for _, after in ends))
    w.give(step.out, w.node("Pad", [w.get(step.tensors[0], "last"), pads]))


def _softmax(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    axis = 1 if order == "first" else len(w.shapes[step.out])
    w.give(step.out, w.node("Softmax", [x], axis=axis), order)


def _prelu(w: Writer, step: Step) -> None:
    (x,), order = w.together(step.tensors)
    slope = w.row(step.parameters[0], step.tensors[0], order)
    w.give(step.out, w.node("PRelu", [x, slope]), order)


def _glu(w: Writer, step: Step) -> None:
    x, axis = w.get(step.tensors[0], "last"), len(w.shapes[step.out])
    half = w.shapes[step.out][-1]
    a, b = (w.cut(x, axis, k * half, (k + 1) * half) for k in (0, 1))
    gate = ACTIVATIONS[step.attributes["kind"]](w, b, step.attributes.get("alpha", 0.0))
    w.give(step.out, w.node("Mul", [a, gate]))


def _maxout(w: Writer, step: Step) -> None:
    x, shape = w.get(step.tensors[0], "last"), w.shapes[step.out]
    parts = w.node("Reshape", [x, w.ints(0, *shape, step.attributes["pieces"])])
    w.give(step.out, w.node("ReduceMax", [parts, w.ints(len(shape) + 1)], keepdims=0))


# -- axes ------------------------------------------------------------------------------------------


def _concat(w: Writer, step: Step) -> None:
    axes = len(w.shapes[step.out])
    axis = step.attributes["axis"] % axes
    names, order = w.together(step.tensors)
    place = axis + 1 if order == "last" else 1 if axis == axes - 1 else axis + 2
    w.give(step.out, w.node("Concat", names, axis=place), order)


def _reshape(w: Writer, step: Step) -> None:
    x = w.get(step.tensors[0], "last")
    w.give(step.out, w.node("Reshape", [x, w.ints(0, *w.shapes[step.out])]))


def _slice(w: Writer, step: Step) -> None:
    axis, first, last = (step.attributes[k] for k in ("axis", "first", "last"))
    w.give(step.out, w.cut(w.get(step.tensors[0], "last"), axis + 1, first, last))


def _sum(w: Writer, step: Step) -> None:
    axis, count, scale = (step.attributes[k] for k in ("axis", "axes", "scale"))
    x, places = w.get(step.tensors[0], "last"), range(axis + 1, axis + 1 + count)
    y = w.node("ReduceSum", [x, w.ints(*places)], keepdims=0)
    if count == len(w.shapes[step.tensors[0]]):
        y = w.node("Reshape", [y, w.ints(-1, 1)])
    w.give(step.out, w.scaled(y, scale, 0.0))


def _repeat(w: Writer, step: Step) -> None:
    place, times = step.attributes["axis"] + 1, step.attributes["times"]
    x = w.node("Unsqueeze", [w.get(step.tensors[0], "last"), w.ints(place)])
    counts = [times if k == place else 1 for k in range(len(w.shapes[step.out]) + 1)]
    w.give(step.out, w.node("Tile", [x, w.ints(*counts)]))


ROWS: Mapping[str, Row] = {
    "activation": _activation,
    "add": _each("Add"),
    "add_row": _by_row("Add"),
    "add_table": add_table,
    "affine": _affine,
    "affine_channels": _affine_channels,
    "alpha_dropout": _same,
    "attention": attention,
    "avg_pool": _pool("AveragePool"),
    "batch_matmul": batch_matmul,
    "batch_norm": _batch_norm,
    "bernoulli": bernoulli,
    "clip": _clip,
    "concat": _concat,
    "conv2d": _conv,
    "conv2d_transpose": _conv_transpose,
    "divide": _each("Div"),
    "dropout": _dropout,
    "embedding": embedding,
    "feature_norm": feature_norm,
    "gaussian_noise": _same,
    "glu": _glu,
    "gradient_reversal": _same,
    "lrn": _lrn,
    "masked_attention": attention,
    "matmul": _matmul,
    "max_pool": _pool("MaxPool"),
    "maximum": _each("Max"),
    "maxout": _maxout,
    "minimum": _each("Min"),
    "multiply": _each("Mul"),
    "multiply_row": _by_row("Mul"),
    "normal_like": normal_like,
    "power": _power,
    "prelu": _prelu,
    "reparameterize": reparameterize,
    "recurrent": recurrent,
    "repeat": _repeat,
    "reshape": _reshape,
    "rrelu": _rrelu,
    "slice": _slice,
    "step_dropout": _same,
    "softmax": _softmax,
    "sparse_matmul": _sparse_matmul,
    "sparse_product": _sparse_product,
    "spectral_norm": _spectral_norm,
    "stop_gradient": _same,
    "subtract": _each("Sub"),
    "sum": _sum,
    "uniform_like": uniform_like,
    "upsample": _upsample,
    "zero_pad": _zero_pad,
}


def refuse_missing(steps: Sequence[Step]) -> None:
    """Refuse a network with ops that have no row, all of them at once.

    Raises
    ------
    ValueError
        Naming each op, its layer and the reason.
    """
    found = [
        f"{name} of {step.layer!r} ({NOT_EXPORTABLE.get(name, 'it has no row yet')})"
        for step in steps
        for name, rows in ((step.kind, ROWS), (step.attributes.get("kind"), ACTIVATIONS))
        if name is not None and name not in rows
    ]
    if found:
        raise ValueError(f"to_onnx: cannot write {'; '.join(dict.fromkeys(found))}")
