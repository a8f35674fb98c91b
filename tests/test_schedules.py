"""Schedules: their formulas, their bits, their configuration, and what they refuse."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import reference
from steep import schedules

TIMES = np.concatenate([np.arange(60.0), np.linspace(0.0, 25.0, 41)])

# name -> (schedule, the same as a function of one time)
CASES = {
    "constant": (schedules.Constant(0.3), lambda t: 0.3),
    "piecewise": (
        schedules.Piecewise([0, 10, 20.5], [0.1, 0.01, 0.3]),
        lambda t: reference.piecewise(t, [0, 10, 20.5], [0.1, 0.01, 0.3]),
    ),
    "values": (
        schedules.Values([0.5, 0.25, 0.75]),
        lambda t: [0.5, 0.25, 0.75][min(int(t), 2)],
    ),
    "exponential": (
        schedules.Exponential(0.1, 0.07),
        lambda t: reference.exponential(t, 0.1, 0.07),
    ),
    "inverse_power": (
        schedules.InversePower(0.2, 0.3, 0.7),
        lambda t: reference.inverse_power(t, 0.2, 0.3, 0.7),
    ),
    "polynomial": (
        schedules.Polynomial(0.9, 0.1, 17, 2.5),
        lambda t: reference.polynomial(t, 0.9, 0.1, 17, 2.5),
    ),
    "step": (schedules.Step(0.4, 7, 0.5), lambda t: reference.stairs(t, 0.4, 7, 0.5)),
    "cosine": (schedules.Cosine(0.4, 23, 0.01), lambda t: reference.cosine(t, 0.4, 23, 0.01)),
    "sigmoid_ramp": (
        schedules.SigmoidRamp(0.8, 10, 7.0),
        lambda t: 0.8 * np.tanh(3.5 * min(t, 10) / 10),  # 2/(1 + e^-x) - 1
    ),
    "cos_log": (
        schedules.CosLog(0.3, 16, 4),
        lambda t: 0.3 * np.sin(np.pi * np.log2(1 + 15 * min(t, 16) / 16)) ** 2,
    ),
    "linear": (schedules.Linear(0.5, 0.9, 10), lambda t: reference.linear(t, 0.5, 0.9, 10)),
    "warmup": (
        schedules.Warmup(schedules.Exponential(0.1, 0.07), 8),
        lambda t: 0.1 * t / 8 if t < 8 else reference.exponential(t - 8, 0.1, 0.07),
    ),
    "warmup_number": (schedules.Warmup(0.2, 5, start=0.1), lambda t: 0.1 + 0.1 * min(t, 5) / 5),
    "one_cycle": (
        schedules.OneCycle(1.0, 20, rise=0.25, start=0.1, end=0.01),
        lambda t: (
            reference.cosine(t, 0.1, 5, 1.0) if t < 5 else reference.cosine(t - 5, 1.0, 15, 0.01)
        ),
    ),
    "inverse_time": (schedules.InverseTime(0.2, 0.6, 2.5), lambda t: 0.2 / (1 + 0.6 * t / 2.5)),
    "inverse_time_staircase": (
        schedules.InverseTime(0.2, 0.6, 2.5, staircase=True),
        lambda t: 0.2 / (1 + 0.6 * (t // 2.5)),
    ),
    "polynomial_cycle": (
        schedules.Polynomial(0.9, 0.1, 8, 2.5, cycle=True),
        lambda t: reference.polynomial(t, 0.9, 0.1, 8 * max(1, math.ceil(t / 8)), 2.5),
    ),
    "restarts": (
        schedules.CosineRestarts(0.4, 7, end=0.01),
        lambda t: reference.restarts(t, 0.4, 7, multiply=1, decay=1, end=0.01),
    ),
    "restarts_growing": (
        schedules.CosineRestarts(0.4, 2.5, 1.5, 0.8, 0.01),
        lambda t: reference.restarts(t, 0.4, 2.5, multiply=1.5, decay=0.8, end=0.01),
    ),
    "cyclic": (
        schedules.Cyclic(0.1, 0.4, 3, 5),
        lambda t: reference.triangles(t, 0.1, 0.4, up=3, down=5, scale=lambda k, t: 1),
    ),
    "cyclic_halving": (
        schedules.Cyclic(0.1, 0.4, 3.5, mode="triangular2"),
        lambda t: reference.triangles(t, 0.1, 0.4, up=3.5, down=3.5, scale=lambda k, t: 0.5**k),
    ),
    "cyclic_exponential": (
        schedules.Cyclic(0.1, 0.4, 3, 5, "exp_range", 0.97),
        lambda t: reference.triangles(t, 0.1, 0.4, up=3, down=5, scale=lambda k, t: 0.97**t),
    ),
    "one_cycle_linear": (
        schedules.OneCycle(1.0, 20, rise=0.25, start=0.1, end=0.01, anneal="linear"),
        lambda t: np.interp(t, [0, 5, 20], [0.1, 1.0, 0.01]),
    ),
    "one_cycle_three_phase": (
        schedules.OneCycle(1.0, 20, 0.25, 0.1, 0.01, three_phase=True, anneal="linear"),
        lambda t: np.interp(t, [0, 5, 10, 20], [0.1, 1.0, 0.1, 0.01]),
    ),
    "join": (
        schedules.Join([schedules.Linear(0, 0.1, 6), 0.1, schedules.Cosine(0.1, 9)], [6, 20]),
        lambda t: (
            reference.linear(t, 0, 0.1, 6)
            if t < 6
            else 0.1
            if t < 20
            else reference.cosine(t - 20, 0.1, 9, 0)
        ),
    ),
    "join_of_functions": (
        schedules.Join([[0.3, 0.2], schedules.Join([0.4, schedules.Step(0.2, 3)], [5])], [4.5]),
        lambda t: (
            [0.3, 0.2][min(int(t), 1)]
            if t < 4.5
            else 0.4
            if t < 9.5
            else reference.stairs(t - 9.5, 0.2, 3, 0.1)
        ),
    ),
    "product": (
        schedules.Product([0.5, schedules.Exponential(0.1, 0.07), schedules.Linear(0, 1, 9)]),
        lambda t: 0.5 * reference.exponential(t, 0.1, 0.07) * reference.linear(t, 0, 1, 9),
    ),
    "function": (schedules.Function(lambda t: 1.0 / (t + 1)), lambda t: 1.0 / (int(t) + 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_formula(name):
    schedule, truth = CASES[name]
    np.testing.assert_allclose(schedule(TIMES), [truth(t) for t in TIMES], rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize("name", CASES)
def test_bits_do_not_depend_on_how_times_are_split(name):
    schedule = CASES[name][0]
    whole = schedule(TIMES)
    assert [schedule(float(t)) for t in TIMES] == whole.tolist()
    assert np.concatenate([schedule(TIMES[:7]), schedule(TIMES[7:])]).tobytes() == whole.tobytes()
    assert schedule(TIMES.reshape(1, -1)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", [name for name in CASES if name != "function"])
def test_config_round_trip_through_json(name):
    schedule = CASES[name][0]
    again = schedules.from_config(json.loads(json.dumps(schedule.get_config())))
    assert again == schedule
    assert again(TIMES).tobytes() == schedule(TIMES).tobytes()


def test_a_function_cannot_be_saved():
    with pytest.raises(ValueError, match="cannot be saved"):
        schedules.Function(lambda t: t).get_config()


def test_every_schedule_is_in_the_table_and_in_the_cases():
    made = {type(schedule).__name__ for schedule, _ in CASES.values()}
    assert made == {*schedules.TABLE, "Function"}


def test_ends_are_exact():
    assert schedules.Linear(0.5, 0.9, 10)([0, 10, 11]).tolist() == [0.5, 0.9, 0.9]
    assert schedules.Cosine(0.3, 7)([0, 7, 8]).tolist() == [0.3, 0.0, 0.0]
    assert schedules.Polynomial(0.3, 0.1, 7)([0, 7, 8]).tolist() == [0.3, 0.1, 0.1]


def test_piecewise_three_ways_of_writing_the_boundaries():
    wanted = [1.0] * 10 + [2.0] * 10 + [3.0] * 5
    for boundaries in ([0, 10, 20], [10, 20], [0, 10, 20, 25]):
        given = schedules.Piecewise(boundaries, [1.0, 2.0, 3.0])(np.arange(25))
        assert given.tolist() == wanted


def test_restarts_are_where_they_should_be_whatever_the_factor():
    """At the first moment of every period the value is its highest, a little before the lowest."""
    for over, multiply in ((10, 1), (0.3, 1), (10, 1.1), (10, 2), (3, 1.5), (7, 1.01)):
        schedule, begin, length = schedules.CosineRestarts(1.0, over, multiply, 0.9), 0.0, over
        for k in range(60):
            assert schedule(begin) == pytest.approx(0.9**k, rel=1e-12), (over, multiply, k)
            assert schedule(begin + 0.999 * length) < 1e-5
            begin, length = begin + length, length * multiply


def test_a_join_counts_in_the_unit_of_its_schedules():
    joined = schedules.Join([0.1, schedules.Cosine(0.1, 5, unit="epoch")], [3])
    assert joined.unit == schedules.Product([2, joined]).unit == "epoch"
    steps, epochs = np.arange(6.0), np.array([0.0, 2.0, 3.0, 5.5, 8.0, 9.0])
    values = schedules.base.evaluate(joined, steps, epochs)
    np.testing.assert_allclose(values, [0.1, 0.1, 0.1, 0.05, 0, 0], rtol=1e-13, atol=1e-17)


def test_momentum_falls_while_the_rate_climbs():
    rate = schedules.OneCycle(0.1, 20, 0.3, three_phase=True, anneal="linear", unit="epoch")
    momentum = rate.momentum(0.8, 0.9)
    assert momentum.unit == "epoch"
    np.testing.assert_allclose(momentum([0, 3, 6, 9, 12, 15]), [0.9, 0.85, 0.8, 0.85, 0.9, 0.9])


# ---- The closed forms of Optax and Keras, written out. ----


def optax_warmup_cosine(t, cycle):
    init, peak, warmup, decay_steps, end = cycle
    if t < warmup:
        return init + (peak - init) * t / warmup
    t = min(t - warmup, decay_steps - warmup)
    alpha = end / peak
    decayed = 0.5 * (1 + math.cos(math.pi * t / (decay_steps - warmup)))
    return peak * ((1 - alpha) * decayed + alpha)


def optax_sgdr(t, cycles):
    for cycle in cycles[:-1]:
        if t < cycle[3]:
            return optax_warmup_cosine(t, cycle)
        t -= cycle[3]
    return optax_warmup_cosine(t, cycles[-1])


def optax_interpolated(t, init, scales, bend):
    """Values between points; each is the one before times its scale."""
    points, value = [(0, init)], init
    for at in sorted(scales):
        value *= scales[at]
        points.append((at, value))
    for (a, first), (b, last) in pairwise(points):
        if a <= t < b:
            return bend(first, last, (t - a) / (b - a))
    return value


def optax_line(first, last, part):
    return (last - first) * part + first


def optax_cosine(first, last, part):
    return last + (first - last) / 2 * (math.cos(math.pi * part) + 1)


def keras_restarts(t, initial, first_steps, *, t_mul, m_mul, alpha):
    """CosineDecayRestarts."""
    part = t / first_steps
    if t_mul == 1.0:
        restart = math.floor(part)
        part -= restart
    else:
        restart = math.floor(math.log(1 - part * (1 - t_mul)) / math.log(t_mul))
        part = (part - (1 - t_mul**restart) / (1 - t_mul)) / t_mul**restart
    cosine = 0.5 * m_mul**restart * (1 + math.cos(math.pi * part))
    return initial * ((1 - alpha) * cosine + alpha)


def keras_polynomial(t, initial, decay_steps, end, power):
    """PolynomialDecay(cycle=True)."""
    steps = decay_steps * (1.0 if t == 0 else math.ceil(t / decay_steps))
    return (initial - end) * (1 - t / steps) ** power + end


S = schedules
CYCLES = [(0.0, 1.0, 5, 20, 0.1), (0.05, 0.6, 3, 15, 0.0), (0.2, 0.4, 1, 30, 0.2)]
WRITTEN = {
    "optax sgdr_schedule": (
        S.Join([S.Warmup(S.Cosine(p, n - w, e), w, i) for i, p, w, n, e in CYCLES], [20, 35]),
        lambda t: optax_sgdr(t, CYCLES),
    ),
    "optax warmup_cosine_decay_schedule": (
        S.Warmup(S.Cosine(0.3, 40, 0.01), 10, start=0.02),
        lambda t: optax_warmup_cosine(t, (0.02, 0.3, 10, 50, 0.01)),
    ),
    "optax linear_onecycle_schedule": (
        S.Join(
            [S.Linear(0.3 / 25, 0.3, 15), S.Linear(0.3, 0.3 / 25, 27),
             S.Linear(0.3 / 25, 0.3 / 25 / 1e4, 8)], [15, 42],
        ),
        lambda t: optax_interpolated(t, 0.3 / 25, {15: 25, 42: 1 / 25, 50: 1e-4}, optax_line),
    ),
    "optax cosine_onecycle_schedule": (
        S.OneCycle(0.3, 50, rise=0.3),
        lambda t: optax_interpolated(t, 0.3 / 25, {15: 25, 50: 1 / 25e4}, optax_cosine),
    ),
    "optax polynomial_schedule, from 7 on": (
        S.Join([0.5, S.Polynomial(0.5, 0.1, 20, 3)], [7]),
        lambda t: (0.5 - 0.1) * (1 - min(max(t - 7, 0), 20) / 20) ** 3 + 0.1,
    ),
    "keras CosineDecayRestarts": (
        S.CosineRestarts(0.4, 7, 2.0, 0.7, end=0.4 * 0.1),
        lambda t: keras_restarts(t, 0.4, 7, t_mul=2.0, m_mul=0.7, alpha=0.1),
    ),
    "keras CosineDecayRestarts, equal periods": (
        S.CosineRestarts(0.4, 8, 1.0, 0.7, end=0.4 * 0.1),
        lambda t: keras_restarts(t, 0.4, 8, t_mul=1.0, m_mul=0.7, alpha=0.1),
    ),
    "keras PolynomialDecay, cycle": (
        S.Polynomial(0.4, 0.02, 13, 0.5, cycle=True),
        lambda t: keras_polynomial(t, 0.4, 13, 0.02, 0.5),
    ),
    "keras InverseTimeDecay": (S.InverseTime(0.4, 0.3, 6), lambda t: 0.4 / (1 + 0.3 * t / 6)),
    "keras InverseTimeDecay, staircase": (
        S.InverseTime(0.4, 0.3, 6, staircase=True),
        lambda t: 0.4 / (1 + 0.3 * math.floor(t / 6)),
    ),
    "keras ExponentialDecay": (
        S.Exponential(0.4, -math.log(0.7) / 6),
        lambda t: 0.4 * 0.7 ** (t / 6),
    ),
    "keras ExponentialDecay, staircase": (
        S.Step(0.4, 6, 0.7),
        lambda t: 0.4 * 0.7 ** math.floor(t / 6),
    ),
    "inverse root of Vaswani et al., their steps from 1": (
        S.Warmup(S.InversePower(0.4, 1 / 16, 0.5), 15, start=0.4 / 16),
        lambda t: 0.4 * 4 * min((t + 1) ** -0.5, (t + 1) * 16**-1.5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_schedules_of_other_libraries_can_be_written(name):
    ours, theirs = WRITTEN[name]
    times = np.arange(101)
    np.testing.assert_allclose(ours(times), [theirs(int(t)) for t in times], rtol=1e-12, atol=1e-15)


def test_epoch_schedules_read_the_epochs():
    steps, epochs = np.arange(6.0), np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    stairs = schedules.Step(1.0, 1, 0.5, unit="epoch")
    assert schedules.base.evaluate(stairs, steps, epochs).tolist() == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert schedules.base.evaluate(0.25, steps, epochs) == 0.25
    assert schedules.Warmup(stairs, 2).unit == "epoch"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: schedules.Cosine(0.1, 0), ValueError, r"over must be in \(0, inf\), got 0.0"),
        (lambda: schedules.Step(0.1, -3), ValueError, "every must be in"),
        (lambda: schedules.Constant(float("nan")), ValueError, "value must be in"),
        (lambda: schedules.Linear("0.1", 0.2, 3), TypeError, "start must be a number"),
        (lambda: schedules.Linear(0.1, 0.2, 3, unit="stp"), ValueError, 'did you mean "step"'),
        (lambda: schedules.Piecewise([0, 5, 5], [1, 2, 3]), ValueError, "boundaries must rise"),
        (lambda: schedules.Piecewise([5, 9], [1, 2]), ValueError, "first boundary must be 0"),
        (lambda: schedules.Piecewise([1, 2, 3, 4], [1, 2]), ValueError, "one boundary for each"),
        (lambda: schedules.Values([]), ValueError, "must not be empty"),
        (lambda: schedules.Values([0.1, float("inf")]), ValueError, "values must be in"),
        (lambda: schedules.OneCycle(0.1, 10, rise=1.0), ValueError, r"rise must be in \(0, 1\)"),
        (lambda: schedules.Function(lambda t: "x")([1, 2]), TypeError, "one number for each step"),
        (lambda: schedules.from_config({"schedule": "Cosin"}), ValueError, 'mean "Cosine"'),
        (lambda: schedules.from_config({"schedule": "Cosine"}), ValueError, "saved schedule"),
        (lambda: schedules.InverseTime(1, 1, 0), ValueError, r"over must be in \(0, inf\)"),
        (lambda: schedules.InverseTime(1, 1, 2, "yes"), TypeError, "staircase must be True or"),
        (lambda: schedules.Polynomial(1, 0, 2, cycle=1), TypeError, "cycle must be True or False"),
        (lambda: schedules.CosineRestarts(1, 2, 0.5), ValueError, r"multiply must be in \[1, inf"),
        (lambda: schedules.CosineRestarts(1, 2, 2, -1), ValueError, "decay must be in"),
        (lambda: schedules.Cyclic(0, 1, 2, 0), ValueError, "down must be in"),
        (lambda: schedules.Cyclic(0, 1, 2, mode="triangle"), ValueError, 'mean "triangular"'),
        (lambda: schedules.Cyclic(0, 1, 2, gamma=0.9), ValueError, 'belongs to mode="exp_range"'),
        (lambda: schedules.OneCycle(1, 9, 0.5, three_phase=True), ValueError, "must be below 0.5"),
        (lambda: schedules.OneCycle(1, 9, anneal="lin"), ValueError, 'mean "linear"'),
        (lambda: schedules.Join([1, 2], []), ValueError, "boundaries must not be empty"),
        (lambda: schedules.Join([1, 2], [3, 4]), ValueError, "2 schedules and 2 boundaries"),
        (lambda: schedules.Join([1, 2, 3], [4, 4]), ValueError, r"boundaries must rise, got \[4"),
        (lambda: schedules.Join([1, 2], [0]), ValueError, r"boundaries must be in \(0, inf"),
        (
            lambda: schedules.Join([1, "a"], [2]),
            TypeError,
            r"Join: schedules\[1\] must be a number",
        ),
        (lambda: schedules.Join(1, [2]), TypeError, "must be a list of schedules"),
        (
            lambda: schedules.Join(
                [schedules.Linear(0, 1, 2), schedules.Cosine(1, 2, unit="epoch")], [2]
            ),
            ValueError,
            "some schedules count steps, some epochs",
        ),
        (lambda: schedules.Product([]), ValueError, "schedules must not be empty"),
        (
            lambda: schedules.Warmup(schedules.Linear(0, 1, 2), 3, unit="epoch"),
            ValueError,
            "unit is 'epoch'",
        ),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()
