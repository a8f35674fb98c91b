"""What files of others have that PyTorch's exporters do not write: open sizes, pipelines, labels.

Each graph is the smallest that shows what a file of some package had.
"""

import numpy as np
import pytest
import steep
from runtimes import apart, as_list

onnx = pytest.importorskip("onnx")
node, ML = onnx.helper.make_node, "ai.onnx.ml"
random = np.random.default_rng(3)
LIMIT = 1e-5


def model_of(nodes, inputs, out, weights=()):
    """Return a model; inputs are (name, shape, kind), a kind of 1 is float32."""
    graph = onnx.helper.make_graph(
        nodes,
        "test",
        [onnx.helper.make_tensor_value_info(n, kind, shape) for n, shape, kind in inputs],
        [onnx.helper.make_tensor_value_info(name, 1, None) for name in out],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in dict(weights).items()],
    )
    opsets = [onnx.helper.make_opsetid(*of) for of in (("", 18), (ML, 3))]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture
def read(tmp_path):
    def read(model, **about):
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return steep.from_onnx(path, **about)

    return read


def reference(model, *arrays, of=None):
    from onnx.reference import ReferenceEvaluator

    names = [entry.name for entry in model.graph.input]
    return ReferenceEvaluator(model).run(of, dict(zip(names, arrays, strict=True)))


def batch(*shape):
    return random.normal(size=(4, *shape)).astype(np.float32)


# -- sizes that a file leaves open -----------------------------------------------------------------

W = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
SEEN = model_of(
    [node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]), node("GlobalAveragePool", ["a"], ["b"]),
     node("Flatten", ["b"], ["y"])],
    [("x", ["n", 3, "height", None], 1)], ["y"], {"w": W},
)  # fmt: skip


def test_sizes_that_are_open(read):
    X = batch(3, 6, 8)
    for shapes in ((3, 6, 8), [3, 6, np.int64(8)], {"x": (3, 6, 8)}):
        net = read(SEEN, shapes=shapes)
        assert net.input_shapes == ((6, 8, 3),)
        assert apart(net.predict(X.transpose(0, 2, 3, 1)), reference(SEEN, X)[0]) <= LIMIT


def test_a_file_without_any_sizes(read):
    """A batch of -1, as some converters write it, is open as well, and no sizes at all are."""
    X = batch(3, 6, 8)
    for shape in ([-1, 3, 0, -1], None):
        model = model_of(SEEN.graph.node, [("x", shape, 1)], ["y"], {"w": W})
        net = read(model, shapes=(3, 6, 8))
        assert apart(net.predict(X.transpose(0, 2, 3, 1)), reference(SEEN, X)[0]) <= LIMIT


def test_series_of_open_length_have_time_first(read):
    weights = {"w": batch(3)[None], "r": np.zeros((1, 4, 4), np.float32)}
    model = model_of(
        [node("RNN", ["x", "w", "r"], ["", "h"], hidden_size=4),
         node("Squeeze", ["h", "k"], ["z"])],
        [("x", ["steps", "n", 3], 1)], ["z"], {**weights, "k": np.array([0])},
    )  # fmt: skip
    X = batch(7, 3)
    net = read(model, shapes=(7, 3))
    assert apart(net.predict(X), reference(model, X.swapaxes(0, 1))[0]) <= LIMIT


@pytest.mark.parametrize(
    ("shapes", "error", "said"),
    [
        (
            None,
            ValueError,
            r"'x' has shape \(n, 3, height, 0\).*shapes=\{'x': \.\.\.\} gives those",
        ),
        ((4, 6, 8), ValueError, r"samples of shape \(4, 6, 8\) do not fit"),
        ((3, 6), ValueError, r"samples of shape \(3, 6\) do not fit"),
        ({"y": (3, 6, 8)}, ValueError, "no input is called 'y'"),
        ((3, 0, 8), ValueError, "sizes are 1 to 2147483647"),
        ((), ValueError, "sizes are 1 to 2147483647"),
        (5, TypeError, "a sample has a shape such as"),
        ("x", TypeError, "a sample has a shape such as"),
        ((3, 6.0, 8), TypeError, "sizes are whole numbers"),
        ((3, True, 8), TypeError, "sizes are whole numbers"),
    ],
)
def test_shapes_that_do_not_fit(read, shapes, error, said):
    with pytest.raises(error, match=said):
        read(SEEN, shapes=shapes)


