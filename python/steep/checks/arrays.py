"""Numbers out of whatever users have: arrays, lists, tables. What cannot be read is named.

Arrays the core can read as they are (float32, float64, uint8; of samples uint16, int32 and int64,
too; any strides) pass without a copy.
What the numbers are for, and what they must fit, is in `network.inputs`.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import on_device
from .numbers import LIMIT

Array: TypeAlias = NDArray[Any]
Given: TypeAlias = Array | _core.DeviceArray  # on the CPU, or on the GPU
_MOST = float(np.nextafter(LIMIT, 0.0))  # that float32 holds
_WIDEST = float(np.finfo(np.float64).max)
_NATIVE = tuple(np.dtype(kind) for kind in ("float32", "float64", "uint8"))
_WHOLE = tuple(np.dtype(kind) for kind in ("uint16", "int32", "int64"))
NUMBERS = (int, float, np.integer, np.floating, np.bool_, Decimal, Fraction)  # in object arrays
LAZY = "is a LazyFrame, which holds no rows yet; give what its collect() returns"
_FIELDS = "numpy.lib.recfunctions.structured_to_unstructured makes columns of fields"
_DATES = "subtract a first date and divide by a unit, as by np.timedelta64(1, 'D')"


def array(
    name: str,
    value: Any,
    wanted: str = "expects real numbers",
    text: str = "encode it, as pandas.get_dummies does",
) -> Array:
    """Return numbers as a NumPy array of their own dtype; numbers in an object array as float64.

    `wanted` and `text` are how messages say what is asked for, and what to do with text.

    Raises
    ------
    TypeError
        If they are no numbers: text, objects, complex numbers, dates. Says where the first is.
    ValueError
        If the rows of a list have different lengths, or a value is missing.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value  # what most calls bring
    if isinstance(value, (str, bytes, dict, set)) or value is None:
        raise TypeError(f"{name}: expects an array, got {type(value).__name__}")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name}: masked entries cannot be trained on; fill or drop them")
    if on_device.lies_there(value):
        raise on_device.refuse(name)
    if is_lazy(value):
        raise TypeError(f"{name}: {LAZY}")
    if (odd := odd_column(value)) is not None:
        k, title, kind = odd
        hint = "" if kind.startswith("complex") else f"; {_DATES}"
        raise TypeError(f"{name}: {wanted}, got {kind} in column {k} ({title!r}){hint}")
    try:
        got = np.asarray(_on_this_side(value))
    except ValueError as error:
        raise ValueError(f"{name}: rows of different lengths make no array ({error})") from None
    except (TypeError, RuntimeError, BufferError) as error:  # of other libraries: on a device, ...
        raise TypeError(f"{name}: cannot be read as an array ({error})") from None
    if got.dtype.name == "bfloat16":
        got = got.astype(np.float32)
    if got.dtype.kind == "O":
        got = _from_objects(name, value, got, wanted, text)
    if got.dtype.kind not in "fiub":
        cures = {**dict.fromkeys("UST", text), **dict.fromkeys("Mm", _DATES), "V": _FIELDS}
        hint = f"; {cures[got.dtype.kind]}" if got.dtype.kind in cures else ""
        raise TypeError(f"{name}: {wanted}, got dtype {got.dtype}{hint}")
    return got


def is_lazy(value: Any) -> bool:
    """Say whether something is a query of polars and no table yet."""
    return type(value).__name__ == "LazyFrame"


