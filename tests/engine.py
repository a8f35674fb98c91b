"""One op, one loss or one rule through the native engine, for the laws. No truths, no tests."""

from itertools import pairwise

import numpy as np
from steep import _core

KNOBS = [*_core.SHARED_KNOBS, *_core.GROUP_KNOBS]  # of a table with one group; its rule's follow
COMMON = len(KNOBS)
STEP = np.finfo(np.float64).eps ** (1 / 3)  # of central differences


def network(build, *shapes, precision="float32", weights=None):
    """Return the native network of `build(graph, *inputs)`, its parameters set by name."""
    graph = _core.Graph()
    graph.output([build(graph, *(graph.input(shape) for shape in shapes))])
    net = _core.Network(graph, precision)
    for name, value in (weights or {}).items():
        net.set(name, np.ascontiguousarray(value, precision))
    return net


def dense(*widths, activation="tanh", alpha=0.1, precision="float32", seed=0):
    """Return a native network of dense layers with random weights, biases included."""

    def build(graph, x):
        for k, (inputs, outputs) in enumerate(pairwise(widths)):
            weight = graph.parameter(f"w{k}", (inputs, outputs), True)
            x = graph.matmul(x, weight, graph.parameter(f"b{k}", (outputs,), False))
            if k < len(widths) - 2:
                x = graph.activation(x, activation, alpha)
        return x

    net = network(build, (widths[0],), precision=precision)
    random = np.random.default_rng(seed)
    for name, shape in net.parameters():
        scale = np.sqrt(1.5 / shape[0]) if len(shape) == 2 else 0.3
        net.set(name, (scale * random.standard_normal(shape)).astype(precision))
    return net


class Session:
    """A native session of one loss: targets and weights are one array each."""

    def __init__(self, native):
        self._native = native

    def __getattr__(self, name):
        return getattr(self._native, name)

    def set_data(self, inputs, targets, weights, *rest, **options):
        self._native.set_data(inputs, [targets], [weights], *rest, **options)

    def set_batch(self, inputs, targets, weights):
        self._native.set_batch(inputs, [targets], [weights])

    def gradients(self, inputs, targets, weights, *rest):
        return self._native.gradients(inputs, [targets], [weights], *rest)

    def evaluate(self, inputs, targets, weights, *rest):
        return self._native.evaluate(inputs, [targets], [weights], *rest)[0]


def session(net, loss="mse", option=0.0, *, rule="sgd", seed=0, mean=True):
    recipe = _core.Recipe([rule], [0] * len(net.parameters()), seed, mean)
    term = _core.LossTerm("loss", net.outputs[0], loss, option, 0, 0)
    return Session(_core.Session(net, [_core.Objective(recipe, [term])]))


def forward(build, *arrays, precision="float32", weights=None, batch_size=None):
    """Return build(graph, *inputs) evaluated on arrays, one row a sample."""
    shapes = [a.shape[1:] for a in arrays]
    net = network(build, *shapes, precision=precision, weights=weights)
    return net.predict(list(arrays), batch_size or len(arrays[0]))[0]


def table(optimizer, steps, epoch_steps=None):
    """Return the knob table of `steps` updates, columns common to all rules included."""
    number = np.arange(steps, dtype=float)
    epochs = number // (epoch_steps or steps)
    rule = optimizer.knobs(number, epochs, (number + 1) // (epoch_steps or steps))
    knobs = no_limits(np.zeros((steps, COMMON + rule.shape[1])))
    knobs[:, COMMON:] = rule
    knobs[:, KNOBS.index("decay")] = optimizer.decay(number, epochs)
    return knobs


def no_limits(knobs):
    """Return a knob table of zeros with clipping off."""
    for name in ("clip_norm", "clip_value", "clip_parameter"):
        knobs[:, KNOBS.index(name)] = np.inf
    return knobs


def train(running, knobs, batches, *, budget=1e9):
    """Run as many steps as `knobs` has rows from where the session stands; return done, losses."""
    first, losses = running.steps, []
    while (done := running.steps - first) < len(knobs):
        at = running.progress
        if at["batch"] == batches:
            running.begin_epoch(next=True)
            continue
        count = min(batches - at["batch"], len(knobs) - done)
        running.run(knobs[done : done + count], first + len(losses), budget)
        losses += running.record(first + len(losses))[2].tolist()
        if running.fault is not None:
            break
    done = running.steps - first
    return done, np.array(losses[: max(done, 0)])


def weights(net):
    """Return all weights as bytes by name."""
    return {name: net.get(name).tobytes() for name, _ in net.parameters()}


def differences(net, session, batch, l1=0.0, l2=0.0, *, passes=1.0):
    """Return the largest error of a native session's gradients, relative to each parameter's.

    Of ops that let only a part of the gradient pass, they must be that part of the differences.
    """
    _, found = session.gradients(*batch, None, l1, l2)
    worst = 0.0
    for name, gradient in found.items():
        value = net.get(name)
        numeric = np.empty_like(value)
        for at in np.ndindex(value.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[at] += sign * STEP
                net.set(name, moved)
                ends.append(session.gradients(*batch, None, l1, l2)[0])
            numeric[at] = passes * (ends[0] - ends[1]) / (2 * STEP)
        net.set(name, value)
        scale = max(np.abs(gradient).max(), 1e-10)
        worst = max(worst, np.abs(numeric - gradient).max() / scale)
    return worst
