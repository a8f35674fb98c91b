"""Tensors of bfloat16 between dense layers, on the GPU or on its emulation: where each is rounded.

The truth is in float64 and rounds at the same places, as in `test_cuda_bfloat16`, of images.
"""

import copy
import math

import devices
import numpy as np
import pytest
import steep
from devices import same
from emulation import emulating
from steep import layers, models, ops, optimizers
from test_cuda_bfloat16 import FAR, emulated, left, narrow, stored, trained
from test_cuda_precision import check_whole_numbers, passes

pytestmark = devices.NEEDED


def rows(*shape, samples=19):
    random = np.random.default_rng(samples)
    return random.standard_normal((samples, *shape)).astype(np.float32), np.arange(samples) % 3


# ---- Truth ----


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_slope(x):
    bell = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) + x * bell


def mixed(outputs):
    """Return what a Transformer is between its attentions, and a ReLU and a tanh."""
    net = steep.Sequential(
        layers.Dense(24, "gelu", name="one"), layers.LayerNorm(name="norm"),
        layers.Dense(20, "relu", name="two"),
        layers.Residual(layers.Dense(20, "tanh", name="three")),
        layers.Dense(outputs, name="last"),
    )  # fmt: skip
    return net.build((11,), seed=3)


def truth(weights, X, t, keep):
    """Return the gradients of sum(y*t); keep(x) is what is left of a tensor once written."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    of = {name: narrow(value) for name, value in weights.items()}  # in products
    few = t.shape[1] <= 4  # met exactly
    dy = t.astype(np.float64) if few else keep(t)
    last, up = (w["last.weight"], dy) if few else (of["last.weight"], narrow(t))

    x = keep(X)
    z1 = keep(x @ of["one.weight"] + w["one.bias"])
    y1 = keep(gelu(z1))
    mean, inverse = y1.mean(1, keepdims=True), 1 / np.sqrt(y1.var(1, keepdims=True) + 1e-5)
    unit = (y1 - mean) * inverse
    y2 = keep(unit * w["norm.weight"] + w["norm.bias"])
    y3 = keep(np.maximum(y2 @ of["two.weight"] + w["two.bias"], 0))
    y4 = keep(np.tanh(keep(y3 @ of["three.weight"] + w["three.bias"])))
    y5 = keep(y3 + y4)

    dy5 = keep(up @ last.T)
    dz4 = keep(dy5 * (1 - y4 * y4))
    dz3 = keep(dy5 + dz4 @ of["three.weight"].T) * (y3 > 0)
    dy2 = keep(dz3 @ of["two.weight"].T)
    dunit = dy2 * w["norm.weight"]
    a, b = dunit.mean(1, keepdims=True), (dunit * unit).mean(1, keepdims=True)
    dy1 = keep(inverse * (dunit - a - unit * b))
    dz1 = keep(dy1 * gelu_slope(z1))
    return {
        "one.weight": x.T @ dz1, "one.bias": dz1.sum(0),
        "norm.weight": (dy2 * unit).sum(0), "norm.bias": dy2.sum(0),
        "two.weight": y2.T @ dz3, "two.bias": dz3.sum(0),
        "three.weight": y3.T @ dz4, "three.bias": dz4.sum(0),
        "last.weight": y5.T @ up, "last.bias": dy.sum(0),
    }  # fmt: skip


@pytest.mark.parametrize("outputs", [7, 3])
def test_gradients_are_those_of_rounded_tensors(outputs):
    net = mixed(outputs)
    random = np.random.default_rng(5)
    X = random.standard_normal((70, 11)).astype(np.float32)
    t = random.standard_normal((70, outputs)).astype(np.float32)
    wanted = truth(net.state_dict(), X, t, narrow)
    loose = truth(net.state_dict(), X, t, lambda x: np.asarray(x, np.float64))
    found = passes(copy.deepcopy(net), X, t, precision="bfloat16", device="cuda")[1]
    far = {
        what: {
            name: abs(value - right[name]).max() / abs(right[name]).max()
            for name, value in found.items()
        }
        for what, right in (("rounded", wanted), ("loose", loose))
    }
    assert max(far["rounded"].values()) < FAR, far
    assert max(far["loose"].values()) > 3 * FAR, "nothing was rounded"


# ---- Numbers that rounding leaves alone ----


class Combined(layers.Layer):
    """Sums, differences, products, bounds, repetitions and ranges of whole numbers."""

    def call(self, x):
        row = self.parameter("row", x.shape[-1:])
        a = ops.concat([x * row, x + row])
        b = ops.concat([ops.sum(x, axis=-1, keepdims=True) + x, x - 2 * x])
        return ops.maximum(a, b) + ops.minimum(a * b, a) - ops.clip(b, -1, 2)


BODIES = {
    "relu": lambda: layers.Dense(9, "relu"),
    "fours": lambda: layers.Dense(16, "relu"),
    "wide": lambda: layers.Dense(130),
    "few": lambda: layers.Dense(3, "relu"),
    "few of many": lambda: steep.Sequential(layers.Dense(3), layers.Dense(40, "relu")),
    "largest": lambda: steep.Sequential(layers.Dense(12), layers.Maxout(3)),
    "slopes": layers.PReLU,
    "residual": lambda: layers.Residual(layers.Dense(7), layers.ReLU()),
    "combined": Combined,
}
SHAPES = {"rows": (7,), "positions": (4, 7), "fours of positions": (8, 8)}  # their mean is exact


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("outputs", [5, 2])
def test_whole_numbers_are_exact(kind, shape, outputs):
    """The CPU's bytes, outputs and gradients."""

    def make():
        first = layers.Dense(7, "relu")
        return steep.Sequential(first, BODIES[kind](), layers.Dense(outputs))

    check_whole_numbers(make, shape, 13, "bfloat16")
    X = rows(*shape)[0]
    assert stored(trained(make(), X, np.zeros(X.shape[:-1], int)))["matmul_grad"] >= 1


