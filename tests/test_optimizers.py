"""Optimizers: paths against the papers' formulas, tables, configuration, refusals.

The golden numbers of the lectures are in test_golden_rules.py, those of the libraries in
test_torch_optim.py, test_keras_optim.py and test_optax.py.
"""

import json

import cases
import numpy as np
import pytest
import reference
from steep import _core, lab, optimizers, schedules
from steep.optimizers import (
    ASGD,
    FTRL,
    SGD,
    AdaBelief,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Adan,
    AdEMAMix,
    AMSGrad,
    NAdam,
    RAdam,
    RMSProp,
    Rprop,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Signum,
    Yogi,
)

STEPS = 100
START = np.random.default_rng(5).standard_normal(9)
SCALES = np.geomspace(0.1, 3.0, 9)
# Both sides round differently; 100 contracting steps add up to some hundred roundings.
BOUND = 1e-11

RATE = schedules.Cosine(0.05, 80, 0.001)
RAMP = schedules.Linear(0.5, 0.9, 60)


def gradient(w):
    """Of sum(scale*w^2/2 + w^4/40 - sin(w)): curved, not symmetric, minimum away from 0."""
    return SCALES * w + w**3 / 10 - np.cos(w)


# Every switch, and numbers that change where they may. Those of `cases.RULES` stand beside.
VARIANTS = {
    "sgd_scheduled": SGD(RATE),
    "momentum_scheduled": SGD(RATE, RAMP),
    "momentum_outside": SGD(RATE, RAMP, lr_in_velocity=False),
    "nesterov_scheduled": SGD(RATE, RAMP, True),
    "nesterov_outside": SGD(RATE, RAMP, True, lr_in_velocity=False),
    "nesterov_keras": SGD(RATE, RAMP, True, like="keras"),
    "nesterov_torch": SGD(RATE, RAMP, True, like="torch"),
    "adagrad_eps": AdaGrad(0.3, 1e-3),
    "adagrad_keras": AdaGrad(0.3, 1e-3, initial_accumulator=0.1, like="keras"),
    "rmsprop_scheduled": RMSProp(RATE, 0.8, 1e-3),
    "rmsprop_inside": RMSProp(RATE, RAMP, 1e-3, eps_inside=True),
    "rmsprop_momentum_scheduled": RMSProp(RATE, momentum=RAMP),
    "rmsprop_torch": RMSProp(RATE, momentum=RAMP, like="torch"),
    "rmsprop_keras": RMSProp(RATE, eps=1e-3, momentum=0.7, like="keras"),
    "rmsprop_nesterov_eps": RMSProp(RATE, eps=1e-3, momentum=RAMP, nesterov=True),
    "rmsprop_nesterov_outside": RMSProp(
        RATE, eps=1e-3, momentum=RAMP, nesterov=True, lr_in_velocity=False
    ),
    "adam_scheduled": Adam(RATE, 0.8, 0.97, 1e-4),
    "adam_inside": Adam(RATE, 0.8, 0.97, 1e-4, eps_inside=True),
    "adam_uncorrected": Adam(RATE, 0.8, 0.97, 1e-4, bias_correction=False),
    "adam_keras": Adam(RATE, 0.8, 0.97, 1e-4, like="keras"),
    "adam_by_epoch": Adam(RATE, 0.8, 0.97, 1e-4, bias_time="epoch"),
    "adam_beta_schedule": Adam(0.05, RAMP, 0.97, 1e-4),
    "momentum_dampened": SGD(RATE, RAMP, dampening=0.3),
    "momentum_dampened_torch": SGD(RATE, 0.8, like="torch", dampening=schedules.Step(0.6, 9, 0.5)),
    "momentum_optax": SGD(RATE, RAMP, like="optax"),
    "nesterov_optax": SGD(RATE, RAMP, True, like="optax", weight_decay=0.1),
    "adagrad_optax": AdaGrad(0.3, 1e-3, initial_accumulator=0.1, like="optax"),
    "rmsprop_optax": RMSProp(RATE, 0.8, 1e-3, momentum=RAMP, like="optax"),
    "rmsprop_optax_outside": RMSProp(RATE, 0.8, 1e-3, like="optax", eps_inside=False),
    "rmsprop_optax_nesterov": RMSProp(RATE, 0.8, 1e-3, RAMP, True, like="optax"),
    "centered_keras": RMSProp(RATE, 0.8, 1e-3, centered=True, like="keras"),
    "centered_torch": RMSProp(RATE, 0.8, 1e-3, RAMP, centered=True, like="torch"),
    # rho=0.8 would follow the last bit: r - m^2 passes close to 0 on the way.
    "centered_nesterov": RMSProp(RATE, 0.97, 1e-3, RAMP, True, centered=True),
    "centered_optax": RMSProp(RATE, 0.8, 1e-3, RAMP, True, centered=True, like="optax"),
    "sgd_decayed": SGD(RATE, weight_decay=0.3),
    "nesterov_decayed": SGD(RATE, RAMP, True, weight_decay=schedules.Linear(0.1, 0.5, 60)),
    "rmsprop_nesterov_decayed": RMSProp(
        RATE, eps=1e-3, momentum=RAMP, nesterov=True, weight_decay=0.3
    ),
    "adadelta_decayed": AdaDelta(0.9, 0.8, 1e-3, weight_decay=0.02),
    "nadam_decayed": NAdam(RATE, 0.8, 0.97, 1e-4, weight_decay=0.3),
    "adamw_scheduled": AdamW(RATE, 0.8, 0.97, 1e-4, 0.3),
    "amsgrad_scheduled": AMSGrad(RATE, 0.8, 0.97, 1e-4),
    "adamax_scheduled": Adamax(RATE, 0.8, 0.97, 1e-4),
    "adamax_keras": Adamax(RATE, 0.8, 0.97, 1e-4, like="keras"),
    "nadam_scheduled": NAdam(RATE, 0.8, 0.97, 1e-4),
    "nadam_keras": NAdam(RATE, 0.8, 0.97, 1e-4, momentum_decay=1.0),
    "nadam_uncorrected": NAdam(RATE, 0.8, 0.97, 1e-4, bias_correction=False),
    "amsgrad_optax": AMSGrad(RATE, 0.8, 0.97, 1e-4, like="optax"),
    "nadam_optax": NAdam(RATE, 0.8, 0.97, 1e-4, like="optax"),
    "radam_scheduled": RAdam(RATE, RAMP, 0.97, 1e-4),
    "radam_torch": RAdam(RATE, 0.8, 0.97, 1e-4, like="torch"),
    "radam_of_the_paper": RAdam(RATE, 0.8, 0.97, 0.0, threshold=4.0),
    "radam_uncorrected": RAdam(RATE, 0.8, 0.97, 1e-4, bias_correction=False),
    "adabelief_eps": AdaBelief(RATE, 0.8, 0.97, 1e-3),
    "adabelief_inside": AdaBelief(RATE, 0.8, 0.97, 1e-3, eps_inside=True, bias_correction=False),
    "yogi_optax": Yogi(RATE, 0.8, 0.97, initial_accumulator=0.01, like="optax"),
    "yogi_of_the_paper": Yogi(RATE, 0.8, RAMP, bias_correction=False),
    "adan_scheduled": Adan(RATE, RAMP, 0.9, 0.97, 1e-4, weight_decay=0.3),
    "adan_optax": Adan(RATE, 0.9, 0.8, 0.97, 1e-4, weight_decay=0.3, like="optax"),
    "ademamix_scheduled": AdEMAMix(
        RATE, 0.8, 0.97, RAMP, schedules.Linear(0.0, 3.0, 60), 1e-4, weight_decay=0.3
    ),
    "rprop_limits": Rprop(0.05, 0.6, 1.1, 0.01, 0.2),
    "rprop_torch": Rprop(9.0, step_max=0.3, like="torch"),
    "rprop_optax": Rprop(0.9, step_max=0.3, like="optax"),
    "asgd_scheduled": ASGD(RATE, 0.1, 0.5, 20, weight_decay=0.3),
    "ftrl_scheduled": FTRL(RATE, 0.3, l2_strength=schedules.Linear(0.1, 0.0, 60), beta=0.5),
    "ftrl_sparse": FTRL(0.5, initial_accumulator=0.0, l1_strength=0.3, l2_shrinkage=0.1),
    "schedule_free_sgd": ScheduleFreeSGD(0.1, RAMP, weight_decay=0.3),
    "schedule_free_sgd_warm": ScheduleFreeSGD(RATE, 0.8, warmup_steps=10, r=1.5),
    "schedule_free_adam": ScheduleFreeAdamW(0.05, 0.8, 0.97, 1e-4, weight_lr_power=1.0),
    "adadelta_eps": AdaDelta(0.9, 0.8, 1e-3),
    "adadelta_outside": AdaDelta(0.9, 0.8, 1e-3, eps_inside=False),
}
ALL = VARIANTS | {name: row.optimizer for name, row in cases.RULES.items()}


