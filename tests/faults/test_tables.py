"""Targets and columns as tables hold them, and arguments that were taken for something else."""

import decimal

import numpy as np
import pytest
from steep import data, lab, schedules

WORDS = ["oslo", "bonn", "rome"]


def objects(values):
    out = np.empty(len(values), object)
    out[:] = values
    return out


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        (WORDS * 4, WORDS * 4),
        ([True, False] * 4, [True, False] * 4),
        ([1, 2] * 4, [1.0, 2.0] * 4),
        ([1.5, 2] * 4, [1.5, 2.0] * 4),
        ([decimal.Decimal("1.5"), 2.25] * 4, [1.5, 2.25] * 4),
        ([np.float32(1.5), 3, True] * 4, [1.5, 3.0, 1.0] * 4),
    ],
)
def test_f36_targets_in_object_columns_are_what_they_hold(values, plain):
    got, want = data.read_target(objects(values), "y"), data.read_target(np.array(plain), "y")
    assert (got.task, got.classes) == (want.task, want.classes)
    np.testing.assert_array_equal(got.y, want.y)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        (None, ValueError, "city: the value at row 4 is missing"),
        (3.0, TypeError, r"city: expected text or numbers, got text \('oslo'\) at row 0; make all"),
        ([], TypeError, r"city: expected text or numbers"),
    ],
)
def test_f36_targets_that_are_neither_are_named(entry, error, message):
    values = objects([*WORDS, "oslo", *WORDS])
    values[4] = entry
    if entry is None:
        values = objects([1, 2, 3, 4, None])
    with pytest.raises(error, match=message):
        data.read_target(values, "city")


def test_f36_targets_of_pandas():
    pd = pytest.importorskip("pandas")
    for column in (
        pd.Series(WORDS * 4),
        pd.Categorical(WORDS * 4),
        pd.Series(WORDS * 4, dtype="O"),
    ):
        target = data.read_target(column, "city")
        assert target.classes == ("bonn", "oslo", "rome")
        assert target.y.tolist() == [1, 0, 2] * 4


def test_f37_positions_of_columns_are_ints(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "1,2.5,x\n3,4.5,y\n5,6.5,x\n1,2.5,y\n")
    assert data.read_csv(path, np.int64(1), drop="c").features == ("a",)
    assert data.read_csv(path, "1", drop=(2,)).features == ("a",)
    assert data.read_csv(path, "b", drop=2).features == ("a",)
    for wrong in (True, 1.5, None, np.array(2.5)):
        with pytest.raises(TypeError, match="target must be a column's name or its position"):
            data.read_csv(path, wrong)
    for wrong in (3, -4, 2**31, 2**64, -(2**64), "d"):
        with pytest.raises(ValueError, match=r"no target column .*the columns are 'a', 'b', 'c'"):
            data.read_csv(path, wrong)


def test_shares_and_classes_of_a_split_are_checked():
    for name in ("test", "validation"):
        for wrong in ("0.1", True, None):
            with pytest.raises(TypeError, match=f"split: {name} must be a number"):
                data.split(10, **{name: wrong})
    with pytest.raises(ValueError, match="classes must have 10 entries, got 9"):
        data.split(10, classes=np.zeros(9))


def test_schedules_take_no_text_and_no_time_before_the_first():
    for text in ("0.1", b"0.1"):
        with pytest.raises(TypeError, match="must return one number for each step, got"):
            schedules.Function(lambda t, text=text: text)(3)
    values = schedules.Values([3.0, 2.0, 1.0])
    assert values(np.array([-5, 0, 1.9, 2, 99])).tolist() == [3, 3, 2, 1, 1]


def test_a_path_that_is_no_path_is_refused():
    with pytest.raises(ValueError, match="behaviour: path must be finite"):
        lab.behaviour([[1.0], [np.nan], [2.0]])
    with pytest.raises(ValueError, match="tolerance must be in"):
        lab.behaviour([[1.0], [3.0], [2.0]], tolerance=-1.0)
