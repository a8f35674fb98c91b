"""Language models of characters: names by a dense network, a text by a small Transformer.

python docs/results/language.py names names.txt       # one name a line
python docs/results/language.py gpt shakespeare.txt [--steps 2000]
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import data, initializers, layers, optimizers, schedules

READ = 3  # letters before the one that is asked for
CONTEXT, BATCH = 64, 12


def letters(names: list[str]) -> tuple[Any, Any]:
    """Return what stands before each letter and each end, (N, 3), and the letter; 0 is the end."""
    before, follows = [], []
    for name in names:
        numbers = [0] * READ + [ord(letter) - ord("a") + 1 for letter in name] + [0]
        for k in range(READ, len(numbers)):
            before.append(numbers[k - READ : k])
            follows.append(numbers[k])
    return np.array(before, np.uint8), np.array(follows)


def of_names(path: str) -> None:
    """Train a table of letters and one hidden layer (Bengio et al. 2003); a tenth is held out."""
    names = Path(path).read_text("utf-8").split()
    order = np.random.default_rng(0).permutation(len(names))
    names = [names[k] for k in order]
    first = len(names) * 9 // 10
    X, y = letters(names[:first])
    net = steep.Sequential(
        layers.Embedding(27, 10, initializers.Normal(1.0)), layers.Flatten(),
        layers.Dense(200, "tanh"), layers.Dense(27),
    )  # fmt: skip
    epochs, batch = 8, 128
    rate = schedules.Cosine(3e-3, epochs * -(-len(X) // batch), 1e-4)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(rate), seed=0)
    trainer.fit(X, y, epochs=epochs, batch_size=batch, progress=False)
    print(f"held out: {trainer.evaluate(*letters(names[first:]))['loss']:.4f} nats a letter")


def of_text(path: str, steps: int) -> None:
    """Train nanoGPT for a CPU: 4 layers, 4 heads, 128 units; the last tenth held out."""
    text = data.Text(path)
    first = int(0.9 * len(text))
    X, y = data.windows(text.tokens[:first], CONTEXT, every=True)
    drawn = np.random.default_rng(0).integers(0, len(X), steps * BATCH)
    net = steep.models.gpt(4, 4, 128, CONTEXT, len(text.vocabulary))
    net.build(seed=1337)
    rate = schedules.Warmup(schedules.Cosine(1e-3, steps - 100, 1e-4), 100, 1e-5)
    optimizer = optimizers.AdamW(rate, beta2=0.99, weight_decay=0.1)
    trainer = steep.Trainer(net, "cross_entropy", optimizer, clip_norm=1.0)
    trainer.fit(X[drawn], y[drawn], epochs=1, batch_size=BATCH, shuffle=False, progress=False)
    rest = text.tokens[first:]
    blocks = (len(rest) - 1) // CONTEXT * CONTEXT
    X, y = (rest[k : k + blocks].reshape(-1, CONTEXT) for k in (0, 1))
    loss = trainer.evaluate(X, y)["loss"]
    print(f"held out: {loss:.4f} nats, {loss / np.log(2):.4f} bits a character")
    print(steep.generate(net, "KING", 300, 0.8, 10, text=text))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("names", "gpt"))
    parser.add_argument("path")
    parser.add_argument("--steps", type=int, default=2000)
    given = parser.parse_args()
    start = time.process_time()
    of_names(given.path) if given.what == "names" else of_text(given.path, given.steps)
    print(f"{time.process_time() - start:.1f} s of processor time")
