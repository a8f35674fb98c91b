"""What a token of `steep.generate` costs with keys and values kept, and with whole passes.

Both fill a context from one token in turn, with the same seed, in this process.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pool import processors

# layers, heads, units, context, vocabulary; the first is gpt_tiny's
NETWORKS = (
    (4, 4, 128, 64, 65), (4, 4, 128, 256, 65), (6, 6, 192, 256, 65), (6, 6, 384, 256, 65),
)  # fmt: skip


def seconds(steep, net, worth):
    """Return the time of filling the context, and the tokens."""
    steep.generation._WORTH = worth
    length = net.input_shapes[0][0] - 1
    start = time.perf_counter()
    tokens = steep.generate(net, [1], length, seed=0)
    return (time.perf_counter() - start) / length, tokens


def main():
    """Print a line for each network: medians, and their ratio."""
    parser = argparse.ArgumentParser("bench/generation.py", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    os.sched_setaffinity(0, processors()[: given.threads])
    import steep

    print(f"{given.threads} threads, steep {steep.__version__}, {steep.info()['isa']}")
    print("| layers, heads, units, context | kept, us a token | whole passes, us | times |")
    print("|---|---:|---:|---:|")
    with steep.threads(given.threads):
        for sizes in NETWORKS:
            net = steep.models.gpt(*sizes).build()
            kept, whole = [], []
            for _ in range(given.rounds):
                (a, first), (b, second) = (seconds(steep, net, w) for w in (0, float("inf")))
                assert first.tolist() == second.tolist()
                kept.append(1e6 * a)
                whole.append(1e6 * b)
            a, b = statistics.median(kept), statistics.median(whole)
            print(f"| {', '.join(map(str, sizes[:4]))} | {a:.0f} | {b:.0f} | {b / a:.1f} |")


if __name__ == "__main__":
    main()
