"""`onnxyard tour`: one model from code to live, watched traffic, through the same commands a user would type."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from onnxyard.cli.options import HomeOption, JsonOption, ProjectArgument
from onnxyard.cli.output import err, out, print_json
from onnxyard.cli.summary import print_lifecycle, table
from onnxyard.cli.traffic import InferenceClient, draw, plant_shift, send, share_right
from onnxyard.errors import OnnxyardError, UnreachableError
from onnxyard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 7
BATCH = 4
STOP_SECONDS = 20


@dataclass(frozen=True)
class Leg:
    """One stretch of traffic and what monitoring said of it."""

    traffic: str
    rows: int
    right: float | None
    window: dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add `tour`."""

    @app.command()
    def tour(
        project: ProjectArgument,
        rows: Annotated[int, typer.Option(min=500, help="Held-out rows to send on each leg.")] = 600,
        as_json: JsonOption = False,
        home: HomeOption = None,
    ) -> None:
        """Carry a project to live traffic, watch it, plant a shift and see it caught."""
        settings = Settings.read(home=home, start=project)
        began = time.monotonic()
        lifecycle = _onnxyard("run", str(project), "--json", home=settings.home)
        err.print(f"[bold]operate[/]  serving {lifecycle['endpoint']}")
        with _serving(settings.home, settings.logs) as url:
            legs = _legs(project, settings.home, endpoint=lifecycle["endpoint"], url=url, rows=rows)
        document = {
            "lifecycle": lifecycle,
            "url": f"{url}/v2/models/{lifecycle['endpoint']}",
            "legs": [leg.__dict__ for leg in legs],
            "seconds": round(time.monotonic() - began, 1),
        }
        if as_json:
            print_json(document)
        else:
            _print_summary(document, legs, project)
        _expect(legs)


def _legs(project: Path, home: Path, *, endpoint: str, url: str, rows: int) -> tuple[Leg, Leg]:
    """Send the held-out rows as they are, then shifted; after each, let monitoring judge."""
    from onnxyard.project.project import load_project  # noqa: PLC0415 - the user's code may bring a framework

    test = load_project(project).functions().data().test
    if rows > len(test):
        extra = rows - len(test)
        err.print(f"         the test split has {len(test)} rows: the other {extra} are drawn from it again, seeded")
    held_out = test.take(draw(len(test), rows=rows, seed=SEED))
    legs = []
    for name, inputs in (("held-out", held_out.inputs), ("shifted", plant_shift(held_out.inputs, seed=SEED))):
        # A connection for each leg: the server closes one that idles while monitoring looks.
        with InferenceClient(url, endpoint) as client, _bar(f"{name} rows", rows) as advance:
            answers = send(client, inputs, batch=BATCH, progress=advance)
        right = share_right(answers, held_out.targets)
        window = _onnxyard("monitor", endpoint, "--rows", str(rows), "--json", home=home)
        legs.append(Leg(name, rows, right, window))
    return legs[0], legs[1]


def _expect(legs: tuple[Leg, Leg]) -> None:
    """The tour proves something only if both verdicts are the ones that were planted."""
    verdicts = tuple(leg.window["verdict"] for leg in legs)
    if verdicts != ("no_drift", "drift"):
        raise OnnxyardError(
            f"The drift check said {verdicts[0]} of held-out rows and {verdicts[1]} of shifted ones.",
            remedy="Expected no_drift and drift: look at the two reports named above.",
        )


def _onnxyard(*arguments: str, home: Path) -> dict[str, Any]:
    """Run one of our own commands; its JSON. Its progress goes to our stderr. Exits as it does when it fails."""
    command = [sys.executable, "-m", "onnxyard.cli", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=os.environ | {"ONNXYARD_HOME": str(home)})
    if done.returncode:
        raise typer.Exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextmanager
def _serving(home: Path, logs: Path) -> Iterator[str]:
    """A serving process on a free port, stopped at the end; its URL."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "tour-serving.log"
    command = [sys.executable, "-m", "onnxyard.cli", "serve", "--port", "0", "--json"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | {"ONNXYARD_HOME": str(home)}
        )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise UnreachableError("Serving did not start.", where=str(log), remedy=log.read_text()[-500:])
        yield json.loads(line)["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _bar(title: str, total: int) -> Iterator[Any]:
    columns = (TextColumn("         {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda rows: progress.advance(task, rows)


def _print_summary(document: dict[str, Any], legs: tuple[Leg, Leg], project: Path) -> None:
    run = document["lifecycle"]
    print_lifecycle(run)
    out.print()
    traffic = table("traffic", "rows", "right", "drift check", "why")
    for leg in legs:
        right = "-" if leg.right is None else f"{leg.right:.1%}"
        traffic.add_row(
            leg.traffic, str(leg.rows), right, leg.window["verdict"].replace("_", " "), leg.window["detail"]
        )
    out.print(traffic)
    out.print()
    for leg in legs:
        out.print(f"report    {leg.window['report']}")
    out.print(f"endpoint  {document['url']} (Open Inference Protocol V2; it was stopped at the end)")
    out.print(f"took      {document['seconds']} s")
    out.print("next      make up    or, for any project: onnxyard up DIR")
    out.print(f"          onnxyard show {run['model']}@{run['version']} --home {project}/.onnxyard")
