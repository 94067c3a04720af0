"""The flow `scheduled-job`: run by name what other packages offer in the entry-point group `onnxyard.jobs`."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow

from onnxyard.errors import NotFoundError
from onnxyard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "onnxyard.jobs"
"""Each entry is a callable `job(settings: Settings, **parameters) -> dict`, JSON-compatible both ways."""


@flow(name="scheduled-job", flow_run_name="{job}", persist_result=False, validate_parameters=False)
def scheduled_job(job: str, parameters: dict[str, Any] | None = None, home: str | None = None) -> dict[str, Any]:
    """Run a registered job once; a schedule calls this again and again.

    Args:
        job: The entry point's name, as `drift`.
        parameters: Handed to the job.
        home: The folder that holds all state; as `onnxyard --home`.

    Raises:
        NotFoundError: no installed package offers such a job.
    """
    return find_job(job)(Settings.read(home=Path(home) if home else None), **(parameters or {}))


def find_job(name: str) -> Callable[..., dict[str, Any]]:
    """The job called `name`. Raises NotFoundError, naming those that are installed."""
    jobs = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in jobs:
        raise NotFoundError(
            f"No installed package offers a job {name!r}.",
            remedy=f"Installed jobs: {', '.join(sorted(jobs)) or 'none'}.",
            where=f"entry points {GROUP}",
        )
    job: Callable[..., dict[str, Any]] = jobs[name].load()
    return job
