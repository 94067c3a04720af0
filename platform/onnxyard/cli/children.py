"""Processes that one command starts, watches and ends: all of them, whatever they started themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from onnxyard.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

STOP_SECONDS = 12.0
"""How long children have after SIGTERM; then SIGKILL."""
POLL_SECONDS = 0.2
PROBE_SECONDS = 2.0
LAST_LINES = 15
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Service:
    """A process to run.

    Attributes:
        name: Also its log's name.
        command: The argument list.
        health: Polled until it answers 2xx; empty for one that is done when it has ended with 0.
        environ: Added to our own environment.
        after: Names of services that must be ready before it starts.
    """

    name: str
    command: tuple[str, ...]
    health: str
    environ: Mapping[str, str]
    after: tuple[str, ...] = ()

    @property
    def ends(self) -> bool:
        """Whether it does its work and ends, rather than staying."""
        return not self.health


class Children:
    """Running services. Leaving the block ends every one, with all that they started.

    Args:
        logs: Folder of the logs, one file per service, written anew.
        folder: Where they run, so that a stray relative path of theirs stays there.
    """

    def __init__(self, *, logs: Path, folder: Path) -> None:
        self._logs = logs
        self._folder = folder
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._ready: set[str] = set()

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log(self, name: str) -> Path:
        """A service's log file."""
        return self._logs / f"{name}.log"

    def bring_up(
        self, services: tuple[Service, ...], *, ready: Callable[[Service], None], stop: Callable[[], bool]
    ) -> bool:
        """Start each service when those it waits for are ready, and return when all are.

        Args:
            services: What to start.
            ready: Called once for each, when it answers (or has ended with 0).
            stop: Asked between polls; True ends the wait.

        Returns:
            False where `stop` said so.

        Raises:
            UnreachableError: a service ended that should not have; its last lines are in the error.
        """
        waiting = list(services)
        while len(self._ready) < len(services):
            for service in [s for s in waiting if set(s.after) <= self._ready]:
                waiting.remove(service)
                self._start(service)
            self._poll(ready)
            if stop():
                return False
            time.sleep(POLL_SECONDS)
        return True

    def watch(self, *, stop: Callable[[], bool]) -> None:
        """Return when `stop` says so. Raises UnreachableError when a service ends before."""
        while not stop():
            self._poll(lambda _service: None)
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM to every process of every service, SIGKILL after STOP_SECONDS to what is left."""
        groups = {process.pid for _, process in self._running.values()}
        groups |= _descendants(groups)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for group in groups:
                _signal(group, number)
            deadline = time.monotonic() + STOP_SECONDS
            while self._any_lives(groups) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS / 4)
        self._running.clear()

    def _start(self, service: Service) -> None:
        with self.log(service.name).open("wb") as log:
            process = subprocess.Popen(
                service.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, **service.environ},
                start_new_session=True,  # Ctrl-C is ours to handle: one orderly stop instead of a race
            )
        self._running[service.name] = (service, process)

    def _poll(self, ready: Callable[[Service], None]) -> None:
        for service, process in tuple(self._running.values()):
            code = process.poll()
            if code is not None and not (service.ends and code == 0):
                raise self._ended(service, code)
            if service.name not in self._ready and (code == 0 if service.ends else _answers(service.health)):
                self._ready.add(service.name)
                ready(service)

    def _ended(self, service: Service, code: int) -> UnreachableError:
        log = self.log(service.name)
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:]
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return UnreachableError(
            f"{service.name} {how}; everything else was stopped.",
            where=str(log),
            remedy="Its last lines are above." if lines else "It wrote nothing.",
            service=service.name,
            exit_code=code,
            problems=lines,
        )

    def _any_lives(self, groups: set[int]) -> bool:
        for _, process in self._running.values():
            process.poll()  # or an ended child would stay a zombie of ours
        return _any_lives(groups)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):  # noqa: S310 - http, loopback, made by us
            return True
    except (OSError, ValueError):
        return False


def _signal(group: int, number: signal.Signals) -> None:
    """To a process group; to the process alone where it leads none."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return
    with suppress(ProcessLookupError, PermissionError):
        os.kill(group, number)


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    group: int
    ended: bool


def _processes() -> tuple[_Process, ...]:
    """Every process of the machine; none where the system has no /proc."""
    found = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, group = stat.read_text().rpartition(")")[2].split()[:3]
            # One that ended and was not yet waited for does not live any more.
            found.append(_Process(int(stat.parent.name), int(parent), int(group), ended=state == "Z"))
    return tuple(found)


def _any_lives(groups: set[int]) -> bool:
    processes = _processes()
    if processes:
        return any(not p.ended and (p.pid in groups or p.group in groups) for p in processes)
    return any(_answers_signals(group) for group in groups)


def _answers_signals(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _descendants(pids: set[int]) -> set[int]:
    """All that the processes started, however deep.

    A worker starts its flow runs in sessions of their own, so the process group alone does not hold them.
    """
    children: dict[int, set[int]] = {}
    for process in _processes():
        children.setdefault(process.parent, set()).add(process.pid)
    found: set[int] = set()
    ahead = list(pids)
    while ahead:
        new = children.get(ahead.pop(), set()) - found
        found |= new
        ahead.extend(new)
    return found
