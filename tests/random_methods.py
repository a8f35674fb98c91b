"""Turns a drawn case into one that a method for full batches trains."""

from dataclasses import fields, replace

from described import call
from steep import optimizers

CLASSES = {kind.__name__: kind for kind in optimizers.METHODS.values()}
ONE_IN = 10  # of all cases
NUMBERS = {"tol": (0.0, 1e-3), "change": (0.0, 1e-6), "c1": (1e-4,), "c2": (0.5,), "lr": (0.5,)}


def by_method(case, random):
    """Return the case as it is, or one in some with another optimizer and all samples a step."""
    if random.integers(ONE_IN):
        return case
    options = tuple((k, v) for k, v in case.options if k not in ("l1", "clip_norm", "clip_value"))
    sizes = (case.data.samples, case.data.samples + 3)
    script = tuple(
        deed.changed(batch_size=sizes[random.integers(2)]) if deed.kind == "fit" else deed
        for deed in case.script
    )
    return replace(case, optimizer=method(random), options=options, script=script)


def method(random):
    """Return a method with some of its numbers."""
    kind = list(CLASSES)[random.integers(len(CLASSES))]
    named = {"tol": 0.0, "change": 0.0}  # mostly it goes on
    for item in fields(CLASSES[kind]):
        if item.name in NUMBERS and random.random() < 0.2:
            named[item.name] = NUMBERS[item.name][random.integers(len(NUMBERS[item.name]))]
        elif item.name == "history" and random.random() < 0.6:
            named["history"] = int(random.integers(1, 5))
        elif item.name == "maximize" and random.random() < 0.06:
            named["maximize"] = True
    return call("optimizers", kind, **named)