def test_several_inputs_have_shapes_by_name(read):
    model = model_of(
        [node("Add", ["a", "b"], ["y"])], [("a", ["n", "m"], 1), ("b", ["n", 4], 1)], ["y"]
    )
    with pytest.raises(ValueError, match=r"a shape for each of the inputs \['a', 'b'\], by name"):
        read(model, shapes=(4,))
    A, B = batch(4), batch(4)
    np.testing.assert_allclose(read(model, shapes={"a": (4,)}).predict([A, B]), A + B)


def test_a_state_has_the_batch_second(read):
    """Of two fixed sizes the one that both inputs have is the batch."""
    weights = {"w": batch(4)[:, :, None].reshape(1, 4, 4), "r": np.zeros((1, 4, 4), np.float32)}
    model = model_of(
        [node("Gather", ["state", "k"], ["h"], axis=0), node("Add", ["x", "h"], ["y"])],
        [("x", [1, 4], 1), ("state", [2, 1, 4], 1)], ["y"], {**weights, "k": np.array(1)},
    )  # fmt: skip
    X, state = batch(4), batch(2, 4)
    np.testing.assert_allclose(read(model).predict([X, state]), X + state[:, 1], rtol=1e-6)
    other = model_of([node("Add", ["a", "b"], ["y"])], [("a", [2, 3], 1), ("b", [1, 3], 1)], ["y"])
    with pytest.raises(ValueError, match=r"other numbers of samples: \[1, 2\]"):
        read(other)


# -- tensors that are asked for --------------------------------------------------------------------

HEAD = random.normal(size=(4, 3)).astype(np.float32)
LABELLED = model_of(
    [node("MatMul", ["x", "w"], ["logits"]), node("Softmax", ["logits"], ["chances"]),
     node("ArgMax", ["chances"], ["best"], "best", axis=1),
     node("ArrayFeatureExtractor", ["classes", "best"], ["label"], "pick", domain=ML)],
    [("x", ["n", 4], 1), ("unread", [], 7)], ["label", "chances"],
    {"w": HEAD, "classes": np.arange(3)},
)  # fmt: skip


@pytest.mark.parametrize("names", ["chances", ["logits"], ["logits", "chances"]])
def test_outputs_that_are_asked_for(read, names):
    net, X = read(LABELLED, outputs=names), batch(4)
    model = model_of(LABELLED.graph.node[:2], [("x", ["n", 4], 1)], ["y"], {"w": HEAD})
    wanted = reference(model, X, of=[names] if isinstance(names, str) else names)
    found = net.predict(X)
    assert isinstance(found, dict) == (len(wanted) > 1)
    for got, theirs in zip(as_list(found), wanted, strict=True):
        assert apart(got, theirs) <= LIMIT
    assert read(LABELLED, outputs=["chances", "logits"]).predict(X).keys() == {"chances", "logits"}


def test_labels_are_refused_with_a_cure(read):
    model = model_of(LABELLED.graph.node, [("x", ["n", 4], 1)], ["label"], {
        "w": HEAD, "classes": np.arange(3)})  # fmt: skip
    with pytest.raises(ValueError, match=r"ArgMax \(nodes best\).*; outputs=\['chances'\] reads"):
        read(model)
    with pytest.raises(ValueError, match="no node gives 'chance'; the file's own are"):
        read(model, outputs="chance")
    for bad, error in (
        (3, TypeError),
        ([3], TypeError),
        ([], ValueError),
        (["a", "a"], ValueError),
    ):
        with pytest.raises(error, match="outputs is"):
            read(model, outputs=bad)


