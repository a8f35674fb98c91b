"""Attention on the GPU: the CPU's bytes in every shape, form and tiling."""

import math

import devices
import numpy as np
import pytest
import steep
from devices import left, same
from emulation import EMULATED, counted, emulating
from steep import layers, ops
from test_cuda_precision import rounded

pytestmark = devices.NEEDED
emulated = pytest.mark.skipif(not EMULATED, reason="needs the emulation")
BOTH = ("cpu", "cuda")


def trained(device, made, X, y, *, epochs=1, batch=8, **options):
    """Return what a training leaves, with predictions, of batches whose last one is short."""
    trainer = steep.Trainer(made, "mse", "adam", device=device, seed=3, **options)
    history = trainer.fit(X, y, epochs=epochs, batch_size=batch, progress=False)
    inputs = (X, y)
    return left(trainer, history), made.predict(X, batch_size=7), trainer.evaluate(*inputs)


def both(made, X, y, **options):
    found = [trained(device, made(), X, y, **options) for device in BOTH]
    same(found[1], found[0])
    return found[1]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def self_attention(heads, size, length, samples=11, **options):
    """Return a network of one attention behind a product, which asks for its input's gradient."""

    def made():
        return steep.Sequential(
            layers.Dense(6), layers.MultiHeadAttention(heads, size, **options), layers.Flatten(),
            layers.Dense(2),
        )  # fmt: skip

    return made, numbers(samples, length, 5), numbers(samples, 2, seed=1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1, 3, 16, 17, 32, 35, 64, 70, 130])
def test_every_size_of_heads(size, causal):
    """Those of more than 64 numbers take several blocks, each of which sums some of them."""
    both(*self_attention(2, size, 37, samples=9, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 2, 16, 31, 32, 33, 64, 65, 97, 130])
def test_every_length(length, causal):
    both(*self_attention(3, 5, length, causal=causal))


@pytest.mark.parametrize("size", [8, 24, 40])
@pytest.mark.parametrize(("length", "samples"), [(64, 70), (100, 37), (29, 70), (130, 25)])
def test_enough_blocks_for_large_tiles(length, samples, size):
    both(*self_attention(4, size, length, samples, causal=True), batch=samples // 2 + 3)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1e-12])
@pytest.mark.parametrize(("length", "samples"), [(6, 20), (70, 9), (64, 70)])
def test_dropout_of_probabilities(length, samples, rate):
    made = self_attention(3, 5, length, samples, causal=length == 70, dropout=rate)
    both(*made, batch=samples // 2 + 1)


class Heads(layers.Layer):
    """Attention of three tensors, of two, and twice of one: its gradient is added to another."""

    def __init__(self, form, causal=False, dropout=0.0):
        super().__init__()
        self.form, self.causal, self.dropout = form, causal, dropout

    def _weighted(self, name, x, units):
        return ops.matmul(x, self.parameter(f"{name}.weight", (x.shape[-1], units), "xavier"))

    def call(self, x, context, lengths):
        options = {"heads": 2, "causal": self.causal, "lengths": lengths, "dropout": self.dropout}
        q = self._weighted("q", x, 10)
        if self.form == "three":
            k, v = (self._weighted(name, context, 10) for name in "kv")
            return ops.attention(q, k, v, **options)
        if self.form == "same keys and values":
            k = self._weighted("k", context, 10)
            return ops.attention(q, k, k, **options) * q
        together = self._weighted("qkv", x, 30)
        options |= {"lengths": None}
        one = ops.packed_attention(together, None, **options)
        return one + ops.packed_attention(ops.affine(together, 0.5, 0.0), None, **options) * one


def cross_attention(inner, queries, keys, samples=13):
    def made():
        inputs = [steep.Input((queries, 4)), steep.Input((keys, 3)), steep.Input((1,))]
        x, context = layers.Dense(6)(inputs[0]), layers.Dense(5)(inputs[1])
        y = layers.Flatten()(inner()(x, context, inputs[2]))
        return steep.Model(inputs, layers.Dense(2)(y))

    lengths = np.random.default_rng(2).integers(1, keys + 1, (samples, 1))
    X = [numbers(samples, queries, 4), numbers(samples, keys, 3, seed=3), lengths]
    return made, X, numbers(samples, 2, seed=1)


SHAPES = [(1, 1), (5, 9), (1, 40), (40, 3), (33, 70), (70, 33), (3, 200)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("causal", [False, True])
def test_other_keys_and_lengths(shape, causal):
    """The layer's two tensors."""
    inner = lambda: layers.MultiHeadAttention(3, 4, causal=causal, dropout=0.2)  # noqa: E731
    both(*cross_attention(inner, *shape))


@pytest.mark.parametrize("form", ["three", "same keys and values", "added"])
@pytest.mark.parametrize("shape", [(5, 9), (40, 3), (33, 70)])
def test_forms(form, shape):
    both(*cross_attention(lambda: Heads(form, causal=True, dropout=0.3), *shape))


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"dropout": 0.2}])
def test_more_keys_than_shared_memory_holds_scores_of(options):
    """Scores are then found again for each pass."""
    inner = lambda: layers.MultiHeadAttention(1, 3, **options)  # noqa: E731
    both(*cross_attention(inner, 3, 1700, samples=2))


