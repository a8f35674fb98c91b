"""A trainer says beforehand what it takes of the memory of the GPU. Needs the emulation."""

import gc

import devices
import numpy as np
import pytest
import steep
from emulation import EMULATED, counted
from steep import layers, optimizers

pytestmark = [*devices.NEEDED, pytest.mark.skipif(not EMULATED, reason="needs the emulation")]

UNITS, SAMPLES = 600, 8
WEIGHTS = 4 * (UNITS + 1) * UNITS  # bytes of a column of them
SLACK = 1 << 17  # what lists of steps, cursors and the like round up to
RULES = sorted({rule for rule in optimizers.TABLE.values() if isinstance(rule, type)}, key=str)
OPTIONS = [
    {"clip_norm": 1.0}, {"average": "ema"}, {"sam": 0.1}, {"precision": "bfloat16"},
    {"optimizer": optimizers.LBFGS()}, {"optimizer": optimizers.ConjugateGradient()},
]  # fmt: skip


@pytest.mark.parametrize(
    "options", [{"optimizer": rule()} for rule in RULES] + OPTIONS, ids=lambda o: str(o)[:40]
)
def test_what_is_said_is_what_is_taken(options):
    """A column of weights, or a tensor of a large layer, that nobody counts would show."""
    random = np.random.default_rng(0)
    X = random.standard_normal((SAMPLES, UNITS)).astype(np.float32)
    net = steep.Sequential(layers.Dense(UNITS, "tanh"), layers.Dense(5)).build(UNITS)
    gc.collect()
    before = counted("bytes")
    given = {"optimizer": "sgd", **options}
    trainer = steep.Trainer(net, "cross_entropy", device="cuda", **given)
    trainer.fit(X, random.integers(0, 5, SAMPLES), batch_size=SAMPLES, progress=False)
    taken = counted("bytes") - before - X.nbytes
    assert WEIGHTS > SLACK
    assert 0 <= taken - trainer.memory(SAMPLES)["total"] < SLACK
