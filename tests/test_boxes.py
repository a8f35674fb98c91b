"""Boxes: golden numbers, PyTorch's gradients, what is refused; a head that is trained by them."""

import numpy as np
import pytest
import steep
from steep import layers, losses, metrics, ops

PAIR = [[0.0, 0.0, 2.0, 2.0]], [[1.0, 1.0, 3.0, 4.0]]


def of_ops(function, a, b, precision="float64"):
    """Return function(a, b) box by box, computed natively, and its gradient by a's elements."""
    net = steep.Sequential(layers.Dense(4, use_bias=False, init=np.asarray(a), name="a"))
    trainer = steep.Trainer(
        net, losses.Custom(function), "sgd", precision=precision, reduction="sum"
    )
    X = np.eye(len(a))
    value, found = trainer.gradients(X, b)
    rows = [trainer.evaluate(X[i : i + 1], b[i : i + 1])["loss"] for i in range(len(a))]
    assert sum(rows) == pytest.approx(value, rel=1e-12, abs=1e-12)
    return np.array(rows), found["a.weight"]


def test_golden_numbers():
    iou, giou = 1 / 9, 1 / 9 - 3 / 12
    assert metrics.box_iou(*PAIR).tolist() == [[pytest.approx(iou, abs=1e-15)]]
    assert metrics.box_giou(*PAIR).tolist() == [[pytest.approx(giou, abs=1e-15)]]
    assert giou == pytest.approx(-0.1388888889, abs=5e-11)
    assert of_ops(ops.box_iou, *PAIR)[0] == pytest.approx(iou, abs=1e-15)
    assert of_ops(ops.box_giou, *PAIR)[0] == pytest.approx(giou, abs=1e-15)


def drawn(count=40):
    corner, size = np.random.default_rng(4).uniform(0.1, 1, (2, 2, count, 2))
    return np.concatenate([corner, corner + size], axis=-1)


def test_every_box_with_every_box():
    a, b = drawn()
    iou, giou = metrics.box_iou(a, b[:7]), metrics.box_giou(a, b[:7])
    assert iou.shape == giou.shape == (40, 7)
    for i, j in [(0, 0), (3, 5), (39, 6)]:
        assert of_ops(ops.box_iou, a[[i]], b[[j]])[0] == pytest.approx(iou[i, j], abs=1e-14)
        assert of_ops(ops.box_giou, a[[i]], b[[j]])[0] == pytest.approx(giou[i, j], abs=1e-14)
    np.testing.assert_allclose(np.diagonal(metrics.box_iou(a, a)), 1.0, rtol=1e-14)
    assert (giou <= iou + 1e-15).all() and (giou >= -1).all()
    assert metrics.box_iou(np.zeros((1, 4)), np.zeros((1, 4))) == 0  # of no area


@pytest.mark.parametrize("name", ["box_iou", "box_giou"])
def test_gradients_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    a, b = drawn()
    _, found = of_ops(getattr(ops, name), a, b)
    x, y = torch.tensor(a, requires_grad=True), torch.tensor(b)

    def area(low, high):
        return (high - low).clamp(min=0).prod(-1)

    both = area(torch.maximum(x[:, :2], y[:, :2]), torch.minimum(x[:, 2:], y[:, 2:]))
    union = area(x[:, :2], x[:, 2:]) + area(y[:, :2], y[:, 2:]) - both
    hull = area(torch.minimum(x[:, :2], y[:, :2]), torch.maximum(x[:, 2:], y[:, 2:]))
    value = both / union - ((hull - union) / hull if name == "box_giou" else 0)
    value.sum().backward()
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_a_head_learns_boxes():
    """Boxes that are linear in the input; apart at first, where only the generalised IoU pulls."""
    random = np.random.default_rng(0)
    X = random.uniform(0, 1, (64, 3))
    corner = X @ random.uniform(0, 1, (3, 2)) + 2
    boxes = np.concatenate([corner, corner + 1 + X[:, :2]], axis=1)
    net = steep.Sequential(layers.Dense(4, name="box"))
    net.build(3)
    net.load_state_dict({"box.weight": np.zeros((3, 4)), "box.bias": np.array([0, 0, 0.5, 0.5])})
    assert metrics.box_iou(net.predict(X), boxes).max() == 0
    trainer = steep.Trainer(
        net, losses.Custom(lambda y, t: 1 - ops.box_giou(y, t)), steep.optimizers.Adam(0.03), seed=0
    )
    trainer.fit(X, boxes, epochs=400, batch_size=64, progress=False)
    assert np.diagonal(metrics.box_iou(net.predict(X), boxes)).mean() > 0.9


@pytest.mark.parametrize(
    ("a", "error", "message"),
    [
        ([[0, 0, 1]], ValueError, r"a: expects boxes \(n, 4\), got shape \(1, 3\)"),
        ([[0, 0, 1, 1], [2, 0, 1, 1]], ValueError, r"a: box 1 is \[2, 0, 1, 1\]"),
        ([[0, 0, np.nan, 1]], ValueError, "a: box 0"),
        (["box"], TypeError, "a: boxes must be numbers"),
    ],
)
def test_refusals(a, error, message):
    for function in (metrics.box_iou, metrics.box_giou):
        with pytest.raises(error, match=message):
            function(a, [[0, 0, 1, 1]])


def test_symbolic_boxes_of_other_shapes_are_refused():
    for shapes in ((4,), (3, 4)), ((5,), (5,)):
        with pytest.raises(ValueError, match=r"expects boxes \(\.\.\., 4\) of one shape"):
            ops.box_giou(*map(steep.Input, shapes))
