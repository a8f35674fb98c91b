"""The dense layer. What it becomes is in `ops`."""

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import flag, whole
from ..constraints import ConstraintLike, constraint_of
from ..initializers import Normal
from ..network import Layer, Tensor, label


class Dense(Layer):
    """y = f(x W + b) over the last axis: (n,) gives (units,), and (..., n) gives (..., units).

    Every position of a sample, such as a pixel or a time step, is multiplied by the same W.
    `Flatten` before it makes one vector of all of them.

    Parameters
    ----------
    units
        Number of outputs.
    activation
        f: a name, a layer such as ``LeakyReLU(0.1)``, or None for the identity.
    use_bias
        Whether there is a b.
    init
        Of W, shape (n, units): a name such as ``"he"`` or ``"orthogonal"``, one of
        `steep.initializers`, a number or an array. None: "he" before ReLU-like activations,
        "xavier" before others. b begins at 0.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.
    constraint
        What W is brought back to after every update: one of `steep.constraints`, a name or None.
    ntk
        Neural tangent parametrisation (Jacot et al. 2018): y = f(x W/sqrt(n) + b), W of variance
        1 where `init` is None. One learning rate then suits layers of all widths.

    Raises
    ------
    TypeError, ValueError
        If `units` is no positive int, or nobody knows the activation or the initialiser.
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        init: object = None,
        name: str | None = None,
        *,
        constraint: ConstraintLike = None,
        ntk: bool = False,
    ) -> None:
        super().__init__(name)
        self.units = whole(label(self), "units", units)
        self.activation = activation_layer(activation)
        self.use_bias = flag(label(self), "use_bias", use_bias)
        self.init = init
        self.constraint = None if constraint is None else constraint_of(label(self), constraint)
        self.ntk = flag(label(self), "ntk", ntk)

    def _weight(self, inputs: int) -> Tensor:
        """Return W, (inputs, units), inside a network."""
        init = Normal(1.0) if self.ntk and self.init is None else self.init
        return self.parameter("weight", (inputs, self.units), init, constraint=self.constraint)

    def call(self, x: Tensor) -> Tensor:
        """Multiply, add, activate."""
        weight = self._weight(x.shape[-1])
        if self.ntk:
            x = ops.affine(x, x.shape[-1] ** -0.5)
        bias = self.parameter("bias", (self.units,)) if self.use_bias else None
        y = ops.matmul(x, weight, bias)
        return y if self.activation is None else self.activation.call(y)
