"""Trainings by methods for full batches, played on both devices. No test lives here."""

from collections.abc import Callable
from dataclasses import dataclass

import steep
from devices import left, same

BOTH = ("cpu", "cuda")
ON = {"tol": 0.0, "change": 0.0}  # it goes on


@dataclass(frozen=True)
class Trainings:
    """What the trainings of a file are of, where a test names nothing else; methods go by name."""

    made: Callable
    methods: dict
    method: str
    epochs: int

    def trainer(self, device, made=None, method=None, loss="cross_entropy", **options):
        rule = method or self.method
        rule = self.methods[rule] if isinstance(rule, str) else rule
        return steep.Trainer((made or self.made)(), loss, rule, device=device, seed=3, **options)

    def fitted(self, trained, X, y, epochs=None, **fit):
        """Train; return all that is left."""
        return left(trained, trained.fit(X, y, epochs=epochs or self.epochs, progress=False, **fit))

    def both(self, X, y, epochs=None, fit=None, **options):
        """Expect the same bytes of both devices, looks included; return what is left."""
        found = []
        for device in BOTH:
            made = self.trainer(device, **options)
            trained = self.fitted(made, X, y, epochs, **(fit or {}))
            found.append((trained, made.net.predict(X), made.evaluate(X, y), made.gradients(X, y)))
        same(found[1], found[0])
        return found[0][0]
