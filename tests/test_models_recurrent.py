"""Ready networks of LSTMs: counts, what they read, a step lowers the loss, a text goes on."""

import numpy as np
import pytest
import steep
from steep import data, layers, models, optimizers


def falls(net, X, y, **options):
    """Return losses before and after one step of SGD on the same batch."""
    trainer = steep.Trainer(net, "cross_entropy", optimizers.SGD(0.1))
    before = trainer.evaluate(X, y)["loss"]
    trainer.fit(X, y, batch_size=len(y), progress=False, **options)
    return before, trainer.evaluate(X, y)["loss"]


def test_they_have_the_parameters_they_say():
    assert models.char_lstm().num_parameters == 349_569
    assert models.lstm_classifier(9).build((29, 12)).num_parameters == 20_297
    two = models.lstm_classifier(3, 8, 2, both_ways=True, vocabulary=11).build(6)
    one, other = (2 * 32 * (n + 8 + 1) for n in (8, 16))
    assert two.num_parameters == 11 * 8 + one + other + 3 * 17


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("tokens", [False, True])
def test_a_step_lowers_the_loss_of_the_classifier(tokens, depth, both):
    random = np.random.default_rng(0)
    net = models.lstm_classifier(
        3, 8, depth, both_ways=both, dropout=0.1, vocabulary=11 if tokens else None
    )
    X = random.integers(0, 11, (12, 6)) if tokens else random.standard_normal((12, 6, 2))
    net.build(X.shape[1:], seed=1)
    assert net.output_shapes == ((3,),)
    before, after = falls(net, X, np.arange(12) % 3)
    assert after < before


@pytest.mark.parametrize("both", [False, True])
def test_lengths_end_a_sample(both):
    random = np.random.default_rng(0)
    net = models.lstm_classifier(3, 8, 2, both_ways=both, shape=(6, 2)).build(seed=1)
    X, lengths = random.standard_normal((12, 6, 2)), random.integers(1, 6, 12)
    found = net.predict([X, lengths])
    X[np.arange(6) >= lengths[:, None]] = 7.0
    np.testing.assert_array_equal(net.predict([X, lengths]), found)
    alone = models.lstm_classifier(3, 8, 2, both_ways=both).build((6, 2))
    alone.load_state_dict(net.state_dict())
    assert not np.allclose(alone.predict(X), found)
    np.testing.assert_array_equal(alone.predict(X), net.predict([X, np.full(12, 6)]))
    before, after = falls(net, [X, lengths], np.arange(12) % 3)
    assert after < before


@pytest.mark.parametrize("stateful", [False, 4])
def test_a_step_lowers_the_loss_of_the_language_model(stateful):
    text = data.Text.from_string("to be or not to be " * 9)
    net = models.char_lstm(
        len(text.vocabulary), 16, 2, 8, embedding=5, dropout=0.1, stateful=stateful
    )
    net.build(seed=1)
    X, y = data.windows(text.tokens, 8, 8, every=True)
    assert net.output_shapes == ((8, len(text.vocabulary)),)
    before, after = falls(net, X[:4], y[:4], shuffle=not stateful)
    assert after < before


def test_a_stateful_model_goes_on_from_batch_to_batch():
    """Losses differ from the second batch on: it does not begin with zeros."""
    tokens = np.arange(64) % 5
    weights, losses = models.char_lstm(5, 6, 1, 8).build(seed=3).state_dict(), []
    for stateful in (False, 2):
        net = models.char_lstm(5, 6, 1, 8, stateful=stateful).build()
        net.load_state_dict(weights, strict=False)
        X, y = data.windows(np.append(tokens, 4), 8, 8, every=True)
        order = [0, 4, 1, 5, 2, 6, 3, 7]  # rows 0 to 3 and 4 to 7, side by side
        trainer = steep.Trainer(net, "cross_entropy", optimizers.SGD(0.1))
        trainer.fit(X[order], y[order], batch_size=2, shuffle=False, progress=False)
        losses.append(trainer.history.steps["loss"])
    assert losses[0][0] == losses[1][0]
    assert all(a != b for a, b in zip(losses[0][1:], losses[1][1:], strict=True))


def test_a_text_goes_on_with_what_was_learned():
    text = data.Text.from_string("abcdef" * 40)
    net = models.char_lstm(6, 24, 1, 8, embedding=6).build(seed=0)
    X, y = data.windows(text.tokens, 8, every=True)
    trainer = steep.Trainer(net, "cross_entropy", optimizers.Adam(0.01))
    trainer.fit(X, y, epochs=12, batch_size=16, progress=False)
    assert steep.generate(net, "cd", 12, 0.0, text=text) == "cdefabcdefabcd"


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (models.lstm_classifier, {"classes": 0}),
        (models.lstm_classifier, {"units": 0}),
        (models.lstm_classifier, {"layers": 0}),
        (models.lstm_classifier, {"dropout": 1.0}),
        (models.lstm_classifier, {"vocabulary": 0}),
        (models.char_lstm, {"vocabulary": 0}),
        (models.char_lstm, {"layers": 0}),
        (models.char_lstm, {"context": 0}),
        (models.char_lstm, {"embedding": 0}),
        (models.char_lstm, {"dropout": -0.1}),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(build, given):
    (name,) = given
    with pytest.raises(ValueError, match=rf"{build.__name__}: .*{name}"):
        build(**given)


def test_layers_have_names_that_last():
    names = list(models.lstm_classifier(2, 3, 2, both_ways=True).build((4, 2)).state_dict())
    assert names[0] == "lstm0.forward.weight"
    assert names[-2:] == ["classes.weight", "classes.bias"]
    assert isinstance(models.char_lstm(stateful=True).layers[1], layers.LSTM)
