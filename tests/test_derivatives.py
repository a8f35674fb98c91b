"""Products with derivatives at places of our choice: at kinks, along nothing, and what is refused.

On random networks they are a law, of `laws/derivatives.py`.
"""

import numpy as np
import pytest
import steep
from steep import _core, layers

SMOOTH = ("tanh", "sigmoid", "gelu", "silu", "mish", "softplus", "exp", "square", "linear")


def trained(*parts, loss="mse", precision="float64", inputs=3, **options):
    net = steep.Sequential(*parts)
    net.build((inputs,), seed=1)
    return steep.Trainer(net, loss, "sgd", precision=precision, **options)


def batch(samples=6, inputs=3, outputs=2, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((samples, inputs)), random.standard_normal((samples, outputs))


def direction(trainer, X, y, seed=3):
    random = np.random.default_rng(seed)
    found = trainer.gradients(X, y)[1]
    return {name: random.standard_normal(g.shape) for name, g in found.items()}


def difference(trainer, X, y, v, step=1e-6):
    """Return the central difference of the gradients along v."""
    start, ends = trainer.net.state_dict(), []
    for sign in (1, -1):
        moved = {k: w + sign * step * v[k] if k in v else w for k, w in start.items()}
        trainer.net.load_state_dict(moved)
        ends.append(trainer.gradients(X, y)[1])
    trainer.net.load_state_dict(start)
    return {name: (ends[0][name] - ends[1][name]) / (2 * step) for name in v}


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy", "log_cosh"])
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_have_a_second_derivative_at_0(name, loss):
    """Formulas with one way for x < 0 and one for the rest take both derivatives the same way."""
    trainer = trained(layers.Dense(4, name), layers.Dense(2), loss=loss)
    X, y = batch()
    y = (y > 0).astype(float) if loss == "binary_cross_entropy" else y
    zeros = {k: np.zeros_like(w) for k, w in trainer.net.state_dict().items()}
    trainer.net.load_state_dict(zeros)  # every value before f, and every logit, is 0 to the bit
    v = direction(trainer, X, y)
    wanted = difference(trainer, X, y, v)
    for key, found in trainer.hvp(X, y, v).items():
        np.testing.assert_allclose(found, wanted[key], rtol=1e-6, atol=1e-8, err_msg=key)


def test_kinks_have_the_derivative_that_training_has():
    """At 0 ReLU passes nothing back, and so nothing forward."""
    trainer = trained(layers.Dense(4, "relu", use_bias=False), layers.Dense(2))
    X, y = batch()
    state = trainer.net.state_dict()
    first = next(iter(state))
    trainer.net.load_state_dict({**state, first: np.zeros_like(state[first])})
    v = direction(trainer, X, y)
    back = np.ones((len(X), 2))
    product = sum((trainer.vjp(X, back)[k] * v[k]).sum() for k in v)
    assert trainer.jvp(X, v).sum() == pytest.approx(product, rel=1e-12)
    assert not trainer.vjp(X, back)[first].any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_penalty_is_part_of_the_objective(reduction):
    plain, decayed = (
        trained(layers.Dense(4, "tanh"), layers.Dense(2), l2=l2, reduction=reduction)
        for l2 in (0.0, 0.25)
    )
    X, y = batch()
    v = direction(plain, X, y)
    for product in ("hvp", "gnvp"):
        without, found = (getattr(t, product)(X, y, v) for t in (plain, decayed))
        for name in v:
            part = 0.25 * v[name] * name.endswith("weight")
            np.testing.assert_allclose(found[name], without[name] + part, rtol=1e-12, atol=1e-13)


def test_of_squares_gauss_newton_is_j_transposed_j():
    trainer = trained(layers.Dense(5, "gelu"), layers.Dense(2))
    X, y = batch()
    v = direction(trainer, X, y)
    wanted = trainer.vjp(X, 2 * trainer.jvp(X, v) / y.size)
    for name, found in trainer.gnvp(X, y, v).items():
        np.testing.assert_allclose(found, wanted[name], rtol=1e-12, atol=1e-14)


def test_a_network_of_float32_is_derived_in_double():
    X, y = batch()
    single = trained(layers.Dense(4, "tanh"), layers.Dense(2), precision="float32")
    v = direction(single, X, y)
    found = single.hvp(X, y, v)
    double = trained(layers.Dense(4, "tanh"), layers.Dense(2))
    double.net.load_state_dict(
        {k: w.astype(np.float64) for k, w in single.net.state_dict().items()}
    )
    wanted = double.hvp(X, y, v)
    assert single.precision == "float32"
    for name in v:
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], wanted[name])


