"""Augmentation: what is drawn, bit by bit and in the long run, and that nothing else decides it."""

import resource

import engine
import numpy as np
import pytest
import reference
import steep
from steep import data, layers, optimizers
from stopping import StopAt, StopError
from test_batcher import LAYOUTS

SHAPES = [(7, 5), (7, 5, 1), (6, 9, 3), (8, 8, 2), (5, 16, 4), (28, 28, 1), (32, 32, 3)]
CHANGES = {
    "flip": data.Augment(flip=True),
    "shift": data.Augment(shift=3),
    "cutout": data.Augment(cutout=4),
    "odd cutout": data.Augment(cutout=3, fill=-1.5),
    "all": data.Augment(flip=True, shift=4, cutout=5, fill=117.0),
}


def images(shape, samples=40, dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(0, 256, (samples, *shape)).astype(dtype)


def drawn(change, shape, seed, epoch, sample):
    """Return flip, down, right, and the middle of the square: one Philox block, as documented."""
    counter = (sample & reference.MASK, sample >> 32, epoch, 0x4155474D)  # "AUGM"
    word = reference.philox(counter, (seed & reference.MASK, seed >> 32))
    places = 2 * change.shift + 1
    down, right = (word[k] * places >> 32 for k in (0, 1))
    middle = [word[2 + axis] * shape[axis] >> 32 for axis in (0, 1)]
    return bool(change.flip and word[0] & 1), down, right, middle


def expected(change, image, seed, epoch, sample):
    """The textbook: pad, cut out anywhere, flip, paint a square."""
    flip, down, right, middle = drawn(change, image.shape, seed, epoch, sample)
    height, width = image.shape[:2]
    pixels = image.astype(np.float64).reshape(height, width, -1)
    around = [(change.shift, change.shift)] * 2
    fill = np.broadcast_to(np.asarray(change.fill), (pixels.shape[2],))
    padded = [
        np.pad(pixels[..., c], around, constant_values=fill[c]) for c in range(pixels.shape[2])
    ]
    out = np.stack(padded, axis=-1)[down : down + height, right : right + width]
    if flip:
        out = out[:, ::-1]
    if change.cutout:
        out = out.copy()
        corner = [m - change.cutout // 2 for m in middle]
        rows, columns = (slice(max(0, k), k + change.cutout) for k in corner)
        out[rows, columns] = fill
    return out.reshape(image.shape)


def seen(change, X, seed=0, epoch=0, *, precision="float32", scale=1.0, shift=0.0):
    """What training reads: from 0, one step of |w x - 1| at rate 1 leaves w = x."""
    pixels = int(np.prod(X.shape[1:]))

    def build(graph, x):
        x = graph.affine(x, scale, shift)
        return graph.matmul(graph.reshape(x, (pixels,)), graph.parameter("w", (pixels, 1), True))

    net = engine.network(build, X.shape[1:], precision=precision)
    session = engine.session(net, "mae", seed=seed)
    settings = change._settings([X.shape[1:]])
    session.set_data([X], np.ones((len(X), 1)), None, 1, False, augment=settings)
    knobs = engine.table(optimizers.SGD(1.0), 1)
    out = np.empty(X.shape, precision)
    for sample in range(len(X)):
        net.set("w", np.zeros((pixels, 1), precision))
        session.set_progress(epoch, sample, 0, [(0.0,) * 5])
        assert session.run(knobs, 0, 1e9) == 1
        out[sample] = net.get("w").reshape(X.shape[1:])
    return out


def truth(change, X, seed=0, epoch=0):
    return np.stack([expected(change, x, seed, epoch, i) for i, x in enumerate(X)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CHANGES)
def test_it_is_the_textbooks_to_the_bit(name, shape):
    X = images(shape)
    for seed, epoch in ((0, 0), (5, 3), (2**64 - 1, 2**31)):
        got = seen(CHANGES[name], X, seed, epoch)
        assert np.array_equal(got, truth(CHANGES[name], X, seed, epoch))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_array(dtype, layout):
    X = LAYOUTS[layout](images((5, 4, 3), 70, dtype))
    change = data.Augment(flip=True, shift=2, cutout=3, fill=(1.0, 2.0, 3.0))
    want = truth(change, images((5, 4, 3), 70))
    for precision in ("float32", "float64"):
        assert np.array_equal(seen(change, X, precision=precision), want)


def test_grey_images_of_any_layout():
    X = images((9, 6), 30)
    want = truth(CHANGES["all"], X)
    for a in (X, np.asfortranarray(X), X[::-1].copy()[::-1], X.transpose(0, 2, 1).copy().transpose(
        0, 2, 1), X[:, ::-1, ::-1].copy()[:, ::-1, ::-1]):  # fmt: skip
        assert np.array_equal(seen(CHANGES["all"], a), want)


def test_memory_maps(tmp_path):
    X = images((8, 8, 3))
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", "uint8", "r", shape=X.shape)
    assert np.array_equal(seen(CHANGES["all"], mapped), truth(CHANGES["all"], X))


def test_what_the_first_layer_does_comes_after():
    """Fill is in the units of the array: a first layer that subtracts it leaves 0, to the bit."""
    X = images((8, 8, 3))
    change = data.Augment(shift=4, cutout=5, fill=128.0)
    got = seen(change, X, scale=1 / 128, shift=-1.0)
    want = truth(change, X)
    assert np.array_equal(got, want / 128 - 1)
    assert (got[want == 128.0] == 0).all()


# -- in the long run -----------------------------------------------------------------------------


def test_the_core_draws_what_the_statistics_below_are_of():
    """Numbered pixels show flip and shift; they are those of `drawn`."""
    X = np.broadcast_to(np.arange(1.0, 82.0).reshape(9, 9), (200, 9, 9))
    change = data.Augment(flip=True, shift=4)
    for got, i in zip(seen(change, X, seed=3), range(200), strict=True):
        flip, down, right, _ = drawn(change, (9, 9), 3, 0, i)
        row, column = np.argwhere(got == 5 + 9 * 4)[0]  # pixel (4, 4), never cut off
        assert row == 4 + 4 - down
        assert column == (8 - (4 + 4 - right) if flip else 4 + 4 - right)


def test_half_are_flipped_and_every_place_is_equally_likely():
    change = data.Augment(flip=True, shift=2, cutout=3)
    n = 20_000
    draws = [drawn(change, (10, 7), 1, e, s) for e in range(20) for s in range(n // 20)]
    flips = np.array([d[0] for d in draws])
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
    place = np.array([5 * d[1] + d[2] for d in draws])
    middle = np.array([7 * d[3][0] + d[3][1] for d in draws])
    for value, kinds in ((place, 25), (middle, 70), (place + 25 * flips, 50)):
        counts = np.bincount(value, minlength=kinds)
        assert len(counts) == kinds
        statistic = np.sum((counts - n / kinds) ** 2 / (n / kinds))
        assert statistic < kinds - 1 + 5 * np.sqrt(2 * (kinds - 1))  # five standard deviations
    together = np.corrcoef(place, middle)[0, 1]
    assert abs(together) < 5 / np.sqrt(n)


def test_seed_epoch_and_sample_all_matter():
    X = np.broadcast_to(images((32, 32, 3), 1), (30, 32, 32, 3))
    change = data.Augment(flip=True, shift=4, cutout=8)
    kinds = {x.tobytes() for s in (0, 1) for e in (0, 1) for x in seen(change, X, s, e)}
    assert len(kinds) == 120


# -- nothing else decides it ---------------------------------------------------------------------


def network():
    return steep.Sequential(
        layers.Rescale(1 / 255), layers.Flatten(), layers.Dense(24, "tanh"), layers.Dropout(0.2),
        layers.Dense(3),
    )  # fmt: skip


def fitted(X, y, change, *, epochs=3, batch=16, **more):
    trainer = steep.Trainer(network(), "cross_entropy", "adam", seed=4)
    trainer.fit(X, y, epochs=epochs, batch_size=batch, augment=change, progress=False, **more)
    return trainer


def left(trainer):
    return {k: v.tobytes() for k, v in trainer.net.state_dict().items()}


@pytest.fixture
def task():
    X = images((8, 6, 3), 101)
    return X, np.random.default_rng(1).integers(0, 3, 101)


def test_it_trains_as_on_changed_arrays(task):
    """The same bytes as epochs of plain fits on what NumPy has changed, in the same order."""
    X, y = task
    plain = steep.Trainer(network(), "cross_entropy", "adam", seed=4)
    for epoch in range(3):
        changed = truth(CHANGES["all"], X, 4, epoch).astype(np.float32)
        plain.fit(changed, y, batch_size=16, progress=False)
    assert left(fitted(X, y, CHANGES["all"])) == left(plain)


def test_threads_do_not_matter(task, threads):
    del threads
    X, y = images((32, 32, 3), 300), np.arange(300) % 3
    got = left(fitted(X, y, CHANGES["all"], batch=128))
    with steep.threads(1):
        assert got == left(fitted(X, y, CHANGES["all"], batch=128))


def test_the_batch_does_not_matter(task):
    """At rate 0 the loss of an epoch is a sum over samples, however they are cut into batches."""
    X, y = task

    def losses(batch):
        net = steep.Sequential(layers.Flatten(), layers.Dense(3)).build(X.shape[1:], seed=2)
        trainer = steep.Trainer(
            net, "cross_entropy", optimizers.SGD(0.0), seed=4, precision="float64"
        )
        trainer.fit(X, y, epochs=2, batch_size=batch, augment=CHANGES["all"], progress=False)
        return trainer.history.history["loss"]

    for batch in (7, 32, 101):
        np.testing.assert_allclose(losses(batch), losses(1), rtol=1e-12)


def test_shuffling_changes_the_order_only(task):
    X, y = task

    def once(shuffle):
        net = steep.Sequential(layers.Flatten(), layers.Dense(3)).build(X.shape[1:], seed=2)
        trainer = steep.Trainer(
            net, "cross_entropy", optimizers.SGD(0.0), seed=4, precision="float64"
        )
        trainer.fit(X, y, batch_size=1, augment=CHANGES["all"], shuffle=shuffle, progress=False)
        return sorted(trainer.history.steps["loss"])

    assert once(True) == once(False)


@pytest.mark.parametrize("step", [1, 6, 7, 10, 20])
def test_stopped_and_resumed(task, step, tmp_path):
    X, y = task
    with pytest.raises(StopError):
        fitted(X, y, CHANGES["all"], callbacks=[StopAt(step, tmp_path / "stop")])
    trainer = steep.Trainer.load(tmp_path / "stop")
    with steep.threads(2):
        trainer.fit(X, y, epochs=3, batch_size=16, augment=CHANGES["all"], progress=False)
    whole = fitted(X, y, CHANGES["all"])
    trainer.save(tmp_path / "a")
    whole.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_only_training_is_changed(task):
    X, y = task
    trainer = fitted(X, y, CHANGES["all"], validation=(X, y))
    plain = steep.Trainer(trainer.net, "cross_entropy", "sgd")
    assert trainer.evaluate(X, y) == plain.evaluate(X, y)
    last = trainer.history.history["val_loss"][-1]
    assert last == trainer.evaluate(X, y)["loss"]
    loss, _ = trainer.gradients(X, y)
    again = steep.Trainer(trainer.net, "cross_entropy", "sgd", seed=4)
    again._run.session().set_progress(0, 0, trainer.steps, [(0.0,) * 5])  # of the dropout mask
    assert again.gradients(X, y)[0] == loss


def test_a_step_after_a_fit_reads_images_as_they_are(task):
    X, y = task
    net = steep.Sequential(layers.Flatten(), layers.Dense(3)).build(X.shape[1:])
    trainer = steep.Trainer(net, "cross_entropy", optimizers.SGD(0.0))
    trainer.fit(X, y, augment=CHANGES["all"], progress=False)
    assert trainer.step(X, y) == pytest.approx(trainer.evaluate(X, y)["loss"], rel=1e-6)
    trainer.fit(X, y, batch_size=101, progress=False)
    assert trainer.history.steps["loss"][-1] == trainer.history.steps["loss"][-2]


def test_nothing_to_change_changes_nothing(task):
    X, y = task
    assert left(fitted(X, y, data.Augment())) == left(fitted(X, y, None))
    assert left(fitted(X, y, CHANGES["flip"])) != left(fitted(X, y, None))


def test_the_array_is_neither_changed_nor_copied():
    """2.4 GB of images that take 12 KB: a copy of any kind would show."""
    image = images((64, 64, 3), 1)
    kept = image.copy()
    X = np.broadcast_to(image, (200_000, 64, 64, 3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    net = steep.Sequential(layers.Rescale(1 / 255), layers.Flatten(), layers.Dense(2))
    trainer = steep.Trainer(net, "cross_entropy", optimizers.SGD(1e-3))

    class Three:
        def on_step_end(self, step):
            if step == 3:
                raise StopError

    with pytest.raises(StopError):
        trainer.fit(
            X, np.zeros(len(X), int), batch_size=32, augment=CHANGES["all"], progress=False,
            callbacks=[Three()],
        )  # fmt: skip
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KB
    assert np.array_equal(image, kept)


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"flip": 1}, TypeError, "flip must be True or False"),
        ({"shift": 1.5}, TypeError, "shift must be an int, got 1.5"),
        ({"shift": True}, TypeError, "shift must be an int"),
        ({"shift": -1}, ValueError, "shift must be at least 0, got -1"),
        ({"cutout": "8"}, TypeError, "cutout must be an int"),
        ({"cutout": -8}, ValueError, "cutout must be at least 0"),
        ({"fill": np.nan}, ValueError, "fill must be in"),
        ({"fill": (0.0, np.inf)}, ValueError, "fill must be in"),
        ({"fill": "mean"}, TypeError, "fill must be a number"),
        ({"fill": np.zeros((2, 2))}, TypeError, "fill must be a number"),
    ],
)
def test_wrong_settings(arguments, error, message):
    with pytest.raises(error, match=message):
        data.Augment(**arguments)


@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        ((12,), data.Augment(flip=True), r"needs images.*got \(12,\)"),
        ((2, 3, 4, 5), data.Augment(flip=True), r"needs images.*got \(2, 3, 4, 5\)"),
        ((8, 4, 3), data.Augment(shift=4), "shift must be less than height and width, 4 for"),
        ((8, 4, 3), data.Augment(cutout=5), "cutout must be at most height and width, 5 for"),
        ((8, 4, 3), data.Augment(fill=(1.0, 2.0)), "fill has 2 values.*3 channel"),
        ((8, 4), data.Augment(fill=(1.0, 2.0)), "fill has 2 values.*1 channel"),
    ],
)
def test_images_that_do_not_fit_are_refused_before_the_first_step(shape, change, message):
    X, y = images(shape, 20), np.zeros(20, int)
    trainer = steep.Trainer(
        steep.Sequential(layers.Flatten(), layers.Dense(2)), "cross_entropy", "sgd"
    )
    begun = []

    class Note:
        def on_train_begin(self):
            begun.append(1)

    with pytest.raises(ValueError, match=message):
        trainer.fit(X, y, augment=change, callbacks=[Note()], progress=False)
    assert (begun, trainer.steps) == ([], 0)
    assert trainer.finished


def test_other_refusals():
    X, y = images((4, 4), 20), np.zeros(20, int)
    trainer = steep.Trainer(
        steep.Sequential(layers.Flatten(), layers.Dense(2)), "cross_entropy", "sgd"
    )
    with pytest.raises(TypeError, match=r"augment must be a steep\.data\.Augment, got dict"):
        trainer.fit(X, y, augment={"flip": True}, progress=False)
    a, b = steep.Input((4, 4)), steep.Input((4, 4))
    joined = layers.Flatten()(a) + layers.Flatten()(b)
    two = steep.Trainer(steep.Model([a, b], layers.Dense(2)(joined)), "cross_entropy", "sgd")
    with pytest.raises(ValueError, match="takes a network with one input, this has 2"):
        two.fit([X, X], y, augment=data.Augment(flip=True), progress=False)


def test_the_core_refuses_what_it_could_not_read():
    net = engine.dense(6, 2)
    session = engine.session(net)
    X, y = np.zeros((5, 6), "f4"), np.zeros((5, 2))
    with pytest.raises(ValueError, match=r"samples of shape \(H, W\) or \(H, W, C\), got 1 axes"):
        session.set_data([X], y, None, 2, False, False, (True, 0, 0, [0.0]))
    build = lambda graph, x: graph.reshape(x, (16,))  # noqa: E731
    session = engine.session(engine.network(build, (4, 4)))
    X, y = np.zeros((5, 4, 4), "f4"), np.zeros((5, 16))
    for bad in ((True, 4, 0, [0.0]), (True, -1, 0, [0.0]), (True, 0, -1, [0.0]), (True, 0, 0, [])):
        with pytest.raises(ValueError, match="expects fill of 1 numbers"):
            session.set_data([X], y, None, 2, False, False, bad)


def test_settings_are_a_value():
    assert data.Augment(shift=np.int64(2)) == data.Augment(shift=2)
    assert data.Augment(fill=[1, 2]).fill == (1.0, 2.0)
    assert repr(data.Augment(flip=True)) == "Augment(flip=True, shift=0, cutout=0, fill=0.0)"
