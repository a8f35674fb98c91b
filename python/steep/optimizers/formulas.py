"""Reads a formula out of the docstring that states it. No formula is here."""

import inspect
import re
from functools import cache


@cache
def written(kind: type) -> list[str]:
    """Return the formula of a docstring: its indented lines, or the first one up to the source.

    A class without one is written as its nearest base that has one.
    """
    for each in kind.__mro__:
        first, _, rest = inspect.cleandoc(vars(each).get("__doc__") or "").partition("\n")
        block = re.findall(r"^    (\S+ = .+)$", rest.partition("\n----")[0], re.MULTILINE)
        line = re.sub(r"( \([A-Z].*)?\.$", "", first)
        if block or re.match(r"\S+ = ", line):
            return block or re.split(r", (?=\S+ = )", line)
    raise RuntimeError(f"{kind.__name__}: no docstring has its formula; python -OO leaves them out")