@pytest.mark.parametrize("name", ALL)
def test_path_equals_the_reference(name):
    path = lab.descend(ALL[name], gradient, START, STEPS, epoch_steps=7)
    truth = reference.path(ALL[name], gradient, START, STEPS, 7)
    assert np.abs(truth[-1] - truth[0]).max() > 0.05  # it went somewhere
    np.testing.assert_allclose(path, truth, rtol=BOUND, atol=BOUND)


def test_the_reference_reads_what_was_given():
    """Arguments by place and the steps of schedules, against formulas written out by hand."""
    path, w, m, r = [START], START, 0.0, 0.0
    for k in range(STEPS):
        g = gradient(w)
        m, r = 0.8 * m + 0.2 * g, 0.97 * r + 0.03 * g * g
        lr, root = reference.cosine(k, 0.05, 80, 0.001), np.sqrt(r / (1 - 0.97 ** (k + 1)))
        w = w - lr * 0.3 * w - lr * m / (1 - 0.8 ** (k + 1)) / (root + 1e-4)
        path.append(w)
    found = reference.path(AdamW(RATE, 0.8, 0.97, 1e-4, 0.3), gradient, START, STEPS)
    np.testing.assert_allclose(found, path, rtol=BOUND, atol=BOUND)
    v, w, path = 0.0, START, [START]
    for k in range(STEPS):
        mu = reference.linear(k, 0.5, 0.9, 60)
        v = mu * v - reference.cosine(k, 0.05, 80, 0.001) * gradient(w + mu * v)
        w = w + v
        path.append(w)
    found = reference.path(SGD(RATE, RAMP, True), gradient, START, STEPS)
    np.testing.assert_allclose(found, path, rtol=BOUND, atol=BOUND)


