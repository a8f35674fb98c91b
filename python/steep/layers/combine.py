"""Layers made of layers: residual blocks and branches."""

from contextlib import nullcontext

from .. import ops
from ..activations import ActivationLike, activation_layer
from ..checks.names import choose
from ..checks.numbers import flag
from ..network import Layer, Shape, Tensor, label, recomputed, title_of
from ..network.layer import layers_of


class Residual(Layer):
    """y = f(body(x) + shortcut(x)) (He et al. 2016).

    A body that begins with ``BatchNorm(), ReLU()`` and no f make the pre-activation block of the
    same authors' second paper (Identity mappings, 2016).

    Parameters
    ----------
    *body
        Layers, one after the other.
    shortcut
        A layer for the way past the body, where its shapes differ: ``Conv2D(n, 1, stride=2)``, or a
        `Sequential`; None for the identity.
    activation
        f: a name, a layer or None.
    recompute
        Whether the backward pass computes the body's activations again rather than keep them: less
        memory for up to one more forward pass. Blocks inside one another follow the outer one.
    name
        Prefix of the names inside.
    """

    def __init__(
        self,
        *body: Layer,
        shortcut: Layer | None = None,
        activation: ActivationLike = None,
        recompute: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.body = layers_of(self, body)
        self.shortcut = None if shortcut is None else layers_of(self, (shortcut,))[0]
        self.activation = activation_layer(activation)
        self.recompute = flag(label(self), "recompute", recompute)

    def call(self, x: Tensor) -> Tensor:
        """Add what went through the body to what went past it."""
        y = x
        with recomputed(x) if self.recompute else nullcontext():
            for layer in self.body:
                y = layer(y)
        if self.shortcut is not None:
            x = self.shortcut(x)
        if x.shape != y.shape:
            raise ValueError(
                f"{title_of(x, label(self))}: the body gives {y.shape}, the way "
                f"past it {x.shape}. {_remedy(x.shape, y.shape)}"
            )
        total = ops.add(y, x)
        return total if self.activation is None else self.activation.call(total)


class Branches(Layer):
    """Several layers on the same input, joined: y = [b1(x), b2(x), ...] or b1(x) + b2(x) + ...

    Images are joined along their channels.

    Parameters
    ----------
    *branches
        Layers; a `Sequential` where a branch has several.
    join
        ``"concat"`` or ``"add"``.
    name
        Prefix of the names inside.
    """

    def __init__(self, *branches: Layer, join: str = "concat", name: str | None = None) -> None:
        super().__init__(name)
        self.branches = layers_of(self, branches)
        self.join = choose("join of Branches", join, {"concat": "concat", "add": "add"})

    def call(self, x: Tensor) -> Tensor:
        """Run every branch and join what they give."""
        outs = []
        for branch in self.branches:  # a comprehension would take more of Python's stack
            outs.append(branch(x))
        if self.join == "concat":
            return ops.concat(outs)
        if any(out.shape != outs[0].shape for out in outs):
            raise ValueError(
                f"{title_of(x, label(self))}: branches that are added must give "
                f"equal shapes, got {', '.join(str(out.shape) for out in outs)}"
            )
        total = outs[0]
        for out in outs[1:]:
            total = ops.add(total, out)
        return total


def _remedy(past: Shape, body: Shape) -> str:
    """Say which shortcut brings what goes past the body to the body's shape."""
    if len(past) == len(body) == 1:
        return f"Give a shortcut layer such as Dense({body[0]})."
    if len(past) == len(body) == 3:
        rows, columns = (round(past[k] / body[k]) or 1 for k in (0, 1))
        if (-(-past[0] // rows), -(-past[1] // columns)) == body[:2]:
            stride = rows if rows == columns else (rows, columns)
            return f"Give a shortcut layer such as Conv2D({body[2]}, 1, stride={stride})."
        return 'Have the body keep height and width: padding="same" in its layers.'
    return "Give a shortcut layer that makes the shapes equal."
