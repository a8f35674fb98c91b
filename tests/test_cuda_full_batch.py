"""Methods for full batches on the GPU, or on its emulation: the bytes of the CPU, whoever goes on.

What the methods compute: test_full_batch. The trainings that all rules share are test_cuda's, the
methods with second derivatives test_cuda_second_order's.
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
from steep import layers, losses, optimizers

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
METHODS = {
    "lbfgs": optimizers.LBFGS(**ON),
    "lbfgs of two": optimizers.LBFGS(0.7, history=2, c2=0.5, **ON),
    "lbfgs uphill": optimizers.LBFGS(maximize=True, **ON),
    "cg": optimizers.ConjugateGradient(**ON),
    "cg, FR": optimizers.ConjugateGradient(form="FR", **ON),
    "cg, HS": optimizers.ConjugateGradient(form="HS", **ON),
    "cg, DY": optimizers.ConjugateGradient(form="DY", **ON),
}


def plain():
    return net(layers.Dense(70, "tanh"), layers.Dense(3))


def frozen():
    made = plain().build((30,), seed=3)
    made.freeze("*2.weight", "*1.bias")
    return made


NETS = {
    "plain": plain,
    "dropout": lambda: net(layers.Dense(20, "relu"), layers.Dropout(0.2)),
    "noise": lambda: net(layers.GaussianNoise(0.1), layers.Dense(20, "gelu")),
    "batch norm": lambda: net(layers.Dense(20), layers.BatchNorm(), layers.Tanh()),
    "layer norm": lambda: net(layers.Dense(40), layers.LayerNorm(), layers.Tanh()),
    "recurrent": lambda: net(layers.Reshape((6, 5)), layers.GRU(7)),
    "frozen": frozen,
    "no hidden layer": net,
}


HERE = Trainings(plain, METHODS, "lbfgs", epochs=5)
trainer, fitted, both = HERE.trainer, HERE.fitted, HERE.both


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_every_method(method, l2):
    X, y = data()
    both(X, y, method=method, l2=l2, decay_bias=l2 > 0)


@pytest.mark.parametrize("made", NETS)
@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_networks_of_every_kind(made, method):
    """Draws are those of the step, statistics follow the points that were taken."""
    X, y = data()
    weights, *_ = both(X, y, method=method, made=NETS[made])
    assert all(np.isfinite(w).all() for w in weights.values())


@pytest.mark.parametrize("samples", [1, 63, 257, 700])
def test_any_number_of_samples(samples):
    X, y = data(samples)
    both(X, y)


def test_weights_of_samples_and_every_reduction():
    X, y = data()
    weights = np.random.default_rng(1).random(len(y))
    for reduction in ("mean", "weighted_mean", "sum"):
        for given in (None, weights):
            both(X, y, fit={"sample_weight": given}, reduction=reduction)


def one_head():
    start = steep.Input(30)
    return steep.Model(start, {"value": layers.Dense(3)(layers.Dense(9, "tanh")(start))})


@pytest.mark.parametrize("loss", [losses.Huber(), losses.MeanSquaredError()])
def test_a_weight_and_a_penalty_that_move(loss):
    X, _ = data()
    y = {"value": np.random.default_rng(1).standard_normal((150, 3))}
    moves = {"loss_weights": {"value": lambda step: 1 / (1 + step)}, "l2": lambda step: 0.1 * step}
    both(X, y, made=one_head, loss={"value": loss}, **moves)


def test_changed_images_are_those_of_the_step():
    random = np.random.default_rng(2)
    X, y = random.integers(0, 256, (40, 6, 5, 3), np.uint8), random.integers(0, 5, 40)
    changes = steep.data.Augment(flip=True, shift=1)
    both(X, y, 3, fit={"augment": changes}, made=lambda: net(layers.Rescale(1 / 255),
                                                             layers.Flatten()))  # fmt: skip


def test_convolutions_begin_alike():
    """Their sums go in another order; a line search may turn that into another step."""
    random = np.random.default_rng(2)
    X, y = random.standard_normal((40, 8, 8, 3)).astype(np.float32), random.integers(0, 5, 40)
    found = []
    for device in BOTH:
        made = trainer(device, lambda: net(layers.Conv2D(6, 3, activation="tanh"),
                                           layers.Flatten()))  # fmt: skip
        found.append(fitted(made, X, y, 4)[-1])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
    assert found[1][-1] < 0.7 * found[1][0]


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_tensor_cores_go_down_the_same_hill(precision):
    X, y = data()
    found = fitted(trainer("cuda", precision=precision), X, y)[-1]
    wanted = fitted(trainer("cpu"), X, y)[-1]
    assert abs(found[0] - wanted[0]) < 2e-2 * wanted[0]
    assert found[-1] < 0.8 * found[0]


def test_it_settles_at_the_same_step():
    random = np.random.default_rng(5)
    X = random.standard_normal((60, 4)).astype(np.float32)
    y = X @ random.standard_normal((4, 5)).astype(np.float32)
    _, _, progress, *_ = both(X, y, 200, loss="mse", method=optimizers.LBFGS(), made=net)
    assert progress["steps"] < 100


@pytest.mark.parametrize("method", ["lbfgs of two", "cg"])
def test_steps_by_themselves(method):
    X, y = data()
    found = []
    for device in BOTH:
        made = trainer(device, method=method)
        steps = [made.step(X[i : i + 40], y[i : i + 40]) for i in (0, 0, 40, 0, 0)]
        found.append((steps, made.net.state_dict()))
    same(*found)


@pytest.mark.parametrize("method", ["lbfgs", "lbfgs of two", "cg"])
@pytest.mark.parametrize("first", BOTH)
def test_checkpoints_cross_devices(method, first, tmp_path):
    X, y = data()
    wanted = fitted(trainer("cpu", method=method, l2=0.01), X, y, 8)
    begun = trainer(first, method=method, l2=0.01)
    fitted(begun, X, y, 3)
    begun.save(tmp_path / "part")
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    gone_on = steep.Trainer.load(tmp_path / "part", device=second)
    assert gone_on.net.device == second
    same(fitted(gone_on, X, y, 3)[:2], fitted(trainer("cpu", method=method, l2=0.01), X, y, 6)[:2])
    gone_on.save(tmp_path / "more")
    back = steep.Trainer.load(tmp_path / "more", device=first)
    same(fitted(back, X, y, 2)[:2], wanted[:2])


def test_other_data_and_other_weights_between_fits():
    """What is known of a point, and of pairs of steps, is looked at again."""
    X, y = data()
    more, labels = data(90, seed=7)
    found = []
    for device in BOTH:
        made = trainer(device)
        seen = [fitted(made, X, y, 3), fitted(made, X, y, 2), fitted(made, more, labels, 2)]
        made.net.load_state_dict({k: w * 0.5 for k, w in made.net.state_dict().items()})
        seen += [fitted(made, X, y, 2), made.evaluate(more, labels), made.net.predict(more)]
        made.l2 = 0.2
        seen += [fitted(made, X, y, 2), made.gradients(more, labels), fitted(made, X, y, 2)]
        found.append(seen)
    same(found[1], found[0])


def test_a_network_that_has_moved_goes_on():
    X, y = data()
    made = trainer("cuda")
    fitted(made, X, y, 3)
    outputs = made.net.predict(X)
    made.net.to("cpu")
    same(made.net.predict(X), outputs)


def exploding(value, kind="exp"):
    made = steep.Sequential(layers.Dense(2, kind, name="blast"))
    made.build((1,), seed=0)
    made.load_state_dict({k: np.full_like(w, value) for k, w in made.state_dict().items()})
    return made


def failed(device, made, X, y, **options):
    trained = trainer(device, made, loss="mse", **options)
    with pytest.raises(steep.NonFiniteError) as error:
        trained.fit(X, y, epochs=3, progress=False)
    return told(error.value), trained.steps, trained.net.state_dict()


def test_a_loss_that_is_not_finite_is_told():
    X, y = np.ones((4, 1), np.float32), np.ones((4, 2), np.float32)
    found = [failed(device, lambda: exploding(90.0), X, y) for device in BOTH]
    assert found[0][:2] == found[1][:2]
    assert found[1][0][2:4] == ("loss", 'Dense "blast"')
    same(found[1][2], found[0][2])


def test_a_gradient_that_is_not_finite_is_told():
    X, y = np.full((4, 1), 1e30, np.float32), np.full((4, 2), 1e9, np.float32)
    linear = lambda: exploding(0.0, "linear")  # noqa: E731
    found = [failed(device, linear, X, y) for device in BOTH]
    assert found[0][:2] == found[1][:2]
    assert found[1][0][2] == "gradient"
    same(found[1][2], found[0][2])


@pytest.mark.parametrize("after", [0.05, 0.4])
def test_an_interrupted_fit_goes_on_as_if_nothing_had_been(after):
    """In the middle of a line search the weights go back to where it began."""
    X, y = data(600)
    made = trainer("cuda")
    fitted(made, X, y, 2)
    timer = threading.Timer(after, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        made.fit(X, y, epochs=5000, progress=False)
    timer.join()
    assert made.steps >= 2
    found = fitted(made, X, y, 3)
    same(found[:2], fitted(trainer("cuda"), X, y, made.steps)[:2])


@pytest.mark.parametrize("device", BOTH)
def test_what_does_not_fit_is_refused(device):
    X, y = data()
    bound = lambda: net(layers.Dense(4, constraint="max_norm"))  # noqa: E731
    with pytest.raises(ValueError, match="has a constraint, which methods for full batches"):
        fitted(trainer(device, bound), X, y, 1)


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings):
    X, y = data(300)
    wanted = fitted(trainer("cuda", l2=1e-3), X, y)
    with emulating(**settings):
        same(fitted(trainer("cuda", l2=1e-3), X, y), wanted, str(settings))


@emulated
def test_a_second_run_allocates_nothing_and_reads_samples_once_a_call():
    X, y = data(480)
    made = trainer("cuda")
    fitted(made, X, y)
    before = counted("allocations"), counted("graph_launches")
    fitted(made, X, y)
    assert counted("allocations") == before[0]
    assert counted("graph_launches") >= before[1] + 5, "it trained"


@emulated
def test_out_of_memory_leaves_the_point_where_it_was():
    X, y = data()
    made = trainer("cuda")
    fitted(made, X, y, 3)
    before = made.net.state_dict()
    big = np.zeros((40000, 30), np.float32)
    with (
        emulating(limit=counted("bytes") + (1 << 20)),
        pytest.raises(RuntimeError, match="MiB wanted"),
    ):
        fitted(made, big, np.zeros(40000, int), 1)
    same(made.net.state_dict(), before)
    same(fitted(made, X, y, 3)[1], fitted(trainer("cpu"), X, y, 6)[1])
