"""docs/rules.py: it knows every rule, finds the best rate, keeps its runs, prints the tables."""

import importlib.util
import json
from pathlib import Path

import pytest
from steep import optimizers

SCRIPT = Path(__file__).parent.parent / "docs" / "rules.py"


@pytest.fixture(scope="module")
def rules():
    about = importlib.util.spec_from_file_location("rules_script", SCRIPT)
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def test_every_rule_is_known(rules):
    made = rules.rules()
    classes = {kind for kind in optimizers.TABLE.values() if isinstance(kind, type)}
    assert {type(one) for one in made.values()} == classes
    assert made["SGD(momentum=0.9)"] == optimizers.SGD(momentum=0.9)
    assert all(isinstance(one.lr, float) for one in made.values())


@pytest.mark.parametrize("peak", [-20, -9, 0, 1, 4, 13])
def test_climbing_ends_where_both_neighbours_are_worse(rules, peak):
    def run(k):
        if k > peak + 3:
            return {"diverged": 3}
        return {"valid": 1 - abs(k - peak) / 100, "loss": 1.0}

    first = {k: run(k) for k in rules.COARSE}
    half = rules.climb(run, first, 2)
    assert abs(half - peak) <= 1
    assert rules.climb(run, {half: run(half)}, 1) == peak


def test_equal_accuracies_leave_it_to_the_loss(rules):
    runs = {0: {"valid": 0.1, "loss": 2.3}, 2: {"valid": 0.1, "loss": 2.2}, 4: {"diverged": 1}}
    assert max(runs, key=lambda k: rules.score(runs[k])) == 2


def test_a_quick_run_and_its_resumption(rules, tmp_path, capsys, monkeypatch):
    path = tmp_path / "runs.json"
    call = ["--quick", "--networks", "mlp", "--results", str(path)]
    assert rules.main(call) == 0
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("| `")]
    assert sorted(line.split("|")[1] for line in lines) == [" `Adam()` ", " `SGD()` "]
    runs = json.loads(path.read_text())["runs"]
    assert len(runs) >= 2 * (len(rules.COARSE) + 1 + 2)
    for line in lines:
        name, test = line.split("|")[1].strip(" `"), float(line.split("|")[5])
        of_rule = [run for key, run in runs.items() if f" {name} long 256x1 " in key]
        best = max(of_rule, key=rules.score)
        assert test == pytest.approx(100 * best["test"], abs=0.01)

    def never(*arguments, **named):
        raise AssertionError("was run again")

    monkeypatch.setattr(rules.Bench, "train", never)
    assert rules.main(call) == 0
    assert capsys.readouterr().out == printed
    with pytest.raises(SystemExit, match="Name another file"):
        rules.main([*call, "--batch", "32"])
