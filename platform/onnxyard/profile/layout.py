"""How a request and its answer are described: a few columns, one value per row. Never pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError
from onnxyard.profile.summary import LARGEST, STATISTICS, finite, summarise
from onnxyard.tensors.dtypes import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnxyard.lifecycle.signature import Signature, TensorSpec

WIDEST = 64
"""A flat input of at most this many features gives a column for each; a larger one is summarised."""
_LONGEST = 64
"""Characters of a text that a category keeps."""


class Kind(StrEnum):
    """What a column's values are."""

    NUMBER = "number"
    """float64, always finite."""
    CATEGORY = "category"
    """str."""


class Reading(StrEnum):
    """How a column is read off its tensor."""

    FEATURE = "feature"
    """One feature of a flat tensor."""
    SUMMARY = "summary"
    """One statistic over everything in a row."""
    TOP = "top"
    """The largest value of a row: a classifier's confidence."""
    CATEGORY = "category"
    """The value itself, as text."""
    LENGTH = "length"
    """A text's length in characters."""
    MISSING = "missing"
    """Whether the value is NaN: `missing` or `present`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Unique within the layout.
        kind: Number or category.
        tensor: The raw input or the answer it is read off.
        answer: Whether `tensor` is an answer.
        reading: How it is read.
        index: The feature's position, or the statistic's in `STATISTICS`; 0 otherwise.
    """

    name: str
    kind: Kind
    tensor: str
    answer: bool
    reading: Reading
    index: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """All columns of an endpoint, raw inputs first, in the signature's order. Immutable, so any thread may use it."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, signature: Signature, columns: Mapping[str, Sequence[str]] | None = None) -> Layout:
        """Lay out an endpoint.

        - A flat numeric input (rank 1, or rank 2 with a fixed width of at most 64): a number per feature, named as
          `columns` says, else `INPUT.3`.
        - Any other numeric input (an image, a signal): ten numbers, `INPUT.mean` and so on.
        - Text input, rank 1: a category and a length; rank 2: a category per feature. Missing text is the category "".
        - A flat numeric input whose values may be missing: beside each number a category `FEATURE.missing`, because the
          number itself counts as 0 where it is missing.
        - An integer or text answer of rank 1: a category. A float answer of rank 1 or [n, 1]: a number. A float answer
          [n, classes]: `ANSWER.top`, the largest. Any other numeric answer: ten numbers.

        Args:
            signature: The endpoint's: raw inputs and answers.
            columns: Names of an input's features, by input (`[project.columns]`).

        Raises:
            InvalidRequestError: `columns` names an unknown input, or not as many names as it has features.
        """
        named = dict(columns or {})
        unknown = [name for name in named if signature.input(name) is None]
        if unknown:
            raise InvalidRequestError(
                f"[project.columns] names the input {unknown[0]!r}, which there is not.",
                remedy=f"The raw inputs are: {', '.join(spec.name for spec in signature.inputs)}.",
            )
        made = [column for spec in signature.inputs for column in _of_input(spec, named.get(spec.name))]
        made += [column for spec in signature.outputs for column in _of_answer(spec)]
        return cls(_unique(made))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def describe(
        self, raw_inputs: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """One value per row and column.

        Args:
            raw_inputs: As the client sent them; first axis rows.
            answers: As the client got them; as many rows.

        Returns:
            float64 [rows] (finite: NaN counts as 0, larger values as 1e100) or object [rows] of str, by column name.

        Raises:
            InvalidRequestError: a tensor of the layout is missing, or has another shape than its columns need.
        """
        summaries: dict[tuple[bool, str], np.ndarray] = {}
        described = {}
        for column in self.columns:
            tensors = answers if column.answer else raw_inputs
            if column.tensor not in tensors:
                raise InvalidRequestError(f"There is no tensor {column.tensor!r} to describe.")
            values = tensors[column.tensor]
            if column.reading is Reading.SUMMARY:
                key = (column.answer, column.tensor)
                if key not in summaries:
                    summaries[key] = summarise(values)
                described[column.name] = summaries[key][:, column.index]
            else:
                described[column.name] = _read(column, values)
        return described

    def document(self) -> list[dict[str, Any]]:
        """JSON-compatible."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def of_document(cls, document: object) -> Layout:
        """What `document` gave, as a layout again. Raises ArtifactCorruptError for anything else."""
        try:
            return cls(
                tuple(
                    Column(
                        name=str(entry["name"]),
                        kind=Kind(entry["kind"]),
                        tensor=str(entry["tensor"]),
                        answer=bool(entry["answer"]),
                        reading=Reading(entry["reading"]),
                        index=int(entry["index"]),
                    )
                    for entry in document  # type: ignore[attr-defined]  # anything else is a TypeError, told below
                )
            )
        except (TypeError, KeyError, ValueError) as error:
            raise ArtifactCorruptError(f"This is no layout: {error!r}.") from error


