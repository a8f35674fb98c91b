"""The U-Net: against PyTorch, classes of pasted digits, what it refuses."""

import numpy as np
import pytest
import steep
from steep import losses, metrics, models, optimizers, schedules


def test_logits_and_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    net = models.unet(2, 5, 3).build((12, 8, 2), seed=1)
    random = np.random.default_rng(0)
    X, y = random.standard_normal((3, 12, 8, 2)), random.integers(-1, 3, (3, 12, 8))
    loss = losses.CrossEntropy(ignore=-1)
    trainer = steep.Trainer(net, loss, "sgd", precision="float64")
    value, found = trainer.gradients(X, y)
    leaves = [torch.tensor(w, requires_grad=True) for w in net.state_dict().values()]
    left = iter(leaves)

    def conv(x):
        w, b = next(left).permute(3, 2, 0, 1), next(left)
        k = w.shape[-1]
        return F.conv2d(F.pad(x, ((k - 1) // 2, k // 2) * 2), w, b)

    def spread(x):
        w, b = next(left).permute(3, 2, 0, 1), next(left)
        return F.conv_transpose2d(x, w, b, stride=2)

    def level(x, k):
        x = F.relu(conv(F.relu(conv(x))))
        if k < 2:
            below = spread(level(F.max_pool2d(x, 2), k + 1))
            x = F.relu(conv(F.relu(conv(torch.cat([x, below], 1)))))
        return x

    z = conv(level(torch.tensor(X).permute(0, 3, 1, 2), 0))
    want = F.cross_entropy(z, torch.tensor(y), ignore_index=-1)
    want.backward()
    assert value == pytest.approx(want.item(), rel=1e-12)
    np.testing.assert_allclose(net.predict(X), z.detach().permute(0, 2, 3, 1), atol=1e-12)
    for name, leaf in zip(net.state_dict(), leaves, strict=True):
        error = np.abs(found[name] - leaf.grad.numpy()).max()
        assert error <= 1e-12 * max(1.0, leaf.grad.abs().max().item()), name


def pasted(count, seed, kinds=10):
    """Return canvases (N, 32, 32, 1) with three digits on noise each, and a class for every pixel.

    0 is what is no ink, 1 + k the ink of digit k; of the digits the first so many kinds.
    """
    sklearn = pytest.importorskip("sklearn.datasets")
    images, kind = sklearn.load_digits(n_class=kinds, return_X_y=True)
    random = np.random.default_rng(seed)
    X = random.random((count, 32, 32, 1)).astype(np.float32) * 0.6
    y = np.zeros((count, 32, 32), np.uint8)
    for canvas, classes in zip(X, y, strict=True):
        for _ in range(3):
            k = random.integers(len(images))
            r, c = random.integers(0, 25, 2)
            ink = images[k].reshape(8, 8) / 16
            canvas[r : r + 8, c : c + 8, 0] += 0.7 * ink
            part = classes[r : r + 8, c : c + 8]
            part[ink > 0.5] = 1 + kind[k]
    return X, y


def test_classes_of_pasted_digits():
    X, y = pasted(1000, 0, kinds=3)
    rate = schedules.OneCycle(1e-2, 10 * 63)
    net = models.unet(2, 8, 4, batch_norm=True)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=0)
    trainer.fit(X, y, epochs=10, batch_size=16, progress=False)
    Xt, yt = pasted(200, 1, kinds=3)
    guess = net.predict(Xt).argmax(-1)
    measured = trainer.evaluate(Xt, yt)
    assert measured["accuracy"] == pytest.approx(metrics.accuracy(yt, guess), abs=1e-12)
    assert metrics.mean_iou(yt, guess, 4) >= 0.72


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: models.unet(0), ValueError, "unet: depth must be at least 1"),
        (lambda: models.unet(2, 0), ValueError, "unet: filters must be at least 1"),
        (lambda: models.unet(2, 8, 0), ValueError, "unet: classes must be at least 1"),
        (lambda: models.unet(2, 8, convolutions=0.5), TypeError, "convolutions must be an int"),
        (lambda: models.unet(2, 8, batch_norm=1), TypeError, "True or False"),
        (lambda: models.unet(2, 8).build((30, 32, 1)), ValueError, "concat expects equal shapes"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_normalised_unet_is_saved_and_loaded(tmp_path):
    net = models.unet(1, 4, 3, convolutions=1, batch_norm=True)
    X, y = np.random.default_rng(2).random((6, 8, 8)), np.arange(6 * 64).reshape(6, 8, 8) % 3
    loss = losses.CrossEntropy(ignore=2, class_weight=(1.0, 2.0, 1.0))
    trainer = steep.Trainer(net, loss, "adam", seed=1)
    trainer.fit(X, y, epochs=2, batch_size=4, progress=False)
    trainer.save(tmp_path / "trainer.safetensors")
    again = steep.Trainer.load(tmp_path / "trainer.safetensors")
    assert again.loss == loss
    for one in (trainer, again):
        one.fit(X, y, epochs=1, batch_size=4, progress=False)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, again.net.state_dict()[name])
