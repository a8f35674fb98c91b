"""First weights and biases of dense layers by what they give on samples; LSUV is in `lsuv`."""

from typing import Any

import numpy as np

from ..checks import numbers
from ..checks.names import matches
from ..network import inputs
from ..network.model import Network
from .lsuv import _Work

CORNERS = 5  # samples whose mean a bias is drawn from


def unit_outputs(net: Network, X: Any, *, names: str = "*", seed: int = 0) -> list[str]:
    """Give each unit of dense layers outputs of deviation 1 on X, and a bias that centres it there.

    From the first layer to the last, w <- w / std(x w) of each column of W, then b = -z, z a random
    mean of the unit's outputs for five samples, weights uniform on the simplex: where an activation
    bends is then among the samples, for each unit elsewhere ("he+5": Steinwart 2019, "A sober look
    at neural network initializations"; Holzmueller et al. 2024). Units that do not vary on X stay.

    Parameters
    ----------
    net
        A network; it is built for X where it is not yet, and its weights are as they are then.
    X
        One batch (N, ...), as `Trainer.fit` takes it; some thousand samples do.
    names
        Pattern of the layers: ``"dense*"``. Filters of images are left as they are.
    seed
        Draws the samples and their weights, and the weights of a network that is not built yet.

    Returns
    -------
    list of str
        Names of the weights that were scaled, in that order. The same for any number of threads.

    Raises
    ------
    TypeError, ValueError
        If something does not fit, or no weight has such a name: the network is as before.
    """
    if not isinstance(net, Network):
        raise TypeError(f"unit_outputs: net must be a network, got {type(net).__name__}")
    seed = numbers.seed(seed)
    with net._tentative():
        arrays = inputs.features(X, net, precision=net._precision)
        if not net.built:
            net.build([a.shape[1:] for a in arrays], seed)
        work, found = _Work(net, arrays), []
        random = np.random.default_rng(seed)
        for tensor, weight in work.products():
            if len(weight.shape) == 2 and matches(weight.name, names):
                _centre(work, tensor, weight, random)
                found.append(weight.name)
        if not found:
            raise ValueError(f"unit_outputs: no matrix is called {names!r}")
        net.load_state_dict(work.values)
    return found


def _centre(work: _Work, tensor: int, weight: Any, random: np.random.Generator) -> None:
    """Scale the columns of one weight, and draw its bias."""
    bias = weight.name.removesuffix("weight") + "bias"
    if bias in work.values:
        work.assign(bias, np.zeros_like(work.values[bias]))
    z = work.outputs(tensor)
    z = z.reshape(-1, z.shape[-1])
    deviation = z.std(axis=0)
    deviation[~(deviation > 1e-12)] = 1.0
    work.assign(weight.name, work.values[weight.name] / deviation)
    if bias in work.values:
        rows = random.integers(0, len(z), (CORNERS, z.shape[1]))
        shares = random.exponential(size=rows.shape)
        picked = np.take_along_axis(z / deviation, rows, axis=0)
        work.assign(bias, -(picked * shares).sum(axis=0) / shares.sum(axis=0))
