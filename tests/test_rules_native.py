"""Every native rule against its formula, one step at a time and knob by knob.

Here a knob has a value that no optimizer would give it, so that no two can be confused. The paths
of whole runs, with the knobs that optimizers give: `test_golden_rules.py`, `test_kernels.py`.
"""

from types import SimpleNamespace

import cases
import numpy as np
import pytest
import reference
from cases import PRECISIONS, UNIT
from steep import _core

SIZE = 45  # two vectors of AVX-512 and a part of a third
NAMES = tuple(name for name, rule in _core.rules().items() if not rule["factored"])
LOOKING_AHEAD = [name for name in NAMES if _core.rules()[name]["look_ahead"]]


def some_knobs(name, seed, eps=True):
    """Any values in [0.1, 0.9], which float32 holds exactly; eps and starts of slots may be 0."""
    names = _core.rules()[name]["knobs"]
    values = np.random.default_rng(seed).integers(26, 230, len(names)) / 256
    values[[name == "ns_steps" for name in names]] = 1
    zeroed = [not eps and name.startswith(("eps", "first")) for name in names]
    return np.where(zeroed, 0.0, values)


def slots_of(name, sweep):
    return {slot: sweep.slot(slot).astype(np.float64) for slot in _core.rules()[name]["slots"]}


def named_knobs(name, seed, before):
    """Return any knobs by name; `look` is the `look_next` of the step before, as it must be."""
    named = dict(zip(_core.rules()[name]["knobs"], some_knobs(name, seed), strict=True))
    if name in LOOKING_AHEAD and before:
        named["look"] = before["look_next"]
    return named


def gradient(seed, precision, size=SIZE):
    return np.random.default_rng(seed).normal(size=size).astype(precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("scale", "decay"), [(1.0, 0.0), (0.625, 0.0), (0.625, 0.125)])
@pytest.mark.parametrize("name", NAMES)
def test_each_step_is_the_formula(name, scale, decay, precision):
    """Each step starts from the rule's own state, so that no error is carried on."""
    sweep = _core.Sweep(name, gradient(0, precision))
    named = {}
    for step in range(1, 5):
        w, slots = sweep.w.astype(np.float64), slots_of(name, sweep)
        g, named = gradient(step, precision), named_knobs(name, step, named)
        assert sweep.step(g, np.array([*named.values()]), scale, decay)
        g64, knobs = scale * g.astype(np.float64), SimpleNamespace(**named, decay_now=decay)
        want, new = reference.update(name, w, g64, slots, knobs)
        # A step is a sum of a few terms, none above 8, each of up to 16 rounded factors.
        bound = dict(rtol=16 * UNIT[precision], atol=8 * 16 * UNIT[precision])
        np.testing.assert_allclose(sweep.w, want, **bound)
        assert slots_of(name, sweep).keys() == new.keys()
        for slot, value in slots_of(name, sweep).items():
            np.testing.assert_allclose(value, new[slot], err_msg=slot, **bound)
        if name in LOOKING_AHEAD:
            point = sweep.w.astype(np.float64) + named["look_next"] * sweep.slot("v")
            np.testing.assert_allclose(sweep.point, point, **bound)
        else:
            assert sweep.point.tobytes() == sweep.w.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_weights_without_gradient_stay_put_even_without_eps(name, precision):
    """0/0 counts as 0: padding, and weights that no sample has reached yet."""
    start = gradient(0, precision)
    sweep = _core.Sweep(name, start)
    g = gradient(1, precision)
    g[::3] = 0
    assert sweep.step(g, some_knobs(name, 2, eps=False))
    assert sweep.w[::3].tobytes() == start[::3].tobytes()
    if not cases.RULES[name].starts_by_eps:
        others = np.arange(SIZE) % 3 != 0
        assert np.all(sweep.w[others] != start[others])


@pytest.mark.parametrize("name", NAMES)
def test_float32_squares_that_vanish_do_not_blow_up(name):
    """1e-30 squared is 0 in float32, and 1e-30/0 would be infinite."""
    start = gradient(0, "float32")
    sweep = _core.Sweep(name, start)
    knobs = some_knobs(name, 2, eps=False)
    assert sweep.step(np.full(SIZE, 1e-30, np.float32), knobs)
    if not cases.RULES[name].scale_free:
        assert sweep.w.tobytes() == start.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_a_weight_that_is_not_finite_is_reported_wherever_it_is(name, bad, precision):
    for at in range(SIZE):
        g = gradient(1, precision)
        g[at] = bad
        assert not _core.Sweep(name, gradient(0, precision)).step(g, some_knobs(name, 2))
    largest = np.full(SIZE, np.finfo(precision).max, precision)
    largest[1::2] *= -1
    assert _core.Sweep(name, largest).step(np.zeros(SIZE, precision), some_knobs(name, 2))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [name for name in NAMES if not cases.RULES[name].whole])
def test_a_weight_does_not_depend_on_its_place_or_its_neighbours(name, precision):
    start, g = gradient(0, precision), gradient(1, precision)
    turned = _core.Sweep(name, start[::-1].copy())
    whole = _core.Sweep(name, start)
    for step in (2, 3):
        whole.step(g, some_knobs(name, step), 0.75, 0.25)
        turned.step(g[::-1].copy(), some_knobs(name, step), 0.75, 0.25)
    assert turned.w[::-1].tobytes() == whole.w.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_s1_row76_adam_without_first_moment_is_rmsprop_to_the_bit(precision):
    start = gradient(0, precision)
    adam_sweep, rms = _core.Sweep("adam", start), _core.Sweep("rmsprop", start)
    for step in range(1, 6):
        g = gradient(step, precision)
        rms.step(g, np.array([0.1, 0.9, 1 - 0.9, 1e-10, 1e-8]))
        adam_sweep.step(g, np.array([0.1, 0.0, 1.0, 0.9, 1 - 0.9, 1.0, 1e-10, 1e-8]))
        assert adam_sweep.w.tobytes() == rms.w.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_look_ahead_moves_the_point_and_not_the_weights(name, precision):
    start = gradient(0, precision)
    sweep = _core.Sweep(name, start)
    assert sweep.point.tobytes() == sweep.w.tobytes() == start.tobytes()  # v is 0 yet
    assert sweep.step(gradient(1, precision), some_knobs(name, 2))
    assert np.all(sweep.point != sweep.w)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_how_far_it_looks_does_not_change_what_a_gradient_does(name, precision):
    """With given gradients w and the slots go as without a look ahead, to the bit in the slots."""
    ahead, plain = (_core.Sweep(name, gradient(0, precision)) for _ in range(2))
    knobs, start, moved = {}, ahead.w.astype(np.float64), 0.0
    for step in range(1, 40):
        before = plain.w.astype(np.float64)
        g, knobs = gradient(step, precision) / 8, named_knobs(name, step, knobs)
        decay = 0.0 if reference.RULES[name] in reference.OWN_DECAY else 1 / 64  # that of the point
        assert ahead.step(g, np.array([*knobs.values()]), 0.5, decay)
        blind = knobs | {"look": 0, "look_next": 0}
        assert plain.step(g, np.array([*blind.values()]), 0.5, decay)
        moved += np.abs(plain.w - before)
        for slot in _core.rules()[name]["slots"]:
            assert ahead.slot(slot).tobytes() == plain.slot(slot).tobytes()
    # Of each step: w from the point, decay, the step, the point; none above start, moves and look.
    largest = np.abs(start) + moved + np.abs(ahead.slot("v")).max() + moved.max()
    assert np.all(np.abs(ahead.w - plain.w) <= 40 * 6 * UNIT[precision] * largest)
