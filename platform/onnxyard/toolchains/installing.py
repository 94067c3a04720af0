"""Making and removing a toolchain's environment. It is made aside and takes its place once everything in it works."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from onnxyard.errors import ConflictError, InvalidRequestError, NotFoundError, StorageFullError, UnreachableError
from onnxyard.tensors.files import write_bytes
from onnxyard.toolchains.environment import RECORD, Environment, State
from onnxyard.toolchains.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Say = Callable[[str], None]

LIMIT_S = 1800.0
"""From start to end: an index that sends a byte a minute is as good as away."""
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]")
_NO_INDEX = re.compile(
    r"NewConnectionError|NameResolutionError|Connect(ion)?Timeout|ReadTimeout|ProxyError|SSLError|Max retries exceeded"
    r"|connection broken|Connection (refused|reset)"
)


def install(environment: Environment, say: Say, *, limit_s: float = LIMIT_S) -> bool:
    """Make the environment, unless it is there with the versions this release wants.

    Whatever goes wrong, an environment that was there before stays as it was.

    Args:
        environment: What to install, and where.
        say: Told what is going on, one short line each.
        limit_s: How long all of it may take.

    Returns:
        Whether anything was done.

    Raises:
        ConflictError: another process is at it.
        UnreachableError: the package index does not answer, or not in time.
        StorageFullError: no space is left.
        InvalidRequestError: this machine cannot have it, as when the index has no build for this Python; names the log.
    """
    with _alone(environment):
        if environment.state is State.INSTALLED:
            return False
        draft = environment.settings.toolchains / f".{environment.toolchain.name}.draft"
        shutil.rmtree(draft, ignore_errors=True)  # what a killed process left
        try:
            _make(environment, draft, say, time.monotonic() + limit_s)
            _take_place(draft, environment.folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return True


def remove(environment: Environment) -> None:
    """Remove the environment, whatever state it is in.

    Raises:
        NotFoundError: there is none.
        ConflictError: another process is making it.
    """
    with _alone(environment):
        if not environment.folder.exists():
            raise NotFoundError(
                f"The toolchain {environment.toolchain.name!r} is not installed.", where=str(environment.folder)
            )
        doomed = _aside(environment.folder)
        environment.folder.replace(doomed)  # at once: nobody finds half of it
        shutil.rmtree(doomed)


def _make(environment: Environment, draft: Path, say: Say, deadline: float) -> None:
    toolchain = environment.toolchain
    log = environment.settings.logs / f"toolchain-{toolchain.name}-install.log"
    log.unlink(missing_ok=True)
    python = draft / "bin" / "python"
    scratch = draft / "scratch"
    running = _Running(log, deadline, {**environment.surroundings(draft), "TMPDIR": str(scratch)}, say)
    say("making an environment")
    # Our own pip does the work where there is one; the environment then holds what is pinned and nothing else.
    ours = _has_pip()
    running.run([sys.executable, "-P", "-m", "venv", *(["--without-pip"] if ours else []), str(draft)])
    scratch.mkdir()
    wanted = scratch / "requirements.txt"
    wanted.write_text("\n".join(toolchain.requirements), encoding="utf-8")
    pip = [sys.executable if ours else str(python), "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    pip += ["--python", str(python)] if ours else []
    # The versions are complete, so pip need not look for more; `pip check` proves that they are.
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", "--retries=2"]
    options += [f"--no-binary={name}" for name in toolchain.sources]
    if toolchain.versions:
        fetched = _Fetched(len(toolchain.versions), say)
        running.run([*pip, "install", *options, "-r", str(wanted)], said=fetched)
        running.run([*pip, "check"])
    say("trying it")
    running.run([str(python), "-P", "-c", "".join(f"import {module}\n" for module in toolchain.imports)])
    shutil.rmtree(scratch)
    for script in (draft / "bin").iterdir():
        if not script.name.startswith("python"):
            script.unlink()  # they name the folder they were made in, which is not the one they end up in
    record = {"versions": dict(toolchain.versions), "python": sys.version.split()[0]}
    write_bytes(draft / RECORD, json.dumps(record, indent=2).encode())


def _has_pip() -> bool:
    """Whether this environment has pip.

    Asked of its metadata: looking for the module makes setuptools warn, where distutils was imported before.
    """
    try:
        metadata.version("pip")
    except metadata.PackageNotFoundError:
        return False
    return True


def _take_place(draft: Path, folder: Path) -> None:
    if folder.exists():
        older = _aside(folder)
        folder.replace(older)
        draft.replace(folder)
        shutil.rmtree(older, ignore_errors=True)
    else:
        draft.replace(folder)


def _aside(folder: Path) -> Path:
    aside = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    return aside


class _Fetched:
    """Turns pip's lines into a count."""

    def __init__(self, total: int, say: Say) -> None:
        self._total = total
        self._say = say
        self._seen = 0

    def __call__(self, line: str) -> None:
        if found := re.match(r"Collecting (\S+)|Processing \S*?([^/\s]+)\.whl", line):  # the latter from a folder
            self._seen += 1
            self._say(f"fetching {self._seen} of {self._total}: {found[1] or found[2]}")
        elif line.startswith("Installing collected packages"):
            self._say(f"unpacking {self._total} packages")


@dataclass(frozen=True, slots=True)
class _Running:
    """Runs the steps of an installation one after the other, all into one log."""

    log: Path
    deadline: float
    environ: dict[str, str]
    say: Say

    def run(self, command: Sequence[str], said: Say | None = None) -> None:
        """Run one step to its end. Raises as `install`."""
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
            start_new_session=True,  # the whole group can be ended
        )
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        words = Transcript(child.stdout, self.log, said)
        try:
            code = child.wait(max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise UnreachableError(
                "The installation did not end in its time and was stopped.",
                where=str(self.log),
                remedy="See there how far it came; try again on a better line.",
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            words.close(keep=True)
        if code:
            raise _failure(words, command)


def _failure(words: Transcript, command: Sequence[str]) -> Exception:
    if _NO_SPACE.search(words.text):
        return StorageFullError(
            "No space is left for the toolchain.", where=str(words.file), remedy="Free some space and repeat."
        )
    if _NO_INDEX.search(words.text):
        return UnreachableError(
            "The package index does not answer.",
            where=str(words.file),
            remedy="Check the network, and pip's settings (index-url, proxy); then repeat.",
        )
    step = command[command.index("-m") + 1] if "-m" in command else "import"
    last = words.last_lines(2) or "nothing"
    return InvalidRequestError(
        f"The toolchain cannot be installed here: {step} said {last!r}.",
        where=str(words.file),
        remedy="The log has everything that was said.",
    )


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """One process at a time per toolchain and home; the lock ends with its holder."""
    folder = environment.settings.toolchains
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{environment.toolchain.name}.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"The toolchain {environment.toolchain.name!r} is just being changed by {_holder(lock)}.",
                where=str(environment.folder),
                remedy="Wait for it, or end it.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    return f"process {number}" if (number := lock.read().strip()) else "a process that has only just started"
