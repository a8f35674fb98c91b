"""Reversed gradients whose strength is a schedule: golden numbers, PyTorch's steps, files."""

import numpy as np
import pytest
import steep
from steep import layers, losses, ops, optimizers, schedules

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((24, 3))
CLASS = np.concatenate([RANDOM.integers(0, 2, 12), np.full(12, -1)])
DOMAIN = np.repeat([0, 1], 12)
RAMP = schedules.SigmoidRamp(1.0, 40)


def adapting(scale, **options):
    """Return a trainer of classes that the first half has and of domains, by one hidden layer."""
    x = steep.Input(3)
    hidden = layers.Dense(5, "tanh", name="f")(x)
    domain = layers.Dense(2, name="d")(layers.GradientReversal(scale)(hidden))
    net = steep.Model(x, {"class": layers.Dense(2, name="c")(hidden), "domain": domain})
    loss = {"class": losses.CrossEntropy(ignore=-1), "domain": "cross_entropy"}
    return steep.Trainer(net, loss, optimizers.Adam(0.05), seed=1, **options)


TARGETS = {"class": CLASS, "domain": DOMAIN}


def test_the_ramp_is_golden():
    """L6: 2/(1 + e^(-10 p)) - 1."""
    ramp = schedules.SigmoidRamp(1.0, 100)
    np.testing.assert_allclose(
        ramp([0, 10, 50, 100, 101]), [0, 0.4621171573, 0.9866142982, 0.9999092043, 0.9999092043],
        atol=5e-11,
    )  # fmt: skip


def test_steps_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    from laws.twin_layers import Reversed

    F = torch.nn.functional
    made = adapting(RAMP, precision="float64")
    made._run.settings.build(((3,),))
    w = {k: torch.tensor(v, requires_grad=True) for k, v in made.net.state_dict().items()}
    w = {k: v.detach().double().requires_grad_() for k, v in w.items()}
    descent = torch.optim.Adam(w.values(), 0.05)
    x, y, d = torch.tensor(X), torch.tensor(CLASS), torch.tensor(DOMAIN)
    for step in range(60):
        f = torch.tanh(x @ w["f.weight"] + w["f.bias"])
        loss = F.cross_entropy(f @ w["c.weight"] + w["c.bias"], y, ignore_index=-1)
        f = Reversed.apply(f, float(RAMP(step)))
        loss = loss + F.cross_entropy(f @ w["d.weight"] + w["d.bias"], d)
        descent.zero_grad()
        loss.backward()
        descent.step()
    made.fit(X, TARGETS, epochs=60, batch_size=24, shuffle=False, progress=False)
    for name, value in made.net.state_dict().items():
        np.testing.assert_allclose(value, w[name].detach(), rtol=1e-9, atol=1e-12)


def test_a_number_and_a_schedule_of_it_are_one():
    found = []
    for scale in (0.7, schedules.Constant(0.7), [0.7], lambda t: 0.7):
        made = adapting(scale)
        made.fit(X, TARGETS, epochs=3, batch_size=8, progress=False)
        found.append(made.net.state_dict())
    for other in found[1:]:
        assert all((other[name] == value).all() for name, value in found[0].items())


def test_gradients_are_those_of_the_step():
    made = adapting(RAMP, precision="float64")
    whole = made.gradients(X, TARGETS)[1]["f.weight"]
    made.fit(X, TARGETS, epochs=1, batch_size=8, progress=False)
    later = made.gradients(X, TARGETS)[1]["f.weight"]
    assert np.abs(later - whole).max() > 1e-6
    alone = adapting(0.0, precision="float64")
    np.testing.assert_array_equal(alone.gradients(X, TARGETS)[1]["f.weight"], whole)  # at step 0


@pytest.mark.parametrize("form", ["layer", "op", "loss"])
def test_threads_resume_and_files(form, tmp_path):
    def reversing(y, t):
        back = ops.gradient_reversal(y, schedules.Linear(-1.0, 1.0, 9))
        return (back - t) * (back - t)

    def make():
        x = steep.Input(3)
        hidden = layers.Dense(6, "tanh")(x)
        back = {
            "layer": lambda: layers.GradientReversal(RAMP)(hidden),
            "op": lambda: ops.gradient_reversal(hidden, RAMP),
            "loss": lambda: layers.GradientReversal(0.5)(hidden),
        }[form]()
        net = steep.Model(x, layers.Dense(3)(back))
        loss = losses.Custom(reversing) if form == "loss" else "mse"
        return steep.Trainer(net, loss, "adam", seed=3)

    class Stop:
        every = 5

        def on_step_end(self, trainer, step, logs):
            trainer.save(tmp_path / "t")
            return "stop"

    found = []
    for threads in (1, 2, 8):
        with steep.threads(threads):
            made = make()
            made.fit(X, X, epochs=4, batch_size=8, progress=False)
        found.append({k: v.tobytes() for k, v in made.net.state_dict().items()})
    assert found[0] == found[1] == found[2]
    make().fit(X, X, epochs=4, batch_size=8, progress=False, callbacks=Stop())
    again = steep.Trainer.load(tmp_path / "t", custom_objects={"reversing": reversing})
    again.fit(X, X, epochs=4, batch_size=8, progress=False)
    assert {k: v.tobytes() for k, v in again.net.state_dict().items()} == found[0]


def test_what_no_step_or_file_can_take_is_refused(tmp_path):
    made = adapting(lambda t: np.inf if t == 2 else 1.0)
    with pytest.raises(ValueError, match="the scale of a reversal"):
        made.fit(X, TARGETS, epochs=9, batch_size=24, progress=False)
    with pytest.raises(TypeError, match=r"GradientReversal.*: scale"):
        layers.GradientReversal("1")
    with pytest.raises(ValueError, match="gradient_reversal: scale"):
        ops.gradient_reversal(steep.Input(2), float("nan"))
    made = adapting(lambda t: 1.0)
    made.fit(X, TARGETS, epochs=1, progress=False)
    made.save(tmp_path / "t")
    with pytest.raises(ValueError, match=r"function cannot be saved.*net="):
        steep.Trainer.load(tmp_path / "t")
    again = adapting(lambda t: 1.0)
    assert steep.Trainer.load(tmp_path / "t", net=again.net).steps == made.steps
