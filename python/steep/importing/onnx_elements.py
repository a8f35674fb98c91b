"""Rows of ONNX operators that work element by element; constants beside tensors among them."""

import math
from typing import Any

import numpy as np

from .. import layers, ops
from .builder import Builder
from .onnx_node import FLOATS, Node, Row, constant, dropped, tensor
from .views import View
from .weights import Weight


def plain(kind: str, **numbers: float) -> Row:
    """Return the row of an activation; `numbers` has its attribute's name and default."""

    def row(b: Builder, node: Node, x: Any) -> View:
        alpha = None
        for key, default in numbers.items():
            alpha = float(node.get(key, default))
        return b.activation(tensor(x), kind, alpha)

    return row


def clip(b: Builder, node: Node, x: Any, low: Any = None, high: Any = None) -> View:
    """Read Clip."""
    ends = []
    for key, given in (("min", low), ("max", high)):
        value = node.get(key, None) if given is None else constant(given, key).value.reshape(())
        ends.append(None if value is None or not np.isfinite(value) else float(value))
    v = tensor(x)
    if ends == [0.0, 6.0]:
        return b.activation(v, "relu6")
    if None not in ends and ends[0] > ends[1]:  # type: ignore[operator]
        ends[0] = ends[1]  # as ONNX has it
    return v if ends == [None, None] else v.of(ops.clip(v.x, *ends))


def hard_sigmoid(b: Builder, node: Node, x: Any) -> View:
    """Read HardSigmoid."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return b.activation(tensor(x), "hard_sigmoid")
    v = b.affine(tensor(x), float(alpha), float(beta))
    return v.of(ops.clip(v.x, 0.0, 1.0))


def selu(b: Builder, node: Node, x: Any) -> View:
    """Read Selu."""
    alpha, gamma = node.get("alpha", 1.67326319217681884), node.get("gamma", 1.05070102214813232)
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.0507010) < 1e-6:
        return b.activation(tensor(x), "selu")
    return b.affine(b.activation(tensor(x), "elu", float(alpha)), scale=float(gamma))


def shrink(b: Builder, node: Node, x: Any) -> View:
    """Read Shrink."""
    lambd, bias = float(node.get("lambd", 0.5)), float(node.get("bias", 0.0))
    if bias == 0.0:
        return b.activation(tensor(x), "hard_shrink", lambd)
    if bias == lambd:
        return b.activation(tensor(x), "soft_shrink", lambd)
    raise ValueError(f"shrinks by a bias of {bias} beyond {lambd}; steep has 0 or the same")


def thresholded(b: Builder, node: Node, x: Any) -> View:
    """Read ThresholdedRelu."""
    alpha = float(node.get("alpha", 1.0))
    return b.activation(b.activation(tensor(x), "hard_shrink", alpha), "relu")


def gelu(b: Builder, node: Node, x: Any) -> View:
    """Read Gelu."""
    return b.activation(tensor(x), "gelu_tanh" if node.get("approximate", "") == "tanh" else "gelu")


def swish(b: Builder, node: Node, x: Any) -> View:
    """Read Swish."""
    v, alpha = tensor(x), float(node.get("alpha", 1.0))
    if alpha == 1.0:
        return b.activation(v, "silu")
    return b.binary(ops.multiply, v, b.activation(b.affine(v, scale=alpha), "sigmoid"))


def swiglu(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read SwiGLU: the gate comes first."""
    return b.binary(ops.multiply, swish(b, node, x), tensor(y))


def same(b: Builder, node: Node, x: Any, *more: Any) -> View:
    """Read Identity."""
    return tensor(x)


def cast(b: Builder, node: Node, x: Any, *more: Any) -> View:
    """Read Cast."""
    if node.get("to", 1) not in FLOATS:
        raise ValueError("makes whole numbers of a tensor; steep computes in floats only")
    return tensor(x)


def cast_like(b: Builder, node: Node, x: Any, like: Any) -> Any:
    """Read CastLike."""
    return x  # all tensors are of one kind here


