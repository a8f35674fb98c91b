"""Files of series: what is read, and what is refused with its line."""

import numpy as np
import pytest
from steep import data

HEAD = "@problemName some\n@timeStamps false\n@classLabel true b a\n@data\n"


def written(tmp_path, text, name="some.ts"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_series_of_two_channels_and_several_lengths(tmp_path):
    found = data.read_ts(written(tmp_path, f"# of\n{HEAD}1,2,3:4,5,6:a\n\n7:8:b\n-1e3,?:0,.5:a\n"))
    assert found.X.dtype == np.float32
    assert found.X.shape == (3, 3, 2)
    assert found.X[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert found.X[1].tolist() == [[7, 8], [0, 0], [0, 0]]
    assert np.isnan(found.X[2, 1, 0])
    assert found.lengths.tolist() == [3, 1, 2]
    assert found.lengths.dtype == found.y.dtype == np.int32
    assert found.classes == ("a", "b")
    assert found.y.tolist() == [0, 1, 0]


def test_classes_are_ordered_as_numbers_whatever_the_header(tmp_path):
    """The archive's training and test files do not always agree in their order."""
    text = "@classLabel true {}\n@data\n1:2\n1:10\n1:1\n"
    ways = [
        data.read_ts(written(tmp_path, text.format(order))) for order in ("1 10 2", "10 2 1", "")
    ]
    for found in ways:
        assert found.classes == ("1", "2", "10")
        assert found.y.tolist() == [1, 2, 0]


def test_targets_and_files_without(tmp_path):
    found = data.read_ts(written(tmp_path, "@targetlabel true\n@data\n1,2:0.5\n3,4:-2\n"))
    assert found.y.tolist() == [0.5, -2]
    assert found.classes == ()
    found = data.read_ts(written(tmp_path, "@data\n1,2:3,4\n"), steps=5)
    assert found.y is None
    assert found.X[0].tolist() == [[1, 3], [2, 4], [0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no line @data"),
        ("1,2:a\n", "line 1: expected a line of the header that begins with @"),
        (HEAD, "holds no series after @data"),
        (HEAD + "1,2:c\n", "line 5: class 'c' is not among those of the header, b, a"),
        (HEAD + "1,2:a\n1,two:a\n", "line 6: expected a number of float32, got 'two'"),
        (HEAD + "1,1e39:a\n", "line 5: expected a number of float32, got '1e39'"),
        (HEAD + "1,2:3:a\n", "line 5: its channels differ in length: 2, 1 values"),
        (HEAD + "1:2:a\n1:a\n", "line 6: has 1 channels, those before it have 2"),
        (HEAD + "a\n", "line 5: has no series before its label 'a'"),
        ("@timeStamps true\n@data\n(0,1),(1,2)\n", "has time stamps"),
        ("@classLabel perhaps\n@data\n1\n", "@classlabel is true or false, got 'perhaps'"),
        ("@targetLabel true\n@data\n1:x\n", "line 3: the target 'x' is no number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=r"some\.ts") as caught:
        data.read_ts(path)
    assert words in str(caught.value)


def test_wrong_steps(tmp_path):
    path = written(tmp_path, HEAD + "1,2,3:a\n")
    with pytest.raises(ValueError, match="its longest series has 3 steps, more than steps=2"):
        data.read_ts(path, steps=2)
    with pytest.raises(TypeError, match="steps"):
        data.read_ts(path, steps=2.5)
    with pytest.raises(FileNotFoundError):
        data.read_ts(tmp_path / "none.ts")


def test_a_network_learns_from_it(tmp_path):
    """Series that rise against those that fall, by a convolution over time."""
    import steep
    from steep import layers

    random = np.random.default_rng(0)
    lines = []
    for k in range(60):
        series = np.linspace(0, 1 - 2 * (k % 2), 12) + 0.1 * random.standard_normal(12)
        lines.append(",".join(f"{value:.4f}" for value in series) + ":" + "ab"[k % 2])
    found = data.read_ts(written(tmp_path, HEAD + "\n".join(lines)))
    net = steep.Sequential(layers.Conv1D(8, 3), layers.GlobalMaxPool1D(), layers.Dense(2))
    trainer = steep.Trainer(net, "cross_entropy", "adam")
    trainer.fit(found.X, found.y, epochs=60, batch_size=10, progress=False)
    assert trainer.evaluate(found.X, found.y)["accuracy"] > 0.95
