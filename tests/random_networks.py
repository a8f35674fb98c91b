"""One random case from one integer: network, trainer, data, what is done with them."""

import dataclasses
import math

import numpy as np
from described import Call, Case, Fork, Meet, Use
from random_layers import Body, layer
from random_methods import by_method
from random_states import by_lengths, by_states
from random_trainers import Training
from shapes import after, each
from steep import _core

PER_CASE = 40  # layers of one case at most, so that it takes milliseconds
LARGE = 8  # one in so many seeds is large enough for several threads


def case(seed):
    """Return the case of a seed: the same on every machine and in every process."""
    for attempt in range(100):
        drawn = _draw(seed, np.random.default_rng([seed, attempt]))
        if sum(1 for _ in each(drawn.body, drawn.shared)) <= PER_CASE:
            drawn = by_lengths(drawn, np.random.default_rng([seed, attempt, 3]))
            drawn = by_states(drawn, np.random.default_rng([seed, attempt, 2]))
            return moved(by_method(drawn, np.random.default_rng([seed, attempt, 1])))
    raise AssertionError(f"seed {seed}: no case of at most {PER_CASE} layers in 100 attempts")


def moved(case):
    """Return a case whose sparse table its rule can move by rows; else the table is not sparse."""
    table = case.body[0]
    if not isinstance(table, Call) or table.kind != "Embedding" or not table.get("sparse"):
        return case
    trainer = case.make()["trainer"]
    rules = {trainer.optimizer.rule, *(g["optimizer"].rule for g in trainer.groups.values()
                                       if "optimizer" in g)}  # fmt: skip
    about = _core.rules()
    single = {r for r in about if about[r]["passes"] == 1 and not about[r]["look_ahead"]}
    if rules <= single:
        return case
    named = tuple((k, v) for k, v in table.named if k != "sparse")
    return dataclasses.replace(case, body=(dataclasses.replace(table, named=named), *case.body[1:]))


def _draw(seed, random):
    body = Body(random, large=seed % LARGE == LARGE - 1)
    image = body.chance(0.4)
    functional = body.chance(0.3)
    inputs = (_image_shape(body) if image else (body.width(),),)
    nodes, shape = [], inputs[0]
    if not image and body.chance(0.1):  # tokens
        nodes = body.tokens(shape[0])
        shape = after(nodes, shape, body.shared)
    more, shape = _body(body, shape, functional)
    nodes = [*nodes, *more]
    if functional and not image and body.chance(0.25):
        inputs = (*inputs, (body.width(),))
        nodes = [*nodes, *([layer("Flatten")] * (len(shape) > 1))]
        meet = body.meet((math.prod(shape),), inputs[1])
        nodes.append(meet)
        shape = after(nodes, inputs[0], body.shared, inputs[1])
    if body.chance(0.1):
        more = body.last_positions(shape)
        nodes, shape = [*nodes, *more], after(more, shape, body.shared)
    elif body.chance(0.92):
        nodes = [*nodes, *([layer("Flatten")] * (len(shape) > 1))]
        nodes.append(layer("Dense", body.whole(1, 5), use_bias=body.maybe(0.1, False)))
        shape = nodes[-1].args
    drawn = {"seed": seed, "inputs": inputs, "body": tuple(nodes), "functional": functional}
    return _case(body, shape, drawn)


def _image_shape(body):
    height, width = body.whole(1, 8), body.whole(1, 8)
    if body.chance(0.2):
        return height, width
    return height, width, body.choose(1, 2, 3, body.whole(1, 8), body.choose(15, 16, 17, 33, 64))


def _body(body, shape, functional):
    """Return layers and the shape after them; a functional model has forks between."""
    nodes = []
    for _ in range(1 + functional * body.whole(0, 2)):
        blocks = body.choose(1, 1, 2, 2, 3)
        if len(shape) == 2 and body.chance(0.6):
            new = body.sequence_chain(shape, blocks)
        else:
            part = body.image_chain if len(shape) > 1 else body.chain
            new = part(shape, 0, blocks)
        shape = after(new, shape, body.shared)
        nodes += new
        if functional and body.chance(0.6):
            nodes.append(body.fork(shape))
            shape = after(nodes[-1:], shape, body.shared)
        if len(shape) > 1 and body.chance(0.3):
            nodes.append(layer(body.choose("GlobalAvgPool2D", "GlobalMaxPool2D")))
            shape = after(nodes[-1:], shape, body.shared)
    return nodes, shape


def _case(body, shape, drawn):
    """Return the case of a drawn network: what it is trained on, and how."""
    inputs = drawn["inputs"]
    training = Training(body)
    loss, targets = training.loss(shape)
    options = {k: v for k, v in training.options(loss).items() if v is not None}
    data = training.data(targets, math.prod(shape))
    used = _names(drawn["body"], body.shared)
    return Case(
        **drawn,
        output=shape,
        loss=loss,
        optimizer=training.optimizer(),
        data=data,
        script=training.script(data, inputs),
        shared=tuple((name, made) for name, made in body.shared if name in used),
        options=tuple(options.items()),
        build=body.maybe(0.75, body.whole(0, 99)),
        stirred=body.chance(0.6),
        frozen=body.chance(0.15),
    )


def _names(nodes, shared):
    """Return the names of the shared layers that these nodes use, one inside another too."""
    found = set()
    for node in nodes:
        if isinstance(node, Use):
            found |= {node.name} | _names((dict(shared)[node.name],), shared)
        elif isinstance(node, Fork):
            found |= set().union(*(_names(way, shared) for way in node.ways))
        elif isinstance(node, Meet):
            found |= _names(node.way, shared)
        elif isinstance(node, Call):
            found |= _names((*node.args, *(value for _, value in node.named)), shared)
    return found
