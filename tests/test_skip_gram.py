"""Word embeddings: each step against NumPy in float64, what is drawn, and what is learned."""

import re
import shutil
import subprocess

import numpy as np
import pytest
import steep
from bounds import draw
from cases import EDGES, UNIT
from steep import _core, data, layers

PRECISIONS = ("float32", "float64")


def native(words, rows, ends=None, *, keep=1.0, weights=None, window=3, negatives=4, seed=1):
    """Return skip-gram over ids, and how many of them epoch 0 keeps."""
    made = _core.SkipGram(
        np.asarray(words, np.int32),
        np.asarray([len(words)] if ends is None else ends, np.int64),
        np.full(rows, keep, np.float64),
        np.ones(rows) if weights is None else np.asarray(weights, np.float64),
        window,
        negatives,
        seed,
    )
    return made, made.begin(0)


def texts(length, rows, seed=0):
    return np.random.default_rng(seed).integers(0, rows, length).astype(np.int32)


def logistic(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def by_pairs(inputs, outputs, pairs, lr):
    """Step pair by pair in float64, as the formula says; return the sum of losses."""
    loss = 0.0
    for v, row in zip(*pairs, strict=True):
        sign = np.where(np.arange(len(row)) == 0, -1.0, 1.0)
        live = np.where(np.arange(len(row)) == 0, True, row != row[0])
        margin = sign * (outputs[row] @ inputs[v])
        loss += np.logaddexp(0.0, margin)[live].sum()
        slope = -lr * sign * logistic(margin) * live
        before = inputs[v].copy()
        for k, u in enumerate(row):
            inputs[v] += slope[k] * outputs[u]
            outputs[u] += slope[k] * before
    return loss


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("units", EDGES)
@pytest.mark.parametrize("negatives", [1, 4, 15, 16, 17])
def test_a_step_is_the_formula(precision, units, negatives):
    rows, width = 9, -(-units // 16) * 16
    made, kept = native(texts(12, rows), rows, negatives=negatives)
    tables = [np.zeros((rows, width), precision) for _ in "io"]
    for k, table in enumerate(tables):
        table[:, :units] = draw(k, rows, units, precision=precision)
    want = [table.astype(np.float64) for table in tables]
    loss, pairs = made.step(*tables, 0.05, 0, kept)
    drawn = made.pairs(0, kept)
    assert drawn[0].shape == (pairs,) and drawn[1].shape == (pairs, 1 + negatives)
    truth = by_pairs(*want, drawn, 0.05)
    # Each move rounds a row once; what is moved, lr times another row, brings less than that again.
    for table, wanted, named in zip(tables, want, drawn, strict=True):
        moves = 1 + np.bincount(named.ravel(), minlength=rows).max()
        bound = 2 * moves * UNIT[precision] * np.abs(wanted).max()
        assert np.abs(table[:, :units] - wanted[:, :units]).max() <= bound
        assert not table[:, units:].any()
    assert abs(loss - truth) <= 16 * UNIT[precision] * truth


def test_the_golden_pair():
    """Centre .5 sin(1+k), context and two negatives .5 sin(2+k), (3, 4)."""
    seeds = (
        native([0, 1], 4, window=1, negatives=2, seed=s, weights=[0, 0, 1, 1]) for s in range(99)
    )
    made = next(one for one, _ in seeds if one.pairs(0, 1)[1].tolist() == [[1, 2, 3]])
    inputs, outputs = np.zeros((4, 16)), np.zeros((4, 16))
    inputs[0, :4] = 0.5 * np.sin(1 + np.arange(4))
    outputs[1:, :4] = 0.5 * np.sin(2 + np.arange(12)).reshape(3, 4)
    before = inputs[0, :4].copy()
    loss, pairs = made.step(inputs, outputs, 1e-3, 0, 1)
    assert pairs == 1
    assert abs(loss - 1.7361217317) < 1e-10
    slope = (before - inputs[0, :4]) / 1e-3
    want = [-0.3629116938, -0.0563875055, 0.3019790953, 0.3827075085]
    np.testing.assert_allclose(slope, want, atol=1e-9)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_words_far_apart_and_close_stay_finite(precision):
    """Margins of +-1e4: the loss is the margin itself, or 0."""
    made, kept = native([0, 1], 3, window=1, negatives=1, weights=[0, 0, 1])
    for sign in (1.0, -1.0):
        inputs, outputs = np.full((3, 16), 100.0, precision), np.full((3, 16), 6.25, precision)
        outputs *= sign
        loss, pairs = made.step(inputs, outputs, 0.0, 0, kept)
        assert (loss, pairs) == (2e4, 2)  # of one of the two words of each pair


def test_pairs_are_of_windows_inside_sentences():
    ends, window = [7, 7, 8, 40], 4
    made, kept = native(np.arange(40), 40, ends, window=window)
    assert kept == 40
    v, targets = made.pairs(0, kept)
    u = targets[:, 0]
    sentence = np.searchsorted(ends, np.arange(40), side="right")
    assert (sentence[u] == sentence[v]).all()
    assert (np.abs(u - v) <= window).all() and (u != v).all()
    for centre in range(40):
        near = set(u[v == centre].tolist())
        reach = max((abs(x - centre) for x in near), default=0)
        same = np.flatnonzero(sentence == sentence[centre])
        assert near == {int(x) for x in same if 0 < abs(x - centre) <= reach}
    assert 7 not in v  # alone in its sentence


def test_what_is_drawn_has_its_distribution():
    n, rows = 60_000, 5
    shares = np.array([1.0, 2.0, 3.0, 0.0, 10.0])
    made, kept = native(np.arange(n) % 4, rows, weights=shares, window=5, negatives=3, keep=0.3)
    assert abs(kept - 0.3 * n) < 5 * np.sqrt(n * 0.21)
    v, targets = made.pairs(0, kept)
    counts = np.bincount(targets[:, 1:].ravel(), minlength=rows)
    want = shares / shares.sum() * counts.sum()
    assert counts[3] == 0
    assert (np.abs(counts - want) <= 5 * np.sqrt(want)).all()
    assert abs(len(v) - 6 * kept) < 5 * 2 * np.sqrt(2 * kept)  # 2 r, r of mean 3 and variance 2
    again = native(np.arange(n) % 4, rows, weights=shares, window=5, negatives=3, keep=0.3)[0]
    parts = [again.pairs(k, min(k + 777, kept)) for k in range(0, kept, 777)]
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), targets)
    assert made.begin(1) != kept


