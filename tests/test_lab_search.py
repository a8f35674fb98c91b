"""Search: what each method tries, tables and networks, exact resuming, what is refused."""

import json
import math
from collections import Counter
from itertools import product
from statistics import mean

import numpy as np
import pytest
import shared
import steep
from steep import lab, layers, optimizers
from steep.lab import strategies

CELLS = {f"cell{k}": (0, 1, 2) for k in range(8)}
SMALL = {"a": range(4), "b": ("w", "u", "v"), "c": [None, 1.5]}
RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((60, 5)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
HELD = (X[40:], Y[40:])


def table(**cells):
    """Return an accuracy: each cell counts, and so do neighbours; one of 6561 is best."""
    cell = list(cells.values())
    own = sum((k + 1) * (c == (k % 3)) for k, c in enumerate(cell))
    return own + sum(0.5 * (a + b == 2) for a, b in zip(cell[1:], cell, strict=False))


def key(row):
    return tuple(row[name] for name in CELLS)


def differences(one, other):
    return sum(a != b for a, b in zip(key(one), key(other), strict=True))


def test_random_search_draws_each_choice_as_often_and_none_twice():
    counts = Counter()
    for seed in range(300):
        found = lab.search(table, CELLS, budget=10, seed=seed)
        assert len({key(row) for row in found.rows}) == 10
        counts.update((name, row[name]) for row in found.rows for name in CELLS)
    assert all(abs(n - 1000) < 5 * math.sqrt(1000 * 2 / 3) for n in counts.values())
    assert found.score == found.best["score"] == max(row["score"] for row in found.rows)
    assert found.score == table(**found.choice)


@pytest.mark.parametrize("method", ["random", "evolution"])
def test_all_of_a_small_space_is_tried_once(method):
    found = lab.search(lambda a, b, c: a + len(b), SMALL, method, budget=100, population=4)
    tried = [(row["a"], row["b"], row["c"]) for row in found.rows]
    assert sorted(tried, key=repr) == sorted(product(*SMALL.values()), key=repr)


@pytest.mark.parametrize("method", ["random", "evolution", "halving"])
def test_equal_seeds_try_the_same(method):
    def made(**cells):
        return lambda epochs: table(**cells) - 9 / epochs

    def found(seed):
        return lab.search(made, CELLS, method, budget=40, seed=seed, epochs=9)

    assert found(5).rows == found(5).rows
    assert found(5).rows != found(6).rows
    assert repr(found(5)) == repr(found(5))


def test_a_child_differs_from_the_best_of_a_few_of_the_living():
    found = lab.search(table, CELLS, "evolution", budget=200, seed=1, population=8, sample=8)
    near = 0
    for at, row in enumerate(found.rows[8:], 8):
        living = found.rows[at - 8 : at]  # all of them are looked at: the parent is the best
        parent = max(living, key=lambda one: one["score"])
        near += differences(parent, row) == 1
        if differences(parent, row) != 1:  # where one beside it was tried before
            assert any(differences(parent, other) == 1 for other in found.rows[:at])
    assert near > 100


def test_the_old_die_however_good():
    """Without age the first, which nothing beats, would be the parent for ever."""
    scores = iter([100.0, *([0.0] * 99)])
    found = lab.search(
        lambda **cells: next(scores), CELLS, "evolution", budget=100, population=5, sample=5
    )
    first = found.rows[0]
    assert differences(first, found.rows[5]) == 1
    assert mean(differences(first, row) for row in found.rows[10:]) > 4


def test_evolution_beats_chance():
    best = max(table(**dict(zip(CELLS, c, strict=True))) for c in product(range(3), repeat=8))

    def reached(method):
        return mean(lab.search(table, CELLS, method, 100, seed).score for seed in range(20))

    assert reached("random") + 4 < reached("evolution") <= best


def test_evolution_on_the_architectures_of_nas_bench_macro():
    """6561 networks on CIFAR-10 (Su et al. 2021), each trained three times."""
    found = json.loads(shared.find("nas-bench-macro_cifar10.json").read_text())
    accuracy = {cells: row["mean_acc"] for cells, row in found.items()}

    def build(**cells):
        return accuracy["".join(map(str, cells.values()))]

    def reached(method, seeds):
        return mean(lab.search(build, CELLS, method, 100, seed).score for seed in range(seeds))

    assert reached("evolution", 50) >= 93.05
    assert reached("random", 200) == pytest.approx(92.865, abs=0.03)


def test_smaller_may_be_better_and_choices_be_scored_themselves():
    found = lab.search(
        None, {"x": range(-9, 10)}, "evolution", score=lambda choice: (choice["x"] - 4) ** 2,
        budget=19, mode="min", population=3, sample=2,
    )  # fmt: skip
    assert found.best == {"x": 4, "score": 0.0}
    assert found.mode == "min"
    assert lab.search(dict, {"x": range(9)}, budget=99, score=lambda made: -made["x"]).score == 0


def test_what_is_not_finite_is_worst():
    scores = {0: math.nan, 1: math.inf, 2: -1.0, 3: -math.inf}
    for mode in ("max", "min"):
        found = lab.search(lambda x: scores[x], {"x": range(4)}, mode=mode)
        assert found.choice == {"x": 2}


def trainer(units=4, rate=0.1, **more):
    net = steep.Sequential(layers.Dense(units, "tanh"), layers.Dropout(0.2), layers.Dense(2))
    return steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=7, **more)


