"""`DBN`: Boltzmann machines on top of each other, and the network that begins as they ended."""

from collections.abc import Sequence
from typing import Any

from .checks.arrays import Array, array
from .checks.numbers import whole
from .layers import Dense
from .network import Layer
from .network.model import Sequential
from .rbm import RBM


class DBN:
    """Machines on top of each other, trained one after the other (Hinton, Osindero & Teh 2006).

    Each learns what the one below makes of the data. `network` then is a classifier that begins
    with their weights.

    Parameters
    ----------
    sizes
        Of the data and of every layer of hidden units: ``[784, 500, 250]``.
    **options
        As `RBM` takes them, of every machine; `visible` is that of the lowest.

    Raises
    ------
    TypeError, ValueError
        If there is no hidden layer, or an argument is out of range.
    """

    def __init__(self, sizes: Sequence[int], **options: Any) -> None:
        if not isinstance(sizes, (list, tuple)) or len(sizes) < 2:
            raise TypeError(f"DBN: expects the sizes of the data and of layers, got {sizes!r}")
        self.sizes = tuple(whole("DBN", "sizes", n) for n in sizes)
        above = {**options, "visible": "bernoulli"}
        self.machines = [
            RBM(n, **(above if level else options)) for level, n in enumerate(self.sizes[1:])
        ]

    def __repr__(self) -> str:
        return f"DBN({[*self.sizes]})"

    def fit(self, X: Any, epochs: int = 10, batch_size: int = 10, **options: Any) -> "DBN":
        """Train every machine on what those below it make of X; called again, they go on.

        Parameters
        ----------
        X
            Samples (N, ...), flattened.
        epochs, batch_size, **options
            As `RBM.fit` takes them, of each machine.

        Raises
        ------
        TypeError, ValueError, NonFiniteError
            As `RBM.fit`; or if a sample has another size than the first of `sizes`.
        """
        seen = self._samples(X)
        for level, machine in enumerate(self.machines):
            given = seen if level else X  # the first one knows the names of columns
            machine.fit(given, epochs, batch_size, **options)
            seen = machine.transform(given)
        return self

    def transform(self, X: Any) -> Array:
        """Return p(h = 1) of the highest layer, (N, sizes[-1])."""
        seen = self._samples(X)
        for level, machine in enumerate(self.machines):
            seen = machine.transform(seen if level else X)  # it knows the names of columns
        return seen

    def network(self, classes: int | None = None) -> Sequential:
        """Return a network of sigmoid layers with the learned weights, built.

        Parameters
        ----------
        classes
            Logits that a last layer gives, drawn anew; None: there is none.

        Raises
        ------
        RuntimeError
            Before `fit`.
        """
        body: list[Layer] = [machine.layer() for machine in self.machines]
        if classes is not None:
            body.append(Dense(whole("DBN", "classes", classes)))
        net = Sequential(*body)
        net.build(self.sizes[0], seed=self.machines[0].seed)
        state = net.state_dict()
        names = [name for name in state if name.endswith(".bias")]
        for name, machine in zip(names, self.machines, strict=False):
            state[name] = machine._parts()[2]
        net.load_state_dict(state)
        net._note_columns([*self.machines[0].net._columns] or [None])
        return net

    def _samples(self, X: Any) -> Array:
        given = array("X", X)
        flat = given.reshape(len(given), -1) if given.ndim > 1 and len(given) else given
        if flat.ndim != 2 or flat.shape[1] != self.sizes[0]:
            raise ValueError(f"X: expects samples of {self.sizes[0]} numbers, got {given.shape}")
        return flat
