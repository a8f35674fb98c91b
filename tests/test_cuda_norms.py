"""Norms of a sample by itself on the GPU: the CPU's bytes, whatever lies in a piece."""

import devices
import numpy as np
import pytest
import steep
from devices import left, same
from emulation import EMULATED, emulating
from steep import layers, ops, optimizers

pytestmark = devices.NEEDED


class Plain(layers.Layer):
    """A norm without parameters."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def call(self, x):
        return ops.group_norm(x, self.groups) if self.groups else ops.layer_norm(x)


NORMS = {
    "layer": layers.LayerNorm,
    "layer, plain": lambda: Plain(0),
    "layer, scaled": lambda: layers.LayerNorm(use_bias=False),
    "rms": layers.RMSNorm,
    "instance": layers.InstanceNorm,
    "group 1": lambda: layers.GroupNorm(1),
    "group, plain": lambda: Plain(1),
}
SHAPES = [(1,), (15,), (16,), (33,), (300,), (2, 5), (63, 16), (65, 48), (200, 7), (3, 4, 40),
          (9, 8, 96), (33, 32, 2)]  # fmt: skip


def trained(device, body, shape, *, accumulate=1, samples=23, **options):
    """Train around a norm whose input's gradient is wanted twice."""
    random = np.random.default_rng(len(shape))
    start = steep.Input(shape)
    x = layers.Tanh()(layers.FeatureScale()(start))
    y = layers.Flatten()(body()(x) + x) if len(shape) > 1 else body()(x) + x
    made = steep.Model(start, layers.Dense(3)(y))
    X = random.standard_normal((samples, *shape)).astype(np.float32)
    t = random.integers(0, 3, samples)
    trainer = steep.Trainer(
        made, "cross_entropy", optimizers.SGD(0.05, 0.9), device=device, seed=3, **options
    )
    history = trainer.fit(X, t, epochs=2, batch_size=8, accumulate=accumulate, progress=False)
    return left(trainer, history), trainer.evaluate(X, t), made.predict(X), trainer.gradients(X, t)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape(name, shape):
    """Fewer channels than lanes and more, tiles of several pieces and pieces of several tiles."""
    if name == "instance" and len(shape) == 1:
        pytest.skip("an instance has positions")
    same(*[trained(device, NORMS[name], shape, samples=11) for device in ("cpu", "cuda")])


@pytest.mark.parametrize("groups", [2, 3, 6, 12, 24, 48, 96, 192])
@pytest.mark.parametrize("shape", [(192,), (5, 192), (70, 192), (12, 13, 192)], ids=str)
def test_groups_of_every_width(groups, shape):
    norm = lambda: layers.GroupNorm(groups)  # noqa: E731
    same(*[trained(device, norm, shape, samples=11) for device in ("cpu", "cuda")])


@pytest.mark.parametrize("name", ["layer", "group 1", "instance"])
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
@pytest.mark.skipif(not EMULATED, reason="needs the emulation")
def test_no_result_depends_on_who_computes_it(name, settings):
    wanted = trained("cuda", NORMS[name], (130, 34))
    with emulating(**settings):
        same(trained("cuda", NORMS[name], (130, 34)), wanted, str(settings))


def twice():
    """Two norms that go by the same moments."""
    return layers.Branches(layers.LayerNorm(), layers.LayerNorm(use_bias=False), join="add")


def again():
    """Moments that the way back makes anew."""
    inner = layers.LayerNorm(), layers.Dense(20, "gelu"), layers.LayerNorm(), layers.Tanh()
    return layers.Residual(*inner, recompute=True)


@pytest.mark.parametrize("body", [twice, again])
@pytest.mark.parametrize("shape", [(20,), (6, 20)])
def test_who_makes_the_moments(body, shape):
    same(*[trained(device, body, shape) for device in ("cpu", "cuda")])


@pytest.mark.parametrize("name", ["layer", "rms", "instance"])
def test_in_parts_clipped_and_uphill(name):
    for options in ({"accumulate": 2}, {"clip_norm": 0.1, "l2": 0.01}, {"sam": 0.05}):
        same(*[trained(d, NORMS[name], (6, 20), **options) for d in ("cpu", "cuda")])


@pytest.mark.parametrize("name", ["layer", "group 1"])
def test_numbers_that_are_flushed_and_large_ones(name):
    """Where all are equal, nearly nothing, or far from 0."""
    random = np.random.default_rng(0)
    X = random.standard_normal((12, 5, 20)).astype(np.float32)
    X[:3], X[3:6], X[6:9] = 0, X[3:6] * 1e-22, X[6:9] + 1e6
    found = []
    for device in ("cpu", "cuda"):
        made = steep.Sequential(NORMS[name](), layers.Flatten(), layers.Dense(2)).build((5, 20))
        made.to(device)
        found.append(made.predict(X))
    same(*found)
