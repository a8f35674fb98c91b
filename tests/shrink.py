"""Smaller cases next to a case: what a failure is tried on to find the least that still fails."""

from dataclasses import replace

from described import Call, Case, Fork, Meet, Source, Use
from shapes import Misfit, after


def candidates(case):
    """Yield cases a little smaller, the largest cuts first; every one fits together."""
    for made in _raw(case):
        try:
            second = made.inputs[1] if len(made.inputs) == 2 else None
            output = after(made.body, made.inputs[0], made.shared, second)
        except (Misfit, KeyError, IndexError, TypeError, AttributeError):
            continue
        if made.body and len(output) == len(case.output) and (made.functional or _plain(made)):
            yield replace(made, output=tuple(output))


def _plain(case):
    return not any(isinstance(node, (Fork, Meet)) for node in case.body)


def _raw(case):
    yield from _scripts(case)
    for body in _chains(case.body):
        yield replace(case, body=tuple(body))
    for index, (name, layer) in enumerate(case.shared):
        yield replace(case, body=_without(case.body, name, layer), shared=tuple(
            pair for k, pair in enumerate(case.shared) if k != index))  # fmt: skip
        for smaller in _smaller_call(layer):
            pairs = list(case.shared)
            pairs[index] = (name, smaller)
            yield replace(case, shared=tuple(pairs))
    if case.functional and _plain(case) and len(case.inputs) == 1:
        yield replace(case, functional=False)
    if len(case.inputs) == 2 and not any(isinstance(n, Meet) for n in case.body):
        yield replace(case, inputs=case.inputs[:1])
    for index, shape in enumerate(case.inputs):
        for k, n in enumerate(shape):
            for less in _less(n):
                shapes = list(case.inputs)
                shapes[index] = (*shape[:k], less, *shape[k + 1 :])
                yield replace(case, inputs=tuple(shapes))
    yield from _trainers(case)
    yield from _data(case)


