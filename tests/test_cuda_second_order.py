"""Newton-CG and Levenberg-Marquardt on the GPU, or its emulation: the CPU's bytes, or a refusal.

What the methods compute: test_full_batch. What all methods share: test_cuda_full_batch.
"""

import _thread
import threading

import devices
import numpy as np
import pytest
import steep
from devices import data, net, same, told
from emulation import EMULATED, counted, emulating
from full_batches import BOTH, ON, Trainings
from steep import _core, layers, losses, ops, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
METHODS = {
    "newton": optimizers.NewtonCG(**ON),
    "newton, shorter": optimizers.NewtonCG(0.7, c2=0.5, **ON),
    "newton uphill": optimizers.NewtonCG(maximize=True, **ON),
    "squares": optimizers.LevenbergMarquardt(**ON),
    "squares, damped": optimizers.LevenbergMarquardt(0.8, damping=0.3, **ON),
}


def small():
    return net(layers.Dense(7, "tanh"))


def weightless():
    return steep.Sequential(layers.Activation("tanh"))


HERE = Trainings(small, METHODS, "newton", epochs=3)
trainer, fitted, both = HERE.trainer, HERE.fitted, HERE.both


def values(samples=60, columns=5, seed=1):
    return np.random.default_rng(seed).standard_normal((samples, columns)).astype(np.float32)


def moved(trained):
    """Expect steps that were worth something."""
    found = trained[4]
    assert np.isfinite(found).all() and found[-1] != found[0], found
    return trained


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_every_method(method, l2):
    X, _ = data(60, 6)
    moved(both(X, values(), method=method, loss="mse", l2=l2, decay_bias=l2 > 0))


LOSSES = {
    "cross entropy": ("labels", losses.CrossEntropy()),
    "cross entropy, smoothed": ("labels", losses.CrossEntropy(label_smoothing=0.1)),
    "cross entropy of targets": ("shares", losses.CrossEntropy()),
    "binary": ("sides", losses.BinaryCrossEntropy()),
    "mse": ("values", losses.MeanSquaredError()),
    "mae": ("values", losses.MeanAbsoluteError()),
    "huber": ("values", losses.Huber(0.7)),
    "log cosh": ("values", losses.LogCosh()),
    "hinge": ("signs", losses.Hinge()),
    "squared hinge": ("signs", losses.SquaredHinge()),
    "kl": ("shares", losses.KLDivergence()),
    "poisson": ("counts", losses.Poisson()),
    "cosine": ("values", losses.CosineSimilarity()),
    "focal": ("sides", losses.Focal()),
    "dice": ("sides", losses.Dice()),
}


def targets(kind, samples, columns, seed=1):
    random = np.random.default_rng(seed)
    if kind == "labels":
        return random.integers(0, columns, samples)
    x = random.standard_normal((samples, columns)).astype(np.float32)
    if kind == "shares":
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return {"values": x, "sides": (x > 0).astype(np.float32), "counts": np.floor(np.abs(x) * 3),
            "signs": np.sign(x)}[kind]  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("columns", [2, 5, 17, 40])
def test_every_loss(name, columns):
    """Of few classes and many, which are summed by a row's thread and by half a warp."""
    kind, loss = LOSSES[name]
    X, _ = data(40, 6)
    made = lambda: steep.Sequential(layers.Dense(5, "tanh"), layers.Dense(columns))  # noqa: E731
    moved(both(X, targets(kind, 40, columns), 2, made=made, loss=loss))


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "log cosh", "binary"])
def test_every_loss_of_one_column(name):
    kind, loss = LOSSES[name]
    X, _ = data(40, 6)
    made = lambda: steep.Sequential(layers.Dense(5, "tanh"), layers.Dense(1))  # noqa: E731
    moved(both(X, targets(kind, 40, 1), 2, made=made, loss=loss))


@pytest.mark.parametrize("kind", _core.activations())
def test_every_activation(kind):
    """By itself, where its input or its result is kept, and after a product."""
    X, y = data(50, 6)
    square = (layers.Activation("square"), layers.Rescale(0.05, 0.1), layers.Activation(kind))
    free = (kind,) if kind not in ("log", "sqrt") else ()
    made = lambda: net(*(layers.Dense(7, k) for k in free), layers.Dense(4), *square)  # noqa: E731
    both(X, y, 2, made=made)


