"""The laws on a few random networks each; ``python -m tests.hunt`` tries them on any number.

Cases run in worker processes, so that a crash is a failure with a seed and not the end of pytest.
"""

from itertools import count, islice

import pytest
from hunt.__main__ import Hunt
from hunt.crew import Worker
from laws import concurrency, memory, on_cuda, table
from random_networks import case

# Softmax before cross-entropy, batches of one under BatchNorm: meant in random networks.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def seeds(law):
    """Return the first seeds the law is tried on, as many as it has time for here."""
    return list(islice((seed for seed in count() if law.tries(seed)), law.few))


@pytest.fixture(scope="module")
def workers():
    """Two processes that try laws for all tests here."""
    crew = [Worker(), Worker()]
    yield crew
    for worker in crew:
        worker.stop()


@pytest.mark.parametrize("name", table.LAWS)
def test_law(name, workers):
    if name.startswith("parity"):
        pytest.importorskip("torch")
    if name in ("exported", "returned"):
        pytest.importorskip("onnxruntime")
    law, said = table.LAWS[name], []
    if law.cuda and (reason := on_cuda.lacking()):
        pytest.skip(reason)
    hunt = Hunt(seeds(law), [name], shrink=10.0, report=said.append).run(workers)
    assert not hunt.failures, "\n".join(said)
    # A law that leaves out nearly everything says nothing.
    assert 4 * hunt.counts[name, "held"] >= law.few, hunt.skipped


def readable(kind):
    """Return the first case with such a layer that the law on readers speaks of."""
    for seed in count():
        found = case(seed)
        if found.uses(kind) and concurrency.reason(found) is None:
            return found


@pytest.mark.parametrize("kind", ["Dense", "BatchNorm"])
def test_many_readers_beside_a_training(kind):
    """Two seconds in all; ``concurrency.drive(case, 60)`` is the same as a record."""
    counts = concurrency.drive(readable(kind), 1.0)
    assert set(counts) == set(concurrency.KINDS)
    assert all(counts.values()), counts


def test_dropped_networks_and_data_leave_no_memory():
    """Twelve rounds of 30 MB stay within one and a half: no cycle keeps them alive."""
    before, first, *_, last = memory.peaks(12, 30)
    assert first - before > 25, "a round takes its data"
    assert last - before < 1.5 * (first - before)
