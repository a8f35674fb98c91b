"""Tensors of bfloat16 on the GPU, or on its emulation: which they are, and where each is rounded.

The truth is in float64 and rounds at the same places; docs/cuda.md says which. What products round
is in test_cuda_precision.
"""

import collections
import copy
import re
from dataclasses import replace

import devices
import numpy as np
import pytest
import random_networks
import steep
from devices import same
from emulation import EMULATED, emulating
from laws import playing
from steep import layers, models, ops, optimizers
from test_cuda_precision import check_whole_numbers, passes, rounded

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
# From the truth, relative to the largest of a gradient. A chip sums in another order, so that one
# may round to the neighbour.
FAR = 1e-5 if EMULATED else 1e-3


def narrow(x):
    return rounded(x, "bfloat16").astype(np.float64)


def images(*shape, samples=4):
    random = np.random.default_rng(samples)
    return random.standard_normal((samples, *shape)).astype(np.float32), np.arange(samples) % 3


def trained(net, X, y, **options):
    options = {"precision": "bfloat16", "device": "cuda", **options}
    trainer = steep.Trainer(net, "cross_entropy", optimizers.SGD(1e-2), seed=1, **options)
    trainer.fit(X, y, epochs=2, batch_size=8, progress=False)
    return trainer


def stored(trainer):
    """Return how many tensors of a plan each op writes in bfloat16."""
    said = trainer._run.session().stored()
    if not said:
        return {}
    count, names = re.fullmatch(r"(\d+) of \d+ tensors in bfloat16: (.*)", said).groups()
    found = collections.Counter(names.split(", "))
    assert int(count) == found.total()
    return dict(found)


# ---- Truth ----


def shifted(x, kernel, before):
    """Yield (tap, the pixels that each result sees there), of a window of stride 1."""
    pad = ((0, 0), (before, before), (before, before), (0, 0))
    x = np.pad(x, pad)
    height, width = (x.shape[a] - kernel + 1 for a in (1, 2))
    for i in range(kernel):
        for j in range(kernel):
            yield (i, j), x[:, i : i + height, j : j + width]


def conv(x, w, before):
    return sum(seen @ w[tap] for tap, seen in shifted(x, len(w), before))


def conv_weight(x, dy, kernel, before):
    dw = np.zeros((kernel, kernel, x.shape[-1], dy.shape[-1]))
    for tap, seen in shifted(x, kernel, before):
        dw[tap] = np.einsum("nhwi,nhwo->io", seen, dy)
    return dw


def conv_back(dy, w, before):
    return conv(dy, w[::-1, ::-1].transpose(0, 1, 3, 2), len(w) - 1 - before)


