"""One layer's filters on images of several sizes and at several strides, in one network."""

import numpy as np
import steep
from steep import layers, ops


class Everywhere(layers.Layer):
    """The same filters at stride 1, at stride 2, dilated, and on a smaller image."""

    def call(self, x):
        w = self.parameter("w", (3, 3, x.shape[2], 16), "xavier")
        same = (1, 1, 1, 1)
        parts = [
            ops.conv2d(x, w, padding=same),
            ops.conv2d(x, w, stride=(2, 2), padding=same),
            ops.conv2d(x, w, padding=(2, 2, 2, 2), dilation=(2, 2)),
            ops.conv2d(ops.max_pool(x, (2, 2)), w, padding=same),
        ]
        return ops.concat([ops.global_avg_pool(ops.activation(p, "tanh")) for p in parts])


def test_gradients_of_filters_used_in_four_ways():
    net = steep.Sequential(layers.Conv2D(16, 1), Everywhere(), layers.Dense(2)).build((8, 8, 3))
    random = np.random.default_rng(3)
    X, y = random.standard_normal((4, 8, 8, 3)), random.standard_normal((4, 2))
    assert steep.lab.check_gradients(net, X, y, "mse") < 1e-7


def test_float32_agrees_with_float64():
    net = steep.Sequential(layers.Conv2D(16, 1), Everywhere(), layers.Dense(2)).build((8, 8, 3))
    random = np.random.default_rng(3)
    X, y = random.standard_normal((20, 8, 8, 3)), random.standard_normal((20, 2))
    weights = net.state_dict()
    found = []
    for precision in ("float32", "float64"):
        other = steep.Sequential(layers.Conv2D(16, 1), Everywhere(), layers.Dense(2))
        other.build((8, 8, 3)).load_state_dict(weights)
        trainer = steep.Trainer(other, "mse", "sgd", precision=precision)
        found.append(trainer.gradients(X, y)[1])
    for name, truth in found[1].items():
        error = np.linalg.norm(found[0][name] - truth) / np.linalg.norm(truth)
        assert error < 1e-5, name
