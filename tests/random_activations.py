"""Draws chances and activations, by name and by class; other layers are in `random_layers`."""

from cases import ACTIVATIONS
from described import call
from shapes import ACTIVATIONS as BY_CLASS

PLAIN = tuple(name for name, row in ACTIVATIONS.items() if row.tame)
BENT = tuple(name for name in PLAIN if name != "linear")
STEEP = tuple(name for name in ACTIVATIONS if name not in PLAIN)  # only where their input is tame
CLASSES = tuple(BY_CLASS)
NUMBERED = tuple(kind for kind in CLASSES if ACTIVATIONS[BY_CLASS[kind]].alpha)


def layer(kind, *args, **named):
    return call("layers", kind, *args, **named)


class Activations:
    """Draws what stands as an activation."""

    def __init__(self, random):
        self.random = random

    # -- chances -------------------------------------------------------------------------------

    def whole(self, low, high):
        return int(self.random.integers(low, high + 1))

    def choose(self, *items):
        return items[int(self.random.integers(len(items)))]

    def chance(self, p):
        return bool(self.random.random() < p)

    def number(self, low, high):
        return round(float(self.random.uniform(low, high)), 3)

    def maybe(self, p, value):
        return value if self.chance(p) else None

    # -- activations ---------------------------------------------------------------------------

    def activation(self):
        """Return what stands as `activation=`: a name, a layer or nothing."""
        if self.chance(0.15):
            return None
        if self.chance(0.05):
            return "softmax"
        if self.chance(0.06):
            return self.choose(*(name for name in STEEP if ACTIVATIONS[name].everywhere))
        return self.choose(*PLAIN) if self.chance(0.7) else self.by_class()

    def by_class(self):
        kind = self.choose(*CLASSES, *NUMBERED, "Activation", "Activation", "PReLU", "RReLU")
        if kind == "PReLU":
            init, shared = self.maybe(0.4, self.choose(0.0, 0.7)), self.maybe(0.4, True)
            return layer("PReLU", init=init, shared=shared)
        if kind == "RReLU":
            lower = self.choose(0.0, 0.2, 0.5)
            return layer("RReLU", lower, lower + self.choose(0.0, 0.0, 0.3))
        if kind == "Activation" and self.chance(0.25):
            init = self.maybe(0.5, self.choose(0.0, 0.5, 1.5))
            return layer("ParametricActivation", self.choose(*PLAIN), init=init)
        if kind in NUMBERED:
            return layer(kind, self.choose(0.1 * (kind == "CELU"), 0.1, 0.7, 1.5))
        if kind == "Activation":
            numbered = (BY_CLASS[kind] for kind in NUMBERED)
            name = self.choose(*numbered, "softplus", "abs", "swish", "hard_silu", "logistic")
            takes = name in ACTIVATIONS and ACTIVATIONS[name].alpha
            alpha = self.number(0.05, 0.9) if takes else None
            return layer(kind, name, alpha=self.maybe(0.7, alpha))
        return layer(kind)

    def activations(self, shape):
        """Return layers that only activate; steep functions get an input they can bear."""
        if self.chance(0.3):
            name = self.choose(*STEEP)
            if not ACTIVATIONS[name].everywhere:
                tame = [layer("Activation", "softplus"), layer("Rescale", 1.0, 0.1)]
            else:
                tame = [layer("Tanh")] if self.chance(0.6) else []
            return [*tame, layer("Activation", name)]
        if self.chance(0.1):
            return [layer("Softmax")]
        return [self.by_class()]

    def gated(self, named=True):
        """Return a unit that joins neighbours or halves of the last axis, and how many."""
        kind = self.choose("GLU", "SwiGLU", "GEGLU", "ReGLU", "Maxout")
        if kind == "Maxout":
            pieces = self.whole(1, 4)
            return pieces, layer("Maxout", pieces)
        if named and self.chance(0.4):
            return 2, kind.lower()
        gates = (self.maybe(0.7, self.choose(*PLAIN)),) if kind == "GLU" else ()
        return 2, layer(kind, *(gate for gate in gates if gate))
