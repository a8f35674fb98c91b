"""Turns a drawn case into a dense chain that one block of a GPU trains: other layers, same data.

Loss, rule, schedules, options and script are the case's own, but for those that no block has.
"""

from dataclasses import replace

import numpy as np
from described import Call, Fork, Source, call
from random_activations import BENT, PLAIN
from random_layers import INITS, Body, layer
from random_trainers import Training
from steep import _core

BOUNDS = ("non_negative", Source("constraints.Clip(0.2)"))  # of single weights
LABELS = ("labels", "column of labels", "one class")
OTHERS = ("sam", "sam_adaptive", "precision")


class Chains(Body):
    """Draws layers whose ops a block has, one after the other or as two that are added."""

    def dense(self, units, activations=PLAIN):
        return layer(
            "Dense", units, self.choose(*activations), use_bias=self.maybe(0.2, False),
            init=self.maybe(0.2, self.choose(*INITS)), ntk=self.maybe(0.1, True),
            constraint=self.maybe(0.1, self.choose(*BOUNDS)),
        )  # fmt: skip

    def dropout(self):
        return layer(
            "Dropout", self.choose(0.0, 0.1, 0.3, 0.8), redraw=self.maybe(0.4, "epoch"),
            scale_at=self.maybe(0.3, "test"),
        )  # fmt: skip

    def dropouts(self):
        return [self.dropout()]

    def block(self, width):
        """Return some layers from a width to another, and that one."""
        kind = self.choose("dense", "dense", "dense", "pointwise", "nest", "residual")
        if kind == "pointwise":
            return [self.between()], width
        if kind == "residual":
            inner = [self.dense(self.width()), *self.maybe_list(0.4, self.dropouts)]
            bent = self.maybe(0.4, self.choose(*BENT))
            return [layer("Residual", *inner, self.dense(width), activation=bent)], width
        other = self.width()
        made = [self.dense(other), *self.maybe_list(0.3, self.dropouts)]
        return ([call("steep", "Sequential", *made)] if kind == "nest" else made), other

    def between(self):
        """Return a layer that keeps the width."""
        kind = self.choose("activation", "dropout", "rescale")
        if kind == "rescale":
            return layer("Rescale", self.number(-1.5, 1.5), self.choose(0.0, 0.3, -1.0))
        return self.dropout() if kind == "dropout" else layer("Activation", self.choose(*PLAIN))

    def normalize(self, width):
        mean = tuple(self.number(-1, 1) for _ in range(width))
        return [layer("Normalize", mean, tuple(self.number(0.5, 2) for _ in range(width)))]

    def layers(self, width, functional):
        made = self.maybe_list(0.15, lambda: self.normalize(width))
        for _ in range(self.whole(0, 3)):
            if functional and self.chance(0.5):
                width = self.width()
                ways = tuple((self.dense(width),) for _ in range(2))
                made.append(Fork("add", ways))
                continue
            more, width = self.block(width)
            made += more
        return made


def chain(case):
    """Return the chain of a case."""
    body = Chains(np.random.default_rng([case.seed, 12]))
    width, functional = body.width(), body.chance(0.25)
    outputs = case.output[0] if len(case.output) == 1 else body.whole(1, 33)
    made = [*body.layers(width, functional), layer("Dense", outputs)]
    case = replace(
        case, inputs=((width,),), body=tuple(made), shared=(), functional=functional,
        options=tuple(option for option in case.options if stays(option)),
        script=tuple(of_chain(deed, case.data.samples) for deed in case.script),
        optimizer=without(case.optimizer, "sparse"), loss=without(case.loss, "ignore"),
    )  # fmt: skip
    if len(case.output) > 1:
        case = with_loss_of_samples(case, Training(body), outputs)
    return with_one_pass(case, Training(body))


def without(value, name):
    """Return a call without that argument; a name as it is."""
    return value.changed(**{name: None}) if isinstance(value, Call) else value


def of_chain(deed, samples):
    """Return a deed for one input, without steps in parts and changed images."""
    if deed.kind == "step":  # on rows of X as of y
        _, y, *weights = deed.args
        return replace(deed, args=(Source(f"X{y.source[1:]}"), y, *weights))
    deed = deed.changed(accumulate=None, augment=None)
    more = deed.get("batch_size") > samples  # as a method may ask for
    return deed.changed(drop_last=None) if more else deed


def stays(option):
    """Say whether a block trains by it: one rule for all, no step uphill."""
    name, value = option
    return name not in OTHERS and not (name == "groups" and "optimizer" in value.source)


def with_loss_of_samples(case, training, outputs):
    """Return a case of another output with a loss that fits it, and its targets."""
    loss, targets = training.loss((outputs,))
    data = replace(case.data, targets=targets, target_dtype=training.target_dtype(targets, outputs))
    options = tuple(option for option in case.options if option[0] != "loss_weights")
    script = tuple(deed.changed(class_weight=None) if deed.kind == "fit" else deed
                   for deed in case.script)  # fmt: skip
    return replace(
        case, output=(outputs,), loss=without(loss, "ignore"), data=data, options=options,
        script=case.script if targets in LABELS else script,
    )  # fmt: skip


def with_one_pass(case, training):
    """Return the case, with a rule of one pass over all weights in place of another one."""
    while True:
        rule = case.make()["trainer"].optimizer.rule
        if _core.rules().get(rule, {}).get("passes") == 1:
            return case
        case = replace(case, optimizer=without(training.optimizer(), "sparse"))
