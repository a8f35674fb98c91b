"""Arguments called as in Keras, scikit-learn or PyTorch: the answer names ours."""

import inspect
import pickle

import numpy as np
import pytest
import steep
from steep.checks import foreign

ROOMS = (
    steep.callbacks, steep.initializers, steep.layers, steep.losses, steep.optimizers,
    steep.schedules,
)  # fmt: skip


def calls():
    """Return everything that is called with names, by what messages call it."""
    kinds = [getattr(room, name) for room in ROOMS for name in room.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and not inspect.isabstract(kind)]
    kinds = [kind for kind in kinds if not issubclass(kind, tuple)]
    kinds += [steep.DBN, steep.GAN, steep.RBM, steep.VAE, steep.Model, steep.Sequential]
    found = {kind.__name__: kind for kind in [*kinds, steep.SkipGram, steep.Trainer]}
    trainer = steep.Trainer(steep.Sequential(steep.layers.Dense(2)), "mse", "adam")
    found |= {f"Trainer.{name}": getattr(trainer, name) for name in ("fit", "step", "evaluate")}
    return found


CALLS = calls()


def parameters(call):
    return inspect.signature(call).parameters


@pytest.mark.parametrize("name", CALLS)
def test_every_foreign_name_is_answered(name):
    call = CALLS[name]
    known = parameters(call)
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        pytest.skip("takes any name")
    for other in {*foreign.NAMES, *foreign.ELSEWHERE, "nobody_knows_it"} - {*known}:
        with pytest.raises(TypeError) as said:
            call(**{other: 1})
        text = str(said.value)
        assert text.startswith(f"{name}: takes no {other}="), text
        ours = [word for word in foreign.NAMES.get(other, ()) if word in known]
        if ours:
            assert f"here it is {ours[0]}=" in text
        elif other in foreign.ELSEWHERE:
            assert foreign.ELSEWHERE[other] in text or "did you mean" in text
        assert all(word in text for word, p in known.items() if p.kind is not p.VAR_POSITIONAL)


def test_the_tables_are_of_use():
    """What is ours is an argument somewhere, and what is theirs has somewhere to be asked."""
    known = {word for call in CALLS.values() for word in parameters(call)}
    sklearn = pytest.importorskip("steep.sklearn")
    known |= {word for name in sklearn.__all__ for word in parameters(getattr(sklearn, name))}
    assert not {word for ours in foreign.NAMES.values() for word in ours} - known


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("Trainer.fit", {"validation_data": 1}, "here it is validation="),
        ("Trainer.fit", {"batch": 1}, "here it is batch_size="),
        ("Trainer.fit", {"epochs_": 1}, "here it is epochs="),
        ("Trainer.fit", {"lr": 1}, "the optimizer has it"),
        ("Trainer.fit", {"sampleweight": 1}, "did you mean sample_weight="),
        ("Trainer", {"lr": 1}, "the optimizer has it"),
        ("Dense", {"out_features": 1}, "here it is units="),
        ("Conv2D", {"kernel_size": 1}, "here it is kernel="),
        ("MaxPool2D", {"kernel_size": 1}, "here it is size="),
        ("Dropout", {"p": 1}, "here it is rate="),
        ("Adam", {"learning_rate": 1}, "here it is lr="),
        ("Adam", {"betas": 1}, "beta1= and beta2="),
        ("CrossEntropy", {"from_logits": 1}, "take logits always"),
        ("EarlyStopping", {"restore_best_weights": 1}, "here it is restore_best="),
    ],
)
def test_habits(name, given, said):
    with pytest.raises(TypeError, match=said):
        CALLS[name](**given)


def test_estimators():
    sklearn = pytest.importorskip("steep.sklearn")
    with pytest.raises(TypeError, match="here it is learning_rate_init="):
        sklearn.MLPClassifier(lr=0.1)
    with pytest.raises(TypeError, match="here it is random_state="):
        sklearn.NetClassifier(steep.layers.Dense(2), seed=1)


def test_other_type_errors_are_left_as_they_are():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'units'"):
        steep.layers.Dense()
    with pytest.raises(TypeError, match="units"):
        steep.layers.Dense("many", use_bias=True)


def test_what_is_explained_is_what_it_was():
    layer = steep.layers.Dense(3, use_bias=False)
    assert layer.config()["use_bias"] is False
    assert [*parameters(steep.layers.Dense)][:2] == ["units", "activation"]
    adam = steep.optimizers.Adam(lr=0.5)
    assert pickle.loads(pickle.dumps(adam)) == adam
    assert [*parameters(steep.Trainer.fit)][:3] == ["self", "X", "y"]


def test_warnings_are_of_who_called():
    """The call that answers foreign names stands between."""
    net = steep.Sequential(steep.layers.Dense(2), steep.layers.BatchNorm(), steep.layers.Softmax())
    X, y = np.ones((5, 3), np.float32), np.zeros(5, int)
    with pytest.warns(UserWarning) as found:
        steep.optimizers.AdaDelta(lr=1e-3)
        steep.Trainer(net, "cross_entropy", "adam").fit(X, y, batch_size=4, progress=False)
    assert len(found) == 3
    sklearn = pytest.importorskip("steep.sklearn")
    X, y = np.random.default_rng(0).normal(size=(6, 3)), [0, 1, 0, 1, 0, 0]
    with pytest.warns(UserWarning) as more:
        sklearn.MLPClassifier(max_iter=1, batch_size=9, random_state=0).fit(X, y)
        sklearn.MLPClassifier(batch_size=9, random_state=0).partial_fit(X, y, [0, 1])
        sklearn.MLPClassifier(max_iter=1, solver="lbfgs", random_state=0).fit(X, y)
    assert len(more) == 4
    assert {one.filename for one in [*found, *more]} == {__file__}
