"""Steps in parts, uphill, of single rows, on changed images and graphs, on the GPU: same bytes."""

import devices
import numpy as np
import pytest
import steep
import trainings
from devices import data, left, net, same, told
from steep import layers, losses, models, optimizers

pytestmark = devices.NEEDED
BOTH = ("cpu", "cuda")


def both(made, X, y, *, loss="cross_entropy", rule="adam", fit=None, **options):
    """Expect the same of a training on both devices."""
    found = []
    for device in BOTH:
        trainer = steep.Trainer(made(), loss, rule, device=device, seed=3, **options)
        history = trainer.fit(
            X, y, progress=False, **{"epochs": 3, "batch_size": 16, **(fit or {})}
        )
        found.append((left(trainer, history), trainer.evaluate(X, y), trainer.net.predict(X)))
    same(*found)
    return found[1]


def normed():
    """Statistics that follow, masks by the row, W stored as W^T, a vector of the power method."""
    return net(
        layers.Dense(33, "relu"), layers.BatchNorm(), layers.Dropout(0.2),
        layers.SpectralNorm(layers.Dense(12)), layers.Dense(3, "tanh"),
    )  # fmt: skip


MANY = {
    "plain": {},
    "clipped": {"clip_norm": 0.3, "l2": 1e-3, "average": "ema"},
    "ahead": {"rule": optimizers.SGD(0.05, 0.9, nesterov=True)},
    "two passes": {"rule": "lamb"},
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("accumulate", [2, 3, 5, 40])
def test_updates_from_several_batches(name, accumulate):
    """The last one from fewer; parts draw by their rows and statistics follow each."""
    X, y = data(170)
    both(normed, X, y, fit={"accumulate": accumulate}, **MANY[name])


def test_parts_of_every_size_change_from_one_fit_to_the_next():
    X, y = data(100)
    found = []
    for device in BOTH:
        trainer = steep.Trainer(normed(), "cross_entropy", "adam", device=device, seed=3)
        for size, times in ((10, 3), (30, 1), (10, 5), (10, 3), (30, 2)):
            fit = {"batch_size": size, "accumulate": times, "shuffle": False}
            history = trainer.fit(X, y, epochs=2, progress=False, **fit)
        found.append(left(trainer, history))
    same(*found)


def test_parts_of_weighted_samples_positions_and_sums():
    X, _ = data(90)
    random = np.random.default_rng(1)
    made = lambda: steep.Sequential(layers.Dense(28), layers.Reshape((7, 4)))  # noqa: E731
    y = random.integers(0, 4, (90, 7))
    weights = random.random((90, 7))
    for reduction in ("mean", "weighted_mean", "sum"):
        fit = {"accumulate": 3, "sample_weight": weights}
        both(made, X, y, rule=optimizers.SGD(1e-3), fit=fit, reduction=reduction)


@pytest.mark.parametrize("bad", [0, 37, 66])
def test_a_part_that_is_not_finite_leaves_no_trace_of_the_others(bad):
    """Nor of what followed the parts before it."""
    X, y = data(96)
    X[bad] = 1e30
    found = []
    for device in BOTH:
        made = net(layers.BatchNorm(), layers.Dense(8, "square"), layers.Dense(4, "square"))
        trainer = steep.Trainer(made, "cross_entropy", optimizers.SGD(1e-3), device=device)
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=2, batch_size=12, accumulate=4, shuffle=False, progress=False)
        found.append((told(error.value), trainer.steps, left(trainer, trainer.history)[:2]))
    same(*found)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("adaptive", [False, True])
def test_sharpness(name, adaptive):
    X, y = data()
    both(normed, X, y, sam=0.05, sam_adaptive=adaptive, **MANY[name])


def test_sharpness_by_schedule_and_in_parts():
    X, y = data()
    sam = lambda step: 0.1 if step % 3 else 0.0  # noqa: E731
    both(normed, X, y, sam=sam)
    both(normed, X, y, sam=sam, fit={"accumulate": 3})


@pytest.mark.parametrize("sam", [1e30, 1e38])
def test_a_point_uphill_that_is_not_finite(sam):
    X, y = data()
    found = []
    for device in BOTH:
        trainer = steep.Trainer(
            normed(), "cross_entropy", "sgd", device=device, seed=3,
            sam=lambda step: sam if step == 7 else 0.1,
        )  # fmt: skip
        with pytest.raises(steep.NonFiniteError) as error:
            trainer.fit(X, y, epochs=3, batch_size=16, progress=False)
        said = told(error.value)[:3]  # that point is gone where the CPU looks for a weight
        found.append((said, trainer.steps, left(trainer, trainer.history)[:2]))
    same(*found)


SPARSE = {
    "adam": optimizers.Adam(0.01, sparse=True),
    "decayed": optimizers.AdamW(0.02, sparse=True, weight_decay=0.1),
    "nadam": optimizers.NAdam(0.01, sparse=True),
}


