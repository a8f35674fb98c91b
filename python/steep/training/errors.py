"""`NonFiniteError`, what a training raises when numbers leave the format. Checks are elsewhere."""

from typing import Any


class NonFiniteError(FloatingPointError):
    """A loss or an update was not finite; the network keeps the weights from before that step.

    Attributes
    ----------
    step : int
        The update that was not done, counted from 1.
    epoch : int
        Its epoch, counted from 1.
    what : str
        ``"loss"`` or ``"gradient"``.
    where : str
        Layer or parameter in which it was met first.
    """

    def __init__(self, step: int, epoch: int, what: str, where: str) -> None:
        super().__init__(
            f"step {step} (epoch {epoch}): the {what} is not finite, first in {where}. The weights "
            "are those from before this step. Try a smaller learning rate, clip_norm=1 or inputs "
            "scaled to about [-1, 1]."
        )
        self.step, self.epoch, self.what, self.where = step, epoch, what, where

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, as processes hand exceptions over."""
        return type(self), (self.step, self.epoch, self.what, self.where)
