"""`optimizers.compare`: its paths and losses are those of the lab and of trainers, and its picture.

No test needs a display.
"""

import importlib.util
import pickle
import sys
from pathlib import Path

import cases
import numpy as np
import pytest
import steep
from steep import data, lab, layers, optimizers
from steep.lab import surfaces
from steep.optimizers import SGD, Adam, compare


def bowl(w):
    return 0.5 * (w @ w)


def same(w):
    return w


def walk(optimizer, steps, start=(1.0, -2.0)):
    return compare({"it": optimizer}, surface=(bowl, same), start=start, steps=steps, epochs=0)


@pytest.mark.parametrize("name", sorted(surfaces.SURFACES))
def test_gradients_of_the_surfaces(name):
    ground = surfaces.SURFACES[name]
    random = np.random.default_rng(4)
    for point in random.uniform(-2, 2, (20, 2)):
        steps = 1e-5 * np.eye(2)
        central = [(ground.value(point + h) - ground.value(point - h)) / 2e-5 for h in steps]
        np.testing.assert_allclose(ground.grad(point), central, rtol=1e-6, atol=1e-6)
    (left, right), (bottom, top) = ground.limits
    assert left < ground.start[0] < right
    assert bottom < ground.start[1] < top


def test_every_rule_walks_as_in_the_lab_and_trains():
    """Those that measure a parameter, too: the point is one."""
    chosen = {name: row.optimizer for name, row in cases.RULES.items()}
    found = compare(chosen, surface="saddle", steps=7, epochs=1, batch_size=256)
    assert list(found.surface) == list(found.network) == list(chosen)
    ground = surfaces.SURFACES["saddle"]
    for name, optimizer in chosen.items():
        end = found.surface[name]
        assert end.path.tolist() == lab.descend(optimizer, ground.grad, ground.start, 7).tolist()
        assert end.loss.tolist() == [ground.value(w) for w in end.path]
        assert (end.optimizer, end.diverged) == (optimizer, None)
        assert found.network[name].loss.shape == (2,)
        assert np.isfinite(found.network[name].loss).all()


def test_the_losses_are_those_of_a_trainer():
    """On all data and of the network as it stands: before, and after each epoch."""
    (X, y), _ = data.load("digits")
    X, y = X[:300], y[:300]
    net = steep.Sequential(layers.Rescale(1 / 16), layers.Flatten(), layers.Dense(10))
    net.build((8, 8), seed=3)
    before = net.state_dict()
    found = compare([Adam(0.01)], surface=None, net=net, data=(X, y), epochs=2, seed=5)
    assert found.ground is None
    assert not found.surface
    for name, weights in before.items():
        assert net.state_dict()[name].tolist() == weights.tolist()  # a copy was trained
    trainer = steep.Trainer(net, "cross_entropy", Adam(0.01), seed=5)
    losses = [trainer.evaluate(X, y)["loss"]]
    for _ in range(2):
        trainer.fit(X, y, epochs=1, progress=False)
        losses.append(trainer.evaluate(X, y)["loss"])
    assert found.network["Adam"].loss.tolist() == losses


def test_equal_seeds_give_equal_numbers():
    def run(seed):
        found = compare(["momentum"], steps=20, epochs=2, seed=seed, batch_size=128)
        ends = found.surface["momentum"], found.network["momentum"]
        return ends[0].path.tolist(), ends[1].loss.tolist(), [end.optimizer for end in ends]

    assert run(1) == run(1)
    assert run(1)[1] != run(2)[1]
    assert run(1)[0] == run(2)[0]  # nothing is drawn on the surface


