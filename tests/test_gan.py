"""Several objectives in a step, and the two of a GAN: against steps by hand, and as laws."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import steep
from steep import gan, initializers, layers, losses, ops, optimizers

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(40, 6)).astype(np.float32)
Y = {
    "a": RANDOM.normal(size=(40, 2)).astype(np.float32),
    "b": RANDOM.normal(size=(40, 3)).astype(np.float32),
}


def heads(seed=2):
    start = steep.Input(6)
    body = layers.Dense(8, "tanh", name="body")(start)
    net = steep.Model(
        start, {"a": layers.Dense(2, name="a")(body), "b": layers.Dense(3, name="b")(body)}
    )
    return net.build(seed=seed)


def two(net=None, first=None, second=None, **options):
    net = net or heads()
    return steep.Trainer(
        net,
        objectives=[
            steep.Objective({"a": "mse"}, ["body", "a"], first or optimizers.SGD(0.1), name="one"),
            steep.Objective(
                {"b": losses.Huber()}, ["body", "b"], second or optimizers.SGD(0.05), name="two",
                every=options.pop("every", 1),
            ),
        ],
        **options,
    )  # fmt: skip


def state_of(net):
    return {name: value.tobytes() for name, value in net.state_dict().items()}


# -- several objectives ----------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2])
def test_objectives_go_one_after_the_other(every):
    """Each on the weights that the one before it left, by its own gradient."""
    made, hand = two(precision="float64", every=every), heads()
    w = {k: v.astype(float) for k, v in hand.state_dict().items()}
    one = steep.Trainer(hand, {"a": "mse"}, "sgd", precision="float64")
    other = steep.Trainer(hand, {"b": losses.Huber()}, "sgd", precision="float64")
    for step in range(5):
        rows = slice(8 * step, 8 * step + 8)
        y = {name: value[rows] for name, value in Y.items()}
        due = [(one, "a", 0.1)] + [(other, "b", 0.05)] * ((step + 1) % every == 0)
        total = 0.0
        for trainer, name, rate in due:
            hand.load_state_dict(w)
            loss, found = trainer.gradients(X[rows], {name: y[name]})
            total += loss
            w = {k: v - rate * found.get(k, 0.0) for k, v in w.items()}
        assert made.step(X[rows], y) == pytest.approx(total, rel=1e-12)
        for name, value in made.net.state_dict().items():
            np.testing.assert_allclose(value, w[name], rtol=1e-11, atol=1e-13, err_msg=name)


def test_each_has_slots_of_its_own():
    made = two(first=optimizers.Adam(), second=optimizers.SGD(0.1, 0.9))
    made.fit(X, Y, batch_size=10, progress=False)
    slots = made._run.session().copy_out()[1]
    assert {slot: sorted(found) for slot, found in slots.items()} == {
        "one/m": ["a.bias", "a.weight", "body.bias", "body.weight"],
        "one/r": ["a.bias", "a.weight", "body.bias", "body.weight"],
        "two/v": ["b.bias", "b.weight", "body.bias", "body.weight"],
    }
    loss, found = made.gradients(X, Y, objective="two")
    assert sorted(found) == ["b.bias", "b.weight", "body.bias", "body.weight"]
    assert loss == pytest.approx(made.evaluate(X, Y)["two_loss"], rel=1e-5)


def test_histories_show_each_and_the_sum_of_all():
    made = two(every=3)
    history = made.fit(X, Y, batch_size=10, epochs=2, progress=False, validation=(X, Y)).history
    assert set(history) >= {"loss", "one_loss", "two_loss", "val_one_loss", "val_loss"}
    np.testing.assert_allclose(
        history["val_loss"], np.add(history["val_one_loss"], history["val_two_loss"])
    )
    assert np.isfinite(history["two_loss"]).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            lambda: two(first=optimizers.SGD(0.1, 0.9, nesterov=True)),
            'objective "one".*looks ahead',
        ),
        (lambda: two(second="lbfgs"), "full|one loss|objective"),
        (lambda: steep.Trainer(heads(), objectives=[]), "at least one"),
        (lambda: steep.Trainer(heads(), objectives=["mse"]), "steep.Objective"),
        (
            lambda: steep.Trainer(
                heads(), objectives=[steep.Objective({"a": "mse"}, ["head"], "sgd", name="x")]
            ),
            "trains='head' is no weight",
        ),
        (
            lambda: steep.Trainer(
                heads(), objectives=[steep.Objective({"a": "mse"}, layers.Dense(2), "sgd")]
            ),
            "is no weight of the network",
        ),
        (
            lambda: steep.Trainer(
                heads(), "mse", objectives=[steep.Objective({"a": "mse"}, optimizer="sgd")]
            ),
            "loss is an objective's",
        ),
        (
            lambda: steep.Trainer(
                heads(), objectives=[steep.Objective("mse", None, "sgd", name=n) for n in "xx"]
            ),
            "two objectives are called 'x'",
        ),
        (lambda: steep.Objective("mse", []), "train nothing"),
        (lambda: steep.Objective("mse", 3), "layers and names|iterable|trains takes"),
        (lambda: steep.Objective("mse", every=0), "every"),
    ],
)
def test_what_is_no_use_is_refused_by_name(given, says):
    with pytest.raises((ValueError, TypeError), match=says):
        made = given()
        named = {name for loss in made.loss.values() for name in loss}
        y = {name: Y[name] for name in named & set(Y)}
        made.fit(X, y, progress=False)


def test_frozen_by_others_and_frozen_for_all():
    net = heads()
    net.freeze("body")
    made = two(net)
    before = net.state_dict()["body.weight"]
    made.fit(X, Y, batch_size=10, progress=False)
    assert (net.state_dict()["body.weight"] == before).all()
    net.freeze("a")
    with pytest.raises(ValueError, match="objective 'one': trains nothing"):
        two(net).fit(X, Y, progress=False)


# -- the losses of a GAN ---------------------------------------------------------------------------

REAL, FAKE = np.array([[0.3], [1.2]]), np.array([[-0.2], [0.8]])


@pytest.mark.parametrize(
    ("loss", "critic", "maker"),
    [
        ("gan", 1.2934386236, 0.5846197677),
        ("lsgan", 0.3025, 0.37),
        ("hinge", 1.65, -0.3),
        ("wgan", -0.45, -0.3),
    ],
)
def test_losses_are_the_papers(loss, critic, maker):
    real, fake, made = gan.LOSSES[loss]
    a, b = steep.Input(1), steep.Input(1)
    scale = layers.Dense(1, init=1.0)
    net = steep.Model([a, b], {"real": scale(a), "fake": scale(b)})
    objectives = [
        steep.Objective({"real": real, "fake": fake}, optimizer="sgd", name="d"),
        steep.Objective({"fake": made}, optimizer="sgd", name="g"),
    ]
    found = steep.Trainer(net, objectives=objectives, precision="float64").evaluate([REAL, FAKE])
    assert found["d_loss"] == pytest.approx(critic, abs=1e-10)
    assert found["g_loss"] == pytest.approx(maker, abs=1e-10)


# -- a GAN -----------------------------------------------------------------------------------------


def mlps(width=7, out=2, norm=False):
    middle = [layers.BatchNorm()] if norm else []
    generator = steep.Sequential(
        layers.Dense(width), *middle, layers.Activation("tanh"), layers.Dense(out), name="g"
    )
    judge = [layers.BatchNorm()] if norm else []
    critic = steep.Sequential(
        layers.Dense(width), *judge, layers.LeakyReLU(0.2), layers.Dense(1), name="d"
    )
    return generator, critic


def ring(n, seed=0):
    random = np.random.default_rng(seed)
    angle = random.integers(0, 8, n) * np.pi / 4
    centre = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centre + 0.02 * random.normal(size=(n, 2))).astype(np.float32)


def sgd(*rates):
    return tuple(optimizers.SGD(rate) for rate in rates)


def forward(state, name, x, leak):
    """Return what a half gives, and its hidden layer before the activation."""
    h = x @ state[f"{name}.dense.weight"] + state[f"{name}.dense.bias"]
    f = np.where(h > 0, h, 0.2 * h) if leak else np.tanh(h)
    return f @ state[f"{name}.dense_1.weight"] + state[f"{name}.dense_1.bias"], h


def backward(state, name, x, h, dy, *, leak):
    """Return the gradients of a half's weights, and of its input."""
    f = np.where(h > 0, h, 0.2 * h) if leak else np.tanh(h)
    slope = np.where(h > 0, 1.0, 0.2) if leak else 1 - f**2
    dh = (dy @ state[f"{name}.dense_1.weight"].T) * slope
    return {
        f"{name}.dense.weight": x.T @ dh, f"{name}.dense.bias": dh.sum(0),
        f"{name}.dense_1.weight": f.T @ dy, f"{name}.dense_1.bias": dy.sum(0),
    }, dh @ state[f"{name}.dense.weight"].T  # fmt: skip


