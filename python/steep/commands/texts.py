"""What `steep train` does with texts: parts, settings and networks of its language models."""

from pathlib import Path
from typing import Any

from .. import models
from ..data import Dataset, Text, streams, windows
from ..network.model import Sequential

CONTEXT = 64
TEST = 0.1  # the share at the end that is tested on
OVERLAP = 4  # windows that a character of the training part stands in
ROWS = 32  # samples of a batch
UPDATES, EPOCHS = 3000, 50  # about so many updates, but never more epochs
SETTINGS: dict[str, dict[str, Any]] = {
    "gpt": {"units": (128,) * 4, "optimizer": "adamw", "weight_decay": 0.1, "lr": 1e-3},
    "lstm": {"units": (256,), "optimizer": "adam", "lr": 2e-3},
}
MODELS = tuple(SETTINGS)


def settings(model: str, samples: int, batch: int | None) -> dict[str, Any]:
    """Return what suits a text of so many windows, where the user leaves it open."""
    batch = batch or ROWS
    epochs = min(max(1, round(UPDATES * batch / samples)), EPOCHS)
    return {
        **SETTINGS[model],
        "context": CONTEXT,
        "dropout": 0.0,
        "epochs": epochs,
        "batch_size": batch,
        "schedule": "cosine",
        "clip_norm": 1.0,
    }


def opened(file: str, model: str, context: int | None, validation: float, rows: int = 0) -> Dataset:
    """Return windows over the characters of a text: begin, then validation, then test.

    With `rows` the begin is so many parts side by side, each read in order.

    Raises
    ------
    ValueError
        There is no such text, or a part is shorter than a window, or than one of each row.
    """
    path, length = Path(file).expanduser(), context or CONTEXT
    if not path.is_file():
        raise ValueError(f"{file}: no such file. --model {model} takes a text, as in text.txt.")
    if not 0.0 <= validation <= 0.5:
        raise ValueError(f"--validation: expects a share from 0 to 0.5, got {validation}")
    try:
        text = Text(path)
    except ValueError as error:  # of another encoding, or empty
        raise ValueError(f"{file}: no text in UTF-8 ({error}).") from None
    held, last = (int(len(text) * share) for share in (validation, TEST))
    sizes = [len(text) - held - last, *([held] if validation else []), last]
    if min(sizes) <= length:
        raise ValueError(
            f"{file}: is too short, its parts have {', '.join(map(str, sizes))} characters and "
            f"--context {length} reads {length} and the next one. Take a longer text or less "
            "--context."
        )
    if rows and sizes[0] <= rows * length:
        raise ValueError(
            f"{file}: is too short for --stateful, which reads {rows} rows of {length} at once: "
            f"{sizes[0]} characters. Take less --batch-size or --context."
        )
    first, middle = text.tokens[: sizes[0]], text.tokens[sizes[0] : len(text) - last]
    return Dataset(
        name=path.stem,
        train=streams(first, length, rows)
        if rows
        else windows(first, length, max(1, length // OVERLAP), every=True),
        validation=windows(middle, length, length, every=True) if validation else None,
        test=windows(text.tokens[-last:], length, length, every=True),
        classes=text.vocabulary,
    )


def build(
    model: str,
    units: tuple[int, ...],
    dropout: float,
    *,
    context: int,
    vocabulary: int,
    rows: int = 0,
) -> Sequential:
    """Return the network; `units` has one number for each layer, `rows` samples keep their states.

    Raises
    ------
    ValueError
        The layers are not of one width.
    """
    if len(set(units)) != 1:
        raise ValueError(
            f"--units {','.join(map(str, units))}: --model {model} has layers of one width, as "
            "128,128."
        )
    depth, width = len(units), units[0]
    if model == "lstm":
        more: dict[str, Any] = {"dropout": dropout, "stateful": rows or False}
        return models.char_lstm(vocabulary, width, depth, context, **more)
    heads = next(h for h in range(max(1, width // 32), 0, -1) if width % h == 0)
    return models.gpt(depth, heads, width, context, vocabulary, dropout=dropout)
