"""`DeviceArray`: predictions and weights in the memory of the GPU, for other libraries to take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core

_GPU, _CPU = (2, 0), (1, 0)  # as DLPack counts devices


class DeviceArray:
    """An array in the memory of the GPU, dense in C order, that other libraries read in place.

    ``cupy.asarray(a)``, ``cupy.from_dlpack(a)``, ``torch.from_dlpack(a)``, ``torch.as_tensor(a)``
    and ``numba.cuda.as_cuda_array(a)`` take it without a copy, ``numpy()`` copies it to the CPU.
    Whoever took it keeps the memory; it is the caller's, and nothing of a network changes with it.
    Its numbers are there: no stream needs to be waited for. `Network.predict` returns such arrays
    where X lies on the GPU, ``Network.state_dict(device="cuda")`` where it is asked to.

    Parameters
    ----------
    native
        steep's own. Users are given these arrays and make none.
    """

    __slots__ = ("__weakref__", "_native")

    def __init__(self, native: _core.DeviceArray) -> None:
        self._native = native

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._native.shape

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self._native.ndim

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self._native.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers: float32."""
        return self._native.dtype

    def __len__(self) -> int:
        return len(self._native)

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype}, device='cuda')"

    def numpy(self) -> NDArray[Any]:
        """Return a copy in the memory of the CPU."""
        return self._native.numpy()

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        """Refuse a copy that nobody asked for, as CuPy and PyTorch do."""
        raise TypeError("it lies in the memory of the GPU: a.numpy() copies it to the CPU")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What the protocol's version 3 says of an array."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._native.address if self.size else 0, False),
            "strides": None,
            "version": 3,
            "stream": None,  # all of it is there
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's number of the kind of device, and which one it is."""
        return _GPU

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a capsule of DLPack.

        Parameters
        ----------
        stream
            On which the array is to be ready; it is ready on all.
        max_version
            What the caller reads, (major, minor); None: what was before 1.0.
        dl_device
            Where it is wanted: here, or (1, 0), the CPU, which is a copy.
        copy
            Whether it must be a copy, or none.

        Raises
        ------
        BufferError
            If it is wanted on another device, or on the CPU without a copy.
        ValueError
            If the stream is 0, which the protocol leaves open.
        """
        if stream == 0:
            raise ValueError("__dlpack__: stream 0 could be 1, the default one, or 2, the thread's")
        device = _GPU if dl_device is None else (int(dl_device[0]), int(dl_device[1]))
        if device == _CPU:
            if copy is False:
                raise BufferError("__dlpack__: on the CPU it is a copy")
            return self.numpy().__dlpack__()
        if device != _GPU:
            raise BufferError(f"__dlpack__: lies on {_GPU}, not on {device}")
        native = self._native.astype(self.dtype) if copy else self._native
        return native.to_dlpack(max_version is not None and max_version[0] >= 1)
