"""A project's inputs as one table, as scikit-learn and boosters want them: rows of named columns.

- An input [rows] or [rows, 1] is one column, named like the input.
- An input [rows, k] is k columns, named by `[project.columns]`, else `INPUT.0`, `INPUT.1`, ...

So a model of inputs that are all [rows] is fitted on `pandas.DataFrame(splits.train.inputs)`, and one of a single input
[rows, k] on that array. Columns stand in the order of the inputs; where the model was fitted on a frame, its own
column names decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError, UserCodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Unique within the table.
        input: The input that holds it.
        index: Its position in an input [rows, k]; None for an input [rows].
        dtype: The input's.
    """

    name: str
    input: str
    index: int | None
    dtype: np.dtype

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.dtype.kind in "OUST"


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a model, in the order it wants them."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, inputs: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]]) -> Table:
        """Lay out a model's inputs.

        Args:
            inputs: Arrays by name, each [rows] or [rows, k].
            names: The columns of an input, by input (`[project.columns]`).

        Raises:
            InvalidRequestError: an input has more axes, or `names` gives it another number of columns.
            UserCodeError: two columns are called the same.
        """
        columns = [column for name, array in inputs.items() for column in _columns(name, array, names.get(name))]
        called = [column.name for column in columns]
        if twice := sorted({name for name in called if called.count(name) > 1}):
            raise UserCodeError(f"Two columns are called {twice[0]!r}.", where="[project.columns]")
        return cls(tuple(columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def is_mixed(self) -> bool:
        """Whether it holds texts and numbers."""
        return len({column.is_text for column in self.columns}) > 1

    @property
    def dtype(self) -> np.dtype:
        """The one dtype that holds every column: numpy's common one of numbers, object where there is a text."""
        if any(column.is_text for column in self.columns):
            return np.dtype(object)
        return np.result_type(*(column.dtype for column in self.columns))

    def ordered(self, fitted: Sequence[str] | None) -> Table:
        """The same columns in the order that the model was fitted on; None where it was fitted on no names.

        Raises:
            UserCodeError: the model was fitted on other columns.
        """
        if fitted is None:
            return self
        by_name = {column.name: column for column in self.columns}
        if set(fitted) != by_name.keys() or len(fitted) != len(by_name):
            lacking, strange = sorted(set(fitted) - by_name.keys()), sorted(by_name.keys() - set(fitted))
            told = [f"the inputs have no column {lacking[0]!r}"] if lacking else []
            told += [f"it knows no column {strange[0]!r}"] if strange else []
            raise UserCodeError(
                f"The model was fitted on other columns than the inputs give: {', '.join(told)}.",
                remedy="Fit it on pandas.DataFrame(splits.train.inputs), or name the columns of a wider input in "
                "[project.columns].",
            )
        return Table(tuple(by_name[name] for name in fitted))

    def matrix(self, inputs: Mapping[str, np.ndarray], dtype: np.dtype | None = None) -> np.ndarray:
        """All columns side by side: [rows, columns] of `dtype`, else of the table's own."""
        wanted = self.dtype if dtype is None else dtype
        return np.stack([self._values(inputs, column) for column in self.columns], axis=1).astype(wanted, copy=False)

    def frame(self, inputs: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """All columns as a pandas frame, each of its own dtype."""
        import pandas as pd  # noqa: PLC0415 - the `trees` extra

        return pd.DataFrame({column.name: self._values(inputs, column) for column in self.columns})

    @staticmethod
    def _values(inputs: Mapping[str, np.ndarray], column: Column) -> np.ndarray:
        values = inputs[column.input]
        return values if column.index is None else values[:, column.index]


def _columns(name: str, array: np.ndarray, names: Sequence[str] | None) -> list[Column]:
    if array.ndim not in {1, 2}:
        raise InvalidRequestError(
            f"The input {name!r} has the shape {list(array.shape)}: a table's inputs are [rows] or [rows, columns].",
            remedy="Flatten it in `preprocess`.",
        )
    if array.ndim == 1:
        return [Column(names[0] if names else name, name, None, array.dtype)]
    width = array.shape[1]
    called = names or ([name] if width == 1 else [f"{name}.{at}" for at in range(width)])
    if len(called) != width:
        raise InvalidRequestError(
            f"[project.columns] gives {len(called)} names to {name!r}, which has {width} columns.",
            where="[project.columns]",
        )
    return [Column(text, name, at, array.dtype) for at, text in enumerate(called)]
