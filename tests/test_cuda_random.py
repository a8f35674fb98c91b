"""Random trainings of the generator on the GPU, or on its emulation: the CPU's bytes."""

import re
from dataclasses import replace

import devices
import pytest
import random_networks
from laws import playing

pytestmark = devices.NEEDED
COUNT = 40
# Convolutions are summed in another order (test_cuda_images), second derivatives have no kernels.
LACKING = (
    "PatchEmbedding",
    "PeriodicEmbedding",
    "PiecewiseEmbedding",
    "NewtonCG",
    "LevenbergMarquardt",
)
OTHERS = re.compile(rf"Conv[12]D|\b({'|'.join(LACKING)})\b")


def drawn():
    """Yield cases that both devices take, and their seeds."""
    for seed in range(7000, 8000):
        case = random_networks.case(seed)
        if not OTHERS.search(case.program()):
            kept = tuple(option for option in case.options if option[0] != "precision")
            yield pytest.param(replace(case, options=kept), id=str(seed))


@pytest.mark.parametrize("case", [case for case, _ in zip(drawn(), range(COUNT), strict=False)])
def test_random_trainings(case):
    found = [
        playing.trained(replace(case, options=(*case.options, ("device", device)))).trace
        for device in ("cpu", "cuda")
    ]
    playing.same(found[1], found[0], case.program())
