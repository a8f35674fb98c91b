"""Turns a drawn case into one that a method for full batches trains."""

from dataclasses import fields, replace

from described import Call, Fork, Meet, call
from steep import optimizers

CLASSES = {kind.__name__: kind for kind in optimizers.METHODS.values()}
ONE_IN = 10  # of all cases
MOST_SOLVED = 300  # weights
NUMBERS = {"tol": (0.0, 1e-3), "change": (0.0, 1e-6), "c1": (1e-4,), "c2": (0.5,), "lr": (0.5,),
           "damping": (1e-6, 1.0)}  # fmt: skip
OTHERS = ("l1", "clip_norm", "clip_value", "clip_parameter", "sam", "sam_adaptive", "average",
          "groups")  # fmt: skip
FORMS = ("PR+", "FR", "HS", "DY")


def by_method(case, random):
    """Return the case as it is, or one in some with another optimizer and all samples a step."""
    if random.integers(ONE_IN):
        return case
    case = of_all_samples(case, random)
    kinds = [name for name in CLASSES if name != "LevenbergMarquardt"]
    kind = kinds[random.integers(len(kinds))]
    if random.random() < 0.6 and solvable(case):  # which few are
        kind = "LevenbergMarquardt"
    return replace(case, optimizer=method(kind, random))


def of_second_order(case, random):
    """Return the case with a method that wants second derivatives, or those of squares."""
    case = of_all_samples(case, random)
    squares = random.random() < 0.6 and solvable(case)
    return replace(case, optimizer=method("LevenbergMarquardt" if squares else "NewtonCG", random))


def of_all_samples(case, random):
    """Return the case without what methods refuse; all samples are a step."""
    options = tuple((k, v) for k, v in case.options if k not in OTHERS)
    sizes = (case.data.samples, case.data.samples + 3)
    script = tuple(
        deed.changed(batch_size=sizes[random.integers(2)], accumulate=None)
        if deed.kind == "fit"
        else deed
        for deed in case.script
    )
    case = replace(case, body=unbound(case.body), shared=unbound(case.shared))
    return replace(case, options=options, script=script)


def unbound(value):
    """Return nodes without constraints, which methods refuse."""
    if isinstance(value, tuple):
        return tuple(unbound(item) for item in value)
    if isinstance(value, Call):
        named = tuple((k, unbound(v)) for k, v in value.named if k != "constraint")
        return replace(value, args=unbound(value.args), named=named)
    if isinstance(value, Fork):
        return replace(value, ways=unbound(value.ways))
    return replace(value, way=unbound(value.way)) if isinstance(value, Meet) else value


def solvable(case):
    """Say whether all weights may be solved for at once."""
    space = case.make()
    if space["trainer"].loss.name != "mse":
        return False
    space["trainer"]._run.settings.build(case.inputs)
    return 0 < space["net"].num_parameters < MOST_SOLVED


def method(kind, random):
    """Return a method with some of its numbers."""
    named = {"tol": 0.0, "change": 0.0}  # mostly it goes on
    for item in fields(CLASSES[kind]):
        if item.name in NUMBERS and random.random() < 0.2:
            named[item.name] = NUMBERS[item.name][random.integers(len(NUMBERS[item.name]))]
        elif item.name == "history" and random.random() < 0.6:
            named["history"] = int(random.integers(1, 5))
        elif item.name == "form":
            named["form"] = FORMS[random.integers(len(FORMS))]
        elif item.name == "maximize" and random.random() < 0.06:
            named["maximize"] = True
    return call("optimizers", kind, **named)
