"""Bad input, row by row: each is refused before the first step, and nothing trained is lost."""

import numpy as np
import pytest
import steep
from steep import callbacks, layers, losses, optimizers, schedules

X = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
Y = np.arange(30) % 5


def put(array, row, value):
    out = np.array(array, dtype=np.result_type(array, type(value)))
    out[row] = value
    return out


class Frame:
    """Looks like a table with text in it."""

    def __array__(self, dtype=None, copy=None):
        return np.array([["a", 1]], dtype=object)


# what is wrong, arguments of fit that say so, exception, message
FIT = [
    ("1-D X", {"X": X[:, 0]}, ValueError,
     r"\(samples, features\), got shape \(30,\).*X\[:, None\]"),
    ("scalar X", {"X": 3.0}, ValueError, r"X: expects \(samples, features\), got shape \(\)"),
    ("images", {"X": X.reshape(30, 4, 5)}, ValueError,
     r'Dense "fc1": expects 20 inputs, got \(30, 4, 5\)\. Put Flatten\(\) before it\.'),
    ("columns", {"X": X[:, :19]}, ValueError, r'Dense "fc1": expects 20 inputs, got \(30, 19\)'),
    ("no samples", {"X": X[:0], "y": Y[:0]}, ValueError, r"X: has no samples, shape \(0, 20\)"),
    ("no features", {"X": X[:, :0]}, ValueError, r"X: has no features, shape \(30, 0\)"),
    ("empty list", {"X": []}, ValueError, "X: "),
    ("text X", {"X": "data.csv"}, TypeError, "X: expects an array, got str"),
    ("None", {"X": None}, TypeError, "X: expects an array, got NoneType"),
    ("text array", {"X": X.astype(str)}, TypeError, "X: expects real numbers, got dtype <U"),
    ("complex", {"X": X.astype(complex)}, TypeError, "X: expects real numbers, got dtype complex"),
    ("object", {"X": put(X.astype(object), (2, 1), object())}, TypeError,
     r"X: expects real numbers, got an object \(object\) at row 2, column 1"),
    ("frame", {"X": Frame()}, TypeError,
     r"X: expects real numbers, got text \('a'\) at row 0, column 0; encode it"),
    ("dates", {"X": X.astype("M8[s]")}, TypeError, "X: expects real numbers, got dtype datetime"),
    ("ragged", {"X": [[1, 2], [3]]}, ValueError, "X: rows of different lengths"),
    ("masked", {"X": np.ma.masked_less(X, 0)}, ValueError, "X: masked"),
    ("NaN", {"X": put(X, (17, 3), np.nan)}, ValueError, "X: holds nan at row 17, column 3"),
    ("infinity", {"X": put(X, (2, 0), np.inf)}, ValueError, "X: holds inf at row 2, column 0"),
    ("float64 NaN", {"X": put(X.astype(float), (0, 19), np.nan)}, ValueError, "row 0, column 19"),
    ("strided NaN", {"X": put(X, (5, 7), np.nan)[::-1]}, ValueError, "row 24, column 7"),
    ("short y", {"y": Y[:29]}, ValueError, "X has 30 samples, but y has 29"),
    ("long y", {"y": np.tile(Y, 2)}, ValueError, "X has 30 samples, but y has 60"),
    ("scalar y", {"y": 1}, ValueError, "y: expects one target for each sample"),
    ("label 5", {"y": put(Y, 4, 5)}, ValueError,
     "y: label 5 at row 4 is out of range: the network has 5 outputs, so labels are 0 to 4"),
    ("label -1", {"y": put(Y, 0, -1)}, ValueError, "y: label -1 at row 0 is out of range"),
    ("label 1.5", {"y": put(Y, 6, 1.5)}, ValueError, "whole numbers, got 1.5 at row 6"),
    ("label NaN", {"y": put(Y, 6, np.nan)}, ValueError, "y: holds nan at row 6"),
    ("text labels", {"y": ["cat"] * 30}, TypeError, "y: labels must be whole numbers.*np.unique"),
    ("object y", {"y": put(Y.astype(object), 7, object())}, TypeError,
     r"y: labels must be whole numbers from 0, got an object \(object\) at row 7"),
    ("wide y", {"y": np.eye(4)[Y % 4]}, ValueError, r"y: expects labels \(N,\) or shape \(30, 5\)"),
    ("no probabilities", {"y": np.ones((30, 5))}, ValueError, "must add up to 1, row 0 gives 5"),
    ("negative probability", {"y": -np.eye(5)[Y]}, ValueError, "probabilities from 0 to 1"),
    ("weights shape", {"sample_weight": np.ones(29)}, ValueError, r"expects shape \(30,\)"),
    ("weight < 0", {"sample_weight": put(np.ones(30), 3, -1.0)}, ValueError, "got -1.0 at row 3"),
    ("weight NaN", {"sample_weight": put(np.ones(30), 3, np.nan)}, ValueError, "nan at row 3"),
    ("weights 0", {"sample_weight": np.zeros(30)}, ValueError, "all weights are 0"),
    ("epochs 0", {"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    ("epochs 1.5", {"epochs": 1.5}, TypeError, "epochs must be an int, got 1.5"),
    ("batch_size 0", {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ("batch_size -1", {"batch_size": -1}, ValueError, "batch_size must be at least 1, got -1"),
    ("batch_size True", {"batch_size": True}, TypeError, "batch_size must be an int, got True"),
    ("batch_size '32'", {"batch_size": "32"}, TypeError, "batch_size must be an int, got '32'"),
    ("shuffle", {"shuffle": "yes"}, TypeError, "shuffle must be True or False"),
    ("validation", {"validation": X}, TypeError, r"validation: expects \(Xv, yv\)"),
    ("validation X", {"validation": (X[:, :3], Y)}, ValueError, 'validation: Dense "fc1": expe'),
    ("validation y", {"validation": (X, Y[:3])}, ValueError, "validation: X has 30 samples, but y"),
    ("callback class", {"callbacks": [callbacks.CSVLog]}, TypeError, "write its parentheses"),
    ("no callback", {"callbacks": [3]}, TypeError, "3 has none of on_train_begin"),
    ("nothing to monitor", {"callbacks": [callbacks.EarlyStopping()]}, ValueError,
     r'nothing measures "val_loss".*validation=\(Xv, yv\)'),
    ("monitor", {"callbacks": [callbacks.EarlyStopping("auc")]}, ValueError, 'measures "auc"'),
]  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    net = steep.Sequential(layers.Dense(8, "relu", name="fc1"), layers.Dense(5))
    t = steep.Trainer(net, "cross_entropy", "adam")
    t.fit(X, Y, epochs=2, progress=False)
    return t


@pytest.mark.parametrize(
    ("arguments", "error", "message"), [row[1:] for row in FIT], ids=[row[0] for row in FIT]
)
def test_fit_refuses(trained, arguments, error, message):
    before, steps = trained.net.state_dict(), trained.steps
    given = {"X": X, "y": Y, "progress": False} | arguments
    with pytest.raises(error, match=message):
        trained.fit(given.pop("X"), given.pop("y"), **given)
    assert trained.steps == steps
    assert all(np.array_equal(v, trained.net.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("name", ["label 5", "NaN", "short y", "images", "object", "1-D X"])
def test_step_gradients_and_evaluate_refuse_the_same(trained, name):
    _, arguments, error, message = next(row for row in FIT if row[0] == name)
    given = {"X": X, "y": Y} | arguments
    for method in (trained.step, trained.gradients, trained.evaluate):
        with pytest.raises(error, match=message):
            method(given["X"], given["y"])


REGRESSION = [
    (np.ones((30, 3)), r"y: expects shape \(30, 1\), got \(30, 3\)"),
    (put(np.ones(30), 8, np.inf), "y: holds inf at row 8"),
]


@pytest.mark.parametrize(("y", "message"), REGRESSION)
def test_regression_targets(y, message):
    t = steep.Trainer(steep.Sequential(layers.Dense(1)), "mse", "sgd")
    with pytest.raises(ValueError, match=message):
        t.fit(X, y, progress=False)


def test_binary_targets_and_output_counts():
    t = steep.Trainer(steep.Sequential(layers.Dense(1)), "binary_cross_entropy", "sgd")
    with pytest.raises(ValueError, match=r"from 0 to 1, got \[2"):
        t.fit(X, put(np.zeros(30), 3, 2.0), progress=False)
    t = steep.Trainer(steep.Sequential(layers.Dense(1)), "cross_entropy", "sgd")
    with pytest.raises(ValueError, match="binary_cross_entropy"):
        t.fit(X, Y, progress=False)


NET = steep.Sequential(layers.Dense(5))
CE = "cross_entropy"
# what makes it, exception, message
MAKE = [
    (lambda: steep.Trainer(NET, "cross_entorpy", "adam"), ValueError, 'mean "cross_entropy"'),
    (lambda: steep.Trainer(NET, CE, "adm"), ValueError, 'did you mean "adam"'),
    (lambda: steep.Trainer(NET, 3, "adam"), TypeError, "loss: expects a name"),
    (lambda: steep.Trainer(NET, CE, 0.1), TypeError, "optimizer: expects a name"),
    (lambda: steep.Trainer(layers.Dense(3), CE, "adam"), TypeError, "steep network, got Dense"),
    (lambda: steep.Trainer(NET, CE, "sgd", l2=-1), ValueError, r"l2 must be in \[0, inf\)"),
    (lambda: steep.Trainer(NET, CE, "sgd", l1=float("nan")), ValueError, "l1 must be in"),
    (lambda: steep.Trainer(NET, CE, "sgd", clip_norm=0), ValueError, r"clip_norm must be in \(0"),
    (lambda: steep.Trainer(NET, CE, "sgd", clip_value="1"), TypeError, "clip_value must be a num"),
    (lambda: steep.Trainer(NET, CE, "sgd", reduction="avg"), ValueError, 'unknown reduction "avg"'),
    (lambda: steep.Trainer(NET, CE, "sgd", precision="float16"), ValueError, 'mean "float'),
    (lambda: steep.Trainer(NET, CE, "sgd", device="gpu"), ValueError, 'unknown device "gpu"'),
    *([(lambda: steep.Trainer(NET, CE, "sgd", device="cuda"), RuntimeError, 'Use device="cpu"')]
      if steep._core.cuda_status() else []),
    (lambda: steep.Trainer(NET, CE, "sgd", seed=-1), ValueError, r"seed must be in \[0, 2\^64\)"),
    (lambda: steep.Trainer(NET, CE, "sgd", seed=1.5), TypeError, "seed must be an int"),
    (lambda: steep.Trainer(NET, CE, "sgd", metrics=["acuracy"]), ValueError, 'mean "accuracy"'),
    (lambda: steep.Trainer(NET, "mse", "sgd", metrics=["accuracy"]), ValueError, "right classes"),
    (lambda: steep.Trainer(NET, CE, "sgd", decay_bias=1), TypeError, "decay_bias must be True"),
    (lambda: optimizers.Adam(lr=-1), ValueError, "Adam: lr must be in"),
    (lambda: optimizers.SGD(lr=float("nan")), ValueError, "SGD: lr must be in"),
    (lambda: optimizers.SGD(momentum=1.0), ValueError, r"momentum must be in \[0, 1\)"),
    (lambda: losses.Huber(delta=0), ValueError, "delta must be in"),
    (lambda: layers.Dense(0), ValueError, "units must be at least 1, got 0"),
    (lambda: layers.Dense(2.5), TypeError, "units must be an int"),
    (lambda: layers.Dense(4, "rleu"), ValueError, 'did you mean "relu"'),
    (lambda: layers.Dense(4, layers.ReLU), TypeError, "write its parentheses"),
    (lambda: layers.Dense(4, 3), TypeError, "a name or a layer"),
    (lambda: layers.Dense(4, name=""), TypeError, "non-empty string"),
    (lambda: layers.Dropout(1.0), ValueError, r"rate must be in \[0, 1\)"),
    (lambda: layers.Dropout(0.5, redraw="batch"), ValueError, 'unknown dropout redraw "batch"'),
    (lambda: layers.Dropout(0.5, scale_at="tset"), ValueError, 'did you mean "test"'),
    (lambda: layers.Reshape((-1, -1)), ValueError, "at most one axis"),
    (lambda: layers.Branches(layers.ReLU(), join="cat"), ValueError, 'did you mean "concat"'),
    (layers.Branches, ValueError, "at least one layer"),
    (steep.Sequential, ValueError, "at least one layer"),
    (lambda: steep.Sequential(layers.Dense), TypeError, "write its parentheses"),
    (lambda: steep.Sequential("relu"), TypeError, "expects layers, got 'relu'"),
    (lambda: steep.Sequential(layers.ReLU(), input_shape=(0,)), ValueError, "at least 1"),
    (lambda: steep.Input([]), ValueError, "at least one axis"),
    (lambda: steep.Input(("a",)), TypeError, "shape of ints"),
    (lambda: steep.Model(np.zeros(3), np.zeros(3)), TypeError, "symbolic tensors"),
    (lambda: callbacks.EarlyStopping(patience=0), ValueError, "patience must be at least 1"),
    (lambda: callbacks.EarlyStopping(mode="up"), ValueError, 'unknown mode "up"'),
    (lambda: callbacks.Checkpoint("a", every="step"), ValueError, 'unknown Checkpoint every'),
    (lambda: callbacks.Checkpoint("a{loss}"), ValueError, "may contain {epoch} and {step}"),
    (lambda: steep.set_num_threads(0), ValueError, "must be at least 1, got 0"),
    (lambda: steep.nothing, AttributeError, "no attribute 'nothing'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), MAKE)
def test_construction_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_shapes_that_do_not_fit_name_the_layer():
    with pytest.raises(ValueError, match=r'Residual "residual": the body gives \(7,\).*shortcut'):
        steep.Sequential(layers.Residual(layers.Dense(7))).build(5)
    with pytest.raises(ValueError, match=r"12 elements.*\(5,\) has 5"):
        steep.Sequential(layers.Reshape((5,))).build((3, 4))
    shared = layers.Dense(4, name="twice")
    with pytest.raises(ValueError, match=r'Dense "twice": is used twice.*\(6, 4\).*\(4, 4\)'):
        steep.Sequential(shared, shared).build(6)
    with pytest.raises(ValueError, match=r"init array must have shape \(5, 2\), got \(3, 2\)"):
        steep.Sequential(layers.Dense(2, init=np.ones((3, 2)))).build(5)


def test_a_custom_layer_that_returns_no_tensor_is_named():
    class Empty(layers.Layer):
        def call(self, x):
            return None

    with pytest.raises(TypeError, match='Empty "empty": call must return one tensor'):
        steep.Sequential(Empty()).build(3)
    with pytest.raises(RuntimeError, match="only inside call"):
        Empty().parameter("w", 3)


def test_a_network_without_a_shape_says_so():
    net = steep.Sequential(layers.Dense(3))
    for use in (net.state_dict, net.summary, lambda: net.num_parameters):
        with pytest.raises(RuntimeError, match="input shape is not known yet"):
            use()


def test_predict_refuses_what_fit_refuses():
    net = steep.Sequential(layers.Dense(3, name="fc1")).build(20)
    with pytest.raises(ValueError, match='Dense "fc1": expects 20 inputs'):
        net.predict(X[:, 1:])
    with pytest.raises(ValueError, match="row 1, column 1"):
        net.predict(put(X, (1, 1), np.nan))
    with pytest.raises(ValueError, match="batch_size"):
        net.predict(X, batch_size=0)
    with pytest.raises(ValueError, match=r"One sample is X\[None\]|one sample X\[None\]"):
        net.predict(X[0])


def test_softmax_before_cross_entropy_is_warned_of():
    for net, loss in [
        (steep.Sequential(layers.Dense(5), layers.Softmax()), "cross_entropy"),
        (steep.Sequential(layers.Dense(5, "softmax")), "cross_entropy"),
        (steep.Sequential(layers.Dense(1, "sigmoid")), "binary_cross_entropy"),
    ]:
        y = Y if loss == "cross_entropy" else Y % 2
        with pytest.warns(UserWarning, match="takes logits and applies"):
            steep.Trainer(net, loss, "sgd").fit(X, y, progress=False)


def test_a_bad_schedule_is_named_before_its_steps():
    t = steep.Trainer(steep.Sequential(layers.Dense(5)), CE, optimizers.SGD(lambda t: -1.0))
    with pytest.raises(ValueError, match=r"SGD: lr must be in \[0, inf\)"):
        t.fit(X, Y, progress=False)
    t = steep.Trainer(steep.Sequential(layers.Dense(5)), CE, "sgd", l1=schedules.Linear(0, -1, 2))
    with pytest.raises(ValueError, match="l1 must be at least 0"):
        t.fit(X, Y, batch_size=5, progress=False)
    assert t.steps == 0


def test_two_trainers_cannot_pull_a_network_apart(trained):
    other = steep.Trainer(trained.net, CE, "sgd")
    other.fit(X, Y, progress=False)
    trained.fit(X, Y, progress=False)
    net = steep.Sequential(layers.Dense(5))
    t = steep.Trainer(net, CE, "sgd")
    t.fit(X, Y, progress=False)
    net.build(20)
    with pytest.raises(RuntimeError, match="make a new Trainer"):
        t.fit(X, Y, progress=False)


def test_an_unwritable_folder_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "missing" / "a", tmp_path / "file" / "a", tmp_path):
        t = steep.Trainer(steep.Sequential(layers.Dense(5)), CE, "sgd")
        with pytest.raises(OSError, match=r"cannot write here|Is a directory"):
            t.fit(X, Y, callbacks=[callbacks.Checkpoint(bad)], progress=False)
        assert t.steps == 0
        assert not t.net.built
        t.net.build(X.shape[1:])
        with pytest.raises(OSError, match=str(bad)):
            t.save(bad)
        with pytest.raises(OSError, match=str(bad)):
            t.net.save_weights(bad)


def test_a_network_of_known_shape_names_its_layer_before_it_is_built():
    x = steep.Input((20,))
    for net in (
        steep.Model(x, layers.Dense(5, name="fc1")(x)),
        steep.Sequential(layers.Dense(5, name="fc1"), input_shape=20),
    ):
        with pytest.raises(ValueError, match=r'Dense "fc1": expects 20 inputs.*Put Flatten\(\)'):
            steep.Trainer(net, CE, "sgd").fit(X.reshape(30, 4, 5), Y, progress=False)


def test_a_refused_callback_does_not_lose_the_place_of_a_checkpoint(tmp_path):
    def stop(step):
        if step == 3:
            raise KeyboardInterrupt

    t = steep.Trainer(steep.Sequential(layers.Dense(5)), CE, "sgd")
    dying = type("Dying", (), {"on_step_end": lambda self, step: stop(step)})()
    with pytest.raises(KeyboardInterrupt):
        saving = callbacks.Checkpoint(tmp_path / "c", every=2)
        t.fit(X, Y, epochs=4, batch_size=10, callbacks=[saving, dying], progress=False)
    t = steep.Trainer.load(tmp_path / "c")
    with pytest.raises(ValueError, match="nothing measures"):
        given = [callbacks.EarlyStopping()]
        t.fit(X, Y, epochs=4, batch_size=10, callbacks=given, progress=False)
    t.fit(X, Y, epochs=4, batch_size=10, progress=False)
    assert (t.epoch, t.steps) == (4, 12)
