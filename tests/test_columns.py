"""Columns of tables go by the names a network was trained on: the same bytes, or a refusal.

How numbers come out of tables is in test_odd_inputs.py, what estimators do in test_sklearn.py.
"""

import copy
import pickle

import numpy as np
import pytest
import steep
from steep import lab, layers
from steep.files import checkpoint

ROWS, WIDTH, SEEDS = 40, 4, range(6)
KINDS = ("pandas", "polars", "pyarrow")
# Letters, one that is composed, blanks, numbers as text, what looks like a gap, none at all.
TITLES = (
    "a", "A", "a ", "é", "e\u0301", "2019", "1.0", "nan", "", "price ($)", "a\nb", "日", "x" * 300,
)  # fmt: skip


def frame(kind, values, titles):
    library = pytest.importorskip(kind)
    columns = {title: values[:, k] for k, title in enumerate(titles)}
    return library.table(columns) if kind == "pyarrow" else library.DataFrame(columns)


class Case:
    """Numbers, labels and titles; the same table, and others, in the hands of a library."""

    def __init__(self, seed, kind="pandas"):
        rng = np.random.default_rng(seed)
        self.kind, self.rng = kind, rng
        self.titles = [TITLES[k] for k in rng.choice(len(TITLES), WIDTH, replace=False)]
        self.X = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
        self.y = rng.integers(0, 3, ROWS)
        self.table = frame(kind, self.X, self.titles)

    def moved(self):
        """Return the table with its columns in another order."""
        order = self.rng.permutation(WIDTH)
        if np.array_equal(order, np.arange(WIDTH)):
            order = order[::-1]
        return frame(self.kind, self.X[:, order], [self.titles[k] for k in order])


def network():
    body = steep.Sequential(layers.Dense(6, "tanh"), name="body")
    return steep.Sequential(body, layers.Dense(3))


def fitted(X, y, **options):
    trainer = steep.Trainer(network(), "cross_entropy", "adam", seed=1, **options)
    trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
    return trainer


def direction(trainer):
    return {name: np.ones_like(v) for name, v in trainer.net.state_dict().items()}


def saved(trainer, folder):
    trainer.save(folder / "trainer")
    return steep.Trainer.load(folder / "trainer")


def weights_of(trainer, folder, name="weights"):
    trainer.net.save_weights(folder / "weights")
    trainer.save(folder / "trainer")
    net = network().build(WIDTH, seed=9)
    net.load_weights(folder / name)
    return net


def pickled(value):
    return pickle.loads(pickle.dumps(value))


# Wherever a table is taken: of a trainer, a table, labels and a folder something that has bytes.
DOORS = {
    "predict": lambda t, X, y, _: t.net.predict(X),
    "a part": lambda t, X, y, _: t.net.layers[0].predict(X),
    "evaluate": lambda t, X, y, _: list(t.evaluate(X, y).values()),
    "step": lambda t, X, y, _: t.step(X, y),
    "fit": lambda t, X, y, _: t.fit(X, y, progress=False).history["loss"],
    "validation": lambda t, X, y, _: validated(t, X, y),
    "gradients": lambda t, X, y, _: t.gradients(X, y)[0],
    "hvp": lambda t, X, y, _: t.hvp(X, y, direction(t))["dense.bias"],
    "gnvp": lambda t, X, y, _: t.gnvp(X, y, direction(t))["dense.bias"],
    "jvp": lambda t, X, y, _: t.jvp(X, direction(t)),
    "vjp": lambda t, X, y, _: t.vjp(X, np.ones((ROWS, 3)))["dense.bias"],
    "lsuv": lambda t, X, y, _: lab.lsuv(t.net, X)[0].variance,
    "unit_outputs": lambda t, X, y, _: lab.unit_outputs(t.net, X) and t.net.predict(np.eye(WIDTH)),
    "find_lr": lambda t, X, y, _: lab.find_lr(t, X, y, batch_size=20).loss,
    "landscape": lambda t, X, y, _: lab.landscape(t, X, y, points=3).loss,
    "curvature": lambda t, X, y, _: lab.curvature(t, X, y, steps=5).largest,
    "saved": lambda t, X, y, folder: saved(t, folder).net.predict(X),
    "saved weights": lambda t, X, y, folder: weights_of(t, folder).predict(X),
    "weights of a trainer": lambda t, X, y, folder: weights_of(t, folder, "trainer").predict(X),
    "pickled": lambda t, X, y, _: pickled(t.net).predict(X),
    "pickled trainer": lambda t, X, y, _: pickled(t).net.predict(X),
    "copied": lambda t, X, y, _: copy.copy(t.net).predict(X),
    "copied part": lambda t, X, y, _: copy.deepcopy(t.net.layers[0]).predict(X),
    "pickled part": lambda t, X, y, _: pickled(t.net.layers[0]).predict(X),
    "inside another": lambda t, X, y, _: around(t.net).predict(X),
    "averaged": lambda t, X, y, _: t.averaged().predict(X),
}


