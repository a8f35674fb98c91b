"""Every switch of every optimizer changes what is done, or is refused where it could not."""

from dataclasses import fields

import numpy as np
import pytest
from cases_rules import EVERY, RULES
from steep import lab, optimizers
from steep.optimizers import SGD, Adam, Adamax, AdamW, AMSGrad, RMSProp
from steep.schedules import Linear

CLASSES = tuple(made for made in optimizers.TABLE.values() if isinstance(made, type))
VALUES = {
    "like": EVERY,
    "centered": (True,),
    "nesterov": (True,),
    "lr_in_velocity": (False, True),
    "eps_inside": (True, False),
    "bias_correction": (False,),
    "bias_time": ("epoch",),
    "amsgrad": (True,),
    "maximize": (True,),
    "preset": ("kathuria",),
}


def path(optimizer):
    """Twelve steps under a rate that changes, towards smaller gradients; epochs of two steps."""
    return lab.descend(optimizer, lambda w: np.array([0.3, 2.0]) * w + 0.1, [1.0, -0.7], 12, 2)


def given(optimizer):
    """Return the arguments of a row that are not their defaults, with numbers that show forms."""
    kind, numbers = type(optimizer), {"lr": Linear(0.3, 0.03, 12), "eps": 0.05, "beta2": 0.8}
    plain = kind()
    changed = {n: v for n, v in vars(optimizer).items() if v != getattr(plain, n)}
    return changed | {name: value for name, value in numbers.items() if name in kind.ranges}


def rows():
    for row, rule in RULES.items():
        for item in fields(rule.optimizer):
            yield from ((row, item.name, value) for value in VALUES.get(item.name, ()))


@pytest.mark.parametrize(("row", "name", "value"), list(rows()))
def test_f12_every_switch_changes_something_or_is_refused(row, name, value):
    kind, plain = type(RULES[row].optimizer), given(RULES[row].optimizer)
    before = kind(**plain)
    if getattr(before, name) == value:
        return  # the default, said aloud
    try:
        after = kind(**{**plain, name: value})
    except ValueError as error:
        assert name in str(error)
        return
    same_form = name == "like" and value in RULES[row].same
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
    for like in (None, *EVERY):
        given = kind(like=like)
        assert optimizers.from_config(given.get_config()) == given
