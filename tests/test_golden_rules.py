"""The golden numbers of the lectures for update rules, on L = w^2 from w0 = 2, and for clipping.

What a name says: `test_golden.py`.
"""

import dataclasses
import math

import numpy as np
import pytest
import reference
import steep
from golden import FULL, linear, printed, same, square, weight
from steep import lab, optimizers, schedules
from steep.optimizers import SGD, AdaDelta, AdaGrad, Adam, RMSProp


def test_s1_row20_momentum():
    path = lab.descend(SGD(0.25, 0.9), square, 2.0, 5)
    assert same(path, reference.path(SGD(0.25, 0.9), square, [2.0], 5))
    assert printed(path[1:], "1", "-0.4", "-1.46", "-1.684", "-1.0436")


def test_s1_row20_the_rate_stands_inside_the_velocity():
    rates = [0.25, 0.5, 0.125]
    inside = lab.descend(SGD(rates, 0.5), square, 2.0, 3)
    outside = lab.descend(SGD(rates, 0.5, lr_in_velocity=False), square, 2.0, 3)
    assert inside.ravel().tolist() == [2, 1, -0.5, -1.125]
    assert outside.ravel().tolist() == [2, 1, -1, -1]


def test_s1_row21_kathuria_momentum_unrolled():
    g = np.random.default_rng(21).standard_normal((3, 4))
    calls = iter(g)
    path = lab.descend(SGD(1.0, 0.9), lambda w: next(calls), np.zeros(4), 3)
    velocities = [-g[0], -0.9 * g[0] - g[1], -0.81 * g[0] - 0.9 * g[1] - g[2]]
    np.testing.assert_allclose(path[1:], np.cumsum(velocities, axis=0), rtol=FULL, atol=1e-15)


def test_s1_row22_momentum_ramp_from_half_to_nine_tenths():
    ramp = schedules.Linear(0.5, 0.9, 8, unit="epoch")
    assert ramp([0, 4, 8, 20]).tolist() == pytest.approx([0.5, 0.7, 0.9, 0.9], rel=1e-15)
    path = lab.descend(SGD(0.05, ramp), square, 2.0, 30, epoch_steps=2)
    truth = reference.path(SGD(0.05, ramp), square, [2.0], 30, 2)
    np.testing.assert_allclose(path, truth, rtol=FULL, atol=1e-14)


