"""Averages of weights: against their definitions over the weights of every step, and refusals."""

import numpy as np
import pytest
import steep
from steep import averages
from steep.layers import BatchNorm, Dense
from steep.optimizers import SGD, Adam

RANDOM = np.random.default_rng(8)
X, Y = RANDOM.standard_normal((50, 4)), RANDOM.standard_normal((50, 2))
RULES = [SGD(0.1), SGD(0.1, 0.9, True), Adam(0.01)]


def trainer(optimizer, average=None, *more):
    net = steep.Sequential(Dense(8, "tanh"), *more, Dense(2), input_shape=(4,))
    return steep.Trainer(net, "mse", optimizer, average=average, precision="float64", seed=1)


def walked(optimizer):
    """Return the weights before the first step and after each of 4 epochs of 5 steps."""
    made = trainer(optimizer)
    made._run.settings.build(((4,),))
    weights = [made.net.state_dict()]
    for epoch in range(4):
        order = steep._core.permutation(1, epoch, 50)
        for first in range(0, 50, 10):
            rows = order[first : first + 10]
            made.step(X[rows], Y[rows])
            weights.append(made.net.state_dict())
    return weights


def fitted(optimizer, average):
    made = trainer(optimizer, average)
    made.fit(X, Y, epochs=4, batch_size=10, progress=False)
    return made


def near(found, wanted):
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-13, err_msg=name)


def mean(weights, fold):
    return {name: fold([w[name] for w in weights]) for name in weights[0]}


def ema(decay):
    def fold(values):
        average = values[0]
        for value in values[1:]:
            average = decay * average + (1 - decay) * value
        return average

    return fold


@pytest.mark.parametrize("optimizer", RULES)
def test_ema_swa_of_every_step(optimizer):
    weights = walked(optimizer)
    for average, wanted in (
        (averages.EMA(0.9), mean(weights[1:], ema(0.9))),
        (averages.EMA(0.9, like="keras"), mean(weights, ema(0.9))),
        (averages.EMA(0.5, every=3, start=4), mean(weights[7::3], ema(0.5))),
        (averages.SWA(start=3), mean(weights[4:], lambda v: np.mean(v, axis=0))),
        (averages.SWA(start=1, unit="epoch"), mean(weights[10::5], lambda v: np.mean(v, axis=0))),
        (averages.SWA(every=2, unit="epoch"), mean(weights[10::10], lambda v: np.mean(v, axis=0))),
    ):
        made = fitted(optimizer, average)
        near(made.net.state_dict(), weights[-1])  # what is trained does not notice
        near(made.averaged().state_dict(), wanted)


def test_ema_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    weights = walked(SGD(0.1))
    model = torch.nn.Linear(4, 8).double()
    followed = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for state in weights[1:]:
        with torch.no_grad():
            model.weight.copy_(torch.from_numpy(state["dense.weight"].T.copy()))
        followed.update_parameters(model)
    found = fitted(SGD(0.1), averages.EMA(0.9)).averaged().state_dict()
    np.testing.assert_allclose(
        found["dense.weight"], followed.module.weight.detach().numpy().T, rtol=1e-12
    )


def test_lookahead_is_the_papers():
    """Each stretch of k fast steps starts from the slow weights; momentum goes on."""
    made = fitted(SGD(0.1), averages.Lookahead(0.5, every=4))
    fast = trainer(SGD(0.1))
    fast._run.settings.build(((4,),))
    slow, step = fast.net.state_dict(), 0
    for epoch in range(4):
        order = steep._core.permutation(1, epoch, 50)
        for first in range(0, 50, 10):
            rows = order[first : first + 10]
            fast.step(X[rows], Y[rows])
            step += 1
            if step % 4 == 0:
                moved = fast.net.state_dict()
                slow = {name: slow[name] + 0.5 * (moved[name] - slow[name]) for name in slow}
                fast.net.load_state_dict(slow)
    near(made.net.state_dict(), fast.net.state_dict())
    near(made.averaged().state_dict(), slow)


@pytest.mark.parametrize("average", [averages.EMA(0.8), averages.Lookahead(every=3)])
@pytest.mark.parametrize("optimizer", RULES)
def test_a_training_stopped_and_taken_up_gives_the_same_bytes(optimizer, average, tmp_path):
    straight = fitted(optimizer, average)
    cut = trainer(optimizer, average)
    cut.fit(X, Y, epochs=2, batch_size=10, progress=False)
    cut.save(tmp_path / "c")
    cut = steep.Trainer.load(tmp_path / "c")
    assert cut.average == average
    cut.fit(X, Y, epochs=2, batch_size=10, progress=False)
    for found, wanted in zip(
        (cut.net, cut.averaged()), (straight.net, straight.averaged()), strict=True
    ):
        for name, value in wanted.state_dict().items():
            assert found.state_dict()[name].tobytes() == value.tobytes()


def test_statistics_are_those_of_the_network_and_its_copy_is_its_own():
    made = trainer(Adam(0.01), "ema", BatchNorm())
    made.fit(X, Y, epochs=2, progress=False)
    copy, now = made.averaged(), made.net.state_dict()
    name = "batch_norm.running_mean"
    assert (copy.state_dict()[name] == now[name]).all() and now[name].any()
    copy.load_state_dict({k: 0 * v for k, v in now.items()})
    assert made.net.state_dict()["dense.weight"].any()


def test_there_is_none_before_it_began():
    with pytest.raises(RuntimeError, match=r"keeps no average .* average="):
        trainer(SGD(0.1)).averaged()
    made = trainer(SGD(0.1), averages.SWA(start=3, unit="epoch"))
    made.fit(X, Y, epochs=3, progress=False)
    with pytest.raises(RuntimeError, match="no average of the weights yet"):
        made.averaged()
    made.fit(X, Y, epochs=1, progress=False)
    near(made.averaged().state_dict(), made.net.state_dict())
    with pytest.raises(AttributeError, match="average stays as it was made"):
        made.average = averages.EMA()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: averages.EMA(1.0), ValueError, "decay"),
        (lambda: averages.EMA(0.9, every=0), ValueError, "every"),
        (lambda: averages.EMA(0.9, start=-1), ValueError, "start"),
        (lambda: averages.EMA(0.9, unit="day"), ValueError, "unit"),
        (lambda: averages.EMA(0.9, like="keras", start=2), ValueError, "start"),
        (lambda: averages.Lookahead(0.0), ValueError, "pull"),
        (lambda: averages.Lookahead(start=2), ValueError, "start"),
        (lambda: trainer(SGD(0.1), "emma"), ValueError, "ema"),
        (lambda: trainer(SGD(0.1), 0.9), TypeError, "averages"),
    ],
)
def test_what_is_no_average_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