@pytest.mark.parametrize("name", ALL)
def test_maximize_climbs_the_negated_function(name):
    config = ALL[name].get_config()
    down = lab.descend(optimizers.from_config(config), gradient, START, STEPS)
    up = optimizers.from_config(config | {"maximize": True})
    assert lab.descend(up, lambda w: -gradient(w), START, STEPS).tobytes() == down.tobytes()


@pytest.mark.parametrize("name", ALL)
def test_tables_have_the_same_bits_however_steps_are_split(name):
    steps = np.arange(90)
    epochs, after = steps / 7, (steps + 1) / 7
    whole = ALL[name].knobs(steps, epochs, after)
    assert whole.shape == (90, len(_core.rules()[ALL[name].rule]["knobs"]))
    assert np.isfinite(whole).all()
    parts = [
        ALL[name].knobs(steps[a:b], epochs[a:b], after[a:b])
        for a, b in [(0, 1), (1, 8), (8, 41), (41, 90)]
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert ALL[name].knobs(steps, epochs).shape == whole.shape


def test_look_of_a_step_is_look_next_of_the_step_before():
    names = _core.rules()["nesterov"]["knobs"]
    look, look_next = names.index("look"), names.index("look_next")
    by_epoch = SGD(0.1, schedules.Linear(0.5, 0.9, 6, unit="epoch"), True)
    steps = np.arange(40)
    table = by_epoch.knobs(steps, steps // 5, (steps + 1) // 5)
    assert table[1:, look].tolist() == table[:-1, look_next].tolist()
    with pytest.raises(ValueError, match="epochs_next"):
        by_epoch.knobs(steps, steps // 5)


def test_numbers_may_be_lists_and_functions():
    wanted = lab.descend(SGD(schedules.Values([0.1, 0.05])), gradient, START, 5)
    for lr in ([0.1, 0.05], np.array([0.1, 0.05]), lambda step: 0.1 if step == 0 else 0.05):
        assert lab.descend(SGD(lr), gradient, START, 5).tobytes() == wanted.tobytes()
    assert SGD(np.float32(0.5)).lr == 0.5


def test_decay_and_value():
    adamw = AdamW(schedules.Step(0.1, 10, 0.5), weight_decay=0.3)
    assert np.allclose(adamw.decay([0, 10, 20], [0, 0, 0]), [0.03, 0.015, 0.0075], rtol=1e-15)
    assert Adam().decay([0], [0]) == 0.0
    assert AdamW(0.1, 0.9, 0.999, 1e-8, 0.2) == AdamW(0.1, weight_decay=0.2)
    assert AdaGrad(0.1, weight_decay=0.2).decay([0], [0]) == pytest.approx(0.02, rel=1e-15)
    assert adamw.value("lr", 10) == 0.05
    assert adamw.value("beta1", 10) == 0.9
    with pytest.raises(ValueError, match='did you mean "beta2"'):
        adamw.value("beta", 1)


def test_adam_without_mean_or_correction_is_rmsprop_bitwise():
    adam = Adam(0.05, 0.0, 0.9, 1e-3, bias_correction=False)
    paths = [lab.descend(o, gradient, START, 50) for o in (adam, RMSProp(0.05, 0.9, 1e-3))]
    assert paths[0].tobytes() == paths[1].tobytes()


def test_presets():
    assert RMSProp(preset="kathuria") == RMSProp(
        rho=0.9, eps=1e-10, eps_inside=True, preset="kathuria"
    )
    assert RMSProp(preset="kathuria").eps == 1e-10
    assert SGD(momentum=0.9, like="torch").lr_in_velocity is False
    assert SGD(momentum=0.9).lr_in_velocity is True
    assert RMSProp(like="keras").eps_inside is True
    assert AdaDelta().eps_inside is True
    assert Adam(amsgrad=True).rule == AMSGrad().rule == "amsgrad"


@pytest.mark.parametrize("name", ALL)
def test_config_round_trip_through_json(name):
    again = optimizers.from_config(json.loads(json.dumps(ALL[name].get_config())))
    assert again == ALL[name]
    assert again.formula(show=False) == ALL[name].formula(show=False)


class Wrong(SGD):
    """A description whose table and native rule do not fit."""

    def _columns(self, clock):
        return {"rate": 1.0}


def test_knobs_that_do_not_fit_the_native_rule_are_named():
    words = r"Wrong: of the knobs of rule sgd, lr, \['lr'\] are missing; \['rate'\] are none"
    with pytest.raises(RuntimeError, match=words):
        Wrong().knobs([0], [0])


def test_a_function_cannot_be_saved():
    with pytest.raises(ValueError, match=r"Adam: lr: .*cannot be saved"):
        Adam(lr=lambda step: 0.1).get_config()


def test_formula_prints_the_switches(capsys):
    text = Adam(like="keras").formula()
    assert capsys.readouterr().out == text + "\n"
    assert "sqrt(1-beta2^t)/(1-beta1^t) * m / (sqrt(r) + eps)" in text
    inside = Adam(eps_inside=True, bias_correction=False).formula(show=False)
    assert "w = w - lr*m / sqrt(r + eps)" in inside
    assert "number of the epoch" in Adam(bias_time="epoch").formula(show=False)
    assert "w + momentum*v" in SGD(momentum=0.9, nesterov=True).formula(show=False)
    assert "g = -dL/dw" in SGD(maximize=True).formula(show=False)
    assert len({optimizer.formula(show=False) for optimizer in ALL.values()}) == len(ALL)


def test_decay_is_told_where_there_is_some():
    line = "w = w - lr*weight_decay*w (weights, not biases)"
    for made in (SGD(weight_decay=0.1), AdamW(weight_decay=0.0), Adam(weight_decay=[0.1, 0.0])):
        assert line in made.formula(show=False)
        assert "weight_decay=" in repr(made)
    assert "weight_decay" not in Adam().formula(show=False)
    assert repr(SGD(weight_decay=0.1, maximize=True)) == (
        "SGD(lr=0.01, momentum=0.0, weight_decay=0.1, maximize=True)"
    )


def test_get():
    assert optimizers.get("adam") == Adam()
    assert optimizers.get("Adam", lr=0.5) == Adam(0.5)
    assert optimizers.get("nesterov") == SGD(0.01, 0.9, True)
    assert optimizers.get("momentum", lr=0.1) == SGD(0.1, 0.9)
    assert optimizers.get("sign-sgd", lr=0.1) == Signum(0.1, 0.0)
    assert optimizers.get("schedule-free AdamW", beta1=0.8) == ScheduleFreeAdamW(beta1=0.8)
    assert optimizers.get(NAdam) == NAdam()
    kept = Adamax()
    assert optimizers.get(kept) is kept


def test_adadelta_warns_of_a_rate_for_another_algorithm():
    with pytest.warns(UserWarning, match=r"AdaDelta: lr=0.001 hardly moves .* 1.0"):
        AdaDelta(lr=0.001)


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SGD(-0.1), ValueError, r"SGD: lr must be in \[0, inf\), got -0.1"),
        (lambda: SGD(NAN), ValueError, r"SGD: lr must be in \[0, inf\), got nan"),
        (lambda: SGD(float("inf")), ValueError, "SGD: lr must be in"),
        (lambda: SGD("0.1"), TypeError, "SGD: lr must be a number, got str"),
        (lambda: SGD(True), TypeError, "SGD: lr must be a number, got bool"),
        (lambda: SGD(0.1, 1.0), ValueError, r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: SGD(0.1, -0.9), ValueError, "momentum must be in"),
        (lambda: SGD(0.1, 0.0, True), ValueError, "nesterov=True needs a momentum above 0"),
        (lambda: SGD(0.1, 0.9, 1), TypeError, "nesterov must be True or False"),
        (lambda: SGD([0.1, -0.1]), ValueError, "SGD: lr must be in"),
        (lambda: SGD(like="pytorch"), ValueError, 'did you mean "torch"'),
        (
            lambda: SGD(0.1, 0.9, like="torch", lr_in_velocity=True),
            ValueError,
            "like='torch' means lr_in_velocity=False",
        ),
        (lambda: Adam(beta1=1.0), ValueError, r"Adam: beta1 must be in \[0, 1\), got 1.0"),
        (lambda: Adam(beta2=-0.1), ValueError, "beta2 must be in"),
        (lambda: Adam(eps=-1e-8), ValueError, r"eps must be in \[0, inf\), got -1e-08"),
        (lambda: Adam(bias_time="epochs"), ValueError, 'did you mean "epoch"'),
        (lambda: Adam(bias_correction="no"), TypeError, "bias_correction must be True or False"),
        (lambda: AdamW(weight_decay=-1), ValueError, "AdamW: weight_decay must be in"),
        (lambda: SGD(weight_decay="0.1"), TypeError, "SGD: weight_decay must be a number, got str"),
        (lambda: RMSProp(rho=1.5), ValueError, "RMSProp: rho must be in"),
        (lambda: RMSProp(eps=1e-3, preset="kathuria"), ValueError, "means eps=1e-10"),
        (lambda: RMSProp(preset="katuria"), ValueError, 'did you mean "kathuria"'),
        (
            lambda: RMSProp(momentum=0.9, nesterov=True, like="torch"),
            ValueError,
            "no Nesterov momentum",
        ),
        (lambda: AdaGrad(initial_accumulator=-1), ValueError, "initial_accumulator must be in"),
        (lambda: NAdam(momentum_decay=NAN), ValueError, "momentum_decay must be in"),
        (lambda: AMSGrad(amsgrad=False), ValueError, "use Adam"),
        (lambda: SGD(dampening=0.5), ValueError, "dampening needs a momentum above 0"),
        (lambda: SGD(0.1, 0.9, True, dampening=0.5), ValueError, "and no nesterov"),
        (lambda: RMSProp(momentum=0.9, nesterov=True, like="keras"), ValueError, "no Nesterov"),
        (lambda: NAdam(momentum_decay=1.0, like="optax"), ValueError, "has no momentum_decay"),
        (lambda: NAdam(momentum_decay=RATE), TypeError, "momentum_decay must be a number"),
        (lambda: RAdam(threshold=3.0), ValueError, r"threshold must be in \[4, inf\), got 3.0"),
        (lambda: RAdam(beta2=RAMP), TypeError, "RAdam: beta2 must be a number, not a schedule"),
        (lambda: Yogi(initial_accumulator=RATE), TypeError, "must be a number, not a schedule"),
        (lambda: FTRL(0.0), ValueError, r"FTRL: lr must be in \(0, inf\), got 0.0"),
        (lambda: FTRL(lr_power=-0.5), ValueError, r"lr_power must be in \(0, 1\], got -0.5"),
        (lambda: Rprop(eta_minus=1.0), ValueError, r"eta_minus must be in \(0, 1\), got 1.0"),
        (lambda: Rprop(eta_plus=1.0), ValueError, r"eta_plus must be in \(1, inf\), got 1.0"),
        (lambda: Rprop(step_min=1.0, step_max=0.5), ValueError, "step_min must not be above"),
        (lambda: ScheduleFreeSGD(warmup_steps=1.5), ValueError, "warmup_steps must be whole"),
        (lambda: ScheduleFreeSGD(r=RATE), TypeError, "r must be a number, not a schedule"),
        (
            lambda: ScheduleFreeSGD(schedules.Warmup(lambda step: 0.1, 3)),
            ValueError,
            "the schedule of lr calls Python; give a number",
        ),
        (
            lambda: ScheduleFreeAdamW(schedules.Linear(0.1, 0.2, 3, unit="epoch")),
            ValueError,
            "the average needs the rates of all steps before",
        ),
        (lambda: optimizers.get("adm"), ValueError, 'unknown optimizer "adm"; did you mean "adam"'),
        (lambda: optimizers.get(3), TypeError, "expects a name"),
        (lambda: optimizers.get(Adam(), lr=1.0), TypeError, "made already"),
        (lambda: optimizers.from_config({"optimizer": "Adma"}), ValueError, "did you mean"),
        (
            lambda: optimizers.from_config({"optimizer": "SGD", "beta1": 0.9}),
            ValueError,
            "saved optimizer SGD",
        ),
        (
            lambda: SGD(schedules.Linear(0.1, -0.1, 10)).knobs(np.arange(9), np.zeros(9)),
            ValueError,
            r"SGD: lr must be in \[0, inf\), but its schedule gives .* at step 6",
        ),
        (
            lambda: SGD(lambda step: NAN).knobs([0], [0]),
            ValueError,
            "its schedule gives nan at step 0",
        ),
        (lambda: SGD().knobs(3, 4), ValueError, "must be vectors"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
