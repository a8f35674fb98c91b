"""Several losses, losses that layers add and losses of one's own: what they are, and refuse."""

import numpy as np
import pytest
import steep
from steep import layers, losses, ops, optimizers, schedules

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(48, 6)).astype(np.float32)
Y = {
    "class": RANDOM.integers(0, 3, 48),
    "value": RANDOM.normal(size=(48, 2)).astype(np.float32),
}
LOSSES = {"class": losses.CrossEntropy(), "value": losses.Huber()}


def heads(seed=3):
    start = steep.Input(6)
    body = layers.Dense(9, "tanh", name="body")(start)
    net = steep.Model(
        start,
        {
            "class": layers.Dense(3, name="class")(body),
            "value": layers.Dense(2, name="value")(body),
        },
    )
    return net.build(seed=seed)


def trainer(net=None, loss=None, optimizer="adam", **options):
    return steep.Trainer(net or heads(), loss or LOSSES, optimizer, **options)


def fit(made, epochs=2, y=Y, **options):
    made.fit(X, y, **{"batch_size": 10, "progress": False, "epochs": epochs, **options})
    return made


def weights(made):
    return {name: value.tobytes() for name, value in made.net.state_dict().items()}


def gradients(loss, y=Y, **options):
    return trainer(loss=loss, precision="float64", **options).gradients(X, y)


# -- several outputs -------------------------------------------------------------------------------


def test_two_losses_by_weights_are_their_weighted_sum():
    by = {"class": 0.7, "value": 2.5}
    both, found = gradients(LOSSES, loss_weights=by)
    parts = {name: gradients({name: LOSSES[name]}, {name: Y[name]}) for name in LOSSES}
    total = sum(by[name] * loss for name, (loss, _) in parts.items())
    np.testing.assert_allclose(both, total, rtol=4e-16)
    for name, value in found.items():
        expected = sum(by[k] * each.get(name, 0.0) for k, (_, each) in parts.items())
        scale = sum(by[k] * np.abs(each.get(name, 0.0)).max() for k, (_, each) in parts.items())
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=2e-16 * scale, err_msg=name)


def test_two_losses_of_one_tensor_add_up():
    start = steep.Input(6)
    out = layers.Dense(2, name="value")(layers.Dense(9, "tanh", name="body")(start))
    net = steep.Model(start, {"a": out, "b": out}).build(seed=3)
    y = {"a": Y["value"], "b": Y["value"][::-1].copy()}
    made = steep.Trainer(net, {"a": "mse", "b": "mae"}, precision="float64", optimizer="sgd")
    _, found = made.gradients(X, y)
    single = steep.Model(start, out).build(seed=3)
    first = steep.Trainer(single, "mse", "sgd", precision="float64").gradients(X, y["a"])[1]
    second = steep.Trainer(single, "mae", "sgd", precision="float64").gradients(X, y["b"])[1]
    for name in found:
        np.testing.assert_allclose(found[name], first[name] + second[name], rtol=1e-13, atol=1e-16)


def test_histories_show_every_term_and_their_sum():
    made = trainer(loss_weights={"value": 2.0})
    history = made.fit(X, Y, batch_size=10, progress=False, validation=(X, Y)).history
    for prefix in ("", "val_"):
        total = history[f"{prefix}class_loss"][0] + 2.0 * history[f"{prefix}value_loss"][0]
        np.testing.assert_allclose(history[f"{prefix}loss"][0], total, rtol=1e-14)
        assert 0 <= history[f"{prefix}class_accuracy"][0] <= 1
    measured = made.evaluate(X, Y)
    out = made.net.predict(X)
    np.testing.assert_allclose(measured["class_loss"], LOSSES["class"](out["class"], Y["class"]))
    np.testing.assert_allclose(measured["value_loss"], LOSSES["value"](out["value"], Y["value"]))


