"""Layers over the nodes of one graph; a sample is all of its nodes."""

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.numbers import flag, whole
from ..constraints import ConstraintLike, constraint_of
from ..data import Graph, Sparse
from ..network import Layer, Tensor, label
from ..network.tensor import title_of


class GraphConv(Layer):
    """y = f(A x W + b) over the nodes of a graph: (nodes, n) gives (nodes, units).

    A is the graph's matrix (Kipf & Welling 2017). A (x W) or (A x) W, whichever is less work. One
    sample is the whole graph: train with X of shape (1, nodes, n) and labels (1, nodes), where -1
    counts for nothing with ``CrossEntropy(ignore=-1)``.

    Parameters
    ----------
    units
        Number of outputs of each node.
    graph
        A `data.Graph`.
    activation
        f: a name, a layer, or None for the identity.
    use_bias
        Whether there is a b.
    init
        Of W, as for `Dense`; None: "xavier", whatever f is.
    features
        Constant features of the nodes, a `data.Sparse` S (nodes, n), in place of those of x: then
        y = f(A (x * (S W)) + b), and x is (nodes, 1), a factor for each node, such as 1.
    name
        Begins the names of the weights, ``name.weight`` and ``name.bias``.
    constraint
        What W is brought back to after every update: one of `steep.constraints`, a name or None.

    Raises
    ------
    TypeError, ValueError
        If `units` is no positive int, `graph` no graph, or sizes do not fit.
    """

    def __init__(
        self,
        units: int,
        graph: Graph,
        activation: ActivationLike = None,
        use_bias: bool = True,
        *,
        init: object = None,
        features: Sparse | None = None,
        name: str | None = None,
        constraint: ConstraintLike = None,
    ) -> None:
        super().__init__(name)
        self.units = whole(label(self), "units", units)
        if not isinstance(graph, Graph):
            raise TypeError(f"{label(self)}: expects a data.Graph, got {graph!r}")
        if features is not None and not isinstance(features, Sparse):
            raise TypeError(f"{label(self)}: features must be a data.Sparse, got {features!r}")
        if features is not None and features.shape[0] != graph.nodes:
            raise ValueError(
                f"{label(self)}: expects features of {graph.nodes} nodes, got {features.shape[0]}"
            )
        self.graph, self.features = graph, features
        self.activation = activation_layer(activation)
        self.use_bias = flag(label(self), "use_bias", use_bias)
        self.init = "xavier" if init is None else init
        self.constraint = None if constraint is None else constraint_of(label(self), constraint)

    def call(self, x: Tensor) -> Tensor:
        """Multiply by both, add, activate."""
        nodes = self.graph.nodes
        if len(x.shape) != 2 or x.shape[0] != nodes:
            raise ValueError(
                f"{title_of(x, label(self))}: expects ({nodes}, n), a row for each node of its "
                f"graph, got {x.shape}; a sample is a whole graph: of one, X[None] is the batch"
            )
        width = x.shape[1] if self.features is None else self.features.shape[1]
        weight = self.parameter(
            "weight", (width, self.units), self.init, constraint=self.constraint
        )
        bias = self.parameter("bias", (self.units,)) if self.use_bias else None
        if self.features is None and width < self.units:
            y = ops.matmul(ops.sparse_product(x, self.graph), weight, bias)
        else:
            if self.features is None:
                y = ops.matmul(x, weight)
            else:
                y = ops.sparse_matmul(x, self.features, weight)
            y = ops.sparse_product(y, self.graph)
            y = y if bias is None else y + bias
        return y if self.activation is None else self.activation.call(y)
