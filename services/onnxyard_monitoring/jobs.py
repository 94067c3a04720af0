"""The drift check as a job: the latest traffic of an endpoint, compared with what its version was proven on."""

from __future__ import annotations

import getpass
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxyard.bootstrap import Yard
from onnxyard.errors import ConflictError, NotFoundError, NoTrafficError, TransientError
from onnxyard.lifecycle.deployment import Deployment, Role
from onnxyard.lifecycle.drift import MINIMUM_ROWS, DriftVerdict
from onnxyard.lifecycle.version import ArtifactRole
from onnxyard.lifecycle.window import Window
from onnxyard.operations.windows import record_window
from onnxyard.predictions.sqlite_log import SqlitePredictionLog
from onnxyard.profile.reference import read_reference
from onnxyard_monitoring.drift import Comparison, compare
from onnxyard_monitoring.evidence import REPORT, Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.lifecycle.artifact import Artifact
    from onnxyard.ports.prediction_log import LoggedWindow
    from onnxyard.settings import Settings

REMEMBERED = 50
"""Windows looked back through to find where the next one starts."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a check needs to know of an endpoint.

    Attributes:
        champion: Who answers now.
        reference: The digest of its reference profile.
        judged_up_to: Last log position of the latest window of this version that reached a verdict; 0 before.
        recorded: The latest windows of this version, newest first.
    """

    champion: Deployment
    reference: str
    judged_up_to: int
    recorded: tuple[Window, ...]


def check_drift(settings: Settings, *, endpoint: str, rows: int = MINIMUM_ROWS) -> dict[str, object]:
    """Compare the endpoint's latest traffic with its champion's reference, and record the result.

    The window is the latest stretch of at least `rows` rows behind the last window that reached a verdict (or all
    there are), so no row is judged twice and thin traffic adds up until a verdict is possible. Without new traffic the
    last window is given again (`recorded` is then false).

    Args:
        settings: The installation.
        endpoint: The endpoint's name.
        rows: Least rows of a window.

    Returns:
        JSON-compatible: `endpoint, model, version, verdict, detail, rows, started_at, ended_at, first_sequence,
        last_sequence, missing, columns, report, report_digest, recorded`.

    Raises:
        NotFoundError: no such endpoint, or its version has no reference.
        NoTrafficError: nothing was logged yet.
        ArtifactCorruptError: the reference's bytes are not those that were recorded.
        UnreachableError, StorageFullError: registry, log or store could not be used.
    """
    yard = Yard(settings)
    with Renderer() as renderer:
        watched = _watched(yard, endpoint)
        log = SqlitePredictionLog(settings.predictions)
        traffic = log.window(endpoint, version=watched.champion.version, rows=rows, after=watched.judged_up_to)
        if traffic is None:
            return _again(settings, watched, endpoint)
        same = next((w for w in watched.recorded if _covers(w, traffic)), None)
        if same is not None:
            return _document(same, report=_report_file(settings, same), missing=traffic.missing, recorded=False)
        with _scratch(settings) as folder:
            yard.store.fetch(watched.reference, folder)
            reference = read_reference(folder).columns
        observed = {name: np.asarray(values) for name, values in traffic.columns.items()}
        comparison = compare(reference, observed)
        report, remark = _render(yard, renderer, comparison, reference=reference, observed=observed)
    window = Window(
        endpoint=endpoint,
        model=watched.champion.model,
        version=watched.champion.version,
        first_sequence=traffic.first,
        last_sequence=traffic.last,
        started_at=traffic.started_at,
        ended_at=traffic.ended_at,
        rows=traffic.rows,
        verdict=comparison.verdict,
        columns=comparison.columns,
        report=report,
        detail=comparison.detail + remark,
        created_at=datetime.now(UTC),
    )
    if report is not None:
        yard.store.fetch(report.digest, _report_folder(settings, window))
    try:
        record_window(yard.unit_of_work, window, actor=_actor(), now=window.created_at)
    except ConflictError:
        # Another check of the same rows was faster: its result stands.
        watched = _watched(yard, endpoint)
        window = next((w for w in watched.recorded if _covers(w, traffic)), window)
        return _document(window, report=_report_file(settings, window), missing=traffic.missing, recorded=False)
    return _document(window, report=_report_file(settings, window), missing=traffic.missing, recorded=True)


def scheduled_check(settings: Settings, *, endpoint: str, rows: int = MINIMUM_ROWS) -> dict[str, object]:
    """`check_drift` for a schedule: that nobody has asked anything yet is a result there, and no failure.

    Raises as `check_drift`, less NoTrafficError.
    """
    try:
        return check_drift(settings, endpoint=endpoint, rows=rows)
    except NoTrafficError as error:
        return {"endpoint": endpoint, "verdict": None, "detail": error.detail, "rows": 0, "recorded": False}


