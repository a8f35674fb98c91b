"""Every op equals its value in NumPy and its gradient central differences; padding stays zero."""

import math

import cases
import cases_ops
import engine
import numpy as np
import pytest
from bounds import within
from steep import _core

LIMIT = 1e-7  # of central differences, as in test_gradients.py


pytestmark = pytest.mark.usefixtures("padding_stays_zero")


def network(row, precision):
    """Return the op behind gains, whose gradients are its inputs', and parameters drawn near 1."""

    def build(graph, *inputs):
        tensors = [
            graph.reshape(
                graph.multiply_row(x, graph.parameter(f"gain{i}", graph.shape(x), True)), shape
            )
            for i, (x, shape) in enumerate(zip(inputs, row.shapes, strict=True))
        ]
        trained = len(row.parameters) - row.fixed
        parameters = [
            graph.parameter(f"p{i}", shape, True, i < trained)
            for i, shape in enumerate(row.parameters)
        ]
        y = row.build(graph, *tensors, *parameters)
        return graph.reshape(y, (math.prod(graph.shape(y)),))

    net = engine.network(build, *((math.prod(s),) for s in row.shapes), precision=precision)
    random = np.random.default_rng(1)
    for name, shape in net.parameters():
        net.set(name, random.uniform(0.5, 1.5, shape).astype(precision))
    return net


def draw(row, rows, precision):
    random = np.random.default_rng(2)
    return [
        random.standard_normal((rows, math.prod(shape))).astype(precision) for shape in row.shapes
    ]


@pytest.mark.parametrize("precision", cases.PRECISIONS)
@pytest.mark.parametrize("rows", [1, 5, 70])
@pytest.mark.parametrize("name", cases_ops.OPS)
def test_value(name, rows, precision):
    row = cases_ops.OPS[name]
    net, X = network(row, precision), draw(row, rows, precision)
    got = net.predict(X, 64)[0]
    value = {key: net.get(key).astype(np.float64) for key, _ in net.parameters()}
    tensors = [
        (x.astype(np.float64) * value[f"gain{i}"]).reshape(rows, *shape)
        for i, (x, shape) in enumerate(zip(X, row.shapes, strict=True))
    ]
    parameters = [value[f"p{i}"] for i in range(len(row.parameters))]
    want = np.asarray(row.value(*tensors, *parameters)).reshape(rows, -1)
    # One rounding more: of the inputs times their gains.
    within(got, want, (row.roundings + 1) * cases.UNIT[precision] * max(1.0, np.abs(want).max()))
    np.testing.assert_array_equal(got, net.predict(X, 3)[0])  # however rows are split


@pytest.mark.parametrize("name", cases_ops.OPS)
def test_gradient(name):
    row = cases_ops.OPS[name]
    net, X = network(row, "float64"), draw(row, 4, "float64")
    y = np.random.default_rng(3).standard_normal(net.predict(X, 4)[0].shape)
    session = engine.session(net, seed=5)
    assert engine.differences(net, session, (X, y), passes=row.passes) < LIMIT


@pytest.mark.parametrize("name", _core.ops())
def test_arguments_that_are_missing_or_unknown_are_refused(name):
    graph = _core.Graph()
    graph.input((4, 4, 3))
    for args, given in (((), {}), ((0,) * 12, {}), ((), {"nothing": 1})):
        with pytest.raises(TypeError, match=f"^{name}"):
            getattr(graph, name)(*args, **given)
    assert graph.input((2,)) == 1  # nothing was added


def test_what_an_op_may_leave_out():
    graph = _core.Graph()
    x = graph.input((3,))
    w, b = graph.parameter("w", (3, 2), True), graph.parameter("b", (2,), False)
    for y in (graph.matmul(x, w), graph.matmul(x, w, -1), graph.matmul(x, weight=w, bias=b)):
        assert graph.shape(y) == (2,)
    assert graph.shape(graph.activation(x, "tanh")) == (3,)
    with pytest.raises(ValueError, match="no parameter -1"):
        graph.matmul(x, -1)
    with pytest.raises(TypeError, match=r"^activation needs kind$"):
        graph.activation(x, alpha=-1.0)
