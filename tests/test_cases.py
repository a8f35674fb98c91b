"""Tables of cases and of rules are complete, and benchmark cases are what their names say."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import cases
import cases_layers
import cases_ops
import numpy as np
import pytest
import reference
from steep import _core, benchmarks, layers, losses, optimizers
from steep.benchmarks import native
from steep.exporting.activations import ACTIVATIONS
from steep.exporting.rows import NOT_EXPORTABLE, ROWS


def test_every_activation_has_a_formula():
    assert set(reference.ACTIVATIONS) == set(_core.activations())
    assert set(cases.TRIED) <= set(cases.ACTIVATIONS)


def test_every_op_has_a_row():
    assert {row.split()[0] for row in cases_ops.OPS} == set(_core.ops())


def test_every_loss_has_a_row_and_a_formula():
    assert set(reference.LOSSES) == set(_core.losses())
    assert {row.loss.name for row in cases.LOSSES.values()} == set(_core.losses())
    assert {type(row.loss) for row in cases.LOSSES.values()} == set(losses.TABLE.values())


def test_every_rule_has_a_row_and_a_formula():
    assert set(_core.rules()) <= set(cases.RULES)
    assert set(_core.rules()) == set(reference.RULES)
    made = {made for made in optimizers.TABLE.values() if isinstance(made, type)}
    assert {type(row.optimizer) for row in cases.RULES.values()} == made


def bytes_moved(rule):
    """Return the bytes a parameter moves: weight and slots are read and written.

    The second of two passes reads the weights again, the gradient that the first one wrote where
    it is kept, and the slots where the direction is made of them anew.
    """
    found = _core.rules()[rule]
    slots = len(found["slots"])
    again = 0 if found["passes"] == 1 else 4 + 8 * found["keeps_gradient"]
    if rule in ("lamb", "adafactor_vector"):
        again += 4 * slots
    if found["orthogonal"]:  # the direction is written and read, no weight before
        again += 4
    if found["factored"]:  # the direction is written and read; slots are a row and a column
        again += 8 - 8 * slots
    return 8 * (1 + slots) + again


def rows_of_the_document():
    """Return the table of rules in docs/algorithms.md: for each row its cells by column."""
    text = (Path(__file__).parent.parent / "docs/algorithms.md").read_text(encoding="utf-8")
    table = re.search(r"## The table of rules\n.*?\n\n(\| rule .*?)\n\n", text, re.DOTALL)[1]
    cells = [[cell.strip(" `") for cell in line[1:-1].split("|")] for line in table.split("\n")]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_the_document_has_every_rule_and_every_optimizer():
    rows = rows_of_the_document()
    made = [eval(row["as"], vars(optimizers)) for row in rows]
    assert {row["rule"] for row in rows} == set(_core.rules())
    assert {type(optimizer) for optimizer in made} == {
        kind for kind in optimizers.TABLE.values() if isinstance(kind, type)
    }
    for row, optimizer in zip(rows, made, strict=True):
        slots = _core.rules()[row["rule"]]["slots"]
        assert optimizer.rule == row["rule"]
        assert row["slots"] == (", ".join(slots) or "–")
        assert int(row["bytes"]) == bytes_moved(row["rule"]), row["rule"]
        plain = type(optimizer)()
        for given in row["defaults"].split(", "):
            name, value = given.split(" ")
            assert float(value) == getattr(plain, name), row["rule"]


@pytest.mark.parametrize("name", benchmarks.cases.STREAMS)
def test_the_benchmark_of_a_rule_counts_its_streams(name):
    """Beside what a rule moves, the gradient is read; by one that keeps it, not written first."""
    rule = optimizers.get(name).rule
    if _core.rules()[rule]["factored"]:  # not of a vector
        rule += "_vector"
    found = _core.rules()[rule]
    moved = bytes_moved(rule) - 4 * found["orthogonal"]
    assert 4 * (benchmarks.cases.STREAMS[name] - (not found["keeps_gradient"])) == moved


@pytest.mark.parametrize("name", cases.RULES)
def test_an_optimizer_takes_the_native_rule_its_row_names(name):
    assert cases.RULES[name].optimizer.rule == (cases.RULES[name].rule or name)


def test_every_layer_has_a_row():
    rows = [*cases_layers.LAYERS, *cases_layers.TOKENS]
    used = {name for row in rows for name in row.split() if name in layers.__all__}
    assert used == set(layers.__all__) - {"Layer"}


def test_benchmark_cases_are_found_by_name():
    names = [case.name for case in benchmarks.CASES]
    assert len(set(names)) == len(names)
    assert [benchmarks.find(name) for name in names] == list(benchmarks.CASES)


ODD = "conv/6-4,3x2,7x5,b3,s2,p1,g2"


def test_a_convolution_of_any_size_has_a_case():
    case = benchmarks.find(f"{ODD}/backward_data")
    assert case.name == f"{ODD}/backward_data"
    assert (case.x, case.w, case.y) == ((3, 7, 5, 6), (3, 2, 3, 4), (3, 4, 3, 4))
    taps = sum(
        0 <= 2 * p - 1 + i < 7 and 0 <= 2 * q - 1 + j < 5
        for p, q, i, j in product(range(4), range(3), range(3), range(2))
    )
    assert case.flops == 2 * 3 * taps * 3 * 4


@pytest.mark.parametrize(
    "name",
    [
        "conv/6-4,3x2,7x5,b3/sideways",
        "conv/6-4,3x2,7x5,b0/forward",
        "conv/6-4,3x2,7x5,b3,g4/forward",  # 6 channels are no 4 groups
        "conv/6-4,9x9,7x5,b3/forward",  # the window is larger than the image
        "conv/6-4,3x2,7x5/forward",
    ],
)
def test_a_convolution_that_cannot_be_done_has_no_case(name):
    with pytest.raises(ValueError, match="no benchmark case starts with"):
        benchmarks.find(name)


@pytest.mark.parametrize(
    "name",
    [
        "conv/1-6,5x5,8x8,b2,p2",
        "conv/5-4,3x2,7x5,b3,s2,p1",
        "conv/20-36,3x3,6x6,b2,p1",
        ODD,
        "conv/6-6,3x3,5x5,b2,p1,g6",
    ],
)
def test_the_benchmark_of_a_convolution_does_what_it_says(name):
    for direction in ("forward", "backward_data", "backward_weights", "transposed"):
        case = benchmarks.find(f"{name}/{direction}")
        x, w, dy = (a.astype(np.float64) for a in benchmarks.convolution_data(case))
        wide = np.pad(x, ((0, 0), *[(case.padding, case.padding)] * 2, (0, 0)))
        dx, dw, y = np.zeros_like(wide), np.zeros_like(w), np.zeros_like(dy)
        inputs, outputs = case.channels // case.groups, case.filters // case.groups
        for g, i, j in product(range(case.groups), *map(range, case.kernel)):
            ins, outs = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
            at = (
                slice(None),
                slice(i, i + case.stride * (case.y[1] - 1) + 1, case.stride),
                slice(j, j + case.stride * (case.y[2] - 1) + 1, case.stride),
                ins,
            )
            y[..., outs] += wide[at] @ w[i, j, :, outs]
            dx[at] += dy[..., outs] @ w[i, j, :, outs].T
            dw[i, j, :, outs] += np.tensordot(wide[at], dy[..., outs], ([0, 1, 2], [0, 1, 2]))
        high, across = (slice(case.padding, case.padding + n) for n in case.size)
        results = {"forward": y, "backward_data": dx[:, high, across], "backward_weights": dw}
        results["transposed"] = results["backward_data"]
        expected = np.square(results[direction]).mean()
        assert native.prepare(case, _core.get_num_threads()).check == pytest.approx(expected, 1e-5)


@pytest.mark.parametrize(("name", "parameters"), [("lenet5", 61_706), ("resnet20", 269_722)])
def test_the_benchmark_of_a_network_is_the_one_of_the_zoo(name, parameters):
    case = benchmarks.find(name)
    assert case.parameters == parameters
    few = replace(case, batch=4, batches=2)
    trainer, fit = native.image_trainer(few, benchmarks.image_data(few))
    before = trainer.net.state_dict()
    assert trainer.net.num_parameters == parameters
    fit(8, 1)
    after = trainer.net.state_dict()
    assert not [key for key in before if np.array_equal(before[key], after[key])]


def test_every_op_has_a_row_of_onnx_or_says_why_not():
    """A new op of the core gets a row in steep/exporting/rows.py."""
    assert {*ROWS, *NOT_EXPORTABLE} == {*_core.ops(), "concat"}
    assert not set(ROWS) & set(NOT_EXPORTABLE)


def test_every_activation_has_a_row_of_onnx():
    """A new activation gets a row in steep/exporting/activations.py."""
    assert set(ACTIVATIONS) == set(_core.activations())
