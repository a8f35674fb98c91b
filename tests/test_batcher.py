"""The batcher: shuffles are bijections drawn afresh; any array is read like its float32 copy."""

import cases
import engine
import numpy as np
import pytest
import steep
from steep import _core, layers, optimizers

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 255, 257, 1000, 4097, 65537)


@pytest.mark.parametrize("n", SIZES)
def test_permutations_are_bijections(n):
    for seed in (0, 1, 2**63, 2**64 - 1):
        for epoch in (0, 1, 2**31):
            order = _core.permutation(seed, epoch, n)
            assert order.dtype == np.int64
            assert np.array_equal(np.sort(order), np.arange(n))


def test_permutations_differ_by_seed_and_epoch():
    orders = {
        _core.permutation(seed, epoch, 50).tobytes() for seed in range(20) for epoch in range(20)
    }
    assert len(orders) == 400


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 8, 9, 10, 16, 17, 31])
def test_every_place_is_equally_likely(n):
    """Chi-square over (place, sample) tables of 6000 epochs; fixed seeds, so it never flakes."""
    epochs = 6000
    counts = np.zeros((n, n))
    for epoch in range(epochs):
        counts[np.arange(n), _core.permutation(7, epoch, n)] += 1
    expected = epochs / n
    # Rows and columns both add up, so the sum of squares has (n-1)^2 freedoms, each n/(n-1) large.
    statistic = np.sum((counts - expected) ** 2 / expected) * (n - 1) / n
    freedom = (n - 1) ** 2
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)  # five standard deviations


def test_every_order_of_four_is_equally_likely():
    orders, counts = np.unique(
        [_core.permutation(seed, epoch, 4) for seed in range(40) for epoch in range(300)],
        axis=0,
        return_counts=True,
    )
    assert len(orders) == 24
    expected = 12000 / 24
    assert np.sum((counts - expected) ** 2 / expected) < 23 + 5 * np.sqrt(46)


def test_neighbours_are_torn_apart():
    """Samples next to each other do not stay so: as many rising pairs as falling ones, no runs."""
    order = _core.permutation(3, 1, 10000)
    steps = np.diff(order)
    rising = np.mean(steps > 0)
    assert abs(rising - 0.5) < 0.02
    assert np.mean(np.abs(steps) == 1) < 0.002
    assert abs(np.corrcoef(order, np.arange(10000))[0, 1]) < 0.04


class Order:
    """A linear net at rate 0, y the number of the sample: a step's loss shows what it read."""

    def __init__(self, n, batch, shuffle, seed=0, epochs=1):
        self.n, self.batch = n, batch
        y = np.arange(n, dtype=np.float64)[:, None]
        net = steep.Sequential(layers.Dense(1, init="zeros")).build(1)
        trainer = steep.Trainer(
            net, "mse", optimizers.SGD(0.0), seed=seed, precision="float64", reduction="sum"
        )
        trainer.fit(
            np.ones((n, 1)), y, epochs=epochs, batch_size=batch, shuffle=shuffle, progress=False
        )
        self.sums = trainer.history.steps["loss"]

    def expected(self, order):
        return [float(np.sum(part.astype(float) ** 2)) for part in np.split(order, self.cuts())]

    def cuts(self):
        return range(self.batch, self.n, self.batch)


@pytest.mark.parametrize(("n", "batch"), [(1, 1), (10, 3), (64, 16), (65, 16), (100, 7), (5, 99)])
def test_batches_follow_the_order_and_the_last_keeps_what_is_left(n, batch):
    plain = Order(n, min(batch, n), shuffle=False)
    assert plain.sums == plain.expected(np.arange(n))
    shuffled = Order(n, min(batch, n), shuffle=True, seed=6, epochs=3)
    want = [
        value for epoch in range(3) for value in shuffled.expected(_core.permutation(6, epoch, n))
    ]
    assert shuffled.sums == want


def test_single_samples_come_in_the_order_of_the_permutation():
    for epoch in range(2):
        shuffled = Order(50, 1, shuffle=True, seed=9, epochs=2)
        read = np.sqrt(shuffled.sums[50 * epoch : 50 * (epoch + 1)])
        assert np.array_equal(read, _core.permutation(9, epoch, 50))


def images(dtype):
    """Return 70 images of 5x4x3 whose float32 values are exact."""
    values = np.random.default_rng(0).integers(0, 256, (70, 5, 4, 3))
    return values.astype(dtype)


def reversed_axis(a):
    return np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1]


def spread(a):
    wide = np.zeros((len(a) * 2, *a.shape[1:-1], a.shape[-1] * 3), a.dtype)
    wide[1::2, ..., 1::3] = a
    return wide[1::2, ..., 1::3]


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def in_records(a):
    records = np.zeros(len(a), [("id", "u1"), ("x", a.dtype, a.shape[1:])])
    records["x"] = a
    return records["x"]