def test_every_output_has_weights_of_samples_of_its_own():
    weight = {"class": RANDOM.random(48), "value": RANDOM.random(48)}
    made = trainer(precision="float64")
    out = made.net.predict(X)
    measured = made.evaluate(X, Y, sample_weight=weight)
    for name, loss in LOSSES.items():
        rows = loss.rows(out[name], Y[name])
        np.testing.assert_allclose(measured[f"{name}_loss"], np.mean(rows * weight[name]))
    mean = trainer(precision="float64", reduction="weighted_mean")
    measured = mean.evaluate(X, Y, sample_weight=weight)
    for name, loss in LOSSES.items():
        rows = loss.rows(out[name], Y[name])
        np.testing.assert_allclose(measured[f"{name}_loss"], np.average(rows, weights=weight[name]))


def test_a_weight_may_be_a_schedule():
    """Step by step as trainings whose weight is the number of that step."""
    values = [1.0, 0.0, 0.25, 3.0, 0.5]
    made = trainer(optimizer="sgd", loss_weights={"value": schedules.Values(values)})
    state = made.net.state_dict()
    for value in values:
        net = heads()
        net.load_state_dict(state)
        one = trainer(net, optimizer="sgd", loss_weights={"value": value})
        assert made.step(X, Y) == one.step(X, Y)
        state = net.state_dict()
        assert weights(made) == weights(one)


def test_a_weight_of_nought_leaves_a_head_alone():
    made = fit(trainer(optimizer="sgd", loss_weights={"value": lambda step: 0.0}))
    start = heads().state_dict()
    for name, value in made.net.state_dict().items():
        assert (value == start[name]).all() == name.startswith("value"), name


# -- losses that layers add ------------------------------------------------------------------------


class Small(layers.Layer):
    """Adds half the sum of squares of what goes through."""

    def __init__(self, weight=1.0, name=None):
        super().__init__(name)
        self.weight = weight

    def call(self, x):
        self.add_loss(0.5 * (x * x), self.weight, "size")
        return x


def test_what_a_layer_adds_is_the_sum_of_elements_and_the_mean_of_samples():
    net = steep.Sequential(layers.Dense(5, "tanh"), Small(0.3), layers.Dense(2)).build(6, seed=1)
    made = steep.Trainer(net, "mse", "sgd", precision="float64")
    loss, found = made.gradients(X, Y["value"])
    state = net.state_dict()
    w, b = state["dense.weight"], state["dense.bias"]
    v, c = state["dense_1.weight"], state["dense_1.bias"]
    x, n = X.astype(float), len(X)
    h = np.tanh(x @ w + b)
    e = h @ v + c - Y["value"]
    np.testing.assert_allclose(loss, np.mean(e**2) + 0.3 * 0.5 * np.sum(h**2) / n, rtol=1e-14)
    dh = (e / n) @ v.T + 0.3 * h / n
    np.testing.assert_allclose(found["dense.weight"], x.T @ (dh * (1 - h**2)), rtol=1e-12)
    assert made.evaluate(X, Y["value"])["size"] == pytest.approx(0.5 * np.sum(h**2) / n)


def test_the_functional_form_adds_losses_too():
    start = steep.Input(6)
    hidden = layers.Dense(5, "tanh")(start)
    net = steep.Model(start, layers.Dense(2)(ops.add_loss(hidden * hidden, 2.0, "size")))
    made = fit(steep.Trainer(net, "mse", "sgd", seed=1), y=Y["value"])
    assert set(made.history.history) >= {"loss", "mse", "size"}
    again = steep.Trainer(steep.Model.from_config(net.config()), "mse", "sgd", seed=1)
    assert weights(fit(again, y=Y["value"])) == weights(made)


def test_nothing_but_what_layers_add():
    net = steep.Sequential(layers.Dense(5, "tanh"), Small()).build(6)
    before = steep.Trainer(net, None, "sgd").evaluate(X)["loss"]
    made = fit(steep.Trainer(net, None, optimizers.SGD(0.1)), y=None)
    assert made.evaluate(X)["loss"] < before


