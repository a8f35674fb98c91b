"""Arrays of other libraries in the memory of the GPU: read where they lie, waited for, kept.

The libraries are made up (`foreign`) and their memory is the emulation's; PyTorch's own where there
is a GPU.
"""

import gc

import devices
import foreign
import numpy as np
import pytest
import steep
from devices import data, dense, net, same, there
from emulation import EMULATED, counted, emulating
from foreign import Interface, Tensor, emulated, fitted, kinds
from steep import _core, layers
from steep.checks import on_device

pytestmark = devices.NEEDED


@emulated
@kinds
def test_training_reads_arrays_where_they_lie(kind):
    X, y = data()
    weights = np.random.default_rng(1).random(len(y))
    for options in ({}, {"shuffle": False}, {"sample_weight": weights}):
        theirs = {name: kind(value) for name, value in options.items() if name == "sample_weight"}
        found = fitted(kind(X), kind(y), **{**options, **theirs})
        same(found[1], fitted(X, y, "cpu", **options)[1], str(options))
        same(found[0].evaluate(kind(X), kind(y)), found[0].evaluate(X, y))


@emulated
@pytest.mark.parametrize("mixed", [(0, 1), (1, 0)], ids=["X", "y"])
def test_one_of_them_may_be_on_the_cpu(mixed):
    X, y = data()
    given = [Tensor(a) if m else a for a, m in zip((X, y), mixed, strict=True)]
    same(fitted(*given)[1], fitted(X, y, "cpu")[1])


@emulated
def test_nothing_is_copied_that_fits():
    """A data set in the device's memory takes no more of it, and none of the host's copies."""
    X = np.random.default_rng(0).standard_normal((20000, 30)).astype(np.float32)
    y = X[:, :5].copy()
    trainer = steep.Trainer(dense(), "mse", "sgd", device="cuda")
    trainer.fit(X[:64], y[:64], epochs=1, batch_size=32, progress=False)
    theirs = Tensor(X), Interface(y)
    before = counted("bytes")
    trainer.fit(*theirs, epochs=1, batch_size=32, progress=False)
    assert counted("bytes") - before < X.nbytes // 10
    predicted = trainer.net.predict(theirs[0])
    assert counted("bytes") - before < X.nbytes // 10 + predicted.size * 4 + (1 << 18)
    trainer.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert counted("bytes") - before > X.nbytes


LAYOUTS = {
    "rows": lambda a: a[::2],
    "backwards": lambda a: a[::-1],
    "columns": lambda a: a[:, ::2],
    "turned": np.asfortranarray,
    "wide": lambda a: np.repeat(a, 2, axis=1)[:, : a.shape[1]],
    "one": lambda a: np.broadcast_to(a[:1], a.shape),
    "inside": lambda a: a[3:, 5:],
}


@emulated
@kinds
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(kind, layout):
    X = LAYOUTS[layout](data()[0])
    y = np.random.default_rng(3).standard_normal((len(X), 10)).astype(np.float32)[:, ::2]
    same(fitted(kind(X), kind(y), loss="mse")[1], fitted(X, y, "cpu", loss="mse")[1])
    made = there(dense().build(X.shape[1]))
    same(made.predict(kind(X), batch_size=7).numpy(), made.predict(X))


DTYPES = [
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64", "bool"),
]


@emulated
@kinds
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strided", [False, True])
def test_every_dtype(kind, dtype, strided):
    X = np.random.default_rng(4).integers(0, 2 if dtype == "bool" else 100, (70, 12)).astype(dtype)
    X = X * X.dtype.type(0.37) - X.dtype.type(9) if X.dtype.kind == "f" else X
    X = X[:, ::3] if strided else X
    made = there(dense().build(X.shape[1]))
    same(made.predict(kind(X)).numpy(), made.predict(X))
    y = np.random.default_rng(3).integers(0, 5, len(X))
    same(fitted(kind(X), y)[1], fitted(X, y, "cpu")[1])


@emulated
def test_halves_of_both_kinds_and_every_value():
    bits = np.arange(1 << 16, dtype=np.uint16)
    for number, wanted in {
        "float16": bits.view(np.float16).astype(np.float32),
        "bfloat16": (bits.astype(np.uint32) << 16).view(np.float32),
    }.items():
        theirs = foreign.Theirs(bits)
        array = _core.DeviceArray(theirs.address, bits.shape, None, number, theirs)
        got, nan = array.astype(np.float32).numpy(), np.isnan(wanted)
        tiny = np.abs(wanted) < np.finfo(np.float32).tiny  # flushed, as everywhere
        np.testing.assert_array_equal(np.isnan(got), nan)
        same(got[~nan & ~tiny], wanted[~nan & ~tiny])


