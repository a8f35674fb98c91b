"""Toy data of the lectures, drawn when they are asked for. No files are read here."""

import numpy as np
from numpy.typing import NDArray

from ..checks.numbers import flag, whole
from ..checks.numbers import seed as checked_seed

# Mean and deviation of height in cm and weight in kg.
_GROWN = (((260.0, 25.0), (4000.0, 600.0)), ((55.0, 12.0), (25.0, 7.0)))
_ALIKE = (((92.0, 9.0), (110.0, 20.0)), ((78.0, 9.0), (75.0, 20.0)))  # calves and mastiffs


def elephants_and_dogs(
    samples: int = 200, *, overlap: bool = False, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return heights and weights of elephants and dogs, which a line separates or does not.

    Parameters
    ----------
    samples
        How many animals, at least 2; the first half are elephants.
    overlap
        False: grown animals, which a line separates. True: calves and mastiffs, which none does.
    seed
        Of what is drawn.

    Returns
    -------
    X : (samples, 2)
        Height in cm, weight in kg.
    y : (samples,)
        0 for an elephant, 1 for a dog.
    """
    samples = whole("elephants_and_dogs", "samples", samples, 2)
    kinds = _ALIKE if flag("elephants_and_dogs", "overlap", overlap) else _GROWN
    random = np.random.default_rng(checked_seed(seed))
    y = (np.arange(samples) >= (samples + 1) // 2).astype(np.int64)
    means, deviations = np.array(kinds).transpose(2, 0, 1)
    # No animal is more than two deviations from the mean: none has a weight below 0.
    drawn = random.standard_normal((samples, 2)).clip(-2.0, 2.0)
    return means[y] + deviations[y] * drawn, y