NETWORKS = {"units": (3, 8, 16), "rate": (0.3, 0.03, 0.003)}


def fitted(epochs, **choice):
    made = trainer(**choice)
    made.fit(X, Y, epochs=epochs, batch_size=16, progress=False)
    return made


def test_networks_are_trained_and_scored_by_what_they_were_not_trained_on():
    found = lab.search(
        trainer, NETWORKS, "random", 5, X=X, y=Y, validation=HELD, epochs=3, batch_size=16
    )
    assert len(found.rows) == 5
    for row in found.rows:
        again = fitted(3, units=row["units"], rate=row["rate"])
        assert row["score"] == again.evaluate(*HELD)["accuracy"]
        assert row["epochs"] == 3
    assert found.trainer.evaluate(*HELD)["accuracy"] == found.score
    assert found.trainer.epoch == 3


def test_the_loss_is_made_small_where_no_accuracy_is_measured():
    def build(rate):
        return trainer(rate=rate, metrics=())

    found = lab.search(build, {"rate": NETWORKS["rate"]}, X=X, y=Y, validation=HELD, epochs=2)
    assert found.mode == "min"
    assert found.score == min(row["score"] for row in found.rows)
    weighted = (*HELD, np.linspace(0, 1, 20))
    other = lab.search(build, {"rate": NETWORKS["rate"]}, X=X, y=Y, validation=weighted, epochs=2)
    assert other.score != found.score


def test_halving_trains_the_best_on_as_if_they_had_never_stopped():
    found = lab.search(
        trainer, NETWORKS, "halving", 9, seed=2, X=X, y=Y, validation=HELD, epochs=18, batch_size=16
    )
    assert [row["epochs"] for row in found.rows] == [2] * 9 + [6] * 3 + [18]
    for first, last, least in ((0, 9, 3), (9, 12, 1)):
        rung = found.rows[first:last]
        kept = found.rows[last : last + least]
        assert {(r["units"], r["rate"]) for r in kept} <= {(r["units"], r["rate"]) for r in rung}
        scores = sorted(r["score"] for r in rung)
        of = {(r["units"], r["rate"]): r["score"] for r in rung}
        assert sorted(of[r["units"], r["rate"]] for r in kept) == scores[-least:]
    for row in found.rows:
        once = fitted(row["epochs"], units=row["units"], rate=row["rate"])
        assert row["score"] == once.evaluate(*HELD)["accuracy"]
    assert found.best is found.rows[-1]
    again = fitted(18, **found.choice)
    for name, value in found.trainer.net.state_dict().items():
        assert again.net.state_dict()[name].tobytes() == value.tobytes()


@pytest.mark.parametrize(
    ("budget", "epochs", "eta", "expected"),
    [(27, 27, 3, [1, 3, 9, 27]), (10, 81, 3, [9, 27, 81]), (1, 7, 2, [7]), (9, 1, 3, [1]),
     (100, 10, 2, [1, 2, 5, 10]), (16, 16, 4, [1, 4, 16])],
)  # fmt: skip
def test_rungs(budget, epochs, eta, expected):
    assert strategies.rungs(budget, epochs, eta) == expected