def test_s2_row23_nesterov_looks_ahead_and_exports_w():
    optimizer = SGD(0.25, 0.9, nesterov=True)
    path = lab.descend(optimizer, square, 2.0, 5)
    truth = reference.path(optimizer, square, [2.0], 5)
    np.testing.assert_allclose(path, truth, rtol=1e-11)  # w passes near 0
    assert printed(path[1:], "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


@pytest.mark.parametrize(("like", "outer"), [("keras", 1.0), ("torch", 0.25)])
def test_s2_row23_the_libraries_y_minus_mu_v_is_the_same_row(like, outer):
    optimizer = SGD(0.25, 0.9, nesterov=True, like=like)
    ys = lab.descend(optimizer, square, 2.0, 5)
    points = list(reference.descent(optimizer, square, [2.0], 5))
    np.testing.assert_allclose(ys, [y for y, _ in points], rtol=1e-11)
    assert printed(ys[1:4], "0.1", "-0.805", "-0.80975")
    ws = np.array([y - 0.9 * outer * s["v"] for y, s in points])
    assert printed(ws[1:], "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


def test_s2_row23_a_trained_network_gives_w_not_the_look_ahead_point():
    net = linear([2.0])
    trainer = steep.Trainer(net, "mse", SGD(0.25, 0.9, nesterov=True), precision="float64")
    path = []
    for _ in range(5):
        trainer.step(np.ones((1, 1)), np.zeros((1, 1)))
        path.append(float(weight(trainer.net)[0]))
    assert printed(path, "1", "0.05", "-0.4025", "-0.404875", "-0.20350625")


def test_s2_row24_adagrad():
    path = lab.descend(AdaGrad(0.1, 1e-7), square, 2.0, 3)
    assert same(path, reference.path(AdaGrad(0.1, 1e-7), square, [2.0], 3))
    assert printed(path[1:], "1.9000000025", "1.8311250575", "1.7758215195")


RMSPROP_ROW25 = {
    True: ("1.6847558", "1.4751968", "1.3102211"),
    False: ("1.6862526", "1.4774833", "1.3130305"),
}


@pytest.mark.parametrize("inside", [True, False])
def test_s1_s2_s4_row25_rmsprop_eps_inside_and_outside(inside):
    optimizer = RMSProp(0.1, 0.9, 1e-2, eps_inside=inside)
    path = lab.descend(optimizer, square, 2.0, 3)
    assert same(path, reference.path(optimizer, square, [2.0], 3))
    assert printed(path[1:], *RMSPROP_ROW25[inside])


def test_s1_row25_kathuria_preset():
    path = lab.descend(RMSProp(0.1, preset="kathuria"), square, 2.0, 3)
    meant = RMSProp(0.1, rho=0.9, eps=1e-10, eps_inside=True)
    assert same(path, reference.path(meant, square, [2.0], 3))


def test_s2_row25_rmsprop_unrolled():
    """r = (1-rho)*(g_t^2 + rho*g_t-1^2 + rho^2*g_t-2^2), and the step is -g/sqrt(r)."""
    g = np.array([3.0, -0.5, 2.0])
    calls = iter(g)
    steps = np.diff(lab.descend(RMSProp(1.0, 0.9, 0.0), lambda w: next(calls), 0.0, 3).ravel())
    weights = 0.1, 0.09, 0.081
    r = [sum(c * x * x for c, x in zip(weights, g[t::-1], strict=False)) for t in range(3)]
    np.testing.assert_allclose(steps, -g / np.sqrt(r), rtol=1e-11)


def test_s2_row26_rmsprop_with_nesterov_momentum():
    optimizer = RMSProp(0.1, 0.9, eps=0.0, momentum=0.9, nesterov=True)
    path = lab.descend(optimizer, square, 2.0, 3)
    assert same(path, reference.path(optimizer, square, [2.0], 3))
    assert printed(path[1:], "1.6837722", "1.2114850", "0.6815264")


UNCORRECTED = Adam(0.1, beta2=0.99, eps=1e-10, eps_inside=True, bias_correction=False)


ADAM_ROWS = {
    "s2_row27_without_rate": (Adam(1.0), ("1", "0.0678204", "-0.6718093")),
    "s2_row27_with_rate": (Adam(0.1), ("1.90000000025", "1.8001664861", "1.7006233920")),
    "s2_row27_eps_hat_form": (
        Adam(0.1, like="keras"),
        ("1.9000000079", "1.8001664992", "1.7006234096"),
    ),
    "s2_row28_time_by_epoch": (
        Adam(0.1, bias_time="epoch"),
        ("1.90000000025", "1.7658398417", "1.6101760603"),
    ),
    "s1_s4_row29_uncorrected": (
        UNCORRECTED,
        ("1.9000000", "1.7655212", "1.6090974"),
    ),
}


@pytest.mark.parametrize("name", ADAM_ROWS)
def test_adam(name):
    optimizer, golden = ADAM_ROWS[name]
    path = lab.descend(optimizer, square, 2.0, 10, epoch_steps=3)
    truth = reference.path(optimizer, square, [2.0], 10, 3)
    np.testing.assert_allclose(path, truth, rtol=1e-11)  # 1-beta^t loses digits on both sides
    assert printed(path[1:4], *golden)


def test_s1_s4_row29_erratum_the_extra_factor_g():
    """What the documents' formula would give; steep has no such switch."""
    w, s, path = np.array([2.0]), reference.first_slots(UNCORRECTED), []
    for n in range(3):
        right, s = reference.step(w, s, square, reference.knobs_at(UNCORRECTED, n, n))
        w = w + (right - w) * square(w)
        path.append(w)
    # The list's 1.1739064 is a misprint: the formula gives 1.17390632.
    assert printed(np.array(path), "1.6000000", "1.1739063", "0.8187295")


def defaults(made):
    return {item.name: item.default for item in dataclasses.fields(made)}


def test_row30_defaults():
    adam = defaults(Adam)
    assert (adam["lr"], adam["beta1"], adam["beta2"], adam["eps"]) == (1e-3, 0.9, 0.999, 1e-8)
    assert (adam["bias_correction"], adam["bias_time"]) == (True, "step")
    rmsprop = defaults(RMSProp)
    assert (rmsprop["lr"], rmsprop["rho"], rmsprop["eps"]) == (1e-3, 0.9, 1e-8)
    kathuria = RMSProp(preset="kathuria")
    assert (kathuria.rho, kathuria.eps, kathuria.eps_inside) == (0.9, 1e-10, True)
    assert (defaults(AdaGrad)["lr"], defaults(AdaGrad)["eps"]) == (0.01, 1e-7)
    assert (defaults(SGD)["lr"], defaults(SGD)["momentum"]) == (0.01, 0.0)


@pytest.mark.parametrize("g", [0.3, -2.0, 1e-3])
def test_s2_row31_bias_correction_is_exact_for_a_constant_gradient(g):
    """Then m/(1-beta1^t) = g and r/(1-beta2^t) = g^2, so that every step is lr*sign(g)."""
    path = lab.descend(Adam(0.125, eps=0.0), lambda w: g, 0.0, 50)
    np.testing.assert_allclose(np.diff(path, axis=0), -0.125 * math.copysign(1, g), rtol=1e-11)


def test_s3_row32_adadelta():
    path = lab.descend(AdaDelta(), square, 2.0, 3)
    assert same(path, reference.path(AdaDelta(), square, [2.0], 3))
    assert printed(path[1:], "1.9955278668", "1.9910037039", "1.9864477469")
    named = AdaDelta()
    assert (named.lr, named.rho, named.eps) == (1.0, 0.95, 1e-6)


@pytest.mark.parametrize(
    "name", ["SGD", "momentum", "RMSprop", "Adam", "ADADELTA", "AdaGrad", "AdamW", "NAdam"]
)
def test_s3_row33_the_optimizers_named(name):
    path = lab.descend(optimizers.get(name), square, 2.0, 50)
    assert abs(path[-1, 0]) < 2.0


def clipped_step(limit):
    """One step of rate 1 with the gradient (3, 4): returns the step taken."""
    net = linear([0.0, 0.0])
    trainer = steep.Trainer(net, "mae", SGD(1.0), clip_norm=limit, precision="float64")
    trainer.step(np.array([[3.0, 4.0]]), np.array([[-4096.0]]))
    return -weight(trainer.net)


def test_s2_row34_clipping_by_global_norm():
    assert same(clipped_step(1.0), [0.6, 0.8])
    assert same(clipped_step(1.0), reference.clip_by_norm(np.array([3.0, 4.0]), 1.0))


@pytest.mark.parametrize("limit", [5.0, 6.0, None])
def test_s2_row34_a_norm_within_the_limit_changes_no_bit(limit):
    assert clipped_step(limit).tolist() == [3.0, 4.0]


def test_s2_row34_clipping_by_value():
    net = linear([0.0, 0.0])
    trainer = steep.Trainer(net, "mae", SGD(1.0), clip_value=3.5, precision="float64")
    trainer.step(np.array([[3.0, 4.0]]), np.array([[-4096.0]]))
    assert weight(trainer.net).tolist() == [-3.0, -3.5]
