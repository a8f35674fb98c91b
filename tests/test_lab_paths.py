"""Surfaces and the pictures of paths on them: gradients, minima, what is drawn, films."""

import itertools

import numpy as np
import pytest
from steep import lab, optimizers
from steep.lab import surfaces

EVERY = {**surfaces.SURFACES, "turned": surfaces.quadratic(7.0, 1.1)}
CHOSEN = {"plain": optimizers.SGD(1e-3), "Adam": optimizers.Adam(0.1), "wild": optimizers.SGD(0.1)}


@pytest.mark.parametrize("name", sorted(EVERY))
def test_gradients_are_central_differences(name):
    ground = EVERY[name]
    (left, right), (bottom, top) = ground.limits
    random = np.random.default_rng(4)
    points = [ground.start, *random.uniform([left, bottom], [right, top], (30, 2))]
    for point in points:
        steps = 1e-5 * np.eye(2)
        central = [(ground.value(point + h) - ground.value(point - h)) / 2e-5 for h in steps]
        size = np.linalg.norm(ground.grad(point))
        if name != "cliff" or size < 10.0:  # on its wall differences are those of the other side
            np.testing.assert_allclose(ground.grad(point), central, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", sorted(n for n in EVERY if len(EVERY[n].minima)))
def test_minima_are_lowest(name):
    ground = EVERY[name]
    heights = [ground.value(w) for w in ground.minima]
    np.testing.assert_allclose(heights, heights[0], atol=1e-12)
    for minimum in ground.minima:
        np.testing.assert_allclose(ground.grad(minimum), 0.0, atol=1e-10)
    (left, right), (bottom, top) = ground.limits
    grid = np.meshgrid(np.linspace(left, right, 61), np.linspace(bottom, top, 61))
    assert min(ground.value(w) for w in np.stack(grid, -1).reshape(-1, 2)) >= heights[0] - 1e-12


def test_what_is_known_of_each():
    assert surfaces.rosenbrock.value((1, 1)) == surfaces.beale.value((3, 0.5)) == 0.0
    assert surfaces.himmelblau.value((3, 2)) == surfaces.rastrigin.value((0, 0)) == 0.0
    assert surfaces.rosenbrock([-1, 1]) == 4.0
    assert surfaces.quadratic(9.0)([1, 1]) == 5.0
    assert surfaces.saddle.value((0, np.sqrt(2))) == pytest.approx(-1.0)
    for k in range(6):  # three ways down and three up
        w = [np.cos(k * np.pi / 3), np.sin(k * np.pi / 3)]
        assert surfaces.monkey_saddle.value(w) == pytest.approx((-1) ** k)
    assert surfaces.monkey_saddle.grad((0, 0)).tolist() == [0, 0]
    curved = surfaces.quadratic(50.0, 0.3)
    matrix = np.array([curved.grad(e) for e in np.eye(2)])
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), [1, 50])


def test_the_cliff_is_one():
    """At the wall two points 2e-3 apart differ as nowhere else, and the gradient is far longer."""
    x = np.linspace(4.4, 5.2, 401)
    heights = np.array([surfaces.cliff.value((a, -2.4)) for a in x])
    steps = np.abs(np.diff(heights))
    assert steps.max() > max(0.15, 500 * np.median(steps))
    lengths = [np.linalg.norm(surfaces.cliff.grad((a, -2.4))) for a in x]
    assert max(lengths) > 1000 * np.median(lengths)


@pytest.mark.parametrize("condition", [10.0, 100.0])
def test_plain_descent_on_a_quadratic(condition):
    """At the best rate each step divides the error by (c + 1)/(c - 1); above 2/c it diverges."""
    ground = surfaces.quadratic(condition)
    path = lab.descend(optimizers.SGD(2 / (1 + condition)), ground.grad, (1.0, 1.0), 60)
    sizes = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], (condition - 1) / (condition + 1))
    fast = lab.descend(optimizers.SGD(2.02 / condition), ground.grad, (1.0, 1.0), 60)
    assert lab.behaviour(fast) == "diverges"


def test_the_picture_has_the_paths(tmp_path):
    pytest.importorskip("matplotlib")
    figure = lab.plot_paths(surfaces.rosenbrock, CHOSEN, steps=40, path=tmp_path / "paths.png")
    assert (tmp_path / "paths.png").stat().st_size > 10_000
    ground, losses = figure.axes
    path = lab.descend(CHOSEN["Adam"], surfaces.rosenbrock.grad, surfaces.rosenbrock.start, 40)
    assert any(np.array_equal(line.get_xydata(), path) for line in ground.lines)
    heights = [surfaces.rosenbrock.value(w) for w in path]
    assert any(np.array_equal(line.get_ydata(), heights) for line in losses.lines)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:2] == ["plain: 0.001", "Adam: 0.1"]
    assert words[2].startswith("wild: 0.1, diverged at step")
    assert (ground.get_xlabel(), losses.get_xlabel()) == ("x", "step")
    assert losses.get_title() == "loss on the surface"


def test_what_falls_without_end_leaves_the_others_visible(tmp_path):
    pytest.importorskip("matplotlib")
    rules = {"falls": optimizers.SGD(0.02, momentum=0.9), "waits": optimizers.SGD(0.02)}
    figure = lab.plot_paths("monkey_saddle", rules, steps=60, path=tmp_path / "it.png")
    low, high = figure.axes[1].get_ylim()
    assert -100 < low < high < 100
    drawn = [line.get_ydata() for line in figure.axes[1].lines]
    assert all(values.min() >= low for values in drawn if len(values))


@pytest.mark.parametrize("name", sorted(surfaces.SURFACES))
def test_low_is_bright(name):
    """Of the filled contours the first, lowest one is the brightest, and none is brighter after."""
    pytest.importorskip("matplotlib")
    figure = lab.plot_paths(name, {"it": optimizers.SGD(1e-4)}, steps=2)
    filled = figure.axes[0].collections[0]
    brightness = filled.cmap(filled.norm(filled.cvalues))[:, :3].mean(1)
    assert (np.diff(brightness) <= 0).all()
    assert brightness[0] > 0.95
    assert brightness[-1] < 0.5


@pytest.mark.parametrize("surface", ["saddle", surfaces.rosenbrock])
def test_the_film_shows_the_steps(surface, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    lab.plot_paths(surface, CHOSEN, steps=30, animation=tmp_path / "it.gif", frames=8)
    with image.open(tmp_path / "it.gif") as film:
        assert (film.format, film.n_frames) == ("GIF", 8)
        shown = []
        for k in range(8):
            film.seek(k)
            shown.append(np.asarray(film.convert("RGB"), np.int64))
    assert all((a != b).any() for a, b in itertools.pairwise(shown))
    lab.plot_paths(surface, CHOSEN, steps=3, animation=tmp_path / "short.gif", frames=50)
    with image.open(tmp_path / "short.gif") as film:
        assert film.n_frames == 4


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"one of lab\.surfaces, or a pair of functions"):
        lab.plot_paths(3, CHOSEN)
    with pytest.raises(ValueError, match="frames must be"):
        lab.plot_paths("saddle", CHOSEN, frames=0)
    with pytest.raises(ValueError, match="condition must be"):
        surfaces.quadratic(0.5)
    with pytest.raises(ValueError, match="nothing to do"):
        lab.plot_paths("saddle", {"full": "lbfgs"})
