"""The picture of a network: a box for each layer, none on another, edges where tensors go."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import steep
from steep import layers, models

SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawing):
    """Return (left, top, right, bottom, lines) of every box."""
    found = []
    for group in ET.fromstring(drawing.svg).findall(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        found.append((x, y, x + w, y + h, [t.text for t in group.findall(f"{SVG}text")]))
    return found


def edges(drawing):
    """Return the ends of all edges, joined where they pass a row: boxes by name."""
    text = ET.fromstring(drawing.svg).find(f"{SVG}path").get("d")
    segments = {}
    for part in text.split("M")[1:]:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", part)]
        end = (numbers[0], numbers[2]) if "V" in part else tuple(numbers[-2:])
        segments.setdefault(tuple(numbers[:2]), []).append(end)
    ends = {name(b): b for b in boxes(drawing)}

    def reached(place):
        hit = [n for n, b in ends.items() if abs(b[1] - place[1]) < 0.2 and b[0] < place[0] < b[2]]
        if hit:
            return hit
        return [n for end in segments.get(place, []) for n in reached(end)]

    return {
        (n, to)
        for n, b in ends.items()
        for start, out in segments.items()
        if abs(b[3] - start[1]) < 0.2 and b[0] < start[0] < b[2]
        for end in out
        for to in reached(end)
    }


def name(box):
    return box[4][0]


def block():
    body = layers.Conv2D(8, 3, name="a"), layers.BatchNorm(name="b")
    return steep.Sequential(
        layers.Residual(*body, name="sum"), layers.Flatten(name="flat"), layers.Dense(2, name="d")
    ).build((4, 5, 8))


def test_boxes_and_edges_of_a_block():
    drawing = block().plot()
    assert [box[4] for box in sorted(boxes(drawing), key=lambda b: b[1])] == [
        ["input", "4 × 5 × 8"],
        ["sum.a", "Conv2D", "4 × 5 × 8", "584 parameters"],
        ["sum.b", "BatchNorm", "4 × 5 × 8", "32 parameters"],
        ["sum", "Residual", "4 × 5 × 8"],
        ["flat", "Flatten", "160"],
        ["d", "Dense", "2", "322 parameters"],
        ["output", "2"],
    ]
    assert edges(drawing) == {
        ("input", "sum.a"), ("sum.a", "sum.b"), ("sum.b", "sum"), ("input", "sum"),
        ("sum", "flat"), ("flat", "d"), ("d", "output"),
    }  # fmt: skip


def test_depth_joins_what_is_inside():
    found = [box[4] for box in sorted(boxes(block().plot(depth=1)), key=lambda b: b[1])]
    assert found[1] == ["sum", "Residual", "4 × 5 × 8", "616 parameters"]
    assert len(found) == 5
    with pytest.raises(ValueError, match="depth"):
        block().plot(depth=0)


@pytest.mark.parametrize("make", [
    lambda: models.unet(3, 4).build((16, 16, 1)),
    lambda: models.googlenet(10).build((64, 64, 3)),
    lambda: models.resnet_cifar(20).build((32, 32, 3)),
    lambda: models.densenet_bc(40).build((32, 32, 3)),
])  # fmt: skip
@pytest.mark.parametrize("depth", [None, 9])
def test_no_box_lies_on_another(make, depth):
    net = make()
    drawing = net.plot(depth=depth)
    found = np.array([box[:4] for box in boxes(drawing)])
    root = ET.fromstring(drawing.svg)
    size = float(root.get("width")), float(root.get("height"))
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] <= size).all()
    left, top, right, bottom = found.T
    over = (left[:, None] < right) & (left < right[:, None])
    over &= (top[:, None] < bottom) & (top < bottom[:, None])
    assert over.sum() == len(found), "each on itself only"
    if depth:
        told = sum(int(line.split()[0].replace(",", "")) for *_, lines in boxes(drawing)
                   for line in lines if line.endswith(" parameters"))  # fmt: skip
        assert told == sum(value.size for value in net.state_dict().values())


def test_shared_layers_functions_and_named_outputs():
    a, b = steep.Input(3), steep.Input(4)
    shared = layers.Dense(5, name="<shared>")
    x = shared(a) + shared(layers.Dense(3)(b))
    drawing = steep.Model([a, b], {"one": x, "two": a * 2.0}).build().plot()
    titles = sorted(name(box) for box in boxes(drawing))
    assert titles == [
        "<shared>", "<shared>", "add", "affine", "dense", "input 0", "input 1", "one", "two",
    ]  # fmt: skip
    assert drawing._repr_svg_() == drawing.svg
    assert repr(drawing) == "<drawing of 9 boxes; plot(path) writes it>"


def test_a_file_is_written(tmp_path):
    drawing = block().plot(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text("utf-8") == drawing.svg
    with pytest.raises(RuntimeError, match="input shape is not known yet"):
        steep.Sequential(layers.Dense(2)).plot()
