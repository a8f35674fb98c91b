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
    if isinstance(value, tuple):
        return tuple(keeping(item) for item in value)
    if isinstance(value, Call):
        named = tuple((k, keeping(v)) for k, v in value.named)
        more = (("stateful", ROWS),) if value.kind in KINDS else ()
        return replace(value, args=keeping(value.args), named=named + more)
    if isinstance(value, Fork):
        return replace(value, ways=keeping(value.ways))
    return replace(value, way=keeping(value.way)) if isinstance(value, Meet) else value
