"""Training steps of recurrent layers on a GPU: steep beside PyTorch with cuDNN, eager and in a CUDA graph.

python bench/device/recurrent.py FILE.json [WAY,...] [--small]

One layer over sequences, its last h into a dense layer of ten classes, Adam; data are on the device,
batches are taken by index. Times are of a step in microseconds, the fastest and the median of turns.
"""

import json
import sys

import numpy as np
from steps import RATE, timed, torch_runner

CASES = {  # layer, units, features, steps, batch
    "gru_32": ("GRU", 32, 16, 30, 32),
    "lstm_64": ("LSTM", 64, 64, 100, 64),
    "lstm_128": ("LSTM", 128, 64, 100, 64),
    "lstm_128_wide": ("LSTM", 128, 64, 50, 256),
    "lstm_256": ("LSTM", 256, 64, 100, 64),
    "gru_512": ("GRU", 512, 128, 64, 128),
    "rnn_64": ("RNN", 64, 8, 256, 64),
}
CLASSES = 10


class Case:
    """Random sequences, few enough that a turn is short."""

    def __init__(self, name, small):
        self.layer, self.units, self.features, self.length, self.batch = CASES[name]
        self.steps, self.turns = (2, 2) if small else (64, 5)
        if small:
            self.length, self.units = min(self.length, 5), min(self.units, 40)
        random = np.random.default_rng(0)
        shape = (self.steps * self.batch, self.length, self.features)
        self.X = random.standard_normal(shape).astype(np.float32)
        self.y = random.integers(0, CLASSES, len(self.X))


def with_steep(case, precision="float32"):
    """Train through `Trainer.fit`, checks of the data and all."""
    import steep

    kind = {"RNN": "SimpleRNN"}.get(case.layer, case.layer)
    net = steep.Sequential(getattr(steep.layers, kind)(case.units), steep.layers.Dense(CLASSES))
    trainer = steep.Trainer(net, "cross_entropy", steep.optimizers.Adam(RATE), device="cuda",
                            precision=precision)  # fmt: skip

    def work():
        trainer.fit(case.X, case.y, epochs=1, batch_size=case.batch, progress=False)
        return case.steps

    return timed(work, case.turns)


def with_torch(case, how):
    """Train eagerly, or replay a captured step."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = getattr(torch.nn, case.layer)(case.features, case.units, batch_first=True)
            self.head = torch.nn.Linear(case.units, CLASSES)

        def forward(self, x):
            return self.head(self.body(x)[0][:, -1])

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    net = Net().to(device)
    X, y = torch.tensor(case.X).to(device), torch.tensor(case.y).to(device)
    run, total = torch_runner(net, lambda at: X[at], y, case.batch, how)

    def work():
        order = torch.randperm(len(X), device=device)
        for index in order.view(case.steps, case.batch):
            run(index)
        total.item()
        return case.steps

    return timed(work, case.turns)


WAYS = {
    "steep": with_steep,
    "tf32": lambda case: with_steep(case, "tf32"),
    "eager": lambda case: with_torch(case, "eager"),
    "graph": lambda case: with_torch(case, "graph"),
}


def main(file, *options):
    """Time each way on each case; one that cannot run says why."""
    ways = [one for one in options if not one.startswith("--")] or [",".join(WAYS)]
    found = []
    for name in CASES:
        for way in ways[0].split(","):
            row = {"case": name, "impl": way}
            try:
                best, median = WAYS[way](Case(name, "--small" in options))
                row |= {"min_s": best / 1e6, "median_s": median / 1e6}
                print(f"step {name:13s} {way:6s} {best:9.2f} us, median {median:9.2f}", flush=True)
            except Exception as error:
                row["note"] = f"{type(error).__name__}: {error}"
                print(f"step {name:13s} {way:6s} {row['note'][:200]}", flush=True)
            found.append(row)
    with open(file, "w") as out:
        json.dump(found, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