def branch(*nodes, out):
    ends = [onnx.helper.make_tensor_value_info(out, 1, None)]
    return onnx.helper.make_graph(nodes, "branch", [], ends)


def choosing(condition):
    """What PyTorch's older exporter makes of `squeeze(1)` where it does not know the size."""
    then = branch(node("Squeeze", ["a", "one"], ["b"]), out="b")
    other = branch(node("Cumsum", ["a"], ["c"]), out="c")  # which is no operator at all
    return [
        node("Relu", ["x"], ["a"]), node("Shape", ["a"], ["s"]),
        node("Gather", ["s", "one"], ["n"]), node("Equal", [condition, "one"], ["q"]),
        node("If", ["q"], ["d"], "it", then_branch=then, else_branch=other),
        node("Neg", ["d"], ["y"]),
    ]  # fmt: skip


def test_branches_that_shapes_choose(read):
    given, X = {"one": np.array([1])}, batch(1, 4)
    model = model_of(choosing("n"), [("x", ["n", 1, 4], 1)], ["y"], given)
    for net in (read(model), read(model, outputs="y")):
        np.testing.assert_array_equal(net.predict(X), -np.maximum(X[:, 0], 0))
    wide = model_of(choosing("n"), [("x", ["n", 2, 4], 1)], ["y"], given)
    with pytest.raises(ValueError, match=r"'Cumsum_0' \(Cumsum\): is an operator that steep"):
        read(wide)
    nodes = choosing("n")
    nodes[2] = node("Gather", ["s", "zero"], ["n"])  # the number of samples
    wide = model_of(nodes, [("x", ["n", 1, 4], 1)], ["y"], {**given, "zero": np.array(0)})
    with pytest.raises(ValueError, match=r"\(Equal\): compares the number of samples"):
        read(wide)
    wide = model_of(choosing("x"), [("x", ["n", 1, 4], 1)], ["y"], given)
    with pytest.raises(ValueError, match=r"\(Equal\)"):
        read(wide)


def test_quantised_numbers_have_a_cure(read):
    model = model_of([node("QuantizeLinear", ["x", "s"], ["y"], "q")], [("x", ["n", 4], 1)], ["y"],
                     {"s": np.float32(2)})  # fmt: skip
    with pytest.raises(ValueError, match=r"nodes q\); quantised numbers do not train"):
        read(model)


# -- pipelines of tables ---------------------------------------------------------------------------


def classifier(kind, post):
    labels = {f"classlabels_{kind}": [0, 1, 2] if kind == "ints" else ["a", "b", "c"]}
    return node(
        "LinearClassifier", ["b"], ["label", "c"], "last", domain=ML, post_transform=post,
        coefficients=random.normal(size=12).tolist(), intercepts=[0.5, -1.0, 2.0], **labels,
    )  # fmt: skip


@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("kind", ["ints", "strings"])
def test_a_linear_classifier_of_scaled_columns(read, kind, post):
    nodes = [
        node("Scaler", ["x"], ["a"], domain=ML, offset=[1.0, 2.0, -3.0, 0.0], scale=[0.5, 2, 1, 4]),
        node("Normalizer", ["a"], ["b"], domain=ML, norm="L1"),
        classifier(kind, post),
    ]
    model, X = model_of(nodes, [("x", ["n", 4], 1)], ["label", "c"]), batch(4)
    with pytest.raises(ValueError, match=r"LinearClassifier \(nodes last\); outputs=\['c'\]"):
        read(model)
    net = read(model, outputs="c")
    assert apart(net.predict(X), reference(model, X)[1]) <= LIMIT
    assert net.num_parameters == 15
    trainer = steep.Trainer(net, "mse", steep.optimizers.SGD(0.1))
    assert trainer.step(X, np.ones((4, 3))) > trainer.step(X, np.ones((4, 3)))