def validated(trainer, X, y):
    """Train on the columns as they were, validate on these."""
    trainer.fit(np.zeros((ROWS, WIDTH)), y, validation=(X, y), progress=False)
    return trainer.history.history["val_loss"]


def around(net):
    return steep.Sequential(net, layers.Dense(2)).build(WIDTH, seed=4)


def state(net):
    return b"".join(v.tobytes() for v in net.state_dict().values()), net.feature_names


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_gives_the_same_bytes_or_is_refused(door, seed, tmp_path):
    of = Case(seed, KINDS[seed % 3])
    given = {"average": "ema"} if door == "averaged" else {}
    by_name, by_place = (fitted(X, of.y, **given) for X in (of.table, of.X))
    assert state(by_name.net) == (state(by_place.net)[0], tuple(of.titles))
    before = state(by_name.net)
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        DOORS[door](by_name, of.moved(), of.y, tmp_path)
    assert state(by_name.net) == before
    first = np.array(DOORS[door](by_name, of.table, of.y, tmp_path))
    assert first.tobytes() == np.array(DOORS[door](by_place, of.X, of.y, tmp_path)).tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_others_are_named_in_the_words_of_scikit_learn(seed):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    of = Case(seed)
    trainer, theirs = fitted(of.table, of.y), preprocessing.StandardScaler().fit(of.table)
    new = frame("pandas", of.X, [*of.titles[1:], "new"])
    for other in (of.moved(), new, of.table[of.titles[1:]], of.table.assign(more=1.0, still=2.0)):
        with pytest.raises(ValueError) as their_words:
            theirs.transform(other)
        with pytest.raises(ValueError) as words:
            trainer.net.predict(other)
        assert str(words.value).startswith(f"X: {their_words.value}")
        assert "net.feature_names" in str(words.value)


def test_many_are_listed_with_an_end():
    X = np.ones((ROWS, 30))
    trainer = steep.Trainer(network(), "cross_entropy", "adam")
    trainer.fit(
        frame("pandas", X, [f"c{k}" for k in range(30)]), np.arange(ROWS) % 3, progress=False
    )
    with pytest.raises(ValueError, match=r"unseen at fit time:\n(- d\d+\n){5}- \.\.\.\n"):
        trainer.net.predict(frame("pandas", X, [f"d{k}" for k in range(30)]))


def test_validation_goes_by_the_columns_that_are_trained_on():
    of = Case(0)
    trainer = steep.Trainer(network(), "cross_entropy", "adam")
    with pytest.raises(ValueError, match=r"validation: X: The feature names should match"):
        trainer.fit(of.table, of.y, validation=(of.moved(), of.y), progress=False)
    assert trainer.net.feature_names is None  # refused, so nothing is known
    trainer.fit(of.moved(), of.y, validation=(of.X, of.y), progress=False)
    assert {*trainer.net.feature_names} == {*of.titles}


@pytest.mark.parametrize("curve", [lab.learning_curve, lab.capacity_curve])
def test_curves_of_the_lab(curve):
    of = Case(2)

    def trainer(*_):
        return steep.Trainer(network(), "cross_entropy", "adam")

    with pytest.raises(ValueError, match="validation: X: The feature names"):
        curve(trainer, of.table, of.y, [8], validation=(of.moved(), of.y), repeats=2)
    same = [
        curve(trainer, X, of.y, [8], validation=(X, of.y), repeats=2).train
        for X in (of.table, of.X)
    ]
    assert np.array_equal(*same)


def test_arrays_have_no_names():
    of = Case(1)
    trainer = fitted(of.X, of.y)
    assert trainer.net.feature_names is None
    for table in (of.table, of.moved()):  # which nobody can hold against anything
        trainer.net.predict(table)
    assert trainer.net.feature_names is None
    trainer.fit(of.table, of.y, progress=False)
    trainer.fit(of.X, of.y, progress=False)
    assert trainer.net.feature_names == tuple(of.titles)
    assert trainer.net.build(WIDTH).feature_names is None  # new weights


def test_numbered_columns():
    """Those that pandas counts from 0 are places; others are names, as whole numbers or text."""
    pandas = pytest.importorskip("pandas")
    of = Case(3)
    plain = pandas.DataFrame(of.X)
    trainer = fitted(of.table, of.y)
    assert trainer.net.predict(plain).tobytes() == trainer.net.predict(of.X).tobytes()
    trainer = fitted(plain, of.y)
    trainer.net.predict(of.table)
    with pytest.raises(ValueError, match="same order"):
        trainer.net.predict(plain[[1, 0, 2, 3]])
    trainer = fitted(plain[[1, 0, 2, 3]], of.y)
    with pytest.raises(ValueError, match="same order"):
        trainer.net.predict(plain)
    years = plain.set_axis([2019, 2020, 2021, 2022], axis=1)
    trainer = fitted(years, of.y)
    trainer.net.predict(years.rename(columns=str))  # as they come back from a file
    with pytest.raises(ValueError, match="- 2023\nFeature names seen at fit time, yet now missing"):
        trainer.net.predict(years.rename(columns={2019: 2023}))


