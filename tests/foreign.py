"""Arrays of made-up libraries in the memory of the emulated GPU, by both protocols.

No test lives here. They say a pointer, a stream, a device as a test wants them, own their memory,
and count who holds it.
"""

import ctypes

import emulation
import numpy as np
import pytest
import steep
from devices import dense, left

emulated = pytest.mark.skipif(not emulation.EMULATED, reason="needs the emulation")
_native = emulation._native
if _native is not None:
    _native.emulation_allocate.restype = ctypes.c_void_p
    _native.emulation_stream.restype = ctypes.c_void_p

CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # DLPack's


class Memory:
    """A block of the device's memory, which is NaN until something is written to it."""

    left = 0  # how many there are

    def __init__(self, bytes_):
        self.address = _native.emulation_allocate(ctypes.c_size_t(bytes_))
        assert self.address
        Memory.left += 1

    def __del__(self):
        assert _native.emulation_free(ctypes.c_void_p(self.address)) == 0
        Memory.left -= 1


def stream():
    """Return a new stream: what it is given is done when somebody waits for it."""
    return _native.emulation_stream()


def write(memory, values, stream, at=0):
    raw, to = np.ascontiguousarray(values).tobytes(), ctypes.c_void_p(memory.address + at)
    size = ctypes.c_size_t(len(raw))
    assert _native.emulation_write(ctypes.c_void_p(stream), to, raw, size) == 0


def read(address, shape, dtype):
    """Return what lies at an address of the device."""
    out = np.empty(shape, dtype)
    to = out.ctypes.data_as(ctypes.c_void_p)
    assert _native.emulation_read(to, ctypes.c_void_p(address), ctypes.c_size_t(out.nbytes)) == 0
    return out


class Theirs:
    """What both protocols share: values in device memory, in the strides that they have here."""

    def __init__(self, values, *, on=0, number=0):
        # The bytes from the first to the last one, so that strides mean the same there.
        values = np.asarray(values)
        low, high = np.lib.array_utils.byte_bounds(values) if values.size else (0, 0)
        self.memory = Memory(max(high - low, 1))
        self.shape, self.strides, self.dtype = values.shape, values.strides, values.dtype
        self.address = self.memory.address + (values.ctypes.data - low if values.size else 0)
        if number:
            _native.emulation_move(ctypes.c_void_p(self.memory.address), number)
        self.number = number
        if values.size:
            write(self.memory, np.frombuffer(ctypes.string_at(low, high - low), np.uint8), on)

    def overwrite(self, values):
        """Write other values, as their owner may at any time; dense ones only."""
        write(self.memory, values, 0)


class Interface(Theirs):
    """Has ``__cuda_array_interface__``; `about` changes what it says."""

    def __init__(self, values, *, on=0, number=0, **about):
        super().__init__(values, on=on, number=number)
        dense = np.empty(self.shape, self.dtype).strides == self.strides
        self.about = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if np.prod(self.shape) else 0, True),
            "strides": None if dense else self.strides,
            "version": 3,
            "stream": on or None,
            **about,
        }

    @property
    def __cuda_array_interface__(self):
        return self.about


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_python = ctypes.pythonapi
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_python.PyCapsule_GetPointer.restype = ctypes.c_void_p
_python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
NAMES = (b"dltensor_versioned", b"dltensor")  # a capsule keeps the address of its own
_handed = {}  # what capsules point at, until the deleter comes


class Tensor(Theirs):
    """Has ``__dlpack__``; `said` changes what its tensor says, `old` knows no versions."""

    def __init__(self, values, *, on=0, number=0, where=2, old=False, major=1, **said):
        super().__init__(values, on=on, number=number)
        self.on, self.where, self.old, self.major, self.said = on, where, old, major, said
        self.asked = []  # streams

    def __dlpack_device__(self):
        return self.where, self.number

    def __dlpack__(self, **options):
        if self.old and "max_version" in options:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        assert options.get("max_version", (1, 0)) >= (1, 0)
        stream = options.get("stream")
        if stream is None:
            raise BufferError("lies on a device of its own")
        assert stream != 0
        self.asked.append(stream)
        if self.on:  # what stands on our stream is before what will stand on theirs
            _native.emulation_follow(ctypes.c_void_p(stream), ctypes.c_void_p(self.on))
        axes = len(self.shape)
        held = [self, (ctypes.c_int64 * axes)(*self.shape)]
        held.append((ctypes.c_int64 * axes)(*(s // self.dtype.itemsize for s in self.strides)))
        made = (_Managed if self.old else _Versioned)()
        key = ctypes.addressof(made)
        made.deleter = _DELETER(lambda _: _handed.pop(key) and None)
        if not self.old:
            made.major, made.flags = self.major, 1  # read only
        kind, size = CODES[self.dtype.kind], 8 * self.dtype.itemsize
        made.tensor = _Tensor(
            self.memory.address, self.where, self.number, axes, kind, size, 1, *held[1:],
            self.address - self.memory.address,
        )  # fmt: skip
        for name, value in self.said.items():
            setattr(made.tensor, name, value)
        _handed[key] = (made, held)
        return _python.PyCapsule_New(key, NAMES[self.old], None)


def handed():
    """Return how many tensors were handed over and not given back."""
    return len(_handed)


class Taken:
    """What a library takes out of a capsule; the memory stays until `give_back`."""

    def __init__(self, capsule, old=False):
        name = NAMES[old]
        kind = _Managed if old else _Versioned
        self.address = _python.PyCapsule_GetPointer(capsule, name)
        self.managed = kind.from_address(self.address)
        _python.PyCapsule_SetName(capsule, b"used_dltensor")
        tensor = self.managed.tensor
        self.shape = tuple(tensor.shape[: tensor.ndim])
        self.strides = tuple(tensor.strides[: tensor.ndim])
        self.tensor = tensor

    def values(self):
        assert (self.tensor.code, self.tensor.bits, self.tensor.lanes) == (2, 32, 1)
        return read(self.tensor.data + self.tensor.offset, self.shape, np.float32)

    def give_back(self):
        self.managed.deleter(self.address)


kinds = pytest.mark.parametrize("kind", [Interface, Tensor], ids=lambda kind: kind.__name__)


def fitted(X, y, device="cuda", made=None, loss="cross_entropy", **fit):
    trainer = steep.Trainer(made or dense(), loss, "adam", device=device, seed=3)
    history = trainer.fit(X, y, epochs=3, batch_size=32, progress=False, **fit)
    return trainer, left(trainer, history)
