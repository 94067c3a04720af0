"""`onnxyard up`: everything running for one home, as plain processes; Ctrl-C ends them all."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from onnxyard.cli.children import Children, Service
from onnxyard.cli.options import HomeOption, JsonOption
from onnxyard.cli.output import err, out
from onnxyard.errors import ConflictError, NotFoundError
from onnxyard.settings import PROJECT_FILE, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
WORK_POOL = "onnxyard"
"""The work pool of every project's deployments."""

PortOption = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each server listens; 0 for a free port.

    MLflow's and Prefect's servers know no passwords, so they listen at loopback whatever the host.
    """

    serving: int
    control: int
    dashboard: int
    mlflow: int
    prefect: int


def register(app: typer.Typer) -> None:
    """Add `up`."""

    @app.command()
    def up(  # noqa: PLR0917 - Typer's options
        projects: Annotated[
            list[Path] | None,
            typer.Argument(metavar="[DIR]...", help="Projects to schedule; by default the one that home lies in."),
        ] = None,
        host: Annotated[
            str, typer.Option(help="Where serving, control API and dashboard listen; the rest stays on loopback.")
        ] = LOOPBACK,
        serving_port: PortOption = 8080,
        control_port: PortOption = 8081,
        dashboard_port: PortOption = 8082,
        mlflow_port: PortOption = 5000,
        prefect_port: PortOption = 4200,
        as_json: JsonOption = False,
        home: HomeOption = None,
    ) -> None:
        """Run serving, control API, dashboard, MLflow, Prefect and a worker for one home, until Ctrl-C."""
        settings = Settings.read(home=home, start=projects[0] if projects else None)
        folders = _projects(settings, projects or [])
        ports = Ports(serving_port, control_port, dashboard_port, mlflow_port, prefect_port)
        with _stop_signals() as stopped, _alone(settings):
            services, urls = plan(settings, folders, host=host, ports=_settle(ports, host, settings))
            with Children(logs=settings.logs, folder=settings.home) as children:
                err.print(f"Starting {len(services)} processes for {settings.home}; logs in {settings.logs}")
                said = children.bring_up(services, ready=_say_ready, stop=stopped.is_set)
                if said:
                    _print_urls(urls, settings, as_json=as_json)
                    children.watch(stop=stopped.is_set)
                err.print("Stopping")


def plan(
    settings: Settings, projects: tuple[Path, ...], *, host: str, ports: Ports
) -> tuple[tuple[Service, ...], dict[str, str]]:
    """What to start, and the URLs people use.

    An MLflow or Prefect server that the settings name is used instead of starting one.
    """
    shown = LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared with, not listened at
    base = f"http://[{shown}]" if ":" in shown else f"http://{shown}"
    urls = {
        "dashboard": f"{base}:{ports.dashboard}",
        "serving": f"{base}:{ports.serving}/v2",
        "control": f"{base}:{ports.control}/api/v1/endpoints",
    }
    mlflow_url, mlflow = _mlflow(settings, ports.mlflow)
    prefect_api, prefect = _prefect(settings, ports.prefect)
    if mlflow_url:
        urls["mlflow"] = mlflow_url
    urls["prefect"] = prefect_api.removesuffix("/api")
    environ = {"ONNXYARD_PREFECT_API_URL": prefect_api, "PREFECT_API_URL": prefect_api}
    links = ("--prefect-url", urls["prefect"], *(("--mlflow-url", mlflow_url) if mlflow_url else ()))

    def ours(name: str, port: int, health: str, *options: str) -> Service:
        command = onnxyard(name if name != "serving" else "serve", *_at(settings, host, port), *options)
        return Service(name, command, f"{base}:{port}{health}", environ)

    worker_port = _free_port(LOOPBACK)
    needed = tuple(service.name for service in prefect)
    worker = Service(
        "worker",
        (
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--pool", WORK_POOL, "--type", "process", "--with-healthcheck"),
        ),
        f"http://{LOOPBACK}:{worker_port}/health",
        prefect_environment(settings)
        | environ
        | {"PREFECT_WORKER_WEBSERVER_HOST": LOOPBACK, "PREFECT_WORKER_WEBSERVER_PORT": str(worker_port)},
        after=needed,
    )
    schedules = tuple(
        Service(
            f"schedule-{folder.name}",
            onnxyard("deployment", "create", str(folder), "--home", str(settings.home)),
            "",
            environ,
            after=needed,
        )
        for folder in projects
    )
    own = (
        ours("serving", ports.serving, "/v2/health/live"),
        ours("control", ports.control, "/healthz"),
        ours("dashboard", ports.dashboard, "/healthz", *links),
    )
    return (*prefect, *mlflow, *own, worker, *schedules), urls


def onnxyard(*arguments: str) -> tuple[str, ...]:
    """One of our own commands, in this interpreter."""
    return (sys.executable, "-m", "onnxyard.cli", *arguments)


def prefect_environment(settings: Settings) -> dict[str, str]:
    """What keeps Prefect's processes within home, quiet, and from asking questions."""
    return {
        "PREFECT_HOME": str(settings.prefect),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_LOGGING_COLORS": "false",
        "PREFECT_CLI_PROMPT": "false",
    }


