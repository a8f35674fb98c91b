"""What recording each step, each tenth one, and clipping by norm cost; see bench/README.md.

All variants of a network live in this process and are timed in turn, in several sets of new
trainers; a pair of plain ones tells what the machine can tell apart. With --cpu processor time is
counted, which other programs hardly change; threads that wait for each other spend it, too, so it
is for one thread.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pool import processors

VARIANTS = ("plain", "plain again", "every=1", "every=10", "clip_norm")


def networks(steep):
    """Return name: (network, shape of a sample, batch, steps of a stretch)."""
    dense = steep.layers.Dense
    return {
        "mlp_mnist": (
            lambda: steep.Sequential(dense(128, "relu"), dense(10)), (784,), 128, 400,
        ),
        "lenet5": (steep.models.lenet5, (28, 28, 1), 64, 160),
    }  # fmt: skip


def trainers(steep, given, make, random):
    """Return new trainers of all variants, made in any order: where memory lies changes speed."""
    made = {}
    for variant in random.permutation(VARIANTS):
        limit = {"clip_norm": 1.0} if variant == "clip_norm" else {}
        made[variant] = steep.Trainer(make(), "cross_entropy", given.optimizer, **limit)
    return made


def stretches(steep, given, name):
    """Return the ratios of each variant's stretch to the plain one beside it, by name."""
    import numpy as np

    make, shape, batch, steps = networks(steep)[name]
    random = np.random.default_rng(0)
    X = random.standard_normal((batch * steps, *shape), np.float32)
    y = random.integers(0, 10, len(X))
    recorders = {"every=1": 1, "every=10": 10}
    clock = time.process_time if given.cpu else time.perf_counter

    def stretch(trainer, variant):
        every = recorders.get(variant)
        more = {} if every is None else {"record": steep.callbacks.Recorder(every)}
        start = clock()
        trainer.fit(X, y, batch_size=batch, shuffle=False, progress=False, **more)
        return clock() - start

    ratios, plain = {variant: [] for variant in VARIANTS[1:]}, []
    for _ in range(given.sets):
        made = trainers(steep, given, make, random)
        for k in range(given.rounds + 1):
            for variant in VARIANTS[1:]:
                pair = ("plain", variant) if k % 2 else (variant, "plain")
                seconds = {each: stretch(made[each], each) for each in pair}
                if k:
                    ratios[variant].append(seconds[variant] / seconds["plain"])
                    plain.append(seconds["plain"] / steps)
    return ratios, statistics.median(plain)


def main():
    """Time all variants and print the table."""
    parser = argparse.ArgumentParser(prog="bench/recording.py", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(processors()))
    parser.add_argument("--sets", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4, help="of each set")
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--cpu", action="store_true", help="count processor time")
    given = parser.parse_args()
    os.sched_setaffinity(0, processors()[: given.threads])

    import steep

    steep.set_num_threads(given.threads)
    print(f"{given.optimizer}, {given.threads} threads; {given.sets} sets of {given.rounds} rounds")
    print("| network | variant | plain, us a step | more | quartiles |\n|---|---|---:|---:|---:|")
    for name in networks(steep):
        ratios, plain = stretches(steep, given, name)
        for variant, found in ratios.items():
            low, middle, high = statistics.quantiles(found, n=4)
            print(
                f"| {name} | {variant} | {plain * 1e6:.0f} | {middle - 1:+.1%} | "
                f"{low - 1:+.1%} to {high - 1:+.1%} |"
            )


if __name__ == "__main__":
    main()
