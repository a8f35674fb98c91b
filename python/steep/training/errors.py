"""`NonFiniteError`, what a training raises when numbers leave the format. Checks are elsewhere."""

from functools import partial
from typing import Any


class NonFiniteError(FloatingPointError):
    """A loss or an update was not finite; the network keeps the weights from before that step.

    The step is done once more to find out, with a look at everything it writes.

    Attributes
    ----------
    step : int
        The update that was not done, counted from 1.
    epoch : int
        Its epoch, counted from 1.
    what : str
        ``"loss"``, ``"gradient"``, ``"update"`` (a weight, by a step too large) or ``"optimizer's
        state"``.
    where : str
        Layer or parameter in which it was met first.
    op : str
        What was computed there, by the name of the op, of the loss, or "gradient", "update",
        "weight"; of gradients also the layer whose op it was. Empty where it is not known.
    direction : str
        ``"forward"``, ``"backward"``, ``"update"`` or empty.
    sample : int or None
        The first sample of the batch in which it was met, by its row in the data; None where it is
        no single one's.
    """

    def __init__(
        self,
        step: int,
        epoch: int,
        what: str,
        where: str,
        *,
        op: str = "",
        direction: str = "",
        sample: int | None = None,
    ) -> None:
        known = [direction, op, "" if sample is None else f"sample {sample}"]
        how = ", ".join(word for word in known if word)
        super().__init__(
            f"step {step} (epoch {epoch}): the {what} is not finite, first in {where}"
            f"{how and f' ({how})'}. The weights are those from before this step. Try a smaller "
            "learning rate, clip_norm=1 or inputs scaled to about [-1, 1]."
        )
        self.step, self.epoch, self.what, self.where = step, epoch, what, where
        self.op, self.direction, self.sample = op, direction, sample

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments, as processes hand exceptions over."""
        made = partial(type(self), op=self.op, direction=self.direction, sample=self.sample)
        return made, (self.step, self.epoch, self.what, self.where)
