"""What shape a described layer gives, found without steep; None of its numbers."""

import math

from described import Call, Fork, Meet, Use

# Classes of activations, and what functions they are.
ACTIVATIONS = {
    "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "ELU": "elu", "CELU": "celu",
    "SELU": "selu", "Tanh": "tanh", "HardTanh": "hard_tanh", "Softsign": "softsign",
    "Sigmoid": "sigmoid", "HardSigmoid": "hard_sigmoid", "LogSigmoid": "log_sigmoid",
    "GELU": "gelu", "SiLU": "silu", "HardSwish": "hard_swish", "Mish": "mish",
    "SoftShrink": "soft_shrink", "HardShrink": "hard_shrink",
}  # fmt: skip


class Misfit(ValueError):
    """The layer does not take this shape."""


class Shared(dict):
    """Layers by name, and the shape each was called on first: on another its weights do not fit."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.met = {}


def after(nodes, shape, shared, second=None):
    """Return the shape after a chain of nodes; `second` is that of the functional second input."""
    shared = shared if isinstance(shared, Shared) else Shared(shared)
    for node in nodes:
        if isinstance(node, Use) and shared.met.setdefault(node.name, shape) != shape:
            raise Misfit(f"{node.name} on another shape")
        if isinstance(node, Fork):
            shape = joined(node.op, [after(way, shape, shared) for way in node.ways])
        elif isinstance(node, Meet):
            shape = joined(node.op, [shape, after(node.way, second, shared)])
        else:
            layer = shared[node.name] if isinstance(node, Use) else node
            shape = tuple(RULES[layer.kind](layer, shape, shared))
    return shape


def joined(op, shapes):
    first = shapes[0]
    if any(s[:-1] != first[:-1] or (op != "concat" and s != first) for s in shapes):
        raise Misfit(op)
    return (*first[:-1], sum(s[-1] for s in shapes)) if op == "concat" else first


def both(value):
    return tuple(value) if isinstance(value, tuple) else (value, value)


def image(shape):
    if len(shape) == 2:
        return (*shape, 1)
    if len(shape) != 3:
        raise Misfit(f"no image: {shape}")
    return shape


def around(padding, size, kernel, stride, dilation):
    """Return the zeros (top, bottom, left, right), as the documentation of Conv2D has them."""
    if isinstance(padding, str):
        sides = []
        for axis in (0, 1):
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            total = (-(-size[axis] // stride[axis]) - 1) * stride[axis] + reach - size[axis]
            total = max(0, total) if padding == "same" else 0
            sides += [total // 2, total - total // 2]
        return tuple(sides)
    if isinstance(padding, tuple) and len(padding) == 4:
        return padding
    rows, columns = both(padding)
    return rows, rows, columns, columns


def window(layer, shape):
    """Return kernel, stride, dilation and zeros of a convolution or pool on an image."""
    kernel = both(layer.args[1] if layer.kind == "Conv2D" else layer.args[0])
    default = 1 if layer.kind == "Conv2D" else kernel
    stride, dilation = both(layer.get("stride", default)), both(layer.get("dilation", 1))
    default = "same" if layer.kind == "Conv2D" else "valid"
    zeros = around(layer.get("padding", default), shape[:2], kernel, stride, dilation)
    return kernel, stride, dilation, zeros


def slid(layer, shape):
    """Return height and width after a window has slid over an image."""
    kernel, stride, dilation, zeros = window(layer, shape)
    if layer.kind != "Conv2D" and any(n >= kernel[k // 2] for k, n in enumerate(zeros)):
        raise Misfit("the padding of a pool is below its window")
    size = []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        room = shape[axis] + zeros[2 * axis] + zeros[2 * axis + 1] - reach
        if room < 0:
            raise Misfit("the window does not fit")
        size.append(room // stride[axis] + 1)
    return tuple(size)


def _dense(layer, shape, shared):
    given = layer.args[1] if len(layer.args) > 1 and layer.kind == "Dense" else None
    return _activated(layer.get("activation", given), (*shape[:-1], layer.args[0]))


def _graph_conv(layer, shape, shared):
    if len(shape) != 2 or shape[0] != layer.args[1].args[1]:
        raise Misfit(f"no rows of those nodes: {shape}")
    if layer.get("features") is not None and shape[1] != 1:
        raise Misfit("no factors")
    return _activated(layer.get("activation", layer.args[2]), (shape[0], layer.args[0]))


def _activated(given, shape):
    """Return the shape after what stands as `activation=`."""
    if isinstance(given, str):
        return _joined(2, shape) if given in ("glu", "swiglu", "geglu", "reglu") else shape
    return shape if given is None else tuple(RULES[given.kind](given, shape, {}))


def _joined(count, shape):
    if shape[-1] % count:
        raise Misfit("parts of the last axis")
    return (*shape[:-1], shape[-1] // count)


def _conv(layer, shape, shared):
    shape, groups = image(shape), layer.get("groups", 1)
    if shape[2] % groups or layer.args[0] % groups:
        raise Misfit("groups")
    return _activated(layer.get("activation"), (*slid(layer, shape), layer.args[0]))


def spread(layer, shape):
    """Return kernel, stride, dilation, what is cut off and added, of a transposed convolution."""
    kernel, stride = both(layer.args[1]), both(layer.get("stride", 1))
    dilation, padding = both(layer.get("dilation", 1)), layer.get("padding", "same")
    more, cut = layer.get("output_padding"), []
    reach = [(kernel[k] - 1) * dilation[k] + 1 for k in (0, 1)]
    if isinstance(padding, str):
        for k in (0, 1):
            total = max(0, reach[k] - stride[k]) if padding == "same" else 0
            cut += [total // 2, total - total // 2]
        if more is None:
            more = tuple(max(0, stride[k] - reach[k]) for k in (0, 1))
    else:
        cut = around(padding, shape, kernel, stride, dilation)
    more = (0, 0) if more is None else both(more)
    if any(more[k] >= max(stride[k], dilation[k]) for k in (0, 1)):
        raise Misfit("output_padding")
    size = tuple(
        (shape[k] - 1) * stride[k] + reach[k] + more[k] - cut[2 * k] - cut[2 * k + 1]
        for k in (0, 1)
    )
    if min(size) < 1:
        raise Misfit("nothing is left")
    return kernel, stride, dilation, tuple(cut), more, size


def _conv_transpose(layer, shape, shared):
    shape, groups = image(shape), layer.get("groups", 1)
    if shape[2] % groups or layer.args[0] % groups:
        raise Misfit("groups")
    return _activated(layer.get("activation"), (*spread(layer, shape)[-1], layer.args[0]))


def _tied(layer, shape, shared):
    if not isinstance(layer.args[0], Use):
        raise Misfit("a layer and a number")
    dense = shared[layer.args[0].name]
    met = shared.met.get(layer.args[0].name)
    if shape != (dense.args[0],) or met != (layer.args[1],):
        raise Misfit("another layer's weight")
    return _activated(layer.get("activation"), (layer.args[1],))


def _halves(layer, shape, shared):
    if shape[-1] % 2:
        raise Misfit("two halves")
    return (*shape[:-1], shape[-1] // 2)


def _repeat_vector(layer, shape, shared):
    if len(shape) != 1:
        raise Misfit("one axis")
    return (layer.args[0], *shape)


def _pool(layer, shape, shared):
    shape = image(shape)
    return (*slid(layer, shape), shape[2])


def sequence(shape):
    if len(shape) == 1:
        return (*shape, 1)
    if len(shape) != 2:
        raise Misfit(f"no sequence: {shape}")
    return shape


def along(layer, length):
    """Return kernel, stride, dilation and zeros (before, after) of a window on a sequence."""
    conv = layer.kind == "Conv1D"
    kernel, dilation = layer.args[1 if conv else 0], layer.get("dilation", 1)
    stride = layer.get("stride", 1 if conv else kernel)
    padding = layer.get("padding", "same" if conv else "valid")
    reach = (kernel - 1) * dilation + 1
    total = max(0, (-(-length // stride) - 1) * stride + reach - length)
    named = {"same": (total // 2, total - total // 2), "causal": (reach - 1, 0), "valid": (0, 0)}
    zeros = named[padding] if isinstance(padding, str) else both(padding)
    return kernel, stride, dilation, zeros


def _steps(layer, length):
    """Return the length after a window has slid along a sequence."""
    kernel, stride, dilation, zeros = along(layer, length)
    if layer.kind != "Conv1D" and max(zeros) >= kernel:
        raise Misfit("the padding of a pool is below its window")
    room = length + sum(zeros) - (kernel - 1) * dilation - 1
    if room < 0:
        raise Misfit("the window does not fit")
    return room // stride + 1


def _conv1d(layer, shape, shared):
    (length, channels), groups = sequence(shape), layer.get("groups", 1)
    if channels % groups or layer.args[0] % groups:
        raise Misfit("groups")
    return _activated(layer.get("activation"), (_steps(layer, length), layer.args[0]))


def _pool1d(layer, shape, shared):
    length, channels = sequence(shape)
    return _steps(layer, length), channels


def _recurrent(layer, shape, shared):
    if len(shape) != 2:
        raise Misfit(f"no sequence: {shape}")
    steps = shape[:1] if layer.get("return_sequences") else ()
    return (*steps, layer.args[0])


def _bidirectional(layer, shape, shared):
    *steps, units = _recurrent(layer.args[0], shape, shared)
    back = layer.get("backward") or layer.args[0]
    return (*steps, units + (back.args[0] if layer.get("merge", "concat") == "concat" else 0))


def _at_steps(layer, shape, shared):
    return (shape[0], *after(layer.args, shape[1:], shared))


def _same(layer, shape, shared):
    return shape


def _groups(layer, shape, shared):
    if shape[-1] % layer.args[0]:
        raise Misfit(f"{shape[-1]} channels")
    return shape


def _positions(layer, shape, shared):
    if len(shape) != 2:
        raise Misfit(f"no positions: {shape}")
    return shape


def _image(layer, shape, shared):
    return image(shape)


def _normalize(layer, shape, shared):
    if len(layer.args[0]) != shape[-1]:
        raise Misfit("channels")
    return shape


def _reshape(layer, shape, shared):
    if math.prod(layer.args[0]) != math.prod(shape):
        raise Misfit("elements")
    return layer.args[0]


def _upsample(layer, shape, shared):
    (rows, columns), (h, w, c) = both(layer.args[0]), image(shape)
    return h * rows, w * columns, c


def _zero_pad(layer, shape, shared):
    h, w, c = image(shape)
    top, bottom, left, right = around(layer.args[0], (h, w), (1, 1), (1, 1), (1, 1))
    return h + top + bottom, w + left + right, c + sum(both(layer.get("channels", 0)))


def _residual(layer, shape, shared):
    body = after(layer.args, shape, shared)
    short = layer.get("shortcut")
    past = shape if short is None else after((short,), shape, shared)
    if body != past:
        raise Misfit("residual")
    return body


def _branches(layer, shape, shared):
    ways = [after((way,), shape, shared) for way in layer.args]
    return joined(layer.get("join", "concat"), ways)


def _diamond(layer, shape, shared):
    if shape != (layer.args[0],):
        raise Misfit("a model of other inputs")
    return (layer.args[1],)


def _periodic_embedding(layer, shape, shared):
    if len(shape) != 1:
        raise Misfit("no vector")
    return (shape[0] * (layer.get("units", 3) + layer.get("passes", True)),)


def _piecewise_embedding(layer, shape, shared):
    edges = layer.get("edges")
    if len(shape) != 1 or (edges is not None and len(edges) != shape[0]):
        raise Misfit("no vector, or one of another length than edges are for")
    return (shape[0] * (layer.get("units", 4) + layer.get("passes", True)),)


def _rung(layer, shape, shared):
    return shape


def _patches(layer, shape, shared):
    rows, columns = both(layer.args[0])
    return (shape[0] // rows) * (shape[1] // columns), layer.args[1]


# kind -> (layer, shape, shared) -> shape
RULES = {
    "Dense": _dense, "Gate": _dense, "GraphConv": _graph_conv, "Conv2D": _conv,
    "MaxPool2D": _pool, "AvgPool2D": _pool,
    **dict.fromkeys(
        ("GlobalAvgPool2D", "GlobalMaxPool2D"), lambda layer, shape, shared: (image(shape)[2],)
    ),
    "Conv1D": _conv1d, "MaxPool1D": _pool1d, "AvgPool1D": _pool1d,
    **dict.fromkeys(
        ("GlobalAvgPool1D", "GlobalMaxPool1D"), lambda layer, shape, shared: (sequence(shape)[1],)
    ),
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), _recurrent), "Bidirectional": _bidirectional,
    "Ragged": lambda layer, shape, shared: after(layer.args, shape, shared),
    "TimeDistributed": _at_steps,
    "Counted": lambda layer, shape, shared: _recurrent(layer.args[0], shape, shared),
    **dict.fromkeys(
        ("LayerNorm", "RMSNorm", "InstanceNorm"), _same,
    ),
    "GroupNorm": _groups,
    **dict.fromkeys(
        ("PositionEmbedding", "SinusoidalPositions", "MultiHeadAttention", "TransformerBlock"),
        _positions,
    ),
    "Embedding": lambda layer, shape, shared: (*shape, layer.args[1]),
    "ClassToken": lambda layer, shape, shared: (shape[0] + 1, shape[1]),
    "Position": lambda layer, shape, shared: shape[1:],
    "PatchEmbedding": _patches,
    "LocalResponseNorm": _image, "UpSample2D": _upsample, "ZeroPad2D": _zero_pad,
    "Flatten": lambda layer, shape, shared: (math.prod(shape),), "Reshape": _reshape,
    "Normalize": _normalize, "PeriodicEmbedding": _periodic_embedding,
    "PiecewiseEmbedding": _piecewise_embedding,
    "Residual": _residual, "Branches": _branches, "diamond": _diamond,
    "Sequential": lambda layer, shape, shared: after(layer.args, shape, shared),
    **dict.fromkeys(
        (*ACTIVATIONS, "PReLU", "RReLU", "BatchNorm", "Dropout", "AlphaDropout", "Rescale", "Rung",
         "Shift", "Activation", "Softmax", "ParametricActivation", "FeatureScale"), _same,
    ),
    **dict.fromkeys(
        ("GLU", "SwiGLU", "GEGLU", "ReGLU"), lambda layer, shape, shared: _joined(2, shape)
    ),
    "Conv2DTranspose": _conv_transpose, "TiedDense": _tied, "RepeatVector": _repeat_vector,
    "SpectralNorm": lambda layer, shape, shared: after(layer.args[:1], shape, shared),
    "Reparameterize": _halves, "GaussianNoise": _same, "GradientReversal": _same,
    "Maxout": lambda layer, shape, shared: _joined(layer.args[0], shape),
}  # fmt: skip


def each(nodes, shared=()):
    """Yield every call among nodes, those inside others too; a shared one once for each use."""
    for node in nodes:
        if isinstance(node, Use):
            yield from each((dict(shared)[node.name],), shared)
        elif isinstance(node, Fork):
            for way in node.ways:
                yield from each(way, shared)
        elif isinstance(node, Meet):
            yield from each(node.way, shared)
        elif isinstance(node, Call):
            yield node
            inside = [*node.args, *(value for _, value in node.named)]
            yield from each([n for n in inside if isinstance(n, (Call, Use))], shared)
