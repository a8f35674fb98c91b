"""Values that leave the number format: which op, direction, sample or parameter an error names.

Policies that go on are in test_nonfinite.py; that weights are those from before is a law.
"""

import numpy as np
import pytest
import steep
from steep import layers
from steep.optimizers import SGD

ROWS, BATCH = 24, 8


def body(kind):
    """Return the layer under test, by its kind, and the shape of its inputs."""
    made = {
        "dense": lambda: layers.Dense(6, name="planted"),
        "conv": lambda: layers.Conv2D(4, 3, name="planted"),
        "batch_norm": lambda: layers.BatchNorm(name="planted"),
        "loss": lambda: layers.Activation("tanh"),
    }
    return made[kind](), (5, 5, 3) if kind == "conv" else (7,)


def made(kind, optimizer=None, reverse=None, seed=0, **options):
    """Return a trainer of a small network with that layer, and its samples."""
    layer, shape = body(kind)
    random = np.random.default_rng(seed)
    X = random.standard_normal((ROWS, *shape)).astype(np.float32)
    y = random.standard_normal((ROWS, 2)).astype(np.float32)
    flat = [layers.Flatten()] if len(shape) > 1 else []
    turn = [] if reverse is None else [layers.GradientReversal(reverse, name="turned")]
    net = steep.Sequential(
        layer, layers.Activation("tanh"), *flat, *turn, layers.Dense(2, name="end")
    )
    trainer = steep.Trainer(net, "mse", optimizer or SGD(0.01), seed=seed, **options)
    return trainer, X, y


def fitted(trainer, X, y, **options):
    return trainer.fit(X, y, batch_size=BATCH, progress=False, **options)


class Planting:
    """Callback: writes a value into an array when so many steps are done."""

    def __init__(self, step, array, at, value):
        self.every, self.step, self.array, self.at, self.value = 1, step, array, at, value

    def on_step_end(self, step, logs):
        if step == self.step:
            self.array[self.at] = self.value


KINDS = ["dense", "conv", "batch_norm", "loss"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_in_the_input_is_its_sample_s(kind):
    trainer, X, y = made(kind)
    plant = Planting(3, X, 17, np.nan)
    with pytest.raises(steep.NonFiniteError) as caught:
        fitted(trainer, X, y, epochs=3, callbacks=[plant])
    error = caught.value
    assert (error.what, error.op, error.direction, error.sample) == ("loss", "input", "forward", 17)
    assert 3 < error.step <= 6  # of the second epoch
    assert "forward, input, sample 17" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_beyond_the_format_is_the_loss_s(kind):
    trainer, X, y = made(kind)
    with pytest.raises(steep.NonFiniteError) as caught:
        fitted(trainer, X, y, epochs=3, callbacks=[Planting(3, y, (11, 0), 3e38)])
    error = caught.value
    assert (error.where, error.op, error.direction, error.sample) == ("loss", "loss", "forward", 11)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_weight_that_is_not_finite_is_named(kind, value):
    trainer, X, y = made(kind)
    fitted(trainer, X, y)
    name = "planted.weight"
    weight = trainer.net.state_dict()[name]
    weight.flat[1] = value
    trainer.net._native.assign([(name, weight)])  # load_state_dict refuses it by name
    with pytest.raises(steep.NonFiniteError) as caught:
        fitted(trainer, X, y)
    assert (caught.value.where, caught.value.op) == (name, "weight")
    with pytest.raises(ValueError, match=r"planted\.weight"):
        trainer.net.load_state_dict({**trainer.net.state_dict(), name: weight})


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_gradient_that_overflows_is_named_with_its_op(kind):
    """Forward all is well; a reversal makes the gradient too large on the way back."""
    trainer, X, y = made(kind, reverse=1e38)
    y *= 1e3
    with pytest.raises(steep.NonFiniteError) as caught:
        fitted(trainer, X, y)
    error = caught.value
    assert (error.what, error.direction, error.step) == ("gradient", "backward", 1)
    assert error.where.startswith("planted.")
    assert error.op.startswith("affine of ") or "turned" in error.op
    assert error.sample is not None


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_step_too_long_is_an_update_of_a_parameter(kind):
    trainer, X, y = made(kind, SGD(3e38))
    y *= 1e6
    before = trainer.net
    with pytest.raises(steep.NonFiniteError) as caught:
        fitted(trainer, X, y)
    error = caught.value
    assert (error.what, error.direction, error.step) == ("update", "update", 1)
    assert error.where in before.state_dict()
    assert all(np.isfinite(w).all() for w in before.state_dict().values())