# -- losses of one's own ---------------------------------------------------------------------------


def squared(y, t):
    return (y - t) * (y - t)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_loss_of_ones_own_trains_as_the_built_in_one(optimizer):
    y = Y["value"]
    body = [layers.Dense(9, "tanh"), layers.Dense(2)]
    own = fit(steep.Trainer(steep.Sequential(*body), squared, optimizer, seed=2), y=y)
    built_in = fit(steep.Trainer(steep.Sequential(*body), "mse", optimizer, seed=2), y=y)
    for name, value in built_in.net.state_dict().items():
        np.testing.assert_allclose(own.net.state_dict()[name], value, rtol=2e-5, atol=1e-7)
    assert own.history.history["loss"] == pytest.approx(built_in.history.history["loss"], rel=1e-6)


def test_a_loss_of_ones_own_is_saved_by_its_name(tmp_path):
    made = fit(
        steep.Trainer(heads(), {"value": losses.Custom(squared)}, "adam"), y={"value": Y["value"]}
    )
    made.save(tmp_path / "t")
    with pytest.raises(ValueError, match="custom_objects"):
        steep.Trainer.load(tmp_path / "t")
    again = steep.Trainer.load(tmp_path / "t", custom_objects={"squared": squared})
    assert weights(fit(again, y={"value": Y["value"]})) == weights(
        fit(made, y={"value": Y["value"]})
    )


def test_a_loss_may_have_targets_of_another_shape_or_none():
    pairs = losses.Custom(lambda y, t: y * t, target=(3,))
    made = steep.Trainer(heads(), {"class": pairs}, "sgd", precision="float64")
    t = RANDOM.normal(size=(48, 3))
    out = made.net.predict(X)["class"]
    assert made.evaluate(X, {"class": t})["loss"] == pytest.approx(np.mean(out * t))
    mean = steep.Trainer(heads(), {"class": "mean"}, "sgd", precision="float64")
    assert mean.evaluate(X)["loss"] == pytest.approx(np.mean(out))
    assert losses.Mean()(out) == pytest.approx(np.mean(out))


# -- what holds for every training -----------------------------------------------------------------


def everything(**options):
    start = steep.Input(6)
    body = layers.Dropout(0.2)(layers.BatchNorm()(layers.Dense(9, "tanh", name="body")(start)))
    body = Small(schedules.Exponential(1.0, 0.1))(body)
    net = steep.Model(start, {"class": layers.Dense(3)(body), "value": layers.Dense(2)(body)})
    loss = {"class": losses.CrossEntropy(0.1), "value": losses.Custom(squared)}
    by = {"value": schedules.Exponential(1.0, 0.05)}
    return steep.Trainer(net, loss, "adam", loss_weights=by, seed=5, **options)


@pytest.mark.parametrize("moved", [0, 1])
@pytest.mark.parametrize("joined", ["concat", "add"])
def test_a_later_objective_sees_what_an_earlier_one_moved(moved, joined):
    """Of two ways that are joined, one is moved before: what was found of both is found again."""
    x = steep.Input((6,))
    ways = [layers.Dense(17, "gelu", name=name)(x) for name in ("left", "right")]
    both = ops.concat(ways) if joined == "concat" else ops.add(*ways)
    made = steep.Model([x], {name: layers.Dense(2, name=name)(both) for name in ("a", "b")})
    made.build(seed=1)
    way = ("left", "right")[moved]
    random = np.random.default_rng(0)
    X, y = random.random((8, 6)), {name: random.random((8, 2)) for name in ("a", "b")}
    aims = [
        steep.Objective({"a": "mse"}, f"{way}.*", optimizers.SGD(0.5), 1, "first"),
        steep.Objective({"b": "mse"}, "b.*", optimizers.SGD(0.0), 1, "second"),
    ]
    trainer = steep.Trainer(made, objectives=aims)
    before = trainer.gradients(X, y, objective="second")[0]
    history = trainer.fit(X, y, epochs=1, batch_size=8, progress=False, shuffle=False)
    found = history.history["second_loss"][0]
    after = trainer.gradients(X, y, objective="second")[0]
    assert after != before
    np.testing.assert_allclose(found, after, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"sam": 0.05}, {"average": "ema"}])
