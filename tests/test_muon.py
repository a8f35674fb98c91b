"""Muon: what it moves of a network, how far, and what it refuses; convolutions as its authors.

Against PyTorch's Muon it stands in test_torch_optim.py, step by step in test_rules_native.py.
"""

import numpy as np
import pytest
import steep
from steep import optimizers
from steep.layers import Conv2D, Dense, Flatten, Reshape
from steep.optimizers import SGD, Adam, Muon

RANDOM = np.random.default_rng(7)
X, Y = RANDOM.standard_normal((24, 50)), RANDOM.standard_normal((24, 3))


def trainer(optimizer, seed=2, **more):
    net = steep.Sequential(
        Reshape((5, 5, 2)), Conv2D(21, 3, activation="tanh", name="conv"), Flatten(),
        Dense(11, "tanh", name="body"), Dense(3, name="head"),
    )  # fmt: skip
    made = steep.Trainer(net, "mse", optimizer, seed=seed, **more)
    made._run.settings.build((X.shape[1:],))
    return made


def moved_by(made):
    """Return the names that each optimizer moves."""
    assigned = made._run.settings.assigned
    names = list(made.net.state_dict())
    return [
        (group.optimizer, [n for n, g in zip(names, assigned.members, strict=True) if g == number])
        for number, group in enumerate(assigned.groups)
    ]


def test_hidden_matrices_are_its_own_and_all_others_the_rests():
    own = ["conv.weight", "body.weight"]
    others = ["conv.bias", "body.bias", "head.weight", "head.bias"]
    made = trainer(Muon())
    assert moved_by(made) == [(Muon(), own), (Adam(3e-4, 0.9, 0.95, 1e-10), others)]
    slots = made._run.settings.slots(made._run.settings.shapes())
    assert set(slots["m"]) == {*own, *others}
    assert set(slots["r"]) == set(others)  # no second moment of its matrices


@pytest.mark.parametrize(
    ("matrices", "own"),
    [
        ("body", ["body.weight"]),
        (["conv*", "head.weight"], ["conv.weight", "head.weight"]),
        ("*", ["conv.weight", "body.weight", "head.weight"]),
    ],
)
def test_patterns_say_which(matrices, own):
    assert moved_by(trainer(Muon(matrices=matrices)))[0][1] == own


def test_in_a_group_the_last_matrix_is_that_of_the_network():
    made = trainer(SGD(0.1), groups={"conv": Muon(), "body": Muon(0.1)})
    names = [names for _, names in moved_by(made)]
    assert names[0] == ["conv.weight"] and names[2] == ["body.weight"]


def test_its_numbers_and_its_rest_are_assigned_by_name():
    made = trainer(Muon(rest=SGD(0.1)))
    made.step(X, Y)
    made.lr, made.momentum, made.rest = 0.5, 0.9, SGD(0.2)
    assert made.optimizer == Muon(0.5, 0.9, rest=SGD(0.2))
    assert made.rest == SGD(0.2)
    assert trainer(Muon(), groups={"*": {"lr_factor": 0.5}})._run.settings.assigned.groups[
        1
    ].optimizer.lr == pytest.approx(1.5e-4)
    with pytest.raises(ValueError, match="updates by the rule muon, adam"):
        made.rest = Adam()


