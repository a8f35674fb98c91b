"""What a training takes is known before it begins, and refused where it cannot be had."""

import numpy as np
import pytest
import steep
from steep import layers, memory, models


def trainer(net, shape):
    net.build(shape)
    return steep.Trainer(net, "cross_entropy", "momentum", seed=1)


def data(samples, shape, classes=10):
    random = np.random.default_rng(0)
    return random.standard_normal((samples, *shape)), random.integers(0, classes, samples)


def test_memory_is_known_before_training_and_is_what_training_takes():
    one = trainer(models.lenet5(), (28, 28, 1))
    before = one.memory(64)
    assert before["total"] == before["store"] + before["snapshot"] + before["arena"]
    X, y = data(128, (28, 28, 1))
    one.fit(X, y, batch_size=64, progress=False)
    after = one._run.session().memory()
    assert after["store"] == before["store"]
    scratch = before["arena"] - after["arena"]  # of each thread, beside the Arena
    assert 0 <= scratch < 4 << 20


def test_memory_grows_with_the_batch():
    one = trainer(models.lenet5(), (28, 28, 1))
    arenas = [one.memory(n)["arena"] for n in (16, 32, 64)]
    assert arenas == sorted(arenas) and arenas[2] > 2 * arenas[0]


def test_what_does_not_fit_is_refused_before_the_first_step(monkeypatch):
    one = trainer(models.lenet5(), (28, 28, 1))
    weights = one.net.state_dict()
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    with pytest.raises(MemoryError, match=r"batch_size=64 needs .* MiB more .*smaller batch_size"):
        one.fit(*data(64, (28, 28, 1)), batch_size=64, progress=False)
    assert one.steps == 0
    for name, value in one.net.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])
    monkeypatch.setattr(memory, "available", lambda: None)  # unknown: tried
    one.fit(*data(64, (28, 28, 1)), batch_size=64, progress=False)


def blocks(recompute):
    def block():
        body = [
            layer
            for _ in range(3)
            for layer in (layers.Conv2D(16, 3, use_bias=False), layers.BatchNorm(), layers.Tanh())
        ]
        return layers.Residual(*body, recompute=recompute)

    return steep.Sequential(
        layers.Conv2D(16, 3),
        *(block() for _ in range(4)),
        layers.GlobalAvgPool2D(),
        layers.Dense(10),
    )


def test_recomputing_takes_less_memory_and_gives_the_same_bytes():
    found, arenas = [], []
    X, y = data(64, (12, 12, 3))
    for recompute in (False, True):
        one = trainer(blocks(recompute), (12, 12, 3))
        arenas.append(one.memory(32)["arena"])
        one.fit(X, y, epochs=2, batch_size=32, progress=False)
        found.append(one.net.state_dict())
    assert arenas[1] < 0.75 * arenas[0]
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")],
)
def test_sizes_are_readable(size, text):
    assert memory.readable(size) == text


def test_available_memory_is_a_number_of_bytes():
    room = memory.available()
    assert room is None or room > 1 << 20