def test_several_inputs(tmp_path):
    a, b = Case(4), Case(5)
    inputs = [steep.Input(WIDTH), steep.Input(WIDTH)]
    net = steep.Model(inputs, layers.Dense(3)(steep.ops.concat(inputs)))
    trainer = steep.Trainer(net, "cross_entropy", "adam")
    trainer.fit([a.table, b.X], a.y, progress=False)
    assert net.feature_names == [tuple(a.titles), None]
    trainer.fit([a.X, b.table], a.y, progress=False)
    assert net.feature_names == [tuple(a.titles), tuple(b.titles)]
    again = saved(trainer, tmp_path).net
    for one in (net, again, pickled(net)):
        with pytest.raises(ValueError, match=r"X\[1\]: The feature names should match"):
            one.predict([a.table, b.moved()])


def test_files_without_names_are_as_they_were(tmp_path):
    of = Case(6)
    trainer = fitted(of.X, of.y)
    weights_of(trainer, tmp_path)
    assert all("columns" not in checkpoint.read(tmp_path / n)[1] for n in ("weights", "trainer"))
    named = fitted(of.table, of.y).net
    named.load_weights(tmp_path / "weights", strict=False)  # some weights of another one
    assert named.feature_names == tuple(of.titles)
    named.load_weights(tmp_path / "weights")
    assert named.feature_names is None


@pytest.mark.parametrize(
    "columns",
    [5, [], [["a"]], [["a", "b", "c", 4]], [[["a"], "b", "c", "d"]], ["abcd"], [None] * 2],
)
def test_names_in_files_are_checked(columns, tmp_path):
    of = Case(7)
    trainer = fitted(of.table, of.y)
    weights_of(trainer, tmp_path)
    before = state(trainer.net)
    for name, load in (
        ("weights", trainer.net.load_weights),
        ("trainer", lambda path: steep.Trainer.load(path, net=trainer.net)),
    ):
        tensors, about = checkpoint.read(tmp_path / name)
        checkpoint.write(tmp_path / name, tensors, about | {"columns": columns})
        with pytest.raises(ValueError, match=f"{name}: columns: "):
            load(tmp_path / name)
    assert state(trainer.net) == before


def test_machines_and_pairs():
    """An RBM, a DBN, a VAE and a GAN take tables by themselves."""
    of = Case(0)
    binary = frame("pandas", (of.X > 0).astype(float), of.titles)
    moved = binary[[*of.titles[1:], of.titles[0]]]
    machine = steep.RBM(3, seed=1)
    machine.fit(binary, progress=False)
    deep = steep.DBN([WIDTH, 3, 2], seed=1).fit(binary, progress=False)
    encoder = steep.Sequential(layers.Dense(4))
    vae = steep.VAE(encoder, steep.Sequential(layers.Dense(WIDTH)), 2, seed=1)
    vae.fit(binary, progress=False)
    pair = steep.GAN(
        steep.Sequential(layers.Dense(WIDTH)), steep.Sequential(layers.Dense(1)), 2, seed=1
    )
    pair.fit(binary, progress=False)
    refused = [
        machine.fit, machine.transform, machine.reconstruct, machine.free_energy,
        machine.pseudo_likelihood, deep.fit, deep.transform, deep.network().predict, vae.fit,
        vae.evaluate, vae.encode, vae.reconstruct, pair.fit,
    ]  # fmt: skip
    for call in refused:
        with pytest.raises(ValueError, match="The feature names should match"):
            call(moved)
    values = binary.to_numpy()
    for call in (machine.transform, machine.free_energy, deep.transform, vae.encode):
        assert call(binary).tobytes() == call(values).tobytes()


def test_networks_of_estimators():
    sklearn = pytest.importorskip("steep.sklearn")
    of = Case(1)
    for kind in (sklearn.MLPClassifier, sklearn.NetClassifier):
        fit = kind(max_iter=9, random_state=0, tol=1.0, n_iter_no_change=1)
        net = fit.fit(of.table, of.y).net_
        assert net.feature_names == tuple(of.titles)
        with pytest.raises(ValueError, match="same order"):
            net.predict(of.moved())
        fit.fit(of.X, of.y)
        assert fit.net_.feature_names is None
    trained = fitted(of.table, of.y).net
    with pytest.raises(ValueError, match="same order"):
        sklearn.NetClassifier(trained, max_iter=1).fit(of.moved(), of.y)
