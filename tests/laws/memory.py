"""The loop of a notebook: networks, trainers and data made anew, the last ones dropped each time.

Runs in a process of its own: ``python memory.py ROUNDS MEGABYTES`` prints what each round left.
"""

import gc
import subprocess
import sys
from pathlib import Path


def peaks(rounds, megabytes):
    """Return the megabytes of a new process after each round, the first number before any."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), str(rounds), str(megabytes)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.split()]


def one_round(megabytes):
    """Fit a new network to new data, so many megabytes of it, and forget everything."""
    import numpy as np
    import steep
    from steep import layers

    X = np.ones((megabytes * 1024, 256), np.float32)
    y = np.zeros(len(X), np.int64)
    trainer = steep.Trainer(
        steep.Sequential(layers.Dense(16, "relu"), layers.Dense(2)), "cross_entropy", "adam"
    )
    trainer.fit(X, y, epochs=1, batch_size=4096, progress=False)
    trainer.evaluate(X[:1000], y[:1000])


def taken():
    """Return the largest memory this process has had, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status: has no VmHWM")


def main():
    import numpy  # noqa: F401 - what is imported belongs to no round
    import steep  # noqa: F401

    gc.disable()
    rounds, megabytes = (int(n) for n in sys.argv[1:3])
    print(taken())
    for _ in range(rounds):
        one_round(megabytes)
        print(taken())


if __name__ == "__main__":
    # As a script its folder comes first in the path, with names such as `threads`.
    sys.path.pop(0)
    main()
