"""Laws on plain arguments: any int and any number is taken as it is or refused by its name."""

import contextlib
import inspect
import re
import warnings

import numpy as np
import pytest
import steep
from steep import callbacks, constraints, data, lab, layers, losses, models, ops, optimizers

X, Y = np.zeros((6, 3), np.float32), np.arange(6) % 2


def net(*more):
    return steep.Sequential(*more, layers.Dense(2))


def trainer():
    made = steep.Trainer(net(), "cross_entropy", "sgd")
    made.net.build(3)
    return made


def image(layer):
    """Lower a layer on an image: what its constructor lets pass must fit or be refused there."""
    return steep.Sequential(layer).build((4, 4, 2))


def sequence(layer):
    return steep.Sequential(layer).build((4, 2))


def op(function):
    class Asking(layers.Layer):
        def call(self, x):
            return function(x)

    return steep.Sequential(Asking()).build((4, 4, 2))


def within(n):
    with steep.threads(n):
        return steep.get_num_threads()


def default(n):
    before = steep.get_num_threads()
    steep.set_num_threads(n)
    steep.set_num_threads(before)


def bowl(w):
    return 2 * w


def recurrent(*names):
    """Return rows of the arguments of recurrent layers."""
    kinds = (layers.SimpleRNN, layers.LSTM, layers.GRU)
    given = [(kind, name) for kind in kinds for name in names if name != "units"]
    rows = {f"{kind.__name__} {name}": (_option(kind, name), name) for kind, name in given}
    return rows | {kind.__name__: (kind, "units") for kind in kinds if "units" in names}


def _option(kind, name):
    return lambda value: kind(3, **{name: value})


