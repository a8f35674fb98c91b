"""Texts as numbers, windows over series, and sequences drawn from language models."""

import numpy as np
import pytest
import steep
from steep import data, layers, models

VERSE = "to be, or not to be"


def test_characters_and_words_come_back():
    text = data.Text.from_string(VERSE)
    assert text.vocabulary == tuple(sorted(set(VERSE)))
    assert text.tokens.dtype == np.uint8
    assert text.decode(text.tokens) == VERSE
    words = data.Text.from_string(VERSE, "word")
    assert words.vocabulary == ("be", "to", ",", "not", "or")
    assert words.decode(words.encode("not to be")) == "not to be"
    assert len(words) == 7


def test_a_file_is_read_and_a_vocabulary_kept(tmp_path):
    (tmp_path / "verse.txt").write_text(VERSE, encoding="utf-8")
    text = data.Text(tmp_path / "verse.txt")
    again = data.Text.from_string("bee", vocabulary=text.vocabulary)
    np.testing.assert_array_equal(again.tokens, text.encode("bee"))
    with pytest.raises(ValueError, match=r"Text: 'x', 'y' are not in the vocabulary"):
        text.encode("xy to")
    with pytest.raises(ValueError, match="Text: is empty"):
        data.Text.from_string("")
    with pytest.raises(ValueError, match="stands twice"):
        data.Text.from_string("a", vocabulary="aa")


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("shape", [(30,), (30, 2)])
def test_windows_are_views_with_what_follows(shape, step, horizon):
    series = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    X, y = data.windows(series, 4, step, horizon)
    assert np.shares_memory(X, series)
    starts = range(0, 30 - 4 - horizon + 1, step)
    np.testing.assert_array_equal(X, np.stack([series[k : k + 4] for k in starts]))
    np.testing.assert_array_equal(y, np.stack([series[k + 3 + horizon] for k in starts]))
    X, y = data.windows(series, 4, step, horizon, every=True)
    assert np.shares_memory(y, series)
    want = [series[k + horizon : k + horizon + 4] for k in starts]
    np.testing.assert_array_equal(y, np.stack(want))
    with pytest.raises(ValueError, match="T at least"):
        data.windows(series[:4], 4)


@pytest.mark.parametrize("more", [(), (2,)])
def test_rows_of_streams_go_on_from_batch_to_batch(more):
    series = np.arange(3 * 4 * 5 + 3).reshape(-1, *[1] * len(more)) * np.ones(more, int)
    X, y = data.streams(series, 4, 5)
    assert X.shape == y.shape == (15, 4, *more)
    np.testing.assert_array_equal(y, X + 1)
    np.testing.assert_array_equal(X[5:, 0], X[:-5, -1] + 1)
    np.testing.assert_array_equal(np.sort(X.reshape(60, -1), axis=0), series.reshape(63, -1)[:60])
    assert len(data.streams(series[:21], 4, 5)[0]) == 5
    with pytest.raises(ValueError, match=r"streams: expects a series .*T at least 21, got \(20"):
        data.streams(series[:20], 4, 5)


@pytest.fixture(scope="module")
def learned():
    """Return a text that repeats and a small model of it."""
    text = data.Text.from_string("abcdef" * 40)
    net = models.gpt(1, 2, 16, 8, len(text.vocabulary))
    X, y = data.windows(text.tokens, 8, every=True)
    steep.Trainer(net, "cross_entropy", steep.optimizers.Adam(0.01)).fit(
        X, y, epochs=12, batch_size=16, progress=False
    )
    return text, net


def test_a_model_goes_on_with_what_it_learned(learned):
    text, net = learned
    assert steep.generate(net, "cd", 12, 0.0, text=text) == "cdefabcdefabcd"
    tokens = steep.generate(net, text.encode("cdefabcdefab"), 3, 0.0)
    assert text.decode(tokens) == "cdefabcdefabcde"  # longer than the context


def test_draws_follow_seed_temperature_and_top_k(learned):
    text, net = learned
    drawn = [steep.generate(net, "a", 30, 20.0, seed=k, text=text) for k in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert steep.generate(net, "a", 6, 50.0, top_k=1, text=text) == "abcdefa"


def test_a_model_of_the_next_token_alone_reads_zeros_before_the_first():
    net = steep.Sequential(layers.Embedding(4, 3), layers.Flatten(), layers.Dense(4))
    net.build(3, seed=1)
    tokens = steep.generate(net, [2], 1, 0.0)
    assert tokens[1] == net.predict(np.array([[0, 0, 2]]))[0].argmax()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompt": "az"}, "'z' is not in the vocabulary"),
        ({"prompt": [99]}, "tokens of the prompt must be 0 to 5"),
        ({"prompt": [0.5]}, "must be whole numbers"),
        ({"prompt": []}, "at least one token"),
        ({"prompt": "a", "text": None}, "needs text="),
        ({"length": 0}, "length"),
        ({"temperature": -1.0}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"stride": 0}, "stride"),
        ({"stride": 9}, "stride must be 1 to 8, the context, got 9"),
    ],
)
def test_what_generate_cannot_do_is_refused(learned, given, said):
    text, net = learned
    with pytest.raises(ValueError, match=said):
        steep.generate(net, **{"prompt": "a", "length": 2, "text": text, **given})


def test_no_language_model_is_refused():
    net = steep.Sequential(layers.Dense(2))
    net.build((3, 4))
    with pytest.raises(ValueError, match="generate: expects a built network"):
        steep.generate(net, [1], 1)


def test_models_have_the_parameters_they_say():
    assert models.gpt().num_parameters == 809_856
    net = models.vit(10, 7, 2, 2, 32)
    net.build((28, 28))
    assert net.output_shapes == ((10,),)
    X = np.random.default_rng(0).random((4, 28, 28))
    trainer, y = steep.Trainer(net, "cross_entropy", "adam"), np.arange(4)
    before = trainer.evaluate(X, y)["loss"]
    trainer.fit(X, y, epochs=30, progress=False)
    assert trainer.evaluate(X, y)["loss"] < 0.5 * before
