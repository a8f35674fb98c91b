"""Schedules and plateaus of PyTorch give the same rates; skipped where PyTorch is missing."""

import numpy as np
import pytest
import steep
from steep import callbacks, schedules

torch = pytest.importorskip("torch")

optim, lr_scheduler = torch.optim, torch.optim.lr_scheduler


def rates(make, steps=60, lr=0.3, what="lr"):
    """Return the rate, or the momentum, that PyTorch uses at each step."""
    stepper = optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr, momentum=0.9)
    schedule, found = make(stepper), []
    for _ in range(steps):
        found.append(stepper.param_groups[0][what])
        stepper.step()
        if len(found) < steps:  # a one-cycle refuses to go beyond its end
            schedule.step()
    return found


def one_cycle(peak, total, pct_start=0.3, **switches):
    """Return PyTorch's OneCycleLR; see its docstring here: it counts the last step as the end."""
    rise = (pct_start * total - 1) / (total - 1)
    return schedules.OneCycle(peak, total - 1, rise, **switches)


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
    "one cycle, linear": (
        one_cycle(0.3, 60, 0.21, anneal="linear"),
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.3, total_steps=60, pct_start=0.21, anneal_strategy="linear"
        ),
    ),
    "one cycle, three phases": (
        one_cycle(0.3, 60, three_phase=True, start=0.03, end=0.003),
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.3, total_steps=60, div_factor=10, final_div_factor=10, three_phase=True
        ),
    ),
    "one cycle, three phases, linear": (
        one_cycle(0.3, 60, three_phase=True, anneal="linear"),
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.3, total_steps=60, three_phase=True, anneal_strategy="linear"
        ),
    ),
    "warm restarts": (
        schedules.CosineRestarts(0.3, 11, end=0.01),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 11, eta_min=0.01),
    ),
    "warm restarts, longer and longer": (
        schedules.CosineRestarts(0.3, 5, 2, end=0.01),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5, 2, 0.01),
    ),
    "cyclic": (
        schedules.Cyclic(0.3, 0.9, 7, 11),
        lambda o: lr_scheduler.CyclicLR(o, 0.3, 0.9, 7, 11),
    ),
    "cyclic, half as high each time": (
        schedules.Cyclic(0.3, 0.9, 8, mode="triangular2"),
        lambda o: lr_scheduler.CyclicLR(o, 0.3, 0.9, 8, mode="triangular2"),
    ),
    "cyclic, exponential": (
        schedules.Cyclic(0.3, 0.9, 7, 4, "exp_range", 0.98),
        lambda o: lr_scheduler.CyclicLR(o, 0.3, 0.9, 7, 4, "exp_range", 0.98),
    ),
    "sequential": (
        schedules.Join(
            [schedules.Linear(0.03, 0.3, 10), schedules.Exponential(0.3, -np.log(0.9)),
             schedules.CosineRestarts(0.3, 7)], [10, 25],
        ),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.LinearLR(o, 0.1, 1.0, 10), lr_scheduler.ExponentialLR(o, 0.9),
             lr_scheduler.CosineAnnealingWarmRestarts(o, 7)], [10, 25],
        ),
    ),
    "chained": (
        schedules.Product(
            [0.3, schedules.Piecewise([20], [0.1, 1.0]), schedules.Exponential(1.0, -np.log(0.9))]
        ),
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ConstantLR(o, 0.1, 20), lr_scheduler.ExponentialLR(o, 0.9)]
        ),
    ),
    "multiplied by itself": (  # what a schedule of values writes out
        schedules.Values(np.cumprod([0.3] + [0.95] * 59)),
        lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.95),
    ),
}  # fmt: skip

MOMENTA = {
    "one cycle": (
        one_cycle(0.3, 60).momentum(),
        lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=60),
    ),
    "one cycle, three phases": (
        one_cycle(0.3, 60, 0.35, three_phase=True, anneal="linear").momentum(0.5, 0.9),
        lambda o: lr_scheduler.OneCycleLR(
            o, 0.3, total_steps=60, pct_start=0.35, three_phase=True, anneal_strategy="linear",
            base_momentum=0.5, max_momentum=0.9,
        ),
    ),
    "cyclic": (
        schedules.Cyclic(0.9, 0.8, 7, 11, "triangular2"),
        lambda o: lr_scheduler.CyclicLR(
            o, 0.1, 0.3, 7, 11, "triangular2", base_momentum=0.8, max_momentum=0.9
        ),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*before.*optimizer.step:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    ours, theirs = SCHEDULES[name]
    np.testing.assert_allclose(ours(np.arange(60)), rates(theirs), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", MOMENTA)
def test_momenta(name):
    ours, theirs = MOMENTA[name]
    theirs = rates(theirs, what="momentum")
    np.testing.assert_allclose(ours(np.arange(60)), theirs, rtol=1e-12)


@pytest.mark.parametrize("multiply", [1, 2, 3])
def test_warm_restarts_within_epochs(multiply):
    """PyTorch is told the epoch, with its fraction."""
    stepper = optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
    theirs = lr_scheduler.CosineAnnealingWarmRestarts(stepper, 3, multiply, 0.01)
    ours = schedules.CosineRestarts(0.3, 3, multiply, end=0.01, unit="epoch")
    for epoch in np.linspace(0, 45, 181):
        theirs.step(epoch)
        assert ours(epoch) == pytest.approx(stepper.param_groups[0]["lr"], rel=1e-12)


def watched(lr):
    return steep.Trainer(steep.Sequential(steep.layers.Dense(1)), "mse", steep.optimizers.SGD(lr))


PLATEAUS = {
    "usual": {},
    "patience": {"patience": 2, "factor": 0.5},
    "cooldown": {"patience": 1, "factor": 0.5, "cooldown": 3},
    "one epoch of cooldown": {"patience": 1, "factor": 0.8, "cooldown": 1},
    "absolute": {"patience": 2, "factor": 0.5, "threshold": 0.03, "threshold_mode": "abs"},
    "relative": {"patience": 2, "factor": 0.5, "threshold": 0.05},
    "largest": {"patience": 2, "factor": 0.5, "mode": "max", "threshold": 0.02},
    "largest, absolute": {
        "patience": 3, "factor": 0.7, "mode": "max", "threshold": 0.01, "threshold_mode": "abs",
    },
    "least rate": {"patience": 1, "factor": 0.3, "min_lr": 0.01},
    "least fall": {"patience": 1, "factor": 0.5, "eps": 0.02},
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PLATEAUS)
def test_plateaus(name, seed):
    """A loss that falls, rests, jumps: the rate after each epoch is PyTorch's."""
    random = np.random.default_rng(seed)
    losses = np.exp(-np.arange(80) / 30).round(1) + random.choice([0, 0, 0.01, 0.1], 80)
    named = {"patience": 10, "factor": 0.1, "threshold": 1e-4, "eps": 1e-8, **PLATEAUS[name]}
    if named.get("mode") == "max":
        losses = 2 - losses
    stepper = optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
    theirs = lr_scheduler.ReduceLROnPlateau(stepper, **named)
    named["min_delta"] = named.pop("threshold")
    ours, trainer = callbacks.ReduceOnPlateau(like="torch", **named), watched(0.3)
    found = []
    for loss in losses.tolist():
        theirs.step(loss)
        ours.on_epoch_end(trainer, {"val_loss": loss})
        found.append(trainer.lr)
        assert trainer.lr == stepper.param_groups[0]["lr"]
    assert name == "usual" or len(set(found)) > 2
