"""Turns a drawn case into one whose recurrent layers go by lengths, or on from batch to batch."""

from dataclasses import replace

from described import Call, Fork, Meet, call
from shapes import each

ONE_IN = 3  # of the cases that have a recurrent layer
RAGGED = 4  # all but one in so many that begin with one
KINDS = ("SimpleRNN", "LSTM", "GRU")
ROWS = 3000  # more than any batch has


def by_states(case, random):
    """Return the case as it is, or in some one that keeps states and does not shuffle."""
    there = any(node.kind in KINDS for node in each(case.body, case.shared))
    if not there or random.integers(ONE_IN):
        return case
    script = tuple(d.changed(shuffle=False) if d.kind == "fit" else d for d in case.script)
    return replace(case, body=keeping(case.body), shared=keeping(case.shared), script=script)


def by_lengths(case, random):
    """Return the case as it is, or with a length for each sample, of layers that read the data."""
    first = case.body[0]
    inner = first.args[0] if isinstance(first, Call) and first.kind == "Counted" else first
    there = isinstance(inner, Call) and inner.kind in (*KINDS, "Bidirectional")
    if not there or not random.integers(RAGGED):
        return case
    return replace(case, body=(call("", "Ragged", inner), *case.body[1:]))


def keeping(value):
    """Return nodes whose recurrent layers keep states."""
    return _changed(value, (("stateful", ROWS),))


def forgetting(value):
    """Return nodes whose recurrent layers keep none."""
    return _changed(value, ())


def _changed(value, given):
    if isinstance(value, tuple):
        return tuple(_changed(item, given) for item in value)
    if isinstance(value, Call):
        more = given if value.kind in KINDS else ()
        named = tuple((k, _changed(v, given)) for k, v in value.named if k != "stateful")
        return replace(value, args=_changed(value.args, given), named=named + more)
    if isinstance(value, Fork):
        return replace(value, ways=_changed(value.ways, given))
    return replace(value, way=_changed(value.way, given)) if isinstance(value, Meet) else value
