"""Units of several numbers: what they draw, refuse and keep. Values are in `test_ops.py`."""

import math

import engine
import numpy as np
import pytest
import reference
import steep
from steep import layers, ops

LOW = -reference.SELU_A * reference.SELU_S
SEED, STEP = 77, 5


def trained(op, x, target):
    """Return the loss of a step, summed, and its gradient by x, through one op that draws."""
    rows, width = x.shape
    net = engine.network(
        lambda g, eye: op(g, g.matmul(eye, g.parameter("x", (rows, width), False))),
        (rows,),
        precision="float64",
        weights={"x": x},
    )
    session = engine.session(net, seed=SEED, mean=False)
    session.set_progress(0, 0, STEP, [(0.0,) * 5])
    loss, found = session.gradients([np.eye(rows)], target, None, 0.0, 0.0)
    return loss, found["x"]


def losses(y, target):
    """Return the same from what the op gives: the loss, and its gradient by y."""
    return ((y - target) ** 2).mean(axis=1).sum(), 2 * (y - target) / y.shape[1]


@pytest.mark.parametrize("shape", [(1, 1), (7, 17), (33, 64), (3, 300)])
def test_slopes_of_rrelu_are_drawn_from_their_range(shape):
    x = np.random.default_rng(1).standard_normal(shape)
    slope = 0.1 + 0.3 * reference.drawn(SEED, STEP, 0, *shape) / 2**32
    factor = np.where(x > 0, 1.0, slope)
    loss, gradient = trained(lambda g, z: g.rrelu(z, 0.1, 0.4), x, np.ones(shape))
    want, dy = losses(factor * x, np.ones(shape))
    assert loss == pytest.approx(want, rel=1e-13)
    np.testing.assert_allclose(gradient, dy * factor, rtol=1e-13)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(7, 17), (3, 300)])
