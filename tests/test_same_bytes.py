"""The comparison of two builds says "the same" of the same, and tells of what it must."""

from pathlib import Path

import pytest
import same_bytes
import steep

BUILD = str(Path(steep.__file__).resolve().parents[1])
FEW = ["rule/nesterov", "conv/winograd", "dense/dropout"]
QUICK = [word for name in FEW for word in ("--only", name)] + ["--isa", "baseline"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What this build makes of a few trainings, in a file."""
    path = tmp_path_factory.mktemp("kept") / "hashes.json"
    assert same_bytes.main([BUILD, "--write", str(path), *QUICK]) == 0
    return str(path)


def test_a_build_equals_itself(kept, capsys):
    assert same_bytes.main([BUILD, "--against", kept, *QUICK]) == 0
    closing = "3 trainings (9 hashes, 0 only new): the same bytes"
    assert capsys.readouterr().out.splitlines()[-1] == closing


def test_another_seed_is_seen_in_every_training_with_any_threads(kept, capsys):
    assert same_bytes.main([BUILD, "--against", kept, "--seed", "1", *QUICK]) == 1
    said = capsys.readouterr().out
    for name in FEW:
        for threads in same_bytes.THREADS:
            assert f"{name}, baseline, {threads} threads: other losses, weights" in said
    assert said.splitlines()[-1].endswith("9 DIFFERENCES")


PARTS = {"1": {"all": "a", "weights": "b"}, "2": {"all": "a", "weights": "b"}}
TRAINED = {"parts": PARTS}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"error": "crashed: SIGSEGV"}, TRAINED, "x: old build: crashed: SIGSEGV"),
        (TRAINED, {"error": "ValueError: no"}, "x: new build: ValueError: no"),
        (TRAINED, {"absent": "steep.layers.Gone"}, "x: the new build has no steep.layers.Gone"),
        (
            TRAINED,
            {"parts": {**PARTS, "2": {"all": "c", "weights": "d"}}},
            "x: new build: 2 threads give other bytes than 1",
        ),
    ],
)
def test_what_is_wrong_is_told(old, new, told):
    wrong, fresh = same_bytes.differences({"x": old}, {"x": new})
    assert told in wrong
    assert not fresh


def test_what_only_the_new_build_has_is_no_difference():
    absent = {"absent": "steep.optimizers.Tiger"}
    assert same_bytes.differences({"x": absent}, {"x": TRAINED, "y": TRAINED}) == ([], ["x", "y"])


CRASHING = """
import json, os, sys

def answer(**line):
    print(json.dumps(line), flush=True)

names = json.load(sys.stdin)["names"]
answer(hello={"path": PATH, "names": ["a", "b", "c"], "isa": "avx2", "isas": ["avx2"]})
for name in names:
    answer(begin=name)
    if name == "b":
        os.abort()
    answer(name=name, parts={})
answer(untried=["Forgotten"], used=["Tried"])
"""


def test_a_crash_is_the_answer_of_its_training_and_no_other(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text(CRASHING.replace("PATH", repr(str(tmp_path))))
    monkeypatch.setattr(same_bytes, "WORKER", worker)
    played = same_bytes.play(tmp_path)
    assert [answer.get("error") for answer in played.answers.values()] == [
        None,
        "crashed: SIGABRT",
        None,
    ]
    assert played.untried == {"Forgotten"}


def test_a_folder_without_a_build_is_refused(tmp_path, capsys):
    assert same_bytes.main([str(tmp_path), "--against", "none", *QUICK]) == 1
    assert str(tmp_path) in capsys.readouterr().out


def test_every_public_class_is_in_a_training():
    """The whole comparison tells it by name; here it costs one process and no second build."""
    played = same_bytes.play(BUILD, threads=[1], isas=[steep.info()["isa"]])
    assert not played.untried, "add a row to tests/trainings.py"
    failed = {name: a for name, a in played.answers.items() if "parts" not in a}
    assert not failed
    assert len(played.answers) >= 40
