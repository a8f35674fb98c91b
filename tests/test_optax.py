"""Every rule that Optax has, in its form, against Optax itself. Skipped where it is missing.

Numbers are the same on both sides; a rate that falls shows where it stands.
"""

import numpy as np
import pytest
from steep import lab, optimizers, schedules

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