def dropout(b: Builder, node: Node, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """Read Dropout."""
    v, rate = tensor(x), dropped(node, ratio, training)
    return v.of(layers.Dropout(rate)(v.x)) if rate else v


def power(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read Pow."""
    if isinstance(x, Weight):
        base = constant(x, "its base").value
        if base.size != 1 or not base.reshape(()) > 0:
            raise ValueError("raises constants that are no positive number to powers")
        return b.activation(b.affine(tensor(y), scale=math.log(float(base.reshape(())))), "exp")
    exponent = constant(y, "its exponent").value
    if exponent.size != 1:
        raise ValueError("has an exponent for each element; steep has one for all")
    e, v = float(exponent.reshape(())), tensor(x)
    if e == 2.0:
        return b.activation(v, "square")
    return v.of(ops.power(v.x, e))


def reciprocal(b: Builder, node: Node, x: Any) -> View:
    """Read Reciprocal."""
    v = tensor(x)
    return v.of(ops.power(v.x, -1.0))


def neg(b: Builder, node: Node, x: Any) -> View:
    """Read Neg."""
    return b.affine(tensor(x), scale=-1.0)


def _grown(b: Builder, v: View, c: Weight) -> View:
    """Return a tensor repeated to what a constant beside it wants."""
    shape = c.value.shape
    if len(shape) == len(v.axes) + 1 and shape[0] == 1:
        return b.expanded(
            v, [max(n, m) if n == 1 else n for n, m in zip(v.shape, shape[1:], strict=True)]
        )
    if len(shape) <= len(v.axes):
        lead = len(v.axes) - len(shape)
        wanted = [
            *v.shape[:lead],
            *(m if n == 1 else n for n, m in zip(v.shape[lead:], shape, strict=True)),
        ]
        return b.expanded(v, wanted)
    return v


def add(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read Add."""
    if isinstance(x, View) and isinstance(y, View):
        return b.binary(ops.add, x, y)
    v, c = (x, y) if isinstance(x, View) else (y, x)
    given = constant(c, "what it adds")
    return b.add(_grown(b, v, given), given, node.hint)


def subtract(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read Sub."""
    if isinstance(x, View) and isinstance(y, View):
        return b.binary(ops.subtract, x, y)
    if isinstance(x, View):
        given = Weight(-constant(y, "what it subtracts").value)
        return b.add(_grown(b, x, given), given, node.hint)
    given = Weight(constant(x, "what it subtracts from").value)
    return b.add(_grown(b, b.affine(y, scale=-1.0), given), given, node.hint)


def multiply(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read Mul."""
    if isinstance(x, View) and isinstance(y, View):
        return b.binary(ops.multiply, x, y)
    v, c = (x, y) if isinstance(x, View) else (y, x)
    given = constant(c, "what it multiplies by")
    return b.multiply(_grown(b, v, given), given, node.hint)


def divide(b: Builder, node: Node, x: Any, y: Any) -> View:
    """Read Div."""
    if isinstance(x, View) and isinstance(y, View):
        return b.binary(ops.divide, x, y)
    if isinstance(x, View):
        value = constant(y, "what it divides by").value
        if (value == 0).any():
            raise ValueError("divides by 0")
        given = Weight(1.0 / value.astype(np.float64))
        return b.multiply(_grown(b, x, given), given, node.hint)
    given = Weight(constant(x, "what it divides").value)
    return b.multiply(_grown(b, y.of(ops.power(y.x, -1.0)), given), given, node.hint)


def many(op: Any, clips: str = "") -> Row:
    """Return the row of an operator of any number of tensors."""

    def row(b: Builder, node: Node, *given: Any) -> View:
        tensors = [x for x in given if isinstance(x, View)]
        total = tensors[0]
        for x in tensors[1:]:
            total = b.binary(op, total, x)
        for c in (x for x in given if not isinstance(x, View)):
            value = constant(c, "an operand").value
            if op is ops.add:
                total = b.add(_grown(b, total, c), Weight(value), node.hint)
            elif value.size == 1:
                total = total.of(ops.clip(total.x, **{clips: float(value.reshape(()))}))
            else:
                raise ValueError("compares with a constant of several numbers")
        return total

    return row


def mean(b: Builder, node: Node, *given: Any) -> View:
    """Read Mean."""
    return b.affine(many(ops.add)(b, node, *given), scale=1.0 / len(given))


def prelu(b: Builder, node: Node, x: Any, slope: Any) -> View:
    """Read PRelu."""
    v, given = tensor(x), constant(slope, "its slope")
    return b.prelu(v, given, node.hint)
