"""Calls of steep with little arithmetic in them, for comparing builds: what Python costs is timed.

No rival has these cases; `builds.py` asks for them.
"""

import numpy as np

# Inputs, hidden units, classes, samples of a batch: the cases mlp_small and mlp_mnist.
SIZES = {"small": (4, 120, 84, 2, 32), "medium": (784, 128, 10, 128)}
BATCHES = 10


def _network(units):
    from steep import Sequential, layers

    return Sequential(*(layers.Dense(n, "relu") for n in units[1:-1]), layers.Dense(units[-1]))


def _made(size):
    """Return a trainer that has done a step, its data and its batch size."""
    from steep import Trainer, optimizers

    *units, batch = SIZES[size]
    random = np.random.default_rng(0)
    X = random.standard_normal((BATCHES * batch, units[0]), dtype=np.float32)
    y = random.integers(0, units[-1], len(X))
    trainer = Trainer(_network(units), "cross_entropy", optimizers.Adam())
    trainer.step(X[:batch], y[:batch])
    return trainer, X, y, batch


def _step(size):
    trainer, X, y, batch = _made(size)
    x, t = X[:batch], y[:batch]
    return lambda: trainer.step(x, t)


def _fit(size):
    trainer, X, y, batch = _made(size)
    options = {"batch_size": batch, "validation": (X[:batch], y[:batch]), "progress": False}
    return lambda: trainer.fit(X, y, **options)


def _evaluate(size):
    trainer, X, y, batch = _made(size)
    return lambda: trainer.evaluate(X[:batch], y[:batch])


def _predict(size):
    trainer, X, _, batch = _made(size)
    return lambda: trainer.net.predict(X[:batch])


def _gradients(size):
    trainer, X, y, batch = _made(size)
    return lambda: trainer.gradients(X[:batch], y[:batch])


def _build(size):
    *units, _ = SIZES[size]
    return lambda: _network(units).build((units[0],))


_KINDS = {
    "step": _step,
    "fit": _fit,
    "evaluate": _evaluate,
    "predict": _predict,
    "gradients": _gradients,
    "build": _build,
}
CALLS = {f"call/{kind}/{size}": (make, size) for kind, make in _KINDS.items() for size in SIZES}


def prepare(name, threads):
    """Return the work of a case: one call of `Trainer.step`, or whatever its name says."""
    import steep
    from steep.benchmarks import Work

    steep.set_num_threads(threads)
    make, size = CALLS[name]
    return Work(make(size), note="one call")
