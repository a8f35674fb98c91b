"""Law 2: gradients of every op, layer and loss equal central differences in float64 to 1e-7."""

import cases
import cases_layers
import engine
import numpy as np
import pytest
import steep
from hypothesis import given, settings
from hypothesis import strategies as st
from steep import lab, layers

LIMIT = 1e-7  # central differences of step 6e-6 have errors of 1e-10 to 1e-9


def w(graph, x, m, name="w"):
    return graph.matmul(x, graph.parameter(name, (graph.shape(x)[0], m), True))


def row(graph, x, kind, name="p"):
    return getattr(graph, kind)(x, graph.parameter(name, graph.shape(x), True))


def let(value, use):
    """Use one tensor or parameter several times."""
    return use(value)


# Each op, also where its input or output is used more than once: gradients must accumulate.
OPS = {
    "matmul": lambda g, x: g.matmul(
        w(g, x, 3), g.parameter("v", (3, 4), True), g.parameter("c", (4,), False)
    ),
    "matmul of one weight twice": lambda g, x: let(
        g.parameter("v", (5, 5), True),
        lambda v: g.matmul(g.activation(g.matmul(x, v), "tanh"), v),
    ),
    "add": lambda g, x: g.add(w(g, x, 4), w(g, x, 4, "v")),
    "add to itself": lambda g, x: let(w(g, x, 4), lambda y: g.add(y, y)),
    "subtract": lambda g, x: g.subtract(w(g, x, 4), w(g, x, 4, "v")),
    "subtract from itself": lambda g, x: let(
        w(g, x, 4), lambda y: g.subtract(g.affine(y, 3.0, 1.0), y)
    ),
    "multiply": lambda g, x: g.multiply(w(g, x, 4), w(g, x, 4, "v")),
    "multiply by itself": lambda g, x: let(w(g, x, 4), lambda y: g.multiply(y, y)),
    "affine": lambda g, x: g.affine(g.affine(w(g, x, 4), -0.5, 1.0), 2.0, -3.0),
    "affine of the input": lambda g, x: w(g, g.affine(g.affine(x, 0.5, 0.1), 2.0, 0.2), 4),
    "add_row": lambda g, x: row(g, g.activation(row(g, x, "add_row"), "tanh"), "add_row", "q"),
    "multiply_row": lambda g, x: row(g, row(g, x, "multiply_row"), "multiply_row", "q"),
    "one row twice": lambda g, x: let(
        g.parameter("p", (5,), True), lambda p: g.multiply_row(g.add_row(x, p), p)
    ),
    "concat": lambda g, x: let(w(g, x, 3), lambda y: g.concat([y, w(g, x, 2, "v"), y])),
    "reshape": lambda g, x: g.reshape(g.activation(g.reshape(w(g, x, 6), (2, 3)), "tanh"), (6,)),
    "reshaped and not": lambda g, x: let(
        w(g, x, 6), lambda y: g.multiply(y, g.reshape(g.reshape(y, (3, 2)), (6,)))
    ),
    "reshaped after it was read": lambda g, x: let(
        w(g, x, 6),
        lambda y: g.multiply(
            g.activation(y, "tanh"), g.reshape(g.activation(g.reshape(y, (3, 2)), "tanh"), (6,))
        ),
    ),
    "reshaped after it was read, at once": lambda g, x: let(
        w(g, x, 6),
        lambda y: g.multiply(g.activation(y, "tanh"), g.reshape(g.reshape(y, (3, 2)), (6,))),
    ),
    "softmax": lambda g, x: g.multiply(g.softmax(w(g, x, 4)), w(g, x, 4, "v")),
    "dropout": lambda g, x: w(g, g.dropout(w(g, x, 9), 0.5, False, False), 3, "v"),
    "dropout by epoch": lambda g, x: w(g, g.dropout(w(g, x, 9), 0.5, True, True), 3, "v"),
    "fan-out": lambda g, x: let(
        w(g, x, 4),
        lambda y: g.add(
            w(g, g.activation(y, "tanh"), 3, "u"), w(g, g.activation(y, "sigmoid"), 3, "v")
        ),
    ),
    "activated twice": lambda g, x: g.activation(g.activation(w(g, x, 4), "tanh"), "silu"),
    "activated and read": lambda g, x: let(w(g, x, 4), lambda y: g.add(g.activation(y, "gelu"), y)),
    "unused branch": lambda g, x: let(g.activation(x, "tanh"), lambda _: w(g, x, 4)),
}


@pytest.mark.parametrize("name", OPS)
def test_op(name):
    net = engine.network(OPS[name], (5,), precision="float64")
    random = np.random.default_rng(1)
    for key, shape in net.parameters():
        net.set(key, random.standard_normal(shape))
    x = random.standard_normal((4, 5))
    y = random.standard_normal((4, net.predict([x], 4)[0].shape[1]))
    assert engine.differences(net, engine.session(net, seed=5), ([x], y)) < LIMIT