# what is called with the int, and the name that a refusal must give
INTS = {
    "Custom target": (lambda n: losses.Custom(lambda y, t: y - t, n), "target"),
    "Dense": (layers.Dense, "units"),
    "PeriodicEmbedding": (layers.PeriodicEmbedding, "units"),
    "PeriodicEmbedding waves": (lambda n: layers.PeriodicEmbedding(2, n), "waves"),
    "PiecewiseEmbedding": (layers.PiecewiseEmbedding, "units"),
    "PiecewiseEmbedding bins": (lambda n: layers.PiecewiseEmbedding(2, n), "bins"),
    "quantile_edges": (lambda n: data.quantile_edges([[1.0]], n), "bins"),
    **recurrent("units", "stateful"),
    "GraphConv": (lambda units: layers.GraphConv(units, data.Graph([], 1)), "units"),
    "Embedding vocabulary": (lambda n: layers.Embedding(n, 2), "vocabulary"),
    "Embedding units": (lambda n: layers.Embedding(2, n), "units"),
    "Embedding padding": (lambda n: layers.Embedding(2, 2, None, n), "padding"),
    "Position": (layers.Position, "index"),
    "SkipGram units": (steep.SkipGram, "units"),
    "SkipGram window": (lambda n: steep.SkipGram(2, n), "window"),
    "SkipGram negatives": (lambda n: steep.SkipGram(2, 2, n), "negatives"),
    "SkipGram min_count": (lambda n: steep.SkipGram(2, 2, 2, n), "min_count"),
    "SkipGram seed": (lambda n: steep.SkipGram(2, seed=n), "seed"),
    "SkipGram epochs": (lambda n: steep.SkipGram(2, 2, 1, 1).fit(["a", "b"], n), "epochs"),
    "GroupNorm": (layers.GroupNorm, "groups"),
    "MultiHeadAttention": (layers.MultiHeadAttention, "heads"),
    "MultiHeadAttention units": (lambda n: layers.MultiHeadAttention(1, n), "head_units"),
    "TransformerBlock": (layers.TransformerBlock, "heads"),
    "TransformerBlock mlp": (lambda n: layers.TransformerBlock(1, n), "mlp"),
    "PatchEmbedding": (lambda n: layers.PatchEmbedding(n, 2), "size"),
    "PatchEmbedding units": (lambda n: layers.PatchEmbedding(2, n), "units"),
    "windows": (lambda n: data.windows(np.zeros(9), n), "length|series"),
    "windows step": (lambda n: data.windows(np.zeros(9), 2, n), "step"),
    "windows horizon": (lambda n: data.windows(np.zeros(9), 2, 1, n), "horizon|series"),
    "gpt": (models.gpt, "layers"),
    "vit": (models.vit, "classes"),
    "Conv2D filters": (lambda n: image(layers.Conv2D(n, 1)), "filters"),
    "Conv2D kernel": (lambda n: image(layers.Conv2D(2, n)), "kernel|window"),
    "Conv2D kernel of two": (lambda n: image(layers.Conv2D(2, (1, n))), "kernel|window"),
    "Conv2D stride": (lambda n: image(layers.Conv2D(2, 1, n)), "stride"),
    "Conv2D dilation": (lambda n: image(layers.Conv2D(2, 1, dilation=n)), "dilation"),
    "Conv2D groups": (lambda n: image(layers.Conv2D(2, 1, groups=n)), "groups"),
    "Conv2D padding": (lambda n: layers.Conv2D(2, 1, padding=n), "padding"),
    "Conv2D padding of four": (lambda n: layers.Conv2D(2, 1, padding=(0, 0, n, 0)), "padding"),
    "Conv1D filters": (lambda n: sequence(layers.Conv1D(n, 1)), "filters"),
    "Conv1D kernel": (lambda n: sequence(layers.Conv1D(2, n)), "kernel|window"),
    "Conv1D stride": (lambda n: sequence(layers.Conv1D(2, 1, n)), "stride"),
    "Conv1D dilation": (lambda n: sequence(layers.Conv1D(2, 1, dilation=n)), "dilation"),
    "Conv1D groups": (lambda n: sequence(layers.Conv1D(2, 1, groups=n)), "groups"),
    "Conv1D padding": (lambda n: layers.Conv1D(2, 1, padding=n), "padding"),
    "MaxPool1D": (lambda n: sequence(layers.MaxPool1D(n)), "size|window"),
    "MaxPool1D stride": (lambda n: sequence(layers.MaxPool1D(2, n)), "stride"),
    "MaxPool1D padding": (lambda n: sequence(layers.MaxPool1D(2, padding=n)), "padding"),
    "AvgPool1D": (lambda n: sequence(layers.AvgPool1D(n)), "size|window"),
    "AvgPool1D stride": (lambda n: sequence(layers.AvgPool1D(2, n)), "stride"),
    "AvgPool1D padding": (lambda n: sequence(layers.AvgPool1D(2, padding=n)), "padding"),
    "Conv2DTranspose filters": (lambda n: image(layers.Conv2DTranspose(n, 1)), "filters"),
    "Conv2DTranspose kernel": (lambda n: image(layers.Conv2DTranspose(2, n)), "kernel|window|size"),
    "Conv2DTranspose stride": (lambda n: image(layers.Conv2DTranspose(2, 1, n)), "stride|size"),
    "Conv2DTranspose dilation": (
        lambda n: image(layers.Conv2DTranspose(2, 1, dilation=n)),
        "dilation",
    ),
    "Conv2DTranspose groups": (lambda n: image(layers.Conv2DTranspose(2, 1, groups=n)), "groups"),
    "Conv2DTranspose padding": (lambda n: layers.Conv2DTranspose(2, 1, padding=n), "padding"),
    "Conv2DTranspose more": (
        lambda n: image(layers.Conv2DTranspose(2, 1, 4, "valid", n)),
        "output_padding",
    ),
    "TiedDense": (lambda n: layers.TiedDense(layers.Dense(2), n), "units"),
    "SpectralNorm": (lambda n: layers.SpectralNorm(layers.Dense(2), n), "iterations"),
    "RepeatVector": (layers.RepeatVector, "n"),
    "predict seed": (lambda n: net().build(3).predict(X, seed=n), "seed"),
    "ops.sum": (lambda n: op(lambda x: ops.sum(x, n)), "axis"),
    "ops.repeat": (lambda n: op(lambda x: ops.repeat(x, 2, n)), "axis"),
    "ops.slice": (lambda n: op(lambda x: ops.slice(x, n, 4, 0)), "start|part"),
    "ops.split": (lambda n: op(lambda x: ops.split(x, (1, n), 0)[0]), "part"),
    "MaxPool2D": (lambda n: image(layers.MaxPool2D(n)), "size|window"),
    "MaxPool2D stride": (lambda n: image(layers.MaxPool2D(2, n)), "stride"),
    "AvgPool2D": (lambda n: image(layers.AvgPool2D((n, 1))), "size|window"),
    "AvgPool2D stride": (lambda n: image(layers.AvgPool2D(2, n)), "stride"),
    "MaxPool2D padding": (lambda n: image(layers.MaxPool2D(2, padding=n)), "padding"),
    "AvgPool2D padding": (lambda n: image(layers.AvgPool2D(2, padding=n)), "padding"),
    "UpSample2D": (layers.UpSample2D, "size"),
    "ZeroPad2D": (layers.ZeroPad2D, "padding"),
    "ZeroPad2D channels": (lambda n: layers.ZeroPad2D(0, n), "channels"),
    "Reshape": (lambda n: layers.Reshape((4, n)), "shape"),
    "LocalResponseNorm": (layers.LocalResponseNorm, "size"),
    "CrossEntropy": (lambda n: losses.CrossEntropy(ignore=n), "ignore"),
    "BatchNorm": (lambda n: layers.BatchNorm(virtual_batch=n), "virtual_batch"),
    "ops.max_pool": (lambda n: op(lambda x: ops.max_pool(x, 1, n)), "stride"),
    "ops.upsample": (lambda n: op(lambda x: ops.upsample(x, (1, n))) if n != 3 else 0, "size"),
    "Maxout": (layers.Maxout, "pieces"),
    "ops.maxout": (lambda n: op(lambda x: ops.maxout(x, n)) if n != 3 else 0, "pieces"),
    "ops.lrn": (lambda n: op(lambda x: ops.lrn(x, n)), "size"),
    "Input": (lambda n: steep.Input((4, n)), "axis|shape"),
    "build shape": (lambda n: steep.Sequential(layers.ReLU()).build(n), "axis|shape"),
    "input_shape": (lambda n: steep.Sequential(layers.ReLU(), input_shape=n), "axis|shape"),
    "build seed": (lambda n: net().build(3, seed=n), "seed"),
    "Trainer seed": (lambda n: steep.Trainer(net(), "mse", "sgd", seed=n), "seed"),
    "predict": (lambda n: net().predict(X, n), "batch_size"),
    "predict nothing": (lambda n: net().predict(X[:0], n), "batch_size"),
    "fit epochs": (lambda n: trainer().fit(X, Y, epochs=n, progress=False), "epochs"),
    "fit batch_size": (lambda n: trainer().fit(X, Y, batch_size=n, progress=False), "batch_size"),
    "evaluate": (lambda n: trainer().evaluate(X, Y, n), "batch_size"),
    "memory": (lambda n: trainer().memory(n), "batch_size"),
    "set_num_threads": (default, "set_num_threads: n"),
    "threads": (within, "threads: n"),
    "EarlyStopping": (lambda n: callbacks.EarlyStopping(patience=n), "patience"),
    "ReduceOnPlateau": (lambda n: callbacks.ReduceOnPlateau(patience=n), "patience"),
    "ReduceOnPlateau cooldown": (lambda n: callbacks.ReduceOnPlateau(cooldown=n), "cooldown"),
    "Checkpoint": (lambda n: callbacks.Checkpoint("a", every=n), "every"),
    "Recorder": (callbacks.Recorder, "every"),
    "descend steps": (lambda n: lab.descend("sgd", bowl, 1.0, n), "steps"),
    "descend epoch_steps": (lambda n: lab.descend("sgd", bowl, 1.0, 2, n), "epoch_steps"),
    "minimize": (lambda n: lab.minimize("sgd", bowl, 1.0, max_steps=n), "max_steps"),
    "check_gradients": (
        lambda n: lab.check_gradients(net(), X, Y, "cross_entropy", entries=n),
        "entries",
    ),
    "check_gradients seed": (
        lambda n: lab.check_gradients(net(), X, Y, "cross_entropy", seed=n, entries=1),
        "seed",
    ),
    "gradient_flow seed": (
        lambda n: lab.gradient_flow(net(), X, Y, "cross_entropy", seed=n),
        "seed",
    ),
    "lsuv tries": (lambda n: lab.lsuv(net(), np.eye(3), tries=n), "tries"),
    "lsuv seed": (lambda n: lab.lsuv(net(), np.eye(3), seed=n), "seed"),
    "count_derivatives": (lambda n: lab.count_derivatives(10, n), "weights"),
    "Augment shift": (lambda n: data.Augment(shift=n), "shift"),
    "Augment cutout": (lambda n: data.Augment(cutout=n), "cutout"),
    "split": (lambda n: data.split(n, test=0.0, validation=0.0), "count|samples"),
    "split seed": (lambda n: data.split(10, seed=n), "seed"),
    "images": (lambda n: data.images("/nowhere", (n, 4)), "height|nowhere"),
    "mlp": (lambda n: models.mlp((n,)), "units"),
    "mlp of one layer": (models.mlp, "units"),
    "mlp classes": (lambda n: models.mlp((4,), n), "classes"),
    "lenet5": (models.lenet5, "classes"),
    "resnet depth": (models.resnet, "depth"),
    "resnet classes": (lambda n: models.resnet(18, n), "classes"),
    "densenet_bc": (lambda n: models.densenet_bc(40, n), "growth"),
    "vgg": (models.vgg, "depth"),
}
GIVEN = [
    *(-1, 0, 3, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 2**64, 2**200, -(2**31) - 1, -(2**63)),
    *(1.5, 3.0, float("nan"), True, None, "3", b"3", [3], np.True_),
    *(np.int8(3), np.uint8(3), np.int64(-1), np.uint64(2**64 - 1), np.array(3), np.array(2.5)),
    *(np.float32(3), np.array([3]), 3j, object),
]