def test_statistics_and_steps_stay():
    trainer = trained(layers.Dense(4), layers.BatchNorm(), layers.Dropout(0.5), layers.Dense(2))
    X, y = batch()
    v = direction(trainer, X, y)
    before = {k: w.tobytes() for k, w in trainer.net.state_dict().items()}
    first, again = trainer.hvp(X, y, v), trainer.hvp(X, y, v)
    assert {k: w.tobytes() for k, w in trainer.net.state_dict().items()} == before
    assert trainer.steps == 0
    assert all(np.array_equal(first[name], again[name]) for name in v)  # one mask, by the step
    assert not any("running" in name for name in first)


def test_a_direction_may_leave_parameters_out():
    trainer = trained(layers.Dense(4, "tanh"), layers.Dense(2))
    X, y = batch()
    v = direction(trainer, X, y)
    parts = [trainer.hvp(X, y, {name: a}) for name, a in v.items()]
    for name, whole in trainer.hvp(X, y, v).items():
        np.testing.assert_allclose(sum(p[name] for p in parts), whole, rtol=1e-12, atol=1e-13)
    assert not trainer.jvp(X, {}).any()
    assert trainer.jvp(X, {}).shape == (len(X), 2)
    assert not any(a.any() for a in trainer.hvp(X, y, {}).values())


def test_products_of_several_outputs():
    """Outputs may be wider than the first."""
    start = steep.Input(3)
    x = layers.Dense(4, "tanh")(start)
    heads = {"a": layers.Dense(1)(x), "b": layers.Dense(400)(x)}
    trainer = steep.Trainer(
        steep.Model(start, heads).build((3,), seed=1),
        {"a": "mse", "b": "mse"},
        "sgd",
        precision="float64",
    )
    X, _ = batch()
    y = {name: batch(outputs=n)[1] for name, n in (("a", 1), ("b", 400))}
    v = direction(trainer, X, y)
    wanted = difference(trainer, X, y, v)
    for name, found in trainer.hvp(X, y, v).items():
        np.testing.assert_allclose(found, wanted[name], rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bytes(threads):
    X, y = batch(3000, 40, 7)
    found = []
    for n in (1, threads):
        trainer = trained(layers.Dense(50, "tanh"), layers.Dense(7), inputs=40)
        with steep.threads(n):
            found.append(trainer.hvp(X, y, direction(trainer, X, y)))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*map(dict.values, found), strict=True))


def test_padding_stays_zero():
    _core.check_invariants(True)
    trainer = trained(layers.Dense(5, "exp"), layers.BatchNorm(), layers.Dense(3))
    X, y = batch(outputs=3)
    trainer.hvp(X, y, direction(trainer, X, y))
    assert _core.check_invariants(False) == ""


REFUSED = [
    (lambda t, X, y, v: t.hvp(X, y, [1.0]), TypeError, "hvp: v must be a dict"),
    (lambda t, X, y, v: t.hvp(X, y, {"nothing": 1.0}), ValueError, "v has 'nothing'; trained are"),
    (lambda t, X, y, v: t.jvp(X, {next(iter(v)): 1.0}), ValueError, "expects shape"),
    (lambda t, X, y, v: t.gnvp(X, y, {k: a * np.nan for k, a in v.items()}), ValueError, "finite"),
    (lambda t, X, y, v: t.vjp(X, np.ones(3)), ValueError, r"vjp: u: expects shape \(6, 2\)"),
    (lambda t, X, y, v: t.vjp(X, "u"), TypeError, "vjp: u"),
    (lambda t, X, y, v: t.hvp(X, y[:3], v), ValueError, "y"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "kind", "message"), REFUSED)
def test_what_does_not_fit_is_refused(ask, kind, message):
    trainer = trained(layers.Dense(4, "tanh"), layers.Dense(2))
    X, y = batch()
    with pytest.raises(kind, match=message):
        ask(trainer, X, y, direction(trainer, X, y))
