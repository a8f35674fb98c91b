"""Iterations of L-BFGS on the GPU beside the CPU's, and PyTorch's on the GPU; whether bytes are equal.

    python bench/device/full_batch.py OUT.json [--small]

A search takes about one evaluation an iteration, PyTorch's (strong Wolfe) as well.
"""

import itertools
import json
import sys
import time

import numpy as np
import steep
from steep import layers, optimizers

CASES = {"few weights": (20000, 64, (32,)), "mnist": (60000, 784, (128, 64)),
         "many weights": (8192, 784, (512, 256))}  # fmt: skip
CLASSES, STEPS = 10, 20


def problem(name, small):
    """Return samples, labels and the widths of a case."""
    samples, columns, widths = CASES[name]
    random = np.random.default_rng(0)
    samples = samples // 100 if small else samples
    X = random.standard_normal((samples, columns)).astype(np.float32)
    return X, (X @ random.standard_normal((columns, CLASSES))).argmax(1), widths


def with_steep(X, y, widths, device):
    """Return seconds of an iteration, and the weights after all of them."""
    body = [layers.Dense(width, "tanh") for width in widths]
    net = steep.Sequential(*body, layers.Dense(CLASSES)).build(X.shape[1:], seed=1)
    method = optimizers.LBFGS(tol=0.0, change=0.0)
    trainer = steep.Trainer(net, "cross_entropy", method, device=device)
    trainer.fit(X, y, epochs=2, progress=False)
    begun = time.perf_counter()
    trainer.fit(X, y, epochs=STEPS, progress=False)
    seconds = (time.perf_counter() - begun) / STEPS
    return seconds, b"".join(w.tobytes() for w in net.state_dict().values())


def with_torch(X, y, widths):
    """Return seconds of an iteration of PyTorch on the GPU, where there is one."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sizes = (X.shape[1], *widths)
    body = [part for i, o in itertools.pairwise(sizes)
            for part in (torch.nn.Linear(i, o), torch.nn.Tanh())]  # fmt: skip
    net = torch.nn.Sequential(*body, torch.nn.Linear(sizes[-1], CLASSES)).to(device)
    inputs, labels = torch.tensor(X).to(device), torch.tensor(y).to(device)
    rule = torch.optim.LBFGS(net.parameters(), max_iter=1, history_size=10, tolerance_grad=0,
                             tolerance_change=0, line_search_fn="strong_wolfe")  # fmt: skip

    def closure():
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(inputs), labels)
        loss.backward()
        return loss

    for _ in range(2):
        rule.step(closure)
    begun = time.perf_counter()
    for _ in range(STEPS):
        last = rule.step(closure)
    last.item()
    return (time.perf_counter() - begun) / STEPS


def main(file, *options):
    """Time each case; one that cannot run says why."""
    found = []
    for name in CASES:
        X, y, widths = problem(name, "--small" in options)
        cpu, wanted = with_steep(X, y, widths, "cpu")
        row = {"case": name, "cpu_s": cpu}
        for way in ("cuda", "torch"):
            try:
                if way == "torch":
                    row["torch_s"] = with_torch(X, y, widths)
                else:
                    row["cuda_s"], weights = with_steep(X, y, widths, "cuda")
                    row["same"] = weights == wanted
            except Exception as error:
                row[f"{way}_note"] = f"{type(error).__name__}: {error}"
        found.append(row)
        print("step L-BFGS", row, flush=True)
    with open(file, "w") as out:
        json.dump(found, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
