"""The reference profile: how the test split looks in the log's columns; what monitoring compares windows with.

    FOLDER/layout.json   the layout
    FOLDER/columns/      one tensor per column

The REFERENCE artifact may hold more beside these two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError
from onnxyard.lifecycle.digest import canonical_json
from onnxyard.profile.layout import Layout
from onnxyard.tensors.files import read_tensors, write_bytes, write_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAYOUT = "layout.json"
_COLUMNS = "columns"


@dataclass(frozen=True)
class Reference:
    """A layout and one array per column: float64 [rows], or object [rows] of str."""

    layout: Layout
    columns: dict[str, np.ndarray]

    @property
    def rows(self) -> int:
        """The length of every column."""
        return len(next(iter(self.columns.values()), ()))


def write_reference(folder: Path, layout: Layout, columns: Mapping[str, np.ndarray]) -> None:
    """Write a reference into `folder` (made if missing).

    Args:
        folder: Where to write.
        layout: The endpoint's.
        columns: What its `describe` gave for the reference rows.

    Raises:
        InvalidRequestError: the columns are not those of the layout, or differ in length.
        StorageFullError: no space is left.
    """
    if tuple(columns) != layout.names or len({len(values) for values in columns.values()}) > 1:
        raise InvalidRequestError("The reference's columns are not those of its layout, or differ in length.")
    write_tensors(folder / _COLUMNS, columns)
    write_bytes(folder / _LAYOUT, canonical_json(layout.document()))


def read_reference(folder: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises:
        ArtifactCorruptError: something is missing or broken, or layout and columns differ.
    """
    path = folder / _LAYOUT
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactCorruptError(f"The layout cannot be read: {error}.", where=str(path)) from error
    reference = Reference(Layout.of_document(document), read_tensors(folder / _COLUMNS))
    if tuple(reference.columns) != reference.layout.names:
        raise ArtifactCorruptError("The columns are not those of the layout.", where=str(folder))
    return reference