def test_a_training_that_diverges_loses():
    def build(rate):
        net = steep.Sequential(layers.Dense(3))
        return steep.Trainer(net, "mse", optimizers.SGD(rate))

    space = {"rate": (1e30, 0.01)}
    with np.errstate(all="ignore"):
        found = lab.search(
            build, space, X=X, y=X[:, :3], validation=(X, X[:, :3]), epochs=20, budget=2
        )
    assert found.choice == {"rate": 0.01}
    assert [math.isnan(row["score"]) for row in found.rows].count(True) == 1


def test_another_score_sees_the_trained_network():
    def large(made):
        assert made.epoch == 2
        return made.net.num_parameters

    found = lab.search(trainer, NETWORKS, budget=9, X=X, y=Y, epochs=2, score=large)
    assert found.choice["units"] == 16


def test_callbacks_see_validation_samples():
    stop = steep.callbacks.EarlyStopping("val_loss", patience=1)
    found = lab.search(
        trainer, {"rate": (0.3,)}, X=X, y=Y, validation=HELD, epochs=40, callbacks=[stop]
    )
    assert found.trainer.epoch < 40
    assert "val_loss" in found.trainer.history.history


def test_it_prints_the_best_first():
    found = lab.search(table, CELLS, budget=30, seed=4)
    lines = repr(found).splitlines()
    assert lines[0] == f"random search: 30 scored, best {found.score:g}"
    assert lines[1].split() == [*CELLS, "score"]
    assert lines[2].split() == [*(str(c) for c in found.choice.values()), f"{found.score:g}"]
    assert len(lines) == 13
    assert lines[-1] == "and 20 more"


WRONG = {
    "no space": ({"space": {}}, ValueError, "space is empty"),
    "no dict": ({"space": [1, 2]}, TypeError, "space must be a dict of options by name"),
    "no options": ({"space": {"a": ()}}, ValueError, "'a' has no options"),
    "a word": ({"space": {"a": "relu"}}, TypeError, "options of 'a' must be a list"),
    "a number": ({"space": {"a": 3}}, TypeError, "options of 'a' must be a list, got 3"),
    "a column": ({"space": {"score": (1, 2)}}, ValueError, "'score' cannot be an argument"),
    "no name": ({"space": {"a b": (1, 2)}}, ValueError, "'a b' cannot be an argument"),
    "method": ({"method": "evolutoin"}, ValueError, 'did you mean "evolution"'),
    "mode": ({"mode": "most"}, ValueError, "unknown mode"),
    "budget": ({"budget": 0}, ValueError, "search: budget must be at least 1"),
    "epochs": ({"epochs": 0}, ValueError, "search: epochs must be at least 1"),
    "sample": ({"sample": 21}, ValueError, "search: sample must be at most 20"),
    "population": ({"population": 0}, ValueError, "search: population must be at least 1"),
    "eta": ({"eta": 1}, ValueError, "search: eta must be at least 2"),
    "seed": ({"seed": -1}, ValueError, r"seed must be in \[0, 2\^64\)"),
    "build": ({"build": 3}, TypeError, "build must be a function, got int"),
    "nothing": ({"build": None}, TypeError, "give build, or score"),
    "score": ({"score": "loss"}, TypeError, "score must be a function, got str"),
    "an option of fit": ({"batchsize": 3}, ValueError, 'did you mean "batch_size"'),
    "no number": ({"build": lambda a: "best"}, TypeError, "score of .'a': 1. must be a number"),
    "a flag": ({"build": lambda a: True}, TypeError, "must be a number, got True"),
    "no data": ({"build": lambda a: trainer()}, TypeError, "give X, y and validation"),
    "no validation": (
        {"build": lambda a: trainer(), "X": X, "y": Y}, TypeError, r"give validation=\(Xv, yv\)",
    ),
    "validation": ({"validation": X}, TypeError, r"validation must be \(Xv, yv\)"),
    "no epochs": ({"method": "halving"}, TypeError, "wants a Trainer, with X and y, or a function"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_it_refuses(name):
    changes, error, message = WRONG[name]
    named = {"build": lambda a: a, "space": {"a": (1,)}, **changes}
    with pytest.raises(error, match=message):
        lab.search(**named)