def test_alpha_dropout_is_that_of_the_paper(rate, shape):
    x = np.random.default_rng(1).standard_normal(shape)
    kept = reference.drawn(SEED, STEP, 0, *shape) >= round(rate * 2**32)
    q = 1 - rate
    a = (q + LOW**2 * q * (1 - q)) ** -0.5  # Klambauer et al. 2017, section 2
    y = a * np.where(kept, x, LOW) - a * (1 - q) * LOW
    loss, gradient = trained(lambda g, z: g.alpha_dropout(z, rate), x, np.ones(shape))
    want, dy = losses(y, np.ones(shape))
    assert loss == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(gradient, a * kept * dy, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    n = 400
    x = np.random.default_rng(2).standard_normal((n, n))
    (square, _), (moved, _) = (
        trained(lambda g, z: g.alpha_dropout(z, rate), x, np.full((n, n), t)) for t in (0.0, 1.0)
    )
    error = 6 * math.sqrt(10.0) / n  # no fourth moment of it is above 10
    assert abs(square / n - 1) < error
    assert abs((square - moved) / n + 1) / 2 < error


def test_selu_keeps_mean_and_variance_through_many_layers():
    """The fixed point of the paper: from weights of variance 1/n, with and without its dropout."""
    random = np.random.default_rng(0)
    X = random.standard_normal((256, 256)).astype(np.float32)
    net = steep.Sequential(*(layers.Dense(256, "selu") for _ in range(24))).build(256)
    net.load_state_dict(
        {
            k: random.standard_normal(w.shape) / 16 * (w.ndim > 1)
            for k, w in net.state_dict().items()
        }
    )
    y = net.predict(X)
    assert abs(y.mean()) < 0.1
    assert 0.8 < y.var() < 1.2


UNITS = [
    layers.PReLU(), layers.PReLU(shared=True), layers.RReLU(), layers.GLU(), layers.SwiGLU(),
    layers.GEGLU(), layers.ReGLU(), layers.Maxout(2), layers.Maxout(4), layers.AlphaDropout(0.3),
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS, ids=repr)
@pytest.mark.parametrize("shape", [(4,), (36,), (3, 5, 4), (2, 2, 600)])
def test_nan_stays_and_stays_where_it_is(unit, shape):
    X = np.random.default_rng(0).uniform(0.1, 4, (3, *shape))
    X[1, ..., -1] = -1  # whose logarithm is NaN
    y = steep.Sequential(layers.Activation("log"), unit).predict(X)
    assert np.isnan(y[1, ..., -1]).all()
    y[1, ..., -1] = 0
    assert np.isfinite(y).all()


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_maxout_of_equal_and_missing_numbers(pieces, precision):
    """The first of the largest has the gradient, or the first NaN; its result is NaN."""
    width = 37 * pieces
    x = np.random.default_rng(pieces).integers(-2, 3, (1, width)).astype(precision)
    x[0, ::7] = np.nan
    net = engine.network(
        lambda g, x: g.maxout(g.add_row(x, g.parameter("p", (width,), False)), pieces),
        (width,),
        precision=precision,
        weights={"p": x[0]},
    )
    parts = x.reshape(-1, pieces)
    y = net.predict([np.zeros_like(x)], 1)[0][0]
    np.testing.assert_array_equal(y, parts.max(axis=1))  # of NumPy: NaN wins
    first = np.where(np.isnan(y), np.isnan(parts).argmax(axis=1), parts.argmax(axis=1))
    _, found = engine.session(net, "mse").gradients(
        [np.zeros_like(x)], np.full((1, 37), -9, precision), None, 0.0, 0.0
    )
    given = np.zeros_like(parts)
    given[np.arange(37), first] = 2 * (y + 9) / 37
    np.testing.assert_allclose(found["p"].reshape(parts.shape), given, rtol=1e-6)


REFUSED = [
    (layers.GLU(), (5,), r'GLU "glu": a gated linear unit expects an even last axis.*\(5,\)'),
    (layers.SwiGLU(), (4, 4, 3), r'SwiGLU "swiglu": .* even last axis.*\(4, 4, 3\)'),
    (layers.Maxout(3), (8,), r"maxout expects pieces that divide the last axis, got 3 for"),
    (layers.Dense(5, "glu"), (5,), r'Dense "dense": .* even last axis'),
]


@pytest.mark.parametrize(("layer", "shape", "message"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        steep.Sequential(layer).build(shape)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r'RReLU "rrelu": lower must be at most upper, got 0.5 and'
    ):
        layers.RReLU(0.5, 0.2)
    with pytest.raises(ValueError, match='unknown activation "sigmoit"; did you mean "sigmoid"'):
        layers.GLU("sigmoit")
    with pytest.raises(ValueError, match='unknown activation "swigloo"; did you mean "swiglu"'):
        layers.Dense(4, "swigloo")


def test_slopes_of_a_prelu_are_parameters_of_the_last_axis():
    class Given(layers.Layer):
        def call(self, x):
            return ops.prelu(x, self.parameter("slope", (3,)))

    with pytest.raises(
        ValueError, match=r"prelu expects slopes of shape \(1,\) or \(4,\), got \(3,\)"
    ):
        steep.Sequential(Given()).build((2, 2, 4))
    with pytest.raises(TypeError, match="prelu expects its slope to be a parameter"):
        x = steep.Input((4,))
        ops.prelu(x, x)


def test_a_prelu_has_a_slope_a_channel_that_does_not_decay():
    net = steep.Sequential(
        layers.Conv2D(5, 3, activation=layers.PReLU()), layers.PReLU(0.5, shared=True),
        layers.Flatten(), layers.Dense(3),
    ).build((4, 4, 2), seed=1)  # fmt: skip
    state = net.state_dict()
    assert state["prelu.slope"].tolist() == [0.25] * 5
    assert state["prelu_1.slope"].tolist() == [0.5]
    assert "he" in net.summary().split("\n")[2]  # before a PReLU weights begin as before a ReLU
    trainer = steep.Trainer(net, "mse", "sgd", l2=0.5)
    X = np.zeros((2, 4, 4, 2), np.float32)
    _, gradients = trainer.gradients(X, np.zeros((2, 3), np.float32))
    assert not gradients["prelu.slope"].any()
    assert gradients["dense.weight"].any()


@pytest.mark.parametrize("name", ["glu", "swiglu", "geglu", "reglu", "rrelu"])
def test_units_without_weights_are_known_by_name(name):
    by_name = steep.Sequential(layers.Dense(6, name)).build(3, seed=2)
    kind = {"glu": layers.GLU, "swiglu": layers.SwiGLU, "geglu": layers.GEGLU}
    kind |= {"reglu": layers.ReGLU, "rrelu": layers.RReLU}
    by_class = steep.Sequential(layers.Dense(6, kind[name]())).build(3, seed=2)
    X = np.random.default_rng(0).standard_normal((5, 3))
    assert np.array_equal(by_name.predict(X), by_class.predict(X))


def test_both_forms_of_gelu_are_golden():
    """N4: the exact one, and GPT-2's by the hyperbolic tangent."""
    x = np.array([[-3.0, -1.0, -0.5, 0.5, 1.0, 3.0]])
    exact = [-0.0040496941, -0.1586552539, -0.1542687694, 0.3457312306, 0.8413447461, 2.9959503059]
    other = [-0.0036373921, -0.1588080094, -0.1542859902, 0.3457140098, 0.8411919906, 2.9963626079]
    for kind, values in {"gelu": exact, "gelu_tanh": other}.items():
        net = steep.Sequential(layers.Activation(kind)).build(6)
        np.testing.assert_allclose(net.predict(x)[0], values, atol=3e-7)
        loss = steep.Trainer(net, "mse", "sgd", precision="float64").evaluate(x, [values])["loss"]
        assert loss < 1e-20


def test_gelu_by_tanh_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x = torch.linspace(-5, 5, 41, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.gelu(x, approximate="tanh")
    y.sum().backward()
    value, slope = reference.ACTIVATIONS["gelu_tanh"]
    np.testing.assert_allclose(value(x.detach().numpy(), 0), y.detach(), atol=1e-14)
    np.testing.assert_allclose(slope(x.detach().numpy(), 0), x.grad, atol=1e-14)
