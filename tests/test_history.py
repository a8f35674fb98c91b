"""What a history shows of itself: a table of pandas, a picture, a table in notebooks."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest
import steep
from steep import callbacks, data, layers


@pytest.fixture(scope="module")
def history():
    """Three epochs, and one more with a validation."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    trainer = steep.Trainer(steep.Sequential(layers.Dense(2)), "cross_entropy", "adam")
    trainer.fit(X, y, epochs=3, progress=False)
    return trainer.fit(X, y, validation=(X, y), progress=False)


def test_as_a_table(history):
    pd = pytest.importorskip("pandas")
    table = history.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert list(table.index) == [1, 2, 3, 4] and table.index.name == "epoch"
    for name, values in history.history.items():
        np.testing.assert_array_equal(table[name], values)
    assert math.isnan(table["val_loss"][3])
    assert steep.History().to_frame().empty


def test_as_a_picture(history, tmp_path):
    pytest.importorskip("matplotlib")
    figure = history.plot(tmp_path / "curve.svg", title="digits")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    drawn = figure.axes[0].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(drawn, history.history["loss"])
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match="no epochs"):
        steep.History().plot()


def test_in_a_notebook(history):
    table = ElementTree.fromstring(history._repr_html_())
    names = [cell.text for cell in table[0]]
    assert names == ["epoch", *history.history]
    last = [cell.text for cell in table[-1]]
    assert last[:2] == ["4", f"{history.history['loss'][-1]:.4g}"] and len(table) == 5
    assert len(ElementTree.fromstring(steep.History()._repr_html_())) == 1


def test_what_a_notebook_shows_is_short():
    """Objects of a cell's last line: numbers of data are never among it."""
    digits = data.open_dataset("digits")
    assert repr(digits).startswith("Dataset('digits': 1290 training, ")
    assert repr(digits).endswith("test samples of 8x8, 10 classes)")
    found = data.read_target(["a", "b"] * 500, "x")
    assert repr(found) == "Target(1000 samples of 2 classes: 'a', 'b')"
    assert repr(data.read_target(np.arange(30) / 7, "x")) == "Target(30 values)"
    stopping = callbacks.EarlyStopping(patience=3)
    assert repr(stopping) == (
        "EarlyStopping(monitor='val_loss', patience=3, min_delta=0.0, restore_best=True, "
        "mode='min', ties='first')"
    )
    net = steep.Sequential(layers.Dense(3, "relu", name="<first>"))
    trainer = steep.Trainer(net, "mse", "sgd")
    assert trainer._repr_html_().count("<table>") == 0
    trainer.fit(np.ones((4, 2)), np.ones((4, 3)), epochs=2, progress=False)
    shown = trainer._repr_html_()
    assert shown.startswith("<pre>Trainer(Sequential, MeanSquaredError")
    assert shown.count("<table>") == 1
    assert "&lt;first&gt;" in shown
