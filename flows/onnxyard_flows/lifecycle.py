"""The flow `onnx-lifecycle`: develop, export, optimize, validate, deploy."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect import flow, task
from prefect.runtime import flow_run

from onnxyard.bootstrap import Yard
from onnxyard.errors import GateFailedError, InvalidRequestError
from onnxyard.lifecycle.version import VersionStatus
from onnxyard.operations import aliases, runs
from onnxyard.operations.actors import this_actor
from onnxyard.operations.deploy import apply_plan
from onnxyard.operations.passports import version_status
from onnxyard.operations.register import register
from onnxyard.ports.unit_of_work import RunState
from onnxyard.project.project import load_project
from onnxyard.runtimes.availability import require
from onnxyard.settings import Settings
from onnxyard.stages.deploy import stage as deploy_stage
from onnxyard.stages.deploy.request import DeployRequest
from onnxyard.stages.kept import KeptResults
from onnxyard_flows import failpoint
from onnxyard_flows.document import run_document
from onnxyard_flows.draft import draft_version
from onnxyard_flows.lock import project_lock
from onnxyard_flows.progress import bars
from onnxyard_flows.records import LifecycleRecorder
from onnxyard_flows.stage_tasks import Done, Stopwatch, Workshop
from onnxyard_flows.stages import Made, Stage, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.lifecycle.deployment import DeploymentPlan
    from onnxyard.lifecycle.gate import Gate
    from onnxyard.lifecycle.version import ModelVersion, VersionDraft
    from onnxyard.ports.unit_of_work import LifecycleRun
    from onnxyard.project.project import Project

log = logging.getLogger(__name__)

MODEL_FILE = "model.onnx"


@flow(name="onnx-lifecycle", flow_run_name="{project}", persist_result=False, validate_parameters=False)
def onnx_lifecycle(
    project: str = ".",
    until: str | None = None,
    home: str | None = None,
    workers: int = 1,
    dask: str | None = None,
) -> dict[str, Any]:
    """Carry a project to `until` (deploy by default); stages whose results are kept are not run again.

    Args:
        project: The project's folder.
        until: The last stage to run.
        home: The folder that holds all state; as `onnxyard run --home`.
        workers: Candidates that optimize makes at a time.
        dask: The address of a Dask scheduler whose workers make them.

    Returns:
        The document that `onnxyard run --json` prints.

    Raises:
        NotFoundError, ProjectFileError: there is no project, or its file holds mistakes.
        UnreachableError: the registry or MLflow does not answer; nothing was started.
        ConflictError: a run of this project is under way.
        GateFailedError: a gate did not pass; the version is registered as rejected, nothing was deployed, and
            `facts["run"]` holds the document. Or optimize found no candidate that meets a target's goals; there is no
            version then.
    """
    folder = Path(project)
    settings = Settings.read(home=Path(home) if home else None, start=folder)
    yard = Yard(settings)
    lifecycle = Lifecycle(
        yard, yard.acquired(load_project(folder)), run_id=str(flow_run.id or uuid4()), workers=workers, dask=dask
    )
    return lifecycle.run(_stage(until))


def check_ready(settings: Settings, project: Path) -> Project:
    """What must be there before a lifecycle starts: the project, its targets' runtimes, the registry and MLflow.

    Raises as the flow does.
    """
    yard = Yard(settings)
    loaded = load_project(project)
    for target in loaded.file.targets.values():
        for runtime, provider in target.ways:
            require(runtime, provider)
    yard.recorder.check()
    _ = yard.unit_of_work
    return loaded


def _stage(until: str | None) -> Stage:
    try:
        return Stage(until) if until is not None else Stage.DEPLOY
    except ValueError:
        raise InvalidRequestError(
            f"There is no stage {until!r}.", remedy=f"The stages are {', '.join(Stage)}."
        ) from None


class Lifecycle:
    """One run of one project in one installation."""

    def __init__(self, yard: Yard, project: Project, *, run_id: str, workers: int = 1, dask: str | None = None) -> None:
        self._yard = yard
        self._workers, self._dask = workers, dask
        self._project = project
        self._run_id = run_id
        self._actor = this_actor()

    def run(self, until: Stage) -> dict[str, Any]:
        """Run it under the project's lock, with its row in the registry. Returns and raises as `onnx_lifecycle`."""
        settings, name = self._yard.settings, self._project.name
        self._yard.recorder.check()
        uow = self._yard.unit_of_work
        with (
            project_lock(settings.home / "locks", name, now=_now()),
            _scratch(settings.workspaces / name) as workspaces,
        ):
            runs.reconcile(uow, now=_now(), model=name)
            row = runs.begin(uow, run_id=self._run_id, model=name, now=_now())
            with (
                self._ending(row),
                bars() as progress,
                LifecycleRecorder(self._yard.recorder, self._project, flow_run=self._run_id) as records,
            ):
                workshop = Workshop(
                    workspaces=workspaces,
                    results=settings.prefect / "results",
                    kept=KeptResults(settings.results, self._yard.store),
                    store=self._yard.store,
                    project=self._project,
                    records=records,
                    bars=progress,
                    shelf=settings.shelf,
                    workers=self._workers,
                    dask=self._dask,
                )
                document = self._carry(workshop, until)
            runs.end(uow, row, state=RunState.FINISHED, now=_now(), version=document["version"])
        return document

    @contextmanager
    def _ending(self, row: LifecycleRun) -> Iterator[None]:
        """Write down how a run that did not finish ended. Waiting aliases are delivered however it ends."""
        uow = self._yard.unit_of_work
        try:
            yield
        except GateFailedError as error:
            version = error.facts.get("version")
            number = version if isinstance(version, int) else None
            runs.end(uow, row, state=RunState.REJECTED, now=_now(), version=number, detail=error.detail)
            raise
        except BaseException as error:
            detail = str(error).partition("\n")[0] or type(error).__name__
            runs.end(uow, row, state=RunState.FAILED, now=_now(), detail=detail)
            raise

    def _carry(self, workshop: Workshop, until: Stage) -> dict[str, Any]:
        made = make(workshop, until=until)
        version = self._register(workshop, made)
        if version is None:
            return run_document(
                model=self._project.name,
                done=workshop.done,
                mlflow_run_id=workshop.records.run_id,
                exported=made.exported,
                optimized=made.optimized,
                report=self._report(made),
            )
        if version.draft.verdict is VersionStatus.REJECTED:
            raise self._rejection(workshop, version, made)
        if until is Stage.DEPLOY:
            self._deploy(workshop, version)
        delivery = aliases.deliver_aliases(self._yard.unit_of_work, self._yard.recorder, now=_now())
        if delivery.pending:
            log.warning("MLflow's alias will follow with a later command: %s", delivery.error)
        return self._document(workshop, version, made)

    def _report(self, made: Made) -> Path | None:
        """Where a person opens the search's report; the store keeps the original. None before there is one."""
        if made.optimized is None:
            return None
        folder = self._yard.settings.reports / self._project.name / "optimize"
        self._yard.store.fetch(made.optimized.report.digest, folder)
        return folder / "report.html"

    def _register(self, workshop: Workshop, made: Made) -> ModelVersion | None:
        """The version, registered; the one that is there where nothing changed; None where validate was not run."""
        if made.exported is None or made.optimized is None or made.validated is None:
            return None
        keys = {name: done.key for name, done in workshop.done.items()}
        draft = draft_version(
            self._project,
            keys=keys,
            developed=made.developed,
            exported=made.exported,
            optimized=made.optimized,
            validated=made.validated,
        )
        with self._yard.unit_of_work() as work:
            present = work.versions.by_key(draft.model, draft.key)
        if present is not None:
            return present
        draft = self._record_model(workshop, draft)
        return register(self._yard.unit_of_work, draft, actor=self._actor, now=_now())

    def _record_model(self, workshop: Workshop, draft: VersionDraft) -> VersionDraft:
        """Log the deployed target's model with MLflow and register it there: the draft with the pointers to it."""
        target = self._project.file.deploy.target
        chosen = next(a for a in draft.artifacts if a.target == target)
        space = workshop.workspaces / f"register-{draft.key}"
        with workshop.records.stage("register", key=draft.key) as record:
            self._yard.store.fetch(chosen.artifact.digest, space)
            tags = {"onnxyard.digest": chosen.artifact.digest, "onnxyard.target": target, "onnxyard.key": draft.key}
            tags["onnxyard.verdict"] = draft.verdict.value
            record.tags(tags)
            if not (
                space / MODEL_FILE
            ).is_file():  # compiled for its runtime: MLflow's `onnx` flavour has no place for it
                return replace(draft, mlflow_run_id=workshop.records.run_id)
            number = record.model(space / MODEL_FILE, name=draft.model, signature=draft.model_signature, tags=tags)
        return replace(draft, mlflow_run_id=workshop.records.run_id, mlflow_model_version=number)

    def _deploy(self, workshop: Workshop, version: ModelVersion) -> None:
        """Make the version champion of its endpoint, unless it is that already."""
        deploy = self._project.file.deploy
        with self._yard.unit_of_work() as work:
            generation = work.deployments.generation(deploy.endpoint)
            history = work.deployments.history(deploy.endpoint)
        request = DeployRequest(
            deploy.endpoint, version.draft.model, version.number, deploy.target, generation, history
        )
        watch = Stopwatch()

        @task(name="deploy", task_run_name="deploy", persist_result=False)
        def plan_and_apply() -> bool:
            result = deploy_stage.run(request, workshop.workspaces)
            if result.held:
                log.warning("not deployed: %s", result.detail)
            if result.plan is not None:
                self._apply(workshop, result.plan)
            return result.plan is None

        reused = plan_and_apply()
        if reused:
            workshop.bars.reused(Stage.DEPLOY)
        workshop.done[Stage.DEPLOY] = Done("", watch.seconds, reused)

    def _apply(self, workshop: Workshop, plan: DeploymentPlan) -> None:
        with workshop.records.stage("deploy") as record, workshop.bars.stage("deploy", steps=None):
            deployment = apply_plan(
                self._yard.unit_of_work, self._yard.deployment_target, plan, actor=self._actor, now=_now()
            )
            failpoint.die("deploy")
            record.params({"endpoint": deployment.endpoint, "target": deployment.target})
            record.params({"version": deployment.version, "generation": deployment.generation})

    def _document(self, workshop: Workshop, version: ModelVersion, made: Made) -> dict[str, Any]:
        endpoint = self._project.file.deploy.endpoint
        with self._yard.unit_of_work() as work:
            generation = work.deployments.generation(endpoint)
        return run_document(
            model=version.draft.model,
            version=version,
            status=version_status(self._yard.unit_of_work, version.draft.model, version.number),
            mlflow_run_id=version.draft.mlflow_run_id,
            done=workshop.done,
            exported=made.exported,
            report=self._report(made),
            endpoint=endpoint,
            generation=generation,
        )

    def _rejection(self, workshop: Workshop, version: ModelVersion, made: Made) -> GateFailedError:
        failed = [gate for gate in version.draft.gates if not gate.passed]
        subject = f"{version.draft.model}@{version.number}"
        return GateFailedError(
            f"{subject} is rejected: {len(failed)} of {len(version.draft.gates)} gates did not pass.",
            remedy=f"Nothing was deployed. Mend the project and run it again; onnxyard show {subject} tells more.",
            problems=[_told(gate) for gate in failed],
            gates=[
                {
                    "name": gate.name,
                    "observed": gate.observed,
                    "threshold": gate.threshold,
                    "outcome": gate.outcome.value,
                    "detail": gate.detail,
                }
                for gate in failed
            ],
            version=version.number,
            run=self._document(workshop, version, made),
        )


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """The project's scratch folder: without what a dead run left, and gone however this one ends. The lock is ours."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(gate: Gate) -> str:
    observed, threshold = _measured(gate.observed, gate.unit), _measured(gate.threshold, gate.unit)
    return f"{gate.name}: {observed} against {threshold} ({gate.outcome}). {gate.detail}".strip()


def _measured(value: float, unit: str) -> str:
    return f"{value:.6g} {unit}".rstrip()


def _now() -> datetime:
    return datetime.now(UTC)
