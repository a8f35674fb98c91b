"""Gradients of a network for a given gradient of its outputs, for tests of layers."""

import numpy as np
import steep


def sines(first, *shape, scale=0.5):
    """Return scale*sin(first + k) at flat position k."""
    return scale * np.sin(first + np.arange(np.prod(shape))).reshape(shape)


def pulled(net, X, r, precision="float64"):
    """Return outputs and the gradients of sum y*r by name.

    The mean of squares whose targets are y - r*n/2 has that gradient.
    """
    trainer = steep.Trainer(net, "mse", "sgd", precision=precision)
    wide = [np.asarray(x) for x in (X if isinstance(X, list) else [X])]
    data = wide if isinstance(X, list) else wide[0]
    trainer.gradients(data, np.zeros_like(r, dtype=np.float64))
    y = net.predict(data)
    return y, trainer.gradients(data, y.astype(np.float64) - r * (r.size / 2))[1]
