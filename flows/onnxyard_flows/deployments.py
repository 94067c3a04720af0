"""A project's deployments in a Prefect server: its lifecycle, and the scheduled check of its endpoint.

The environment must be set (`onnxyard_flows.environment.prefect_server`) before this module is imported.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from onnxyard.bootstrap import Yard
from onnxyard.errors import GateFailedError, NotFoundError, OnnxyardError
from onnxyard.ports.unit_of_work import RunState
from onnxyard.project.project import load_project
from onnxyard.settings import Settings, find_project
from onnxyard_flows.lifecycle import onnx_lifecycle
from onnxyard_flows.scheduled import scheduled_job

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

WORK_POOL = "onnxyard"
"""A pool of type `process`: `prefect worker start --pool onnxyard`."""
LIFECYCLE = "onnx-lifecycle"
POLL_SECONDS = 1.0


def create_deployments(project: Path, settings: Settings) -> list[str]:
    """Register (or update) `onnx-lifecycle/NAME` and `scheduled-job/drift-NAME`, and the work pool they use.

    The check runs every `[monitor] every_minutes` on the latest `window_rows` rows of the project's endpoint.

    Returns:
        The deployments' full names.

    Raises:
        NotFoundError, ProjectFileError: there is no project, or its file holds mistakes.
    """
    loaded = load_project(project)
    file = loaded.file
    _ensure_work_pool()
    lifecycle = RunnerDeployment.from_flow(
        onnx_lifecycle,
        loaded.name,
        parameters={"project": str(loaded.root), "home": str(settings.home)},
        work_pool_name=WORK_POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    drift = RunnerDeployment.from_flow(
        scheduled_job,
        f"drift-{loaded.name}",
        interval=timedelta(minutes=file.monitor.every_minutes),
        parameters={
            "job": "drift",
            "parameters": {"endpoint": file.deploy.endpoint, "rows": file.monitor.window_rows},
            "home": str(settings.home),
        },
        # A check that is late is not worth a second one at once: the next looks at the same rows and more.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        work_pool_name=WORK_POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return [_apply(each) for each in (lifecycle, drift)]


def full_name(name: str, folder: Path) -> str:
    """`FLOW/DEPLOYMENT`; a bare flow's name takes the project at or above `folder`. Raises NotFoundError."""
    if "/" in name:
        return name
    root = find_project(folder)
    if root is None:
        raise NotFoundError(
            f"Which project's {name}? There is none here.", where=str(folder), remedy=f"Name it: {name}/PROJECT"
        )
    return f"{name}/{load_project(root).name}"


def start(name: str, settings: Settings, *, wait: bool) -> dict[str, Any]:
    """Ask for a run of a deployment, for a worker to take.

    Returns:
        `deployment, flow_run, state`; the state is Prefect's, as `SCHEDULED` or, having waited, `COMPLETED`.

    Raises:
        NotFoundError: the server has no such deployment.
        GateFailedError: having waited: a gate failed.
        OnnxyardError: having waited: it failed otherwise.
    """
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound as error:
            raise NotFoundError(
                f"The Prefect server has no deployment {name}.",
                where=str(client.api_url),
                remedy="Register a project's with: onnxyard deployment create DIR",
            ) from error
        run = client.create_flow_run_from_deployment(deployment.id)
        while wait and not (run.state is not None and run.state.is_final()):
            time.sleep(POLL_SECONDS)
            run = client.read_flow_run(run.id)
    if wait and run.state is not None and not run.state.is_completed():
        raise _failure(run, name, _settings_of(deployment, settings))
    state = run.state.type.value if run.state is not None else "SCHEDULED"
    return {"deployment": name, "flow_run": str(run.id), "state": state}


def _failure(run: FlowRun, name: str, settings: Settings) -> OnnxyardError:
    """The error as the registry has it: Prefect keeps only its text."""
    told = run.state.message if run.state is not None and run.state.message else "it did not say why"
    with Yard(settings).unit_of_work() as work:
        row = next((r for r in work.runs.of_model(name.partition("/")[2]) if r.id == str(run.id)), None)
    if row is not None and row.state == RunState.REJECTED:
        return GateFailedError(row.detail, where=name, flow_run=str(run.id), version=row.version)
    detail = row.detail if row is not None and row.detail else told
    return OnnxyardError(f"{name} failed: {detail}", where=f"flow run {run.id}")


def _settings_of(deployment: DeploymentResponse, settings: Settings) -> Settings:
    """The installation a deployment works in: the command may have been given from anywhere."""
    home = deployment.parameters.get("home")
    return Settings.read(home=Path(str(home))) if home else settings


def _ensure_work_pool() -> None:
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process"))
        except ObjectAlreadyExists:
            return


def _apply(deployment: RunnerDeployment) -> str:
    deployment.apply()
    return f"{deployment.flow_name}/{deployment.name}"