def test_a_step_is_the_one_written_by_hand():
    """The discriminator on real samples and fakes, then the generator through it, in float64."""
    made = steep.GAN(*mlps(), latent=3, optimizers=sgd(0.07, 0.05), seed=4, precision="float64")
    x = ring(16).astype(float)
    made.trainer._run.settings.build()
    state = {k: v.astype(float) for k, v in made.net.state_dict().items()}
    start = steep.Input(3)
    noise = steep.Model(start, +ops.normal_like(start, sample=True))
    z = noise.predict(np.zeros((16, 3)), seed=4).astype(float)  # by the words of the first step
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    fake, hidden = forward(state, "g", z, leak=False)
    real_logit, h_real = forward(state, "d", x, leak=True)
    fake_logit, h_fake = forward(state, "d", fake, leak=True)
    by_real, _ = backward(state, "d", x, h_real, (sigmoid(real_logit) - 1) / 16, leak=True)
    by_fake, _ = backward(state, "d", fake, h_fake, sigmoid(fake_logit) / 16, leak=True)
    for name, g in by_real.items():
        state[name] = state[name] - 0.05 * (g + by_fake[name])
    fake_logit, h_fake = forward(state, "d", fake, leak=True)
    _, dfake = backward(state, "d", fake, h_fake, (sigmoid(fake_logit) - 1) / 16, leak=True)
    by_maker, _ = backward(state, "g", z, hidden, dfake, leak=False)
    for name, g in by_maker.items():
        state[name] = state[name] - 0.07 * g
    made.fit(x, batch_size=16, shuffle=False, progress=False)
    for name, value in made.net.state_dict().items():
        np.testing.assert_allclose(value, state[name], rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("loss", gan.LOSSES)
@pytest.mark.parametrize("norm", [False, True])
def test_same_bytes_for_any_number_of_threads(loss, norm):
    found = []
    for threads in (1, 2, 3, 8):
        with steep.threads(threads):
            made = steep.GAN(*mlps(norm=norm), latent=4, loss=loss, seed=1, d_steps=2)
            history = made.fit(ring(70), epochs=2, batch_size=16, progress=False)
        found.append((state_of(made.net), history.steps["loss"], made.sample(5).tobytes()))
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("d_steps", [1, 2])
def test_what_both_objectives_have_in_common_is_done_once(d_steps, norm):
    """Fakes that the discriminator saw are the generator's: as of a trainer each, in turn."""
    x = ring(4 * 16)
    made = steep.GAN(*mlps(norm=norm), latent=4, seed=1, d_steps=d_steps)
    hand = steep.GAN(*mlps(norm=norm), latent=4, seed=1, d_steps=d_steps)
    made.fit(x, epochs=2, batch_size=16, shuffle=False, progress=False)
    halves = [
        steep.Trainer(hand.net, objectives=[each], seed=1) for each in hand.trainer.objectives
    ]
    for k in range(8):
        real = x[k % 4 * 16 : k % 4 * 16 + 16]
        given = [real, np.zeros((16, 4), np.float32)]
        for half, due in zip(halves, (1, d_steps), strict=True):
            run = half._run.session()
            at = run.progress
            run.set_progress(at["epoch"], at["batch"], k, at["sums"])
            if (k + 1) % due == 0:
                half.step(given)
    assert state_of(made.net) == state_of(hand.net)


def test_it_goes_on_from_its_checkpoint(tmp_path):
    def make():
        return steep.GAN(*mlps(norm=True), latent=4, seed=1, d_steps=2)

    class Stop:
        every = 5

        def on_step_end(self, trainer, step, logs):
            trainer.save(tmp_path / "gan")
            return "stop"

    whole, cut = make(), make()
    whole.fit(ring(70), epochs=3, batch_size=16, progress=False)
    cut.fit(ring(70), epochs=3, batch_size=16, progress=False, callbacks=Stop())
    again = make()
    again.load(tmp_path / "gan")
    again.fit(ring(70), epochs=3, batch_size=16, progress=False)
    assert state_of(again.net) == state_of(whole.net)
    assert again.history.steps == whole.history.steps
    assert (again.sample(9, seed=3) == whole.sample(9, seed=3)).all()
    for other in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        other.fit(ring(70), batch_size=16, progress=False)
        assert other.trainer.steps == whole.trainer.steps + 5


KILLED = """
import sys, numpy as np, steep
sys.path.insert(0, {folder!r})
import test_gan
made = steep.GAN(*test_gan.mlps(norm=True), latent=4, seed=1)
try:
    made.load({path!r})
except OSError:
    pass
saving = steep.callbacks.Checkpoint({path!r}, every=20)
made.fit(test_gan.ring(400), epochs=30, batch_size=16, progress=False, callbacks=[saving])
sys.stdout.buffer.write(b"".join(v.tobytes() for v in made.net.state_dict().values()))
"""


def test_killed_and_started_again_it_ends_at_the_same_bytes(tmp_path):
    def start(path):
        program = KILLED.format(folder=os.path.dirname(__file__), path=str(path))
        return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)

    whole = start(tmp_path / "whole").communicate(timeout=120)[0]
    killed, path = start(tmp_path / "killed"), tmp_path / "killed"
    while not path.exists() and killed.poll() is None:
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    again = start(path).communicate(timeout=120)[0]
    assert len(whole) > 100
    assert again == whole


