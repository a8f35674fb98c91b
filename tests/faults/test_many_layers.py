"""Thousands of layers: the time of a build. Row F44."""

import time

import numpy as np
import pytest
import steep
from steep import layers
from wholes import chain


def dense(count):
    return steep.Sequential([layers.Dense(4, "relu") for _ in range(count)], input_shape=4)


def blocks(count):
    kinds = (layers.Residual, layers.Branches)
    return steep.Sequential([kinds[k % 2](layers.Dense(4)) for k in range(count)], input_shape=4)


def branches(count):
    return steep.Sequential(
        [layers.Branches(layers.Dense(2), layers.Dense(2)) for _ in range(count // 2)],
        input_shape=4,
    )


def recomputed(count):
    return steep.Sequential(
        [layers.Residual(layers.Dense(4), recompute=True) for _ in range(count)], input_shape=4
    )


def images(count):
    return steep.Sequential([layers.Conv2D(2, 3) for _ in range(count)], input_shape=(2, 2, 2))


def parts(count):
    return steep.Sequential(
        [steep.Sequential(layers.Dense(4)) for _ in range(count)], input_shape=4
    )


def built_parts(count):
    inner = [steep.Sequential(layers.Dense(4)).build(4) for _ in range(count)]
    return steep.Sequential(inner, input_shape=4)


GROWING = [dense, blocks, branches, recomputed, images, parts, built_parts, chain]


def seconds(make, count):
    """CPU time of this thread to make, build, look at, train, save and load a network."""
    began = time.thread_time()
    net = make(count)
    net.build()
    x = np.zeros((1, *net.input_shapes[0]), np.float32)  # whatever the depth, nothing overflows
    y = net.predict(x)
    steep.Trainer(net, "mse", "sgd").step(x, y)
    net.load_state_dict(net.state_dict())
    net.summary()
    return time.thread_time() - began


@pytest.mark.parametrize("make", GROWING)
def test_f44_the_time_of_a_build_grows_with_the_layers(make):
    # 12 times the layers: 12 times the time where it is linear, 144 times where it is quadratic.
    with steep.threads(1):
        few = min(seconds(make, 250) for _ in range(3))
        many = min(seconds(make, 3000) for _ in range(2))
    assert many < 36 * few, f"{few:.3f} s and {many:.3f} s"
