"""`onnxyard run` and `onnxyard deployment`."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from onnxyard.cli.exits import exit_code
from onnxyard.cli.options import HomeOption, JsonOption, ProjectArgument
from onnxyard.cli.output import err, error_document, out, print_error, print_json
from onnxyard.cli.summary import print_lifecycle
from onnxyard.errors import GateFailedError
from onnxyard.project.project import load_project
from onnxyard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="STAGE", help="The last stage: develop, export, optimize, validate or deploy."),
]


WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", min=1, max=64, help="Candidates that optimize makes at a time; it times them one by one."
    ),
]

DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="A Dask scheduler whose workers make candidates, as tcp://10.0.0.5:8786; they must see the same files.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add `run` and `deployment`."""
    app.command()(run)
    deployment = typer.Typer(name="deployment", help="Runs on a Prefect server's workers.", no_args_is_help=True)
    app.add_typer(deployment)
    deployment.command()(create)
    deployment.command("run")(run_deployment)


def run(
    project: ProjectArgument,
    *,
    until: UntilOption = None,
    workers: WorkersOption = 1,
    dask: DaskOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Carry a project from code to live; stages whose results are kept are not run again."""
    settings = Settings.read(home=home, start=project)
    try:
        with _stdout_on_stderr():
            document = run_lifecycle(settings, project, until, workers=workers, dask=dask)
    except GateFailedError as error:
        if "run" not in error.facts:  # optimize found nothing that meets the goals: there is no version to show
            raise
        document = cast("dict[str, Any]", error.facts.pop("run"))
        if as_json:
            print_json({**document, **error_document(error)})
        else:
            print_lifecycle(document)
        print_error(error, as_json=False)
        raise typer.Exit(exit_code(error)) from error
    if as_json:
        print_json(document)
        return
    print_lifecycle(document)
    if document["version"] is not None:
        out.print(f"next: onnxyard show {document['model']}@{document['version']} --home {settings.home}")
        out.print(f"      onnxyard up {project}")


def create(project: ProjectArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Register a project's deployments (its lifecycle, its scheduled drift check) with the Prefect server."""
    from onnxyard_flows.environment import prefect_server  # noqa: PLC0415 - sets what prefect reads when imported

    settings = Settings.read(home=home, start=project)
    with prefect_server(settings):
        from onnxyard_flows.deployments import create_deployments  # noqa: PLC0415 - imports prefect

        made = create_deployments(project, settings)
    if as_json:
        print_json({"deployments": made})
    else:
        err.print("\n".join(made))


def run_deployment(
    name: Annotated[str, typer.Argument(help="`onnx-lifecycle` (this folder's project) or `FLOW/DEPLOYMENT`.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit as the lifecycle does.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Have a worker run a deployment."""
    from onnxyard_flows.environment import prefect_server  # noqa: PLC0415 - sets what prefect reads when imported

    settings = Settings.read(home=home)
    with prefect_server(settings):
        from onnxyard_flows.deployments import full_name, start  # noqa: PLC0415 - imports prefect

        started = start(full_name(name, Path.cwd()), settings, wait=wait)
    if as_json:
        print_json(started)
    else:
        err.print(f"{started['deployment']}: flow run {started['flow_run']} is {started['state']}")


def run_lifecycle(
    settings: Settings, project: Path, until: str | None, *, workers: int = 1, dask: str | None = None
) -> dict[str, Any]:
    """Run the flow in this process, with the Prefect server that is named or an embedded one. Raises as the flow."""
    from onnxyard_flows.environment import prefect_api  # noqa: PLC0415 - sets what prefect reads when imported

    load_project(project)  # before anything is written: there may be none
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # Prefect's, where a run ends in a hurry
    with prefect_api(settings) as server:
        # While the server comes up: all that can say no before anything starts.
        from onnxyard_flows.lifecycle import check_ready, onnx_lifecycle  # noqa: PLC0415 - imports prefect

        check_ready(settings, project)
        if server is not None:
            server.wait()
        document: dict[str, Any] = onnx_lifecycle(str(project.resolve()), until, str(settings.home), workers, dask)
        return document


@contextmanager
def _stdout_on_stderr() -> Iterator[None]:
    """What the project's code, a library or a child prints goes to stderr: stdout is for the result alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