LAYOUTS = {
    "contiguous": lambda a: a,
    "Fortran": np.asfortranarray,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "all axes backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1, ::-1, ::-1])[
        ::-1, ::-1, ::-1, ::-1
    ],
    "one axis backwards": reversed_axis,
    "spread": spread,
    "transposed": lambda a: np.ascontiguousarray(a.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0),
    "read only": lambda a: (b := a.copy(), b.flags.__setattr__("writeable", False))[0],
    "unaligned": unaligned,
    "in records": in_records,
}


def trained(X, y):
    net = steep.Sequential(
        layers.Flatten(), layers.Rescale(1 / 255, -0.5), layers.Dense(9, "tanh"), layers.Dense(3)
    )
    net.build(X.shape[1:], seed=1)
    trainer = steep.Trainer(net, "cross_entropy", "adam", seed=2)
    trainer.fit(X, y, epochs=3, batch_size=16, progress=False)
    loss = trainer.evaluate(X, y)["loss"]
    return {k: v.tobytes() for k, v in net.state_dict().items()}, loss, net.predict(X).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_array_trains_like_its_float32_copy(dtype, layout):
    a = LAYOUTS[layout](images(dtype))
    y = np.random.default_rng(1).integers(0, 3, 70)
    assert np.array_equal(a, images("float32"))
    assert trained(a, y) == trained(images("float32"), y)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float16", "bool", ">f4", ">f8"])
def test_other_dtypes_train_like_their_float32_copy(dtype):
    a = (images("int64") % 2 if dtype == "bool" else images("int64") % 128).astype(dtype)
    y = np.random.default_rng(1).integers(0, 3, 70)
    assert trained(a, y) == trained(a.astype("float32"), y)


def test_a_repeated_row_takes_no_memory():
    """A stride of 0, as broadcast_to makes it."""
    y = np.random.default_rng(1).integers(0, 3, 70)
    a = np.broadcast_to(images("float32")[:1], (70, 5, 4, 3))
    assert a.strides[0] == 0
    assert trained(a, y) == trained(a.copy(), y)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_memory_maps_are_read_in_place(dtype, tmp_path):
    a = images(dtype)
    path = tmp_path / "images"
    a.tofile(path)
    mapped = np.memmap(path, dtype, "r", shape=a.shape)
    y = np.random.default_rng(1).integers(0, 3, 70)
    assert trained(mapped, y) == trained(images("float32"), y)
    assert trained(mapped[::-1], y[::-1]) == trained(images("float32")[::-1].copy(), y[::-1])


@pytest.mark.parametrize("width", cases.EDGES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_reading_is_exact_at_every_width(dtype, width):
    values = np.random.default_rng(2).integers(0, 256, (33, width)).astype(dtype)
    for a in (values, np.asfortranarray(values), values[::-1, ::-1]):
        got = engine.forward(lambda g, x: g.affine(x, 0.5, -3.0), a, batch_size=7)
        assert np.array_equal(got, a.astype(np.float32) * np.float32(0.5) - np.float32(3))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_targets_of_any_layout(dtype):
    random = np.random.default_rng(3)
    X = random.standard_normal((70, 4)).astype(np.float32)
    y = random.integers(0, 256, (70, 3)).astype(dtype)
    left = []
    for target in (y.astype(np.float32), y, np.asfortranarray(y), spread(y), y[::-1].copy()[::-1]):
        net = steep.Sequential(layers.Dense(3)).build(4)
        trainer = steep.Trainer(net, "huber", "adam")
        trainer.fit(X, target, epochs=2, batch_size=16, progress=False)
        left.append({k: v.tobytes() for k, v in net.state_dict().items()})
    assert all(each == left[0] for each in left)


def test_samples_are_not_copied():
    """Training changes nothing in the user's array, and sees what changes in it between epochs."""
    X = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    y = X[:, :2].copy()
    kept = X.copy()

    class Spoil:
        def on_epoch_end(self, epoch):
            if epoch == 1:  # the first of the second fit
                X[:] = 0

    net = steep.Sequential(layers.Dense(2, use_bias=False)).build(4)
    trainer = steep.Trainer(net, "mse", optimizers.SGD(0.1))
    trainer.fit(X, y, epochs=1, batch_size=16, progress=False)
    assert np.array_equal(X, kept)
    trainer.fit(X, y, epochs=2, batch_size=64, shuffle=False, progress=False, callbacks=[Spoil()])
    assert trainer.history.steps["loss"][-1] == pytest.approx(float(np.mean(y**2)), rel=1e-6)
