"""Random trainings of the generator on the GPU, or on its emulation: the CPU's bytes.

Whatever they are, as chains in one block, with data that are streamed, by second derivatives.
"""

from collections import Counter
from dataclasses import replace
from itertools import count, islice

import cases
import devices
import pytest
import random_chains
import random_networks
import steep
from described import code
from laws import on_cuda, playing, recording, table

pytestmark = devices.NEEDED
COUNT = 40
LAWS = [name for name, law in table.LAWS.items() if law.cuda]


def drawn():
    """Yield cases that both devices take, and their seeds."""
    for seed in range(7000, 8000):
        case = random_networks.case(seed)
        if not on_cuda.OTHERS.search(case.program()):
            kept = tuple(option for option in case.options if option[0] != "precision")
            yield pytest.param(replace(case, options=kept), id=str(seed))


CASES = [case for case, _ in zip(drawn(), range(COUNT), strict=False)]


def on(case, device):
    return replace(case, options=(*case.options, ("device", device)))


@pytest.mark.parametrize("case", CASES)
def test_random_trainings(case):
    found = [playing.trained(on(case, device)).trace for device in ("cpu", "cuda")]
    playing.same(found[1], found[0], case.program())


@pytest.mark.parametrize("case", CASES)
def test_random_trainings_recorded(case):
    """A recorder changes nothing, and its rows are the CPU's; or it is refused before a step."""
    every, found = 1 + case.seed % 3, []
    for device in ("cpu", "cuda"):
        try:
            run, recorder = recording.recorded(on(case, device), 1, every)
        except playing.Skip as error:
            found.append(str(error))
            continue
        found.append({**run.trace, **recording.columns(recorder)})
    if isinstance(found[0], str):
        assert found[1] == found[0]
        pytest.skip(found[0])
    playing.same(found[1], found[0], case.program())
    plain = playing.trained(on(case, "cuda")).trace
    playing.same({name: found[1][name] for name in plain}, plain, case.program())


@pytest.mark.parametrize("name", LAWS)
def test_laws_of_a_block_and_of_streams(name):
    """They hold, and of every three cases one at least is a case of theirs.

    A chain that left its block and data that were not streamed are breaches: see `on_cuda`.
    """
    law, held, skipped = table.LAWS[name], 0, Counter()
    for seed in islice((seed for seed in count(8000) if law.tries(seed)), 3 * law.few):
        try:
            law.check(random_networks.case(seed))
        except playing.Skip as reason:
            skipped[str(reason)] += 1
        else:
            held += 1
        if held == law.few:
            return
    raise AssertionError(f"held {held}, skipped {skipped}")


def test_chains_have_every_loss_and_rule_of_one_block():
    chains = [random_chains.chain(random_networks.case(seed)) for seed in range(600)]
    trainers = [chain.make()["trainer"] for chain in chains]
    rules = steep._core.rules()
    assert {t.optimizer.rule for t in trainers} == {r for r in rules if rules[r]["passes"] == 1}
    assert {t.loss.name for t in trainers} == {row.loss.name for row in cases.LOSSES.values()}
    text = "\n".join(code(value) for chain in chains for value in (*chain.body, chain.options))
    for word in ("Residual", "Dropout", "Sequential", "Rescale", "Normalize", "Fork", "clip_norm"):
        assert word in text, word


# ---- Tests of the machine: what it must find. ----


def test_a_chain_that_goes_by_graphs_breaks_its_law(monkeypatch):
    monkeypatch.setenv("STEEP_RESIDENT", "off")
    with pytest.raises(playing.Broken, match="steps by graphs: STEEP_RESIDENT=off"):
        on_cuda.resident(random_networks.case(8000))


def test_data_that_lie_there_break_the_law_of_streams(monkeypatch):
    monkeypatch.setattr(on_cuda, "sizes", lambda *_: iter(["resident"] * 3))
    with pytest.raises(playing.Broken, match="not streamed"):
        on_cuda.streamed(random_networks.case(8000))


def test_another_byte_breaks_the_laws(monkeypatch):
    def one_off(case, right=playing.trained):
        run = right(case)
        if case.option("device"):
            run.trace["losses of steps"] = b"!" + run.trace["losses of steps"][1:]
        return run

    monkeypatch.setattr(on_cuda, "trained", one_off)
    for law in (on_cuda.resident, on_cuda.streamed, on_cuda.second_order):
        with pytest.raises(playing.Broken, match="not the same bytes: losses of steps"):
            law(random_networks.case(8000))


def test_another_byte_of_a_product_breaks_the_law(monkeypatch):
    def one_off(case, right=on_cuda.derived):
        found = right(case)
        return {**found, "jvp of outputs": b"!"} if case.option("device") else found

    monkeypatch.setattr(on_cuda, "derived", one_off)
    with pytest.raises(playing.Broken, match="not the same bytes: jvp of outputs"):
        on_cuda.products(random_networks.case(8000))
