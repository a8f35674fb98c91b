"""Functions of PyTorch with windows, products and statistics. Others: `torch_functions`."""

from typing import Any

import numpy as np

from .onnx_node import tensor
from .torch_call import Call, Row, pair
from .views import MOST_MOVES, View
from .weights import Weight


def _around(padding: Any, count: int) -> dict[str, Any]:
    """Return PyTorch's padding as ONNX has it."""
    if padding == "same":
        return {"auto_pad": "SAME_UPPER"}
    if padding == "valid":
        return {"auto_pad": "VALID"}
    return {"pads": pair(padding, count) * 2}


def conv(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Correlate along one axis or two."""
    count = weight.value.ndim - 2
    return call.onnx(
        "Conv", x, weight, bias, strides=pair(stride, count), dilations=pair(dilation, count),
        group=groups, **_around(padding, count),
    )  # fmt: skip


def conv_transpose(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Spread along one axis or two."""
    count = weight.value.ndim - 2
    return call.onnx(
        "ConvTranspose", x, weight, bias, strides=pair(stride, count),
        pads=pair(padding, count) * 2, output_padding=pair(output_padding, count),
        dilations=pair(dilation, count), group=groups,
    )  # fmt: skip


def max_pool(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Take the largest of each window."""
    count = len(tensor(x).axes) - 1
    size = pair(kernel_size, count)
    if return_indices:
        raise ValueError("gives the places of the largest, which steep does not have")
    return call.onnx(
        "MaxPool", x, kernel_shape=size, strides=pair(stride or size, count),
        dilations=pair(dilation, count), ceil_mode=int(ceil_mode), pads=pair(padding, count) * 2,
    )  # fmt: skip


def avg_pool(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: Any = None,
) -> Any:  # fmt: skip
    """Take the mean of each window."""
    count = len(tensor(x).axes) - 1
    size, pads = pair(kernel_size, count), pair(padding, count) * 2
    if divisor_override is not None:
        raise ValueError("divides by another number than that of a window")
    return call.onnx(
        "AveragePool", x, kernel_shape=size, strides=pair(stride or size, count), pads=pads,
        ceil_mode=int(ceil_mode), count_include_pad=int(count_include_pad and any(pads)),
    )  # fmt: skip


def adaptive(kind: str) -> Row:
    """Return the row of a pool that is told the size of its result."""

    def row(call: Call, x: Any, output_size: Any, return_indices: bool = False) -> Any:
        if return_indices:
            raise ValueError("gives the places of the largest, which steep does not have")
        v = tensor(x)
        sizes = v.shape[1:]
        wanted = [
            n if m is None else m for n, m in zip(sizes, pair(output_size, len(sizes)), strict=True)
        ]
        if all(m == 1 for m in wanted):
            return call.onnx("GlobalAveragePool" if kind == "avg" else "GlobalMaxPool", v)
        if any(n % m for n, m in zip(sizes, wanted, strict=True)):
            for axis, m in enumerate(wanted, 1):
                v = _dealt(call, v, axis, m, kind)
            return v
        size = [n // m for n, m in zip(sizes, wanted, strict=True)]
        return call.builder.pool(v, kind, size, size, [0] * 2 * len(size))

    return row


def _dealt(call: Call, v: View, axis: int, count: int, kind: str) -> View:
    """Take means, or the largest, of stretches of an axis, from floor(kn/m) to ceil((k + 1)n/m)."""
    size, b = v.shape[axis], call.builder
    if count == size:
        return v
    ends = [(k * size // count, -(-(k + 1) * size // count)) for k in range(count)]
    b.moves.count += count
    if b.moves.count > MOST_MOVES:
        raise ValueError(f"makes {count} of {size}, of stretches that overlap")
    how = "mean" if kind == "avg" else "max"
    parts = [b.reduced(b.cut(v, axis, *pair), [axis], True, how) for pair in ends]
    return b.concat(parts, axis)


def batch_norm(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float | None = 0.1, eps: float = 1e-5,
) -> View:  # fmt: skip
    """Normalise channels by running statistics."""
    if running_mean is None or momentum is None:
        raise ValueError("has no running statistics, or averages them over all batches alike")
    n = running_mean.value.size
    given = [
        Weight(np.ones(n, np.float32)) if weight is None else weight,
        Weight(np.zeros(n, np.float32)) if bias is None else bias,
        running_mean,
        running_var,
    ]
    return call.builder.batch_norm(
        tensor(x), given, call.name, eps=float(eps), momentum=1.0 - momentum, unbiased=True
    )


def layer_norm(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Normalise the last axes."""
    return call.onnx(
        "LayerNormalization", x, weight, bias, axis=-len(pair(normalized_shape, 1)), epsilon=eps
    )[0]


def group_norm(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalise groups of channels."""
    n = tensor(x).shape[0]
    given = [
        Weight(f(n, dtype=np.float32)) if w is None else w
        for f, w in ((np.ones, weight), (np.zeros, bias))
    ]
    return call.onnx("GroupNormalization", x, *given, num_groups=num_groups, epsilon=eps)


def local_norm(  # noqa: PLR0917 - as PyTorch has them
    call: Call, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Normalise over neighbouring channels."""
    return call.onnx("LRN", x, size=size, alpha=alpha, beta=beta, bias=k)


def linear(call: Call, x: Any, weight: Any, bias: Any = None) -> View:
    """Multiply the last axis by a transposed weight."""
    if not isinstance(weight, Weight):
        raise ValueError("multiplies by what depends on the inputs; steep multiplies by weights")
    return call.builder.dense(tensor(x), weight, bias, call.name, out_first=True)
