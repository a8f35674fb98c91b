"""Initial weights: the random numbers, their distributions, and what is refused."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
import reference
import steep
from steep import _core, layers
from steep import initializers as described
from steep.initializers import (
    Constant,
    DeltaOrthogonal,
    Dirac,
    Identity,
    Initializer,
    Normal,
    Orthogonal,
    Sparse,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
)
from steep.network import initializers
from steep.saving.config import Decoder, Encoder


def test_reference_philox_gives_the_published_answers():
    """Known answers of Random123 (Salmon et al. 2011) for philox4x32-10."""
    assert reference.philox((0,) * 4, (0,) * 2) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = reference.MASK
    assert reference.philox((ones,) * 4, (ones,) * 2) == (
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    )


KEYS = [(0, 0), (7, 3), (2**40 + 5, 2**33 + 1)]


@pytest.mark.parametrize(("seed", "stream"), KEYS)
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64])
def test_draws_are_those_of_the_reference(seed, stream, n):
    assert _core.uniform(seed, stream, n).tolist() == reference.uniform(seed, stream, n).tolist()
    normal = _core.normal(seed, stream, n)
    np.testing.assert_allclose(normal, reference.normal(seed, stream, n), rtol=1e-13, atol=1e-15)


def test_draws_differ_by_seed_and_stream_and_do_not_depend_on_their_number():
    rows = [_core.uniform(seed, stream, 50) for seed in (0, 1, 2**32) for stream in (0, 1, 2**32)]
    assert len({row.tobytes() for row in rows}) == 9
    assert _core.uniform(0, 0, 7).tolist() == rows[0][:7].tolist()


class Twice(Initializer):
    """An initialiser of somebody else's, which is wrong besides."""

    def values(self, place):
        return np.concatenate([np.ones(place.shape)] * 2)


def draw(init, shape, groups=1, seed=4, stream=2):
    fans = initializers.fans(shape, groups)
    return initializers.draw(init, shape, *fans, seed=seed, stream=stream, groups=groups)