def frozen():
    made = net(layers.Dense(9, "tanh"), layers.Dense(3)).build((30,), seed=3)
    made.freeze("*2.weight", "*1.bias")
    return made


def branches():
    start = steep.Input(30)
    a, b = layers.Dense(8, "tanh")(start), layers.Dense(8, "sigmoid")(start)
    both = ops.concat([a * b + a, a - b, a / (b + 1.5), ops.maximum(a, b)])
    return steep.Model(start, layers.Dense(5)(both))


NETS = {
    "no hidden layer": net,
    "wide": lambda: net(layers.Dense(40, "relu"), layers.Dense(3)),
    "narrow": lambda: net(layers.Dense(3, "tanh"), layers.Dense(2), layers.Dense(4, "gelu")),
    "frozen": frozen,
    "branches": branches,
    "dropout": lambda: net(layers.Dense(9, "relu"), layers.Dropout(0.2)),
    "dropout by epoch": lambda: net(layers.Dense(9), layers.Dropout(0.2, redraw="epoch")),
    "alpha dropout": lambda: net(layers.Dense(9, "selu"), layers.AlphaDropout(0.1)),
    "noise": lambda: net(layers.GaussianNoise(0.1), layers.Dense(9, "gelu")),
    "softmax": lambda: net(layers.Dense(20), layers.Softmax(), layers.Dense(7)),
    "gates": lambda: net(layers.Dense(9), layers.PReLU(), layers.Dense(8), layers.Maxout(2)),
    "glu": lambda: net(layers.Dense(8), layers.GLU()),
    "gates of positions": lambda: net(layers.Reshape((6, 5)), layers.Dense(6), layers.GLU("gelu"),
                                      layers.Flatten()),
    "random slopes": lambda: net(layers.Dense(9), layers.RReLU(0.1, 0.4), layers.Dense(7)),
    "batch norm": lambda: net(layers.Dense(9), layers.BatchNorm(), layers.Tanh()),
    "batch norm of many": lambda: net(layers.Dense(9), layers.BatchNorm(virtual_batch=40)),
    "batch norm, ReLU": lambda: net(layers.Dense(9), layers.BatchNorm(), layers.ReLU()),
    "layer norm": lambda: net(layers.Dense(20), layers.LayerNorm(), layers.Tanh()),
    "group norm": lambda: net(layers.Dense(20), layers.GroupNorm(4), layers.Tanh()),
    "rms norm": lambda: net(layers.Dense(20), layers.RMSNorm(), layers.Tanh()),
    "positions": lambda: net(layers.Reshape((6, 5)), layers.Dense(7, "tanh"), layers.Dense(3),
                             layers.Softmax(), layers.LayerNorm(), layers.Flatten()),
    "norms of positions": lambda: net(layers.Reshape((6, 5)), layers.Dense(4),
                                      layers.BatchNorm(), layers.GroupNorm(2), layers.Flatten()),
    "windows": lambda: net(layers.Reshape((3, 5, 2)), layers.Dense(2, "tanh"), layers.ZeroPad2D(1),
                           layers.MaxPool2D(3, 2, padding=1), layers.LocalResponseNorm(3),
                           layers.UpSample2D(2), layers.BatchNorm(), layers.ReLU(),
                           layers.AvgPool2D(3, 2), layers.Flatten()),
    "residual": lambda: net(layers.Dense(8), layers.Residual(layers.Dense(8, "tanh"))),
    "scales": lambda: net(layers.Rescale(0.5, 0.1), layers.FeatureScale(), layers.Dense(6, "elu")),
}  # fmt: skip


@pytest.mark.parametrize("made", NETS)
@pytest.mark.parametrize("method", ["newton", "squares"])
def test_networks_of_every_kind(made, method):
    """Draws are those of the step, statistics follow the points that were taken."""
    X, y = data(70)
    loss = "cross_entropy" if method == "newton" else "mse"
    y = y if method == "newton" else values(70)
    moved(both(X, y, 2, method=method, made=NETS[made], loss=loss))


