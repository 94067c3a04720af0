"""Calibration rows: whether they fit the model and can tell ranges at all, and a first few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import InvalidRequestError
from onnxyard.runtimes.inputs import check_inputs
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from onnxyard.lifecycle.signature import Signature

_WHERE = "the calibration split"


def check_calibration(batches: Iterable[Mapping[str, np.ndarray]], signature: Signature) -> None:
    """Refuse rows that a quantizer would take without a word, and make a useless model of.

    Args:
        batches: Model inputs, by input name [rows, ...].
        signature: Of the graph. NaN is allowed in inputs whose values may be `missing`.

    Raises:
        InvalidRequestError: there are no rows; a batch has other names, dtypes or shapes than the graph; a value is
            not finite; or every row is the same, so that ranges would be points.
    """
    missing = {spec.name for spec in signature.inputs if spec.missing}
    first: dict[str, np.ndarray] = {}
    rows, varies = 0, not signature.inputs  # a graph without inputs has nothing to vary
    for number, batch in enumerate(batches):
        try:
            check_inputs(signature, batch)
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"Calibration rows do not fit the model: {error.detail}",
                where=f"{_WHERE}, batch {number}",
                remedy=error.remedy or "Let `data` (and `preprocess`) give what the model takes.",
            ) from error
        for name, values in batch.items():
            _check_finite(name, values, number, nan_is_a_value=name in missing)
            row = first.setdefault(name, values[:1] if values.ndim else values)
            varies = varies or not _all_equal(values, row)
        rows += max((len(values) for values in batch.values() if values.ndim), default=1)
    if not rows:
        raise InvalidRequestError("There are no calibration rows.", where=_WHERE, remedy="Let `data` give some.")
    if not varies:
        raise InvalidRequestError(
            f"The calibration data is constant: all its {rows} rows are the same, so that ranges would be points."
            if rows > 1
            else "There is a single calibration row, which tells no range.",
            where=_WHERE,
            remedy="Let `data` give rows that are drawn as those the model will meet.",
        )


def first_rows(batches: Iterable[dict[str, np.ndarray]], rows: int, *, cut: bool) -> Iterator[dict[str, np.ndarray]]:
    """The batches that hold the first `rows` rows.

    Args:
        batches: Model inputs, by input name [rows, ...].
        rows: At least one batch is given, whatever they are.
        cut: Whether the last one may be cut to size: not where the model has its batch size baked in.
    """
    left = rows
    for batch in batches:
        length = max((len(values) for values in batch.values() if values.ndim), default=1)
        whole = not cut or length <= left or any(not values.ndim or len(values) != length for values in batch.values())
        yield batch if whole else {name: values[:left] for name, values in batch.items()}
        left -= length
        if left <= 0:
            return


def _check_finite(name: str, values: np.ndarray, number: int, *, nan_is_a_value: bool) -> None:
    if not is_floating(values.dtype):
        return
    bad = ~np.isfinite(values)
    if nan_is_a_value:
        bad &= ~np.isnan(values)
    if not bad.any():
        return
    place = np.unravel_index(int(bad.argmax()), values.shape)
    at = f"row {place[0]} of batch {number}" if place else f"batch {number}"
    raise InvalidRequestError(
        f"The calibration input {name!r} holds {float(values[place])} in {at}.",
        where=_WHERE,
        remedy="Drop such rows, or replace such values, in `data` or `preprocess`.",
    )


def _all_equal(values: np.ndarray, row: np.ndarray) -> bool:
    equal = values == row
    if is_floating(values.dtype):
        equal |= np.isnan(values) & np.isnan(row)
    return bool(np.all(equal))
