"""Turns a drawn case into one whose recurrent layers go on from batch to batch."""

from dataclasses import replace

from described import Call, Fork, Meet
from shapes import each

ONE_IN = 3  # of the cases that have a recurrent layer
KINDS = ("SimpleRNN", "LSTM", "GRU")
ROWS = 3000  # more than any batch has


def by_states(case, random):
    """Return the case as it is, or in some one that keeps states and does not shuffle."""
    there = any(node.kind in KINDS for node in each(case.body, case.shared))
    if not there or random.integers(ONE_IN):
        return case
    script = tuple(d.changed(shuffle=False) if d.kind == "fit" else d for d in case.script)
    return replace(case, body=keeping(case.body), shared=keeping(case.shared), script=script)


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