def _less(n):
    """Return smaller positive numbers, the smallest first."""
    return sorted({1, n // 2, n - 1} - {0, n}) if n > 1 else ()


def _scripts(case):
    for k in range(len(case.script)):
        if len(case.script) > 1:
            yield replace(case, script=case.script[:k] + case.script[k + 1 :])
    for k, deed in enumerate(case.script):
        for smaller in _smaller_deed(deed, case.data.samples):
            yield replace(case, script=(*case.script[:k], smaller, *case.script[k + 1 :]))


FIT_OPTIONS = ("augment", "validation", "sample_weight", "class_weight", "shuffle", "drop_last")


def _smaller_deed(deed, n):
    if deed.kind != "fit":
        return
    for name in FIT_OPTIONS:
        if deed.get(name) is not None:
            yield deed.changed(**{name: None})
    for less in _less(deed.get("epochs")):
        yield deed.changed(epochs=less)
    if deed.get("batch_size") != n:
        yield deed.changed(batch_size=n)


def _chains(nodes):
    """Yield chains of nodes with one left out, unwrapped or made smaller."""
    for k, node in enumerate(nodes):
        before, rest = nodes[:k], nodes[k + 1 :]
        if not isinstance(node, (Call, Use, Fork, Meet)):
            continue  # a number beside an activation: Dense needs its units
        yield (*before, *rest)
        if isinstance(node, Fork):
            for j, way in enumerate(node.ways):
                yield (*before, *way, *rest)
                if len(node.ways) > 2:
                    yield (*before, replace(node, ways=node.ways[:j] + node.ways[j + 1 :]), *rest)
                for smaller in _chains(way):
                    ways = (*node.ways[:j], tuple(smaller), *node.ways[j + 1 :])
                    yield (*before, replace(node, ways=ways), *rest)
        elif isinstance(node, Meet):
            for smaller in _chains(node.way):
                yield (*before, replace(node, way=tuple(smaller)), *rest)
        elif isinstance(node, Call):
            inside = tuple(n for n in node.args if isinstance(n, (Call, Use)))
            if inside:
                yield (*before, *inside, *rest)
            for smaller in _smaller_call(node):
                yield (*before, smaller, *rest)


def _smaller_call(node):
    """Yield a call with an argument left out, or smaller."""
    if not isinstance(node, Call):
        return
    for name, value in node.named:
        yield node.changed(**{name: None})
        if isinstance(value, Call):
            for smaller in _smaller_call(value):
                yield node.changed(**{name: smaller})
        if name in ("stride", "dilation", "padding", "groups") and not isinstance(value, str):
            for less in _smaller_value(value, 0 if name == "padding" else 1):
                yield node.changed(**{name: less})
    inside = [n for n in node.args if isinstance(n, (Call, Use))]
    if inside:
        for args in _chains(node.args):
            if args:
                yield replace(node, args=tuple(args))
        return
    for k, value in enumerate(node.args):
        for less in _smaller_value(value, 0 if node.kind == "ZeroPad2D" else 1):
            yield replace(node, args=(*node.args[:k], less, *node.args[k + 1 :]))


def _smaller_value(value, low):
    """Yield smaller numbers, none below `low`; a call is left out."""
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from _less(value)
    elif isinstance(value, Call):
        yield None
    elif isinstance(value, tuple) and all(isinstance(n, int) for n in value):
        for k, n in enumerate(value):
            for less in {low, *_less(n)} if n > low else ():
                yield (*value[:k], less, *value[k + 1 :])


def _without(nodes, name, layer):
    """Return nodes with the layer itself in place of its shared use."""
    found = []
    for node in nodes:
        if isinstance(node, Use) and node.name == name:
            found.append(layer)
        elif isinstance(node, Fork):
            ways = tuple(_without(way, name, layer) for way in node.ways)
            found.append(replace(node, ways=ways))
        elif isinstance(node, Meet):
            found.append(replace(node, way=_without(node.way, name, layer)))
        elif isinstance(node, Call):
            named = tuple((k, layer if v == Use(name) else v) for k, v in node.named)
            found.append(replace(node, args=_without(node.args, name, layer), named=named))
        else:
            found.append(node)
    return tuple(found)


def _trainers(case):
    for name, value in case.options:
        yield case.with_options(**{name: None})
        if isinstance(value, (Call, Source)) and name not in ("average", "groups", "loss_weights"):
            yield case.with_options(**{name: 0.1})
    if case.optimizer != "sgd":
        yield replace(case, optimizer="sgd")
    if isinstance(case.optimizer, Call):
        for name, value in case.optimizer.named:
            gone = {name: None}
            if name == "momentum":  # these make no sense without it
                gone |= {"nesterov": None, "lr_in_velocity": None}
            yield replace(case, optimizer=case.optimizer.changed(**gone))
            if isinstance(value, (Call, Source)) and name != "rest":  # an optimizer, no schedule
                yield replace(case, optimizer=case.optimizer.changed(**{name: 0.1}))
    if isinstance(case.loss, Call) and case.loss.named:
        yield replace(case, loss=replace(case.loss, named=()))
    if case.frozen:
        yield replace(case, frozen=False)
    if case.stirred:
        yield replace(case, stirred=False)
    if case.build is not None:
        yield replace(case, build=None)
    elif not case.stirred:
        yield replace(case, build=0)


def _data(case):
    data = case.data
    for less in _less(data.samples):
        yield replace(case, data=replace(data, samples=less))
    for name, plain in (("weights", "none"), ("layout", "plain"), ("target_layout", "plain"),
                        ("dtype", "float32")):  # fmt: skip
        if getattr(data, name) != plain:
            yield replace(case, data=replace(data, **{name: plain}))


def size(case: Case) -> int:
    """How much there is to read of a case."""
    return len(case.program()) + case.data.samples + sum(sum(shape) for shape in case.inputs)
