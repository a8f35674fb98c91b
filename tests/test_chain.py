"""Chains of slim layers, samples side by side: the bytes of the plan, which has them in rows.

The first evaluation of every native call is the plan's, later ones are the chain's. So what one
call does in many iterations is compared with as many calls of one iteration, most of which evaluate
once.
"""

import numpy as np
import pytest
import steep
from steep import layers, optimizers

SAMPLES = (1, 2, 31, 32, 33, 255, 256, 257, 600)


def values(random, samples):
    return random.standard_normal((samples, 1))


def labels(classes):
    return lambda random, samples: random.integers(0, classes, samples)


# Widths, loss, targets: inputs, units and outputs that fill vectors, lanes, panels, and do not.
CHAINS = {
    "one layer, one output": ((5, 1), "mse", values),
    "one layer, narrow": ((17, 3), "cross_entropy", labels(3)),
    "one layer": ((33, 10), "cross_entropy", labels(10)),
    "one output": ((4, 10, 1), "huber", values),
    "binary": ((30, 10, 1), "binary_cross_entropy", labels(2)),
    "narrow": ((13, 10, 3), "cross_entropy", labels(3)),
    "narrow inside": ((7, 3, 20, 4), "cross_entropy", labels(4)),
    "wide": ((64, 10, 10), "cross_entropy", labels(10)),
    "panels": ((40, 33, 64, 16), "cross_entropy", labels(16)),
    "too wide": ((6, 65, 2), "cross_entropy", labels(2)),
    "many classes": ((6, 5, 17), "cross_entropy", labels(17)),
}


def trained(
    chain, calls, *, samples, precision, activation="tanh", bias=True, weighted=False, flat=False
):
    widths, loss, targets = CHAINS[chain]
    random = np.random.default_rng(samples)
    net = steep.Sequential(
        *([layers.Flatten()] if flat else []),
        *(layers.Dense(n, activation, use_bias=bias) for n in widths[1:-1]),
        layers.Dense(widths[-1], use_bias=bias),
    )
    shape = (2, widths[0] // 2) if flat else widths[:1]
    net.build(shape, seed=1)
    X, y = random.standard_normal((samples, *shape)), targets(random, samples)
    weights = random.uniform(0.1, 2, samples) if weighted else None
    method = optimizers.LBFGS(tol=0, change=0)
    trainer = steep.Trainer(net, loss, method, precision=precision, l2=0.01)
    for epochs in calls:
        trainer.fit(X, y, epochs=epochs, sample_weight=weights, progress=False)
    history = {k: v for k, v in trainer.history.history.items() if k != "seconds"}
    return history, net.state_dict()


def same(*args, **options):
    history, weights = trained(*args, [10], **options)
    again, others = trained(*args, [1] * 10, **options)
    for name, column in again.items():
        np.testing.assert_array_equal(column[: len(history["loss"])], history[name])
    for name, value in others.items():
        assert value.tobytes() == weights[name].tobytes(), name


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_gives_the_bytes_of_the_plan(chain, precision):
    for samples in SAMPLES:
        same(chain, samples=samples, precision=precision)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "gelu", "softplus"])
@pytest.mark.parametrize("chain", ["narrow", "panels"])
def test_activations_that_read_their_input_or_their_output(chain, activation):
    same(chain, samples=300, precision="float64", activation=activation)


@pytest.mark.parametrize("options", [{"bias": False}, {"weighted": True}, {"flat": True}])
@pytest.mark.parametrize("chain", ["binary", "wide", "panels"])
def test_without_bias_with_weights_and_of_images(chain, options):
    same(chain, samples=300, precision="float64", **options)


@pytest.mark.parametrize("chain", ["wide", "panels", "one output"])
def test_threads_share_a_chain_without_a_trace(chain):
    found = []
    for threads in (1, 2, 3):
        with steep.threads(threads):
            found.append(trained(chain, [40], samples=1500, precision="float64"))
    for history, weights in found[1:]:
        assert history == found[0][0]
        for name, value in weights.items():
            assert value.tobytes() == found[0][1][name].tobytes()
