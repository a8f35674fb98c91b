"""Draws a network as a graph of boxes: a layout in layers and an SVG of it. Curves are in `plots`.

Boxes are put in rows by the longest way from the inputs, and within a row where their neighbours
are (Sugiyama, Tagawa & Toda 1981); edges that pass a row have a place in it.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from os import PathLike

from .exporting.steps import Recorded, Shape, Step
from .files import atomic

MANY = 60  # boxes beyond which layers inside layers are drawn as one
CHARACTER, LINE, INSIDE = 7.0, 16.0, 10.0  # pixels: of the text, and around it
BESIDE, BETWEEN, LANE = 28.0, 34.0, 14.0  # pixels: of boxes, of rows, of an edge that passes
SWEEPS = 12  # of the order and the places within rows

_STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24;text-anchor:middle}"
    ".n{font-weight:600}.s{fill:#57606a}"
    "rect{fill:#eef4fb;stroke:#0072b2;rx:5}.i rect{fill:#fff4e5;stroke:#d55e00}"
    "path{fill:none;stroke:#57606a;stroke-width:1.4}"
)


@dataclass(frozen=True)
class Drawing:
    """A picture of a network; notebooks show it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing of {self.svg.count('<rect ') - 1} boxes; plot(path) writes it>"

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as an SVG file.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        atomic.replace(path, self.svg.encode())


@dataclass(eq=False)
class _Box:
    """A box, or the place where an edge passes a row."""

    lines: Sequence[str] = ()
    end: bool = False  # of the network: an input or an output
    above: list["_Box"] = field(default_factory=list)
    below: list["_Box"] = field(default_factory=list)
    row: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        size = max(map(len, self.lines), default=0)
        return size * CHARACTER + 2 * INSIDE if self.lines else LANE

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * INSIDE - 4


def drawn(recorded: Recorded, depth: int | None) -> Drawing:
    """Return a network's picture; `depth` is how many layers inside each other are told apart."""
    if depth is None:
        leaves = {step.calls for step in recorded.steps}
        depth = 1 if len(leaves) > MANY else max(map(len, leaves), default=1)
    rows = _in_rows(_boxes(recorded, depth))
    _order(rows)
    _place(rows)
    return Drawing(_svg(rows))


def _boxes(recorded: Recorded, depth: int) -> list[_Box]:
    """Return inputs, layers and outputs, each after those above it."""
    made: dict[tuple[int, ...], _Box] = {}
    source: dict[int, _Box] = {}  # of tensors
    boxes: list[_Box] = []
    for number, tensor in enumerate(recorded.inputs):
        name = "input" if len(recorded.inputs) == 1 else f"input {number}"
        source[tensor] = _Box([name, _shape(recorded.shapes[tensor])], end=True)
        boxes.append(source[tensor])
    for step in recorded.steps:
        key = step.calls[:depth]
        if key not in made:
            made[key] = _Box(_text(recorded, key, step, depth))
            boxes.append(made[key])
        box = made[key]
        for tensor in step.tensors:
            if source[tensor] is not box and source[tensor] not in box.above:
                box.above.append(source[tensor])
        source[step.out] = box
    for name, tensor in zip(recorded.output_names, recorded.outputs, strict=True):
        shape = _shape(recorded.shapes[tensor])
        boxes.append(_Box([name, shape], end=True, above=[source[tensor]]))
    return _straight(boxes)


def _text(recorded: Recorded, key: tuple[int, ...], step: Step, depth: int) -> list[str]:
    if not key:
        return [step.kind, _shape(recorded.shapes[step.out])]
    call = recorded.calls[key[-1]]
    steps = [step for step in recorded.steps if step.calls[:depth] == key]
    inside = {k for step in steps for k in step.calls[len(key) - 1 :]}
    count = sum(recorded.calls[k].parameters for k in inside)
    lines = [call.name, call.kind, _shape(call.shape)]
    return [*lines, f"{count:,} parameters"] if count else lines