def _of_input(spec: TensorSpec, names: Sequence[str] | None) -> list[Column]:
    text = spec.dtype == "STRING"
    width = _width(spec)
    if names is not None and len(names) != width:
        raise InvalidRequestError(
            f"[project.columns] gives {len(names)} names to {spec.name!r}, which has "
            f"{'no fixed number of' if width is None else width} features."
        )
    if text and len(spec.shape) == 1:
        return [
            Column(spec.name, Kind.CATEGORY, spec.name, answer=False, reading=Reading.CATEGORY),
            Column(f"{spec.name}.length", Kind.NUMBER, spec.name, answer=False, reading=Reading.LENGTH),
        ]
    if width is not None and (names is not None or width <= WIDEST):
        alone = len(spec.shape) == 1
        called = names or ([spec.name] if alone else [f"{spec.name}.{i}" for i in range(width)])
        kind, reading = (Kind.CATEGORY, Reading.CATEGORY) if text else (Kind.NUMBER, Reading.FEATURE)
        absent = spec.missing and not text
        return [
            column
            for i, name in enumerate(called)
            for column in (
                Column(name, kind, spec.name, answer=False, reading=reading, index=i),
                Column(f"{name}.missing", Kind.CATEGORY, spec.name, answer=False, reading=Reading.MISSING, index=i),
            )[: 2 if absent else 1]
        ]
    return [] if text else _summary(spec, answer=False)


def _of_answer(spec: TensorSpec) -> list[Column]:
    discrete = spec.dtype == "STRING" or numpy_dtype(spec.dtype).kind in "iub"
    rank = len(spec.shape)
    if discrete and _width(spec) == 1:
        return [Column(spec.name, Kind.CATEGORY, spec.name, answer=True, reading=Reading.CATEGORY)]
    if spec.dtype == "STRING":
        return []
    if not discrete and _width(spec) == 1:
        return [Column(spec.name, Kind.NUMBER, spec.name, answer=True, reading=Reading.FEATURE)]
    if not discrete and rank == 2:
        return [Column(f"{spec.name}.top", Kind.NUMBER, spec.name, answer=True, reading=Reading.TOP)]
    return _summary(spec, answer=True)


def _width(spec: TensorSpec) -> int | None:
    """Features per row of a flat tensor; None where it is not flat, or its width is not fixed."""
    if len(spec.shape) == 1:
        return 1
    return spec.shape[1] if len(spec.shape) == 2 and isinstance(spec.shape[1], int) else None


def _summary(spec: TensorSpec, *, answer: bool) -> list[Column]:
    return [
        Column(f"{spec.name}.{statistic}", Kind.NUMBER, spec.name, answer=answer, reading=Reading.SUMMARY, index=i)
        for i, statistic in enumerate(STATISTICS)
    ]


def _unique(columns: list[Column]) -> tuple[Column, ...]:
    """Where two columns share a name, each later one is called after its tensor as well."""
    seen: set[str] = set()
    made = []
    for column in columns:
        name = column.name
        while name in seen:
            name = f"{'answer' if column.answer else column.tensor}.{name}"
        seen.add(name)
        made.append(Column(name, column.kind, column.tensor, column.answer, column.reading, column.index))
    return tuple(made)


def _read(column: Column, values: np.ndarray) -> np.ndarray:
    if values.ndim not in {1, 2}:
        raise InvalidRequestError(f"{column.tensor!r} has the shape {list(values.shape)}, which is not flat.")
    if column.reading is Reading.TOP:
        return finite(values).max(axis=1, initial=-LARGEST) if values.shape[-1] else np.zeros(len(values))
    if values.ndim == 2 and column.index >= values.shape[1]:
        raise InvalidRequestError(
            f"{column.tensor!r} has {values.shape[1]} features; column {column.index} is missing."
        )
    picked = values if values.ndim == 1 else values[:, column.index]
    if column.reading is Reading.FEATURE:
        return finite(picked)
    texts = np.empty(len(picked), dtype=object)
    if column.reading is Reading.MISSING:
        texts[:] = np.where(np.isnan(picked.astype(np.float64)), "missing", "present").tolist()
        return texts
    texts[:] = [str(value) for value in picked.tolist()]
    if column.reading is Reading.LENGTH:
        return np.array([len(text) for text in texts], dtype=np.float64)
    texts[:] = [text[:_LONGEST] for text in texts]
    return texts