def test_a_fault_of_the_second_objective_takes_the_whole_step_back():
    made = steep.GAN(*mlps(), latent=4, optimizers=(optimizers.SGD(0.1), optimizers.SGD(1e30)))
    made.trainer._run.settings.build()
    before = state_of(made.net)
    with pytest.raises(steep.NonFiniteError):
        made.fit(1e20 * ring(16), batch_size=16, progress=False, epochs=3)
    after = made.net.state_dict()
    assert all(np.isfinite(value).all() for value in after.values())
    if made.trainer.steps == 0:
        assert state_of(made.net) == before


def test_running_statistics_follow_in_the_half_that_trains():
    made = steep.GAN(*mlps(norm=True), latent=4, d_steps=3, seed=2)
    made.trainer._run.settings.build()
    before = made.net.state_dict()
    made.fit(ring(32), batch_size=16, progress=False)  # two steps: the generator is not due yet
    after = made.net.state_dict()
    moved = {name for name in after if (after[name] != before[name]).any()}
    assert {name.split(".")[0] for name in moved} == {"d"}
    assert "d.batch_norm.running_mean" in moved


def test_clipped_weights_stay_within_their_bound():
    made = steep.GAN(
        *mlps(), latent=4, loss="wgan", clip=0.05, d_steps=2, optimizers=("rmsprop", "rmsprop")
    )
    made.fit(ring(64), batch_size=16, epochs=4, progress=False)
    for name, value in made.discriminator.state_dict().items():
        assert np.abs(value).max() <= np.float32(0.05), name
    assert max(np.abs(v).max() for v in made.generator.state_dict().values()) > 0.06


