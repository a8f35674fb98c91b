"""Arrays in the memory of the GPU that cannot be read, or hold what must not be: said by name."""

import gc
import re

import devices
import foreign
import numpy as np
import pytest
import steep
from devices import data, dense, same, there
from emulation import counted, emulating
from foreign import Interface, Tensor, emulated, fitted, kinds

pytestmark = devices.NEEDED


def refused(error, text, X, y=None, *, device="cuda", loss="cross_entropy"):
    trainer = steep.Trainer(dense(), loss, "adam", device=device)
    with pytest.raises(error, match=text):
        trainer.fit(X, data()[1] if y is None else y, epochs=1, progress=False)
    assert not trainer.net.built
    assert trainer.steps == 0


@emulated
@kinds
def test_a_cpu_is_told_what_to_do(kind):
    X, y = data()
    text = 'lies in the memory of a GPU. device="cuda" reads it there'
    refused(TypeError, f"X: {re.escape(text)}", kind(X), device="cpu")
    refused(TypeError, f"y: {re.escape(text)}", X, kind(y), device="cpu")
    made = dense().build(30)
    with pytest.raises(TypeError, match=r'X: lies.*net\.to\("cuda"\)'):
        made.predict(kind(X))
    with pytest.raises(TypeError, match=r"sample_weight: lies"):
        fitted(X, y, "cpu", sample_weight=kind(np.ones(len(y))))


@emulated
def test_pointers_that_are_not_the_devices():
    X, _ = data()
    host = X.ctypes.data
    refused(
        ValueError,
        f"X: says it lies on the GPU, but address {host} is",
        Interface(X, data=(host, False)),
    )
    refused(ValueError, "X: says it lies on the GPU", Tensor(X, data=host))
    longer = Interface(X, shape=(10**12, 30))  # ends where nobody's memory can be
    refused(ValueError, "its end, is not there", longer)
    before = Interface(X, strides=(-(1 << 36), 4))  # begins where nobody's memory can be
    refused(ValueError, "is not there", before)
    refused(ValueError, "is not there", Interface(X, data=(0, False)))
    refused(ValueError, "not aligned", Interface(X[1:], data=(Interface(X).address + 2, False)))


@emulated
def test_other_gpus():
    X, _ = data()
    refused(ValueError, "X: lies on GPU 1, steep computes on GPU 0", Interface(X, number=1))
    refused(ValueError, "X: lies on GPU 1, steep computes on GPU 0", Tensor(X, number=1))
    theirs = Tensor(X, where=10)  # ROCm
    refused(TypeError, "X: cannot be read as an array", theirs)


ABOUT = [
    ({"mask": object()}, ValueError, "masked entries"),
    ({"stream": 0}, ValueError, "stream is 0"),
    ({"typestr": ">f4"}, TypeError, "byte order"),
    ({"typestr": "<c8"}, TypeError, "complex64|real numbers"),
    ({"typestr": "|V4"}, TypeError, "real numbers"),
    ({"typestr": "nothing"}, TypeError, "__cuda_array_interface__ is none"),
    ({"strides": (4,)}, ValueError, "2 axes and 1 strides"),
    ({"shape": (-150, 30)}, ValueError, "negative length"),
    ({"data": None}, TypeError, "__cuda_array_interface__ is none"),
]


@emulated
@pytest.mark.parametrize(("about", "error", "text"), ABOUT)
def test_interfaces_that_cannot_be_read(about, error, text):
    refused(error, f"X: .*({text})", Interface(data()[0], **about))


@emulated
@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        ({"code": 5, "bits": 64}, TypeError, "real numbers, got DLPack code 5"),
        ({"lanes": 4}, TypeError, "4 lanes"),
        ({"code": 4, "bits": 8}, TypeError, "code 4 of 8 bits"),
        ({"number": 3}, ValueError, "lies on GPU 3"),
        ({"device": 4}, TypeError, "type 4, no GPU"),
        ({"major": 2}, TypeError, "DLPack 2.x"),
    ],
)
def test_tensors_that_cannot_be_read(said, error, text):
    handed = foreign.handed()
    major = said.pop("major", 1) if "major" in said else 1
    refused(error, f"X: .*{text}", Tensor(data()[0], major=major, **said))
    gc.collect()
    assert foreign.handed() == handed


