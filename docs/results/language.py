"""Language models of characters: a dense network and a GRU of names, a Transformer, an LSTM.

python docs/results/language.py names names.txt       # one name a line
python docs/results/language.py gru names.txt
python docs/results/language.py gpt shakespeare.txt [--steps 2000]
python docs/results/language.py lstm kjv.txt [--steps 3000]
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import steep
from steep import data, initializers, layers, losses, optimizers, schedules

READ = 3  # letters before the one that is asked for
CONTEXT, BATCH = 64, 12
ROWS, HELD_OUT = 32, 2048  # streams that an LSTM learns from side by side; what it is tested on
LONGEST = 15  # letters of a name


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


def padded(names: list[str]) -> tuple[Any, Any]:
    """Return an end and the letters of each name, (N, 16), and what follows; -1 is ignored."""
    X = np.zeros((len(names), LONGEST + 1), np.uint8)
    y = np.full(X.shape, -1)
    for row, goal, name in zip(X, y, names, strict=True):
        numbers = [ord(letter) - ord("a") + 1 for letter in name]
        row[1 : len(name) + 1] = numbers
        goal[: len(name) + 1] = [*numbers, 0]
    return X, y


def names_by_steps(path: str) -> float:
    """Train a GRU that reads a name from its begin; return nats a letter of the tenth held out."""
    names = Path(path).read_text("utf-8").split()
    names = [names[k] for k in np.random.default_rng(0).permutation(len(names))]
    first = len(names) * 9 // 10
    net = steep.Sequential(
        layers.Embedding(27, 32, initializers.Normal(1.0)),
        layers.GRU(128, return_sequences=True), layers.Dense(27),
    ).build((LONGEST + 1,), seed=0)  # fmt: skip
    X, y = padded(names[:first])
    epochs, batch = 8, 64
    rate = schedules.Cosine(3e-3, epochs * -(-first // batch), 1e-4)
    loss = losses.CrossEntropy(ignore=-1)
    trainer = steep.Trainer(net, loss, optimizers.Adam(rate), clip_norm=1.0, seed=0)
    trainer.fit(X, y, epochs=epochs, batch_size=batch, progress=False)
    return trainer.evaluate(*padded(names[first:]))["loss"]


def bits(trained: Any, tokens: Any, vocabulary: int) -> float:
    """Return bits a character of pieces of 2048, each read from its begin by the same weights."""
    net = steep.models.char_lstm(vocabulary, context=HELD_OUT).build()
    net.load_state_dict(trained.state_dict(), strict=False)  # states of rows stay behind
    whole = (len(tokens) - 1) // HELD_OUT * HELD_OUT
    X, y = (tokens[k : k + whole].reshape(-1, HELD_OUT) for k in (0, 1))
    loss = steep.Trainer(net, "cross_entropy", "sgd").evaluate(X, y, batch_size=8)["loss"]
    return float(loss / np.log(2))


def by_lstm(path: str, steps: int, every: int = 1000) -> dict[int, float]:
    """Train an LSTM of 256 through a text, states kept; return bits of the last twentieth."""
    text = data.Text(path)
    first = int(0.95 * len(text))
    X, y = data.streams(text.tokens[:first], CONTEXT, ROWS)
    net = steep.models.char_lstm(len(text.vocabulary), stateful=ROWS).build(seed=0)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(2e-3), clip_norm=1.0, seed=0)
    found, done, epoch = {}, 0, len(X) // ROWS
    while done < steps:
        at = done % epoch
        more = min(every - done % every, steps - done, epoch - at)
        now = slice(at * ROWS, (at + more) * ROWS)
        trainer.fit(X[now], y[now], batch_size=ROWS, shuffle=False, progress=False)
        done += more
        if done % every == 0 or done == steps:
            found[done] = bits(net, text.tokens[first:], len(text.vocabulary))
            print(f"{done} steps: held out {found[done]:.4f} bits a character", flush=True)
    begin = text.decode(text.tokens[first : first + CONTEXT])
    print(steep.generate(net, begin, 300, 0.8, text=text))
    return found


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


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("names", "gru", "gpt", "lstm"))
    parser.add_argument("path")
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    start = time.process_time()
    if given.what == "names":
        of_names(given.path)
    elif given.what == "gru":
        print(f"held out: {names_by_steps(given.path):.4f} nats a letter")
    elif given.what == "gpt":
        of_text(given.path, given.steps or 2000)
    else:
        by_lstm(given.path, given.steps or 3000)
    print(f"{time.process_time() - start:.1f} s of processor time")


if __name__ == "__main__":
    main()
