"""Draws how a network is trained: loss, rule, schedules, options, data, what is done. No layers."""

from dataclasses import fields

import cases
from cases_rules import EVERY
from described import LAYOUTS, UNSIGNED, WHOLE, Data, Source, call, code
from steep import losses, optimizers

KINDS = {  # of targets that a loss takes, by those of its row
    cases.values: ("values",),
    cases.labels: ("labels", "column of labels", "one class", "one-hot", "probabilities"),
    cases.bits: ("bits", "chances"),
}
LOSSES = {
    name: next(KINDS[row.draw] for row in cases.LOSSES.values() if row.loss.name == name)
    for name in losses.TABLE
}
CLASSES = {kind.__name__: kind for kind in optimizers.TABLE.values() if isinstance(kind, type)}
RULES = ("SGD", "SGD", "SGD", "AdaGrad", "RMSProp", "RMSProp", "Adam", "AdamW", "AMSGrad",
         "Adamax", "NAdam", "AdaDelta")  # fmt: skip
RULES += tuple(name for name in CLASSES if name not in RULES)
NAMES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "amsgrad", "adamax",
         "nadam")  # fmt: skip
SCHEDULES = ("Constant", "Piecewise", "Values", "Exponential", "InversePower", "Polynomial",
             "Step", "Cosine", "Linear", "Warmup", "OneCycle", "InverseTime", "CosineRestarts",
             "Cyclic", "Join", "Product", "SigmoidRamp", "CosLog", "Function", "list")  # fmt: skip
ABOVE_ZERO = tuple(  # the others begin at 0
    kind for kind in SCHEDULES if kind not in ("SigmoidRamp", "CosLog")
)


