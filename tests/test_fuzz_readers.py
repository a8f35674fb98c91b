"""The fuzzing machine of tests/fuzz on a few seeds, and on readers that break the law.

STEEP_FUZZ_SEEDS sets the number of inputs of each reader; the default keeps the suite short, and
`python -m tests.fuzz` takes any number.
"""

import os
from collections import Counter

import pytest
from fuzz import machine, readers, worker

SEEDS = int(os.environ.get("STEEP_FUZZ_SEEDS", "120"))


@pytest.mark.parametrize("reader", readers.READERS)
def test_files_are_read_or_refused_in_words(reader):
    found = Counter()
    faults = list(machine.run(reader, 0, SEEDS, found, most=3))
    assert not faults, "\n".join(f"seed {seed}: {words}" for seed, words, _ in faults)
    assert found["read"] + found["refused"] == SEEDS
    assert found["refused"], "the changes must break something"
    assert found["read"], "the changes must leave something to read"


@pytest.mark.parametrize("reader", readers.READERS)
def test_a_seed_is_an_input(reader):
    files = worker.files_of(reader, 7)
    assert worker.files_of(reader, 7) == files
    assert any(worker.files_of(reader, seed) != files for seed in (8, 9, 10))


BROKEN = {
    "crash": ("os.abort()", "died with -6"),
    "hang": ("time.sleep(99)", "hangs"),
    "memory": ("held.append(b'x' * (200 << 20))", "took 2"),
    "no-name": ("raise ValueError('wrong')", "does not name the file: ValueError: wrong"),
    "kind": ("raise KeyError(str(folder))", "KeyError"),
    "slow": ("t = time.process_time()\n    while time.process_time() < t + 1: pass", "took 1."),
}  # fmt: skip
PLANTED = """
import os, sys, time
sys.path.insert(0, {tests!r})
from fuzz import readers, worker
worker.SECONDS, held = {seconds}, []
def read(folder, rng):
    if {bad!r} not in (folder / "file").read_bytes():
        raise ValueError(str(folder))
    {what}
readers.READERS["idx"] = readers.Reader(
    readers.READERS["idx"].files, read, None, lambda size, packed: 64 << 20)
worker.main()
"""


@pytest.mark.parametrize("kind", BROKEN)
def test_the_machine_finds_what_is_planted(kind, tmp_path):
    """A reader that is wrong where a file holds 00 00 08; the input shrinks to little more."""
    what, words = BROKEN[kind]
    bad = b"\x00\x00\x08"
    seconds = (
        0.5 if kind == "slow" else 30.0
    )  # what is not planted to be slow may be, on a busy machine
    code = PLANTED.format(tests=str(machine.TESTS), what=what, bad=bad, seconds=seconds)
    first = next(s for s in range(1, 100) if bad in worker.files_of("idx", s)["file"])
    quick = 3.0 if kind == "hang" else 60.0
    found = Counter()
    tries, patience = machine.TRIES, machine.PATIENCE
    try:
        machine.TRIES, machine.PATIENCE = (1 if kind in ("hang", "slow") else 60), quick
        options = {"keep": tmp_path, "code": code, "patience": quick, "most": 1}
        ((seed, said, files),) = machine.run("idx", first, first + 1, found, **options)
    finally:
        machine.TRIES, machine.PATIENCE = tries, patience
    assert (seed, found["fault"]) == (first, 1)
    assert said.startswith(words), said
    assert bad in files["file"]
    if kind == "no-name":
        assert files["file"] == bad
    assert (tmp_path / f"idx-{seed}" / "file").read_bytes() == files["file"]


def test_a_changed_network_is_noticed(tmp_path):
    """What is checked of a refused file: the bytes of the network it was to fill."""
    net = readers.dense().build(3, seed=3)

    def torn():
        net.load_state_dict({k: v * 2 + 1 for k, v in net.state_dict().items()})
        raise ValueError("refused")

    with pytest.raises(readers.Fault, match="changed the network"):
        readers.unchanged(net, torn)
