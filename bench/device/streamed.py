"""Steps on data that are streamed to the GPU beside the same on data that lie there; whether bytes are equal.

    python bench/device/streamed.py OUT.json [--small]

Turns take turns. What a batch costs on its way is bytes over the rate of the link, or of the host's reading.
"""

import json
import os
import sys
import time

from cases import Case

CASES = ("mlp_tiny", "mlp_mnist", "lenet5", "resnet20")
WAYS = ("resident", "streamed")


def turn(case, trainer, way):
    """Return microseconds of a step."""
    os.environ["STEEP_CUDA_DATA"] = way
    begun = time.perf_counter()
    trainer.fit(case.X, case.y, epochs=case.epochs, batch_size=case.batch, progress=False)
    return (time.perf_counter() - begun) / (case.epochs * case.steps) * 1e6


def main():
    small = "--small" in sys.argv
    found = {}
    for name in CASES[:2] if small else CASES:
        case = Case(name, small)
        trainers = {way: case.trainer() for way in WAYS}
        times = {way: [turn(case, trainers[way], way)] for way in WAYS}
        for _ in range(case.turns):
            for way in WAYS:
                times[way].append(turn(case, trainers[way], way))
        weights = [b"".join(w.tobytes() for w in trainers[way].net.state_dict().values())
                   for way in WAYS]  # fmt: skip
        best = {way: min(times[way][1:]) for way in WAYS}
        size = case.X[0].nbytes * case.batch
        found[name] = {**best, "bytes": size, "equal": weights[0] == weights[1]}
        print(f"step {name}: resident {best['resident']:.1f} us, streamed {best['streamed']:.1f} us, "
              f"{size / best['streamed'] / 1e3:.2f} GB/s, equal bytes: {weights[0] == weights[1]}",
              flush=True)  # fmt: skip
    with open(sys.argv[1], "w") as out:
        json.dump(found, out, indent=1)


if __name__ == "__main__":
    main()
