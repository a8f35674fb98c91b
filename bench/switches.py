"""What each switch of an update costs in training, beside the bytes it moves; see bench/README.md.

One dense layer without bias, one sample a step: nothing but the weights is large. All variants
live in this process and are timed in turn.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from floor import Floor
from pool import processors

# Bytes a parameter: the forward pass reads w; the update reads and writes w and each slot. A rule
# of two passes reads again what its second one wants; a clipped gradient is written and read, as an
# average is.
FORWARD, UPDATE = 4, {"sgd": 8, "momentum": 16, "adam": 24, "lamb": 36, "lars": 28}
GRADIENT, AVERAGE = 8, 8


def variants(steep):
    """Return name: (keywords of a Trainer, bytes a parameter)."""
    rules, average = steep.optimizers, steep.averages.EMA(0.99)
    made = {
        "SGD": ({"optimizer": rules.SGD(1e-6)}, UPDATE["sgd"]),
        "SGD, momentum": ({"optimizer": rules.SGD(1e-6, 0.9)}, UPDATE["momentum"]),
        "Adam": ({"optimizer": rules.Adam(1e-6)}, UPDATE["adam"]),
        "LAMB": ({"optimizer": rules.LAMB(1e-6)}, UPDATE["lamb"]),
        "LARS": ({"optimizer": rules.LARS(1e-6)}, UPDATE["lars"]),
    }
    adam = made["Adam"][0]
    made |= {
        "Adam, EMA": (adam | {"average": average}, UPDATE["adam"] + AVERAGE),
        "Adam, clip_value": (adam | {"clip_value": 1.0}, UPDATE["adam"]),
        "Adam, clip_norm": (adam | {"clip_norm": 1e-3}, UPDATE["adam"] + GRADIENT),
        "Adam, clip_parameter": (adam | {"clip_parameter": 1e-3}, UPDATE["adam"] + GRADIENT),
    }
    return {name: (keywords, FORWARD + moved) for name, (keywords, moved) in made.items()}


def main():
    """Time all variants and print the table."""
    parser = argparse.ArgumentParser(prog="bench/switches.py", description=__doc__)
    parser.add_argument("--width", type=int, default=5000, help="inputs and outputs of the layer")
    parser.add_argument("--threads", type=int, default=len(processors()))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of each in a round")
    given = parser.parse_args()
    os.sched_setaffinity(0, processors()[: given.threads])

    import numpy as np
    import steep

    steep.set_num_threads(given.threads)
    random = np.random.default_rng(0)
    X, y = (random.standard_normal((given.steps, given.width), np.float32) for _ in range(2))
    trainers = {}
    for name, (keywords, moved) in variants(steep).items():
        layer = steep.layers.Dense(given.width, use_bias=False)
        net = steep.Sequential([layer], input_shape=(given.width,))
        trainers[name] = (steep.Trainer(net, "mse", **keywords), moved)
    seconds = {name: [] for name in trainers}
    for _ in range(given.rounds + 1):
        for name, (trainer, _) in trainers.items():
            start = time.perf_counter()
            trainer.fit(X, y, epochs=1, batch_size=1, shuffle=False, progress=False)
            seconds[name].append((time.perf_counter() - start) / given.steps)
    floor = Floor(given.threads)
    parameters = given.width**2
    print(f"{parameters:,} parameters, {given.threads} threads; {floor}")
    print("| training with | bytes a parameter | ms a step | floors |\n|---|---:|---:|---:|")
    for name, (_, moved) in trainers.items():
        median = statistics.median(seconds[name][1:])
        least = moved * parameters / floor.bandwidths[-1]
        print(f"| {name} | {moved} | {median * 1e3:.2f} | {median / least:.2f} |")


if __name__ == "__main__":
    main()
