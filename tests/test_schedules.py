"""Schedules: their formulas, their bits, their configuration, and what they refuse."""

import json

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