def corpus(sentences=3000, seed=0):
    """Return sentences about animals and about metals, five words each and some of both."""
    random = np.random.default_rng(seed)
    kinds = [["dog", "cat", "horse", "cow", "sheep"], ["gold", "silver", "iron", "copper", "tin"]]
    both = ["the", "a", "of", "and", "with"]
    made = []
    for k in random.integers(0, 2, sentences):
        words = [*random.choice(kinds[k], 5), *random.choice(both, 3)]
        made.append([str(word) for word in random.permutation(words)])
    return made


OPTIONS = {"units": 12, "min_count": 1, "subsample": 0.0, "seed": 3}


def bytes_of(model):
    return model.vectors.tobytes() + model._outputs.tobytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_words_of_a_kind_come_together(precision):
    model = steep.SkipGram(**OPTIONS, precision=precision)
    history = model.fit(corpus(), epochs=4).history
    assert model.vectors.dtype == precision and model.vectors.shape == (15, 12)
    assert history["loss"][-1] < history["loss"][0] < 6 * np.log(2)
    assert model.doesnt_match(["dog", "cat", "iron", "cow"]) == "iron"
    assert model.doesnt_match(["tin", "gold", "sheep"]) == "sheep"
    near = [word for word, _ in model.most_similar("gold", 4)]
    assert set(near) == {"silver", "iron", "copper", "tin"}
    both = model.most_similar(["gold", "dog"], 3, negative="iron")
    assert {word for word, _ in both} <= {"cat", "horse", "cow", "sheep"}
    a, b = model["gold"].astype(np.float64), model["tin"].astype(np.float64)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert abs(model.similarity("gold", "tin") - cosine) < 1e-12
    assert abs(dict(model.most_similar("gold", 14))["tin"] - cosine) < 1e-12


