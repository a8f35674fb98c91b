"""The implementations bench/run.py knows; each rival's own code is a module of this package."""


class Unsupported(Exception):
    """This implementation has no such case; the message says why."""