def test_keys_without_numbers_do_not_reach_what_does_not_see_them():
    """As on the CPU, which takes whole panels: nobody sees the second one."""
    made, X, _ = cross_attention(lambda: layers.MultiHeadAttention(2, 4), 5, 70)
    X[2][:] = np.minimum(X[2], 32)
    X[1][:, 32:] = 3e38  # infinite behind two products
    found = []
    for device in BOTH:
        net = made().build()
        found.append(net.to(device).predict(X))
    assert np.isfinite(found[0]).all()
    same(found[1], found[0])


def test_lengths_that_are_none_are_refused():
    made, X, y = cross_attention(lambda: layers.MultiHeadAttention(2, 4), 5, 9)
    X[2][4] = 0
    net = made().build().to("cuda")
    with pytest.raises(ValueError, match="length 0 at row 4"):
        net.predict(X)
    with pytest.raises(ValueError, match="length 0 at row 4"):
        trained("cuda", net, X, y)


@pytest.mark.parametrize("options", [{"clip_norm": 0.3, "l2": 1e-3}, {"average": "ema"}])
def test_parts_of_a_step(options):
    made, X, y = self_attention(2, 8, 20, samples=50, dropout=0.2)
    found = []
    for device in BOTH:
        trainer = steep.Trainer(made(), "mse", "adam", device=device, seed=3, **options)
        history = trainer.fit(X, y, epochs=2, batch_size=10, accumulate=2, progress=False)
        found.append((left(trainer, history), trainer.gradients(X, y)))
    same(*found)


@pytest.mark.parametrize("first", BOTH)
def test_checkpoints_cross_devices(first, tmp_path):
    made, X, y = self_attention(2, 8, 20, dropout=0.2)
    whole = trained("cpu", made(), X, y, epochs=4)[0]
    begun = steep.Trainer(made(), "mse", "adam", device=first, seed=3)
    begun.fit(X, y, epochs=2, batch_size=8, progress=False)
    begun.save(tmp_path / "half")
    second = BOTH[first == "cpu"]
    gone_on = steep.Trainer.load(tmp_path / "half", device=second)
    gone_on.fit(X, y, epochs=2, batch_size=8, progress=False)
    same(left(gone_on, gone_on.history)[:2], whole[:2])


@emulated
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_result_depends_on_who_computes_it(settings):
    kinds = [
        self_attention(2, 70, 70, causal=True, dropout=0.2),
        self_attention(4, 8, 64, 40, causal=True),
        cross_attention(lambda: layers.MultiHeadAttention(1, 3, dropout=0.2), 3, 1700, 2),
    ]
    for made, X, y in kinds:
        wanted = trained("cuda", made(), X, y)
        with emulating(**settings):
            same(trained("cuda", made(), X, y), wanted, str(settings))


@emulated
def test_a_second_run_allocates_nothing():
    made, X, y = self_attention(2, 8, 40, causal=True)
    trainer = steep.Trainer(made(), "mse", "adam", device="cuda")
    trainer.fit(X, y, epochs=2, batch_size=8, progress=False)
    before = counted("allocations")
    trainer.fit(X, y, epochs=2, batch_size=8, progress=False)
    assert counted("allocations") == before


# ---- Products on tensor cores ----

PRECISIONS = {"tf32": 2e-3, "bfloat16": 2e-2}  # how far a loss may be from float32's, by the first
rough = pytest.mark.parametrize("precision", PRECISIONS)


class Scaled(layers.Layer):
    """Attention of inputs times numbers, one each: sums over samples are all there are."""

    def call(self, q, k, v):
        return ops.attention(*map(self.scaled, "qkv", (q, k, v)), heads=2)

    def scaled(self, name, x):
        flat = ops.reshape(x, (math.prod(x.shape),))
        return ops.reshape(ops.multiply(flat, self.parameter(name, flat.shape, "ones")), x.shape)


def passes(X, t, silent, **options):
    """Return outputs and gradients of sum(y*t); what is silent is taken times 0."""
    inputs = [steep.Input(x.shape[1:]) for x in X]
    net = steep.Model(inputs, layers.Flatten()(Scaled(name="of")(*inputs))).build()
    state = net.state_dict()
    net.load_state_dict(state | {f"of.{x}": np.zeros_like(state[f"of.{x}"]) for x in silent})
    loss = lambda y, t: ops.sum(y * t, axis=-1, keepdims=True)  # noqa: E731
    trainer = steep.Trainer(net, loss, "sgd", reduction="sum", **options)
    return trainer.gradients(X, t)[1], net.predict(X)


def exact(X, t, silent, precision, wanted=None):
    found = passes(X, t, silent, device="cuda", precision=precision)
    same(found, wanted or passes(X, t, silent))
    return found