TRUTHS = {
    "he": lambda: reference.he_std(6) * reference.normal(4, 2, 30),
    "xavier": lambda: reference.xavier_bound(6, 5) * (2 * reference.uniform(4, 2, 30) - 1),
    "xavier_in": lambda: reference.xavier_in_bound(6) * (2 * reference.uniform(4, 2, 30) - 1),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_named_initialisers_equal_the_reference(name):
    values = initializers.draw(name, (6, 5), 6, 5, seed=4, stream=2)
    np.testing.assert_allclose(values, TRUTHS[name]().reshape(6, 5), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", TRUTHS)
def test_variances(name):
    """Within five standard errors: He 2/n, Xavier 2/(n+m) and, by inputs, 2/n."""
    values = initializers.draw(name, (100, 300), 100, 300, seed=1, stream=9)
    variance = 2 / 400 if name == "xavier" else 2 / 100
    kurtosis = 3.0 if name == "he" else 1.8
    error = variance * math.sqrt((kurtosis - 1) / values.size)
    assert abs(values.var() - variance) < 5 * error
    assert abs(values.mean()) < 5 * math.sqrt(variance / values.size)


def test_numbers_and_arrays():
    given = np.arange(6).reshape(2, 3)
    values = initializers.draw(given, (2, 3), 2, 3, seed=0, stream=0)
    assert values.dtype == np.float64
    assert values.tolist() == given.tolist()
    assert not np.shares_memory(values, given)
    assert initializers.draw(0.25, (3,), 2, 3, seed=0, stream=0).tolist() == [0.25] * 3


@pytest.mark.parametrize(
    "init", ["zeros", 0.1, np.ones((4, 3)), np.arange(4.0)[:, None] + [0, 0, 0]]
)
def test_equal_units_are_warned_of(init):
    with pytest.warns(UserWarning, match="stay equal"):
        initializers.draw(init, (4, 3), 4, 3, seed=0, stream=0)


@pytest.mark.parametrize(
    ("init", "error", "words"),
    [
        ("hee", ValueError, 'Dense "a" initialiser "hee"; did you mean "he"'),
        (float("nan"), ValueError, "init must be in"),
        (None, TypeError, "init must be a number"),
        (np.ones((3, 2)), ValueError, r"must have shape \(2, 3\), got \(3, 2\)"),
        (np.full((2, 3), np.inf), ValueError, "NaN or infinity"),
        (np.full((2, 3), "a"), TypeError, "must hold numbers"),
        (Orthogonal, TypeError, "init is the class Orthogonal; write its parentheses"),
        ("dirac", ValueError, r'Dense "a": Dirac: is for the kernel .* got shape \(2, 3\)'),
        ("delta_orthogonal", ValueError, "DeltaOrthogonal: is for the kernel"),
        (Normal(3e38), ValueError, 'Dense "a": Normal: init array holds .* too large for float32'),
        (Twice(), ValueError, r"Twice: init array must have shape \(2, 3\), got \(4, 3\)"),
    ],
)
def test_refusals(init, error, words):
    with pytest.raises(error, match=words):
        initializers.draw(init, (2, 3), 2, 3, seed=0, stream=0, where='Dense "a"')


# ---- Initialisers with numbers: (one, a shape it is for, its values by the reference). ----


def cut(count, at=2.0):
    """The first normal numbers that are no larger."""
    drawn = reference.normal(4, 2, 6 * count + 100)
    return drawn[np.abs(drawn) <= at][:count]


def phi(x):
    return float(reference.normal_density(np.float64(x)))


CUT_STD = math.sqrt(1 - 4 * phi(2) / math.erf(math.sqrt(2)))
CASES = {
    "constant": (Constant(0.3), (6, 5), lambda: np.full(30, 0.3)),
    "normal": (Normal(0.2, 1.0), (6, 5), lambda: 1 + 0.2 * reference.normal(4, 2, 30)),
    "truncated": (TruncatedNormal(0.2, 1.0), (6, 5), lambda: 1 + 0.2 * cut(30)),
    "truncated far": (TruncatedNormal(0.2, cut=0.5), (7, 30), lambda: 0.2 * cut(210, 0.5)),
    "uniform": (
        Uniform(0.2, 0.1),
        (6, 5),
        lambda: 0.1 + 0.2 * (2 * reference.uniform(4, 2, 30) - 1),
    ),
    "scaled": (
        VarianceScaling(3.0, "fan_out"),
        (3, 2, 2, 5),
        lambda: math.sqrt(3 / 30) * cut(60) / CUT_STD,
    ),
    "scaled normal": (
        VarianceScaling(3.0, "fan_avg", "untruncated_normal"),
        (6, 5),
        lambda: math.sqrt(3 / 5.5) * reference.normal(4, 2, 30),
    ),
    "scaled uniform": (
        VarianceScaling(1 / 3, "fan_in", "uniform"),  # PyTorch's layers: U(+-1/sqrt(n))
        (6, 5),
        lambda: (2 * reference.uniform(4, 2, 30) - 1) / math.sqrt(6),
    ),
    "sparse": (Sparse(0.4, 0.5), (6, 5), None),
    "orthogonal": (Orthogonal(1.5), (6, 5), None),
    "delta": (DeltaOrthogonal(), (3, 3, 4, 5), None),
    "dirac": (Dirac(), (3, 3, 4, 5), None),
    "identity": (Identity(0.5), (6, 5), lambda: 0.5 * np.eye(6, 5)),
}


@pytest.mark.filterwarnings("ignore:.*stay equal")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_values_equal_the_reference(name):
    made, shape, truth = CASES[name]
    wanted = np.reshape(truth(), shape)
    np.testing.assert_allclose(draw(made, shape), wanted, rtol=1e-13, atol=1e-15)


def test_every_initializer_is_in_the_table_the_cases_and_a_page():
    assert {type(made).__name__ for made, _, _ in CASES.values()} == set(described.TABLE)
    classes = {name for name in described.__all__ if name[0].isupper()}
    assert classes - {"Initializer", "Place"} == set(described.TABLE)


ALIKE = [
    {"he", "kaiming_normal"},
    {"xavier_in", "kaiming_uniform", "he_uniform"},
    {"xavier", "xavier_uniform", "glorot_uniform"},
    {"normal", "random_normal"},
    {"uniform", "random_uniform"},
    {"identity", "eye"},
    {"lecun", "lecun_normal", "variance_scaling"},
]


@pytest.mark.filterwarnings("ignore:.*stay equal")
def test_names_of_the_field():
    """Names that say the same draw the same bytes, others do not."""
    found = {}
    for name in described.NAMED:
        shape = (3, 3, 4, 5) if name in ("dirac", "delta_orthogonal") else (6, 5)
        found.setdefault(draw(name, shape).tobytes(), set()).add(name)
    for names in ALIKE:
        assert names in found.values()
    assert len(found) == len(described.NAMED) - sum(len(names) - 1 for names in ALIKE)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling_has_the_variance(mode, distribution):
    """scale/n within five standard errors, and no weight beyond the cut."""
    values = draw(VarianceScaling(1.7, mode, distribution), (150, 400))
    variance = 1.7 / {"fan_in": 150, "fan_out": 400, "fan_avg": 275}[mode]
    kurtosis = {"untruncated_normal": 3.0, "truncated_normal": 2.37, "uniform": 1.8}[distribution]
    assert abs(values.var() - variance) < 5 * variance * math.sqrt((kurtosis - 1) / values.size)
    assert abs(values.mean()) < 5 * math.sqrt(variance / values.size)
    largest = np.abs(values).max() / math.sqrt(variance)
    limit = {"untruncated_normal": 6, "truncated_normal": 2 / CUT_STD, "uniform": math.sqrt(3)}
    assert 0.97 * limit[distribution] < largest < limit[distribution] or largest > 3.5


@pytest.mark.parametrize("slope", [None, 0.0, 0.2, 1])
def test_gains_are_those_of_torch(slope):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init.calculate_gain
    assert described.gain("leaky_relu", slope) == pytest.approx(theirs("leaky_relu", slope), 1e-15)
    for name in ("linear", "sigmoid", "tanh", "relu", "selu"):
        assert described.gain(name) == pytest.approx(theirs(name), rel=1e-15)
    with pytest.raises(ValueError, match="unknown activation with a gain"):
        described.gain("gelu")
    with pytest.raises(ValueError, match='slope of "leaky_relu"'):
        described.gain("relu", 0.1)


@pytest.mark.parametrize(
    "name",
    ["kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"],
)
@pytest.mark.parametrize("shape", [(30, 200), (3, 3, 16, 40)])
def test_spreads_are_those_of_torch(name, shape):
    """Two samples: standard deviations within five standard errors of each other."""
    torch = pytest.importorskip("torch")
    theirs = torch.empty(shape[-1], shape[-2], *shape[:-2])
    generator = torch.Generator().manual_seed(0)
    theirs = getattr(torch.nn.init, f"{name}_")(theirs, generator=generator).numpy()
    ours = draw(name, shape)
    kurtosis = 3.0 if name.endswith("_normal") else 1.8
    error = ours.std() * math.sqrt((kurtosis - 1) / 2 / ours.size)
    assert abs(ours.std() - theirs.std()) < 5 * error


@pytest.mark.filterwarnings("ignore:.*stay equal")
@pytest.mark.parametrize("name", CASES)
def test_layers_take_them_save_them_and_tell_them(name):
    made, shape, _ = CASES[name]
    image = len(shape) == 4
    kind = layers.Conv2D if image else layers.Dense
    layer = kind(shape[-1], *[shape[:2]] * image, init=made)
    net = steep.Sequential(layer).build((6, 6, shape[2]) if image else shape[0], seed=5)
    weight = "conv2d.weight" if image else "dense.weight"
    wanted = draw(made, shape, seed=5, stream=0).astype(np.float32)
    np.testing.assert_array_equal(net.state_dict()[weight], wanted)
    encoder = Encoder()
    config = json.loads(json.dumps(encoder.encode(net)))
    again = Decoder(encoder.arrays, {}).decode(config)
    assert again.layers[0].init == made
    for twin in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        inside = twin if twin is again else steep.Sequential(twin)
        inside.build(net.input_shapes[0], seed=5)
        np.testing.assert_array_equal(inside.state_dict()[weight], wanted)
    text = net.summary()
    assert "VarianceScaling: " in text if name.startswith("scaled") else repr(made) in text


def test_a_trainer_with_them_comes_back_from_its_checkpoint(tmp_path):
    net = steep.Sequential(
        layers.Dense(6, "tanh", init=Orthogonal(5 / 3)), layers.Dense(2, init="lecun_normal")
    )
    trainer = steep.Trainer(net, "mse", "sgd", seed=3)
    X, y = np.ones((4, 3)), np.zeros((4, 2))
    trainer.fit(X, y, progress=False)
    trainer.save(tmp_path / "t")
    again = steep.Trainer.load(tmp_path / "t")
    assert again.net.layers[0].init == Orthogonal(5 / 3)
    for fitted in (trainer, again):
        fitted.fit(X, y, progress=False)
    for a, b in zip(net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert a.tobytes() == b.tobytes()


class Ramp(Initializer):
    """Somebody's own."""

    def values(self, place):
        return np.linspace(0, 1, math.prod(place.shape)).reshape(place.shape)


def test_an_own_initializer_is_used_and_not_saved():
    net = steep.Sequential(layers.Dense(2, init=Ramp())).build(3)
    assert net.state_dict()["dense.weight"].ravel().tolist() == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 1]
    )
    with pytest.raises(TypeError, match=r"Ramp cannot be saved: Ramp\(\)"):
        Encoder().encode(net)


@pytest.mark.parametrize(
    "config",
    [
        {"initializer": "Orthogonl"},
        {"initializer": "Orthogonal", "gain": "1"},
        {"initializer": "Orthogonal", "gain": math.nan},
        {"initializer": "Orthogonal", "depth": 1},
        {"initializer": "VarianceScaling", "mode": "fan"},
        {"initializer": ["Orthogonal"]},
        {"initializer": "Sparse"},
    ],
)
def test_a_damaged_description_is_refused(config):
    with pytest.raises((ValueError, TypeError)):
        Decoder({}, {}).decode(config)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Normal(0), ValueError, r"Normal: std must be in \(0, inf\), got 0.0"),
        (lambda: Normal(1e-40), ValueError, "becomes 0 there"),
        (lambda: Uniform("a"), TypeError, "bound must be a number"),
        (lambda: TruncatedNormal(1, cut=0.01), ValueError, r"cut must be in \[0.1, inf"),
        (lambda: VarianceScaling(-1), ValueError, "scale must be in"),
        (lambda: VarianceScaling(mode="fan"), ValueError, 'unknown mode "fan"; did you mean "fan_'),
        (lambda: VarianceScaling(1, "fan_in", "normal"), ValueError, 'Known: "truncated_'),
        (lambda: Sparse(1.0), ValueError, r"sparsity must be in \[0, 1\)"),
        (lambda: draw(Sparse(0.5), (3, 3, 2, 2)), ValueError, r"Sparse: is for a matrix"),
        (lambda: draw(Orthogonal(), (3,)), ValueError, "needs two axes or more"),
        (lambda: draw(Identity(), (3, 3, 2, 2)), ValueError, 'Identity: .* take "dirac"'),
        (
            lambda: draw("delta_orthogonal", (3, 3, 4, 3)),
            ValueError,
            "4 inputs and 3 outputs; take",
        ),
        (
            lambda: draw("delta_orthogonal", (3, 3, 4, 6), 2),
            ValueError,
            "4 inputs and 3 outputs of each of 2 groups",
        ),
        (
            lambda: steep.Sequential(layers.Conv2D(2, 3, init="identity", name="c")).build(
                (4, 4, 2)
            ),
            ValueError,
            r'^Conv2D "c": Identity: is for a matrix, got shape \(3, 3, 2, 2\)',
        ),
    ],
)
def test_what_cannot_begin_so_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
