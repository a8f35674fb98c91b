"""Says in words what a `Recorder` saw at its last step. No picture, no measurement."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

VANISHES = 1e-3  # of the last layer's gradient norm; what is as much larger explodes
MANY = 0.5  # the share from which on dead units and saturated outputs are told
SLOW, FAST = 1e-6, 1e-1  # update ratios beyond which a rate is too small or too large for a weight

Table = Mapping[str, Mapping[str, NDArray[np.float64]]]


def flow(named: Sequence[tuple[str, float]]) -> list[str]:
    """Return a line for each gradient that vanishes or explodes against that of the last."""
    last = named[-1][1] if named else 0.0
    if not last:
        return ["no gradient arrives: that of the last layer is 0"]
    lines = []
    for name, norm in named[:-1]:
        share = norm / last
        if share < VANISHES or share > 1 / VANISHES:
            word = "vanishes" if share < VANISHES else "explodes"
            lines.append(f"{name} {word}: gradient norm {share:.2g} of the last layer's")
    return lines


def report(steps: NDArray[np.int64], weights: Table, activations: Table) -> str:
    """Return the words, one finding a line."""
    lines = flow([(name, float(own["gradient_norm"][-1])) for name, own in weights.items()])
    for name, own in weights.items():
        ratio, given = float(own["update_ratio"][-1]), float(own["gradient_norm"][-1])
        if given and (ratio < SLOW or ratio > FAST):
            word = "hardly moves" if ratio < SLOW else "jumps"
            lines.append(f"{name} {word}: a step changes {ratio:.2g} of it")
        share = float(own["clipped_norm"][-1]) / given if given else math.nan
        if share < 1 - VANISHES:
            lines.append(f"{name} is clipped: {share:.2g} of its gradient is left")
    for layer, own in activations.items():
        for key, word in (("dead", "of its units are dead"), ("saturated", "of it is saturated")):
            share = float(own[key][-1])
            if share >= MANY:
                lines.append(f"{layer}: {share:.0%} {word}")
    said = "\n".join(lines) or "no gradient vanishes or explodes, nothing is dead or saturated"
    return f"step {int(steps[-1])}:\n{said}"
