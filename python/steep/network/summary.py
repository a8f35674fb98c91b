"""The summary of a network as a table of text."""

from .description import Description, sizes
from .weights import init_name


def summary(about: Description, precision: str) -> str:
    """Return a table with a line for each layer, and the sums below it."""
    learned, untrained = sizes(about.weights.values())
    table = [["layer", "output shape", "parameters", "untrained", "multiply-adds", "init"]]
    for row in about.rows:
        numbers = (f"{n:,}" for n in (*sizes(row.weights), row.multiply_adds))
        begin = ", ".join(init_name(w) for w in row.weights if len(w.shape) > 1)
        title = f"{'  ' * row.depth}{row.name} ({row.kind})"
        table.append([title, str(row.shape), *numbers, begin])
    if not untrained:
        table = [[*line[:3], *line[4:]] for line in table]
    kept = f", and {untrained:,} that are not trained" if untrained else ""
    return "\n".join(
        [
            *_aligned(table),
            f"inputs {', '.join(map(str, about.shapes))}",
            f"parameters {learned:,}{kept}  ({precision})",
            f"multiply-adds {about.multiply_adds:,} a sample",
        ]
    )


def _aligned(table: list[list[str]]) -> list[str]:
    """Return the lines of a table under its head: two columns of text, numbers, text."""
    size = [max(map(len, column)) for column in zip(*table, strict=True)]
    sides = ["<", "<", *">" * (len(size) - 3), "<"]
    lines = [
        "  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(line, sides, size, strict=True))
        for line in table
    ]
    rule = "-" * (sum(size) + 2 * len(size) - 2)
    return [lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule]