@pytest.mark.parametrize("row", INTS)
@pytest.mark.parametrize("value", GIVEN, ids=repr)
def test_f37_any_int_is_taken_or_refused_by_its_name(row, value):
    call, name = INTS[row]
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            call(value)
        except (TypeError, ValueError, FileNotFoundError) as error:
            text = str(error)
            assert any(word in text for word in name.split("|")), text
            assert "incompatible function arguments" not in text
            whole_range = isinstance(error, TypeError) and whole
            assert not whole_range, f"an int is of the right type: {text}"


FLOATS = {
    "SkipGram lr": (lambda v: steep.SkipGram(lr="" if v is None else v), "lr"),
    "SkipGram lr_end": (lambda v: steep.SkipGram(lr_end="" if v is None else v), "lr_end"),
    "Dice": (losses.Dice, "smooth"),
    "Focal": (losses.Focal, "gamma"),
    "Focal alpha": (lambda v: losses.Focal(2.0, "" if v is None else v), "alpha"),
    "BinaryCrossEntropy": (
        lambda v: losses.BinaryCrossEntropy("" if v is None else v),
        "pos_weight",
    ),
    "BinaryCrossEntropy several": (lambda v: losses.BinaryCrossEntropy((1.0, v)), "pos_weight"),
    "Activation": (lambda v: layers.Activation("elu", v), "alpha"),
    "Activation leaky": (lambda v: layers.Activation("leaky_relu", v), "alpha"),
    "Activation without": (lambda v: layers.Activation("tanh", v), "alpha"),
    "LeakyReLU": (layers.LeakyReLU, "slope"),
    "ELU": (layers.ELU, "alpha"),
    "CELU": (layers.CELU, "alpha"),
    "SoftShrink": (layers.SoftShrink, "threshold"),
    "HardShrink": (layers.HardShrink, "threshold"),
    "Dropout": (layers.Dropout, "rate"),
    "AlphaDropout": (layers.AlphaDropout, "rate"),
    "RReLU lower": (lambda v: layers.RReLU(v, 3e38), "lower"),
    "RReLU upper": (lambda v: layers.RReLU(0.0, v), "upper"),
    **recurrent("dropout", "recurrent_dropout"),
    "LSTM forget_bias": (_option(layers.LSTM, "forget_bias"), "forget_bias"),
    "GaussianNoise": (layers.GaussianNoise, "std"),
    "GradientReversal": (layers.GradientReversal, "scale"),
    "Clip": (constraints.Clip, "limit"),
    "MaxNorm": (constraints.MaxNorm, "limit"),
    "Normalize mean": (lambda v: layers.Normalize(v, 1.0), "mean"),
    "Normalize std": (lambda v: layers.Normalize(0.0, v), "std"),
    "Normalize several": (lambda v: layers.Normalize([0.0, 1.0], [1.0, v]), "std"),
    "Rescale": (layers.Rescale, "scale"),
    "PeriodicEmbedding sigma": (lambda v: layers.PeriodicEmbedding(2, 3, v), "sigma"),
    "Rescale shift": (lambda v: layers.Rescale(1.0, v), "shift"),
    "BatchNorm momentum": (layers.BatchNorm, "momentum"),
    "LayerNorm": (layers.LayerNorm, "eps"),
    "RMSNorm": (layers.RMSNorm, "eps"),
    "GroupNorm": (lambda v: layers.GroupNorm(1, v), "eps"),
    "InstanceNorm": (layers.InstanceNorm, "eps"),
    "MultiHeadAttention": (lambda v: layers.MultiHeadAttention(1, dropout=v), "dropout"),
    "TransformerBlock": (lambda v: layers.TransformerBlock(1, dropout=v), "dropout"),
    "TransformerBlock eps": (lambda v: layers.TransformerBlock(1, eps=v), "eps"),
    "BatchNorm eps": (lambda v: layers.BatchNorm(eps=v), "eps"),
    "LocalResponseNorm alpha": (lambda v: layers.LocalResponseNorm(5, v), "alpha"),
    "LocalResponseNorm beta": (lambda v: layers.LocalResponseNorm(5, beta=v), "beta"),
    "LocalResponseNorm bias": (lambda v: layers.LocalResponseNorm(5, bias=v), "bias"),
    **{kind.__name__: (kind, name) for kind in losses.TABLE.values() for name in kind.ranges},
    "CrossEntropy weight": (lambda v: losses.CrossEntropy(0, None, (1.0, v)), "class_weight"),
    "Augment": (lambda v: data.Augment(fill=v), "fill"),
    "Augment several": (lambda v: data.Augment(fill=(v, 0.0)), "fill"),
    "init": (lambda v: steep.Sequential(layers.Dense(1, init=v)).build(2), "init"),
    "ops.affine": (lambda v: op(lambda x: ops.affine(x, v)), "scale"),
    "ops.affine shift": (lambda v: op(lambda x: ops.affine(x, 1.0, v)), "shift"),
    "x * number": (lambda v: op(lambda x: x * v), "symbolic tensor"),
    "x + number": (lambda v: op(lambda x: x + v), "symbolic tensor"),
    "x / number": (lambda v: op(lambda x: x / v), "symbolic tensor"),
    "number / x": (lambda v: op(lambda x: v / x), "symbolic tensor"),
    "x ** number": (lambda v: op(lambda x: x**v), "symbolic tensor"),
    "ops.power": (lambda v: op(lambda x: ops.power(x, v)), "exponent"),
    "ops.clip low": (lambda v: op(lambda x: ops.clip(x, v, 3.4e38)), "low"),
    "ops.clip high": (lambda v: op(lambda x: ops.clip(x, high=v)), "high"),
    "ops.uniform_like": (lambda v: op(lambda x: ops.uniform_like(x, v, 3.4e38)), "low"),
    "ops.gaussian_noise": (lambda v: op(lambda x: ops.gaussian_noise(x, v)), "std"),
    "ops.gradient_reversal": (lambda v: op(lambda x: ops.gradient_reversal(x, v)), "scale"),
    "ops.activation": (lambda v: op(lambda x: ops.activation(x, "elu", v)), "alpha"),
    "ops.dropout": (lambda v: op(lambda x: ops.dropout(x, v)), "rate"),
    "ops.alpha_dropout": (lambda v: op(lambda x: ops.alpha_dropout(x, v)), "rate"),
    "ops.rrelu": (lambda v: op(lambda x: ops.rrelu(x, 0.0, v)), "upper"),
    "ops.normalize": (lambda v: op(lambda x: ops.normalize(x, [0, 0], [v, 1])), "std"),
    "ops.lrn": (lambda v: op(lambda x: ops.lrn(x, bias=v)), "bias"),
}
END_AT_1 = {"rate", "momentum"} | {
    name
    for kind in losses.TABLE.values()
    for name, allowed in kind.ranges.items()
    if allowed.high == 1
}
NUMBERS = [
    *(0, 1, -1, 0.5, 1e-30, 1e30, 1e-37, 1e38, np.float64(0.25), np.array(0.5), np.float16(0.5)),
    *(1e-50, -1e-50, 1e-39, 5e-324, 1e39, -1e39, 1e300, 10**400, 1 - 2.0**-33, 1 - 2.0**-53),
    *(float("nan"), float("inf"), True, "1", None, 1j, [[1.0]]),
]


