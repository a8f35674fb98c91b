"""Every rule that Optax has, in its form, against Optax itself. Skipped where it is missing.

Numbers are the same on both sides; a rate that falls shows where it stands.
"""

import numpy as np
import pytest
import steep
from steep import lab, optimizers, schedules
from steep.optimizers import Adafactor, Muon

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

STEPS = 60
BOUND = 1e-9
START = np.random.default_rng(5).standard_normal(9)
SCALES = np.geomspace(0.1, 3.0, 9)
OURS = schedules.Step(0.05, 20, 0.5)


def theirs(count):
    return 0.05 * 0.5 ** (count // 20)


def gradient(w):
    """Of sum(scale*w^2/2 + w^4/40 - sin(w)), as in test_optimizers.py."""
    return SCALES * w + w**3 / 10 - np.cos(w)


BETAS = {"b1": 0.8, "b2": 0.97}
EPS = 1e-4
LARGE = 1e-2  # with it a difference of the last bit does not grow from step to step
MEANS = (OURS, 0.8, 0.97, EPS)
FREE = {"b1": 0.8, "weight_decay": 0.1}
# name -> (class of ours, its arguments, by name; Optax's with its arguments)
ROWS = {
    "sgd": ("SGD", (OURS,), {}, lambda: optax.sgd(theirs)),
    "momentum": ("SGD", (OURS, 0.8), {}, lambda: optax.sgd(theirs, 0.8)),
    "nesterov": ("SGD", (OURS, 0.8, True), {}, lambda: optax.sgd(theirs, 0.8, nesterov=True)),
    "adagrad": (
        "AdaGrad", (OURS, EPS), {"initial_accumulator": 0.1},
        lambda: optax.adagrad(theirs, 0.1, EPS),
    ),
    "rmsprop": ("RMSProp", (OURS, 0.8, EPS), {}, lambda: optax.rmsprop(theirs, 0.8, EPS)),
    "rmsprop, eps outside": (
        "RMSProp", (OURS, 0.8, EPS), {"eps_inside": False},
        lambda: optax.rmsprop(theirs, 0.8, EPS, eps_in_sqrt=False),
    ),
    "rmsprop, momentum": (
        "RMSProp", (OURS, 0.8, EPS, 0.7), {},
        lambda: optax.rmsprop(theirs, 0.8, EPS, momentum=0.7),
    ),
    "rmsprop, nesterov": (
        "RMSProp", (OURS, 0.8, LARGE, 0.5, True), {},
        lambda: optax.rmsprop(theirs, 0.8, LARGE, momentum=0.5, nesterov=True),
    ),
    "rmsprop, centered": (
        "RMSProp", (OURS, 0.8, EPS), {"centered": True},
        lambda: optax.rmsprop(theirs, 0.8, EPS, centered=True),
    ),
    "rmsprop, centered, nesterov": (
        "RMSProp", (OURS, 0.8, LARGE, 0.5, True), {"centered": True},
        lambda: optax.rmsprop(theirs, 0.8, LARGE, centered=True, momentum=0.5, nesterov=True),
    ),
    "adam": ("Adam", MEANS, {}, lambda: optax.adam(theirs, eps=EPS, **BETAS)),
    "adamw": (
        "AdamW", (*MEANS, 0.1), {},
        lambda: optax.adamw(theirs, eps=EPS, weight_decay=0.1, **BETAS),
    ),
    "amsgrad": ("AMSGrad", MEANS, {}, lambda: optax.amsgrad(theirs, eps=EPS, **BETAS)),
    "adamax": (
        "Adamax", MEANS, {"weight_decay": 0.1},
        lambda: optax.adamaxw(theirs, eps=EPS, weight_decay=0.1, **BETAS),
    ),
    "nadam": (
        "NAdam", MEANS, {"weight_decay": 0.1},
        lambda: optax.nadamw(theirs, eps=EPS, weight_decay=0.1, **BETAS),
    ),
    "radam": ("RAdam", MEANS, {}, lambda: optax.radam(theirs, eps=EPS, **BETAS)),
    "adabelief": (
        "AdaBelief", MEANS, {}, lambda: optax.adabelief(theirs, eps=EPS, eps_root=EPS, **BETAS)
    ),
    "adabelief, defaults": ("AdaBelief", (OURS,), {}, lambda: optax.adabelief(theirs)),
    "yogi": ("Yogi", (OURS, 0.8, 0.97), {}, lambda: optax.yogi(theirs, **BETAS)),
    "adan": (
        "Adan", (OURS, 0.9, 0.8, 0.97, EPS), {"weight_decay": 0.1},
        lambda: optax.adan(theirs, 0.9, 0.8, 0.97, EPS, 0.0, weight_decay=0.1),
    ),
    "ademamix": (
        "AdEMAMix", (OURS, 0.8, 0.97, 0.99, 2.0, EPS), {"weight_decay": 0.1},
        lambda: optax.contrib.ademamix(theirs, 0.8, 0.97, 0.99, 2.0, EPS, weight_decay=0.1),
    ),
    "lion": ("Lion", (OURS,), {"weight_decay": 0.1}, lambda: optax.lion(theirs, weight_decay=0.1)),
    "signum": ("Signum", (OURS, 0.8), {}, lambda: optax.signum(theirs, 0.8)),
    "sign_sgd": ("Signum", (OURS, 0.0), {}, lambda: optax.sign_sgd(theirs)),
    "adadelta": ("AdaDelta", (OURS, 0.8, EPS), {}, lambda: optax.adadelta(theirs, 0.8, EPS)),
    "rprop": (
        "Rprop", (0.9,), {"step_max": 0.3}, lambda: optax.rprop(0.9, max_step_size=0.3)
    ),
    "schedule_free_sgd": (
        "ScheduleFreeSGD", (0.1, 0.8), {"weight_decay": 0.1},
        lambda: optax.contrib.schedule_free_sgd(0.1, **FREE),
    ),
    "schedule_free_adamw": (
        "ScheduleFreeAdamW", (0.05, 0.8, 0.97, EPS), {"weight_decay": 0.1},
        lambda: optax.contrib.schedule_free_adamw(0.05, b2=0.97, eps=EPS, **FREE),
    ),
}  # fmt: skip


def optax_path(make, averaged):
    """Return the points of Optax's descent, of a schedule-free one its averages."""
    update = make()
    w = jax.numpy.asarray(START)
    state, path = update.init(w), [START]
    for _ in range(STEPS):
        change, state = update.update(jax.numpy.asarray(gradient(np.asarray(w))), state, w)
        w = optax.apply_updates(w, change)
        path.append(optax.contrib.schedule_free_eval_params(state, w) if averaged else w)
    return np.array(path)


@pytest.mark.parametrize("name", ROWS)
def test_path_equals_optax(name):
    kind, numbers, named, make = ROWS[name]
    optimizer = getattr(optimizers, kind)(*numbers, like="optax", **named)
    with jax.enable_x64(True):
        want = optax_path(make, "schedule_free" in name)
    path = lab.descend(optimizer, gradient, START, STEPS)
    np.testing.assert_allclose(path, want, rtol=BOUND, atol=BOUND)


def moved_by_steep(optimizer, w, gradients):
    """Return a matrix after steps with given gradients: those of one dense layer without bias."""
    net = steep.Sequential(steep.layers.Dense(w.shape[1], use_bias=False))
    trainer = steep.Trainer(net, "mse", optimizer, reduction="sum", precision="float64")
    trainer._run.settings.build(((w.shape[0],),))
    name = next(iter(net.state_dict()))
    net.load_state_dict({name: w})
    for g in gradients:  # the loss is the mean of squares over outputs
        trainer.step(np.eye(w.shape[0]), net.state_dict()[name] - g * w.shape[1] / 2)
    return net.state_dict()[name]


def adafactor(least):
    """Return Optax's chain with a clock in float64: its own is in float32."""
    return optax.chain(
        optax.scale_by_factored_rms(
            min_dim_size_to_factor=least, decay_rate_fn=lambda i, power: 1.0 - (i + 1.0) ** -power
        ),
        optax.clip_by_block_rms(1.0),
        optax.scale(0.05),
        optax.scale_by_param_block_rms(),
        optax.add_decayed_weights(0.01),
        optax.scale(-1.0),
    )


MATRICES = {
    "muon": (
        Muon(0.05, 0.9, 1e-8, weight_decay=0.1, matrices="*", like="optax"),
        lambda: optax.contrib.muon(0.05, beta=0.9, eps=1e-8, weight_decay=0.1),
    ),
    "muon, plain": (
        Muon(0.05, 0.9, 1e-8, nesterov=False, matrices="*", like="optax"),
        lambda: optax.contrib.muon(0.05, beta=0.9, eps=1e-8, nesterov=False),
    ),
    "muon, as long as adamw's": (
        Muon(0.05, 0.9, 1e-8, adjust="match_rms_adamw", matrices="*", like="optax"),
        lambda: optax.contrib.muon(0.05, beta=0.9, eps=1e-8, consistent_rms=0.2),
    ),
    "adafactor": (
        Adafactor(0.05, weight_decay=0.01, factors_from=4, like="optax"),
        lambda: adafactor(4),
    ),
    "adafactor, small": (Adafactor(0.05, weight_decay=0.01, like="optax"), lambda: adafactor(128)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("shape", [(7, 9), (20, 5)])
def test_a_matrix_moves_as_in_optax(name, shape):
    optimizer, make = MATRICES[name]
    random = np.random.default_rng(3)
    w, gradients = random.standard_normal(shape), random.standard_normal((20, *shape))
    with jax.enable_x64(True):
        update, want = make(), jax.numpy.asarray(w)
        state = update.init(want)
        for g in gradients:
            change, state = update.update(jax.numpy.asarray(g), state, want)
            want = optax.apply_updates(want, change)
    found = moved_by_steep(optimizer, w, gradients)
    np.testing.assert_allclose(found, want, rtol=BOUND, atol=BOUND)
