"""Arrays of other libraries in the memory of a GPU: taken in where they lie, and looked at there.

Both protocols are here: ``__cuda_array_interface__`` (version 3, of Numba's documentation) and
DLPack (of the array API). What arrays are for is in `network.inputs`.
"""

from contextlib import suppress
from typing import Any

import numpy as np

from .. import _core
from ..device_array import DeviceArray

_GPUS = (2, 13)  # DLPack's kDLCUDA and kDLCUDAManaged
_READ = ("uint8", "uint16", "int32", "int64", "float32", "float64")  # as they are
_VERSION = (1, 1)  # of DLPack


def lies_there(value: Any) -> bool:
    """Say whether a value is an array in the memory of an NVIDIA GPU."""
    if isinstance(value, (np.ndarray, list, tuple, dict, str)) or value is None:
        return False
    with suppress(Exception):  # a library's own refusal comes when it is read
        if (device := getattr(value, "__dlpack_device__", None)) is not None:
            return int(device()[0]) in _GPUS
    with suppress(Exception):
        return hasattr(value, "__cuda_array_interface__")
    return False


def refuse(name: str) -> TypeError:
    """Return what is raised where arrays must be the CPU's."""
    return TypeError(
        f'{name}: lies in the memory of a GPU. device="cuda" reads it there, in Trainer and, after '
        'net.to("cuda"), in predict; cupy.asnumpy(x), x.cpu() or x.numpy() copies it to the CPU'
    )


def taken(name: str, value: Any) -> _core.DeviceArray:
    """Return a view of an array on the GPU, whose writer has been waited for.

    What the core does not read as it is (float16, bfloat16, int8, ...) is copied to float32, there.

    Raises
    ------
    TypeError, ValueError
        If it holds no real numbers, is masked, on another GPU, or not where it says.
    """
    if isinstance(value, DeviceArray):
        return value._native
    if hasattr(value, "detach"):  # of PyTorch: without its graph
        value = value.detach()
    by_dlpack = hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__")
    try:
        array = _by_dlpack(value) if by_dlpack else _by_interface(value)
    except (TypeError, BufferError) as error:
        raise TypeError(f"{name}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return array if array.number in _READ else array.astype(np.float32)


def _by_dlpack(value: Any) -> _core.DeviceArray:
    """Take an array by DLPack, which says on which stream it is to be ready: on ours."""
    number = int(value.__dlpack_device__()[1])
    if number != 0:  # before its stream is told ours, which is of another device
        raise ValueError(f"lies on GPU {number}, steep computes on GPU 0; copy it there")
    stream = _core.device_stream()
    try:
        capsule = value.__dlpack__(stream=stream, max_version=_VERSION)
    except TypeError:  # of before DLPack 1.0
        capsule = value.__dlpack__(stream=stream)
    array = _core.from_dlpack(capsule)
    _core.device_wait(stream)
    return array


def _by_interface(value: Any) -> _core.DeviceArray:
    """Take an array by its ``__cuda_array_interface__``, waiting for the stream that it names."""
    about = value.__cuda_array_interface__
    try:
        shape, kind, (address, _) = about["shape"], np.dtype(about["typestr"]), about["data"]
        version = int(about["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(f"its __cuda_array_interface__ is none ({error!r})") from None
    if about.get("mask") is not None:
        raise ValueError("masked entries cannot be trained on; fill or drop them")
    if not kind.isnative or kind.kind not in "biuf":
        raise TypeError(f"expects real numbers of this machine's byte order, got dtype {kind.str}")
    stream = about.get("stream")
    if version < 3:  # which have no word for it: wait for all
        _core.device_wait(0)
    elif stream is not None:
        if int(stream) == 0:
            raise ValueError("its stream is 0, which could be 1, the default, or 2, the thread's")
        _core.device_wait(int(stream))
    strides = about.get("strides")
    return _core.DeviceArray(
        int(address or 0),
        [int(n) for n in shape],
        None if strides is None else [int(n) for n in strides],
        kind.name,
        value,
    )


def first_outside(
    a: _core.DeviceArray,
    low: float,
    high: float,
    *,
    whole: bool = False,
    besides: float | None = None,
) -> tuple[int, ...] | None:
    """Return the index of the first number outside [low, high], or not whole; None: there is none.

    NaN is outside. `besides` is one more number that is allowed.
    """
    at = a.first_unwanted(low, high, whole, besides)
    return None if at < 0 else tuple(int(k) for k in np.unravel_index(at, a.shape))


def value_at(a: _core.DeviceArray, at: tuple[int, ...]) -> float:
    """Return one of its numbers."""
    return a.value(int(np.ravel_multi_index(at, a.shape)))