@pytest.mark.parametrize("targets", [1, 2])
def test_a_linear_regressor(read, targets):
    about = {"coefficients": random.normal(size=4 * targets).tolist(), "targets": targets,
             "intercepts": random.normal(size=targets).tolist()}  # fmt: skip
    nodes = [
        node("Scaler", ["x"], ["a"], domain=ML, offset=[0.5], scale=[2.0]),
        node("Normalizer", ["a"], ["b"], domain=ML, norm="L2"),
        node("LinearRegressor", ["b"], ["y"], domain=ML, **about),
    ]
    model, X = model_of(nodes, [("x", ["n", 4], 1)], ["y"]), batch(4)
    X[0] = 0.5  # all 0 behind the scaler
    assert apart(read(model).predict(X), reference(model, X)[0]) <= LIMIT


@pytest.mark.parametrize(
    ("op", "about", "said"),
    [
        ("Scaler", {"offset": [1.0, 2.0], "scale": [1.0]}, "2 numbers as its offset"),
        ("Normalizer", {"norm": "MAX"}, "norm MAX; steep has L1 and L2"),
        ("LinearRegressor", {"coefficients": [1.0] * 3}, "3 coefficients and 0 intercepts"),
        ("LinearRegressor", {"coefficients": [1.0] * 4, "post_transform": "PROBIT"}, "by PROBIT"),
    ],
)
def test_pipelines_that_are_refused(read, op, about, said):
    model = model_of(
        [node(op, ["x"], ["y"], "it", domain=ML, **about)], [("x", ["n", 4], 1)], ["y"]
    )
    with pytest.raises(ValueError, match=rf"'it' \({ML}.{op}\).*{said}"):
        read(model)


# -- pads, constants of each sample, whole numbers -------------------------------------------------


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [[2, 0, 1, 3], [0, 1, 0, 0], [3, 2, 3, 4]])
def test_pads_of_numbers_that_are_there(read, mode, pads):
    top, left, bottom, right = pads
    told = {"p": np.array([0, 0, top, left, 0, 0, bottom, right])}
    nodes = [node("Pad", ["x", "p"], ["a"], mode=mode), node("Conv", ["a", "w"], ["y"])]
    model = model_of(nodes, [("x", ["n", 3, 4, 5], 1)], ["y"], {"w": W, **told})
    X = batch(3, 4, 5)
    found = read(model).predict(X.transpose(0, 2, 3, 1))
    inside = np.pad(X, ((0, 0), (0, 0), (top, bottom), (left, right)), mode)
    plain = model_of(nodes[1:], [("a", ["n", 3, *inside.shape[2:]], 1)], ["y"], {"w": W})
    assert apart(found, reference(plain, inside)[0].transpose(0, 2, 3, 1)) <= LIMIT


@pytest.mark.parametrize("ends", [(-1, -(1 << 31), -1), (3, 0, -2), (9, -9, -3)])
def test_places_are_cut_backwards(read, ends):
    given = dict(zip("abc", (np.array([n]) for n in ends), strict=True))
    nodes = [node("Slice", ["x", "a", "b", "one", "c"], ["y"])]
    model, X = (
        model_of(nodes, [("x", ["n", 5], 1)], ["y"], {**given, "one": np.array([1])}),
        batch(5),
    )
    np.testing.assert_array_equal(read(model).predict(X), reference(model, X)[0])


def test_axes_that_a_file_claims_are_not_listed(read):
    """2^31 - 1 places would be 16 GiB of numbers."""
    size, given = (1 << 31) - 1, {"p": np.array([0, 1, 0, 0]), "m": np.array([-1])}
    pads = [node("Pad", ["x", "p"], ["y"], mode="reflect")]
    cuts = [node("Slice", ["x", "m", "end", "axis", "m"], ["y"])]
    ends = {"end": np.array([-(1 << 40)]), "axis": np.array([1])}
    for nodes, weights in ((pads, given), (cuts, {**given, **ends})):
        with pytest.raises(ValueError, match=r"pads an axis of 2147483647|takes 2147483647 places"):
            read(model_of(nodes, [("x", ["n", size], 1)], ["y"], weights))


