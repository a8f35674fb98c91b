"""Rows of operators of the domain ai.onnx.ml, of scikit-learn's pipelines and linear models."""

from typing import Any

import numpy as np

from .builder import Builder
from .onnx_node import Node, tensor
from .onnx_norms import lp_norm
from .views import View
from .weights import Weight


def _vector(node: Node, key: str) -> Weight:
    """Return an attribute of several numbers."""
    return Weight(np.asarray(node.get(key, []), np.float32))


def scaler(b: Builder, node: Node, x: Any) -> View:
    """Read Scaler: (x - offset) * scale."""
    v, given = tensor(x), [_vector(node, key) for key in ("offset", "scale")]
    for word, by in zip(("offset", "scale"), given, strict=True):
        if by.value.size not in (1, v.shape[-1] if v.axes else 1):
            raise ValueError(f"has {by.value.size} numbers as its {word}, for {v.shape}")
    offset, scale = given
    if offset.value.any():
        v = b.add(v, Weight(-offset.value), f"{node.hint}.offset")
    return b.multiply(v, scale, f"{node.hint}.scale")


def normalizer(b: Builder, node: Node, x: Any) -> View:
    """Read Normalizer: divide by a norm of the features; what is 0 everywhere stays 0."""
    norm = node.get("norm", "MAX")
    if norm not in ("L1", "L2"):
        raise ValueError(f"divides by the norm {norm}; steep has L1 and L2")
    attributes = {"p": int(norm[1]), "axis": -1}
    return lp_norm(
        b, Node(node.op, node.name, node.inputs, node.outputs, attributes, node.opset), x
    )


def _linear(b: Builder, node: Node, x: Any, targets: int) -> View:
    """Multiply by coefficients (targets, features) and add intercepts."""
    v, given = tensor(x), _vector(node, "coefficients").value
    bias = _vector(node, "intercepts")
    size = v.shape[-1] if len(v.axes) == 1 else 0
    if not size or given.size != targets * size or bias.value.size not in (0, targets):
        raise ValueError(
            f"has {given.size} coefficients and {bias.value.size} intercepts for {targets} targets "
            f"of features {v.shape}"
        )
    weight = Weight(given.reshape(targets, size))
    return b.dense(v, weight, bias if bias.value.size else None, node.hint, out_first=True)


def _after(b: Builder, node: Node, v: View) -> View:
    """Apply what follows the scores."""
    kind = node.get("post_transform", "NONE")
    if kind == "NONE":
        return v
    if kind == "LOGISTIC":
        return b.activation(v, "sigmoid")
    if kind == "SOFTMAX":
        return b.softmax(v, 0)
    raise ValueError(f"transforms its scores by {kind}; steep has NONE, LOGISTIC and SOFTMAX")


def linear_regressor(b: Builder, node: Node, x: Any) -> View:
    """Read LinearRegressor."""
    return _after(b, node, _linear(b, node, x, int(node.get("targets", 1))))


def linear_classifier(b: Builder, node: Node, x: Any) -> list[Any]:
    """Read the scores of a LinearClassifier; who asks for its labels is refused before."""
    labels = node.get("classlabels_ints", None) or node.get("classlabels_strings", None) or []
    count = len(node.get("intercepts", [])) or len(labels)
    if count != len(labels):
        raise ValueError(f"has {count} rows of coefficients for {len(labels)} classes")
    return [None, _after(b, node, _linear(b, node, x, count))]