def _shape(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def _straight(boxes: list[_Box]) -> list[_Box]:
    """Order boxes such that each comes after those above it; a block's own box closes it."""
    done: dict[int, bool] = {}
    found: list[_Box] = []
    stack = [(box, False) for box in reversed(boxes)]
    while stack:
        box, ready = stack.pop()
        if ready:
            found.append(box)
        elif id(box) not in done:
            done[id(box)] = True
            stack.append((box, True))
            stack.extend((above, False) for above in reversed(box.above))
    return found


def _in_rows(boxes: list[_Box]) -> list[list[_Box]]:
    """Return rows of boxes, with places for the edges that pass."""
    for box in boxes:
        box.row = 1 + max((above.row for above in box.above), default=-1)
    rows: list[list[_Box]] = [[] for _ in range(1 + max(box.row for box in boxes))]
    for box in boxes:
        rows[box.row].append(box)
        for k, above in enumerate(box.above):
            for row in range(above.row + 1, box.row):
                lane = _Box(above=[above], row=row)
                rows[row].append(lane)
                above.below.append(lane)
                above = lane  # noqa: PLW2901 - the edge goes on from there
            box.above[k] = above
            above.below.append(box)
    return rows


def _order(rows: list[list[_Box]]) -> None:
    """Sort each row by where its neighbours stand in the one above, and below, in turns."""
    for row in rows:
        _number(row)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            for box in row:
                near = box.above if down else box.below
                box.x = sum(b.x for b in near) / len(near) if near else box.x
            row.sort(key=lambda box: box.x)
            _number(row)


def _number(row: list[_Box]) -> None:
    for k, box in enumerate(row):
        box.x = k - (len(row) - 1) / 2


def _place(rows: list[list[_Box]]) -> None:
    """Give boxes their x: as near to the mean of their neighbours as those beside them allow."""
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = []
            for box in row:
                near = box.above + box.below
                wanted.append(sum(b.x for b in near) / len(near) if near else box.x)
            _spread(row, wanted)


def _spread(row: list[_Box], wanted: Sequence[float]) -> None:
    """Place a row's boxes near where they are wanted, in order, apart; stretches move as one."""
    blocks: list[list[float]] = []  # of each: sum of what is wanted of its first, boxes, width
    offsets: list[float] = []
    for k, box in enumerate(row):
        gap = (box.width + row[k - 1].width) / 2 + BESIDE if k else 0.0
        offsets.append(offsets[-1] + gap if k else 0.0)
        blocks.append([wanted[k] - offsets[k], 1.0])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    place = 0
    for block in blocks:
        for _ in range(int(block[1])):
            row[place].x = _mean(block) + offsets[place]
            place += 1


def _mean(block: Sequence[float]) -> float:
    return block[0] / block[1]


def _svg(rows: list[list[_Box]]) -> str:
    tops, y = [], 12.0
    for row in rows:
        tops.append(y)
        y += max(box.height for box in row) + BETWEEN
    left = min(box.x - box.width / 2 for row in rows for box in row) - 12
    right = max(box.x + box.width / 2 for row in rows for box in row) + 12
    width, height = math.ceil(right - left), math.ceil(y - BETWEEN + 12)
    parts: dict[str, list[str]] = defaultdict(list)
    for row, top in zip(rows, tops, strict=True):
        size = max(box.height for box in row)
        for box in row:
            x, start = box.x - left, top + (size - box.height) / 2 if box.lines else top
            end = start + box.height if box.lines else top + size
            if box.lines:
                parts["boxes"].append(_drawn(box, x, start))
            else:
                parts["edges"].append(f"M{x:.1f} {top:.1f}V{end:.1f}")
            for below in box.below:
                under = max(b.height for b in rows[below.row])
                start_below = tops[below.row]
                start_below += (under - below.height) / 2 if below.lines else 0
                parts["edges"].append(_curve(x, end, below.x - left, start_below))
    edges = "".join(parts["edges"])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>'
        f'<path d="{edges}"/>{"".join(parts["boxes"])}</svg>\n'
    )


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (y + to_y) / 2
    if abs(x - to_x) < 0.5:
        return f"M{x:.1f} {y:.1f}V{to_y:.1f}"
    return f"M{x:.1f} {y:.1f}C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def _drawn(box: _Box, x: float, y: float) -> str:
    lines = "".join(
        f'<text class="{"s" if k else "n"}" x="{x:.1f}" y="{y + INSIDE + 9 + k * LINE:.1f}">'
        f"{escape(line)}</text>"
        for k, line in enumerate(box.lines)
    )
    return (
        f'<g class="{"i" if box.end else "l"}"><rect x="{x - box.width / 2:.1f}" y="{y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}"/>{lines}</g>'
    )