def _on_this_side(value: Any) -> Any:
    """Return tensors of other libraries as NumPy reads them: in place, wherever that can be."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):  # of PyTorch: without its graph, in a format that NumPy knows
        value = value.detach()
        return value.float() if str(value.dtype) == "torch.bfloat16" else value
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    return value


def odd_column(table: Any) -> tuple[int, Any, str] | None:
    """Return place, name and kind of a table's first column of dates or complex numbers.

    Some libraries count dates from a day of their own, and take real parts.
    """
    columns, kinds = getattr(table, "columns", None), getattr(table, "dtypes", None)
    if columns is None or kinds is None or callable(kinds):
        return None
    for k, (title, kind) in enumerate(zip(columns, map(str, kinds), strict=False)):
        if kind.lower().startswith(("date", "time", "duration", "complex")):
            return k, title, kind
    return None


def _from_objects(name: str, value: Any, got: Array, wanted: str, text: str) -> Array:
    """Return an object array of numbers as float64, or say which entry is none."""
    if got.ndim == 0:
        hint = "call .toarray() first" if hasattr(value, "toarray") else "give an array of numbers"
        if hasattr(value, "__next__"):
            hint = "np.stack([*X]) makes one of its rows; batches go to trainer.step one by one"
        raise TypeError(f"{name}: is an object ({type(value).__name__}) and no array; {hint}")
    entries = got.ravel().tolist()
    wrong = {kind for kind in set(map(type, entries)) if not issubclass(kind, NUMBERS)}
    if not wrong:
        try:
            return got.astype(np.float64)
        except (OverflowError, ValueError) as error:  # an int beyond all floats, a signalling NaN
            raise ValueError(f"{name}: holds a number that is no float ({error})") from None
    at = next(k for k, entry in enumerate(entries) if type(entry) in wrong)
    entry, where = entries[at], place([int(k) for k in np.unravel_index(at, got.shape)], value)
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        raise ValueError(f"{name}: the value at {where} is missing; fill or drop such rows")
    if isinstance(entry, (str, bytes)):
        raise TypeError(f"{name}: {wanted}, got text ({entry!r}) at {where}; {text}")
    hint = _DATES if isinstance(entry, (date, timedelta, np.datetime64)) else "convert it to floats"
    if isinstance(entry, (list, tuple, np.ndarray)):
        hint = "np.stack makes one array of equally long rows"
    kind = type(entry).__name__
    raise TypeError(f"{name}: {wanted}, got an object ({kind}) at {where}; {hint}")


def place(at: Sequence[int], owner: Any = None) -> str:
    """Return where the entry of an index stands: ``row 3, column 1 ('age')``.

    `owner` is what the user gave; a table or a series names its columns.
    """
    row, *rest = at
    if len(rest) == 1:
        columns: Any = getattr(owner, "columns", None)
        known = hasattr(columns, "__len__") and rest[0] < len(columns)
        return f"row {row}, column {rest[0]}" + (f" ({columns[rest[0]]!r})" if known else "")
    if rest:
        return f"row {row}, element {tuple(rest)}"
    title: Any = getattr(owner, "name", None)
    return f"row {row} of {title!r}" if isinstance(title, str) and title else f"row {row}"


def is_native(a: Given) -> bool:
    """Say whether the core reads an array as it is."""
    return a.dtype in _NATIVE and a.dtype.isnative


def is_read(a: Given) -> bool:
    """Say whether the core reads the samples of an array as it is: whole numbers, too."""
    return a.dtype.isnative and (a.dtype in _NATIVE or a.dtype in _WHOLE)


def readable(a: Given, samples: bool = False) -> Given:
    """Return an array in a dtype the core reads; others are converted once.

    Those of samples may be of more dtypes.
    """
    if is_native(a) or (samples and is_read(a)):
        return a
    wide = a.dtype.kind == "f" and a.dtype.itemsize >= 8
    with np.errstate(over="ignore"):  # of a long double: refused as infinity, with its place
        return a.astype(np.float64 if wide else np.float32)


def finite(name: str, a: Given, owner: Any = None, precision: str | None = None) -> None:
    """Refuse NaN and infinity, and what is where weights are float32; says where the first is.

    `owner` is what the user gave, `precision` what is computed in; None where that is not known.

    Raises
    ------
    ValueError
        If there is such a value.
    """
    if a.dtype.kind != "f" or not a.size:
        return
    single = precision not in (None, "float64") and a.dtype.itemsize > 4
    most = _MOST if single else _WIDEST
    if isinstance(a, _core.DeviceArray):
        _finite_there(name, a, most, owner)
        return
    if is_native(a) and _core.all_finite(a, most):
        return  # after one pass where all is well
    if not np.isfinite(a).all():
        at = _first(a, lambda part: ~np.isfinite(part))
        raise ValueError(f"{name}: holds {a[at]} at {place(at, owner)}; clean the data first")
    if single and max(a.max(), -a.min()) >= LIMIT:
        at = _first(a, lambda part: np.abs(part) >= LIMIT)
        raise _too_large(name, a[at], at, owner)


def _finite_there(name: str, a: _core.DeviceArray, most: float, owner: Any) -> None:
    """Do the same on the GPU."""
    if (at := on_device.first_outside(a, -most, most)) is None:
        return
    value = on_device.value_at(a, at)
    if np.isfinite(value):
        raise _too_large(name, value, at, owner)
    raise ValueError(f"{name}: holds {value} at {place(at, owner)}; clean the data first")


def _too_large(name: str, value: Any, at: Sequence[int], owner: Any) -> ValueError:
    return ValueError(
        f"{name}: holds {value} at {place(at, owner)}, which is infinite in float32; scale the "
        'data, or train with precision="float64"'
    )


def _first(a: Array, bad: Callable[[Array], Array]) -> tuple[int, ...]:
    """Return the index of the first bad value, looking at some rows at a time."""
    for first in range(0, len(a), 4096):
        found = np.argwhere(bad(a[first : first + 4096]))
        if len(found):
            row, *rest = (int(k) for k in found[0])
            return (first + row, *rest)
    raise AssertionError("there is one")
