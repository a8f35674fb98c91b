"""Norms of a sample by itself: golden numbers, and parity with PyTorch over random sizes."""

import numpy as np
import pytest
import steep
from feature_pulls import pulled, sines
from steep import layers

LIMIT = {"float32": 1e-5, "float64": 1e-9}  # of the largest number; some hundred roundings
ROWS = sines(0, 2, 4, scale=1.0)[None]
PULL = np.sin(7 + np.arange(8)).reshape(1, 2, 4)


def behind(norm, shape, **weights):
    """Return a network of a norm behind positions that are 0, whose gradient is that of x."""
    net = steep.Sequential(layers.PositionEmbedding(init="zeros", name="x"), norm)
    with pytest.warns(UserWarning):
        net.build(shape)
    net.load_state_dict({f"norm.{k}": v for k, v in weights.items()}, strict=False)
    return net


GAIN, SHIFT = sines(5, 4, scale=1.0), sines(6, 4)


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 1e-6])
def test_golden_layer_norm(eps):
    net = behind(layers.LayerNorm(eps, name="norm"), (2, 4), weight=GAIN, bias=SHIFT)
    y, found = pulled(net, ROWS, PULL)
    first = {1e-5: 0.9768079332, 1e-3: 0.9734735835, 1e-6: 0.9768383831}[eps]
    np.testing.assert_allclose(y[0, 0, 0], first, atol=2e-8)  # of weights rounded to float32
    if eps == 1e-5:
        np.testing.assert_allclose(
            found["x.weight"][0], [0.0409880803, -0.6354350640, 0.5869546842, 0.0074922996],
            atol=1e-7,
        )  # fmt: skip
        np.testing.assert_allclose(
            found["norm.weight"], [-0.0875762471, 1.4349467139, 0.4798218755, 2.0200789906],
            atol=1e-7,
        )  # fmt: skip
        np.testing.assert_allclose(
            found["norm.bias"], [-0.3430036078, 0.4527853286, 0.8322855221, 0.4465862448], atol=1e-9
        )


def test_golden_rms_norm():
    net = behind(layers.RMSNorm(name="norm"), (2, 4), weight=GAIN)
    y, found = pulled(net, ROWS, PULL)
    want = [0, -0.3771207242, 0.9581935331, 0.2239406494]
    np.testing.assert_allclose(y[0, 0], want, atol=1e-7)
    np.testing.assert_allclose(
        found["x.weight"][0], [-1.0104889903, -0.3892535058, 0.4927895450, -0.8542161624], atol=1e-6
    )
    np.testing.assert_allclose(
        found["norm.weight"], [1.0697366887, 2.0626110138, 0.4351137421, 0.7967950992], atol=1e-7
    )


def test_golden_group_norm():
    net = steep.Sequential(layers.GroupNorm(2))
    x = sines(0, 1, 4, 2, 2, scale=1.0).transpose(0, 2, 3, 1)
    want = [-0.1043693988, -1.2455267009, 1.1442465094, -0.9939015150]
    steep.Trainer(net, "mse", "sgd", precision="float64").gradients(x, x)
    np.testing.assert_allclose(net.predict(x)[0, 0, 0], want, atol=1e-9)


def of_torch(kind, x, groups, eps, leaves):
    torch = pytest.importorskip("torch")
    weight, bias = leaves["weight"], leaves.get("bias")
    if kind == "LayerNorm":
        return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)
    if kind == "RMSNorm":
        return torch.nn.functional.rms_norm(x, x.shape[-1:], weight, eps)
    turned = x.movedim(-1, 1)
    if kind == "InstanceNorm":
        y = torch.nn.functional.instance_norm(turned, None, None, weight, bias, eps=eps)
    else:
        y = torch.nn.functional.group_norm(turned, groups, weight, bias, eps)
    return y.movedim(1, -1)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm"])
@pytest.mark.parametrize("seed", range(8))
def test_parity_with_torch(kind, seed, precision):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(seed)
    groups = int(random.integers(1, 5))
    width = int(random.integers(1, 40)) * groups + (kind == "RMSNorm")
    shape = (int(random.integers(2, 90)), width + (width == 1))
    groups = groups if shape[1] % groups == 0 else 1
    norm = {
        "LayerNorm": lambda: layers.LayerNorm(name="norm"),
        "RMSNorm": lambda: layers.RMSNorm(name="norm"),
        "GroupNorm": lambda: layers.GroupNorm(groups, name="norm"),
        "InstanceNorm": lambda: layers.InstanceNorm(name="norm"),
    }[kind]()
    given = {
        k: random.uniform(0.5, 1.5, shape[1]).astype(np.float32)
        for k in (("weight",) if kind == "RMSNorm" else ("weight", "bias"))
    }
    net = behind(norm, shape, **given)
    X = (random.standard_normal((1, *shape)) * 2 + 1).astype(np.float32)
    r = random.standard_normal((1, *shape))
    y, found = pulled(net, X, r, precision)
    x = torch.tensor(X.astype(np.float64), requires_grad=True)
    leaves = {k: torch.tensor(v.astype(np.float64), requires_grad=True) for k, v in given.items()}
    want = of_torch(kind, x, groups, norm.eps, leaves)
    (want * torch.tensor(r)).sum().backward()

    def close(a, b):
        b = b.detach().numpy()
        np.testing.assert_allclose(a, b, rtol=0, atol=LIMIT[precision] * max(1.0, np.abs(b).max()))

    close(y, want)
    for key, leaf in leaves.items():
        close(found[f"norm.{key}"], leaf.grad)
    close(found["x.weight"], x.grad[0])


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"GroupNorm.*groups must divide the 4 channels, got 3"):
        steep.Sequential(layers.GroupNorm(3)).build((2, 4))
