"""The training steps timed on a GPU: networks in the words of `steep.benchmarks`, and random bytes as data."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import worker

bench = worker.load_cases()
LENET5, RESNET20 = (bench.find(name).net for name in ("lenet5", "resnet20"))


def dense(*units):
    """Return dense layers with ReLU between them."""
    return (*(bench.Dense(n, "relu") for n in units[:-1]), bench.Dense(units[-1]))


CASES = {  # network, shape of a sample, batch, batches of the data set
    "mlp_tiny": (dense(64, 2), (30,), 32, 2000),
    "mlp_mnist": (dense(128, 10), (784,), 128, 468),
    "mlp_wide": (dense(1024, 1024, 10), (784,), 128, 234),
    "lenet5": (LENET5, (28, 28, 1), 64, 937),
    "resnet20": (RESNET20, (32, 32, 3), 512, 40),
}
STEPS = {"lenet5": 3000, "resnet20": 40}  # a turn has that many, or 10000
RATE = 1e-3


class Case:
    """One of `CASES`: data, and initial weights, the same for everybody.

    Attributes
    ----------
    X, y : numpy.ndarray
        Bytes (samples, ...) and labels (samples,).
    weights : list of numpy.ndarray
        As `steep.benchmarks.image_data` orders them.
    images : bool
        Whether there are convolutions.
    steps, epochs, turns : int
        Steps of an epoch, epochs of a turn, turns.
    """

    def __init__(self, name, small=False):
        self.name = name
        self.net, self.shape, self.batch, self.steps = CASES[name]
        self.images = len(self.shape) == 3
        if small:  # for fibers: 512 images would take them hours
            self.steps, self.batch = 4, 2 if self.images else 8
        _, _, self.weights = bench.image_data(bench.ImageStep(name, self.net, self.shape, 1, 1))
        random = np.random.default_rng(0)
        samples = self.steps * self.batch
        self.X = random.integers(0, 256, (samples, *self.shape), dtype=np.uint8)
        self.y = random.integers(0, self.net[-1].units, samples)
        self.epochs = 1 if small else max(1, STEPS.get(name, 10000) // self.steps)
        self.turns = 1 if small else 5

    def trainer(self, precision="float32", **options):
        """Return steep's trainer on the device, with the initial weights."""
        import steep
        from steep import layers

        if self.images:
            whole = (
                steep.models.lenet5() if self.name == "lenet5" else steep.models.resnet_cifar(20)
            )
            body = whole.layers
        else:
            body = [layers.Dense(one.units, one.activation or None) for one in self.net]
        net = steep.Sequential(layers.Rescale(1 / 255), *body)
        net.build(self.shape)
        net.load_state_dict(dict(zip(net.state_dict(), self.weights, strict=True)))
        rule = steep.optimizers.Adam(RATE)
        return steep.Trainer(
            net, "cross_entropy", rule, device="cuda", precision=precision, **options
        )