@pytest.mark.parametrize("rule", SPARSE)
@pytest.mark.parametrize(
    "options", [{}, {"clip_norm": 0.3, "l2": 1e-2, "average": "ema"}, {"fit": {"accumulate": 2}}]
)
def test_rows_without_a_gradient_stay(rule, options):
    """Of several panels, of few outputs, and of more rows than a block."""
    random = np.random.default_rng(0)
    X = random.random((70, 150)) * (random.random((70, 150)) < 0.02)
    X, y = X.astype(np.float32), random.integers(0, 5, 70)
    for width in (70, 3):

        def made(width=width):
            return net(layers.Dense(width, "relu", constraint="max_norm"))

        both(made, X, y, rule=SPARSE[rule], **options)


CHANGES = {
    "flip": {"flip": True},
    "shift": {"shift": 3},
    "cutout": {"cutout": 4},
    "all": {"flip": True, "shift": 2, "cutout": 3},
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    ("shape", "kind"), [((9, 8, 3), "uint8"), ((7, 7), "float64"), ((5, 9, 2), "float32")]
)
def test_changed_images(name, shape, kind):
    random = np.random.default_rng(0)
    X, y = trainings.numbers(kind, (50, *shape), random), random.integers(0, 5, 50)
    fill = [3.3, 1.0, -2.0][: shape[2]] if len(shape) == 3 else 0.7

    def made():
        return net(layers.Rescale(1 / 255, -0.1), layers.Flatten(), layers.Dense(20, "relu"))

    augment = steep.data.Augment(fill=fill, **CHANGES[name])
    both(made, X, y, fit={"augment": augment})
    both(made, X, y, fit={"augment": augment, "accumulate": 2, "shuffle": False})


def test_changes_are_those_of_their_fit():
    """One after the other over the same memory."""
    X, y = np.random.default_rng(0).random((40, 6, 6)), np.zeros(40, int)
    found = []
    for device in BOTH:
        trainer = steep.Trainer(net(layers.Flatten()), "cross_entropy", "sgd", device=device)
        for more in ({"flip": True}, {"shift": 2}, {"shift": 1}, {}):
            augment = steep.data.Augment(**more) if more else None
            history = trainer.fit(X, y, epochs=2, augment=augment, progress=False)
        found.append(left(trainer, history))
    same(*found)


def graph(nodes=90, seed=0):
    random = np.random.default_rng(seed)
    return steep.data.Graph(random.integers(0, nodes, (3 * nodes, 2)), nodes)


@pytest.mark.parametrize("channels", [1, 3, 4, 33, 70])
@pytest.mark.parametrize("batch", [1, 16])
def test_products_by_sparse_matrices(channels, batch):
    """Of every width of channels, of one sample and of many."""
    random = np.random.default_rng(channels)
    X, y = random.standard_normal((20, 90, 4)), random.integers(0, 5, 20)

    def made():
        return net(
            layers.GraphConv(channels, graph(), activation="relu"), layers.BatchNorm(),
            layers.GraphConv(2, graph()), layers.Flatten(),
        )  # fmt: skip

    both(made, X, y, fit={"batch_size": batch})
    both(made, X, y, sam=0.05, fit={"batch_size": 4, "accumulate": 2})


def test_a_network_of_a_graph_of_constant_features():
    """W narrow and in panels; the factors of the nodes, dropped, have gradients of their own."""
    random = np.random.default_rng(3)
    features = steep.data.Sparse(random.random((90, 50)) * (random.random((90, 50)) < 0.1))
    labels = np.where(random.random((1, 90)) < 0.5, random.integers(0, 3, (1, 90)), -1)
    loss = losses.CrossEntropy(ignore=-1)
    for hidden in (3, 40, 70):

        def made(hidden=hidden):
            return models.gcn(graph(), 3, hidden, features=features)

        both(made, np.ones((1, 90, 1)), labels, loss=loss, fit={"batch_size": 1, "epochs": 8})


MUON = {
    "usual": optimizers.Muon(0.02),
    "one step": optimizers.Muon(0.02, steps=1, nesterov=False, adjust="match_rms_adamw"),
    "seven steps": optimizers.Muon(0.02, steps=7, weight_decay=0.1, like="torch"),
    "all matrices": optimizers.Muon(0.02, matrices="*weight", like="optax"),
}


@pytest.mark.parametrize("rule", MUON)
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1, "l2": 1e-3, "average": "ema"}])
def test_directions_made_orthogonal(rule, options):
    """Of matrices that are wide, tall, square, narrow, and of one row."""
    X, y = data()
    made = lambda: net(*(layers.Dense(n, "tanh") for n in (100, 33, 33, 3, 1, 50)))  # noqa: E731
    both(made, X, y, rule=MUON[rule], **options)


def test_directions_in_parts_and_uphill():
    X, y = data()
    made = lambda: net(layers.Dense(64, "relu"), layers.Dense(40))  # noqa: E731
    both(made, X, y, rule="muon", fit={"accumulate": 3})
    both(made, X, y, rule="muon", sam=0.05)