def recorded_windows(settings: Settings, *, endpoint: str, limit: int) -> list[dict[str, object]]:
    """The latest `limit` recorded windows, newest first, as `check_drift` gives them. Raises NotFoundError."""
    yard = Yard(settings)
    with yard.unit_of_work() as work:
        if not work.deployments.current(endpoint):
            raise _unknown(endpoint, work.deployments.endpoints())
        windows = work.windows.of_endpoint(endpoint, limit=limit)
    return [_document(w, report=_report_file(settings, w), missing=None, recorded=False) for w in windows]


def _watched(yard: Yard, endpoint: str) -> Watched:
    with yard.unit_of_work() as work:
        champion = next((d for d in work.deployments.current(endpoint) if d.role is Role.CHAMPION), None)
        if champion is None:
            raise _unknown(endpoint, work.deployments.endpoints())
        version = work.versions.get(champion.model, champion.version)
        windows = tuple(
            w
            for w in work.windows.of_endpoint(endpoint, limit=REMEMBERED)
            if (w.model, w.version) == (champion.model, champion.version)
        )
    reference = version.artifact(ArtifactRole.REFERENCE)
    if reference is None:
        raise NotFoundError(
            f"{champion.model}@{champion.version} has no reference profile to compare with.",
            where=f"endpoint {endpoint}",
            remedy="Run its project again: validate writes the reference.",
        )
    judged = (w.last_sequence for w in windows if w.verdict is not DriftVerdict.UNDECIDED)
    return Watched(champion, reference.artifact.digest, max(judged, default=0), windows)


def _unknown(endpoint: str, endpoints: tuple[str, ...]) -> NotFoundError:
    remedy = f"Known endpoints: {', '.join(endpoints)}." if endpoints else "Deploy one first: onnxyard run DIR"
    return NotFoundError(f"There is no endpoint {endpoint}.", remedy=remedy, endpoint=endpoint)


def _covers(window: Window, traffic: LoggedWindow) -> bool:
    return (window.first_sequence, window.last_sequence) == (traffic.first, traffic.last)


def _again(settings: Settings, watched: Watched, endpoint: str) -> dict[str, object]:
    """Nothing new was logged: the last window once more, where there is one."""
    if not watched.recorded:
        raise NoTrafficError(
            f"No prediction of {watched.champion.model}@{watched.champion.version} was logged yet.",
            where=f"endpoint {endpoint}, log {settings.predictions}",
            remedy=f"Send it requests first: POST /v2/models/{endpoint}/infer",
        )
    window = watched.recorded[0]
    return _document(window, report=_report_file(settings, window), missing=0, recorded=False)


def _render(
    yard: Yard,
    renderer: Renderer,
    comparison: Comparison,
    *,
    reference: Mapping[str, np.ndarray],
    observed: Mapping[str, np.ndarray],
) -> tuple[Artifact | None, str]:
    """The report in the store, and nothing to add; or none, and why. A verdict stands without its picture."""
    with _scratch(yard.settings) as folder:
        try:
            renderer.render(reference, observed, comparison.columns, into=folder)
        except TransientError as error:
            return None, f" No report: {error.detail}"
        return yard.store.put(folder), ""


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    settings.workspaces.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.workspaces, prefix="monitor-") as folder:
        yield Path(folder)


def _report_folder(settings: Settings, window: Window) -> Path:
    """Where a person opens the report; the store keeps the original."""
    return settings.reports / window.endpoint / f"{window.first_sequence}-{window.last_sequence}"


def _report_file(settings: Settings, window: Window) -> Path | None:
    file = _report_folder(settings, window) / REPORT
    return file if window.report is not None and file.is_file() else None


def _actor() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _document(window: Window, *, report: Path | None, missing: int | None, recorded: bool) -> dict[str, object]:
    return {
        "endpoint": window.endpoint,
        "model": window.model,
        "version": window.version,
        "verdict": window.verdict.value,
        "detail": window.detail,
        "rows": window.rows,
        "started_at": window.started_at.isoformat(),
        "ended_at": window.ended_at.isoformat(),
        "first_sequence": window.first_sequence,
        "last_sequence": window.last_sequence,
        "missing": missing,
        "columns": [asdict(column) for column in window.columns],
        "report": str(report) if report is not None else None,
        "report_digest": window.report.digest if window.report is not None else None,
        "recorded": recorded,
    }
