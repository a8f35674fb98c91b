"""The list of implementations bench/run.py knows; a rival's own code is the module it names."""

from dataclasses import dataclass


class UnsupportedError(Exception):
    """This implementation has no such case, or something it needs is missing; says which."""


@dataclass(frozen=True)
class Implementation:
    """One line of the table: where its code is, what it needs, which kinds of cases it has."""

    module: str
    distributions: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def install(self) -> str:
        """What to type where it is missing."""
        return (
            "pip install ." if self.module == "steep" else "pip install -r bench/requirements.txt"
        )


def _torch(*kinds: str) -> Implementation:
    return Implementation("torch_rival", ("torch",), kinds)


def _jax(*kinds: str) -> Implementation:
    return Implementation("jax_rival", ("jax", "optax"), kinds)


IMAGES = ("ImageStep", "Convolution")
ALL = ("Step", "Task", "Gemm", "NewtonSchulz", "Rule", *IMAGES)
IMPLEMENTATIONS = {
    "steep": Implementation("steep", ("steep",), ALL),
    "torch": _torch(*ALL),
    "torch-foreach": _torch("Step", "Rule"),
    "torch-fused": _torch("Step", "Rule"),
    "torch-channels-last": _torch("Task", *IMAGES),
    "torch-compile": _torch("Step", "Task", "NewtonSchulz", "Rule", *IMAGES),
    "torch-compile-channels-last": _torch(*IMAGES),
    "jax": _jax("Step", "Task", "Rule", *IMAGES),
    "jax-scan": _jax("Step", "Task", "ImageStep"),
    "sklearn": Implementation("sklearn_rival", ("scikit-learn",), ("Step",)),
    "openblas": Implementation("openblas_rival", ("scipy-openblas32",), ("Gemm",)),
    "onednn": Implementation("onednn_rival", ("onednn-devel-cpu-gomp",), ("Gemm", "Convolution")),
}


def choose(names: str | None) -> list[str]:
    """Return implementations by a comma-separated list; a rival's name means all its variants.

    Raises
    ------
    ValueError
        When a name is not known.
    """
    if names is None:
        return list(IMPLEMENTATIONS)
    chosen = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        fitting = [one for one in IMPLEMENTATIONS if one == name or one.startswith(name + "-")]
        if not fitting:
            raise ValueError(f"no implementation {name!r}; there are {', '.join(IMPLEMENTATIONS)}")
        chosen += [one for one in fitting if one not in chosen]
    return chosen
