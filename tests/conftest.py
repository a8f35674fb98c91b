"""Fixtures that several test files use, and how the suite runs in several processes."""

import gc
import os
import signal

import numpy as np
import pytest
import steep
from steep import _core

# A shell's background jobs ignore Ctrl-C, and so would the tests that send it, for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Give `-n auto` the processors that quotas leave; beyond eight, all wait for one long file."""
    cpus = steep.info()["cpus"]
    return min(cpus, 8) if cpus > 1 else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """Threads of others must not spin where those of another process have work."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_make_parametrize_id(val, argname):
    """Name bytes by their argument: packed ones hold a time, and all processes find the same."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_finish():
    """Spare the collector what lives to the end anyway: times that tests take are not of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def small():
    """300 samples of 20 features in 5 classes, which a linear network can tell apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20)).astype(np.float32)
    return X, np.argmax(X[:, :5], axis=1)


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request):
    """Run with 1, 2, 3 and 8 threads."""
    with steep.threads(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def same_threads_after():
    """No test leaves another number of threads behind."""
    before = steep.get_num_threads()
    yield
    if steep.get_num_threads() != before:
        steep.set_num_threads(before)


@pytest.fixture
def padding_stays_zero():
    """Whatever a test runs, no call and no update may leave something in the padding."""
    _core.check_invariants(True)
    yield
    assert _core.check_invariants(False) == ""
