"""bench/builds.py times two builds in turn, divides within a round, looks twice at what is slow."""

import sys
from pathlib import Path

import pytest
import steep

BENCH = Path(__file__).parents[1] / "bench"
BUILD = str(Path(steep.__file__).resolve().parents[1])
QUICK = ["--case", "call/predict/small", "--threads", "1", "--min-time", "0.001"]


@pytest.fixture
def builds(monkeypatch):
    """The program as a module."""
    if not BENCH.is_dir():
        pytest.skip("bench/ is not here")
    monkeypatch.syspath_prepend(str(BENCH))
    import builds

    yield builds
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(BENCH)):
            del sys.modules[name]  # names such as `worker` are others' too


def test_a_ratio_is_taken_within_a_round(builds):
    """A machine that is three times as slow in one round changes nothing."""
    pair = builds.Pair("x", old=[1.0, 3.0, 1.0], new=[2.0, 6.0, 2.0])
    assert pair.ratios == [0.5, 0.5, 0.5]
    assert pair.ratio == 0.5


def test_the_bounds_of_a_median_are_the_ranks_of_tables(builds):
    """For 9 and 27 values: ranks 2 to 8 (96.1 %) and 8 to 20 (95.8 %)."""
    for count, low, high in ((9, 2, 8), (27, 8, 20)):
        values = [float(k + 1) for k in range(count)]
        assert builds.Pair("x", values, [1.0] * count).bounds == (low, high)
        assert not builds.Pair("x", values, [1.0] * count).sure


def test_the_worst_case_comes_first_and_last(builds):
    pairs = [builds.Pair("fine", [1.0] * 9, [1.0] * 9), builds.Pair("slow", [1.0] * 9, [1.25] * 9)]
    lines = builds.table(pairs, 0.98)
    assert lines[2].startswith("| slow | 1 s | 1.25 s | 0.800 | 0.800 to 0.800 | 0.0% | 0.800 |")
    closing = "2 cases: least ratio old/new 0.800, slow; 1 below 0.98, 1 of them surely"
    assert lines[-1] == f"{closing}, 0 cases undecided"


def test_both_builds_are_measured(builds, capsys):
    assert builds.main([BUILD, BUILD, *QUICK, "--least", "0.01"]) == 0
    said = capsys.readouterr().out
    assert "| call/predict/small |" in said
    assert "again" not in said


def test_what_is_slow_is_measured_again_and_fails(builds, capsys, monkeypatch):
    monkeypatch.setattr(builds, "MOST_LOOKS", 3)
    assert builds.main([BUILD, BUILD, *QUICK, "--least", "100"]) == 1
    said = capsys.readouterr().out
    assert "| again |" in said
    assert said.splitlines()[-1].endswith("1 below 100, 1 of them surely, 0 cases undecided")


def test_what_cannot_be_compared_is_refused(builds, tmp_path, capsys):
    assert builds.main([str(tmp_path), BUILD, *QUICK]) == 1
    assert str(tmp_path) in capsys.readouterr().out
    for wrong in (["--rounds", "8"], ["--case", "nothing"], ["--threads", "0"]):
        with pytest.raises(SystemExit):
            builds.main([BUILD, BUILD, *wrong])
