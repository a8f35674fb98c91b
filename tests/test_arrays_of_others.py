"""Arrays of other libraries go in and predictions come out without a copy: PyTorch, JAX, DLPack."""

import numpy as np
import pytest
import steep
from steep import layers
from steep.network import inputs

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 2


def trained(X, y):
    net = steep.Sequential(layers.Dense(4, "tanh"), layers.Dense(2)).build(3, seed=1)
    steep.Trainer(net, "cross_entropy", "adam").fit(X, y, epochs=2, batch_size=4, progress=False)
    return net.predict(X)


class Exchanged:
    """What has DLPack's protocol, or NumPy's interface, and nothing else."""

    def __init__(self, array, protocol):
        if protocol == "dlpack":
            self.__class__ = type("Only", (), {
                "__dlpack__": lambda self, **options: array.__dlpack__(**options),
                "__dlpack_device__": lambda self: array.__dlpack_device__(),
            })  # fmt: skip
        else:
            self.__array_interface__ = array.__array_interface__


@pytest.mark.parametrize("protocol", ["dlpack", "interface"])
def test_protocols_share_memory(protocol):
    net = steep.Sequential(layers.Dense(2)).build(3)
    (found,) = inputs.features(Exchanged(X, protocol), net)
    assert np.shares_memory(found, X)
    np.testing.assert_array_equal(
        trained(Exchanged(X, protocol), Exchanged(Y, protocol)), trained(X, Y)
    )


def test_predictions_go_out_without_a_copy():
    found = steep.Sequential(layers.Dense(2)).build(3).predict(X)
    assert np.shares_memory(np.from_dlpack(found), found)


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(X)
    net = steep.Sequential(layers.Dense(2)).build(3)
    for given in (tensor, tensor.clone().requires_grad_().double().float()):
        (found,) = inputs.features(given, net)
        assert found.ctypes.data == given.data_ptr()
    np.testing.assert_array_equal(trained(tensor, torch.from_numpy(Y)), trained(X, Y))
    assert torch.from_dlpack(net.predict(tensor)).shape == (12, 2)
    half = tensor.bfloat16()
    np.testing.assert_array_equal(net.predict(half), net.predict(half.float().numpy()))
    with pytest.raises(TypeError, match=r"X: cannot be read as an array \(.*meta"):
        net.predict(tensor.to("meta"))
    with pytest.raises(TypeError, match=r"X: cannot be read as an array \(.*[Ss]parse"):
        net.predict(tensor.to_sparse())


def test_arrays_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    given = jnp.asarray(X)
    net = steep.Sequential(layers.Dense(2)).build(3)
    (found,) = inputs.features(given, net)
    assert found.ctypes.data == given.unsafe_buffer_pointer()
    np.testing.assert_array_equal(trained(given, jnp.asarray(Y)), trained(X, Y))
    half = given.astype("bfloat16")
    wanted = net.predict(np.asarray(half.astype("float32")))
    np.testing.assert_array_equal(net.predict(half), wanted)


class Interface:
    """Says it lies on a GPU, whether there is one or not."""

    __cuda_array_interface__ = {  # noqa: RUF012
        "shape": (4, 3), "typestr": "<f4", "data": (4096, False), "version": 3,
    }  # fmt: skip


class Tensor:
    """The same by DLPack."""

    def __dlpack__(self, **_):
        raise AssertionError("nobody asks a CPU's network for it")

    def __dlpack_device__(self):
        return 2, 0


@pytest.mark.parametrize("theirs", [Interface(), Tensor()], ids=["interface", "dlpack"])
def test_arrays_on_a_gpu_are_refused_with_what_to_do(theirs):
    X, y = np.ones((4, 3), np.float32), np.arange(4) % 2
    trainer = steep.Trainer(steep.Sequential(steep.layers.Dense(2)), "cross_entropy", "sgd")
    for name, given in {"X": (theirs, y), "y": (X, theirs)}.items():
        with pytest.raises(TypeError, match=f'{name}: lies in the memory of a GPU.*device="cuda"'):
            trainer.fit(*given, epochs=1, progress=False)
    with pytest.raises(TypeError, match="sample_weight: lies in the memory of a GPU"):
        trainer.fit(X, y, epochs=1, sample_weight=theirs, progress=False)
    with pytest.raises(TypeError, match=r"X: lies in the memory of a GPU.*x\.cpu\(\)"):
        trainer.net.build(3).predict(theirs)
    with pytest.raises(ValueError, match=r'net\.to\("cuda"\)'):
        trainer.net.state_dict(device="cuda")