@pytest.mark.parametrize("units", [6, 8])
def test_tables_of_whole_numbers_are_exact(units):
    """Picked, added to positions, and as the weights of a product; their gradients are sums."""
    random = np.random.default_rng(units)

    def make():
        tokens = layers.Embedding(9, units, name="tokens")
        body = [layers.PositionEmbedding(), layers.Dense(units, "relu")]
        tied = layers.TiedDense(tokens, 9, use_bias=False)
        return steep.Sequential(tokens, *body, tied, input_shape=4)

    net = make().build(seed=1)
    net.load_state_dict(
        {k: random.integers(-1, 2, v.shape).astype(np.float32) for k, v in net.state_dict().items()}
    )
    X = random.integers(0, 9, (13, 4))
    t = random.choice([-1.0, 0, 0, 0, 1], (13, 4, 9)).astype(np.float32)
    wanted = passes(copy.deepcopy(net), X, t)
    same(passes(net, X, t, precision="bfloat16", device="cuda"), wanted)


@pytest.mark.parametrize("kernel", [3, 5])
def test_every_channel_alone_is_exact_in_whole_numbers(kernel):
    def make():
        alone = layers.Conv2D(6, kernel, 2, groups=6, activation="relu")
        return steep.Sequential(layers.Conv2D(6, 1), alone, layers.Flatten(), layers.Dense(5))

    check_whole_numbers(make, (9, 10, 2), 13, "bfloat16")
    found = stored(trained(make(), *rows(9, 10, 2)))
    assert (found["conv2d"], found["conv_grad"]) == (2, 1)


# ---- Which tensors ----


def test_a_dense_network_is_bfloat16_between_input_and_outputs():
    """Every tensor but the logits and their gradient; the arena is nearly half of the other."""
    wide = [layers.Dense(256, "relu") for _ in range(4)]
    trainers = [
        trained(steep.Sequential(*copy.deepcopy(wide), layers.Dense(5)), *rows(256), precision=p)
        for p in ("bfloat16", "tf32")
    ]
    assert stored(trainers[0]) == {"input": 1, "matmul": 4, "matmul_grad": 4}
    assert stored(trainers[1]) == {}
    assert trainers[0].memory(512)["arena"] < 0.6 * trainers[1].memory(512)["arena"]


