"""`Augment`: how images are changed at random while training reads them. The work is native."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..checks.described import settle
from ..checks.numbers import ANY, flag, is_list, number, numbers, whole

Settings = tuple[bool, int, int, list[float]]


@dataclass(frozen=True)
class Augment:
    """Flips, shifts and paints over images at random while training, for ``Trainer.fit``.

    First the shift, then the flip, then the cutout. What happens to a sample is a pure function of
    the trainer's seed, the epoch and the number of the sample: equal for any number of threads and
    any batch size, and the same again after a checkpoint. Your array is read where it lies and not
    changed. ``evaluate``, ``predict``, ``step`` and ``gradients`` read the images as they are.

    Values are neither scaled nor centred: training and prediction must read the same numbers, so
    that is the work of the network's first layer, such as ``layers.Rescale(1/255)``, which is
    fused into the reading.

    Parameters
    ----------
    flip
        Whether half of the images have left and right changed over.
    shift
        k >= 0: `fill` is put around the image, k pixels on each side, and an image of the old size
        cut out anywhere in it, all (2k+1)^2 places alike (He et al. 2016 take 4 for 32 pixels).
    cutout
        Side of a square of `fill` that is painted over the image, its middle anywhere in the image
        and its outside cut off; 0 for none (DeVries and Taylor 2017).
    fill
        Value of such pixels in the units of your array, or one for each channel. The mean of the
        training images becomes 0 in a network that subtracts it, as both papers have it.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """

    flip: bool = False
    shift: int = 0
    cutout: int = 0
    fill: float | Sequence[float] = 0.0

    def __post_init__(self) -> None:
        """Check what can be checked without the images."""
        flag("Augment", "flip", self.flip)
        shift, cutout = (whole("Augment", n, getattr(self, n), 0) for n in ("shift", "cutout"))
        check = numbers if is_list(self.fill) else number
        fill = check("Augment", "fill", self.fill, ANY, single=True)
        settle(self, shift=shift, cutout=cutout, fill=fill)

    def _settings(self, shapes: Sequence[tuple[int, ...]]) -> Settings:
        """Return the settings for the core, checked against the inputs' shapes.

        Parameters
        ----------
        shapes
            Of the network's inputs, without the batch.

        Raises
        ------
        ValueError
            If it is not one input of images, or they are too small.
        """
        if len(shapes) != 1:
            raise ValueError(f"augment: takes a network with one input, this has {len(shapes)}")
        shape = tuple(shapes[0])
        if len(shape) not in (2, 3):
            raise ValueError(
                f"augment: needs images, samples of shape (H, W) or (H, W, C), got {shape}"
            )
        least, channels = min(shape[:2]), shape[2] if len(shape) == 3 else 1
        if self.shift >= least:
            raise ValueError(
                f"augment: shift must be less than height and width, {self.shift} for {shape}"
            )
        if self.cutout > least:
            raise ValueError(
                f"augment: cutout must be at most height and width, {self.cutout} for {shape}"
            )
        fill = [self.fill] * channels if isinstance(self.fill, float) else list(self.fill)
        if len(fill) != channels:
            raise ValueError(
                f"augment: fill has {len(fill)} values, images of shape {shape} {channels} "
                "channel(s)"
            )
        return self.flip, self.shift, self.cutout, fill
