"""Ops that draw as ONNX nodes: random operators, or what predictions take. All others: `rows`."""

from .steps import Step
from .writer import Writer


def normal_like(w: Writer, step: Step) -> None:
    """Draw from N(0, 1), or give 0."""
    (x,), order = w.together(step.tensors)
    drawn = step.attributes["sample"]
    made = w.node("RandomNormalLike", [x]) if drawn else w.node("Mul", [x, w.number(0.0)])
    w.give(step.out, made, order)


def uniform_like(w: Writer, step: Step) -> None:
    """Draw between two numbers, or give their middle."""
    (x,), order = w.together(step.tensors)
    low, high = step.attributes["low"], step.attributes["high"]
    if step.attributes["sample"]:
        made = w.node("RandomUniformLike", [x], low=low, high=high)
    else:
        made = w.scaled(x, 0.0, (low + high) / 2)
    w.give(step.out, made, order)


def bernoulli(w: Writer, step: Step) -> None:
    """Draw 1 with the probability given, or give that."""
    (x,), order = w.together(step.tensors)
    if step.attributes["sample"]:
        x = w.node("Bernoulli", [w.node("Clip", [x, w.number(0.0), w.number(1.0)])])
    w.give(step.out, x, order)


def reparameterize(w: Writer, step: Step) -> None:
    """Draw around a mean, or give it."""
    (mean, spread), order = w.together(step.tensors)
    if step.attributes["sample"]:
        std = w.node("Exp", [w.node("Mul", [spread, w.number(0.5)])])
        noise = w.node("Mul", [std, w.node("RandomNormalLike", [mean])])
        mean = w.node("Add", [mean, noise])
    w.give(step.out, mean, order)