def _at(settings: Settings, host: str, port: int) -> tuple[str, ...]:
    return ("--home", str(settings.home), "--host", host, "--port", str(port))


def _mlflow(settings: Settings, port: int) -> tuple[str | None, tuple[Service, ...]]:
    uri = settings.mlflow_tracking_uri
    if uri.startswith(("http://", "https://")):
        return uri, ()
    url = f"http://{LOOPBACK}:{port}"
    files = settings.mlflow_artifacts.as_uri()
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", uri, "--default-artifact-root", files, "--artifacts-destination", files),
    )
    environ = {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return url, (Service("mlflow", command, f"{url}/health", environ),)


def _prefect(settings: Settings, port: int) -> tuple[str, tuple[Service, ...]]:
    if settings.prefect_api_url is not None:
        return settings.prefect_api_url, ()
    api = f"http://{LOOPBACK}:{port}/api"
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port))
    environ = prefect_environment(settings) | {"PREFECT_API_URL": api, "PREFECT_UI_API_URL": api}
    return api, (Service("prefect", command, f"{api}/health", environ),)


def _projects(settings: Settings, named: list[Path]) -> tuple[Path, ...]:
    """The projects whose deployments are registered: those named, else the one that home lies in, if any."""
    for folder in named:
        if not (folder / PROJECT_FILE).is_file():
            raise NotFoundError(
                f"There is no project in {folder}.", where=str(folder / PROJECT_FILE), remedy="onnxyard init makes one."
            )
    around = settings.home.parent
    default = (around,) if (around / PROJECT_FILE).is_file() else ()
    return tuple(folder.resolve() for folder in named) or default


def _settle(ports: Ports, host: str, settings: Settings) -> Ports:
    """The same ports, found free, before anything starts. Raises ConflictError, naming the first that is not."""
    wanted = {name: getattr(ports, name) for name in Ports.__slots__}
    if settings.mlflow_tracking_uri.startswith("http"):
        del wanted["mlflow"]
    if settings.prefect_api_url is not None:
        del wanted["prefect"]
    settled = {}
    for name, port in wanted.items():
        at = LOOPBACK if name in {"mlflow", "prefect"} else host
        try:
            settled[name] = _free_port(at, port)
        except OSError as error:
            reason = (error.strerror or str(error)).partition(" (")[0]  # what follows repeats the address
            raise ConflictError(
                f"The port {port} that {name} wants cannot be listened at: {reason}.",
                where=f"{at}:{port}",
                remedy=f"Stop what uses it, or choose another: --{name}-port.",
                service=name,
                port=port,
            ) from error
    return Ports(**({"mlflow": 0, "prefect": 0} | settled))


def _free_port(host: str, port: int = 0) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One `up` per home at a time: an OS lock, which ends with the process. Raises ConflictError naming the first."""
    import fcntl  # noqa: PLC0415 - not everywhere, and `onnxyard --help` works everywhere

    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "up.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise ConflictError(
                f"Everything is up for this home already, by process {holder}.",
                where=str(settings.home),
                remedy="Stop that one first (Ctrl-C where it runs).",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set instead of ending us at once."""
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_ready(service: Service) -> None:
    err.print(f"  {service.name} {'done' if service.ends else 'ready'}")


def _print_urls(urls: dict[str, str], settings: Settings, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"urls": urls, "home": str(settings.home), "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        return
    table = Table("", "URL", box=None, header_style="dim", pad_edge=False)
    for name, url in urls.items():
        table.add_row(name, url)
    out.print(table)
    out.print(f"Runs of this home, from another terminal: export ONNXYARD_PREFECT_API_URL={urls['prefect']}/api")
    out.print("Ctrl-C stops everything.")
