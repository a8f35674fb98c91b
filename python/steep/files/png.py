"""Pictures of pixels as PNG files (ISO 15948), without another library. What is drawn: `plots`."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 56  # pixels of an image on a sheet: smaller ones are enlarged
GAP, PAPER = 2, 255


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of pixels (height, width), or (height, width, 3)."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    raw = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def sheet(rows: Any) -> NDArray[np.uint8]:
    """Return rows of images (rows, columns, height, width[, channels]), 0 to 1, as one picture.

    One channel or three are shown, of other numbers the first.
    """
    images = np.asarray(rows, dtype=np.float64)
    if images.ndim == 5:
        images = images if images.shape[-1] == 3 else images[..., 0]
    times = max(1, -(-SMALLEST // max(images.shape[2:4])))
    levels = np.rint(np.clip(np.nan_to_num(images), 0.0, 1.0) * 255).astype(np.uint8)
    large = levels.repeat(times, axis=2).repeat(times, axis=3)
    around = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))[: large.ndim]
    spaced = np.pad(large, around, constant_values=PAPER).swapaxes(1, 2)
    count, height, columns, width = spaced.shape[:4]
    picture = spaced.reshape(count * height, columns * width, *spaced.shape[4:])
    edge = ((GAP, 0), (GAP, 0), (0, 0))[: picture.ndim]
    return np.pad(picture, edge, constant_values=PAPER)
