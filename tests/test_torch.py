"""Parity with PyTorch: trajectories of a hundred steps, gradients and losses.

Skipped where PyTorch is missing. Conventions that differ are matched by ``like="torch"`` or by
hyper-parameters; the numbers are the same on both sides. Weights are compared by norm.
"""

from itertools import pairwise

import cases
import numpy as np
import pytest
import steep
from steep import layers, losses, schedules
from steep.optimizers import SGD, AdaDelta, AdaGrad, Adam, Adamax, AdamW, AMSGrad, NAdam, RMSProp

torch = pytest.importorskip("torch")
from laws import twin  # noqa: E402 - needs PyTorch

STEPS = 100
# Two ways of adding up the same float32 sums part by some roundings of 6e-8 a step; in float64
# the same formulas part by 1e-16.
LIMIT = {"float32": 1e-5, "float64": 1e-12}

optim = torch.optim
# name -> (steep's, PyTorch's of parameters, of decayed and other parameters where it decays)
OPTIMIZERS = {
    "sgd": (SGD(0.1), lambda p: optim.SGD(p, 0.1)),
    "momentum": (SGD(0.05, 0.9), lambda p: optim.SGD(p, 0.05, 0.9)),
    "momentum, rate outside": (SGD(0.05, 0.9, like="torch"), lambda p: optim.SGD(p, 0.05, 0.9)),
    "nesterov": (
        SGD(0.05, 0.9, nesterov=True, like="torch"),
        lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True),
    ),
    "adagrad": (AdaGrad(0.05, eps=1e-10), lambda p: optim.Adagrad(p, 0.05, eps=1e-10)),
    "rmsprop": (
        RMSProp(2e-3, rho=0.99, eps=1e-6),
        lambda p: optim.RMSprop(p, 2e-3, alpha=0.99, eps=1e-6),
    ),
    "rmsprop with momentum": (
        RMSProp(1e-3, rho=0.9, eps=1e-6, momentum=0.7, like="torch"),
        lambda p: optim.RMSprop(p, 1e-3, alpha=0.9, eps=1e-6, momentum=0.7),
    ),
    "adam": (Adam(3e-3, eps=1e-6), lambda p: optim.Adam(p, 3e-3, eps=1e-6)),
    "adam, other betas": (
        Adam(3e-3, 0.8, 0.95, eps=1e-6),
        lambda p: optim.Adam(p, 3e-3, (0.8, 0.95), eps=1e-6),
    ),
    "adamw": (
        AdamW(3e-3, eps=1e-6, weight_decay=0.1),
        lambda p: optim.AdamW(p, 3e-3, eps=1e-6, weight_decay=0.1),
    ),
    "amsgrad": (AMSGrad(3e-3, eps=1e-6), lambda p: optim.Adam(p, 3e-3, eps=1e-6, amsgrad=True)),
    "adamax": (Adamax(3e-3, eps=1e-6), lambda p: optim.Adamax(p, 3e-3, eps=1e-6)),
    "nadam": (NAdam(3e-3, eps=1e-6), lambda p: optim.NAdam(p, 3e-3, eps=1e-6)),
    "adadelta": (AdaDelta(1.0, 0.9), lambda p: optim.Adadelta(p, 1.0, 0.9)),
}
# (widths, activation, batch) of random dense networks
SHAPES = {
    "small": ((5, 9, 3), "tanh", 8),
    "deep": ((17, 33, 16, 31, 4), "gelu", 33),
    # No ReLU: where a unit wakes in one run a step earlier, the rules that divide by past gradients
    # jump by a full rate.
    "wide": ((40, 129, 65, 10), "silu", 64),
}

# Those that any input of a deep network is fit for.
ACTIVATIONS = {
    name: row.alpha and layers.Activation(name).alpha
    for name, row in cases.ACTIVATIONS.items()
    if row.tame
}


class Activation(torch.nn.Module):
    """An activation as a module, with the number it has by default."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return twin.apply(self.name, x, ACTIVATIONS[self.name])


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """Two pools at once on few cores would wait for each other; dtypes are back afterwards."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


def torch_loss(name, z, y):
    """PyTorch's form of a row of the table of losses."""
    return twin.loss_rows(cases.LOSSES[name].loss, z, y).mean()