def test_frequent_words_are_thinned_out_as_said():
    model = steep.SkipGram(4, window=1, min_count=1, subsample=0.01, seed=5)
    words = [*["often"] * 9000, *["some"] * 900, *["rare"] * 100]
    model.fit([str(w) for w in np.random.default_rng(0).permutation(words)], 1)
    share = np.array([0.9, 0.09, 0.01])
    keep = np.minimum(1, np.sqrt(0.01 / share) + 0.01 / share)
    np.testing.assert_array_equal(model._keep(), keep)
    want = 10_000 * 2 * (share * keep).sum()  # a neighbour on each side
    assert abs(model.history.history["pairs"][0] - want) < 5 * 2 * np.sqrt(want / 2) + 2


@pytest.mark.skipif(shutil.which("bible") is None, reason="apt-get install bible-kjv")
def test_the_king_james_bible():
    """Odd ones out and what is nearest to gold, of a text of 790,000 words."""
    told = subprocess.run(
        ["bible", "-f", "gen1:1-rev22:21"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout.decode(errors="replace")  # fmt: skip
    verses = re.sub(r"(?m)^[0-9]?[A-Za-z]+[0-9]*:[0-9]+ ", "", told).lower().split("\n")
    model = steep.SkipGram(64, seed=0)
    model.fit([found for verse in verses if (found := re.findall("[a-z]+", verse))], 5)
    assert len(model) == 5278
    assert model.doesnt_match(["moses", "aaron", "egypt", "joshua"]) == "egypt"
    assert model.doesnt_match(["gold", "silver", "brass", "mother"]) == "mother"
    assert model.doesnt_match(["father", "mother", "brother", "mountain"]) == "mountain"
    assert model.most_similar("gold", 1)[0][0] == "silver"


def test_the_vocabulary_is_of_the_frequent():
    sentences = [["b", "a", "b"], ["c", "a"], ["d"]]
    model = steep.SkipGram(4, min_count=2)
    model.fit(sentences, 1)
    assert model.vocabulary == ("a", "b") and model.counts.tolist() == [2, 2]
    assert "a" in model and "c" not in model and len(model) == 2
    model.fit([["a", "z", "b"]], 1)  # words it does not have are passed over
    assert model.vocabulary == ("a", "b") and len(model.history.history["loss"]) == 2


def test_a_text_and_its_words_are_the_same():
    words = " ".join(word for sentence in corpus(300) for word in sentence)
    text = data.Text.from_string(words, "word")
    models = [steep.SkipGram(**OPTIONS) for _ in range(3)]
    for model, given in zip(models, (text, words.split(), [words.split()]), strict=True):
        model.fit(given, 2)
    assert len({bytes_of(model) for model in models}) == 1


def test_the_same_bytes_for_any_number_of_threads(threads):
    model, alone = steep.SkipGram(**OPTIONS), steep.SkipGram(**OPTIONS)
    model.fit(corpus(500), 2)
    with steep.threads(1):
        alone.fit(corpus(500), 2)
    assert bytes_of(model) == bytes_of(alone)
    other = steep.SkipGram(**(OPTIONS | {"seed": 4}))
    other.fit(corpus(500), 2)
    assert bytes_of(model) != bytes_of(other)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_saved_and_loaded_it_goes_on(precision, tmp_path):
    model = steep.SkipGram(**OPTIONS, precision=precision)
    model.fit(corpus(300), 2)
    model.save(tmp_path / "words")
    again = steep.SkipGram.load(tmp_path / "words")
    assert repr(again) == repr(model) and again.vocabulary == model.vocabulary
    assert again.similarity("dog", "cat") == model.similarity("dog", "cat")
    for one in (model, again):
        one.fit(corpus(300, seed=1), 1)
    assert bytes_of(model) == bytes_of(again)
    again.save(tmp_path / "twice")
    model.save(tmp_path / "words")
    assert (tmp_path / "words").read_bytes() == (tmp_path / "twice").read_bytes()
    steep.Sequential(layers.Dense(2)).build(3).save_weights(tmp_path / "net")
    with pytest.raises(ValueError, match=r"net: was not written by SkipGram\.save"):
        steep.SkipGram.load(tmp_path / "net")


def test_a_network_begins_with_the_vectors():
    model = steep.SkipGram(**OPTIONS)
    model.fit(corpus(100), 1)
    net = steep.Sequential(model.layer(), layers.Flatten())
    net.build((2,))
    ids = np.array([[0, 3], [14, 0]])
    np.testing.assert_array_equal(net.predict(ids), model.vectors[ids].reshape(2, -1))


def test_losses_are_written_where_asked(capsys):
    model = steep.SkipGram(**OPTIONS)
    model.fit(corpus(50), 2, progress=False)
    assert capsys.readouterr().err == ""
    model.fit(corpus(50), 1)
    assert re.match(r"epoch 3/3  loss \d\.\d{4}  .*samples/s\n$", capsys.readouterr().err)
    with pytest.raises(TypeError, match="progress must be True or False"):
        model.fit(corpus(50), 1, progress=1)


def test_a_rate_too_large_leaves_what_was_learned():
    model = steep.SkipGram(**OPTIONS)
    model.fit(corpus(100), 1)
    before = bytes_of(model)
    model.lr = model.lr_end = 1e30
    with pytest.raises(steep.NonFiniteError, match="learning rate"):
        model.fit(corpus(100), 1)
    assert bytes_of(model) == before
    assert len(model.history.history["loss"]) == 1


@pytest.mark.parametrize(
    ("ask", "error", "match"),
    [
        (lambda m: m.fit("a text"), TypeError, r"got str; str\.split\(\) makes words"),
        (lambda m: m.fit(3), TypeError, "words, or sentences of words, got int"),
        (lambda m: m.fit([1, 2]), TypeError, "not both, nor numbers"),
        (lambda m: m.fit([["a", 1]]), TypeError, "words must be strings"),
        (lambda m: m.fit(["a", ["b"]]), TypeError, "not both"),
        (lambda m: steep.SkipGram().fit(["a"] * 9 + ["b"]), ValueError, "at least 2 words.*got 1"),
        (lambda m: steep.SkipGram().fit([]), ValueError, "at least 2 words.*got 0 of 0"),
        (lambda m: m["gnu"], ValueError, "'gnu' is none of the 15 words"),
        (lambda m: m.most_similar([]), ValueError, "at least one word"),
        (lambda m: m.most_similar(3), TypeError, r"positive must be a word or several, got 3"),
        (lambda m: m.doesnt_match(["dog"]), ValueError, "at least two words"),
        (lambda m: steep.SkipGram()["a"], RuntimeError, "call fit first"),
        (lambda m: steep.SkipGram().save("x"), RuntimeError, "call fit first"),
        (lambda m: steep.SkipGram(precision="float16"), ValueError, "unknown SkipGram: precision"),
    ],
)
def test_wrong_input_is_refused(ask, error, match):
    model = steep.SkipGram(**OPTIONS)
    model.fit(corpus(50), 1)
    with pytest.raises(error, match=match):
        ask(model)


def test_the_core_refuses_what_it_cannot_walk():
    with pytest.raises(ValueError, match="word 3 of 3"):
        native([0, 3], 3)
    with pytest.raises(ValueError, match="ends must ascend"):
        native([0, 1], 3, [2, 1])
    with pytest.raises(ValueError, match="ends at 1 of 2"):
        native([0, 1], 3, [1])
    with pytest.raises(ValueError, match="not all 0"):
        native([0, 1], 3, weights=[0, 0, 0])
    made, _ = native([0, 1], 3)
    with pytest.raises(ValueError, match="centres 0 to 3 of 2"):
        made.pairs(0, 3)
    table = np.zeros((3, 16), np.float32)
    for wrong in (table[:, :8], table[:2], table.T, np.zeros((3, 16))):
        with pytest.raises(ValueError, match="SkipGram: "):
            made.step(table, wrong, 0.1, 0, 2)
    with pytest.raises(TypeError, match="float32 or float64"):
        made.step(table.astype(int), table, 0.1, 0, 2)
