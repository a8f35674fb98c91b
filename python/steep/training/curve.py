"""The curve of a running `fit` in a notebook: a small SVG that is drawn anew in its place.

What is written in lines and bars is `progress`. Nothing but IPython is asked for, no widgets.
"""

import math
from collections.abc import Mapping, Sequence

from ..plots import STYLES

WIDTH, HEIGHT = 320, 180  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 22, 24  # what is around its lines
MOST = 240  # points of a line: longer ones are thinned, a picture stays below 20 kB
PANELS = ("loss", "accuracy")


class Curve:
    """A picture of loss and accuracy by epoch that a notebook shows.

    Parameters
    ----------
    first
        Epochs done before.
    """

    def __init__(self, first: int) -> None:
        from IPython.display import display  # noqa: PLC0415 - there in notebooks alone

        self._first = first
        self._values: dict[str, list[float]] = {}
        self._count = 0
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def add(self, logs: Mapping[str, float]) -> None:
        """Take the numbers of one more epoch."""
        for name in logs:
            self._values.setdefault(name, [math.nan] * self._count)
        for name, values in self._values.items():
            values.append(logs.get(name, math.nan))
        self._count += 1

    def show(self) -> None:
        """Draw it anew, from two epochs on."""
        if self._handle is not None and self._count > 1:
            text = f"loss by epoch, {self._first + 1} to {self._first + self._count}"
            drawn = {"image/svg+xml": svg(self._values, self._first), "text/plain": text}
            self._handle.update(drawn, raw=True)


def svg(values: Mapping[str, Sequence[float]], first: int = 0) -> str:
    """Return the picture of numbers by epoch, of training and validation, a panel for each kind."""
    shown = [name for name in PANELS if any(map(math.isfinite, values.get(name, ())))]
    panels = [
        f'<g transform="translate({k * WIDTH},0)">{_panel(name, values, first)}</g>'
        for k, name in enumerate(shown)
    ]
    size = f'width="{WIDTH * len(shown)}" height="{HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
        f'<rect {size} fill="white"/>{"".join(panels)}</svg>'
    )


def _panel(name: str, values: Mapping[str, Sequence[float]], first: int) -> str:
    """Return the lines of one quantity, with the ends of both axes."""
    lines = {"training": values[name], "validation": values.get(f"val_{name}", ())}
    finite = [v for line in lines.values() for v in line if math.isfinite(v)]
    low, high, count = min(finite), max(finite), len(values[name])
    spread = high - low or abs(high) or 1.0
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(k: int, value: float) -> str:
        x = LEFT + (right - LEFT) * k / max(count - 1, 1)
        return f"{x:.1f},{bottom - (bottom - TOP) * (value - low) / spread:.1f}"

    frame = f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>'
    parts = [frame, f'<text x="{LEFT}" y="14" font-weight="bold">{name}</text>']
    for y, number in ((TOP + 8, high), (bottom, low)):
        parts.append(f'<text x="{LEFT - 4}" y="{y}" text-anchor="end">{number:.3g}</text>')
    for x, end, epoch in ((LEFT, "start", first + 1), (right, "end", first + count)):
        parts.append(f'<text x="{x}" y="{bottom + 15}" text-anchor="{end}">{epoch}</text>')
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 15}" text-anchor="middle">epoch</text>'
    )
    for k, (word, line) in enumerate(lines.items()):
        points = [place(at, line[at]) for at in _thinned(len(line)) if math.isfinite(line[at])]
        if points:
            colour, ends = STYLES[word]["color"], right - 62 * (1 - k)
            dash = "5 3" if word == "validation" else "none"
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
                f'stroke-width="1.6" stroke-dasharray="{dash}"/>'
                f'<text x="{ends}" y="14" text-anchor="end" fill="{colour}">{word}</text>'
            )
    return "".join(parts)


def _thinned(count: int) -> list[int]:
    """Return places of a line: all of a short one, as many as are shown of a long one."""
    if count <= MOST:
        return [*range(count)]
    return sorted({round(k * (count - 1) / (MOST - 1)) for k in range(MOST)})
