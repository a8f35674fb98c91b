"""Values that leave the number format: both devices tell the same step, op and sample."""

import numpy as np
import pytest
import steep
from devices import NEEDED, told
from steep import layers
from steep.optimizers import SGD
from test_fault_origins import KINDS, fitted, made

pytestmark = NEEDED


def on_both(tell):
    """Return what is told of a fault, the same on both devices; `tell(device)` raises it."""
    found = []
    for device in ("cpu", "cuda"):
        with pytest.raises(steep.NonFiniteError) as caught:
            tell(device)
        found.append(told(caught.value))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_target(kind):
    def tell(device):
        trainer, X, y = made(kind, device=device)
        y[11, 0] = 3e38
        fitted(trainer, X, y, epochs=3)

    said = on_both(tell)
    assert said[4:] == ("loss", "forward", 11)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_weight(kind):
    def tell(device):
        trainer, X, y = made(kind, device=device)
        fitted(trainer, X, y)
        weight = trainer.net.state_dict()["planted.weight"]
        weight.flat[1] = np.nan
        trainer.net._native.assign([("planted.weight", weight)])  # load_state_dict refuses it
        fitted(trainer, X, y)

    assert on_both(tell)[3:5] == ("planted.weight", "weight")


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_gradient_and_the_op_on_the_way_back(kind, accumulate):
    def tell(device):
        trainer, X, y = made(kind, reverse=1e38, device=device)
        y *= 1e3
        fitted(trainer, X, y, accumulate=accumulate)

    said = on_both(tell)
    assert said[2] == "gradient"
    assert said[3].startswith("planted.")
    assert said[5] == "backward"
    assert said[6] is not None


@pytest.mark.parametrize("kind", KINDS[:3])
def test_an_update(kind):
    def tell(device):
        trainer, X, y = made(kind, SGD(3e38), device=device)
        y *= 1e6
        fitted(trainer, X, y)

    assert on_both(tell)[5] == "update"


def test_an_op_in_the_middle_names_its_sample():
    def tell(device):
        net = steep.Sequential(
            layers.Dense(5, "square", name="first"),
            layers.Dense(5, "square", name="second"),
            layers.Dense(3),
        )
        X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
        X[23] = 1e12  # its fourth power is beyond the format
        trainer = steep.Trainer(net, "cross_entropy", SGD(1e-9), device=device, seed=1)
        trainer.fit(X, np.arange(40) % 3, batch_size=8, epochs=1, progress=False)

    said = on_both(tell)
    assert said[3:6] == ('Dense "second"', "matmul", "forward")
    assert said[6] == 23