def stored(X, t, silent):
    """Return what `passes` does where slopes of inputs of -1, 0 and 1 lie in bfloat16."""
    alone = [passes([x[s : s + 1] for x in X], t[s : s + 1], silent) for s in range(len(t))]
    gradients = {n: sum(rounded(of[n], "bfloat16") for of, _ in alone) for n in alone[0][0]}
    return gradients, passes(X, t, silent)[1]


SIZES = [  # of heads, queries, keys, samples; the last ones are enough for large tiles
    (64, 70, 64, 5), (16, 33, 32, 5), (4, 5, 2, 5), (256, 5, 16, 3), (16, 64, 64, 70),
    (64, 64, 64, 70),
]  # fmt: skip


@rough
@pytest.mark.parametrize("silent", ["q", "k"])
@pytest.mark.parametrize("sizes", SIZES)
def test_means_of_whole_numbers_are_exact(sizes, silent, precision):
    """Shares are a power of two, slopes of scores whole numbers of 8 bits times one."""
    size, queries, keys, samples = sizes
    random = np.random.default_rng(size)
    X = [random.integers(-1, 2, (samples, n, 2 * size)).astype(np.float32)
         for n in (queries, keys, keys)]  # fmt: skip
    t = np.zeros((samples, queries, 2, size), np.float32)
    np.put_along_axis(t, random.integers(0, size, (samples, queries, 2, 1)), 1.0, -1)
    t = t.reshape(samples, -1)
    wanted = stored(X, t, silent) if precision == "bfloat16" else None
    gradients, _ = exact(X, t, silent, precision, wanted)
    heard = {"q": "k", "k": "q"}[silent]
    assert (gradients["of.v"] != 0).any()
    assert (gradients[f"of.{silent}"] != 0).any()
    assert (gradients[f"of.{heard}"] == 0).all()


@rough
@pytest.mark.parametrize("sizes", [*SIZES, (32, 64, 64, 70)])
def test_choices_of_single_keys_are_exact(sizes, precision):
    size, queries, keys, samples = sizes
    random = np.random.default_rng(size)
    of = np.concatenate([np.eye(size), -np.eye(size)])[:keys].astype(np.float32)
    keys = len(of)
    chosen = random.integers(0, keys, (samples, queries, 2))
    q = (4096 * of[chosen]).reshape(samples, queries, -1)
    k = np.broadcast_to(np.tile(of, (1, 2)), (samples, keys, 2 * size)).copy()
    v = random.integers(-9, 10, (samples, keys, 2 * size)).astype(np.float32)
    t = random.integers(-1, 2, (samples, queries * 2 * size)).astype(np.float32)
    _, y = exact([q, k, v], t, "", precision)
    for h in range(2):
        part = y.reshape(samples, queries, 2, size)[:, :, h]
        own = v.reshape(samples, keys, 2, size)[:, :, h]
        same(part, np.take_along_axis(own, chosen[:, :, h, None], 1))


@pytest.mark.parametrize(
    ("size", "length", "samples"), [(5, 64, 70), (16, 100, 20), (35, 19, 30), (70, 40, 9)]
)
def test_trainings_go_as_in_float32(size, length, samples):
    made, X, y = self_attention(4, size, length, samples, causal=True, dropout=0.2)
    options = {"batch": samples // 2 + 1, "epochs": 2}
    fine, *others = (
        trained("cuda", made(), X, y, precision=p, **options)[0][4]
        for p in ("float32", *PRECISIONS)
    )
    for rough, (precision, bound) in zip(others, PRECISIONS.items(), strict=True):
        np.testing.assert_allclose(rough, fine, 0, bound * fine[0], err_msg=precision)
        assert list(rough) != list(fine), precision


@rough
@pytest.mark.parametrize("size", [16, 40])
def test_outputs_and_gradients_are_rounded_and_near(size, precision):
    """Of each tensor by itself: nothing but attention's products is rounded."""
    X = [numbers(5, n, 2 * size, seed=i) for i, n in enumerate((70, 90, 90))]
    t = numbers(5, 70 * 2 * size, seed=3)
    (rough, y), (fine, wanted) = (
        passes(X, t, "", device="cuda", precision=p) for p in (precision, "float32")
    )
    for name, value in (fine | {"y": wanted}).items():
        far = abs((rough | {"y": y})[name] - value).max() / abs(value).max()
        assert 0 < far < PRECISIONS[precision], name


@emulated
@rough
@pytest.mark.parametrize("settings", [{"order": 1}, {"order": 5}, {"lazy": 0}, {"sms": 132}])
def test_no_rounded_result_depends_on_who_computes_it(settings, precision):
    made, X, y = self_attention(2, 20, 70, dropout=0.2)
    wanted = trained("cuda", made(), X, y, precision=precision)
    with emulating(**settings):
        same(trained("cuda", made(), X, y, precision=precision), wanted, str(settings))