def test_a_rate_that_nobody_chose_is_the_best_of_those_tried():
    """A bowl: after one step w is (1 - rate) w, so that 1, 100 times the default, is best."""
    made = walk(SGD(0.3), 1).surface["it"]
    assert made.optimizer == SGD(0.3)
    assert made.path[1].tolist() == pytest.approx([0.7, -1.4])
    named = walk("sgd", 1).surface["it"]
    assert named.optimizer.lr == pytest.approx(1.0)
    assert named.loss[1] == pytest.approx(0.0, abs=1e-20)
    chosen = {"name": "sgd", "made": SGD(0.02)}
    for tune, rates in ((True, [1.0, 0.02 * 10**1.5]), (False, [0.01, 0.02])):
        found = compare(chosen, surface=(bowl, same), start=(1, 1), steps=1, epochs=0, tune=tune)
        assert [end.optimizer.lr for end in found.surface.values()] == pytest.approx(rates)
    tried = [compare([SGD(0.01 * 10 ** (k / 2))], steps=30, epochs=0) for k in range(-6, 9)]
    ends = [t.surface["SGD"].loss[-1] for t in tried if t.surface["SGD"].diverged is None]
    assert compare("sgd", steps=30, epochs=0).surface["sgd"].loss[-1] == min(ends)
    schedule = steep.schedules.Cosine(0.3, 10)
    assert walk(Adam(schedule), 1).surface["it"].optimizer == Adam(schedule)


def test_methods_for_full_batches_train_the_network_alone(tmp_path):
    chosen = {"sgd": SGD(1e-3), "lbfgs": "lbfgs"}
    found = compare(chosen, steps=5, epochs=4)
    assert list(found.surface) == ["sgd"]
    assert list(found.network) == ["sgd", "lbfgs"]
    assert found.network["lbfgs"].optimizer == optimizers.LBFGS()
    assert found.network["lbfgs"].loss[4] < found.network["sgd"].loss[4]
    assert [line.split()[0] for line in str(found).splitlines()] == ["sgd", "lbfgs"]
    pytest.importorskip("matplotlib")
    assert texts(found.figure)[:2] == ["sgd: 0.001 | 0.001", "lbfgs: - | 1"]
    assert len(compare("lbfgs", epochs=1).figure.axes) == 1
    with pytest.raises(ValueError, match="nothing to do; give epochs"):
        compare("lbfgs", epochs=0)


def test_what_diverges_is_kept_as_far_as_it_went():
    end = walk(SGD(1e60), 9).surface["it"]  # the bowl is 1e120, 1e240, .. and then no number
    assert end.diverged == 3
    assert end.path.shape == (3, 2)
    assert np.isfinite(end.loss).all()
    assert end.loss.tolist() == [bowl(w) for w in end.path]

    def broken(w):
        return w if w[0] > 0.5 else w * np.nan

    found = compare([SGD(0.4)], surface=(bowl, broken), start=(1, 1), steps=9, epochs=0)
    assert found.surface["SGD"].diverged == 3  # from .36
    assert found.surface["SGD"].path[:, 0].tolist() == pytest.approx([1, 0.6, 0.36])
    assert "diverged at step 3" in str(found)


def test_a_network_that_diverges():
    X, y = np.linspace(-1, 1, 64).reshape(-1, 1), np.zeros((64, 1))
    net = steep.Sequential(layers.Dense(1))
    chosen = {"good": SGD(0.1), "bad": SGD(1e18)}
    found = compare(chosen, surface=None, net=net, loss="mse", data=(X, y), epochs=4)
    good, bad = found.network["good"], found.network["bad"]
    assert good.diverged is None
    assert len(good.loss) == 5
    assert bad.diverged is not None
    assert bad.diverged <= 8
    assert len(bad.loss) < 5
    assert np.isfinite(bad.loss).all()
    assert bad.loss[0] == good.loss[0]


def test_names():
    assert len(compare(steps=1, epochs=0).surface) == 12
    twice = compare([SGD(0.1), "adam", SGD(0.2), optimizers.Lion], steps=1, epochs=0)
    assert list(twice.surface) == ["SGD", "adam", "SGD 2", "Lion"]
    assert len(str(twice).splitlines()) == 4