def newton_schulz(u):
    x = u / (np.linalg.norm(u) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x - 4.775 * a @ x + 2.0315 * a @ a @ x
    return x


@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-12), ("float32", 1e-5)])
def test_a_convolution_moves_as_its_authors_move_it(precision, bound):
    """They flatten (out, in, height, width) after the first axis; the window is square."""
    made = trainer(Muon(0.1, rest=SGD(0.0), weight_decay=0.5), precision=precision)
    w = made.net.state_dict()["conv.weight"].astype(np.float64)
    m = np.zeros_like(w)
    for _ in range(3):
        g = made.gradients(X, Y)[1]["conv.weight"].astype(np.float64)
        made.step(X, Y)
        m = 0.95 * m + 0.05 * g
        u = (0.05 * g + 0.95 * m).transpose(3, 2, 0, 1)
        x = newton_schulz(u.reshape(len(u), -1)).reshape(u.shape).transpose(2, 3, 1, 0)
        w = w * (1 - 0.1 * 0.5) - 0.1 * x
    found = made.net.state_dict()["conv.weight"]
    np.testing.assert_allclose(found, w, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({}, np.sqrt(11 / 3)),
        ({"adjust": "none"}, 1.0),
        ({"adjust": "match_rms_adamw"}, 0.2 * np.sqrt(11)),
    ],
)
def test_how_long_a_step_is(options, factor):
    """The matrix widens from 3 to 11: as long as its root."""
    net = steep.Sequential(Dense(11, use_bias=False), Dense(1))
    made = steep.Trainer(net, "mse", Muon(0.1, rest=SGD(0.0), **options), precision="float64")
    made._run.settings.build(((3,),))
    name = next(iter(net.state_dict()))
    before = net.state_dict()[name]
    g = (0.05 + 0.95 * 0.05) * made.gradients(X[:, :3], Y[:, :1])[1][name]
    made.step(X[:, :3], Y[:, :1])
    moved = (before - net.state_dict()[name]) / 0.1
    np.testing.assert_allclose(moved, factor * newton_schulz(g), atol=1e-12)


def test_weights_too_far_for_a_direction_are_refused_and_stay():
    made = trainer(Muon(matrices="*", rest=SGD(0.0)), precision="float64")
    before = {name: w.tobytes() for name, w in made.net.state_dict().items()}
    with pytest.raises(steep.NonFiniteError):
        made.step(X, Y * 1e200)
    assert {name: w.tobytes() for name, w in made.net.state_dict().items()} == before


def test_a_network_without_hidden_matrices_is_told_so():
    net = steep.Sequential(Dense(3), input_shape=(50,))
    with pytest.warns(UserWarning, match='no hidden matrix among dense.weight.*matrices="\\*"'):
        steep.Trainer(net, "mse", Muon()).step(X, Y)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Muon(steps=0), ValueError, "Muon: steps must be at least 1"),
        (lambda: Muon(steps=2.5), TypeError, "Muon: steps must be an int"),
        (lambda: Muon(coefficients=(1, 2)), TypeError, "three numbers"),
        (lambda: Muon(coefficients=(1, 2, float("nan"))), ValueError, "coefficients must be in"),
        (lambda: Muon(adjust="adamw"), ValueError, "unknown Muon adjust"),
        (lambda: Muon(rest="adam"), TypeError, "rest is an optimizer"),
        (lambda: Muon(rest=Adam(maximize=True)), ValueError, "maximize holds for rest, too"),
        (lambda: Muon(rest=optimizers.LBFGS()), ValueError, "moves all parameters at once"),
        (lambda: Muon(matrices=()), TypeError, "matrices are patterns"),
        (
            lambda: trainer(Muon(matrices="tail*")).step(X, Y),
            ValueError,
            "no matrix is called tail",
        ),
        (lambda: trainer(Muon(rest=Adam(beta1=1 - 2.0**-40))), ValueError, "beta1"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_what_a_group_gives_to_the_rest_comes_back(tmp_path):
    groups = {"conv": {"rest": Adam(0.1), "lr": 0.3}, "body": Muon(rest=SGD(0.2), matrices="*")}
    made = trainer(Muon(rest=Adam(0.01)), groups=groups)
    made.step(X, Y)
    made.save(tmp_path / "muon.st")
    again = steep.Trainer.load(tmp_path / "muon.st")
    assert again.groups == made.groups and again.optimizer == made.optimizer
    for each in (made, again):
        each.step(X, Y)
    for name, w in made.net.state_dict().items():
        assert again.net.state_dict()[name].tobytes() == w.tobytes()


def test_a_plateau_lowers_the_rate_of_the_rest_too():
    made = trainer(Muon(0.02, rest=SGD(0.1)), groups={"conv": Muon(0.04, rest=SGD(0.2))})
    watch = steep.callbacks.ReduceOnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    made.fit(X, Y, epochs=2, callbacks=[watch], progress=False)
    assert (made.lr, made.rest.lr) == (0.01, 0.05)
    own = made.groups["conv"]["optimizer"]
    assert (own.lr, own.rest.lr) == (0.02, 0.1)