def twins(widths, activation, seed, precision):
    """Return one random network twice, ours and theirs."""
    torch.set_default_dtype(getattr(torch, precision))  # of NAdam's product of factors, too
    hidden = [layers.Dense(n, None if activation == "linear" else activation) for n in widths[1:-1]]
    ours = steep.Sequential(*hidden, layers.Dense(widths[-1])).build(widths[0], seed=seed)
    random = np.random.default_rng(seed)
    state = {
        name: w if w.ndim == 2 else 0.1 * random.standard_normal(w.shape)
        for name, w in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    modules = []
    for n, m in pairwise(widths):
        modules += [torch.nn.Linear(n, m), Activation(activation)]
    theirs = torch.nn.Sequential(*modules[:-1])
    with torch.no_grad():
        for p, w in zip(theirs.parameters(), ours.state_dict().values(), strict=True):
            p.copy_(torch.from_numpy(np.ascontiguousarray(w.T)))
    return ours, theirs


def batch(loss, widths, rows, seed, precision):
    random = np.random.default_rng(seed + 100)
    X = random.standard_normal((rows, widths[0])).astype(precision)
    y = cases.LOSSES[loss][1](random, rows, widths[-1])
    return X, y if y.ndim == 1 else y.astype(precision)


def apart(ours, theirs):
    """Return |ours - theirs| / |theirs|, absolutely where theirs is 0; theirs lies transposed."""
    a = np.concatenate([np.asarray(w, np.float64).ravel() for w in ours])
    b = np.concatenate([w.detach().numpy().T.astype(np.float64).ravel() for w in theirs])
    return np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0)