GPT = {  # of two blocks; a gradient is a copy where two layers read what it is of
    "embedding": 1, "add_table": 1, "feature_norm": 5, "matmul": 6, "add": 4, "matmul_grad": 7,
    "feature_norm_grad": 1, "affine": 9,
}  # fmt: skip


def test_a_transformer_is_bfloat16_but_for_what_attention_reads_and_writes():
    net = models.gpt(layers=2, heads=2, units=16, context=8, vocabulary=11)
    X = np.random.default_rng(1).integers(0, 11, (6, 8))
    assert stored(trained(net, X, (X + 1) % 11)) == GPT


def hidden():
    return layers.Dense(8, "relu")


STAYS = {  # what meets such a layer, and what that leaves in bfloat16
    "attention": (  # the layers around it read and write bfloat16 at their other ends
        (4, 6),
        lambda: [hidden(), layers.MultiHeadAttention(2), layers.Flatten()],
        {"input": 1, "matmul": 2, "matmul_grad": 2},
    ),
    "a recurrent layer": (
        (4, 6),
        lambda: [hidden(), layers.LSTM(6)],
        {"input": 1, "activation_grad": 1},
    ),
    "few outputs of the data": (
        (6,),
        lambda: [layers.Dense(3, "relu"), hidden()],
        {"matmul": 1, "matmul_grad": 1},
    ),
    "normalised inputs": (
        (6,),
        lambda: [layers.Normalize(np.zeros(6), np.ones(6)), hidden()],
        {"matmul": 1, "matmul_grad": 1},
    ),
}


@pytest.mark.parametrize("kind", STAYS)
def test_what_an_op_without_such_kernels_meets_stays_float32(kind):
    shape, make, wanted = STAYS[kind]
    assert stored(trained(steep.Sequential(*make(), layers.Dense(5)), *rows(*shape))) == wanted


# ---- Laws ----


def deep(recompute=False, f="gelu"):
    body = [layers.LayerNorm(), layers.Dense(24, f), layers.Dropout(0.2), layers.Dense(16)]
    block = layers.Residual(*body, recompute=recompute)
    return steep.Sequential(layers.Dense(16, f), block, layers.BatchNorm(), layers.Dense(5))


@pytest.mark.parametrize("f", ["gelu", "tanh", "relu"])
def test_what_is_computed_again_is_what_it_was(f):
    X, y = rows(9)
    same(*(left(trained(deep(again, f), X, y)) for again in (False, True)))


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"sms": 132}, {"sms": 1}])
def test_no_result_depends_on_who_computes_it(settings):
    X, y = rows(9)
    wanted = left(trained(deep(), X, y))
    with emulating(**settings):
        same(left(trained(deep(), X, y)), wanted, str(settings))


def test_faults_in_narrow_tensors_are_found():
    X, y = rows(9, samples=5)
    X[2, 3] = 3.4e38  # infinite in bfloat16
    with pytest.raises(steep.NonFiniteError) as met:
        trained(deep(), X, y)
    assert (met.value.op, met.value.direction, met.value.sample) == ("input", "forward", 2)


def test_losses_of_a_training_are_close_to_float32s():
    X, y = rows(9, samples=64)
    wanted, found = (
        np.array(trained(deep(), X, y, precision=p).history.steps["loss"])
        for p in ("float32", "bfloat16")
    )
    assert abs(found - wanted).max() < 2e-2 * wanted[0]


def test_methods_for_full_batches_still_go_down():
    X, y = rows(9, samples=64)
    net = steep.Sequential(layers.Dense(16, "tanh"), layers.Dense(5))
    options = {"precision": "bfloat16", "device": "cuda", "seed": 1}
    trainer = steep.Trainer(net, "cross_entropy", optimizers.LBFGS(), **options)
    trainer.fit(X, y, epochs=5, progress=False)
    losses = trainer.history.steps["loss"]
    assert losses[-1] < losses[0]
