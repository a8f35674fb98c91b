"""Layers as users write them, with ops that no built-in layer uses, for random networks."""

import numpy as np
import steep
from steep import layers, ops


class Rung(layers.Layer):
    """Every arithmetic of tensors, parameters and numbers."""

    def call(self, x):
        n = x.shape[-1]
        gain = self.parameter("gain", (n,), init=np.linspace(0.5, 1.5, n), decay=True)
        shift = self.parameter("shift", (n,), init=0.1)
        y = ops.activation(x, "tanh")
        y = y * gain + shift
        return (1.0 - y) * x - 0.5 * y + self.last(x, y)

    def last(self, x, y):
        return x / 3.0


class Ladder(Rung):
    """The same with an op across the numbers of a sample, for tables of cases."""

    def last(self, x, y):
        return ops.softmax(y)


class Gate(layers.Layer):
    """y = tanh(x A) * sigmoid(x B + b)."""

    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units

    def call(self, x):
        shape = (x.shape[-1], self.units)
        y = ops.activation(x @ self.parameter("inside", shape), "tanh")
        gate = ops.matmul(x, self.parameter("gate", shape), self.parameter("bias", self.units))
        return y * ops.activation(gate, "sigmoid")


class Shift(layers.Layer):
    """Numbers beside a tensor, whose padding they must not touch: x + a, a - x."""

    def __init__(self, number, turned=False, name=None):
        super().__init__(name)
        self.number, self.turned = number, turned

    def call(self, x):
        return self.number - x if self.turned else x + self.number


class Likeness(layers.Layer):
    """y = softmax(x x^T) x, of the positions of a sample."""

    def call(self, x):
        return ops.batch_matmul(ops.softmax(ops.batch_matmul(x, x, transpose_b=True)), x)


class Size(layers.Layer):
    """x, whose squares are a loss of their own."""

    def __init__(self, weight, name=None):
        super().__init__(name)
        self.weight = weight

    def call(self, x):
        self.add_loss(0.5 * (x * x), self.weight, "size")
        return x


class Counted(layers.Layer):
    """A recurrent layer that is told how many steps there are, of all samples as many."""

    def __init__(self, inner, steps, name=None):
        super().__init__(name)
        self.inner, self.steps = inner, steps

    def call(self, x):
        none = ops.affine(ops.reshape(ops.sum(x), (1,)), 0.0, 0.0)
        return self.inner(x, none + min(self.steps, x.shape[0]))


class Ragged(layers.Layer):
    """Recurrent layers that each sample's own numbers tell how many steps it has.

    One, and one more for each step but the last that begins above 0.3. x is data: there the count
    jumps, so nothing may move it.
    """

    def __init__(self, inner, name=None):
        super().__init__(name)
        self.inner = inner

    def call(self, x):
        last = max(1, x.shape[0] - 1)
        first = ops.slice(ops.slice(x, 0, last, axis=0), 0, 1)
        above = ops.activation(ops.affine(first, 1e6, -3e5), "hard_sigmoid")  # 0 or 1
        return self.inner(x, ops.affine(ops.sum(above), float(x.shape[0] > 1), 1.0))


def softened(y, t):
    """Return a loss of one's own: the absolute error, but at 0."""
    return ops.sqrt((y - t) * (y - t) + 0.25)


def small(y):
    """Return a loss of one's own that has no targets."""
    return 0.5 * (y * y) + ops.activation(y, "tanh")


def diamond(inputs, units):
    """Return a functional model to stand as a layer: tanh(x A + a) * (x B + b) + (x B + b)."""
    x = steep.Input((inputs,))
    left, right = layers.Dense(units, "tanh")(x), layers.Dense(units)(x)
    return steep.Model(x, left * right + right)


FUNCTIONS = {"diamond": diamond, "softened": softened, "small": small}
OWN = {kind.__name__: kind for kind in (Rung, Gate, Shift, Likeness, Size, Counted, Ragged)}