@emulated
def test_a_capsule_is_taken_once():
    class Again(Tensor):
        def __dlpack__(self, **options):
            self.made = getattr(self, "made", None) or super().__dlpack__(**options)
            return self.made

    theirs, made = Again(data()[0]), there(dense().build(30))
    made.predict(theirs)
    with pytest.raises(TypeError, match="already taken"):
        made.predict(theirs)


@emulated
@kinds
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(kind, value):
    X = data()[0]
    for dtype in ("float32", "float64", "float16"):
        bad = X.astype(dtype)
        bad[40, 7] = bad[90, 1] = value
        refused(ValueError, rf"X: holds {value} at row 40, column 7; clean", kind(bad))
        refused(
            ValueError, rf"y: holds {value} at row 40, column 2", X, kind(bad[:, 5:10]), loss="mse"
        )
    far = X.astype(np.float64)
    far[3, 4] = 1e39
    refused(ValueError, r"X: holds 1e\+39 at row 3, column 4, which is infinite in", kind(far))


@emulated
@kinds
def test_shapes_and_targets_that_do_not_fit(kind):
    X, y = data()
    refused(ValueError, "X: expects \\(samples, features\\), got shape \\(30,\\)", kind(X[0]), y)
    refused(ValueError, "X: has no samples", kind(X[:0]), y[:0])
    refused(ValueError, "X has 150 samples, but y has 149", kind(X), kind(y[1:]))
    refused(ValueError, "y: expects .*got \\(150, 4\\)", kind(X), kind(X[:, :4]), loss="mse")
    refused(
        ValueError,
        "y: expects one target for each sample, got the number 3",
        kind(X),
        kind(np.float32(3)),
    )
    wrong = y.copy()
    wrong[[70, 80]] = 5
    refused(ValueError, "y: label 5 at row 70 is out of range.*0 to 4", X, kind(wrong))
    wrong[70] = -1
    refused(ValueError, "y: label -1 at row 70", X, kind(wrong))
    refused(
        ValueError,
        "y: labels must be whole numbers, got 0.5 at row 9",
        X,
        kind(np.where(np.arange(150) == 9, 0.5, y)),
    )
    soft = np.eye(5, dtype=np.float32)[y]
    soft[11] *= 2
    refused(ValueError, "probabilities from 0 to 1, got 2.0 at row 11", X, kind(soft))
    soft[11] /= 4
    refused(ValueError, "add up to 1, row 11", X, kind(soft))
    one = np.where(np.arange(150) == 8, -2.0, 1.0).astype(np.float32)
    with pytest.raises(ValueError, match="expects 29 inputs, got"):
        there(dense().build(29)).predict(kind(X))
    with pytest.raises(ValueError, match=r"sample_weight: must be at least 0, got -2\.0 at row 8"):
        fitted(X, y, sample_weight=kind(one))


@emulated
def test_no_memory_for_a_copy_leaves_the_network_usable():
    X = np.random.default_rng(0).standard_normal((3000, 30))
    made = there(dense().build(30))
    theirs = Tensor(X)
    limit = counted("bytes") + 40000
    with emulating(limit=limit), pytest.raises(RuntimeError, match="out of memory"):
        made.predict(theirs)
    same(made.predict(theirs).numpy(), made.predict(X))


@emulated
@pytest.mark.parametrize("how", [{"order": 1}, {"order": 5}, {"sms": 1}])
def test_no_order_of_threads_changes_anything(how):
    X, y = data(kind="float64")
    with emulating(**how):
        same(fitted(Tensor(X), Tensor(y))[1], fitted(X, y, "cpu")[1])
        with pytest.raises(ValueError, match="y: label 9 at row 5"):
            fitted(X, Tensor(np.where(np.arange(150) < 5, y, 9)))
