"""The evidence a person looks at: an Evidently report. The one file that imports evidently, in a process of its own.

`python -m onnxyard_monitoring.evidence` reads one JSON document on stdin and writes the report. Importing evidently
takes seconds, so `Renderer` starts that process first and hands it the data when the comparison is done.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from onnxyard.errors import TransientError
from onnxyard.lifecycle.drift import MINIMUM_EFFECT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from onnxyard.lifecycle.drift import ColumnDrift

REPORT = "report.html"
MAXIMUM_COLUMNS = 30
MAXIMUM_ROWS = 5_000
TIMEOUT_SECONDS = 120.0
SAMPLE_SEED = 0
ONE_COLUMN = 0.01
"""A share that one column of MAXIMUM_COLUMNS exceeds: then the whole window has drifted, as we say too."""


@dataclass
class Renderer:
    """A process that is warming up to render one report; leaving the block ends it.

    Example:
        ```python
        with Renderer() as renderer:
            ...  # compare meanwhile
            renderer.render(reference, window, columns, into=folder)
        ```
    """

    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "onnxyard_monitoring.evidence"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def render(
        self,
        reference: Mapping[str, np.ndarray],
        window: Mapping[str, np.ndarray],
        columns: tuple[ColumnDrift, ...],
        *,
        into: Path,
        timeout_s: float = TIMEOUT_SECONDS,
    ) -> None:
        """Write `report.html` into the folder `into` (made if missing).

        The report holds the MAXIMUM_COLUMNS most surprising columns and at most MAXIMUM_ROWS rows of each side, drawn
        at random (seeded). It shows our verdict per column, not Evidently's own.

        Raises:
            TransientError: evidently failed or took longer than `timeout_s`; the verdict stands without the report.
            RuntimeError: called outside the block, or twice.
        """
        if self._process is None:
            raise RuntimeError("use the renderer inside its `with` block, once")
        shown = [c for c in columns if c.column in reference and c.column in window][:MAXIMUM_COLUMNS]
        document = {
            "into": str(into),
            "reference": _sample(reference, shown),
            "window": _sample(window, shown),
            "columns": [{"name": c.column, "q": c.q_value, "effect": c.effect, "drifted": c.drifted} for c in shown],
        }
        process, self._process = self._process, None
        try:
            _, told = process.communicate(json.dumps(document), timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise TransientError(f"Evidently took longer than {timeout_s:.0f} s.") from error
        if process.returncode:
            last = told.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
            raise TransientError(f"Evidently failed: {last[0]}")


def _sample(table: Mapping[str, np.ndarray], shown: list[ColumnDrift]) -> dict[str, list[Any]]:
    """Rows drawn alike from every column (a row stays a row); missing numbers as null."""
    rows = min((len(table[c.column]) for c in shown), default=0)
    index = np.arange(rows)
    if rows > MAXIMUM_ROWS:
        index = np.sort(np.random.default_rng(SAMPLE_SEED).choice(rows, MAXIMUM_ROWS, replace=False))
    sample: dict[str, list[Any]] = {}
    for column in shown:
        values = np.asarray(table[column.column])[index]
        if values.dtype.kind == "f":
            sample[column.column] = [float(v) if np.isfinite(v) else None for v in values]
        else:
            sample[column.column] = values.tolist()
    return sample


def _render(document: dict[str, Any]) -> None:
    """In the child: one report with our numbers per column."""
    import pandas as pd  # noqa: PLC0415 - only the child process pays for it
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest  # noqa: PLC0415
    from evidently.legacy.core import ColumnType  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    tests = {}
    for number, column in enumerate(document["columns"]):
        # One test per column, because a test of Evidently's sees the values but not which column they are of.
        test = StatTest(
            name=f"onnxyard-{number}",
            display_name=f"Onnxyard: effect size (q = {column['q']:.2g})",
            allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
            default_threshold=MINIMUM_EFFECT,
        )
        register_stattest(test, lambda *_, known=(column["effect"], column["drifted"]): known)
        tests[column["name"]] = test
    before, now = pd.DataFrame(document["reference"]), pd.DataFrame(document["window"])
    numbers = [name for name in tests if pd.api.types.is_numeric_dtype(before[name])]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in tests if name not in numbers]
    )
    report = Report([DataDriftPreset(per_column_method=tests, drift_share=ONE_COLUMN)])
    snapshot = report.run(
        Dataset.from_pandas(now, data_definition=definition), Dataset.from_pandas(before, data_definition=definition)
    )
    into = Path(document["into"])
    into.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(into / REPORT))


def main() -> None:
    """The child's entry: import first (slow), then wait for the data."""
    import evidently.presets  # noqa: F401, PLC0415 - warms up while the parent compares

    document = sys.stdin.read()
    if document:
        _render(json.loads(document))


if __name__ == "__main__":
    main()