class Training:
    """Draws everything about a training but the network; `body` lends its chances."""

    def __init__(self, body):
        self.random, self.large = body.random, body.large
        self.whole, self.choose, self.chance = body.whole, body.choose, body.chance
        self.maybe = body.maybe

    # -- schedules -----------------------------------------------------------------------------

    def value(self, top, p=0.25, kinds=SCHEDULES):
        """Return a number near `top`, or a schedule whose values stay in [0, top]."""
        if not self.chance(p):
            return top
        return self.schedule(self.choose(*kinds), top)

    def schedule(self, kind, top):
        unit = self.choose(None, "epoch", "epoch")
        low, over = top / 4, self.whole(2, 9)
        if kind == "Function":
            return Source(f"lambda t: {top} / (1 + t)")
        if kind == "list":
            return Source(f"[{top}, {low}, {top / 2}]")
        arguments = {
            "Constant": (top,),
            "Piecewise": ((0, 2, 5), (top, top / 2, low)),
            "Values": ((top, low, top / 3),),
            "Exponential": (top, 0.1),
            "InversePower": (top, 0.5, 0.5),
            "InverseTime": (top, 0.5, over, self.chance(0.5)),
            "Polynomial": (top, low, over, 2.0, self.chance(0.3)),
            "Step": (top, self.whole(1, 3), 0.5),
            "Cosine": (top, over, low),
            "Linear": (low, top, over),
            "SigmoidRamp": (top, over),
            "CosLog": (top, over, self.whole(1, 4)),
            "OneCycle": (top, over),
            "CosineRestarts": (top, self.whole(1, 4), self.choose(1, 1.5, 2), 0.9, low),
            "Cyclic": (low, top, self.whole(1, 3), self.whole(1, 3),
                       self.choose("triangular", "triangular2")),
        }  # fmt: skip
        if kind == "Warmup":
            then = self.schedule(self.choose("Cosine", "Step"), top)
            unit = then.get("unit")
            return call("schedules", kind, then, self.whole(1, 4), low, unit=unit)
        if kind in ("Join", "Product"):
            first = self.schedule(self.choose("Linear", "Cyclic", "CosineRestarts"), top)
            unit, other = first.get("unit"), top if kind == "Join" else 0.5
            ends = [(self.whole(1, 4),)] * (kind == "Join")
            return call("schedules", kind, (first, other), *ends, unit=unit)
        if kind == "OneCycle" and self.chance(0.5):
            anneal = self.maybe(0.5, "linear")
            return call("schedules", kind, top, over, three_phase=True, anneal=anneal, unit=unit)
        return call("schedules", kind, *arguments[kind], unit=unit)

    # -- rules ---------------------------------------------------------------------------------

    def optimizer(self):
        """Return a rule: rarely by name, mostly by class with its switches."""
        if self.chance(0.1):
            return self.choose(*NAMES)
        kind = self.choose(*RULES)
        draw = getattr(self, f"_{kind.lower()}", None)
        named = draw() if draw else self.numbers(CLASSES[kind])
        if "weight_decay" not in named and self.chance(0.15):
            named["weight_decay"] = self.value(self.choose(0.1, 0.01), 0.1)
        return call("optimizers", kind, maximize=self.maybe(0.12, True), **named)

    def numbers(self, kind):
        """Return arguments of a class of which nothing is known here: what its fields allow."""
        named = {}
        for item in fields(kind):
            usual, allowed = getattr(kind(), item.name), kind.ranges.get(item.name)
            if item.name == "lr":
                named["lr"] = self.value(usual)
            elif allowed and item.name != "weight_decay":
                others = [v for v in (usual / 2, 0.5, 0.9) if v in allowed]
                named[item.name] = self.maybe(0.5, self.choose(*others))
            elif item.name == "like":
                named["like"] = self.maybe(0.2, self.choose(*EVERY))
            elif isinstance(usual, bool) and item.name not in ("maximize", "sparse"):
                named[item.name] = self.maybe(0.2, not usual)
        return named

    def _velocity(self):
        """Return momentum, nesterov, like and lr_in_velocity as they may stand together."""
        momentum = self.choose(None, 0.5, 0.9, 0.9)
        if momentum is not None:
            momentum = self.value(momentum, 0.15)
        nesterov = None if momentum is None else self.maybe(0.5, True)
        like = self.maybe(0.35, self.choose(*EVERY))
        free = like is None and momentum is not None
        inside = self.maybe(0.2, self.chance(0.5)) if free else None
        return {
            "momentum": momentum, "nesterov": nesterov, "like": like, "lr_in_velocity": inside,
        }  # fmt: skip

    def _sgd(self):
        named = self._velocity()
        if named["momentum"] is not None and not named["nesterov"]:
            named["dampening"] = self.maybe(0.2, self.value(0.5, 0.2))
        return {"lr": self.value(self.choose(0.01, 0.03, 0.1)), **named}

    def _inside(self, like=EVERY):
        """Return where eps stands: by the switch or by a library's name."""
        if self.chance(0.3):
            return {"like": self.choose(*like)}
        return {"eps_inside": self.maybe(0.4, self.chance(0.5))}

    def _adagrad(self):
        start = self.maybe(0.3, self.choose(0.1, 0.01))
        eps = self.choose(None, 1e-5, 1e-3)
        return {"lr": self.value(0.05), "eps": eps, "initial_accumulator": start, **self._inside()}

    def _rmsprop(self):
        if self.chance(0.05):
            return {"lr": 1e-3, "preset": "kathuria"}
        named = self._velocity()
        if named["nesterov"] and named["like"] != "optax":
            named["like"] = None
        named["centered"] = self.maybe(0.3, True)
        if named["like"] in (None, "optax"):
            named["eps_inside"] = self.maybe(0.3, self.chance(0.5))
        # Of rho 0 the variance is 0, and what is left of it rounding.
        kinds = ABOVE_ZERO if named["centered"] else SCHEDULES
        rho = self.value(self.choose(0.9, 0.99, 0.5), 0.1, kinds)
        return {"lr": self.value(3e-3), "rho": rho, "eps": self.choose(None, 1e-5, 1e-3), **named}

    def _moments(self, lr):
        correct = self.maybe(0.15, False)
        return {
            "lr": self.value(lr), "beta1": self.maybe(0.3, self.choose(0.0, 0.5, 0.8)),
            "beta2": self.maybe(0.3, self.choose(0.5, 0.9, 0.99)),
            "eps": self.choose(None, 1e-6, 1e-3),
            "bias_correction": correct,
            "bias_time": self.maybe(0.15, "epoch") if correct is None else None,
            "sparse": self.maybe(0.15, True),
        }  # fmt: skip

    def _adam(self):
        named = {**self._moments(0.01), **self._inside()}
        if self.chance(0.1):
            named["beta1"] = self.schedule(self.choose("Linear", "Cosine"), 0.9)
        return {**named, "amsgrad": self.maybe(0.1, True)}

    def _adamw(self):
        named = {**self._moments(0.01), **self._inside()}
        named["amsgrad"] = self.maybe(0.1, True)
        return {**named, "weight_decay": self.value(self.choose(0.0, 0.1, 0.01), 0.1)}

    def _amsgrad(self):
        return {**self._moments(0.01), **self._inside()}

    def _adamax(self):
        like = self.maybe(0.3, self.choose(*EVERY))
        return {**self._moments(0.01), "like": like}

    def _nadam(self):
        named = {**self._moments(0.01), **self._inside()}
        if named.get("like") != "optax":
            named["momentum_decay"] = self.choose(None, 0.1, 1.0)
        return named

    def _radam(self):
        named = {**self._moments(0.01), **self._inside()}
        return {**named, "threshold": self.choose(None, 4.0, 6.0)}

    def _adabelief(self):
        return {**self._moments(0.01), **self._inside()}

    def _yogi(self):
        start = self.choose(None, 1e-3, 0.1)
        return {**self._moments(0.01), **self._inside(), "initial_accumulator": start}

    def _lamb(self):
        named = {**self._moments(0.01), **self._inside(), "sparse": None}
        return {**named, "weight_decay": self.value(self.choose(0.0, 0.1), 0.1)}

    def _adan(self):
        named = {**self._moments(0.01), **self._inside(), "sparse": None}
        return {**named, "beta3": self.choose(None, 0.9, 0.5)}

    def _ademamix(self):
        named = {**self._adan(), "alpha": self.value(2.0), "sparse": self.maybe(0.15, True)}
        return {**named, "beta3": self.value(self.choose(0.99, 0.9), 0.1)}

    def _rprop(self):
        return {
            "lr": self.value(1e-3), "eta_minus": self.choose(None, 0.7),
            "eta_plus": self.choose(None, 1.05, 1.5), "step_min": self.choose(None, 1e-4),
            "step_max": self.choose(None, 2e-3), "like": self.maybe(0.3, self.choose(*EVERY)),
        }  # fmt: skip

    def _asgd(self):
        return {
            "lr": self.value(0.03), "lambd": self.choose(None, 0.1),
            "alpha": self.choose(None, 0.5), "t0": self.choose(None, 0.0, 2.0),
            "like": self.maybe(0.3, self.choose(*EVERY)),
        }  # fmt: skip

    def _ftrl(self):
        return {
            "lr": self.value(0.1, kinds=ABOVE_ZERO), "lr_power": self.choose(None, 0.3, 1.0),
            "initial_accumulator": self.choose(None, 1e-3), "beta": self.choose(None, 1.0),
            "l1_strength": self.choose(None, 1e-3), "l2_strength": self.choose(None, 0.01),
            "l2_shrinkage": self.choose(None, 0.01),
            "like": self.maybe(0.3, self.choose(*EVERY)),
        }  # fmt: skip

    def _free(self):
        """Return what the schedule-free rules share: a rate by step, for the past must be known."""
        return {
            "warmup_steps": self.choose(None, 3), "r": self.choose(None, 1.0),
            "weight_lr_power": self.choose(None, 1.0), "weight_decay": self.choose(None, 0.1),
        }  # fmt: skip

    def _rate_by_step(self, top):
        falling = call("schedules", "Step", top, self.whole(1, 3), 0.5)
        return self.choose(top, top, falling)

    def _schedulefreesgd(self):
        like = self.maybe(0.3, self.choose(*EVERY))
        momentum = self.value(0.9, 0.1)
        return {"lr": self._rate_by_step(0.1), "momentum": momentum, "like": like, **self._free()}

    def _schedulefreeadamw(self):
        named = {**self._moments(0.01), **self._inside(), **self._free(), "sparse": None}
        return {**named, "lr": self._rate_by_step(0.01)}

    def _muon(self):
        rest = call("optimizers", "SGD", self.value(0.03), momentum=self.maybe(0.5, 0.9))
        return {
            "lr": self.value(0.02), "momentum": self.value(self.choose(0.95, 0.5), 0.1),
            "eps": self.choose(None, 1e-3), "nesterov": self.maybe(0.3, False),
            "steps": self.choose(None, None, 1, 6), "adjust": self.choose(
                None, None, "match_rms_adamw", "none"
            ),
            "coefficients": self.maybe(0.2, (2.0, -1.5, 0.5)), "rest": self.maybe(0.4, rest),
            "matrices": self.maybe(0.4, "*"), "like": self.maybe(0.3, self.choose(*EVERY)),
        }  # fmt: skip

    def _adafactor(self):
        return {
            "lr": self.value(0.03), "beta2_decay": self.choose(None, -0.5, -1.0),
            "eps1": self.choose(None, 1e-6), "eps2": self.choose(None, 0.1),
            "clip": self.maybe(0.3, 0.5), "relative_step": self.maybe(0.2, False),
            "scale_parameter": self.maybe(0.3, False), "factored": self.maybe(0.2, False),
            "factors_from": self.maybe(0.2, 8),
        } if self.chance(0.9) else {"lr": self.value(0.03), "like": "optax"}  # fmt: skip

    def _adadelta(self):
        inside = self._inside() if self.chance(0.5) else {}
        return {"lr": self.value(1.0), "rho": self.choose(None, 0.5, 0.9), "eps": 1e-4, **inside}

    # -- loss and targets ----------------------------------------------------------------------

    def loss(self, output):
        """Return a loss that this output allows, and the kind of targets it gets."""
        if len(output) > 1 and output[-1] > 1 and self.chance(0.8):
            return self.loss_of_positions(output[-1])
        often = {KINDS[cases.values]: 1}
        if len(output) == 1:
            often[KINDS[cases.bits]] = 2
        if len(output) == 1 and output[0] > 1:
            often[KINDS[cases.labels]] = 4
        names = [name for name, kinds in LOSSES.items() for _ in range(often.get(kinds, 0))]
        name = self.choose(*names)
        targets = self.choose(*LOSSES[name])
        if output == (1,) and targets == "values" and self.chance(0.4):
            targets = "values of one output"
        if self.chance(0.4):
            return name, targets
        if name == "cross_entropy" and self.chance(0.2):
            return call("losses", "CrossEntropy", ignore=self.choose(-1, 255)), targets
        kind, numbers = losses.TABLE[name], (0.1, 0.5, 3.0)
        option = {
            item: self.choose(None, *(x for x in numbers if x in allowed))
            for item, allowed in kind.ranges.items()
        }
        return call("losses", kind.__name__, **option), targets

    def loss_of_positions(self, classes):
        """Return cross entropy at each position, and its targets."""
        targets = self.choose(
            "labels of positions", "labels of positions", "some ignored",
            "probabilities of positions",
        )  # fmt: skip
        if targets != "some ignored" and self.chance(0.5):
            return "cross_entropy", targets
        weights = (2.0, *(self.choose(0.5, 1.0, 1.5, 0.25) for _ in range(classes - 1)))
        return call(
            "losses", "CrossEntropy", label_smoothing=self.maybe(0.3, 0.1),
            ignore=-1 if targets == "some ignored" else None,
            class_weight=self.maybe(0.3 * (targets != "probabilities of positions"), weights),
        ), targets  # fmt: skip

    def target_dtype(self, targets, classes):
        if targets == "some ignored":
            return self.choose("int64", "int32", "float32")
        if targets in WHOLE:
            kind = self.choose("int64", "int32", "uint8", "int8", "float32", "float64", "uint16")
            # That holds them all; "one class" may be the last.
            return kind if classes <= 127 or kind not in ("int8", "uint8") else "int16"
        if targets in ("bits", "one-hot"):
            return self.choose("float64", "float32", "uint8", "int64", "bool")
        if targets.startswith("probabilities"):
            return self.choose("float64", "float32")
        return self.choose("float64", "float32", "float32", ">f4", "float16")

    def data(self, targets, classes):
        samples = self.choose(self.whole(1, 5), self.whole(2, 24), self.whole(6, 40))
        if self.large:
            samples = self.choose(self.whole(65, 300), 128, 256, 257)
        dtype = self.choose("float32", "float32", "float32", "float64", "float64", *DTYPES)
        return Data(
            samples, targets, dtype,
            self.choose("plain", "plain", "plain", *LAYOUTS),
            self.target_dtype(targets, classes),
            self.choose("plain", "plain", "plain", *LAYOUTS),
            self.choose("none", "none", "none", "random", "some zero", "all but one zero",
                        "integers"),
            self.whole(0, 999),
        )  # fmt: skip

    # -- trainer -------------------------------------------------------------------------------

    def groups(self):
        """Return groups of parameters: other settings, another rule, or both."""
        settings = {
            "l2": self.maybe(0.3, self.value(0.02)),
            "clip_value": self.maybe(0.2, 0.3),
            "clip_parameter": self.maybe(0.2, 0.2),
            "optimizer": self.maybe(0.4, self.optimizer()),
            "lr_factor": self.maybe(0.3, 0.5),
        }
        given = ", ".join(f'"{n}": {code(v)}' for n, v in settings.items() if v is not None)
        return Source(f'{{"*[!s]": {{{given}}}}}')  # all but biases, of which no network has only

    def average(self):
        """Return what follows the weights."""
        kind = self.choose("EMA", "SWA", "Lookahead")
        named = {"every": self.whole(1, 3), "unit": self.choose(None, "epoch")}
        if kind == "EMA":
            named["decay"] = self.value(self.choose(0.5, 0.99), 0.2)
            named["warmup"] = self.maybe(0.3, True)
            named["like"] = self.maybe(0.3, self.choose("torch", "keras"))
        if kind == "Lookahead":
            named["pull"] = self.choose(None, 1.0, 0.2)
        elif named.get("like") != "keras":
            named["start"] = self.maybe(0.4, self.whole(0, 3))
        return call("averages", kind, **named)

    def loss_weights(self, loss):
        """Return a weight of the loss, by its name."""
        name = loss if isinstance(loss, str) else getattr(losses, loss.kind).name
        return Source(f'{{"{name}": {code(self.value(self.choose(0.5, 2.0), 0.3))}}}')

    def options(self, loss):
        """Return arguments of the Trainer, most at their defaults."""
        return {
            "loss_weights": self.maybe(0.12, self.loss_weights(loss)),
            "l1": self.maybe(0.12, self.value(0.01)), "l2": self.maybe(0.2, self.value(0.03)),
            "decay_bias": self.maybe(0.15, True),
            "clip_norm": self.maybe(0.2, self.value(self.choose(0.05, 1.0, 10.0), 0.15)),
            "clip_value": self.maybe(0.12, self.value(self.choose(0.01, 0.1, 1.0), 0.15)),
            "clip_parameter": self.maybe(0.1, self.value(self.choose(0.02, 0.3, 3.0), 0.15)),
            "groups": self.maybe(0.15, self.groups()),
            "sam": self.maybe(0.12, self.value(self.choose(0.05, 0.5), 0.2)),
            "sam_adaptive": self.maybe(0.1, True),
            "average": self.maybe(0.15, self.average()),
            "metrics": self.maybe(0.05, ()),
            "reduction": self.maybe(0.35, self.choose("sum", "weighted_mean")),
            "precision": self.maybe(0.35, "float64"),
            "seed": self.maybe(0.7, self.whole(0, 999)),
        }  # fmt: skip

    def script(self, data, inputs):
        """Return what is done: one fit or several, single steps between."""
        image = inputs[0] if len(inputs) == 1 and len(inputs[0]) > 1 else None
        deeds = []
        for _ in range(self.choose(1, 1, 1, 2, 3)):
            if self.chance(0.25):
                first = self.whole(0, data.samples - 1)
                last = self.whole(first + 1, data.samples)
                deeds.append(call("", "step", *_batch(first, last, data.weights, len(inputs))))
            else:
                deeds.append(self.fit(data, image))
        return tuple(deeds)

    def fit(self, data, image):
        n = data.samples
        weights = None if data.weights == "none" else Source("weights")
        augment = self.augment(image) if image and self.chance(0.3) else None
        validation = Source("(X, y)") if self.chance(0.15) else None
        classes = None
        if data.targets in ("labels", "column of labels", "one class"):
            classes = self.maybe(0.15, self.choose(Source("{0: 2.0}"), "balanced"))
        size = self.choose(1, n, n, n + 3, *[self.whole(1, n)] * 2, max(1, n - 1))
        if self.large:  # few batches, each large
            size = self.choose(n, n, self.whole(64, n), max(64, n - 1), 64)
        accumulate = self.maybe(0.15, self.whole(1, 4))
        drop_last = self.maybe(0.1, True) if size * (accumulate or 1) <= n else None
        return call(
            "", "fit", Source("X"), Source("y"), epochs=self.whole(1, 1 if self.large else 3),
            batch_size=size,
            sample_weight=weights, class_weight=classes, shuffle=self.maybe(0.4, False),
            drop_last=drop_last, accumulate=accumulate, augment=augment,
            validation=validation, nonfinite=self.maybe(0.1, "skip"),
            progress=False,
        )  # fmt: skip

    def augment(self, shape):
        least = min(shape[:2])
        return call(
            "data", "Augment", flip=self.maybe(0.5, True), shift=self.whole(0, min(2, least - 1)),
            cutout=self.whole(0, least), fill=self.choose(None, 0.5, 1.0),
        )  # fmt: skip


def _batch(first, last, weights, inputs):
    """Return the arguments of `step` for some samples; not all of weight 0."""
    rows = f"[{first}:{last}]"
    X = f"X{rows}" if inputs == 1 else f"[x{rows} for x in X]"
    given = [Source(X), Source(f"y{rows}")]
    if weights in ("random", "integers"):
        given.append(Source(f"weights{rows}"))
    return given


DTYPES = ("float16", ">f4", ">f8", "longdouble", *UNSIGNED)
