"""Parity with PyTorch on images: every layer, and networks of the zoo built a second time.

Skipped where PyTorch is missing. The twins are plain functions over PyTorch's operators, in float64
and (N, C, H, W); they take their weights one by one in the order in which steep defines them.
"""

from functools import partial

import numpy as np
import pytest
import steep
from steep import layers, models

torch = pytest.importorskip("torch")
F = torch.nn.functional

# Of the norm, through up to 121 layers; PyTorch computes in float64.
LIMIT = {"float32": 1e-3, "float64": 1e-9}
LAYER_LIMIT = 2e-5  # of the norm; one or two layers: some hundred roundings of 6e-8


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """Two pools at once on few cores would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Weights:
    """Hands out the weights of a network in order of definition; PyTorch's operators take them."""

    def __init__(self, net, training):
        self.training = training
        self.leaves = {
            name: torch.tensor(w.astype(np.float64), requires_grad="running" not in name)
            for name, w in net.state_dict().items()
        }
        self.again()

    def again(self):
        self._rest = iter(self.leaves.items())

    def take(self, word):
        name, leaf = next(self._rest)
        assert name.endswith(f".{word}"), f"{name} comes where a {word} was expected"
        return leaf

    def conv(self, x, bias=True, **options):
        weight = self.take("weight").permute(3, 2, 0, 1)  # (h, w, in, out) to (out, in, h, w)
        return F.conv2d(x, weight, self.take("bias") if bias else None, **options)

    def norm(self, x, momentum=0.9, eps=1e-5):
        weight, bias = self.take("weight"), self.take("bias")
        mean, var = self.take("running_mean"), self.take("running_var")
        return F.batch_norm(x, mean, var, weight, bias, self.training, 1 - momentum, eps)

    def conv_norm(self, x, stride=1, padding=0):
        return self.norm(self.conv(x, bias=False, stride=stride, padding=padding))

    def norm_conv(self, x, padding=0):
        return self.conv(F.relu(self.norm(x)), bias=False, padding=padding)

    def dense(self, x):
        return x @ self.take("weight") + self.take("bias")

    def finished(self):
        assert next(self._rest, None) is None


def flat(x):
    """Flatten as steep does: pixel by pixel, the channels innermost."""
    return x.permute(0, 2, 3, 1).flatten(1)


def pooled_same(x):
    """Pools of 3 with stride 2 and ceil(n/2) outputs: one more row below where n is even."""
    rows, columns = ((0, 1) if n % 2 == 0 else (1, 1) for n in x.shape[2:])
    return F.max_pool2d(F.pad(x, (*columns, *rows), value=-torch.inf), 3, 2)


def lenet5(w, x):
    x = F.max_pool2d(F.relu(w.conv(x, padding=2)), 2)
    x = flat(F.max_pool2d(F.relu(w.conv(x)), 2))
    return w.dense(F.relu(w.dense(F.relu(w.dense(x)))))


def alexnet(w, x, normalised=False):
    """PyTorch divides the alpha of local response normalisation by the size."""
    for k, padding in enumerate((2, 2, 1, 1, 1)):
        x = F.relu(w.conv(x, stride=1 if k else 4, padding=padding))
        x = F.local_response_norm(x, 5, 5e-4, 0.75, 2.0) if normalised and k < 2 else x
        x = F.max_pool2d(x, 3, 2) if k in (0, 1, 4) else x
    return w.dense(F.relu(w.dense(F.relu(w.dense(flat(x))))))


def vgg11_bn(w, x):
    for count in (1, 1, 2, 2, 2):
        for _ in range(count):
            x = F.relu(w.norm(w.conv(x, padding=1)))
        x = F.max_pool2d(x, 2)
    return w.dense(F.relu(w.dense(F.relu(w.dense(flat(x))))))


def inception(w, x):
    one = F.relu(w.conv_norm(x))
    three = F.relu(w.conv_norm(F.relu(w.conv_norm(x)), padding=1))
    five = F.relu(w.conv_norm(F.relu(w.conv_norm(x)), padding=2))
    pooled = F.relu(w.conv_norm(F.max_pool2d(x, 3, 1, 1)))
    return torch.cat([one, three, five, pooled], 1)


