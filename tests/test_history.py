"""What a history shows of itself: a table of pandas, a picture, a table in notebooks."""

import math
from xml.etree import ElementTree

import numpy as np
import pytest
import steep
from steep import layers


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
