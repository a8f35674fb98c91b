"""Methods for full batches: against their algorithms in NumPy, to their minima, their ends.

That they resume, look and thread as rules do are laws on random networks.
"""

from itertools import pairwise

import numpy as np
import pytest
import steep
from steep import callbacks, layers, optimizers

METHODS = {name: made for name, made in optimizers.METHODS.items()}


def trainer(method, *, outputs=2, width=6, loss="mse", precision="float64", **options):
    net = steep.Sequential(layers.Dense(width, "tanh"), layers.Dense(outputs))
    net.build((3,), seed=4)
    return steep.Trainer(net, loss, method, precision=precision, **options)


def batch(samples=40, outputs=2, seed=0):
    random = np.random.default_rng(seed)
    X = random.standard_normal((samples, 3))
    return X, np.sin(X @ random.standard_normal((3, outputs)))


def objective(trained, X, y):
    """Return f and g of flat weights, through the trainer's own gradients."""
    names = list(trained.gradients(X, y)[1])
    shapes = [trained.net.state_dict()[name].shape for name in names]

    def f(w):
        parts = np.split(w, np.cumsum([np.prod(s) for s in shapes])[:-1].astype(int))
        trained.net.load_state_dict(
            {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        )
        value, found = trained.gradients(X, y)
        return value, np.concatenate([found[n].ravel() for n in names])

    return f, np.concatenate([trained.net.state_dict()[n].ravel() for n in names])


def flat(net):
    return np.concatenate([w.ravel() for w in net.state_dict().values()])


def lbfgs_direction(g, pairs):
    """Return -H g, H a matrix by the formula of Broyden, Fletcher, Goldfarb and Shanno."""
    if not pairs:
        return -g
    s, y = pairs[-1]
    identity = np.eye(len(g))
    H = identity * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        V = identity - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return -H @ g


@pytest.mark.parametrize("history", [1, 3, 10])
def test_directions_of_lbfgs_are_those_of_its_matrix(history):
    """Each step lies on the line that the dense matrix of the last pairs gives."""
    X, y = batch()
    trained = trainer(optimizers.LBFGS(history=history, tol=0, change=0), l2=0.01)
    judge = trainer("sgd", l2=0.01)
    f, w = objective(judge, X, y)
    g, pairs = f(w)[1], []
    for _ in range(12):
        d = lbfgs_direction(g, pairs[-history:])
        trained.fit(X, y, epochs=1, progress=False)
        new = flat(trained.net)
        step = (new - w) @ d / (d @ d)
        assert step > 0
        np.testing.assert_allclose(new, w + step * d, rtol=0, atol=1e-7 * np.abs(step * d).max())
        value, slope = f(w)[0], g @ d
        after, g_new = f(new)
        assert after <= value + 1e-3 * step * slope  # Wolfe's conditions, strong
        assert abs(g_new @ d) <= 0.9 * abs(slope)
        pairs.append((new - w, g_new - g))
        w, g = new, g_new


BETA = {
    "PR+": lambda g, g0, d: max(0.0, g @ (g - g0) / (g0 @ g0)),
    "FR": lambda g, g0, d: g @ g / (g0 @ g0),
    "HS": lambda g, g0, d: max(0.0, g @ (g - g0) / (d @ (g - g0))),
    "DY": lambda g, g0, d: g @ g / (d @ (g - g0)),
}


@pytest.mark.parametrize("form", BETA)
def test_directions_of_conjugate_gradients(form):
    X, y = batch()
    trained = trainer(optimizers.ConjugateGradient(form=form, tol=0, change=0), l2=0.01)
    f, w = objective(trainer("sgd", l2=0.01), X, y)
    g = f(w)[1]
    d = -g
    for _ in range(12):
        trained.fit(X, y, epochs=1, progress=False)
        new = flat(trained.net)
        step = (new - w) @ d / (d @ d)
        assert step > 0
        np.testing.assert_allclose(new, w + step * d, rtol=0, atol=1e-9 * np.abs(step * d).max())
        g_new = f(new)[1]
        assert abs(g_new @ d) <= 0.1 * abs(g @ d)
        d = -g_new + BETA[form](g_new, g, d) * d
        assert d @ g_new < 0  # as so short a slope behind promises
        w, g = new, g_new


def matrix(judge, X, y, product):
    """Return a matrix of the trainer's, a product for each column, in order of the weights."""
    shapes = {name: a.shape for name, a in judge.gradients(X, y)[1].items()}
    sizes = [int(np.prod(s)) for s in shapes.values()]
    columns = []
    for unit in np.eye(sum(sizes)):
        parts = np.split(unit, np.cumsum(sizes)[:-1])
        v = {n: p.reshape(s) for (n, s), p in zip(shapes.items(), parts, strict=True)}
        found = getattr(judge, product)(X, y, v)
        columns.append(np.concatenate([found[n].ravel() for n in shapes]))
    return np.array(columns)


def newton_direction(H, g):
    """Return p by the conjugate gradients of Nocedal and Wright, algorithm 7.1."""
    enough = min(0.5, np.sqrt(np.linalg.norm(g))) * np.linalg.norm(g)
    p, r, d = np.zeros_like(g), g, -g
    while np.linalg.norm(r) > enough:
        if d @ H @ d <= 0:
            return p if p.any() else d
        alpha = r @ r / (d @ H @ d)
        p, after = p + alpha * d, r + alpha * H @ d
        d = -after + after @ after / (r @ r) * d
        r = after
    return p


def test_directions_of_newton_stop_before_negative_curvature():
    X, y = batch()
    trained = trainer(optimizers.NewtonCG(tol=0, change=0))
    judge = trainer("sgd")
    f, w = objective(judge, X, y)
    stopped = 0
    for _ in range(8):  # later the systems are so nearly singular that rounding shows
        g = f(w)[1]
        H = matrix(judge, X, y, "hvp")
        d = newton_direction(H, g)
        stopped += np.linalg.norm(H @ d + g) > min(0.5, np.sqrt(np.linalg.norm(g))) * (
            np.linalg.norm(g) * (1 + 1e-9)
        )
        trained.fit(X, y, epochs=1, progress=False)
        new = flat(trained.net)
        step = (new - w) @ d / (d @ d)
        assert step > 0
        np.testing.assert_allclose(new, w + step * d, rtol=0, atol=1e-7 * np.abs(step * d).max())
        w = new
    assert stopped


def seen(first, X, epochs, **fit):
    """Return what a network sees of X behind its first layers, in each epoch: SGD writes it down.

    Of one layer of zeros whose targets are a unit for each sample, the gradient is the samples.
    """
    count = len(X)
    net = steep.Sequential(*first(), layers.Flatten(), layers.Dense(count, use_bias=False))
    net.build(X.shape[1:])
    sgd = optimizers.SGD(count**2 / 2)
    trained = steep.Trainer(net, "mse", sgd, seed=7, precision="float64")
    whole = {"batch_size": count, "shuffle": False}  # a mask is that of a row of the batch
    found = []
    for _ in range(epochs):
        net.load_state_dict({name: np.zeros_like(w) for name, w in net.state_dict().items()})
        trained.fit(X, np.eye(count), epochs=1, progress=False, **whole, **fit)
        (weight,) = net.state_dict().values()
        found.append(weight.T)
    return found


CHANGING = {
    "masks": (lambda: [layers.Dropout(0.3, redraw="epoch")], {}),
    "images": (lambda: [], {"augment": steep.data.Augment(flip=True, shift=1)}),
}


@pytest.mark.parametrize("what", CHANGING)
def test_products_of_newton_see_what_the_epoch_sees(what):
    """Masks and changed images are those of the epoch in second derivatives, too."""
    first, fit = CHANGING[what]
    random = np.random.default_rng(1)
    X, (_, y) = random.standard_normal((40, 3, 2, 1)), batch()
    shown = seen(first, X, 5, **fit)
    assert all(np.abs(a - b).max() > 0.1 for a, b in pairwise(shown))
    body = lambda: [layers.Flatten(), layers.Dense(4, "tanh"), layers.Dense(2)]  # noqa: E731
    net, plain = steep.Sequential(*first(), *body()), steep.Sequential(*body()[1:])
    net.build(X.shape[1:], seed=4)
    plain.build((6,), seed=4)
    method = optimizers.NewtonCG(tol=0, change=0)
    trained = steep.Trainer(net, "mse", method, seed=7, precision="float64")
    judge = steep.Trainer(plain, "mse", "sgd", precision="float64")
    w, bent = flat(net), 0
    for now in shown:
        f, _ = objective(judge, now, y)
        g = f(w)[1]
        d = newton_direction(matrix(judge, now, y, "hvp"), g)
        stale = newton_direction(matrix(judge, shown[0], y, "hvp"), g)
        trained.fit(X, y, epochs=1, progress=False, **fit)
        new = flat(net)
        step = (new - w) @ d / (d @ d)
        assert step > 0
        np.testing.assert_allclose(new, w + step * d, rtol=0, atol=1e-7 * np.abs(step * d).max())
        bent += np.linalg.norm(d - stale) > 1e-2 * np.linalg.norm(d)
        w = new
    assert bent >= 2, "the products of the first epoch would have led elsewhere"


@pytest.mark.parametrize("method", METHODS)
def test_samples_are_read_alike_by_values_and_products(method):
    """A training in float32 sees data of float64 rounded, in second derivatives, too."""
    X, y = batch()
    ends = []
    for given in (X, X.astype(np.float32)):
        trained = trainer(method, precision="float32")
        trained.fit(given, y.astype(np.float32), epochs=5, progress=False)
        ends.append(flat(trained.net).tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("damping", [1e-3, 1e-12])
def test_steps_of_levenberg_and_marquardt(damping):
    """Each step solves the damped system; damping moves as Nielsen says."""
    X, y = batch()
    method = optimizers.LevenbergMarquardt(damping=damping, tol=0, change=0)
    trained = trainer(method, l2=0.01)
    judge = trainer("sgd", l2=0.01)
    f, w = objective(judge, X, y)
    value, g = f(w)
    G = matrix(judge, X, y, "gnvp")
    mu, nu, refused = damping * (g @ G @ g) / (g @ g), 2.0, 0
    for _ in range(12):
        for _trial in range(60):
            p = -np.linalg.solve(G + mu * np.eye(len(g)), g)
            after = f(w + p)[0]
            if after < value:
                break
            mu, nu, refused = mu * nu, 2 * nu, refused + 1
        gain = (value - after) / (0.5 * p @ (mu * p - g))
        mu, nu = mu * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
        trained.fit(X, y, epochs=1, progress=False)
        new = flat(trained.net)
        np.testing.assert_allclose(new, w + p, rtol=0, atol=1e-6 * np.abs(p).max())
        w = new
        value, g = f(w)
        G = matrix(judge, X, y, "gnvp")
    assert refused


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", METHODS)
def test_a_minimum_is_found_and_ends_the_fit(name, precision):
    X, y = batch()
    tol = {"float64": 1e-7, "float32": 1e-4}[precision]
    trained = trainer(METHODS[name](tol=tol, change=0), l2=0.05, precision=precision)
    X, y = X.astype(precision), y.astype(precision)
    history = trained.fit(X, y, epochs=3000, progress=False)
    value, g = trained.gradients(X, y)
    assert trained.epoch < 3000
    assert trained.finished
    assert len(history.history["loss"]) == trained.epoch == trained.steps
    assert max(np.abs(a).max() for a in g.values()) <= tol
    assert value < 0.75 * trainer("sgd", l2=0.05).gradients(X, y)[0]
    steps = trained.steps
    trained.fit(X, y, epochs=100, progress=False)  # nothing is left: one look, and over
    assert trained.steps == steps + 1


@pytest.mark.parametrize("name", METHODS)
def test_a_quadratic_is_solved(name):
    """Of a linear network mean squares are a quadratic, whose minimum is known in closed form."""
    random = np.random.default_rng(2)
    X, y = random.standard_normal((50, 5)), random.standard_normal((50, 2))
    net = steep.Sequential(layers.Dense(2))
    net.build((5,), seed=1)
    trained = steep.Trainer(net, "mse", METHODS[name](tol=1e-10, change=0), precision="float64")
    trained.fit(X, y, epochs=200, progress=False)
    w, b = steep.lab.least_squares(X, y)
    found = list(net.state_dict().values())
    np.testing.assert_allclose(found[0], w, atol=1e-8)
    np.testing.assert_allclose(found[1], b, atol=1e-8)
    assert trained.epoch < 60


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_epochs_that_nobody_looks_at_are_the_same(name, weighed):
    """Many iterations of one native call leave what one at a time does, the history too."""
    X, y = batch()

    def made():
        by = {"mse": steep.schedules.Linear(1.0, 3.0, 20)} if weighed else None
        return trainer(METHODS[name](tol=0, change=0), loss_weights=by)

    seen, one, many = made(), made(), made()
    for _ in range(9):
        one.fit(X, y, epochs=1, progress=False)
    seen.fit(X, y, epochs=9, progress=False, callbacks=[callbacks.EarlyStopping("loss", 99)])
    many.fit(X, y, epochs=9, progress=False)
    for other in (one, seen):
        assert flat(other.net).tobytes() == flat(many.net).tobytes()
        assert other.history.steps == many.history.steps
        for column, values in other.history.history.items():
            if column != "seconds":  # the weight multiplies a sum or its mean
                bound = 1e-15 if weighed else 0
                np.testing.assert_allclose(values, many.history.history[column], bound, 0)
        assert len(other.history.history["seconds"]) == 9


class Looks:
    """Asks for gradients of other samples between any two steps, and predicts."""

    def on_step_end(self, trainer):
        X, y = batch(samples=40, seed=9)
        trainer.gradients(X, y)
        trainer.evaluate(X, y)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_was_read_of_the_samples_is_not_taken_for_others(name, precision):
    """The plan keeps the samples between evaluations, but no longer than they are the same ones."""
    method = METHODS[name](tol=0, change=0)
    plain, looked = (trainer(method, precision=precision) for _ in range(2))
    for seed in (0, 1):
        X, y = batch(seed=seed)
        plain.fit(X, y, epochs=4, progress=False)
        looked.fit(X, y, epochs=4, progress=False, callbacks=[Looks()])
        assert flat(plain.net).tobytes() == flat(looked.net).tobytes()


def test_accuracies_of_epochs_are_those_of_the_start_of_each():
    random = np.random.default_rng(5)
    X, y = random.standard_normal((60, 3)), random.integers(0, 3, 60)
    weights = random.random(60)
    many, one = (trainer(optimizers.LBFGS(), loss="cross_entropy", outputs=3) for _ in range(2))
    many.fit(X, y, epochs=6, sample_weight=weights, progress=False)
    for _ in range(6):
        z = one.net.predict(X)
        wanted = weights[z.argmax(1) == y].sum() / weights.sum()
        one.fit(X, y, epochs=1, sample_weight=weights, progress=False)
        assert one.history.history["accuracy"][-1] == pytest.approx(wanted, rel=1e-12)
    assert one.history.history["accuracy"] == many.history.history["accuracy"]


def test_climbing_is_descent_of_the_loss_turned_over():
    X, y = batch()
    up = trainer(optimizers.LBFGS(maximize=True, tol=0, change=0), l2=0.3, loss="log_cosh")
    before = up.evaluate(X, y)["loss"]
    up.fit(X, y, epochs=5, progress=False)
    assert up.evaluate(X, y)["loss"] > before


def test_steps_by_themselves_go_on():
    X, y = batch()
    fitted, stepped = (trainer(optimizers.LBFGS(tol=0, change=0)) for _ in range(2))
    fitted.fit(X, y, epochs=6, progress=False)
    losses = [stepped.step(X, y) for _ in range(6)]
    assert losses == fitted.history.steps["loss"]
    assert flat(stepped.net).tobytes() == flat(fitted.net).tobytes()
    assert stepped.epoch == 0


def test_a_search_steps_back_from_where_there_are_no_numbers():
    random = np.random.default_rng(3)
    X = random.standard_normal((20, 2)).astype(np.float32) * 1e3
    net = steep.Sequential(layers.Dense(4, "exp"), layers.Dense(1))
    net.build((2,), seed=0)
    net.load_state_dict({k: w * 1e-3 for k, w in net.state_dict().items()})
    trained = steep.Trainer(net, "mse", optimizers.LBFGS(lr=1e6))
    y = random.standard_normal(20).astype(np.float32)
    before = trained.evaluate(X, y)["loss"]
    trained.fit(X, y, epochs=20, progress=False)
    assert trained.evaluate(X, y)["loss"] < before


def test_a_loss_that_is_not_finite_at_the_start_is_told():
    net = steep.Sequential(layers.Dense(2, "exp"))
    net.build((1,), seed=0)
    net.load_state_dict({k: np.full_like(w, 90.0) for k, w in net.state_dict().items()})
    trained = steep.Trainer(net, "mse", optimizers.LBFGS())
    with pytest.raises(steep.NonFiniteError, match="loss"):
        trained.fit(np.ones((4, 1), np.float32), np.ones((4, 2), np.float32), progress=False)
    assert trained.steps == 0


REFUSED = [
    (lambda: trainer(optimizers.LBFGS(), l1=0.1), "LBFGS: l1=0.1 is not for methods"),
    (lambda: trainer(optimizers.LBFGS(), clip_norm=1.0), "LBFGS: clip_norm=1.0"),
    (lambda: trainer(optimizers.LBFGS()).fit(*batch(), batch_size=39, progress=False),
     "takes all 40 samples for a step, got batch_size=39"),
    (lambda: setattr(trainer(optimizers.LBFGS()), "l1", 0.5), "l1=0.5"),
    (lambda: setattr(trainer("sgd", l1=0.5), "optimizer", optimizers.LBFGS()), "l1=0.5"),
    (lambda: optimizers.LBFGS(history=0), "history must be at least 1"),
    (lambda: optimizers.LBFGS(c1=0.9, c2=0.1), "c1 must be less than c2"),
    (lambda: optimizers.LBFGS(tol=-1.0), "tol"),
    (lambda: optimizers.ConjugateGradient(form="PRP"), "form"),
    (lambda: trainer(optimizers.LevenbergMarquardt(), loss="mae").gradients(*batch()),
     'is for the loss "mse", got "mae"'),
    (lambda: trainer(optimizers.LevenbergMarquardt(), width=400).gradients(*batch()),
     "at most 2000 weights at once, the network has 2402"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_another_history_is_another_state():
    X, y = batch()
    trained = trainer(optimizers.LBFGS(history=3))
    trained.optimizer = optimizers.LBFGS(history=5)  # nothing is done yet
    trained.fit(X, y, epochs=2, progress=False)
    with pytest.raises(ValueError, match="steps were done"):
        trained.optimizer = optimizers.LBFGS(history=4)
    trained.optimizer = optimizers.LBFGS(history=5, tol=1e-3)
    assert trained.tol == 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_a_checkpoint_has_all_of_a_method(name, tmp_path):
    X, y = batch()
    whole, cut = (trainer(METHODS[name](tol=0, change=0), l2=0.01) for _ in range(2))
    whole.fit(X, y, epochs=8, progress=False)
    cut.fit(X, y, epochs=5, progress=False)
    cut.save(tmp_path / "half.safetensors")
    again = steep.Trainer.load(tmp_path / "half.safetensors")
    assert again.optimizer == cut.optimizer
    again.fit(X, y, epochs=3, progress=False)
    assert flat(again.net).tobytes() == flat(whole.net).tobytes()
    assert again.history.steps == whole.history.steps


def test_descriptions_come_back():
    for made in METHODS.values():
        method = made(tol=1e-3)
        assert optimizers.from_config(method.get_config()) == method
        assert method.formula(show=False)
        assert steep.optimizers.get(type(method).__name__.lower()) == made()
