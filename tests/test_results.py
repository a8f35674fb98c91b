"""docs/results: each script on small settings, and in full where that takes seconds."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "results"


def script(name):
    about = importlib.util.spec_from_file_location(f"results_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


def test_every_script_is_in_the_page_with_its_command():
    page = (FOLDER.parent / "results.md").read_text(encoding="utf-8")
    for path in FOLDER.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert f"python docs/results/{path.name}" in page
        assert re.search(rf"^python docs/results/{path.name}", text, re.M), path.name


def test_a_gru_adds_over_fifty_steps():
    assert script("series").learn_adding() < 0.02


def test_one_layer_reads_and_one_writes():
    """In full: .98 of whole sums by epoch 55."""
    assert script("series").learn_sums(epochs=55) >= 0.98


def test_linear_autoencoders_reach_principal_components():
    made = script("autoencoder")
    X, _ = made.digits()
    best = made.pca(X, 8)
    assert best == pytest.approx(0.02391325, abs=2e-8)
    for found in (made.linear(X, 8, 60), made.tied(X, 8, 60)):
        assert best - 1e-8 <= found < 1.01 * best


def test_noise_is_taken_away():
    made = script("autoencoder")
    errors = made.denoised(made.digits()[0])
    assert errors["autoencoder"] < errors["pca"] < errors["noise"] / 2


@pytest.mark.parametrize("persistent", [False, True])
def test_features_of_a_machine_beat_raw_pixels(persistent):
    found = script("rbm").compare(persistent=persistent)
    assert found["features"] - found["raw"] >= 0.12
    assert found["reconstruction"] < 0.040
    assert found["raw"] == pytest.approx(0.78, abs=0.03)
    assert found["pseudo-likelihood"] > -25


def test_learned_filters_beat_random_ones():
    runs = [script("transfer").compare(seed) for seed in range(5)]
    frozen, random = (np.mean([run[way] for run in runs]) for way in ("frozen", "random frozen"))
    assert frozen > random + 0.08


@pytest.mark.parametrize(("degrees", "gain"), [(20, 0.03), (40, 0.1)])
def test_a_reversed_gradient_adapts(degrees, gain):
    pytest.importorskip("sklearn")
    alone, adapted = script("dann").compare(degrees, 5)
    assert adapted - alone >= gain


def test_a_gan_finds_the_ring():
    modes, share = script("ring").train(0)
    assert modes >= 7
    assert share >= 0.5


def test_a_unet_finds_ink():
    assert script("unet").mask() >= 0.72


def test_a_unet_learns_which_digit_each_pixel_is_of():
    """In full it takes minutes and reaches .735; a fiftieth is above .086, background alone."""
    assert script("unet").classes(1000, 8, 16) > 0.13


def test_a_variational_autoencoder_of_digits():
    made = script("vae")
    X = np.concatenate([part[0] for part in script("autoencoder").data.load("digits")]) / 16
    X = X.astype(np.float32)
    found = made.train(X[300:], X[:300], epochs=20, latent=8, units=(64,))
    assert found["bound"] == pytest.approx(found["reconstruction"] + found["kl"])
    assert found["bound"] < 27
    assert found["kl"] > 1  # a mean over pixels in place of the sum would leave nothing of it


def test_distances_of_images_tell_near_from_far():
    made = script("dcgan")
    random = np.random.default_rng(0)
    kind = np.arange(600) % 10
    X = np.zeros((600, 28, 28, 1), np.float32) - 1
    for image, k in zip(X, kind, strict=True):
        image[2 * k : 2 * k + 8, 4:24] = random.random((8, 20, 1)) + 0.3
    judge = made.Judge(X[:300], kind[:300], epochs=4)
    test = judge.moments(X[300:])
    near = made.distance(judge.moments(X[:300]), test)
    far = made.distance(judge.moments(X[:300][kind[:300] == 3]), test)
    assert 0 < near < 0.2 * far
    assert made.distance(test, test) == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(judge.shares(X[300:]).sum(), 1)


def test_names_are_read_from_their_begin(tmp_path):
    """A GRU of these few names, all of whose letters follow from the one before, learns them."""
    made = script("language")
    X, y = made.padded(["abc", "de"])
    np.testing.assert_array_equal(X[:, :5], [[0, 1, 2, 3, 0], [0, 4, 5, 0, 0]])
    np.testing.assert_array_equal(y[:, :5], [[1, 2, 3, 0, -1], [4, 5, 0, -1, -1]])
    path = tmp_path / "names.txt"
    path.write_text("\n".join(["abcde", "fgh", "ijklm", "nopq"] * 150))
    even = np.log(4) * 600 / (5 + 3 + 5 + 4 + 4) / 150  # which of four, and nothing after that
    assert even - 0.05 < made.names_by_steps(path) < even + 0.1


def test_an_lstm_learns_a_text_by_its_states(tmp_path):
    """Each word is drawn by a coin: .2 bits a character."""
    words = np.random.default_rng(0).choice(["abcde", "fghij"], 30_000)
    path = tmp_path / "text.txt"
    path.write_text("".join(words))
    found = script("language").by_lstm(path, 30, every=15)
    assert list(found) == [15, 30]
    assert 0.19 < found[30] < 0.3


def test_sunspots_are_told_from_twelve_years(tmp_path):
    """A wave of eleven years follows from the two years before."""
    made = script("series")
    years = np.arange(1700, 2009)
    spots = 60 * (1 + np.sin(2 * np.pi * years / 11))
    path = tmp_path / "sunspots.csv"
    lines = [f"{year},{spot}" for year, spot in zip(years, spots, strict=True)]
    path.write_text("\n".join(["YEAR,SUNACTIVITY", *lines]))
    X, y, asked = made.sunspots(path)
    assert X.shape == (297, 12)
    assert asked[0] == 1712
    np.testing.assert_allclose(X[0] * made.LARGEST, spots[11::-1], rtol=1e-6)
    np.testing.assert_allclose(y[:, 0] * made.LARGEST, spots[12:], rtol=1e-6)
    assert max(made.forecast(path, 0)) < 0.02


def test_convolutions_read_curves():
    pytest.importorskip("mnist1d")
    assert script("series").convolve_curves() >= 0.89  # two seconds of one thread


def test_a_vision_transformer_learns_from_bytes():
    """Where a square lies is not to be seen when it is flipped: its side is the class."""
    made = script("vit")
    random = np.random.default_rng(0)
    y = np.arange(640) % 4
    X = random.integers(0, 60, (640, 28, 28, 1)).astype(np.uint8)
    for image, k in zip(X, y, strict=True):
        row, column = random.integers(0, 28 - 5 * (k + 1), 2)
        image[row : row + 5 * (k + 1), column : column + 5 * (k + 1)] += 150
    net = made.train(X[:512], y[:512], epochs=8, layers=1, units=32, classes=4)
    assert min(made.accuracy(net, X[512:], y[512:])) > 0.9
