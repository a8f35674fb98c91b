"""Every configuration that PyTorch tests its optimizers with, and drawn ones, over twenty steps.

What steep says in other words stands in `OURS`: PyTorch's keywords in, an optimizer
and the coupled decay of the trainer out. Skipped where PyTorch is missing.
"""

import inspect
import sys
import types
import unittest

import numpy as np
import pytest
import steep
from cases import PRECISIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from steep import _core, schedules
from steep.optimizers import (
    ASGD,
    SGD,
    AdaDelta,
    Adafactor,
    AdaGrad,
    Adam,
    Adamax,
    Muon,
    NAdam,
    RAdam,
    RMSProp,
    Rprop,
)

torch = pytest.importorskip("torch")
if "expecttest" not in sys.modules:  # PyTorch's table stands beside its test classes, not used here
    try:
        import expecttest  # noqa: F401
    except ImportError:
        sys.modules["expecttest"] = types.ModuleType("expecttest")
        sys.modules["expecttest"].TestCase = unittest.TestCase
from test_torch import apart, batch, one_thread_of_torch, twins  # noqa: E402, F401
from torch.testing._internal.common_optimizers import optim_db  # noqa: E402

STEPS = 20
LIMIT = {"float64": 1e-9, "float32": 1e-5}
WIDTHS, ROWS = (7, 9, 3), 16
LEFT_OUT = {"SparseAdam"}  # its gradients are sparse tensors
NOT_YET = {"LBFGS"}
pytestmark = pytest.mark.filterwarnings("ignore:AdaDelta. lr")


def adam(k, kind=Adam, **more):
    return kind(k["lr"], *k["betas"], k["eps"], like="torch", **more)


def adagrad(k):
    rate = schedules.InversePower(k["lr"], k["lr_decay"], 1.0) if k["lr_decay"] else k["lr"]
    start = k["initial_accumulator_value"]
    return AdaGrad(rate, k["eps"], initial_accumulator=start, like="torch")


def adafactor(k):
    smallest = k["eps"][0] or float(np.finfo(k["precision"]).eps)
    numbers = k["lr"], k["beta2_decay"], smallest, k["eps"][1], k["d"]
    return Adafactor(*numbers, like="torch")


def muon(k):
    """PyTorch refuses what is no matrix: here and there plain descent moves the biases."""
    return Muon(
        k["lr"], k["momentum"], k["eps"], nesterov=k["nesterov"], steps=k["ns_steps"],
        coefficients=k["ns_coefficients"], adjust=k["adjust_lr_fn"] or "original",
        rest=SGD(k["lr"]), matrices="*", like="torch",
    )  # fmt: skip


def rmsprop(k):
    numbers = k["lr"], k["alpha"], k["eps"], k["momentum"]
    return RMSProp(*numbers, centered=k["centered"], like="torch")


def sgd(k):
    dampening = k["dampening"] if k["momentum"] else 0.0  # PyTorch has no velocity to dampen then
    return SGD(k["lr"], k["momentum"], k["nesterov"], dampening=dampening, like="torch")


OURS = {
    "Adafactor": adafactor,
    "Adadelta": lambda k: AdaDelta(k["lr"], k["rho"], k["eps"], like="torch"),
    "Adagrad": adagrad,
    "Adam": lambda k: adam(k, amsgrad=k["amsgrad"]),
    "AdamW": lambda k: adam(k, amsgrad=k["amsgrad"]),
    "Adamax": lambda k: adam(k, Adamax),
    "ASGD": lambda k: ASGD(k["lr"], k["lambd"], k["alpha"], k["t0"], like="torch"),
    "Muon": muon,
    "NAdam": lambda k: adam(k, NAdam, momentum_decay=k["momentum_decay"]),
    "RAdam": lambda k: adam(k, RAdam),
    "RMSprop": rmsprop,
    "Rprop": lambda k: Rprop(k["lr"], *k["etas"], *k["step_sizes"], like="torch"),
    "SGD": sgd,
}


def ours(kind, given, precision):
    """Return the optimizer that PyTorch's class and keywords mean, and the trainer's l2."""
    parameters = inspect.signature(kind).parameters.values()
    k = {p.name: p.default for p in parameters} | given
    k["lr"] = float(k["lr"])
    decay = k.get("weight_decay", 0.0)
    k = {"maximize": False, "precision": precision} | k
    decoupled = kind.__name__ in ("AdamW", "Muon", "Adafactor") or k.get(
        "decoupled_weight_decay", False
    )
    config = OURS[kind.__name__](k).get_config()
    config |= {"maximize": k["maximize"], "weight_decay": decay if decoupled else 0.0}
    return steep.optimizers.from_config(config), 0.0 if decoupled else decay


@pytest.fixture(autouse=True)
def whole_digits(monkeypatch):
    """Let PyTorch's Muon compute in the precision it is given, not in bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)


def steppers(kind, parameters, given):
    """Return PyTorch's optimizer; with Muon plain descent for what it refuses."""
    if kind is not torch.optim.Muon:
        return [kind(parameters, **given)]
    parameters = list(parameters)
    matrices, vectors = ([p for p in parameters if (p.dim() > 1) == m] for m in (True, False))
    if torch.is_tensor(given.get("lr")):  # they multiply by it in its precision
        given = given | {"lr": given["lr"].double()}
    made = kind(matrices, **given)
    return [made, torch.optim.SGD(vectors, lr=float(made.defaults["lr"]))]