def test_classes_go_to_both_halves():
    made = steep.GAN(*mlps(), latent=3, classes=4, seed=1)
    labels = RANDOM.integers(0, 4, 40)
    made.fit(ring(40), labels, batch_size=10, progress=False)
    assert made.generator.input_shapes == ((7,),)
    assert made.discriminator.input_shapes == ((6,),)
    assert made.sample(4, labels=[0, 1, 2, 3]).shape == (4, 2)
    for wrong in ([0, 1, 2, 4], None, [0, 1]):
        with pytest.raises(ValueError, match="label"):
            made.sample(4, labels=wrong)


def test_images_and_their_classes():
    generator = steep.Sequential(layers.Dense(12), layers.Reshape((2, 2, 3)))
    critic = steep.Sequential(layers.Conv2D(4, 2), layers.Flatten(), layers.Dense(1))
    made = steep.GAN(generator, critic, latent=5, classes=3)
    images = RANDOM.normal(size=(20, 2, 2, 3)).astype(np.float32)
    made.fit(images, RANDOM.integers(0, 3, 20), batch_size=10, progress=False)
    assert made.sample(6, labels=[0, 1, 2, 0, 1, 2]).shape == (6, 2, 2, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: steep.GAN(mlps()[0].build(5), mlps()[1], latent=4), "latent=4"),
        (lambda: steep.GAN(*mlps(), latent=0), "latent"),
        (lambda: steep.GAN(*mlps(), latent=4, loss="wgann"), 'did you mean "wgan"'),
        (lambda: steep.GAN(mlps()[0], mlps()[0], latent=4), "one number for a sample"),
        (lambda: steep.GAN(mlps()[0], layers.Dense(1), latent=4), "must be a steep network"),
        (lambda: steep.GAN(*mlps(), latent=4, optimizers="adam"), "generator's and the"),
        (lambda: steep.GAN(*mlps(), latent=4, clip=-1.0), "clip"),
        (lambda: steep.GAN(*mlps(), latent=4).fit(np.ones((5, 3))), "expects 2 inputs|shape"),
        (lambda: steep.GAN(*mlps(), latent=4).fit(ring(5), [1] * 5), "labels are for"),
        (lambda: steep.GAN(*mlps(), latent=4, classes=2).fit(ring(5)), "labels are for"),
    ],
)
def test_what_does_not_fit_is_refused(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_eight_gaussians_on_a_ring():
    """MLPs of 128, 128, begun as PyTorch's, Adam 1e-3, beta1 .5, batch 256, 6000 steps."""

    def dense(n):
        return layers.Dense(n, init=initializers.VarianceScaling(1 / 3, distribution="uniform"))

    maker = steep.Sequential(
        dense(128), layers.Activation("relu"), dense(128), layers.Activation("relu"), dense(2)
    )
    critic = steep.Sequential(
        dense(128), layers.LeakyReLU(0.2), dense(128), layers.LeakyReLU(0.2), dense(1)
    )
    adam = optimizers.Adam(1e-3, beta1=0.5)
    made = steep.GAN(maker, critic, latent=2, optimizers=(adam, adam))
    made.fit(ring(102400), batch_size=256, epochs=15, progress=False)
    found = made.sample(2500)
    angle = np.arange(8) * np.pi / 4
    centres = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    distance = np.linalg.norm(found[:, None] - centres, axis=2)
    near = distance.min(axis=1) < 3 * 0.02
    assert len(set(distance.argmin(axis=1)[near])) >= 7
    assert near.mean() >= 0.5