@pytest.mark.parametrize("row", FLOATS)
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_f17_a_number_is_what_it_is_in_float32_or_refused_by_its_name(row, value):
    call, name = FLOATS[row]
    if value is None and ("Activation" in row or row == "init" or "ops.clip" in row):
        return  # None: the default
    try:
        call(value)
    except (TypeError, ValueError) as error:
        assert name in str(error)
        assert "incompatible function arguments" not in str(error)
        return
    with np.errstate(all="ignore"):
        single = np.float32(value)
    assert np.isfinite(single)
    assert float(value) == 0 or abs(single) >= np.finfo(np.float32).tiny
    if name in END_AT_1:
        assert (single == 1) == (float(value) == 1)


def test_every_number_of_a_public_class_stands_in_a_table():
    """A new layer, loss or callback comes with its rows."""
    ints, floats = ("int", "PairLike", "PaddingLike"), ("float",)
    missing = []
    made = [(layers, layers.__all__), (losses, losses.__all__), (callbacks, callbacks.__all__)]
    for kind in [getattr(m, n) for m, names in made for n in names] + [data.Augment]:
        if not isinstance(kind, type):
            continue
        for name, parameter in inspect.signature(kind).parameters.items():
            words = set(re.findall(r"\w+", str(parameter.annotation)))
            for wanted, table in ((ints, INTS), (floats, FLOATS)):
                rows = (
                    names for row, (_, names) in table.items() if row.split()[0] == kind.__name__
                )
                known = {word for names in rows for word in names.split("|")}
                # Floats of callbacks are Python's.
                native = wanted is ints or kind.__name__ not in callbacks.__all__
                if words & set(wanted) and name not in known and native:
                    missing.append(f"{kind.__name__}: {name}")
    assert not missing


