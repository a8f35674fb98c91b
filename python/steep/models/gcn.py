"""Graph convolutional networks: a class for every node of one graph."""

from collections.abc import Sequence

from ..checks.numbers import whole
from ..data import Graph, Sparse
from ..layers import Dropout, GraphConv, Layer
from ..network.model import Sequential


def gcn(
    graph: Graph,
    classes: int = 2,
    hidden: int | Sequence[int] = 16,
    *,
    dropout: float = 0.5,
    features: Sparse | None = None,
) -> Sequential:
    """Return a graph convolutional network (Kipf & Welling 2017): logits (nodes, classes).

    A relu(A X W1 + b1) W2 + b2 of the graph's A; the paper's softmax is in the loss. For Cora, with
    1,433 features and 7 classes: 23,063 parameters.

    One sample is the whole graph: X is (1, nodes, n), labels are (1, nodes). Nodes without a label
    have -1, which ``CrossEntropy(ignore=-1)`` leaves out.

    Parameters
    ----------
    graph
        A `data.Graph`.
    classes
        Outputs of each node.
    hidden
        Units of the layers before, one number or several.
    dropout
        Rate after each of them, in [0, 1).
    features
        Constant features, a `data.Sparse` (nodes, n), which the first layer then has in place of an
        input: X is (1, nodes, 1), a factor for each node, such as 1.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or the graph is none.
    """
    units = [hidden] if not isinstance(hidden, Sequence) else list(hidden)
    parts: list[Layer] = []
    for size in units:
        given = features if not parts else None
        parts.append(GraphConv(size, graph, "relu", features=given))
        if dropout:
            parts.append(Dropout(dropout))
    given = features if not parts else None
    return Sequential(*parts, GraphConv(whole("gcn", "classes", classes), graph, features=given))
