"""Constraints hold after every step of every rule, and are those of NumPy and Keras."""

import cases
import numpy as np
import pytest
import reference
import steep
from steep import averages, constraints, layers, optimizers

ALL = {
    "clip": constraints.Clip(0.02),
    "non_negative": constraints.NonNegative(),
    "max_norm": constraints.MaxNorm(0.4),
    "unit_norm": constraints.UnitNorm(),
}
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((70, 6)).astype(np.float32)
Y = RANDOM.standard_normal((70, 3)).astype(np.float32)


def holds(w, constraint, unit=2.0**-24):
    """Say whether weights are within their bounds, lengths to some roundings."""
    if isinstance(constraint, constraints.Clip):
        return np.abs(w).max() <= np.float32(constraint.limit)
    if isinstance(constraint, constraints.NonNegative):
        return w.min() >= 0
    axes = tuple(range(w.ndim - 1)) or None
    length = np.sqrt(np.sum(w.astype(np.float64) ** 2, axis=axes))
    if isinstance(constraint, constraints.MaxNorm):
        return np.all(length <= constraint.limit * (1 + 8 * unit))
    return np.all(np.abs(length - 1) <= 8 * unit)


def trainer(constraint, rule, **options):
    """Return a trainer whose three matrices, one of them narrow, have a constraint."""
    body = [
        layers.Dense(70, "tanh", constraint=constraint),
        layers.Dense(37, "relu", constraint=constraint),
        layers.Dense(3, constraint=constraint),
    ]
    return steep.Trainer(steep.Sequential(*body), "mse", rule, seed=2, **options)


def matrices(made):
    return [w for w in made.net.state_dict().values() if w.ndim > 1]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rule", cases.RULES)
def test_they_hold_after_every_step_of_every_rule(name, rule):
    made = trainer(ALL[name], cases.RULES[rule].optimizer)
    for _ in range(4):
        made.step(X, Y)
        assert all(holds(w, ALL[name]) for w in matrices(made))
    made.fit(X, Y, epochs=2, batch_size=16, progress=False)
    assert all(holds(w, ALL[name]) for w in matrices(made))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("clip", [None, 0.1])
def test_a_step_is_a_step_brought_back(name, clip):
    """One update of SGD, in float64, fused and with all gradients first."""
    made = trainer(ALL[name], optimizers.SGD(0.3), precision="float64", clip_norm=clip)
    made.step(X, Y)
    before = made.net.state_dict()
    gradients = made.gradients(X, Y)[1]
    norm = np.sqrt(sum(np.sum(g * g) for g in gradients.values()))
    factor = 1.0 if clip is None or norm <= clip else clip / norm
    made.step(X, Y)
    for key, w in made.net.state_dict().items():
        wanted = before[key] - 0.3 * factor * gradients[key]
        if w.ndim > 1:
            wanted = reference.bounded(wanted, ALL[name])
        np.testing.assert_allclose(w, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rule", ["adam", "nesterov", "lamb", "muon"])
def test_bytes_do_not_depend_on_threads_or_slices(name, rule, tmp_path):
    big = np.random.default_rng(1).standard_normal((300, 200)).astype(np.float32)
    target = np.zeros((300, 3), np.float32)

    def end(threads, stops=()):
        with steep.threads(threads):
            made = trainer(
                ALL[name], cases.RULES[rule].optimizer, average=averages.EMA(0.9)
            )  # fmt: skip
            for epochs in (*stops, 3 - sum(stops)):
                made.fit(big, target, epochs=epochs, batch_size=128, progress=False)
                path = tmp_path / f"{threads}.npz"
                made.save(path)
                made = steep.Trainer.load(path)
        return [
            w.tobytes()
            for w in (*made.net.state_dict().values(), *made.averaged().state_dict().values())
        ]

    wanted = end(1)
    for threads in (2, 3, 8):
        assert end(threads) == wanted
    assert end(2, (1,)) == wanted
    assert end(1, (1, 1)) == wanted


def test_columns_of_filters_and_a_vector_as_one_column():
    class Row(layers.Layer):
        def call(self, x):
            return x * self.parameter("row", x.shape, init=2.0, constraint="unit_norm")

    body = [
        layers.Reshape((1, 2, 3)),
        layers.Conv2D(35, (1, 2), constraint="unit_norm"),
        layers.Flatten(),
        Row(),
        layers.Dense(3),
    ]
    made = steep.Trainer(steep.Sequential(*body), "mse", "adam")
    made.fit(X, Y, epochs=2, progress=False)
    state = made.net.state_dict()
    assert all(holds(w, constraints.UnitNorm()) for k, w in state.items() if "dense" not in k
               and "bias" not in k)  # fmt: skip
    assert state["row.row"].shape == (70,)
    assert not holds(state["dense.weight"], constraints.UnitNorm())


def test_an_average_follows_what_was_brought_back():
    made = trainer(ALL["clip"], optimizers.SGD(0.5), average=averages.SWA(start=1))
    made.fit(X, Y, epochs=3, progress=False)
    averaged = made.averaged().state_dict().values()
    assert all(holds(w, ALL["clip"]) for w in averaged if w.ndim > 1)


def test_names_and_descriptions(tmp_path):
    for name in ("non_negative", "non_neg", "max_norm", "unit_norm"):
        assert isinstance(layers.Dense(3, constraint=name).constraint, constraints.Constraint)
    assert layers.Dense(3, constraint="max_norm").constraint == constraints.MaxNorm(2.0)
    made = trainer(ALL["max_norm"], "adam")
    made.fit(X, Y, epochs=1, progress=False)
    made.save(tmp_path / "kept.npz")
    again = steep.Trainer.load(tmp_path / "kept.npz")
    again.fit(X, Y, epochs=2, progress=False)
    assert all(holds(w, ALL["max_norm"]) for w in matrices(again))
    for constraint in ALL.values():
        assert constraints.from_config(constraint.get_config()) == constraint


@pytest.mark.parametrize(
    ("given", "kind", "error"),
    [
        ("max_nrom", ValueError, 'did you mean "max_norm"'),
        (constraints.MaxNorm, TypeError, "write its parentheses"),
        (3.0, TypeError, "constraint must be one of steep.constraints or a name"),
    ],
)
def test_what_is_none_is_refused(given, kind, error):
    with pytest.raises(kind, match=error):
        layers.Dense(3, constraint=given)
    for limit in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="limit"):
            constraints.Clip(limit)


def test_methods_for_full_batches_keep_none():
    with pytest.raises(ValueError, match=r'"dense.weight" has a constraint'):
        trainer(ALL["clip"], optimizers.LBFGS()).fit(X, Y, epochs=1, progress=False)
