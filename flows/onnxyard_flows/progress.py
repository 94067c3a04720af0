"""How far a lifecycle is, for the person who waits: on stderr, and only where that is a terminal."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from onnxyard.cli.output import err

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.progress import TaskID


class Bars:
    """One line per stage: a bar where the number of steps is known, else a spinner."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def stage(self, name: str, *, steps: int | None) -> Iterator[Bar]:
        """The bar of a stage that runs now."""
        task = self._progress.add_task(name, total=steps, metrics="")
        yield Bar(self._progress, task)
        self._progress.update(task, total=1, completed=1)

    def reused(self, name: str) -> None:
        """A stage that need not run."""
        self._progress.add_task(name, total=1, completed=1, metrics="[dim]reused[/]")


class Bar:
    """A stage's `report`. Where a metric `left` counts the steps to come, the bar knows how far it is."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        total = step + round(metrics["left"]) if "left" in metrics else None  # None leaves it as it is
        told = "  ".join(worded(name, value) for name, value in metrics.items())
        self._progress.update(self._task, completed=step, metrics=told, total=total)


def worded(name: str, value: float) -> str:
    """A metric as people read it: `loss 0.1234`, and of what is left, `23 left` and `1:20 left`."""
    if not math.isfinite(value):
        return f"{name} {value}"
    if name == "left":
        return f"{value:.0f} left"
    if name == "seconds left":
        minutes, seconds = divmod(round(value), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
    return f"{name} {value:.4g}"


@contextmanager
def bars() -> Iterator[Bars]:
    """Bars on stderr; silent where nobody watches."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[metrics]}[/]"),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        yield Bars(progress)


def known_steps(config: Mapping[str, Any]) -> int | None:
    """The number of epochs, where the project's configuration names it as most do."""
    epochs = config.get("epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else None