@pytest.mark.parametrize(
    ("mode", "pad", "said"),
    [("reflect", 4, "pads an axis of 4 by 4 and 0"), ("wrap", 5, "pads an axis of 4 by 5 and 0"),
     ("reflect", -1, "pads an axis of 4 by -1 and 0"), ("round", 1, "pads by mode 'round'")],
)  # fmt: skip
def test_pads_that_are_refused(read, mode, pad, said):
    model = model_of([node("Pad", ["x", "p"], ["y"], mode=mode)], [("x", ["n", 4], 1)], ["y"],
                     {"p": np.array([0, pad, 0, 0])})  # fmt: skip
    with pytest.raises(ValueError, match=said):
        read(model)


def test_a_constant_of_each_sample_is_computed_with(read):
    """-1e9 for every sample, made of ones, is joined; what is empty is not there."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "zeros"], ["m"]),
        node("Concat", ["m", "twos"], ["t"], axis=0), node("Concat", ["m", "zeros"], ["e"], axis=0),
        node("ConstantOfShape", ["t"], ["ones"], value=onnx.helper.make_tensor("v", 1, [1], [1.0])),
        node("ConstantOfShape", ["e"], ["empty"]),
        node("Mul", ["ones", "low"], ["a"]), node("Add", ["a", "each"], ["b"]),
        node("Concat", ["x", "b", "empty"], ["y"], axis=1),
    ]  # fmt: skip
    given = {"zero": np.array(0), "zeros": np.array([0]), "twos": np.array([2]),
             "low": np.float32(-5), "each": np.array([1, 2], np.float32)}  # fmt: skip
    model, X = model_of(nodes, [("x", ["n", 3], 1)], ["y"], given), batch(3)
    np.testing.assert_array_equal(read(model).predict(X), reference(model, X)[0])
    given["each"] = np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match="other numbers for each sample"):
        read(model_of(nodes, [("x", ["n", 3], 1)], ["y"], given))


def test_shapes_of_whole_numbers_may_be_asked_for(read):
    nodes = [
        node("Shape", ["ids"], ["s"]), node("Gather", ["table", "ids"], ["a"]),
        node("Slice", ["s", "one", "two"], ["steps"]), node("Cast", ["steps"], ["f"], to=1),
        node("Div", ["a", "f"], ["y"]),
    ]  # fmt: skip
    given = {"table": batch(6)[:, :6], "one": np.array([1]), "two": np.array([2])}
    model, ids = (
        model_of(nodes, [("ids", ["n", 5], 7)], ["y"], given),
        random.integers(0, 4, (3, 5)),
    )
    assert apart(read(model).predict(ids), reference(model, ids)[0]) <= LIMIT
    nodes.append(node("Greater", ["ids", "two"], ["z"], "/mask/Greater"))
    with pytest.raises(ValueError, match=r"'ids' has whole numbers, with which '/mask/Greater'"):
        read(model_of(nodes, [("ids", ["n", 5], 7)], ["y", "z"], given))
    with pytest.raises(ValueError, match="'ids' has texts"):
        read(model_of(nodes, [("ids", ["n", 5], 8)], ["y"], given))


def test_sizes_are_divided_towards_zero(read):
    nodes = [node("Div", ["a", "b"], ["s"]), node("Cast", ["s"], ["f"], to=1),
             node("Mul", ["x", "f"], ["y"])]  # fmt: skip
    for a, b in ((-7, 2), (7, -2), (7, 2), (-7, -2), (-8, 2)):
        model = model_of(nodes, [("x", ["n", 2], 1)], ["y"], {"a": np.array(a), "b": np.array(b)})
        np.testing.assert_array_equal(
            read(model).predict([[1.0, 2.0]])[0] // 1, [int(a / b), 2 * int(a / b)]
        )
