"""A table's recipe as ONNX nodes: columns to features, a network's outputs to the target.

What is done to a column is learned in `data`; networks are written in `rows`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import number_text
from ..data.encoders import FALSE, TRUE, Category, Date, Encoder, Number

if TYPE_CHECKING:
    from ..data import Table
    from ..data.goal import Goal

ML = "ai.onnx.ml"  # where LabelEncoder is
ML_OPSET = 2
DAY = 86400.0
_AS_WRITTEN = ("NaN", "NaT", "None")  # words whose case is neither small, large nor of a sentence


class TableNodes:
    """The nodes around a network.

    Parameters
    ----------
    onnx
        The package.
    table
        The recipe.
    dtype
        Of the network's numbers.
    """

    def __init__(self, onnx: Any, table: Table, dtype: np.dtype[Any]) -> None:
        self.onnx, self.table, self.dtype = onnx, table, dtype
        self.before: list[Any] = []  # nodes, up to the features
        self.after: list[Any] = []  # nodes, from the network's output on
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._now, self._count = self.before, 0
        self.names = [column.name for column in table.columns if column.features]
        words = {*number_text.MISSING, *(word.strip().lower() for word in table.missing)}
        self.missing = {form for word in words for form in _forms(word)} | {*_AS_WRITTEN}

    # -- nodes ---------------------------------------------------------------------------------

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self._count += 1
        name = f"table/{op}_{self._count}"
        made = self.onnx.helper.make_node(op, inputs, [name], name, domain=domain, **attributes)
        self._now.append(made)
        return name

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """Return the name of a constant."""
        array = np.asarray(value, dtype)
        return self.node("Constant", value=self.onnx.numpy_helper.from_array(array))

    def cast(self, x: str, dtype: Any) -> str:
        """Change the type of a tensor."""
        return self.node("Cast", x, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def arithmetic(self, x: str, op: str, number: float, dtype: Any = np.float64) -> str:
        """Return x op number."""
        return self.node(op, x, self.constant(number, dtype))

    # -- columns -------------------------------------------------------------------------------

    def features(self, name: str) -> None:
        """Make the features of all columns, under a name."""
        self._now = self.before
        parts = []
        for column in self.table.columns:
            if column.features:
                parts += _WAYS[type(column)](self, column)
        joined = self.node("Concat", *parts, axis=1)
        self.before.append(self.onnx.helper.make_node("Identity", [joined], [name], name))

    def column(self, column: Encoder, text: bool) -> str:
        """Declare an input (batch, 1) of texts, or of numbers whose NaN is a missing one."""
        kind = self.onnx.TensorProto.STRING if text else self.onnx.TensorProto.DOUBLE
        made = self.onnx.helper.make_tensor_value_info(column.name, kind, ["batch", 1])
        self.inputs.append(made)
        return column.name

    def number(self, column: Number) -> list[str]:
        """Return value and indicator."""
        x = self._flags(column) if column.words else self.column(column, text=False)
        none = self.node("IsNaN", x)
        z = self.node("Where", none, self.constant(column.fill), x)
        z = self.arithmetic(self.arithmetic(z, "Sub", column.mean), "Div", column.deviation)
        if column.squash:
            third = self.arithmetic(z, "Div", 3.0)
            root = self.arithmetic(self.node("Mul", third, third), "Add", 1.0)
            z = self.node("Div", z, self.node("Sqrt", root))
        return [self.cast(z, self.dtype), *self._indicator(column, none)]

    def _flags(self, column: Number) -> str:
        """Return texts of yes and no as 1 and 0, all others as missing."""
        keys = [form for word in (*TRUE, *FALSE) for form in _forms(word)] + ["1", "0"]
        yes = {*(form for word in TRUE for form in _forms(word)), "1"}
        x = self.node(
            "LabelEncoder", self.column(column, text=True), domain=ML, keys_strings=keys,
            values_floats=[float(key in yes) for key in keys], default_float=math.nan,
        )  # fmt: skip
        return self.cast(x, np.float64)

    def _indicator(self, column: Encoder, none: str) -> list[str]:
        return [self.cast(none, self.dtype)] if column.empty else []

    def category(self, column: Category) -> list[str]:
        """Return a column for each text, for all others and for missing ones."""
        if column.numeric:
            return self._numeric(column)
        kept, width = len(column.kept), len(column.features)
        place = {word: kept + column.other if column.empty else width for word in self.missing}
        place |= {text: k for k, text in enumerate(column.kept)}
        which = self.node(
            "LabelEncoder", self.column(column, text=True), domain=ML, keys_strings=[*place],
            values_int64s=[*place.values()], default_int64=kept if column.other else width,
        )  # fmt: skip
        # Beyond the width is no column.
        columns = self.constant(np.arange(width)[None], np.int64)
        return [self.cast(self.node("Equal", which, columns), self.dtype)]

    def _numeric(self, column: Category) -> list[str]:
        x = self.column(column, text=False)
        found = self.node("Equal", x, self.constant([[float(text) for text in column.kept]]))
        parts, none = [self.cast(found, self.dtype)], self.node("IsNaN", x)
        if column.other:
            some = self.node("ReduceMax", parts[0], self.constant([1], np.int64), keepdims=1)
            known = self.node("Or", self.cast(some, np.bool_), none)
            parts.append(self.cast(self.node("Not", known), self.dtype))
        return [*parts, *self._indicator(column, none)]

    def date(self, column: Date) -> list[str]:
        """Return the parts of a date, which comes in as seconds since 1970."""
        x, start = self.column(column, text=False), _seconds(column.start)
        none = self.node("IsNaN", x)
        when = self.node("Where", none, self.constant(start), x)
        days = self.arithmetic(when, "Div", DAY)
        day = self.node("Floor", days)
        whole = self.cast(day, np.int64)
        hour = self.arithmetic(self.node("Sub", days, day), "Mul", 24.0)
        weekday = self._whole(self._whole(whole, "Add", 3), "Mod", 7)
        turns = {
            "month": self.arithmetic(self.cast(self._month(whole), np.float64), "Div", 12.0),
            "weekday": self.arithmetic(self.cast(weekday, np.float64), "Div", 7.0),
            "hour": self.arithmetic(hour, "Div", 24.0),
        }
        parts = []
        for part, mean, deviation in zip(column.parts, column.mean, column.deviation, strict=True):
            if part.endswith(")"):
                word, form = part.removesuffix(")").split(" (")
                angle = self.arithmetic(turns[word], "Mul", 2.0 * math.pi)
                quarter = 0.5 * math.pi if form == "cosine" else 0.0
                value = self.node("Sin", self.arithmetic(angle, "Add", quarter))
            else:
                value = self.arithmetic(self.arithmetic(when, "Sub", start), "Div", DAY)
            z = self.arithmetic(self.arithmetic(value, "Sub", mean), "Div", deviation)
            z = self.node("Where", none, self.constant(0.0), z)
            parts.append(self.cast(z, self.dtype))
        return [*parts, *self._indicator(column, none)]

    def _whole(self, x: str, op: str, number: int) -> str:
        return self.arithmetic(x, op, number, np.int64)

    def _month(self, day: str) -> str:
        """Return the month from 0 of days since 1970, by the years of 400 that repeat.

        Years begin in March here, so that the day that leap years have is their last.
        """
        era = self._whole(self._whole(day, "Add", 719468), "Mod", 146097)
        year = self.node("Sub", era, self._whole(era, "Div", 1460))
        year = self.node("Add", year, self._whole(era, "Div", 36524))
        year = self._whole(self.node("Sub", year, self._whole(era, "Div", 146096)), "Div", 365)
        before = self.node("Add", self._whole(year, "Mul", 365), self._whole(year, "Div", 4))
        before = self.node("Sub", before, self._whole(year, "Div", 100))
        of_year = self.node("Sub", era, before)
        month = self._whole(self._whole(self._whole(of_year, "Mul", 5), "Add", 2), "Div", 153)
        return self._whole(self._whole(month, "Add", 2), "Mod", 12)

    # -- the target ----------------------------------------------------------------------------

    def decoded(self, name: str, shape: tuple[int, ...], goal: Goal, clamp: bool) -> None:
        """Make values of the target of a network's output, those of several members together."""
        self._now = self.after
        z = self.cast(name, np.float64)
        z = self.node("Softmax", z, axis=-1) if goal.classes is not None else z
        if len(shape) == 2:
            z = self.node("ReduceMean", z, self.constant([1], np.int64), keepdims=0)
        if goal.classes is not None:
            return self._classes(z, goal)
        z = self.node("Reshape", z, self.constant([-1], np.int64))
        z = self.arithmetic(self.arithmetic(z, "Mul", goal.deviation), "Add", goal.mean)
        if clamp:
            z = self.node("Clip", z, self.constant(goal.least), self.constant(goal.most))
        z = self.node("Max", z, self.constant(0.0)) if goal.count else z
        return self._output(goal.name, z, np.float64, [])

    def _classes(self, p: str, goal: Goal) -> None:
        assert goal.classes is not None
        names = np.array(goal.classes)
        if names.dtype.kind not in "bi":
            names = np.array([str(name) for name in goal.classes], object)
        which = self.node("ArgMax", p, axis=1, keepdims=0)
        self._output(goal.name, self.node("Gather", self.constant(names, names.dtype), which),
                     names.dtype, [])  # fmt: skip
        self._output("probabilities", p, np.float64, [len(goal.classes)])

    def _output(self, name: str, found: str, dtype: Any, shape: list[int]) -> None:
        name = f"predicted {name}" if name in self.names else name
        helper, dtype = self.onnx.helper, np.dtype(dtype)
        kind = helper.np_dtype_to_tensor_dtype(dtype)
        self.after.append(helper.make_node("Identity", [found], [name], f"table/{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, kind, ["batch", *shape]))


_WAYS: dict[type, Callable[[TableNodes, Any], list[str]]] = {
    Number: TableNodes.number, Category: TableNodes.category, Date: TableNodes.date,
}  # fmt: skip


def _forms(word: str) -> tuple[str, ...]:
    """Return a word as people write it: the comparison of texts in ONNX minds the case."""
    return tuple(dict.fromkeys((word, word.upper(), word.capitalize())))


def _seconds(date: str) -> float:
    return float(np.datetime64(date, "us").astype(np.int64)) / 1e6
