"""docs/notes: every page runs, draws, and prints the numbers that the lectures have."""

import contextlib
import io
import re
from pathlib import Path

import pytest

NOTES = Path(__file__).parents[1] / "docs" / "notes"
PAGES = sorted(NOTES.glob("plot_*.py"))
pytestmark = pytest.mark.skipif(not PAGES, reason="the documents are not here")

# What a page must print, by its topic.
PRINTED = {
    "descent": ["[ 2. -2.  2. -2.  2. -2.]  oscillates", "[2.     1.     0.5    0.25   0.125"],
    "graph": [
        "'sum_times.w1': -4.0, 'sum_times.w2': -4.0, 'sum_times.w3': 3.0",
        "w(1) = [ 2.  9. -7.],  L = -77", "f = 0.731058579", "100,000,000",
    ],
    "momentum": ["0.0: L after 100 steps is 1.322e-02", "0.9: L after 100 steps is 8.367e-05"],
    "nesterov": ["[ 1.        0.05     -0.4025   -0.404875]", "[ 0.1     -0.805   -0.80975]"],
    "adaptive": [
        "inside : [1.6847558 1.4751968 1.3102211]", "outside: [1.6862526 1.4774833 1.3130305]",
        "[1.6837722 1.211485  0.6815264]",
    ],
    "adam": ["0.06782037 -0.67180925", "1.76583984 1.61017606", "equal: True"],
    "schedules": ["0.0367879441", "inverse power: 0.05"],
    "clipping": ["clipped: longest step 0.1", "[0.6 0.8]"],
    "vanishing": ["3.125e-07]", "7.59375e+05]", "dense.weight vanishes"],
    "initialisation": ["Constant(value=0.1): 1 of 16 units differ", "xavier: 16 of 16 units"],
    "regularisation": ["variance", "early stopping"],
    "approximation": ["0 hidden units: all four right after 0 of 20", "8 hidden units: all four"],
    "batches": ["14330 updates", "largest difference: "],
    "residual": ["x + F(x) == x: True"],
    "tuning": ["suggested rate"],
}  # fmt: skip


def topic(page):
    return re.fullmatch(r"plot_\d\d_(\w+)", page.stem)[1]


@pytest.mark.parametrize("page", PAGES, ids=topic)
def test_the_page_runs_and_prints(page):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    printed = io.StringIO()
    text = page.read_text("utf-8")
    assert re.match(r'"""\n(.+)\n=+\n', text)
    with contextlib.redirect_stdout(printed):
        names = {"__name__": page.stem}
        exec(compile(text, str(page), "exec"), names)
    pyplot.close("all")
    for words in PRINTED[topic(page)]:
        assert words in printed.getvalue()


def test_every_topic_has_its_page():
    assert [topic(page) for page in PAGES] == list(PRINTED)