@emulated
@kinds
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint16", "float32"])
def test_labels_of_every_dtype(kind, dtype):
    X, y = data()
    for given in (y.astype(dtype), np.repeat(y, 2).astype(dtype)[::2], y.astype(dtype)[:, None]):
        same(fitted(X, kind(given))[1], fitted(X, y, "cpu")[1])


@emulated
def test_labels_and_weights_of_positions_are_the_hosts():
    random = np.random.default_rng(5)
    X = random.standard_normal((40, 6, 4)).astype(np.float32)
    y, weights = random.integers(0, 5, (40, 6)), random.random((40, 6))
    loss = steep.losses.CrossEntropy(ignore=2)
    for options in ({}, {"sample_weight": weights}):
        theirs = {name: Tensor(value) for name, value in options.items()}
        found = fitted(Tensor(X), Tensor(y), made=net(layers.Dense(8)), loss=loss, **theirs)
        same(found[1], fitted(X, y, "cpu", net(layers.Dense(8)), loss, **options)[1])


@emulated
def test_probabilities_class_weights_steps_and_gradients():
    X, y = data()
    soft = np.eye(5, dtype=np.float32)[y]
    same(fitted(Tensor(X), Tensor(soft))[1], fitted(X, soft, "cpu")[1])
    weighed = {"class_weight": "balanced"}
    same(fitted(Tensor(X), Tensor(y), **weighed)[1], fitted(X, y, "cpu", **weighed)[1])
    found = []
    for kind, device in ((Tensor, "cuda"), (np.asarray, "cpu")):
        trainer = steep.Trainer(dense(), "cross_entropy", "adam", device=device)
        steps = []
        for i in (0, 30, 0, 60):
            batch = kind(X[i : i + 30]), kind(y[i : i + 30])
            steps.append(trainer.step(*batch))
            if device == "cuda":  # what is done is done
                batch[0].overwrite(np.full((30, 30), 7, np.float32))
        found.append(
            (steps, trainer.net.state_dict(), trainer.gradients(kind(X[:40]), kind(y[:40])))
        )
    same(*found)


@emulated
def test_a_step_goes_back_over_batches_that_were_overwritten():
    X, y = data(samples=400)
    found = []
    for kind, device in ((Tensor, "cuda"), (np.array, "cpu")):
        rule = steep.optimizers.SGD(lambda step: 1e25 if step == 11 else 0.01)
        trainer = steep.Trainer(
            net(layers.Dense(8, "square")), "cross_entropy", rule, device=device
        )
        with pytest.raises(steep.NonFiniteError):
            for i in range(0, 390, 30):
                batch, labels = kind(X[i : i + 30]), kind(y[i : i + 30])
                trainer.step(batch, labels)
                if device == "cuda":
                    batch.overwrite(np.full((30, 30), 7, np.float32))
                    labels.overwrite(np.full(30, 4))
        found.append((trainer.steps, trainer.net.state_dict()))
    same(*found)


@emulated
def test_several_inputs_tokens_and_lengths():
    random = np.random.default_rng(6)
    ids = random.integers(0, 20, (50, 7))
    lengths = random.integers(1, 8, 50)
    y = random.integers(0, 5, 50)

    def made():
        tokens, steps = steep.Input((7,)), steep.Input(())
        x = layers.Embedding(20, 6)(tokens)
        x = layers.LSTM(5)(x, steps)
        return steep.Model([tokens, steps], layers.Dense(5)(x))

    same(
        fitted([Tensor(ids), Interface(lengths)], y, made=made())[1],
        fitted([ids, lengths], y, "cpu", made())[1],
    )
    model = there(made().build())
    for at in ((33, 4), (0, 0)):
        bad = ids.copy()
        bad[at] = 20
        for given in (bad, Tensor(bad), Tensor(bad.astype(np.float32) + 0.0)):
            with pytest.raises(ValueError, match=rf"token 20 at row {at[0]}, position {at[1]}"):
                model.predict([given, lengths])
    with pytest.raises(ValueError, match="got 0 at row 2"):
        model.predict([Tensor(ids), Tensor(np.where(np.arange(50) == 2, 0, lengths))])


@emulated
def test_changed_images():
    random = np.random.default_rng(7)
    X = random.integers(0, 256, (40, 8, 6, 3)).astype(np.uint8)
    y = random.integers(0, 5, 40)
    change = steep.data.Augment(flip=True, shift=2, cutout=3, fill=9)
    for given in (X, X.transpose(0, 2, 1, 3)):
        made = [net(layers.Flatten(), layers.Dense(7)) for _ in range(2)]
        same(
            fitted(Tensor(given), y, made=made[0], augment=change)[1],
            fitted(given, y, "cpu", made[1], augment=change)[1],
        )