def pooled(x):
    n, h, w, c = x.shape
    windows = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
    return windows.reshape(n, h // 2, w // 2, c, 4)


def pool_back(x, dy):
    windows = pooled(x)
    first = np.eye(4)[windows.argmax(-1)] * dy[..., None]
    n, h, w, c = dy.shape
    first = first.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return first.reshape(x.shape)


def small():
    conv1 = layers.Conv2D(8, 3, padding=1, use_bias=False, name="one")
    body = [conv1, layers.BatchNorm(name="norm"), layers.ReLU(), layers.MaxPool2D(2)]
    conv2 = layers.Conv2D(9, 3, padding="valid", activation="relu", name="two")
    net = steep.Sequential(*body, conv2, layers.GlobalAvgPool2D(), layers.Dense(5, name="last"))
    return net.build((10, 12, 3), seed=3)


def truth(weights, X, t, keep):
    """Return the gradients of sum(y*t); keep(x) is what is left of a tensor once written."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    of = {name: narrow(value) for name, value in weights.items()}  # in products
    x = keep(X)
    z1 = keep(conv(x, of["one.weight"], 1))
    mean, inverse = z1.mean((0, 1, 2)), 1 / np.sqrt(z1.var((0, 1, 2)) + 1e-5)
    unit = (z1 - mean) * inverse
    y1 = keep(np.maximum(unit * w["norm.weight"] + w["norm.bias"], 0))
    p = pooled(y1).max(-1)
    y2 = keep(np.maximum(conv(p, of["two.weight"], 0) + w["two.bias"], 0))
    a = y2.mean((1, 2))
    dy = keep(t)
    da = keep(narrow(t) @ of["last.weight"].T)
    dz2 = keep(np.broadcast_to((da / (y2[0, :, :, 0].size))[:, None, None], y2.shape)) * (y2 > 0)
    dp = keep(conv_back(dz2, of["two.weight"], 0))
    dy1 = pool_back(y1, dp) * (y1 > 0)
    dbias, dscale = dy1.sum((0, 1, 2)), (dy1 * unit).sum((0, 1, 2))
    count = dy1[..., 0].size
    dz1 = keep(w["norm.weight"] * inverse * (dy1 - dbias / count - unit * dscale / count))
    return {
        "one.weight": conv_weight(x, dz1, 3, 1),
        "norm.weight": dscale,
        "norm.bias": dbias,
        "two.weight": conv_weight(p, dz2, 3, 0),
        "two.bias": dz2.sum((0, 1, 2)),
        "last.weight": narrow(a).T @ narrow(t),
        "last.bias": dy.sum(0),
    }


def test_gradients_are_those_of_rounded_tensors():
    net = small()
    random = np.random.default_rng(5)
    X = random.standard_normal((13, 10, 12, 3)).astype(np.float32)
    t = random.standard_normal((13, 5)).astype(np.float32)
    wanted = truth(net.state_dict(), X, t, narrow)
    loose = truth(net.state_dict(), X, t, lambda x: np.asarray(x, np.float64))
    found = passes(copy.deepcopy(net), X, t, precision="bfloat16", device="cuda")[1]
    far = {name: {} for name in found}
    for name, value in found.items():
        for what, right in (("rounded", wanted), ("loose", loose)):
            largest = abs(right[name]).max()
            far[name][what] = abs(value - right[name]).max() / largest
    assert max(f["rounded"] for f in far.values()) < FAR, far
    assert max(f["loose"] for f in far.values()) > 3 * FAR, "nothing was rounded"


# ---- Numbers that rounding leaves alone ----


class Moved(layers.Layer):
    """An image beside itself, within zeros, summed with what is there."""

    def call(self, x):
        return ops.zero_pad(ops.concat([x, x]), 1) + ops.zero_pad(ops.concat([x, x]), 1)


BODIES = {
    "plain": lambda: layers.Conv2D(9, 3, activation="relu"),
    "fours": lambda: layers.Conv2D(16, 3, padding=1),
    "strided": lambda: layers.Conv2D(12, 5, 2, padding=1),
    "groups": lambda: layers.Conv2D(12, 3, groups=3),
    "alone": lambda: layers.Conv2D(6, 3, groups=6),
    "transposed": lambda: layers.Conv2DTranspose(7, 3, 2, activation="relu"),
    "wide": lambda: layers.Conv2D(40, 1),
    "moved": Moved,
    "residual": lambda: layers.Residual(layers.Conv2D(6, 3, padding=1), layers.ReLU()),
}


@pytest.mark.parametrize("kind", BODIES)
def test_images_of_whole_numbers_are_exact(kind):
    """The CPU's bytes, outputs and gradients."""

    def make():
        conv = layers.Conv2D(6, 1)
        pool = layers.MaxPool2D(2)
        return steep.Sequential(conv, BODIES[kind](), pool, layers.Flatten(), layers.Dense(5))

    check_whole_numbers(make, (9, 10, 2), 13, "bfloat16")
    assert "conv2d" in stored(trained(make(), *images(9, 10, 2)))


# ---- Which tensors ----

RESIDUAL = {
    "input": 1, "conv2d": 19, "batch_norm": 19, "max_pool": 2, "zero_pad": 2, "avg_pool": 1,
    "matmul_grad": 1, "avg_pool_grad": 1, "activation_grad": 10,
    "batch_norm_grad": 19, "conv_grad": 9, "crop": 2, "max_pool_grad": 2,
}  # fmt: skip


def test_a_residual_network_is_bfloat16_between_input_and_outputs():
    """Every image and every gradient of one; the arena is smaller by nearly as much."""
    narrow, wide = (
        trained(models.resnet_cifar(20, 3), *images(8, 8, 3), precision=precision)
        for precision in ("bfloat16", "tf32")
    )
    assert (stored(narrow), stored(wide)) == (RESIDUAL, {})
    assert narrow.memory(512)["arena"] < 0.6 * wide.memory(512)["arena"]


def test_a_convolutional_network_is_bfloat16_in_its_dense_layers_too():
    found = stored(trained(models.lenet5(3), *images(28, 28, 1)))
    assert found == {
        "input": 1, "conv2d": 2, "max_pool": 2, "matmul": 2, "matmul_grad": 3,
        "max_pool_grad": 2, "activation_grad": 2, "conv_grad": 1,
    }  # fmt: skip


def same_size(filters, **options):
    return layers.Conv2D(filters, 3, padding=1, **options)


MET = {  # by what follows an image, or changes it; and what is bfloat16 then
    "dense": (
        lambda: [layers.Flatten(), layers.Dense(8, "relu"), layers.Dropout(0.3)],
        {"input": 1, "matmul": 1, "dropout": 2, "activation_grad": 1, "matmul_grad": 1},
    ),
    "every channel alone": (  # exact, so that data are as they are
        lambda: [same_size(3, groups=3), layers.Flatten()],
        {"conv2d": 1, "matmul_grad": 1},
    ),
    "a convolution": (
        lambda: [same_size(4, activation="relu"), layers.Flatten()],
        {"input": 1, "conv2d": 1, "matmul_grad": 1, "activation_grad": 1},
    ),
    "larger": (  # has no such kernels, and a convolution reads and writes the same kind
        lambda: [same_size(4), layers.UpSample2D(2), same_size(4), layers.Flatten()],
        {},  # the gradient as an image, too
    ),
    "normalised across channels": (
        lambda: [same_size(4), layers.LocalResponseNorm(), same_size(4), layers.Flatten()],
        {},
    ),
}


@pytest.mark.parametrize("kind", MET)
def test_what_an_image_meets_decides(kind):
    make, wanted = MET[kind]
    net = steep.Sequential(*make(), layers.Dense(5))
    assert stored(trained(net, *images(6, 6, 3))) == wanted


def test_only_that_mode_has_such_tensors():
    for precision in ("float32", "tf32"):
        net = steep.Sequential(same_size(8), layers.GlobalAvgPool2D(), layers.Dense(5))
        assert stored(trained(net, *images(6, 6, 3), precision=precision)) == {}


# ---- Laws ----


def deep(recompute=False, f="gelu"):
    body = [layers.BatchNorm(), layers.ReLU(), layers.Dropout(0.2), same_size(8, activation=f)]
    block = layers.Residual(same_size(8, activation=f), *body, recompute=recompute)
    after = [layers.AvgPool2D(2), layers.MaxPool2D(2), layers.Flatten(), layers.Dense(5)]
    return steep.Sequential(same_size(8), block, *after)


def left(trainer):
    return trainer.net.state_dict(), trainer.history.steps["loss"]


@pytest.mark.parametrize("f", ["gelu", "tanh", "relu"])
def test_what_is_computed_again_is_what_it_was(f):
    X, y = images(8, 9, 3, samples=19)
    same(*(left(trained(deep(again, f), X, y)) for again in (False, True)))


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"sms": 132}, {"sms": 1}])
def test_no_result_depends_on_who_computes_it(settings):
    X, y = images(8, 9, 3, samples=19)
    wanted = left(trained(deep(), X, y))
    with emulating(**settings):
        same(left(trained(deep(), X, y)), wanted, str(settings))


