"""The laws on a few random networks each; ``python -m tests.hunt`` tries them on any number.

Cases run in worker processes, so that a crash is a failure with a seed and not the end of pytest.
"""

import pytest
from hunt.__main__ import Hunt
from laws import concurrency, memory, parity, table
from random_networks import case


def seeds(law):
    """Return the first seeds the law is tried on, as many as it has time for here."""
    return [k * law.every for k in range(law.few)]


@pytest.mark.parametrize("name", table.LAWS)
def test_law(name):
    if name.startswith("parity") and not hasattr(parity, "torch"):
        pytest.skip("no PyTorch")
    law, said = table.LAWS[name], []
    hunt = Hunt(seeds(law), [name], shrink=10.0, report=said.append).run(2)
    assert not hunt.failures, "\n".join(said)
    # A law that leaves out nearly everything says nothing.
    assert 4 * hunt.counts[name, "held"] >= law.few, hunt.skipped


READ_BY_MANY = (50, 250)  # a dense network and one of images, with a rule that looks ahead


@pytest.mark.parametrize("seed", READ_BY_MANY)
def test_many_readers_beside_a_training(seed):
    """Two seconds in all; ``concurrency.drive(case, 60)`` is the same as a record."""
    counts = concurrency.drive(case(seed), 1.0)
    assert set(counts) == set(concurrency.KINDS)
    assert all(counts.values()), counts


def test_dropped_networks_and_data_leave_no_memory():
    """Twelve rounds of 30 MB stay within one and a half: no cycle keeps them alive."""
    before, first, *_, last = memory.peaks(12, 30)
    assert first - before > 25, "a round takes its data"
    assert last - before < 1.5 * (first - before)