# arguments that are right, and must stay so
FINE = [
    lambda: layers.Dropout(1 - 2.0**-24),
    lambda: layers.Dropout(2.0**-33),
    lambda: layers.BatchNorm(1.0, 1e-12),
    lambda: layers.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    lambda: layers.Rescale(1 / 255),
    lambda: losses.Huber(1e-30),
    lambda: layers.Activation("leaky_relu", -0.5),
    lambda: layers.Activation("elu", 0),
    lambda: optimizers.Adam(1e-300, eps=1e-300),
]


@pytest.mark.parametrize("make", FINE)
def test_f17_small_but_meaningful_numbers_are_taken(make):
    make()


def test_f17_float32_needs_numbers_it_can_hold_but_float64_may_have_smaller_ones():
    for optimizer, name in [
        (optimizers.SGD(1e-50), "lr"),
        (optimizers.SGD(0.1, momentum=1 - 2.0**-33), "momentum"),
        (optimizers.Adam(beta2=1 - 2.0**-53), "beta2"),
        (optimizers.Adam(eps=1e-50), "eps"),
        (optimizers.AdamW(weight_decay=1e39), "weight_decay"),
    ]:
        optimizer._check_precision("float64")
        with pytest.raises(ValueError, match=rf"{name} must be in .* in float32 too"):
            optimizer._check_precision("float32")
    fading = steep.schedules.Exponential(0.1, 1.0)  # ends below every float32: 0 is right there
    optimizers.SGD(fading, 0.9)._check_precision("float32")
    path = lab.descend(optimizers.SGD(2.0**-170), lambda w: w * 2.0**170, 1.0, 1)
    assert path.ravel().tolist() == [1.0, 0.0]


