"""What the `fit` in progress was asked for, as checkpoints keep it. How far it is: the session."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..optimizers import Optimizer

Layout: TypeAlias = tuple[int, int, bool, bool]  # samples, batch_size, shuffle, drop_last


@dataclass
class Call:
    """A `fit`: where it began, how many epochs it was asked for."""

    first: int
    epochs: int
    stopped: bool = False  # a callback said "stop"
    done: bool = False  # it is over


@dataclass
class Place:
    """What the `fit` in progress was asked for, and what it left for the next one."""

    layout: Layout | None = None
    call: Call | None = None
    rate: float | None = None  # of the last step
    loaded: bool = False  # from a checkpoint, and no fit went on from there yet
    states: list[Any] = field(default_factory=list)  # of the callbacks

    def described(self) -> dict[str, Any]:
        """Return layout, call and rate as JSON can hold them."""
        call = self.call
        return {
            "layout": self.layout,
            "rate": self.rate,
            "call": None if call is None else [call.first, call.epochs, call.stopped, call.done],
        }

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> "Place":
        """Return the place that `described` gave, in files of earlier versions too."""
        call, layout, rate = saved["call"], saved["layout"], saved.get("rate")
        if layout is not None:
            samples, size, shuffle, *drop = layout
            layout = int(samples), int(size), bool(shuffle), bool(drop and drop[0])
        if call is not None:
            first, epochs, stopped, *done = call
            call = Call(int(first), int(epochs), bool(stopped), bool(done and done[0]))
        return cls(layout, call, None if rate is None else float(rate))


def layout_of(
    samples: int, batch_size: int, shuffle: bool = False, drop_last: bool = False
) -> Layout:
    """Return how a fit goes through its samples.

    Raises
    ------
    ValueError
        If no batch is left.
    """
    size = batch_size if drop_last else min(batch_size, samples)
    if size > samples:
        raise ValueError(
            f"fit: drop_last=True leaves nothing of {samples} samples with "
            f"batch_size={size}; take a smaller batch_size"
        )
    return samples, size, shuffle, drop_last


def layout_for(
    optimizer: Optimizer,
    samples: int,
    batch_size: int | None,
    *,
    accumulate: int = 1,
    shuffle: bool = False,
    drop_last: bool = False,
) -> Layout:
    """Return how a fit with an optimizer goes through its samples; None stands for its own size.

    Raises
    ------
    ValueError
        If no batch is left, or a method for full batches would not get all samples.
    """
    if not optimizer.full_batch:
        size = 32 if batch_size is None else batch_size
        return layout_of(samples, size * accumulate, shuffle, drop_last)
    if batch_size is not None and batch_size < samples:
        raise ValueError(
            f"fit: {type(optimizer).__name__} takes all {samples} samples for a step, got "
            f"batch_size={batch_size}; leave batch_size out, or take a rule for batches"
        )
    if accumulate > 1:
        raise ValueError(
            f"fit: {type(optimizer).__name__} takes all samples at once, accumulate={accumulate} "
            "is for rules; leave it out"
        )
    return layout_of(samples, samples)  # in their own order: all of them make one sum