@pytest.mark.parametrize(
    ("shape", "precision"),
    [("small", "float32"), ("small", "float64"), ("deep", "float64"), ("wide", "float32")],
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectories(name, shape, precision):
    """A hundred steps over five batches in turn; every one of ten points on the way agrees."""
    widths, activation, rows = SHAPES[shape]
    optimizer, make = OPTIMIZERS[name]
    for seed in (0, 1) if shape == "small" else (7,):
        ours, theirs = twins(widths, activation, seed, precision)
        X, y = batch("cross_entropy", widths, 5 * rows, seed, precision)
        # PyTorch decays every parameter, biases too
        trainer = steep.Trainer(
            ours, "cross_entropy", optimizer, precision=precision, decay_bias=True
        )
        stepper = make(theirs.parameters())
        moved = [w.copy() for w in ours.state_dict().values()]
        for epoch in range(STEPS // 10):
            for k in range(10):
                part = slice((k % 5) * rows, (k % 5 + 1) * rows)
                stepper.zero_grad()
                z = theirs(torch.from_numpy(X[part]))
                torch.nn.functional.cross_entropy(z, torch.from_numpy(y[part])).backward()
                stepper.step()
            trainer.fit(X, y, epochs=2, batch_size=rows, shuffle=False, progress=False)
            assert trainer.steps == 10 * (epoch + 1)
            error = apart(ours.state_dict().values(), theirs.parameters())
            assert error < LIMIT[precision], f"after {trainer.steps} steps"
        distance = apart(moved, theirs.parameters())
        assert distance > 0.01, "the case must move far enough to tell rules apart"


def test_other_numbers():
    """Rates, decays and eps away from the defaults."""
    for ours_rule, theirs_rule in (
        (AdaDelta(0.5, 0.8, 1e-4), lambda p: optim.Adadelta(p, 0.5, 0.8, 1e-4)),
        (Adamax(4e-3, 0.7, 0.9, 1e-3), lambda p: optim.Adamax(p, 4e-3, (0.7, 0.9), 1e-3)),
        (
            NAdam(4e-3, 0.7, 0.9, 1e-3, 0.1),
            lambda p: optim.NAdam(p, 4e-3, (0.7, 0.9), 1e-3, momentum_decay=0.1),
        ),
    ):
        widths, activation, rows = SHAPES["small"]
        ours, theirs = twins(widths, activation, 4, "float64")
        X, y = batch("mse", widths, 8 * rows, 4, "float64")  # more than the net can learn by heart
        trainer = steep.Trainer(ours, "mse", ours_rule, precision="float64")
        stepper = theirs_rule(theirs.parameters())
        for _ in range(STEPS):
            stepper.zero_grad()
            torch_loss("mse", theirs(torch.from_numpy(X)), torch.from_numpy(y)).backward()
            stepper.step()
            trainer.step(X, y)
        assert apart(ours.state_dict().values(), theirs.parameters()) < LIMIT["float64"]


@pytest.mark.parametrize("precision", cases.PRECISIONS)
def test_coupled_decay_clipping_and_schedules_together(precision):
    """L2 as PyTorch's weight_decay, the global norm clipped, a rate that falls each step."""
    widths, activation, rows = SHAPES["deep"]
    ours, theirs = twins(widths, activation, 3, precision)
    X, y = batch("cross_entropy", widths, rows, 3, precision)
    trainer = steep.Trainer(
        ours, "cross_entropy", SGD(schedules.Exponential(0.2, 0.02), 0.9, like="torch"),
        l2=0.01, decay_bias=True, precision=precision,
    )  # fmt: skip
    stepper = optim.SGD(theirs.parameters(), 0.2, 0.9, weight_decay=0.01)
    falling = optim.lr_scheduler.ExponentialLR(stepper, np.exp(-0.02))
    for _ in range(STEPS):
        stepper.zero_grad()
        torch_loss("cross_entropy", theirs(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        stepper.step()
        falling.step()
        trainer.step(X, y)
    assert apart(ours.state_dict().values(), theirs.parameters()) < LIMIT[precision]

    ours, theirs = twins(widths, activation, 5, precision)
    trainer = steep.Trainer(ours, "cross_entropy", SGD(0.1), clip_norm=0.05, precision=precision)
    stepper = optim.SGD(theirs.parameters(), 0.1)
    clipped = 0
    for _ in range(STEPS):
        stepper.zero_grad()
        torch_loss("cross_entropy", theirs(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        clipped += float(torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)) > 0.05
        stepper.step()
        trainer.step(X, y)
    assert clipped > 50
    # PyTorch divides by norm + 1e-6: 2e-5 of a norm of 0.05, part of what was moved
    assert apart(ours.state_dict().values(), theirs.parameters()) < LIMIT["float32"]


@pytest.mark.parametrize("precision", cases.PRECISIONS)
@pytest.mark.parametrize("loss", cases.LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients(activation, loss, precision):
    for k, widths in enumerate([(4, 7, 3), (31, 64, 17, 5), (3, 33, 130, 20, 2)]):
        ours, theirs = twins(widths, activation, k, precision)
        X, y = batch(loss, widths, 29, k, precision)
        trainer = steep.Trainer(ours, cases.LOSSES[loss][0], "sgd", precision=precision)
        value, gradients = trainer.gradients(X, y)
        wanted = torch_loss(loss, theirs(torch.from_numpy(X)), torch.from_numpy(y))
        wanted.backward()
        assert value == pytest.approx(wanted.item(), rel=LIMIT[precision])
        theirs_gradients = [p.grad for p in theirs.parameters()]
        assert apart(gradients.values(), theirs_gradients) < LIMIT[precision]
        if precision == "float32":  # sums that cancel, as of last biases, are known to the norm
            continue
        for name, p in zip(gradients, theirs.parameters(), strict=True):
            assert apart([gradients[name]], [p.grad]) < LIMIT[precision], name


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "cross_entropy_smoothed"])
def test_reduction(loss, reduction):
    widths = (4, 7, 3)
    ours, theirs = twins(widths, "tanh", 1, "float64")
    X, y = batch(loss, widths, 10, 1, "float64")
    trainer = steep.Trainer(
        ours, cases.LOSSES[loss][0], "sgd", precision="float64", reduction=reduction
    )
    value, gradients = trainer.gradients(X, y)
    wanted = torch_loss(loss, theirs(torch.from_numpy(X)), torch.from_numpy(y))
    wanted = wanted * (10 if reduction == "sum" else 1)  # over samples; a sample's outputs: mean
    wanted.backward()
    assert value == pytest.approx(wanted.item(), rel=1e-12)
    assert apart(gradients.values(), [p.grad for p in theirs.parameters()]) < 1e-12


def test_losses_of_arrays():
    """The NumPy form of every loss is PyTorch's as well."""
    random = np.random.default_rng(0)
    z = random.standard_normal((12, 5))
    for name, (loss, draw, *_) in cases.LOSSES.items():
        y = draw(random, 12, 5)
        wanted = torch_loss(name, torch.from_numpy(z), torch.from_numpy(y)).item()
        assert loss(z, y) == pytest.approx(wanted, rel=1e-12), name
    assert losses.get("huber")(z, z + 0.5) == pytest.approx(0.125)
