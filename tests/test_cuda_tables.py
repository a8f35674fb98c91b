"""Tables of tokens and of positions, products of two tensors, masks of samples: the CPU's bytes."""

import devices
import numpy as np
import pytest
import steep
from devices import left, same
from emulation import EMULATED, counted, emulating
from steep import layers, losses, ops, optimizers
from steep.network import emit

pytestmark = devices.NEEDED
BOTH = ("cpu", "cuda")


def tokens(samples, length, vocabulary, kind="int64", seed=0):
    """Return ids of which a few are in most samples and many in none."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, vocabulary, (samples, length))
    often = random.integers(0, max(vocabulary // 50, 1), (samples, length))
    return np.where(random.random((samples, length)) < 0.5, drawn, often).astype(kind)


def body(vocabulary, units, **options):
    return steep.Sequential(
        layers.Embedding(vocabulary, units, **options), layers.PositionEmbedding(),
        layers.LayerNorm(), layers.Flatten(), layers.Dense(3),
    )  # fmt: skip


def both(made, X, *, rule="adam", fit=None, **options):
    """Expect the same of a training on both devices; return the network of the second."""
    y = np.random.default_rng(1).integers(0, 3, len(X))
    found = []
    for device in BOTH:
        trainer = steep.Trainer(made(), "cross_entropy", rule, device=device, seed=3, **options)
        history = trainer.fit(
            X, y, progress=False, **{"epochs": 2, "batch_size": 16, **(fit or {})}
        )
        found.append((left(trainer, history), trainer.evaluate(X, y), trainer.net.predict(X),
                      trainer.gradients(X[:21], y[:21])))  # fmt: skip
    same(*found)
    return trainer.net


@pytest.mark.parametrize("vocabulary", [1, 2, 31, 256, 257, 800])
@pytest.mark.parametrize("units", [1, 3, 4, 5, 16, 33, 70])
def test_every_size_of_a_table(vocabulary, units):
    """Stored as W^T and in panels, of fewer rows than buckets and of more."""
    both(lambda: body(vocabulary, units), tokens(37, 7, vocabulary))


@pytest.mark.parametrize("length", [1, 2, 64, 65, 300])
def test_ids_of_one_stretch_and_of_many(length):
    both(lambda: body(40, 9, padding=0), tokens(37, length, 40))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "int64", "float32", "float64"])
def test_ids_of_every_kind(kind):
    X = tokens(40, 12, 200, kind)
    for made in (X, np.asfortranarray(X), np.concatenate([X, X], 1)[:, ::2]):
        both(lambda: body(200, 6), made)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "int64", "float32"])
@pytest.mark.parametrize("step", [0, 1, 3, 12])
def test_windows_on_a_text(kind, step):
    """They share numbers, or lie one behind the other, or are all the same."""
    text = tokens(1, 200, 50, kind)[0]
    X = np.lib.stride_tricks.as_strided(text, (50 if step < 4 else 16, 12),
                                        (step * text.itemsize, text.itemsize))  # fmt: skip
    both(lambda: body(50, 6), X)
    both(lambda: body(50, 6), X, fit={"shuffle": False, "accumulate": 2})


@pytest.mark.skipif(not EMULATED, reason="needs the emulation")
def test_windows_take_the_memory_of_their_text():
    windows = np.lib.stride_tricks.sliding_window_view(np.zeros(600, np.uint8), 500)[:96]
    taken = []
    for X in (windows, windows.copy()):
        net = steep.Sequential(layers.Embedding(3, 4), layers.Dense(3))
        trainer = steep.Trainer(net, "cross_entropy", "sgd", device="cuda")
        before = counted("bytes")
        trainer.fit(X, X.view(), epochs=1, batch_size=48, progress=False)
        taken.append(counted("bytes") - before)
    assert taken[1] - taken[0] > 4.9 * 96 * 500, "a byte of each token, four of each label"


OPTIONS = {
    "in parts": {"fit": {"accumulate": 3}},
    "uphill": {"sam": 0.05},
    "clipped": {"clip_norm": 0.1, "l2": 1e-2, "average": "ema"},
    "sums": {"reduction": "sum", "rule": optimizers.SGD(1e-3)},
    "one sample": {"fit": {"batch_size": 1, "epochs": 1}},
    "all": {"fit": {"batch_size": 37}},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("units", [3, 40])
def test_options(name, units):
    both(lambda: body(90, units, padding=1), tokens(37, 11, 90), **OPTIONS[name])


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adagrad", "adamw", "lamb", "adafactor"])
@pytest.mark.parametrize("units", [2, 40])
def test_rules_that_leave_rows_alone_and_others(rule, units):
    """The CPU passes over blocks that no token names."""
    both(lambda: body(700, units), tokens(20, 4, 700), rule=rule)


@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd", "nadam"])
@pytest.mark.parametrize("units", [3, 70])
def test_lazy_rows(rule, units):
    net = both(lambda: body(300, units, sparse=True), tokens(30, 5, 300), rule=rule)
    begun = body(300, units, sparse=True).build(5, seed=3).state_dict()["embedding.weight"]
    stay = np.setdiff1d(np.arange(300), tokens(30, 5, 300))
    same(net.state_dict()["embedding.weight"][stay], begun[stay])


@pytest.mark.parametrize("kind", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("step", [0, 1, 5, 12])
def test_each_token_tells_the_next(kind, step):
    """Windows on one text, of tokens and, one further, of labels, of which some do not count."""
    text = tokens(1, 200, 20, kind)[0]
    shape, strides = (37 if step < 6 else 15, 12), (step * text.itemsize, text.itemsize)
    X, y = (np.lib.stride_tricks.as_strided(text[i:], shape, strides) for i in (0, 1))
    loss = losses.CrossEntropy(ignore=3)
    found = []
    for device in BOTH:
        net = steep.Sequential(layers.Embedding(20, 6), layers.Dense(20))
        trainer = steep.Trainer(net, loss, "adam", device=device, seed=3)
        history = trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
        found.append((left(trainer, history), trainer.evaluate(X, y), trainer.gradients(X, y)))
    same(*found)


class Tied(layers.Layer):
    """Logits by the table that the tokens came through."""

    def __init__(self, vocabulary, units):
        super().__init__()
        self.table = layers.Embedding(vocabulary, units)

    def call(self, x):
        rows = ops.activation(self.table(x), "tanh")
        return rows @ self.table.weight().T


@pytest.mark.parametrize(("vocabulary", "units"), [(3, 4), (60, 5), (60, 40), (300, 33)])
def test_a_table_that_makes_the_logits_too(vocabulary, units):
    X = tokens(23, 6, vocabulary)
    found = []
    for device in BOTH:
        net = steep.Sequential(Tied(vocabulary, units))
        trainer = steep.Trainer(net, "cross_entropy", "adam", device=device, seed=3)
        history = trainer.fit(X, np.roll(X, 1, 1), epochs=2, batch_size=8, progress=False)
        found.append((left(trainer, history), net.predict(X)))
    same(*found)


@pytest.mark.parametrize("first", BOTH)
def test_checkpoints_cross_devices(first, tmp_path):
    X, y = tokens(40, 9, 80), np.arange(40) % 3
    fit = {"batch_size": 16, "progress": False}
    whole = steep.Trainer(body(80, 20), "cross_entropy", "adam", seed=3)
    wanted = left(whole, whole.fit(X, y, epochs=4, **fit))
    begun = steep.Trainer(body(80, 20), "cross_entropy", "adam", seed=3, device=first)
    begun.fit(X, y, epochs=2, **fit)
    begun.save(tmp_path / "half")
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    gone_on = steep.Trainer.load(tmp_path / "half", device=second)
    gone_on.fit(X, y, epochs=2, **fit)
    same(left(gone_on, gone_on.history)[:2], wanted[:2])


def test_what_is_no_token_is_refused_before_the_first_step():
    X, y = np.array([[0, 1], [2, 70]]), np.zeros(2, int)
    trainer = steep.Trainer(body(65, 4), "cross_entropy", "adam", device="cuda")
    with pytest.raises(ValueError, match="token 70 at row 1, position 1"):
        trainer.fit(X, y, progress=False)
    assert trainer.steps == 0


class Products(layers.Layer):
    """All four ways of a product of two tensors."""

    def call(self, x, y):
        turned_a, turned_b = (ops.reshape(v, (*v.shape[:-2], v.shape[-1], v.shape[-2]))
                              for v in (x, y))  # fmt: skip
        c = ops.batch_matmul(x, y)
        c = c + ops.batch_matmul(turned_a, y, transpose_a=True)
        c = c + ops.batch_matmul(x, turned_b, transpose_b=True)
        c = c + ops.batch_matmul(turned_a, turned_b, transpose_a=True, transpose_b=True)
        return ops.flatten(c)


@pytest.mark.parametrize(
    ("places", "n", "k", "m"),
    [((), 1, 1, 1), ((), 5, 7, 3), ((2,), 16, 33, 40), ((3, 2), 4, 70, 9), ((), 130, 5, 1)],
)
def test_products_of_two_tensors(places, n, k, m):
    random = np.random.default_rng(n)
    X = [random.standard_normal((13, *places, *of)).astype(np.float32) for of in ((n, k), (k, m))]
    y = random.integers(0, 3, 13)
    found = []
    for device in BOTH:
        a, b = (steep.Input(x.shape[1:]) for x in X)
        x = Products()(layers.FeatureScale()(a), layers.FeatureScale()(b))
        net = steep.Model([a, b], layers.Dense(3)(layers.Tanh()(x)))
        trainer = steep.Trainer(net, "cross_entropy", "adam", device=device, seed=3)
        history = trainer.fit(X, y, epochs=2, batch_size=5, accumulate=2, progress=False)
        found.append((left(trainer, history), net.predict(X), trainer.gradients(X, y)))
    same(*found)


class OneMask(layers.Layer):
    """What recurrent layers do to their inputs."""

    def call(self, x):
        return emit("step_dropout", x, rate=0.3) + emit("step_dropout", x, rate=0.6)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (9, 4), (7, 33)])
def test_one_mask_for_all_positions_of_a_sample(shape):
    random = np.random.default_rng(shape[0])
    X, y = random.standard_normal((37, *shape)).astype(np.float32), np.arange(37) % 3
    found = []
    for device in BOTH:
        net = devices.net(layers.FeatureScale(), layers.Tanh(), OneMask(), layers.Flatten())
        trainer = steep.Trainer(net, "cross_entropy", "adam", device=device, seed=3)
        history = trainer.fit(X, y, epochs=2, batch_size=8, accumulate=2, progress=False)
        found.append((left(trainer, history), net.predict(X)))
    same(*found)


@pytest.mark.skipif(not EMULATED, reason="needs the emulation")
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings):
    X, y = tokens(40, 70, 300), np.arange(40) % 3

    def trained():
        trainer = steep.Trainer(body(300, 36), "cross_entropy", "adam", device="cuda", seed=3)
        return left(trainer, trainer.fit(X, y, epochs=1, batch_size=32, progress=False))

    wanted = trained()
    with emulating(**settings):
        same(trained(), wanted, str(settings))


@pytest.mark.skipif(not EMULATED, reason="needs the emulation")
def test_a_second_run_allocates_nothing():
    X, y = tokens(64, 20, 90), np.arange(64) % 3
    trainer = steep.Trainer(body(90, 8), "cross_entropy", "adam", device="cuda")
    trainer.fit(X, y, epochs=2, batch_size=16, progress=False)
    before = counted("allocations")
    trainer.fit(X, y, epochs=3, batch_size=16, progress=False)
    assert counted("allocations") == before
