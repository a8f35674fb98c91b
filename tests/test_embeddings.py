"""Word vectors with negatives, as products of one-hot rows: there is no layer that gathers."""

import numpy as np
import pytest
import steep
from steep import layers, losses, ops


class Pairs(layers.Layer):
    """Logits of a centre with each of some contexts: the products of their vectors."""

    def __init__(self, centres, contexts, name=None):
        super().__init__(name)
        self.centres, self.contexts = centres, contexts

    def call(self, centre, others):
        width = self.centres.shape[1]
        u = centre @ self.parameter("centres", self.centres.shape, self.centres)
        v = others @ self.parameter("contexts", self.contexts.shape, self.contexts)
        return ops.sum(v * ops.reshape(u, (1, width)), -1)


def sines(start, *shape):
    return 0.5 * np.sin(start + np.arange(np.prod(shape), dtype=float)).reshape(shape)


def test_golden_skip_gram():
    """A centre, its context and two negatives: -log s(u.v0) - log s(-u.v1) - log s(-u.v2)."""
    centre, others = steep.Input((1,)), steep.Input((3, 3))
    net = steep.Model(
        [centre, others], Pairs(sines(1, 1, 4), sines(2, 3, 4), "words")(centre, others)
    )
    trainer = steep.Trainer(
        net, losses.BinaryCrossEntropy(), "sgd", precision="float64",
        loss_weights={"binary_cross_entropy": 3.0},
    )  # fmt: skip
    X, y = [np.ones((1, 1)), np.eye(3)[None]], np.array([[1.0, 0.0, 0.0]])
    loss, found = trainer.gradients(X, y)
    assert loss == pytest.approx(1.7361217317, abs=5e-11)
    wanted = [-0.3629116938, -0.0563875055, 0.3019790953, 0.3827075085]
    np.testing.assert_allclose(found["words.centres"][0], wanted, atol=5e-11)


def test_words_that_occur_together_come_near():
    """Two topics of three words each; the centre and the context of a pair are of one topic."""
    random = np.random.default_rng(0)
    words, negatives, count = 6, 4, 512
    centre = random.integers(0, words, count)
    context = centre // 3 * 3 + random.integers(0, 3, count)
    others = np.concatenate([context[:, None], random.integers(0, words, (count, negatives))], 1)
    inputs = steep.Input((words,)), steep.Input((1 + negatives, words))
    start = 0.1 * random.standard_normal((2, words, 8))
    net = steep.Model([*inputs], Pairs(*start, "words")(*inputs))
    trainer = steep.Trainer(net, "binary_cross_entropy", steep.optimizers.Adam(0.03), seed=0)
    X = [np.eye(words)[centre], np.eye(words)[others]]
    y = np.tile(np.eye(1 + negatives)[0], (count, 1))
    trainer.fit(X, y, epochs=40, batch_size=64, progress=False)
    state = net.state_dict()
    near = state["words.centres"] @ state["words.contexts"].T
    same = np.arange(words)[:, None] // 3 == np.arange(words) // 3
    assert near[same].min() > near[~same].max() + 1
