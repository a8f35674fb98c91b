"""What each kernel of steep takes on a GPU, by PyTorch's profiler: of steps, tokens and update rules.

python bench/device/kernels.py steps|tokens|rules FILE.json [--small] [--cases=NAME,...] [--precision=MODE]
python bench/device/kernels.py once - --cases=NAME [--precision=MODE] [--small]   # one step, for ncu
"""

import inspect
import json
import re
import sys
from collections import defaultdict

import numpy as np
import steep
import torch
from cases import CASES, Case
from steep import layers, optimizers

BYTES = {0: 12, 1: 20, 2: 28, 3: 36, 4: 44}  # a parameter, by slots: w, g, slots; w and slots again


def profiled(work):
    """Return [(kernel, times, microseconds each)] of what work() runs, the longest in all first."""
    work()
    there = torch.cuda.is_available()  # elsewhere nothing is seen, but all of it runs
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CUDA if there else kinds.CPU]) as seen:
        work()
        if there:
            torch.cuda.synchronize()
    found = defaultdict(list)
    for event in seen.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            found[event.name].append(event.time_range.elapsed_us())
    rows = [(name, len(t), sum(t) / len(t)) for name, t in found.items()]
    return sorted(rows, key=lambda row: -row[1] * row[2])


def short(name):
    """Return a kernel's name without what all of them have."""
    name = re.sub(r"steep::cuda::|\(anonymous namespace\)::|void |\(.*", "", name)
    return name[:110]


def steps(small, names, precision):
    """Profile whole steps of some cases."""
    rows = []
    for name in names:
        case = Case(name, small)
        trainer = case.trainer(precision)
        few = case.batch * min(case.steps, 16 if case.images else 64)

        def work(case=case, trainer=trainer, few=few):
            trainer.fit(case.X[:few], case.y[:few], epochs=1, batch_size=case.batch, progress=False)

        for kernel, times, each in profiled(work):
            row = {"case": name, "precision": precision, "kernel": short(kernel)}
            rows.append(row | {"times": times, "us": each})
            print(f"kernel {name:10s} {precision:8s} {each:9.2f} us x {times:5d}  {short(kernel)}")
    return rows


def once(small, name, precision):
    """Train one step."""
    case = Case(name, small)
    X, y = case.X[: case.batch], case.y[: case.batch]
    case.trainer(precision).fit(X, y, epochs=1, batch_size=case.batch, progress=False)


TOKENS = {  # vocabulary, sparse steps, rule: a few tokens are most of a text
    "characters": (65, False, "adam"),
    "words": (50000, False, "adam"),
    "lazy words": (50000, True, "adam"),
    "words, sgd": (50000, False, "sgd"),
}


def tokens(small):
    """Profile tables of tokens, places and norms of samples: 64 samples of 256 tokens, 256 units."""
    random, rows = np.random.default_rng(0), []
    batch, length, units = (4, 16, 40) if small else (64, 256, 256)
    for name, (vocabulary, sparse, rule) in TOKENS.items():
        net = steep.Sequential(
            layers.Embedding(vocabulary, units, sparse=sparse), layers.PositionEmbedding(),
            layers.LayerNorm(), layers.GroupNorm(8), layers.GlobalAvgPool1D(), layers.Dense(5),
        )  # fmt: skip
        X = random.zipf(1.2, (4 * batch, length)) % vocabulary
        y = random.integers(0, 5, len(X))
        trainer = steep.Trainer(net, "cross_entropy", rule, device="cuda")
        seen = profiled(lambda: trainer.fit(X, y, epochs=2, batch_size=batch, progress=False))
        for kernel, times, each in seen:
            rows.append({"case": name, "kernel": short(kernel), "times": times, "us": each})
            print(f"kernel {name:10s} {each:9.2f} us x {times:5d}  {short(kernel)}")
    return rows


def copy_rate(n):
    """Return bytes a microsecond of a copy of n floats, NaN where there is no GPU."""
    if not torch.cuda.is_available():
        return float("nan")
    a, b = torch.randn(n, device="cuda"), torch.empty(n, device="cuda")
    best = 1e9
    for _ in range(5):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        for _ in range(10):
            b.copy_(a)
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) * 100)
    return 8 * n / best


def rules(small):
    """Profile the sweep of every rule of one pass over one large matrix."""
    side = 64 if small else 8000
    net = steep.Sequential(layers.Dense(side, init=0.0, use_bias=False))
    X = np.ones((8, side), np.float32)
    y = np.ones((8, side), np.float32)
    rate, rows = copy_rate(side * side), []
    for name, kind in sorted(optimizers.TABLE.items()):
        if not inspect.isclass(kind) or getattr(kind, "full_batch", False):
            continue
        try:
            trainer = steep.Trainer(net, "mse", kind(), device="cuda")
            seen = profiled(lambda: trainer.fit(X, y, epochs=4, batch_size=8, progress=False))
        except ValueError as error:
            print(f"rule {name:24s} {error}")
            continue
        sweeps = [(each, kernel) for kernel, _, each in seen if "sweep" in kernel]
        if not sweeps:  # of two passes, or nothing is seen here
            continue
        slots = trainer._run.session().slots
        bytes_each = BYTES[len(slots)] * side * side
        us = sweeps[0][0]
        share = bytes_each / rate / us
        rows.append({"rule": name, "us": us, "of_copy": share, "slots": len(slots)})
        print(
            f"rule {name:24s} {us:9.1f} us, {bytes_each / us / 1e6:6.3f} TB/s, {share:6.1%} of the copy"
        )
    least = min((r["of_copy"] for r in rows), default=float("nan"))
    print(f"copy {rate / 1e6:.3f} TB/s; least {least:.1%}")
    return rows


def main(what, file, *options):
    """Profile and write."""
    given = dict(one[2:].split("=") for one in options if "=" in one)
    names = given.get("cases", ",".join(CASES)).split(",")
    precision = given.get("precision", "float32")
    small = "--small" in options
    if what == "once":
        once(small, names[0], precision)
        return
    found = (
        steps(small, names, precision)
        if what == "steps"
        else {"tokens": tokens, "rules": rules}[what](small)
    )
    with open(file, "w") as out:
        json.dump(found, out, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
