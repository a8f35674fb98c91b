"""Every switch of every optimizer changes what is done, or is refused where it could not."""

from dataclasses import fields
from itertools import product

import numpy as np
import pytest
from steep import lab, optimizers
from steep.optimizers import SGD, AdaDelta, AdaGrad, Adam, Adamax, AdamW, AMSGrad, NAdam, RMSProp
from steep.schedules import Linear

CLASSES = (SGD, AdaGrad, RMSProp, Adam, AdamW, AMSGrad, Adamax, NAdam, AdaDelta)
VALUES = {
    "like": ("torch", "keras"),
    "nesterov": (True,),
    "lr_in_velocity": (False, True),
    "eps_inside": (True, False),
    "bias_correction": (False,),
    "bias_time": ("epoch",),
    "amsgrad": (True,),
    "maximize": (True,),
    "preset": ("kathuria",),
}
# Where the library's form is the default one, whatever the other arguments: naming it says so.
# torch and keras: Adadelta, NAdam; torch: Adam, AdamW, AMSGrad, Adamax, Adagrad.
SAME = {
    (AdaDelta, "torch"), (AdaDelta, "keras"), (NAdam, "torch"), (NAdam, "keras"),
    (Adam, "torch"), (AdamW, "torch"), (AMSGrad, "torch"), (Adamax, "torch"), (AdaGrad, "torch"),
}  # fmt: skip


def path(optimizer):
    """Twelve steps under a rate that changes, towards smaller gradients; epochs of two steps."""
    return lab.descend(optimizer, lambda w: np.array([0.3, 2.0]) * w + 0.1, [1.0, -0.7], 12, 2)


def base(kind, momentum):
    options = {"lr": Linear(0.3, 0.03, 12)}
    if "eps" in kind.ranges:
        options["eps"] = 0.05
    if "beta2" in kind.ranges:
        options["beta2"] = 0.3
    if momentum and "momentum" in kind.ranges:
        options["momentum"] = 0.5
    return options


def rows():
    for kind in CLASSES:
        names = {item.name for item in fields(kind)}
        for name, momentum in product(VALUES, (False, True)):
            if name not in names or (momentum and "momentum" not in names):
                continue
            yield from ((kind, name, value, momentum) for value in VALUES[name])


@pytest.mark.parametrize(("kind", "name", "value", "momentum"), list(rows()))
def test_f12_every_switch_changes_something_or_is_refused(kind, name, value, momentum):
    plain = base(kind, momentum)
    before = kind(**plain)
    if getattr(before, name) == value:
        return  # the default, said aloud
    try:
        after = kind(**plain, **{name: value})
    except ValueError as error:
        assert name in str(error)
        return
    same_form = name == "like" and (
        (kind, value) in SAME
        or (kind is SGD and (not momentum or value == "keras"))
        or (kind is RMSProp and value == "torch" and not momentum)
    )
    same = np.array_equal(path(before), path(after))
    assert same == same_form, f"{after!r} does what {before!r} does" if same else "differs"


def test_f12_keras_adamax_is_its_own_formula():
    """keras.optimizers.Adamax: u = max(b2*u, |g|), w -= lr*m/((1 - b1^t)*(u + eps))."""
    optimizer = Adamax(0.05, 0.8, 0.97, 0.01, like="keras")
    w, m, u, want = np.array([2.0, -1.0]), 0.0, 0.0, []
    for t in range(1, 6):
        g = 2 * w
        m, u = 0.8 * m + 0.2 * g, np.maximum(0.97 * u, np.abs(g))
        w = w - 0.05 * m / ((1 - 0.8**t) * (u + 0.01))
        want.append(w)
    got = lab.descend(optimizer, lambda w: 2 * w, [2.0, -1.0], 5)
    np.testing.assert_allclose(got[1:], want, rtol=1e-12)
    text = optimizer.formula(show=False)
    assert "u = max(beta2*u, |g|)\n" in text and "m/(u + eps)" in text
    assert "u = max(beta2*u, |g| + eps)" in Adamax().formula(show=False)


@pytest.mark.parametrize("kind", [Adam, AdamW, AMSGrad, Adamax])
def test_f12_a_clock_without_a_correction_is_refused(kind):
    with pytest.raises(ValueError, match=r"bias_time=\"epoch\" .* bias_correction=False"):
        kind(bias_correction=False, bias_time="epoch")


@pytest.mark.parametrize("kind", [SGD, RMSProp])
def test_f12_a_rate_outside_of_no_velocity_is_refused(kind):
    with pytest.raises(ValueError, match="lr_in_velocity=False needs a momentum"):
        kind(lr_in_velocity=False)


@pytest.mark.parametrize("kind", CLASSES)
def test_f12_configurations_come_back(kind):
    for like in (None, "torch", "keras"):
        given = kind(like=like)
        assert optimizers.from_config(given.get_config()) == given