def googlenet(w, x):
    x = pooled_same(F.relu(w.conv_norm(x, 2, 3)))
    x = F.relu(w.conv_norm(F.relu(w.conv_norm(x)), padding=1))
    for count in (2, 5, 2):
        x = inception(w, pooled_same(x))
        for _ in range(count - 1):
            x = inception(w, x)
    return w.dense(x.mean((2, 3)))


def basic(w, x, stride, shortcut):
    y = F.relu(w.conv_norm(x, stride, 1))
    y = w.conv_norm(y, padding=1)
    return F.relu(y + shortcut(x))


def resnet18(w, x):
    x = F.max_pool2d(F.relu(w.conv_norm(x, 2, 3)), 3, 2, 1)
    for stage in range(4):
        stride = 2 if stage else 1
        projected = (lambda x: w.conv_norm(x, 2)) if stage else (lambda x: x)
        x = basic(w, x, stride, projected)
        x = basic(w, x, 1, lambda x: x)
    return w.dense(x.mean((2, 3)))


def bottleneck(w, x, stride, first):
    y = F.relu(w.conv_norm(x))
    y = F.relu(w.conv_norm(y, stride, 1))
    y = w.conv_norm(y)
    return F.relu(y + (w.conv_norm(x, stride) if first else x))


def resnet50(w, x):
    x = F.max_pool2d(F.relu(w.conv_norm(x, 2, 3)), 3, 2, 1)
    for stage, count in enumerate((3, 4, 6, 3)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            x = bottleneck(w, x, stride, not block)
    return w.dense(x.mean((2, 3)))


def resnet20(w, x):
    x = F.relu(w.conv_norm(x, padding=1))
    for stage in range(3):
        for block in range(3):
            if stage and not block:
                more = x.shape[1]
                x = basic(w, x, 2, lambda x, n=more: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, n)))
            else:
                x = basic(w, x, 1, lambda x: x)
    return w.dense(x.mean((2, 3)))


def plain20(w, x):
    x = F.relu(w.conv_norm(x, padding=1))
    for stage in range(3):
        for block in range(3):
            x = F.relu(w.conv_norm(x, 2 if stage and not block else 1, 1))
            x = F.relu(w.conv_norm(x, padding=1))
    return w.dense(x.mean((2, 3)))


def dense_blocks(w, x, counts):
    for k, count in enumerate(counts):
        for _ in range(count):
            x = torch.cat([x, w.norm_conv(w.norm_conv(x), padding=1)], 1)
        if k + 1 < len(counts):
            x = F.avg_pool2d(w.norm_conv(x), 2)
    return w.dense(F.relu(w.norm(x)).mean((2, 3)))


def densenet121(w, x):
    x = F.max_pool2d(F.relu(w.conv_norm(x, 2, 3)), 3, 2, 1)
    return dense_blocks(w, x, (6, 12, 24, 16))


def densenet_bc40(w, x):
    return dense_blocks(w, w.conv(x, bias=False, padding=1), (6, 6, 6))


ZOO = {
    "lenet5": (models.lenet5, lenet5, (28, 28, 1), 16),
    "alexnet": (lambda: models.alexnet(10), alexnet, (67, 67, 3), 4),
    "alexnet, normalised": (
        lambda: models.alexnet(10, local_norm=True), partial(alexnet, normalised=True),
        (63, 71, 3), 4,
    ),
    "vgg11_bn": (lambda: models.vgg(11, 10, batch_norm=True), vgg11_bn, (32, 32, 3), 6),
    "googlenet": (lambda: models.googlenet(10), googlenet, (40, 40, 3), 5),
    "resnet18": (lambda: models.resnet(18, 10), resnet18, (48, 48, 3), 5),
    "resnet50": (lambda: models.resnet(50, 10), resnet50, (32, 32, 3), 6),
    "resnet20": (lambda: models.resnet_cifar(20), resnet20, (32, 32, 3), 8),
    "plain20": (lambda: models.resnet_cifar(20, plain=True), plain20, (32, 32, 3), 8),
    "densenet121": (lambda: models.densenet(121, 10), densenet121, (32, 32, 3), 6),
    "densenet_bc40": (lambda: models.densenet_bc(40, 12), densenet_bc40, (33, 30, 3), 6),
}  # fmt: skip


