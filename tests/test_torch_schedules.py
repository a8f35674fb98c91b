"""Schedules that PyTorch has as well give the same rates; skipped where PyTorch is missing."""

import numpy as np
import pytest
from steep import schedules

torch = pytest.importorskip("torch")

optim, lr_scheduler = torch.optim, torch.optim.lr_scheduler


def rates(make, steps=60, lr=0.3):
    """Return the rate PyTorch uses at each step."""
    stepper = optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr, momentum=0.9)
    schedule, found = make(stepper), []
    for _ in range(steps):
        found.append(stepper.param_groups[0]["lr"])
        stepper.step()
        schedule.step()
    return found


SCHEDULES = {
    "constant": (schedules.Constant(0.3), lambda o: lr_scheduler.LambdaLR(o, lambda t: 1.0)),
    "exponential": (
        schedules.Exponential(0.3, 0.05),
        lambda o: lr_scheduler.ExponentialLR(o, np.exp(-0.05)),
    ),
    "step": (schedules.Step(0.3, 7, 0.5), lambda o: lr_scheduler.StepLR(o, 7, 0.5)),
    "piecewise": (
        schedules.Piecewise([0, 10, 25], [0.3, 0.03, 0.003]),
        lambda o: lr_scheduler.MultiStepLR(o, [10, 25], 0.1),
    ),
    "cosine": (
        schedules.Cosine(0.3, 60, 0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 60, 0.01),
    ),
    "polynomial": (
        schedules.Polynomial(0.3, 0.0, 40, 2.0),
        lambda o: lr_scheduler.PolynomialLR(o, 40, 2.0),
    ),
    "linear": (
        schedules.Linear(0.03, 0.3, 20),
        lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 20),
    ),
    "inverse power": (
        schedules.InversePower(0.3, 0.1, 0.7),
        lambda o: lr_scheduler.LambdaLR(o, lambda t: (0.1 * t + 1) ** -0.7),
    ),
    # PyTorch counts the last of its steps as the end of the cycle, and the peak at
    # rise*total - 1: a cycle over 59 with its peak at 17 is its 60 steps with pct_start 0.3.
    "one cycle": (
        schedules.OneCycle(0.3, 59, rise=17 / 59),
        lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=60, pct_start=0.3),
    ),
}


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*before.*optimizer.step:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    ours, theirs = SCHEDULES[name]
    np.testing.assert_allclose(ours(np.arange(60)), rates(theirs), rtol=1e-11, atol=1e-15)