def texts(figure):
    found = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return found + [axes.get_title() for axes in figure.axes]


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "here.png"
    chosen = {"fine": SGD(1e-3), "wild": SGD(0.1)}
    found = compare(chosen, path, steps=30, epochs=1, batch_size=256)
    assert path.read_bytes()[:4] == b"\x89PNG"
    wild = found.surface["wild"].diverged
    assert wild is not None
    assert texts(found.figure) == [
        "fine: 0.001 | 0.001", f"wild: 0.1, diverged at step {wild} | 0.1",
        "rosenbrock", "loss on the surface", "loss of the network",
    ]  # fmt: skip
    surface, losses, network = found.figure.axes
    drawn = [line.get_xydata() for line in surface.lines]
    assert any(np.array_equal(line, found.surface["fine"].path) for line in drawn)
    drawn = [line.get_ydata() for line in losses.lines]
    assert any(np.array_equal(line, found.surface["fine"].loss) for line in drawn)
    drawn = [line.get_ydata() for line in network.lines]
    assert any(np.array_equal(line, found.network["wild"].loss) for line in drawn)
    crosses = [len([x for x in a.lines if x.get_marker() == "X"]) for a in found.figure.axes]
    assert crosses == [1, 1, 0]
    assert found.figure is found.figure
    found.save(tmp_path / "again.svg")
    assert (tmp_path / "again.svg").stat().st_size > 1000


def test_the_picture_of_the_documents(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    script = Path(__file__).parent.parent / "docs" / "compare.py"
    about = importlib.util.spec_from_file_location("compare_script", script)
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    assert module.main(["--surface", "ravine", "--picture", str(tmp_path / "p.png")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    assert (tmp_path / "p.png").stat().st_size < 200_000
    assert module.PICTURE.stat().st_size < 200_000


@pytest.mark.parametrize("surface", ["ravine", "saddle", None])
def test_panels(surface, tmp_path):
    """Negative heights, and the network alone."""
    pytest.importorskip("matplotlib")
    found = compare(
        ["sgd", SGD(1e12)], tmp_path / "x.pdf", surface=surface, steps=20,
        epochs=int(surface is None), batch_size=512, tune=False,
    )  # fmt: skip
    assert len(found.figure.axes) == (2 if surface else 1)


def test_numbers_need_no_matplotlib(tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    found = walk(SGD(0.1), 3)
    assert len(found.surface["it"].path) == 4
    with pytest.raises(ImportError, match=r"pip install 'steep\[plot\]'"):
        found.figure  # noqa: B018
    with pytest.raises(ImportError, match="matplotlib is not installed"):
        compare([SGD(0.1)], tmp_path / "x.png", steps=1, epochs=0)


def test_numbers_can_be_pickled():
    found = compare([SGD(1e-3)], steps=3, epochs=0)
    again = pickle.loads(pickle.dumps(found.surface))
    assert again["SGD"].path.tolist() == found.surface["SGD"].path.tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"optimizers": []}, ValueError, "at least one optimizer"),
        ({"optimizers": {"a": "sdg"}}, ValueError, 'did you mean "sgd"'),
        ({"optimizers": [3]}, TypeError, "expects a name or one of steep.optimizers"),
        ({"surface": "rosenbrok"}, ValueError, 'did you mean "rosenbrock"'),
        ({"surface": bowl}, TypeError, r"a pair of functions \(value, gradient\)"),
        ({"surface": (bowl, same)}, ValueError, r"needs start=\(x, y\)"),
        ({"start": (1.0, 2.0, 3.0)}, ValueError, "start must be finite numbers of shape"),
        ({"start": "ab"}, ValueError, "start must be finite numbers"),
        ({"limits": ((1, 1), (0, 2))}, ValueError, "limits must be"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0"),
        ({"surface": None, "epochs": 0}, ValueError, "nothing to do"),
        ({"data": ([[1.0]], [0]), "epochs": 1}, ValueError, "needs net="),
        ({"data": 3, "net": steep.Sequential(layers.Dense(1)), "epochs": 1}, TypeError, "a pair"),
        ({"surface": (lambda w: np.nan, same), "start": (1, 1)}, ValueError, "surface at start"),
    ],
)
def test_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        compare(**{"optimizers": ["sgd"], "epochs": 0, "steps": 2, **arguments})