def test_f17_scale_and_shift_of_a_normalisation_are_checked_as_they_are_computed():
    for mean, std, what in [(1e30, 1e-30, "mean/std"), (0.0, 2.5e38, "1/std")]:
        with pytest.raises(ValueError, match=f"normalize: {what}"):
            steep.Sequential(layers.Normalize(mean, std)).build((4, 4, 1))
    with pytest.raises(ValueError, match="too large for float32"):
        steep.Sequential(layers.Dense(2, init=np.full((3, 2), 1e39))).build(3)


def test_f17_an_activation_has_the_gradient_of_what_it_computes():
    for kind, alpha in [("elu", 0.0), ("elu", 2.5), ("leaky_relu", -0.5), ("leaky_relu", 1.5)]:
        made = steep.Sequential(layers.Dense(4), layers.Activation(kind, alpha), layers.Dense(1))
        X = np.random.default_rng(1).normal(size=(5, 3))
        assert lab.check_gradients(made, X, np.ones(5), "mse") < 1e-7
    with pytest.raises(ValueError, match=r"Activation: alpha must be in \[0, inf\), got -1"):
        layers.Activation("elu", -1)
    with pytest.raises(ValueError, match=r'"relu" has no alpha, got 0.2; "leaky_relu"'):
        layers.Activation("relu", 0.2)


def test_f37_sizes_that_fit_are_taken_to_their_limit():
    assert layers.Dense(2**31 - 1).units == 2**31 - 1
    assert net().predict(X, 2**31 - 1).shape == (6, 2)
    trainer().fit(X, Y, batch_size=2**31 - 1, progress=False)
    assert steep.Trainer(net(), "mse", "sgd", seed=2**64 - 1).seed == 2**64 - 1
    with contextlib.ExitStack() as stack:
        stack.enter_context(steep.threads(4096))
        assert steep.get_num_threads() == 4096
    with pytest.raises(ValueError, match="set_num_threads: n must be at most 4096, got 1000000"):
        steep.set_num_threads(10**6)