def compare(kind, given, precision, seed=3):
    """Train a network of two layers with both."""
    net, theirs = twins(WIDTHS, "tanh", seed, precision)
    X, y = batch("mse", WIDTHS, ROWS, seed, precision)
    optimizer, l2 = ours(kind, given, precision)
    trainer = steep.Trainer(net, "mse", optimizer, l2=l2, decay_bias=True, precision=precision)
    moving = steppers(kind, theirs.parameters(), given)
    before = [w.copy() for w in net.state_dict().values()]
    for _ in range(STEPS):
        theirs.zero_grad()
        torch.nn.functional.mse_loss(theirs(torch.from_numpy(X)), torch.from_numpy(y)).backward()
        for stepper in moving:
            stepper.step()
        trainer.step(X, y)
    assert apart(net.state_dict().values(), theirs.parameters()) < LIMIT[precision]
    assert apart(before, theirs.parameters()) > 100 * LIMIT[precision], "nothing moved"


ROWS_OF_THEIRS = [
    pytest.param(info.optim_cls, row.kwargs, id=f"{info.optim_cls.__name__}, {row.desc}")
    for info in optim_db
    if info.optim_cls.__name__ not in LEFT_OUT | NOT_YET
    for row in info.optim_inputs_func("cpu")
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("kind", "given"), ROWS_OF_THEIRS)
def test_every_configuration_of_pytorch(kind, given, precision):
    compare(kind, given, precision)


def test_every_optimizer_of_pytorch_is_here_or_said_to_be_missing():
    named = {info.optim_cls.__name__ for info in optim_db}
    assert named <= OURS.keys() | LEFT_OUT | NOT_YET
    assert not OURS.keys() & NOT_YET


def test_the_average_of_asgd_is_theirs():
    """The weights do not show it; t0 is passed on the way."""
    torch.set_default_dtype(torch.float64)  # of its mu
    start = np.random.default_rng(2).standard_normal(32)
    sweep, w = _core.Sweep("asgd", start), torch.tensor(start)
    stepper = torch.optim.ASGD([w], 0.05, lambd=0.0, t0=4)
    for step, knobs in enumerate(ASGD(0.05, 0.0, t0=4).knobs(np.arange(STEPS), np.zeros(STEPS))):
        g = np.cos(start + step)
        w.grad = torch.tensor(g)
        stepper.step()
        assert sweep.step(g, knobs)
        np.testing.assert_allclose(sweep.slot("ax"), stepper.state[w]["ax"], rtol=1e-12)


RATES = st.floats(1e-4, 0.05)
EPS = st.sampled_from((1e-8, 1e-6, 1e-3))
BETAS = st.tuples(st.floats(0.0, 0.95), st.floats(0.5, 0.9999))
COMMON = {"lr": RATES, "weight_decay": st.floats(0.0, 0.3), "maximize": st.booleans()}
MOMENTS = {**COMMON, "betas": BETAS, "eps": EPS}
DRAWN = {
    "Adafactor": {
        **COMMON,
        "beta2_decay": st.floats(-1.0, -0.2),
        "eps": st.tuples(st.sampled_from((None, 1e-6, 1e-3)), st.sampled_from((1e-3, 0.5))),
        "d": st.floats(1.0, 2.0),
    },
    "Adadelta": {**COMMON, "lr": st.floats(0.02, 1.0), "rho": st.floats(0.5, 0.99), "eps": EPS},
    "Adagrad": {
        **COMMON,
        "lr_decay": st.floats(0.0, 0.5),
        "initial_accumulator_value": st.floats(0.0, 0.2),
        "eps": EPS,
    },
    "Adam": {**MOMENTS, "amsgrad": st.booleans()},
    "AdamW": {**MOMENTS, "amsgrad": st.booleans()},
    "Adamax": MOMENTS,
    "ASGD": {
        **COMMON,
        "lambd": st.floats(0.0, 0.2),
        "alpha": st.floats(0.0, 1.0),
        "t0": st.integers(0, 30),
    },
    "Muon": {
        "lr": RATES,
        "weight_decay": st.floats(0.0, 0.3),
        "momentum": st.floats(0.0, 0.95),
        "nesterov": st.booleans(),
        "ns_steps": st.integers(1, 8),
        "eps": st.sampled_from((1e-7, 1e-3, 0.1)),
        "adjust_lr_fn": st.sampled_from((None, "original", "match_rms_adamw")),
    },
    "NAdam": {
        **MOMENTS,
        "momentum_decay": st.floats(0.0, 1.0),
        "decoupled_weight_decay": st.booleans(),
    },
    "RAdam": {**MOMENTS, "decoupled_weight_decay": st.booleans()},
    "RMSprop": {
        **COMMON,
        "alpha": st.floats(0.5, 0.99),
        "eps": EPS,
        "momentum": st.sampled_from((0.0, 0.5, 0.9)),
        "centered": st.booleans(),
    },
    "Rprop": {
        "lr": RATES,
        "etas": st.tuples(st.floats(0.3, 0.8), st.floats(1.05, 1.5)),
        "step_sizes": st.tuples(st.floats(1e-6, 1e-3), st.floats(0.01, 1.0)),
        "maximize": st.booleans(),
    },
    "SGD": {
        **COMMON,
        "momentum": st.sampled_from((0.0, 0.5, 0.9)),
        "dampening": st.floats(0.0, 0.9),
        "nesterov": st.booleans(),
    },
}


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_drawn_configurations(name, data):
    chosen = data.draw(st.fixed_dictionaries({}, optional=DRAWN[name]))
    if (
        chosen.get("nesterov") and name == "SGD"
    ):  # PyTorch refuses it with dampening or without momentum
        chosen |= {"dampening": 0.0, "momentum": chosen.get("momentum") or 0.9}
    compare(getattr(torch.optim, name), chosen, "float64", data.draw(st.integers(0, 99)))