@emulated
@kinds
@pytest.mark.parametrize("what", ["X", "y", "sample_weight"])
@pytest.mark.parametrize("stream", ["own", 2])
def test_streams_are_waited_for(kind, what, stream):
    """What is still to be written when it is handed over is what is read."""
    X, y = data()
    weights = np.random.default_rng(1).random(len(y))
    given = {"X": X, "y": y, "sample_weight": weights}
    on = foreign.stream() if stream == "own" else stream
    given[what] = kind(given[what], on=on)
    same(fitted(**given)[1], fitted(X, y, "cpu", sample_weight=weights)[1])


@emulated
def test_what_has_no_word_for_streams_waits_for_all():
    X, y = data()
    with emulating(lazy=1):
        theirs = Interface(X, on=foreign.stream(), stream=None, version=2)
        same(fitted(theirs, y)[1], fitted(X, y, "cpu")[1])


@emulated
def test_a_stream_that_is_not_named_is_not_waited_for():
    """The test that the ones above can fail: memory nobody waits for is NaN."""
    theirs = Interface(data()[0], on=foreign.stream(), stream=None)
    with pytest.raises(ValueError, match="X: holds nan at row 0"):
        fitted(theirs, data()[1])


@emulated
def test_dlpack_is_told_our_stream():
    theirs = Tensor(data()[0])
    fitted(theirs, data()[1])
    assert len(theirs.asked) == 1
    assert theirs.asked[0] > 2


@emulated
def test_dlpack_goes_first_for_it_has_streams():
    """PyTorch's interface is of version 2, which says of no stream."""

    class Both(Tensor):
        @property
        def __cuda_array_interface__(self):
            raise AssertionError

    same(fitted(Both(data()[0]), data()[1])[1], fitted(*data(), "cpu")[1])


def alive():
    gc.collect()
    return foreign.Memory.left, foreign.handed()


@emulated
@kinds
def test_whoever_reads_keeps_them_alive(kind):
    X, y = data()
    trainer, _ = fitted(X, y)
    session, before = trainer._run.session(), alive()
    view = on_device.taken("X", kind(X))
    assert alive() != before
    same(view.numpy(), X)
    session.set_data([view], [y], [None], 32, True)
    del view
    assert alive() != before
    session.release_data()
    assert alive() == before
    trainer.fit(kind(X), kind(y), epochs=1, progress=False)
    trainer.step(kind(X), kind(y))
    trainer.net.predict(kind(X))
    assert alive() == before


@emulated
@pytest.mark.parametrize("old", [False, True])
def test_capsules_of_both_ages_are_given_back(old):
    handed = foreign.handed()
    X = data()[0]
    made = there(dense().build(30))
    same(made.predict(Tensor(X, old=old)).numpy(), made.predict(X))
    with pytest.raises(ValueError, match="holds nan"):
        made.predict(Tensor(np.where(X[3, 3] == X, np.nan, X), old=old))
    gc.collect()
    assert foreign.handed() == handed


def test_tensors_on_the_cpu_are_read_in_place():
    torch = pytest.importorskip("torch")
    from steep.checks.arrays import array

    X, y = data()
    tensor = torch.from_numpy(X)
    assert array("X", tensor).ctypes.data == tensor.data_ptr()
    assert array("X", tensor.requires_grad_()).ctypes.data == tensor.data_ptr()
    same(fitted(tensor, torch.from_numpy(y))[1], fitted(X, y, "cpu")[1])

    class Only:  # DLPack and nothing else
        def __dlpack__(self, **options):
            return tensor.detach().__dlpack__(**options)

        def __dlpack_device__(self):
            return tensor.__dlpack_device__()

    assert array("X", Only()).ctypes.data == tensor.data_ptr()


def test_tensors_on_the_gpu():
    torch = pytest.importorskip("torch")
    if EMULATED or not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    X, y = data()
    theirs = torch.from_numpy(X).cuda()
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            torch.cuda._sleep(10**8)
            shifted = (theirs + 1).requires_grad_()
            found = fitted(shifted, torch.from_numpy(y).cuda())
        same(found[1], fitted(X + 1, y, "cpu")[1])
    predicted = found[0].net.predict(theirs)
    wanted = found[0].net.predict(X)
    for taken in (torch.from_dlpack(predicted), torch.as_tensor(predicted, device="cuda")):
        assert taken.data_ptr() == predicted.__cuda_array_interface__["data"][0]
        same(taken.cpu().numpy(), wanted)
    same(found[0].net.predict(theirs.half()).numpy(), found[0].net.predict(theirs.half().cpu()))
    same(found[0].net.predict(theirs.T.contiguous().T).numpy(), wanted)
    same({k: v.numpy() for k, v in found[0].net.state_dict(device="cuda").items()},
         dict(found[0].net.state_dict()))  # fmt: skip
    cupy = pytest.importorskip("cupy")
    same(cupy.asnumpy(cupy.asarray(predicted)), wanted)
    same(found[0].net.predict(cupy.asarray(X)).numpy(), wanted)
