"""What tests of both devices share: trainings played on one or the other. No test lives here."""

import numpy as np
import pytest
import steep
import trainings
from steep import _core, layers

NEEDED = [
    pytest.mark.skipif(_core.cuda_status() != "", reason=_core.cuda_status() or "there is one"),
    pytest.mark.skipif(_core.info()["isa"] == "baseline", reason="no fused multiply-adds here"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

IMAGES = (
    "conv/",
    "pool/",
    "sequence/",
    "image/",
    "pixels/",
    "zoo/",
    "two inputs",
    "dense/realmlp",  # whose waves are a grouped convolution ...
    "dense/bins",  # ... and so are bins
    "dense/patches",
)


def by_bounds(name):
    """Say whether a training's convolutions are summed in another order than the CPU's."""
    return name.startswith(IMAGES) and name != "pixels/dense"


def same(a, b, where=""):
    """Expect equal names and bytes."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            same(a[key], b[key], f"{where} {key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where} {i}")
    elif a is None or b is None:
        assert a is b, where
    else:
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), where


def there(net):
    return net.to("cuda")


def told(error):
    """Return what both devices say of a fault."""
    return (
        error.step, error.epoch, error.what, error.where, error.op, error.direction, error.sample,
    )  # fmt: skip


def left(trainer, history):
    """Return all that a training left behind, times aside."""
    weights, slots, progress = trainer._run.session().copy_out()
    epochs = {k: v for k, v in history.history.items() if k != "seconds"}
    progress = {k: v for k, v in progress.items() if k != "seconds"}
    return weights, slots, progress, epochs, history.steps["loss"]


def trainer_of(made, device, **more):
    """Return a trainer of a Setup of `trainings`."""
    return steep.Trainer(
        made.net, made.loss, made.rule, **{"seed": 3, **made.options, "device": device, **more}
    )


def play(made, device, *, told=False, **more):
    """Train, predict, evaluate; told, return how steps were made, too."""
    trainer = trainer_of(made, device, **more)
    history = trainer.fit(made.X, made.y, progress=False, **made.fit)
    inputs = (made.X, made.y)
    found = left(trainer, history), made.net.predict(made.X), trainer.evaluate(*inputs)
    return (found, trainer._run.session().steps_by()) if told else found


def net(*body):
    return steep.Sequential(*body, layers.Dense(5))


def dense():
    return net(layers.Dense(64, "relu"), layers.Dropout(0.2), layers.Dense(33, "tanh"))


def data(samples=150, columns=30, kind="float32", seed=0):
    random = np.random.default_rng(seed)
    return trainings.numbers(kind, (samples, columns), random), random.integers(0, 5, samples)


def trained(device, X, y, epochs=3, *, made=None, loss="cross_entropy", rule="adam", **options):
    fit = {k: options.pop(k) for k in ("sample_weight", "shuffle") if k in options}
    trainer = steep.Trainer(made or dense(), loss, rule, device=device, seed=3, **options)
    history = trainer.fit(X, y, epochs=epochs, batch_size=32, progress=False, **fit)
    return trainer, left(trainer, history)
