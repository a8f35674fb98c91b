"""Learns vectors of the words of a text; prints the tables of docs/words.md.

python docs/words.py TEXT [--seeds N] [--gensim]

TEXT is a file with a sentence a line, such as the King James Bible, whose verses Debian's packages
bible-kjv and bible-kjv-text print:

bible -f gen1:1-rev22:21 | sed -E 's/^[0-9]?[A-Za-z]+[0-9]*:[0-9]+ //' > kjv.txt
"""

import argparse
import re
import time
from pathlib import Path
from typing import Any

import steep

ODD = (
    "moses aaron egypt joshua", "gold silver brass mother", "father mother brother mountain",
)  # fmt: skip
NEAR = ("gold", "mountain", "king", "bread", "wept", "seven")
UNITS, EPOCHS = 64, 5


def sentences(path: str) -> list[list[str]]:
    """Return the words of each line, in small letters."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").lower().split("\n")
    found = (re.findall("[a-z]+", line) for line in lines)
    return [words for words in found if words]


def learned(text: list[list[str]], seed: int) -> steep.SkipGram:
    """Train once, and print what is asked of every seed."""
    model = steep.SkipGram(UNITS, seed=seed)
    start = time.process_time()
    history = model.fit(text, EPOCHS, progress=False).history
    took = time.process_time() - start
    words, pairs = EPOCHS * sum(map(len, text)), sum(history["pairs"])
    odd = [model.doesnt_match(group.split()) for group in ODD]
    print(
        f"seed {seed}: {took:.2f} s of one processor, {words / took:,.0f} words/s, {pairs:,.0f} "
        f"pairs; odd ones out {', '.join(odd)}; gold -> {model.most_similar('gold', 1)[0][0]}"
    )
    return model


def tables(model: steep.SkipGram) -> None:
    """Print which words are near each other."""
    print("\n| word | nearest, with the cosine |\n|---|---|")
    for word in NEAR:
        near = ", ".join(f"{other} {cosine:.2f}" for other, cosine in model.most_similar(word, 5))
        print(f"| {word} | {near} |")


def beside(text: list[list[str]]) -> None:
    """Time gensim on the same text, one thread."""
    from gensim.models import Word2Vec  # noqa: PLC0415  (a rival)

    options: dict[str, Any] = {"vector_size": UNITS, "window": 5, "min_count": 5, "negative": 5}
    start = time.process_time()
    Word2Vec(text, sg=1, epochs=EPOCHS, workers=1, seed=0, **options)
    took = time.process_time() - start
    print(f"gensim: {took:.2f} s, {EPOCHS * sum(map(len, text)) / took:,.0f} words/s")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("docs/words.py", description=__doc__)
    parser.add_argument("text")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--gensim", action="store_true")
    given = parser.parse_args()
    text = sentences(given.text)
    print(f"{len(text):,} sentences, {sum(map(len, text)):,} words")
    models = [learned(text, seed) for seed in range(given.seeds)]
    if given.gensim:
        beside(text)
    tables(models[0])


if __name__ == "__main__":
    main()