@pytest.mark.parametrize("samples", [1, 63, 257, 1100])
def test_any_number_of_samples(samples):
    X, y = data(samples, 6)
    both(X, y, 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_weights(method):
    X = values()
    both(X, values(seed=2), 2, method=method, loss="mse", made=weightless)


def test_weights_of_samples_and_every_reduction():
    X, y = data(60, 6)
    weights = np.random.default_rng(1).random(len(y))
    for reduction in ("mean", "weighted_mean", "sum"):
        for given in (None, weights):
            both(X, y, 2, fit={"sample_weight": given}, reduction=reduction)


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_positions(weighted):
    random = np.random.default_rng(2)
    X, y = random.standard_normal((20, 6, 4)).astype(np.float32), random.integers(0, 3, (20, 6))
    fit = {"sample_weight": random.random((20, 6)).astype(np.float32)} if weighted else {}
    made = lambda: steep.Sequential(layers.Dense(4, "tanh"), layers.Dense(3))  # noqa: E731
    moved(both(X, y, 2, made=made, fit=fit, loss=losses.CrossEntropy(ignore=1)))


@pytest.mark.parametrize("method", ["newton", "squares"])
def test_a_weight_and_a_penalty_that_move(method):
    X, y = data(60, 6)[0], {"value": values(60, 3)}

    def one_head():
        start = steep.Input(6)
        return steep.Model(start, {"value": layers.Dense(3)(layers.Dense(9, "tanh")(start))})

    moves = {"loss_weights": {"value": lambda step: 1 / (1 + step)}, "l2": lambda step: 0.1 * step}
    both(X, y, made=one_head, loss={"value": losses.MeanSquaredError()}, method=method, **moves)


def test_changed_images_are_those_of_the_step():
    random = np.random.default_rng(2)
    X, y = random.integers(0, 256, (40, 6, 5, 3), np.uint8), random.integers(0, 5, 40)
    changes = steep.data.Augment(flip=True, shift=1)
    made = lambda: net(layers.Rescale(1 / 255), layers.Flatten())  # noqa: E731
    both(X, y, 3, fit={"augment": changes}, made=made)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_samples_that_are_streamed(kind, monkeypatch):
    X, y = data(100, kind=kind)
    made = lambda: net(layers.Rescale(0.01), layers.Dense(6, "tanh"))  # noqa: E731
    wanted = both(X, y, 2, made=made)
    monkeypatch.setenv("STEEP_CUDA_DATA", "streamed")
    same(fitted(trainer("cuda", made), X, y, 2), wanted)


@pytest.mark.parametrize("method", ["newton", "squares"])
@pytest.mark.parametrize("first", BOTH)
def test_checkpoints_cross_devices(method, first, tmp_path):
    X, y = data(60, 6)[0], values()
    wanted = fitted(trainer("cpu", method=method, loss="mse"), X, y, 5)
    begun = trainer(first, method=method, loss="mse")
    fitted(begun, X, y, 2)
    begun.save(tmp_path / "part")
    gone_on = steep.Trainer.load(tmp_path / "part", device={"cpu": "cuda", "cuda": "cpu"}[first])
    fitted(gone_on, X, y, 2)
    gone_on.save(tmp_path / "more")
    back = steep.Trainer.load(tmp_path / "more", device=first)
    same(fitted(back, X, y, 1)[:2], wanted[:2])


@pytest.mark.parametrize("method", ["newton", "squares"])
def test_steps_by_themselves_and_other_data(method):
    X, y = data(60, 6)[0], values()
    found = []
    for device in BOTH:
        made = trainer(device, method=method, loss="mse")
        steps = [made.step(X[i : i + 20], y[i : i + 20]) for i in (0, 0, 20, 0)]
        found.append((steps, fitted(made, X, y, 2), fitted(made, X[:33], y[:33], 2)))
    same(*found)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_tensor_cores_go_down_the_same_hill(precision):
    """Gradients are of rounded products, the matrix is not."""
    X, y = data(100)
    made = lambda: net(layers.Dense(20, "tanh"))  # noqa: E731
    found = fitted(trainer("cuda", made, precision=precision), X, y, 4)[-1]
    wanted = fitted(trainer("cpu", made), X, y, 4)[-1]
    assert abs(found[0] - wanted[0]) < 2e-2 * wanted[0]
    assert found[-1] < 0.8 * found[0]


@pytest.mark.parametrize("method", ["newton", "squares"])
def test_convolutions_go_down_the_same_hill(method):
    """Gradients are other sums of floats; of products by themselves bytes are the same."""
    X = np.random.default_rng(2).standard_normal((30, 6, 6, 2)).astype(np.float32)
    made = lambda: net(  # noqa: E731
        layers.Conv2D(4, 3, activation="tanh"), layers.MaxPool2D(2),
        layers.Conv2D(4, 2, groups=2), layers.Conv2DTranspose(3, 2, 2), layers.GlobalAvgPool2D(),
    )  # fmt: skip
    found, wanted = (
        fitted(trainer(device, made, method, "mse"), X, values(30), 3)[-1]
        for device in ("cuda", "cpu")
    )
    assert found[-1] < found[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_a_loss_that_is_not_finite_is_told():
    def exploding():
        made = steep.Sequential(layers.Dense(2, "exp", name="blast")).build((1,), seed=0)
        made.load_state_dict({k: np.full_like(w, 90) for k, w in made.state_dict().items()})
        return made

    X, y = np.ones((4, 1), np.float32), np.ones((4, 2), np.float32)
    found = []
    for device in BOTH:
        made = trainer(device, exploding, loss="mse")
        with pytest.raises(steep.NonFiniteError) as error:
            fitted(made, X, y)
        found.append((told(error.value), made.steps))
        assert found[-1][0][2:4] == ("loss", 'Dense "blast"')
    assert found[0] == found[1]


@pytest.mark.parametrize("method", ["newton", "squares"])
@pytest.mark.parametrize("after", [0.05, 0.3])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_been(after, method):
    """In the middle of a product or a search the weights go back to where it began."""
    X, y = data(300, 6)[0], values(300)
    never_settles = lambda: net(layers.Dense(7, "tanh"), layers.Dropout(0.2))  # noqa: E731
    options = {"made": never_settles, "method": method, "loss": "mse"}
    made = trainer("cuda", **options)
    fitted(made, X, y, 1)
    timer = threading.Timer(after, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        made.fit(X, y, epochs=5000, progress=False)
    timer.join()
    # It may have come after a step and before the end of its epoch: a fit then ends that one.
    found = fitted(made, X, y, 1)
    same(found[:2], fitted(trainer("cpu", **options), X, y, made.steps)[:2])


@emulated
@pytest.mark.parametrize("method", ["newton", "squares"])
@pytest.mark.parametrize(
    "settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 1}, {"sms": 132}]
)
def test_no_result_depends_on_who_computes_it(settings, method):
    X, y = data(130)[0], values(130)
    made = lambda: net(layers.Dense(9, "tanh"), layers.BatchNorm(), layers.LayerNorm())  # noqa: E731
    options = {"made": made, "method": method, "loss": "mse", "l2": 1e-3}
    wanted = fitted(trainer("cuda", **options), X, y, 2)
    with emulating(**settings):
        same(fitted(trainer("cuda", **options), X, y, 2), wanted, str(settings))


@emulated
@pytest.mark.parametrize("method", ["newton", "squares"])
def test_a_second_run_allocates_nothing(method):
    X, y = data(100, 6)[0], values(100)
    made = trainer("cuda", method=method, loss="mse")
    fitted(made, X, y)
    before = counted("allocations"), counted("graph_launches")
    fitted(made, X, y)
    assert counted("allocations") == before[0]
    assert counted("graph_launches") >= before[1] + 6, "it trained, with products"


@emulated
@pytest.mark.parametrize("method", ["newton", "squares"])
def test_out_of_memory_leaves_the_point_where_it_was(method):
    """Dual numbers take four times what floats do: they are asked for before a weight moves."""
    X, y = data(60, 6)[0], values()
    made = trainer("cuda", method=method, loss="mse")
    fitted(made, X, y, 2)
    before = made.net.state_dict()
    big, wanted = np.zeros((20000, 6), np.float32), np.zeros((20000, 5), np.float32)
    for room in (1 << 20, 6 << 20):
        with (
            emulating(limit=counted("bytes") + room),
            pytest.raises(RuntimeError, match="MiB wanted"),
        ):
            fitted(made, big, wanted, 1)
        same(made.net.state_dict(), before)
    found = fitted(made, X, y, 2)[1]
    same(found, fitted(trainer("cpu", method=method, loss="mse"), X, y, 4)[1])
