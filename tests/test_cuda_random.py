"""Random trainings of the generator on the GPU, or on its emulation: the CPU's bytes."""

import re
from dataclasses import replace

import devices
import pytest
import random_networks
from laws import playing, recording

pytestmark = devices.NEEDED
COUNT = 40
# Convolutions are summed in another order (test_cuda_images), second derivatives have no kernels.
LACKING = ("PatchEmbedding", "PeriodicEmbedding", "NewtonCG", "LevenbergMarquardt")
OTHERS = re.compile(rf"Conv[12]D|\b({'|'.join(LACKING)})\b")


def drawn():
    """Yield cases that both devices take, and their seeds."""
    for seed in range(7000, 8000):
        case = random_networks.case(seed)
        if not OTHERS.search(case.program()):
            kept = tuple(option for option in case.options if option[0] != "precision")
            yield pytest.param(replace(case, options=kept), id=str(seed))


CASES = [case for case, _ in zip(drawn(), range(COUNT), strict=False)]


def on(case, device):
    return replace(case, options=(*case.options, ("device", device)))


@pytest.mark.parametrize("case", CASES)
def test_random_trainings(case):
    found = [playing.trained(on(case, device)).trace for device in ("cpu", "cuda")]
    playing.same(found[1], found[0], case.program())


@pytest.mark.parametrize("case", CASES)
def test_random_trainings_recorded(case):
    """A recorder changes nothing, and its rows are the CPU's; or it is refused before a step."""
    every, found = 1 + case.seed % 3, []
    for device in ("cpu", "cuda"):
        try:
            run, recorder = recording.recorded(on(case, device), 1, every)
        except playing.Skip as error:
            found.append(str(error))
            continue
        found.append({**run.trace, **recording.columns(recorder)})
    if isinstance(found[0], str):
        assert found[1] == found[0]
        pytest.skip(found[0])
    playing.same(found[1], found[0], case.program())
    plain = playing.trained(on(case, "cuda")).trace
    playing.same({name: found[1][name] for name in plain}, plain, case.program())