@pytest.mark.parametrize("name", cases.ACTIVATIONS)
@pytest.mark.parametrize("fused", [True, False])
def test_activation(name, fused):
    """Fused into products on both sides, and by itself."""
    spec = cases.ACTIVATIONS[name]
    positive = spec.low > 0

    def build(g, x):
        y = w(g, x, 7)
        y = y if fused else g.affine(row(g, y, "add_row"), 1.1, 0.0)
        y = g.activation(y, name, spec.alpha)
        return w(g, y if fused else row(g, y, "multiply_row", "q"), 3, "v")

    net = engine.network(build, (5,), precision="float64")
    random = np.random.default_rng(2)
    for key, shape in net.parameters():
        value = random.uniform(0.3, 1.3, shape) if positive else random.standard_normal(shape)
        net.set(key, value)
    x = random.uniform(0.3, 1.3, (4, 5))
    batch = [x], random.standard_normal((4, 3))
    assert engine.differences(net, engine.session(net), batch) < LIMIT


def targets(name, random, rows, columns):
    y = cases.LOSSES[name][1](random, rows, columns)
    return y if y.ndim == 1 else y.astype(np.float64)


@pytest.mark.parametrize("name", cases.LOSSES)
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("columns", [2, 17])
def test_loss(name, mean, columns):
    loss = cases.LOSSES[name][0]
    net = engine.dense(4, 6, columns, precision="float64", seed=4)
    random = np.random.default_rng(3)
    x, y = random.standard_normal((9, 4)), targets(name, random, 9, columns)
    session = engine.session(net, loss.name, loss.option, mean=mean)
    assert engine.differences(net, session, ([x], y), l1=0.01, l2=0.1) < LIMIT


@pytest.mark.parametrize("name", cases_layers.LAYERS)
@pytest.mark.parametrize("head", [True, False])
def test_layer(name, head):
    """Under another layer, which has its input's gradient computed, and as the last one."""
    body = cases_layers.LAYERS[name]()
    net = steep.Sequential(layers.Dense(6, "tanh"), *body, *([layers.Dense(3)] * head))
    net.build(4, seed=1)
    random = np.random.default_rng(2)
    X = random.standard_normal((5, 4))
    y = random.standard_normal((5, *net.output_shapes[0]))
    assert lab.check_gradients(net, X, y, "mse", l2=0.05) < LIMIT


@pytest.mark.parametrize("name", cases_layers.TOKENS)
def test_layer_of_tokens(name):
    net = steep.Sequential(*cases_layers.TOKENS[name]())
    net.build(3, seed=1)
    random = np.random.default_rng(2)
    X = random.integers(0, 9, (5, 3))
    y = random.standard_normal((5, *net.output_shapes[0]))
    assert lab.check_gradients(net, X, y, "mse", l2=0.05) < LIMIT


TAME = [name for name, row in cases.ACTIVATIONS.items() if row.tame and name != "linear"]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(TAME), min_size=4),
    loss=st.sampled_from(sorted(cases.LOSSES)),
    rows=st.integers(1, 20),
    outputs=st.integers(2, 20),
    penalties=st.tuples(st.sampled_from([0.0, 0.02]), st.sampled_from([0.0, 0.3])),
    reduction=st.sampled_from(["mean", "sum"]),
    seed=st.integers(0, 1000),
)
def test_random_dense_networks(*, widths, kinds, loss, rows, outputs, penalties, reduction, seed):
    body = [layers.Dense(n, kind) for n, kind in zip(widths, kinds, strict=False)]
    net = steep.Sequential(*body, layers.Dense(outputs)).build(3, seed=seed)
    random = np.random.default_rng(seed)
    X, y = random.standard_normal((rows, 3)), targets(loss, random, rows, outputs)
    # Biases of 0 behind dead units are where f'' of an ELU jumps: differences are of first order.
    moved = {k: w + 0.1 * random.standard_normal(w.shape) for k, w in net.state_dict().items()}
    net.load_state_dict(moved)
    options = {"l1": penalties[0], "l2": penalties[1], "reduction": reduction}
    given = net, X, y, cases.LOSSES[loss][0]
    trainer = steep.Trainer(net, given[3], "sgd", precision="float64", **options)
    value, gradients = trainer.gradients(X, y)
    for name, error in lab.gradient_errors(*given, entries=6, **options).items():
        # Behind a slope of 0.01 a gradient is no longer large beside what the loss rounds away.
        rounding = abs(value) * cases.UNIT["float64"] ** (2 / 3)  # of h = eps^(1/3)
        assert error < LIMIT + 4 * rounding / max(np.abs(gradients[name]).max(), 1e-10)


def test_sample_weights_scale_gradients():
    """Whole weights are repetitions of samples."""
    random = np.random.default_rng(0)
    X, y = random.standard_normal((6, 5)), random.integers(0, 3, 6)
    times = np.array([0, 1, 2, 3, 0, 1])
    net = engine.dense(5, 7, 3, precision="float64")
    session = engine.session(net, "cross_entropy", mean=False)
    loss, weighted = session.gradients([X], y, times.astype(float), 0.0, 0.0)
    again, repeated = session.gradients(
        [np.repeat(X, times, axis=0)], np.repeat(y, times), None, 0.0, 0.0
    )
    assert loss == pytest.approx(again, rel=1e-13)
    for name in weighted:
        np.testing.assert_allclose(weighted[name], repeated[name], rtol=1e-12, atol=1e-15)
