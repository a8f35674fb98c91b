"""The networks of the zoo: their published sizes, three steps of training, what a summary says."""

import math
from itertools import pairwise

import numpy as np
import pytest
import steep
from steep import layers, models
from steep.network.scope import Scope

IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)
# name -> (network, input shape, parameters)
PUBLISHED = {
    "lenet5": (models.lenet5, (28, 28, 1), 61_706),
    "alexnet": (models.alexnet, IMAGENET, 61_100_840),
    "vgg11": (lambda: models.vgg(11), IMAGENET, 132_863_336),
    "vgg13": (lambda: models.vgg(13), IMAGENET, 133_047_848),
    "vgg16": (lambda: models.vgg(16), IMAGENET, 138_357_544),
    "vgg19": (lambda: models.vgg(19), IMAGENET, 143_667_240),
    "vgg16_bn": (lambda: models.vgg(16, batch_norm=True), IMAGENET, 138_365_992),
    "googlenet": (models.googlenet, IMAGENET, 7_005_832),
    "resnet18": (lambda: models.resnet(18), IMAGENET, 11_689_512),
    "resnet34": (lambda: models.resnet(34), IMAGENET, 21_797_672),
    "resnet50": (lambda: models.resnet(50), IMAGENET, 25_557_032),
    "resnet101": (lambda: models.resnet(101), IMAGENET, 44_549_160),
    "resnet152": (lambda: models.resnet(152), IMAGENET, 60_192_808),
    "densenet121": (lambda: models.densenet(121), IMAGENET, 7_978_856),
    "densenet169": (lambda: models.densenet(169), IMAGENET, 14_149_480),
    "densenet201": (lambda: models.densenet(201), IMAGENET, 20_013_928),
    "densenet264": (lambda: models.densenet(264), IMAGENET, 33_337_704),
    # He et al. count 0.27, 0.46, 0.66, 0.85 and 1.7 millions.
    "resnet20": (lambda: models.resnet_cifar(20), CIFAR, 269_722),
    "resnet32": (lambda: models.resnet_cifar(32), CIFAR, 464_154),
    "resnet44": (lambda: models.resnet_cifar(44), CIFAR, 658_586),
    "resnet56": (lambda: models.resnet_cifar(56), CIFAR, 853_018),
    "resnet110": (lambda: models.resnet_cifar(110), CIFAR, 1_727_962),
    "plain56": (lambda: models.resnet_cifar(56, plain=True), CIFAR, 853_018),
    # Of the layers in the paper's figure 1, for one channel and two classes.
    "unet": (models.unet, (128, 128, 1), 31_030_658),
    # Huang et al. count 0.8, 15.3 and 25.6 millions.
    "densenet_bc100": (models.densenet_bc, CIFAR, 769_162),
    "densenet_bc250": (lambda: models.densenet_bc(250, 24), CIFAR, 15_324_406),
    "densenet_bc190": (lambda: models.densenet_bc(190, 40), CIFAR, 25_624_430),
}
# Of one sample, without those that have as many as their neighbours in the table.
MULTIPLY_ADDS = {
    "lenet5": 416_520,
    "alexnet": 714_188_480,
    "vgg16": 15_470_264_320,
    "resnet18": 1_814_073_344,
    "resnet50": 4_089_184_256,
    "densenet121": 2_834_161_664,
    "resnet20": 40_551_040,
}


def described(net, shape):
    """Return parameters and multiply-adds without drawing a weight."""
    scope = Scope()
    net._lower([scope.input(shape)])
    parameters = sum(math.prod(w.shape) for w in scope.weights.values() if w.trained)
    return parameters, sum(row.multiply_adds for row in scope.rows)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes(name):
    make, shape, parameters = PUBLISHED[name]
    found = described(make(), shape)
    assert found[0] == parameters
    assert found[1] == MULTIPLY_ADDS.get(name, found[1])
    if name in ("lenet5", "resnet20", "resnet18", "googlenet", "densenet121"):
        net = make().build(shape)
        assert (net.num_parameters, net.multiply_adds) == found


# name -> (network, images, rate): the smallest images that the strides allow, or a little more
# where a batch of four would leave batch normalisation four numbers.
TRAINED = {
    "lenet5": (models.lenet5, (28, 28), 0.02),
    "lenet5, classic": (lambda: models.lenet5(classic=True), (28, 28, 1), 0.1),
    "alexnet": (lambda: models.alexnet(10), (63, 63, 3), 5e-5),
    "alexnet, normalised": (lambda: models.alexnet(10, local_norm=True), (63, 63, 3), 5e-5),
    "vgg11": (lambda: models.vgg(11, 10), (32, 32, 3), 5e-5),
    "vgg16_bn": (lambda: models.vgg(16, 10, batch_norm=True), (32, 32, 3), 1e-4),
    "googlenet": (lambda: models.googlenet(10), (64, 64, 3), 0.01),
    "resnet18": (lambda: models.resnet(18, 10), (64, 64, 3), 1e-3),
    "resnet50": (lambda: models.resnet(50, 10), (64, 64, 3), 5e-5),
    "resnet20": (lambda: models.resnet_cifar(20), CIFAR, 0.01),
    "plain20": (lambda: models.resnet_cifar(20, plain=True), CIFAR, 0.01),
    "densenet121": (lambda: models.densenet(121, 10), (64, 64, 3), 3e-3),
    "densenet_bc40": (lambda: models.densenet_bc(40), CIFAR, 0.01),
}