def test_the_same_bytes_for_any_number_of_threads(options):
    found = []
    for threads in (1, 2, 3, 8):
        with steep.threads(threads):
            made = fit(everything(**options), 3, accumulate=2 if not options else 1)
        found.append((weights(made), made.history.steps["loss"]))
    assert all(each == found[0] for each in found)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    whole = fit(everything(), 4)

    class Stop:
        every = 7

        def on_step_end(self, trainer, step, logs):
            trainer.save(tmp_path / "t")
            return "stop"

    made = everything()
    fit(made, 4, callbacks=Stop())
    again = steep.Trainer.load(
        tmp_path / "t", custom_objects={"squared": squared}, net=everything().net
    )
    fit(again, 4)
    assert weights(again) == weights(whole)
    assert again.history.steps == whole.history.steps
    for name, column in whole.history.history.items():
        if name != "seconds":
            assert again.history.history[name] == column, name


def test_a_step_that_is_not_finite_leaves_the_weights_before_it():
    made = fit(everything(), 1)
    before = weights(made)
    bad = {"class": Y["class"], "value": np.full((48, 2), 3e38, np.float32)}
    with pytest.raises(steep.NonFiniteError, match="loss"):
        made.step(X, bad)
    assert weights(made) == before


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: trainer(loss="mse").fit(X, Y["value"]), "2 outputs.*dict"),
        (lambda: trainer(loss={"clas": "mse"}).fit(X, Y), 'unknown loss: output "clas"'),
        (lambda: trainer().fit(X, {"class": Y["class"]}), "value.*no targets"),
        (lambda: trainer().fit(X, {**Y, "box": Y["value"]}), 'unknown y: output "box"'),
        (lambda: trainer().fit(X, Y["class"]), "dict of arrays by output"),
        (lambda: trainer().fit(X, {**Y, "value": Y["class"]}), r"y\['value'\]: expects shape"),
        (lambda: trainer().fit(X, {**Y, "class": Y["class"] + 1}), r"y\['class'\]: label 3"),
        (lambda: trainer(loss_weights={"size": 1.0}).fit(X, Y), 'unknown loss_weights: output "si'),
        (lambda: trainer(loss_weights={"value": np.nan}), "loss_weights"),
        (lambda: trainer(metrics={"value": ("accuracy",)}), "for values"),
        (lambda: trainer(metrics={"box": ("accuracy",)}), "unknown metrics: output"),
        (lambda: steep.Trainer(heads(), {}, "sgd").fit(X), "nothing to make small"),
        (lambda: trainer(loss={"class": "mean"}).fit(X, Y["class"]), "no loss has targets"),
        (
            lambda: trainer().fit(X, Y, sample_weight={"value": -Y["class"] - 1.0}),
            r"sample_weight\['value'\]: must be",
        ),
        (lambda: trainer(optimizer="lbfgs").fit(X, Y), "LBFGS: takes one loss, got class_loss"),
        (lambda: trainer(loss={"class": lambda y, t: 3}).fit(X, Y), "symbolic tensor"),
        (lambda: steep.Model(steep.Input(3), {3: steep.Input(3)}), "names of outputs"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_a_loss_outside_of_a_network_is_refused():
    with pytest.raises(TypeError, match="symbolic tensor"):
        Small().add_loss(3.0)
    with pytest.raises(TypeError, match="an output and a target"):
        losses.Custom(lambda a, b, c: a)
    with pytest.raises(TypeError, match="Custom"):
        losses.Custom(3)
