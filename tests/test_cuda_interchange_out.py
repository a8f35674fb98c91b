"""Predictions and weights that stay in the memory of the GPU, and whoever takes them there."""

import gc

import devices
import foreign
import numpy as np
import pytest
import steep
from devices import data, dense, net, same, there
from emulation import counted
from foreign import Interface, Tensor, emulated, fitted, kinds
from steep import layers

pytestmark = devices.NEEDED


@emulated
@kinds
def test_predictions_lie_where_the_samples_do(kind):
    X, _ = data()
    made = there(dense().build(30))
    wanted, found = made.predict(X), made.predict(kind(X), batch_size=64)
    assert isinstance(found, steep.DeviceArray)
    assert (found.shape, found.ndim, found.size, len(found)) == ((150, 5), 2, 750, 150)
    assert found.dtype == np.float32
    same(found.numpy(), wanted)
    assert "DeviceArray(shape=(150, 5), dtype=float32" in repr(found)
    with pytest.raises(TypeError, match=r"a\.numpy\(\)"):
        np.asarray(found)
    same(made.predict(kind(X[:0])).numpy(), wanted[:0])


@emulated
def test_predictions_say_the_interface():
    X, _ = data()
    made = there(dense().build(30))
    found = made.predict(Tensor(X))
    about = found.__cuda_array_interface__
    assert about.keys() == {"shape", "typestr", "data", "strides", "version", "stream"}
    assert (about["shape"], about["typestr"], about["strides"]) == ((150, 5), "<f4", None)
    assert (about["version"], about["stream"], about["data"][1]) == (3, None, False)
    same(foreign.read(about["data"][0], (150, 5), np.float32), made.predict(X))
    assert made.predict(Tensor(X[:0])).__cuda_array_interface__["data"] == (0, False)


@emulated
@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 3)])
def test_predictions_are_handed_over(version):
    X, _ = data()
    made = there(dense().build(30))
    wanted, before = made.predict(X), counted("bytes")
    found = made.predict(Tensor(X))
    assert found.__dlpack_device__() == (2, 0)
    old = version is None or version[0] == 0
    taken = foreign.Taken(found.__dlpack__(stream=1, max_version=version), old)
    assert taken.address
    assert (taken.shape, taken.strides) == ((150, 5), (5, 1))
    assert (taken.tensor.device, taken.tensor.number) == (2, 0)
    assert taken.tensor.data == found.__cuda_array_interface__["data"][0]
    if not old:
        assert (taken.managed.major, taken.managed.flags) == (1, 0)
    del found
    gc.collect()
    same(taken.values(), wanted)
    held = counted("bytes")
    taken.give_back()
    assert counted("bytes") == held - wanted.nbytes
    capsule = made.predict(Tensor(X)).__dlpack__()  # that nobody takes
    del capsule
    gc.collect()
    assert counted("bytes") - before < 1 << 20


@emulated
def test_what_dlpack_is_asked_for():
    X, _ = data()
    made = there(dense().build(30))
    found = made.predict(Tensor(X))
    same(np.from_dlpack(found, device="cpu"), found.numpy())
    copied = foreign.Taken(found.__dlpack__(copy=True), old=True)
    assert copied.tensor.data != found.__cuda_array_interface__["data"][0]
    same(copied.values(), found.numpy())
    copied.give_back()
    with pytest.raises(BufferError, match="copy"):
        found.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match="not on"):
        found.__dlpack__(dl_device=(2, 1))
    with pytest.raises(ValueError, match="stream 0"):
        found.__dlpack__(stream=0)


@emulated
def test_predictions_go_in_again():
    X, y = data()
    first, second = there(dense().build(30)), there(dense().build(5))
    found = first.predict(Interface(X))
    same(second.predict(found).numpy(), second.predict(first.predict(X)))
    same(fitted(found, y)[1], fitted(found.numpy(), y, "cpu")[1])


@emulated
def test_several_outputs_lie_there_too():
    x = steep.Input((30,))
    outputs = {"a": layers.Dense(5)(x), "b": layers.Dense(1)(x)}
    made = there(steep.Model(x, outputs).build())
    X, _ = data()
    found, wanted = made.predict(Tensor(X)), made.predict(X)
    assert found.keys() == wanted.keys()
    same({k: v.numpy() for k, v in found.items()}, wanted)


@emulated
def test_weights_lie_there_and_go_in_again():
    made = net(
        layers.Reshape((6, 5, 1)), layers.Conv2D(3, 3), layers.BatchNorm(), layers.Flatten(),
        layers.Dense(40, "relu"), layers.Dense(3),
    ).build(30)  # fmt: skip
    with pytest.raises(ValueError, match=r'net\.to\("cuda"\)'):
        made.state_dict(device="cuda")
    wanted = made.state_dict()
    found = there(made).state_dict(device="cuda")
    assert all(isinstance(value, steep.DeviceArray) for value in found.values())
    same({name: value.numpy() for name, value in found.items()}, dict(wanted))
    other = steep.Sequential(*layers_of(made)).build(30, seed=4)
    other.load_state_dict(found)
    same(dict(other.state_dict()), dict(wanted))


def layers_of(made):
    return [
        layers.Reshape((6, 5, 1)), layers.Conv2D(3, 3), layers.BatchNorm(), layers.Flatten(),
        layers.Dense(40, "relu"), layers.Dense(3), layers.Dense(5),
    ]  # fmt: skip