@pytest.mark.parametrize("name", TRAINED)
def test_three_steps_on_one_batch(name):
    make, shape, rate = TRAINED[name]
    random = np.random.default_rng(0)
    X, y = random.normal(size=(4, *shape)).astype(np.float32), np.array([1, 4, 7, 8])
    net = make().build(shape, seed=0)
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(rate))
    losses = [trainer.step(X, y) for _ in range(3)]
    losses.append(trainer.gradients(X, y)[0])
    assert all(later < earlier for earlier, later in pairwise(losses)), losses
    assert net.predict(X).shape == (4, 10)


def test_auxiliary_classifiers_of_googlenet():
    """Three outputs; the weights of the main one have the same names and places without."""
    shape = (240, 224, 3)
    net = models.googlenet(10, aux=True, input_shape=shape).build()
    outputs = net.predict(np.zeros((1, *shape), np.float32))
    assert [y.shape for y in outputs] == [(1, 10)] * 3
    plain = models.googlenet(10).build(shape)
    state = net.state_dict()
    assert list(plain.state_dict()) == [name for name in state if not name.startswith("aux")]
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    X = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    np.testing.assert_allclose(plain.predict(X), net.predict(X)[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="the network has 3 outputs"):
        steep.Trainer(net, "cross_entropy", "sgd").step(X, np.zeros(1, int))


def test_dropout_is_an_argument():
    for make in (models.alexnet, models.googlenet, lambda **o: models.vgg(11, **o)):
        kinds = [[type(layer) for layer in make(dropout=d).layers] for d in (0.0, 0.4)]
        assert layers.Dropout not in kinds[0]
        assert kinds[1].count(layers.Dropout) == (1 if make is models.googlenet else 2)


def test_plain_network_has_no_shortcuts():
    """Its first stage, with weights of zero, gives nothing; a residual one passes its input on."""
    for plain in (True, False):
        net = models.resnet_cifar(20, plain=plain).build(CIFAR)
        state = net.state_dict()
        for name, w in state.items():
            if name.startswith("stage"):
                w[...] = 0 if name.endswith(("weight", "bias")) else w
        net.load_state_dict(state)
        X = np.random.default_rng(1).normal(size=(2, *CIFAR)).astype(np.float32)
        constant = np.array_equal(*net.predict(X))
        assert constant is plain


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: models.vgg(12),
            ValueError,
            r"vgg: depth must be one of \(11, 13, 16, 19\)",
        ),
        (lambda: models.resnet("18"), TypeError, "resnet: depth must be an int"),
        (lambda: models.resnet_cifar(22), ValueError, "depth must be one of"),
        (lambda: models.densenet_bc(41), ValueError, "6 n \\+ 4, such as 40 or 100, got 41"),
        (lambda: models.lenet5(0), ValueError, "lenet5: classes must be at least 1"),
        (lambda: models.lenet5(classic=1), TypeError, "True or False"),
        (lambda: models.alexnet().build((32, 32, 3)), ValueError, "does not fit"),
        (lambda: models.googlenet(aux=True, input_shape=(32, 32, 3)), ValueError, "does not fit"),
        (lambda: models.vgg(11).build(784), ValueError, r"Put Reshape\(\(28, 28, 1\)\) before it"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_summary_prints_both_counts():
    net = models.resnet_cifar(20).build(CIFAR)
    text = net.summary()
    assert "parameters 269,722, and 1,376 that are not trained" in text
    assert "multiply-adds 40,551,040 a sample" in text
    line = next(line for line in text.splitlines() if "stage1.block1.conv2d (" in line)
    assert line.split()[-7:-5] == ["2,304", "0"]
    assert f"{16 * 9 * 16 * 32 * 32:,}" in line
    plain = models.lenet5().build((28, 28)).summary()
    assert "untrained" not in plain
    assert "61,706" in plain
    assert "416,520" in plain


def test_a_network_of_the_zoo_is_saved_and_loaded(tmp_path):
    net = models.densenet_bc(10, 4).build((8, 8, 3))
    X, y = np.random.default_rng(2).normal(size=(6, 8, 8, 3)), np.arange(6)
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(0.1, momentum=0.9), seed=1)
    trainer.fit(X, y, epochs=2, batch_size=4, progress=False)
    trainer.save(tmp_path / "trainer.safetensors")
    again = steep.Trainer.load(tmp_path / "trainer.safetensors")
    assert np.array_equal(again.net.predict(X), net.predict(X))
    for one in (trainer, again):
        one.fit(X, y, epochs=1, batch_size=4, progress=False)
    mine, theirs = net.state_dict(), again.net.state_dict()
    assert all(np.array_equal(value, theirs[name]) for name, value in mine.items())