def test_faults_in_narrow_tensors_are_found():
    X, y = images(8, 9, 3)
    X[2, 3, 3, 1] = 3.4e38  # infinite in bfloat16
    with pytest.raises(steep.NonFiniteError) as met:
        trained(deep(), X, y)
    assert (met.value.op, met.value.direction, met.value.sample) == ("input", "forward", 2)


LOSS, GRADIENT = 6e-2, 1e-1  # of the first batch, from float32's, relative; of most


@pytest.mark.parametrize("images", [True, False], ids=["images", "rows"])
def test_gradients_of_random_networks_are_close_to_float32s(images):
    """Nine in ten: rounding may choose another largest of a pool, and some are steep beyond use.

    Of images all losses; of rows one has 24 layers, a loss of 4e4 and a gradient of 3e6.
    """
    near = []
    for case in drawn(images):
        (loss, gradients), (there, found) = (gradient(case, p) for p in ("float32", "bfloat16"))
        close = abs(there - loss) <= LOSS * max(abs(loss), 1e-3)
        assert close or not images, case.program()
        apart = [found[name] - value.astype(float) for name, value in gradients.items()]
        near.append(close and length(apart) <= GRADIENT * length(gradients.values()))
    assert len(near) == COUNT
    assert sum(near) >= 0.9 * COUNT


COUNT = 40


def length(arrays):
    return sum((np.asarray(x, float) ** 2).sum() for x in arrays) ** 0.5


def drawn(images):
    """Yield random cases, with convolutions or without, whose gradients the GPU takes."""
    found = 0
    for seed in range(7000, 8000):
        case = random_networks.case(seed)
        has = re.search(r"Conv[12]D", case.program()) is not None
        if has != images or LACKING.search(case.program()):
            continue
        found += 1
        yield case
        if found == COUNT:
            return


LACKING = re.compile(r"\b(PeriodicEmbedding|NewtonCG|LevenbergMarquardt)\b")


def gradient(case, precision):
    kept = tuple(option for option in case.options if option[0] not in {"precision", "device"})
    options = (*kept, ("device", "cuda"), ("precision", precision))
    run = playing.start(replace(case, options=options))
    return run.trainer.gradients(run.X, run.y)
