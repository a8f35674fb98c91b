"""`steep report`: every panel is there, shows the run's numbers, and loads nothing from outside."""

import base64
import csv
import html.parser
import io
import re
import sys

import numpy as np
import pytest
import steep
from steep import cli, data, lab, metrics
from steep.commands import panels, report

pytest.importorskip("matplotlib")


class Page(html.parser.HTMLParser):
    """The elements of a page: sources, headings, images with their words, text."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags, self.headings, self.images, self.words = [], [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        if tag == "img":
            self.images[given["alt"]] = given["src"]

    def handle_data(self, text):
        if self.tags[-1:] == ["h2"]:
            self.headings.append(text)
        self.words.append(text)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    made = ["train", "--units", "16", "--epochs", "3", "--quiet", "--out", str(folder)]
    assert cli.main(made) == 0
    assert cli.main(["report", str(folder)]) == 0
    return folder, Page((folder / "report.html").read_text("utf-8"))


def test_every_panel_is_there_and_nothing_comes_from_outside(digits):
    _, page = digits
    assert page.headings == [
        "Settings", "Result", "Learning curves", "Gradient flow", "Confusion matrix",
        "Worst-predicted samples",
    ]  # fmt: skip
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert len(page.sources) == 3 + report.WORST
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    text = "".join(page.words)
    assert "url(" not in text
    assert "@import" not in text
    image = pytest.importorskip("PIL.Image")
    for source in page.sources:
        with image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert pixels.std() > 1  # something is drawn


def test_the_numbers_are_those_of_the_run(digits):
    folder, page = digits
    text = "|".join(page.words)
    assert "mlp" in text
    assert "1290 train, 143 validation, 364 test" in text
    trainer = steep.Trainer.load(folder / "trainer.safetensors")
    _, (X, y) = data.load("digits")
    found = trainer.evaluate(X, y)
    assert f"{found['loss']:.6g}" in text
    assert f"{found['accuracy']:.6g}" in text


def test_the_worst_samples_are_the_worst(digits):
    folder, page = digits
    trainer = steep.Trainer.load(folder / "trainer.safetensors")
    _, (X, y) = data.load("digits")
    z = trainer.net.predict(X).astype(float)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    sure = p[np.arange(len(y)), y]
    order = np.argsort(sure, kind="stable")[: report.WORST]
    words = [alt for alt in page.images if alt.startswith("sample ")]
    assert [int(re.match(r"sample (\d+):", w)[1]) for w in words] == order.tolist()
    for k, alt in zip(order, words, strict=True):
        assert alt == f"sample {k}: true {y[k]}, predicted {z[k].argmax()}, p(true) {sure[k]:.2g}"


def test_the_pictures_show_their_data():
    counts = np.array([[5, 1], [0, 3]])
    axes = panels.confusion_figure(counts, ["cat", "dog"]).axes[0]
    assert [t.get_text() for t in axes.texts] == ["5", "1", "0", "3"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[5 / 6, 1 / 6], [0, 1]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    many = panels.confusion_figure(metrics.confusion(range(30), range(30)), list("x" * 30))
    assert not many.axes[0].texts
    found = [lab.GradientNorm("a.weight", 2.0, 0.5), lab.GradientNorm("b.weight", 0.1, np.nan)]
    axes = lab.GradientFlow(found).plot().axes[0]
    assert axes.lines[0].get_ydata().tolist() == [2.0, 0.1]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a.weight", "b.weight"]
    assert axes.get_yscale() == "log"
    none = lab.GradientFlow([lab.GradientNorm("a.weight", 0.0, 0.0)]).plot()
    assert none.axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("target", ["price", "kind"])
def test_tables(target, tmp_path):
    random = np.random.default_rng(0)
    a = random.normal(5, 3, 200)
    rows = [(f"{p:.4f}", f"{100 + 9 * p:.3f}", "<big>" if p > 5 else "small & old") for p in a]
    with open(tmp_path / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([("a", "price", "kind"), *rows])
    made = ["train", str(tmp_path / "t.csv"), "--target", target, "--epochs", "2", "--quiet"]
    drop = "kind" if target == "price" else "price"
    assert cli.main([*made, "--drop", drop, "--out", str(tmp_path / "run")]) == 0
    assert cli.main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "it.html")]) == 0
    text = (tmp_path / "it.html").read_text("utf-8")
    page = Page(text)
    assert ("Predictions" if target == "price" else "Confusion matrix") in page.headings
    assert "<big>" not in text
    last = "absolute error" if target == "price" else "probability of the true class"
    assert last in page.words


def test_a_run_that_makes_images(tmp_path):
    made = ["train", "--model", "autoencoder", "--epochs", "1", "--quiet"]
    assert cli.main([*made, "--out", str(tmp_path / "run")]) == 0
    page = Page(report.page(tmp_path / "run"))
    assert page.headings == ["Settings", "Learning curves", "Images"]
    assert "reconstructions" in page.images


def test_what_is_no_run_is_refused(tmp_path, capsys, digits):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "no run" in capsys.readouterr().err
    (tmp_path / "config.json").write_bytes((digits[0] / "config.json").read_bytes())
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "train at least one epoch" in capsys.readouterr().err


def test_without_matplotlib_one_line_says_how_to_get_it(digits, capsys, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["report", str(digits[0])]) == 2
    assert "steep[plot]" in capsys.readouterr().err