def shake(net, seed):
    """Move what begins at 0 or 1 away from there, so that nothing is tested by its absence."""
    random = np.random.default_rng(seed)
    state = net.state_dict()
    for name, w in state.items():
        if w.ndim == 1:
            state[name] = w + 0.2 * random.uniform(-1, 1, w.shape)
    net.load_state_dict(state)


def apart(ours, theirs):
    """Return |ours - theirs| / |theirs|."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def images(seed, count, shape):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def as_torch(X):
    X = X if X.ndim == 4 else X[..., None]
    return torch.tensor(X.astype(np.float64)).permute(0, 3, 1, 2)


def worst(name, precision, seed):
    """Return the largest distance between steep and a twin, and where it is.

    Of logits in inference, of the loss in training, and of the gradient of each parameter.
    """
    make, twin, shape, count = ZOO[name]
    net = make().build(shape, seed=seed)
    shake(net, seed + 1)
    X, y = images(seed + 2, count, shape), np.arange(count) % 10
    trainer = steep.Trainer(net, "cross_entropy", "sgd", precision=precision)

    w = Weights(net, training=False)
    with torch.no_grad():
        logits = twin(w, as_torch(X))
    w.finished()
    w = Weights(net, training=True)
    loss = F.cross_entropy(twin(w, as_torch(X)), torch.tensor(y))
    loss.backward()
    value, gradients = trainer.gradients(X, y)
    found = {"loss": abs(value / loss.item() - 1), "logits": apart(net.predict(X), logits)}
    wanted = {key: leaf.grad for key, leaf in w.leaves.items() if leaf.requires_grad}
    assert set(gradients) == set(wanted)
    for key, gradient in wanted.items():
        if name == "vgg11_bn" and "conv2d" in key and key.endswith("bias"):
            # Batch normalisation takes these biases away again: their gradient is rounding alone.
            weight = wanted[key.removesuffix("bias") + "weight"]
            found[key] = np.linalg.norm(gradients[key]) / weight.norm().item()
        else:
            found[key] = apart(gradients[key], gradient)
    return max((distance, key) for key, distance in found.items())


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name):
    assert worst(name, "float64", 1)[0] < LIMIT["float64"]


@pytest.mark.parametrize("name", [name for name in ZOO if name != "resnet50"])
def test_the_zoo_in_float32(name):
    """In one of some draws, that is: rounding can carry a unit over the kink of ReLU.

    One unit of a late layer moves gradients by a hundredth, in PyTorch's float32 just as in ours,
    and a deep network has a million units. What is wrong by more than rounding is so in all draws.
    ResNet-50 has no draw without one, in PyTorch's float32 either.
    """
    draws = []
    for seed in range(6):
        draws.append(worst(name, "float32", seed))
        if draws[-1][0] < LIMIT["float32"]:
            return
    pytest.fail(str(draws))


CONVOLUTIONS = {
    "3x3": ({"filters": 7, "kernel": 3}, {"padding": 1}),
    "valid": ({"filters": 16, "kernel": 5, "padding": "valid"}, {}),
    "1x1": ({"filters": 20, "kernel": 1}, {}),
    "stride": ({"filters": 5, "kernel": 3, "stride": 2, "padding": 1}, {"stride": 2, "padding": 1}),
    "pairs": (
        {"filters": 4, "kernel": (1, 4), "stride": (3, 2), "padding": (0, 2)},
        {"stride": (3, 2), "padding": (0, 2)},
    ),
    "dilated": ({"filters": 6, "kernel": 3, "dilation": 2}, {"padding": 2, "dilation": 2}),
    "dilated rows": (
        {"filters": 6, "kernel": (3, 2), "dilation": (3, 1), "padding": "valid"},
        {"dilation": (3, 1)},
    ),
    "groups": ({"filters": 9, "kernel": 3, "groups": 3}, {"padding": 1, "groups": 3}),
    "depthwise": ({"filters": 6, "kernel": 3, "groups": 6}, {"padding": 1, "groups": 6}),
    "depthwise, two each": (
        {"filters": 12, "kernel": 5, "groups": 6, "stride": 2, "padding": 2},
        {"padding": 2, "groups": 6, "stride": 2},
    ),
    "without bias": ({"filters": 8, "kernel": 3, "use_bias": False}, {"padding": 1}),
    "wide": ({"filters": 40, "kernel": 7, "stride": 2, "padding": 3}, {"stride": 2, "padding": 3}),
}


def compared(parts, twin, shape, count=5, seed=0):
    """Hold a small network to its twin: outputs in both modes, gradients and what comes before.

    A first convolution stands before the layers, so that their gradient of x is seen in its weight.
    """
    stem = layers.Conv2D(shape[-1] if len(shape) == 3 else 1, 3, activation="tanh")
    net = steep.Sequential(stem, *parts, layers.Flatten(), layers.Dense(3)).build(shape, seed=seed)
    shake(net, seed)
    X = images(seed + 1, count, shape)
    y = images(seed + 2, count, (3,))

    def whole(training):
        w = Weights(net, training)
        z = twin(w, torch.tanh(w.conv(as_torch(X), padding=1)))
        z = w.dense(flat(z) if z.ndim == 4 else z)
        w.finished()
        return w, z

    assert apart(net.predict(X), whole(False)[1]) < LAYER_LIMIT
    w, z = whole(True)
    loss = F.mse_loss(z, torch.tensor(y.astype(np.float64)))
    loss.backward()
    value, gradients = steep.Trainer(net, "mse", "sgd").gradients(X, y)
    assert value == pytest.approx(loss.item(), rel=LAYER_LIMIT)
    for name, leaf in w.leaves.items():
        if leaf.requires_grad:
            assert apart(gradients[name], leaf.grad) < LAYER_LIMIT, name


@pytest.mark.parametrize("shape", [(12, 15, 6), (9, 9, 6)])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, shape):
    options, theirs = CONVOLUTIONS[name]
    bias = options.get("use_bias", True)
    compared([layers.Conv2D(**options)], lambda w, x: w.conv(x, bias, **theirs), shape)


@pytest.mark.parametrize("shape", [(14, 14), (11, 8)])
def test_one_channel_without_its_axis(shape):
    compared(
        [layers.Conv2D(5, 3, activation="relu")], lambda w, x: F.relu(w.conv(x, padding=1)), shape
    )


POOLS = {
    "max": (layers.MaxPool2D(2), lambda x: F.max_pool2d(x, 2)),
    "max, overlapping": (layers.MaxPool2D(3, 2), lambda x: F.max_pool2d(x, 3, 2)),
    "max, padded": (layers.MaxPool2D(3, 2, 1), lambda x: F.max_pool2d(x, 3, 2, 1)),
    "max, same": (layers.MaxPool2D(3, 2, "same"), pooled_same),
    "max, pairs": (
        layers.MaxPool2D((2, 3), (1, 2), (1, 0)), lambda x: F.max_pool2d(x, (2, 3), (1, 2), (1, 0)),
    ),
    "max, one": (layers.MaxPool2D(1, 2), lambda x: x[:, :, ::2, ::2]),
    "avg": (layers.AvgPool2D(2), lambda x: F.avg_pool2d(x, 2)),
    "avg, padded": (
        layers.AvgPool2D(3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "avg, padding counted": (
        layers.AvgPool2D(3, 2, 1, count_padding=True), lambda x: F.avg_pool2d(x, 3, 2, 1),
    ),
    "global": (layers.GlobalAvgPool2D(), lambda x: x.mean((2, 3))),
    "zeros": (
        layers.ZeroPad2D((1, 0, 2, 3), channels=(1, 4)), lambda x: F.pad(x, (2, 3, 1, 0, 1, 4)),
    ),
    "lrn": (layers.LocalResponseNorm(), lambda x: F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)),
    "lrn, strong": (
        layers.LocalResponseNorm(3, 0.5, 0.6, 1.0),
        lambda x: F.local_response_norm(x, 3, 1.5, 0.6, 1.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", [(12, 10, 5), (9, 13, 17), (8, 8, 30), (7, 7, 64)])
@pytest.mark.parametrize("name", POOLS)
def test_pools_and_other_layers_without_weights(name, shape):
    layer, theirs = POOLS[name]
    compared([layer], lambda w, x: theirs(x), shape)


def test_branches_and_residuals():
    """Gradients add up over fan-out; images are joined along their channels."""
    parts = [
        layers.Residual(layers.BatchNorm(), layers.Tanh(), layers.Conv2D(5, 3)),
        layers.Branches(
            layers.Conv2D(4, 1), layers.MaxPool2D(3, 1, 1), layers.Activation("linear")
        ),
        layers.Residual(
            layers.Conv2D(9, 3, 2, 1, activation="tanh"),
            layers.Conv2D(9, 3),
            shortcut=layers.Conv2D(9, 1, 2),
            activation="tanh",
        ),
        layers.Branches(layers.Conv2D(2, 3), layers.Conv2D(2, 1), join="add"),
    ]  # fmt: skip

    def twin(w, x):
        x = w.conv(torch.tanh(w.norm(x)), padding=1) + x
        x = torch.cat([w.conv(x), F.max_pool2d(x, 3, 1, 1), x], 1)
        y = w.conv(torch.tanh(w.conv(x, stride=2, padding=1)), padding=1)
        x = torch.tanh(y + w.conv(x, stride=2))
        return w.conv(x, padding=1) + w.conv(x)

    compared(parts, twin, (10, 11, 5))


@pytest.mark.parametrize("shape", [(7, 6, 5), (4, 4, 33)])
def test_batch_norm_and_its_running_statistics(shape):
    """Gradients as PyTorch's; after some steps the same weights and the same running averages."""
    norm = layers.BatchNorm(momentum=0.7, eps=1e-3)
    compared([norm], lambda w, x: w.norm(x, 0.7, 1e-3), shape)

    conv = layers.Conv2D(6, 3, use_bias=False)
    net = steep.Sequential(conv, norm, layers.ReLU(), layers.Flatten(), layers.Dense(4))
    net.build(shape)
    shake(net, 5)
    w = Weights(net, training=True)
    X, y = images(6, 24, shape), np.arange(24) % 4
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(0.05))
    leaves = [leaf for leaf in w.leaves.values() if leaf.requires_grad]
    stepper = torch.optim.SGD(leaves, 0.05)
    for k in range(6):
        part = slice(8 * (k % 3), 8 * (k % 3) + 8)
        w.again()
        z = F.relu(w.norm(w.conv(as_torch(X[part]), False, padding=1), 0.7, 1e-3))
        stepper.zero_grad()
        F.cross_entropy(w.dense(flat(z)), torch.tensor(y[part])).backward()
        stepper.step()
        trainer.step(X[part], y[part])
    for name, value in net.state_dict().items():
        assert apart(value, w.leaves[name]) < LAYER_LIMIT, name


def test_recomputed_blocks_give_the_same_gradients():
    def make(recompute):
        def block(*more):
            return layers.Residual(
                layers.Conv2D(5, 3, use_bias=False), layers.BatchNorm(), layers.Tanh(), *more,
                layers.Conv2D(5, 3), activation="relu", recompute=recompute,
            )  # fmt: skip

        net = steep.Sequential(block(), block(block()), layers.Flatten(), layers.Dense(3))
        net.build((9, 8, 5), seed=3)
        shake(net, 4)
        return net

    X, y = images(7, 9, (9, 8, 5)), np.arange(9) % 3
    results = []
    for recompute in (False, True):
        net = make(recompute)
        trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.SGD(0.1, momentum=0.5))
        loss, gradients = trainer.gradients(X, y)
        losses = [trainer.step(X, y) for _ in range(3)]
        results.append((loss, losses, gradients, net.state_dict()))
    (loss, losses, gradients, state), again = results[0], results[1]
    assert (loss, losses) == again[:2]
    for before, after in ((gradients, again[2]), (state, again[3])):
        assert all(np.array_equal(value, after[name]) for name, value in before.items())
