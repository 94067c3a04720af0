"""A program inside a toolchain, spoken to from here: one JSON document a line, tensors in folders, never a pickle.

    us    {"do": "run", "with": {...}}
    them  {"told": {...}}                      any number of times: how it goes
    them  {"result": {...}}  or  {"error": {...}}

Whatever happens to it (it crashes, hangs, is killed, talks nonsense), the caller gets an answer or one clear error.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, TYPE_CHECKING, Any, Self, cast

from onnxyard import errors
from onnxyard.toolchains.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnxyard.toolchains.environment import Environment

    Told = Callable[[dict[str, Any]], None]

_MAIN = Path(__file__).with_name("worker_main.py")
LONGEST_LINE = 64 << 20
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        do: One of the program's COMMANDS.
        given: Its arguments, JSON-compatible.
        limit_s: How long it may take; None where only the user can say, as for training.
        blame: What is raised where no answer comes: whoever's code was at work.
    """

    do: str
    given: dict[str, Any]
    limit_s: float | None
    blame: type[errors.OnnxyardError]


class Worker:
    """A running program. Thread-safe: requests wait for one another. Ends with `close`, this object, or this process.

    Args:
        python: The toolchain's interpreter.
        program: The Python file whose COMMANDS answer.
        name: The toolchain's, for the names of the log and the scratch folder.
        home: Its log and its scratch folder lie under it.
        environ: Its environment variables.
        title: What messages call it; the toolchain of that name by default.
    """

    def __init__(
        self, python: Path, program: Path, *, name: str, home: Path, environ: Mapping[str, str], title: str = ""
    ) -> None:
        (home / "workspaces").mkdir(parents=True, exist_ok=True)
        self.scratch = Path(mkdtemp(prefix=f"{name}-", dir=home / "workspaces"))
        log = home / "logs" / f"toolchain-{name}-{os.getpid()}-{next(_NUMBERS)}.log"
        self._title = title or f"{name} toolchain"
        self._buffer = b""
        self._lock = threading.Lock()
        try:
            self._child = subprocess.Popen(
                # -P: whatever lies in the working folder cannot shadow a module. A session of its own: the whole group
                # can be ended, and a Ctrl-C meant for us does not reach it.
                [os.fspath(python), "-P", os.fspath(_MAIN), os.fspath(program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environ),
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise
        stdin, stdout, stderr = (_pipe(end) for end in (self._child.stdin, self._child.stdout, self._child.stderr))
        self._requests, self._answers = stdin, stdout
        self._words = Transcript(stderr, log)
        self._ending = _Ending(self._child, self._words, self.scratch)
        self._finalizer = weakref.finalize(self, self._ending)  # also when this process ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program and whatever it started; its log goes, unless something failed."""
        self._finalizer()

    def ask(self, asked: Ask, told: Told | None = None) -> dict[str, Any]:
        """Have the program do something.

        Args:
            asked: What.
            told: Called with each message on the way.

        Raises:
            OnnxyardError: what the program itself raised, or `asked.blame` where it gave no answer. After the latter it
                is gone.
        """
        with self._lock:
            try:
                self._send(asked)
                answer = self._answer(asked, told)
            except BaseException:  # Ctrl-C, or an error of `told`: what it would answer later is nobody's business
                self._ending()
                raise
        if "error" in answer:
            raise _raised(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _send(self, asked: Ask) -> None:
        if self._ending.done:
            raise asked.blame(f"The {self._title} has ended already.")
        line = json.dumps({"do": asked.do, "with": asked.given}).encode() + b"\n"
        with suppress(BrokenPipeError):  # it is gone; reading says how
            self._requests.write(line)
            self._requests.flush()

    def _answer(self, asked: Ask, told: Told | None) -> dict[str, Any]:
        deadline = None if asked.limit_s is None else time.monotonic() + asked.limit_s
        while True:
            message = self._message(asked, deadline)
            match message:
                case {"told": dict(news)}:
                    if told is not None:
                        told(news)
                case {"result": dict()} | {"error": dict()}:
                    return cast("dict[str, Any]", message)
                case {"broke": str(what)}:
                    raise self._broken(asked, f"it raised {what}")
                case _:
                    raise self._broken(asked, "it answered with something that is no answer")

    def _message(self, asked: Ask, deadline: float | None) -> object:
        line = self._line(asked, deadline)
        try:
            return json.loads(line)
        except ValueError:
            raise self._broken(asked, "it answered with something that is no JSON") from None

    def _line(self, asked: Ask, deadline: float | None) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise self._broken(asked, "its answer has no end")
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                raise self._broken(asked, f"it gave no answer in {asked.limit_s:g} s and was stopped")
            chunk = os.read(self._answers.fileno(), 1 << 16)
            if not chunk:
                raise self._broken(asked, None)
            self._buffer += chunk
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line

    def _broken(self, asked: Ask, what: str | None) -> errors.OnnxyardError:
        """End it, and say why there is no answer: `what`, or how it ended by itself."""
        if what is None:
            with suppress(subprocess.TimeoutExpired):  # it closed its end; it may still be on its way out
                self._child.wait(5)
            what = _ended(self._child.returncode)
        self._ending(keep=True)
        last = self._words.last_lines()
        said = f" It said last:\n{last}" if last else ""
        return asked.blame(
            f"The {self._title} failed to {asked.do}: {what}.{said}",
            where=str(self._words.file),
            remedy="The log there has everything that it said.",
        )


class _Ending:
    """Ends a child and its group once, and clears up after it. Holds no reference to the Worker, which it outlives."""

    def __init__(self, child: subprocess.Popen[bytes], words: Transcript, scratch: Path) -> None:
        self._child, self._words, self._scratch = child, words, scratch
        self.done = False

    def __call__(self, *, keep: bool = False) -> None:
        if self.done:
            return
        self.done = True
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for end in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                _pipe(end).close()
        self._words.close(keep=keep)
        shutil.rmtree(self._scratch, ignore_errors=True)


def start(environment: Environment, program: Path) -> Worker:
    """Start a program inside an installed toolchain. Raises MissingExtraError where it is not installed."""
    environment.require()
    return Worker(
        environment.python,
        program,
        name=environment.toolchain.name,
        home=environment.settings.home,
        environ=environment.surroundings(),
    )


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # noqa: S101 - every end was asked for
    return end


def _ended(code: int | None) -> str:
    if code is None:
        return "it closed its end and went on"
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}"
    return f"it ended with code {code} and no answer"


def _raised(error: dict[str, Any]) -> errors.OnnxyardError:
    """An error of the domain that was raised on the other side."""
    kind = _kinds()[error["code"]]
    return kind(error["detail"], where=error["where"], remedy=error["remedy"], **error["facts"])


def _kinds() -> dict[str, type[errors.OnnxyardError]]:
    found, pending = {}, [errors.OnnxyardError]
    while pending:
        kind = pending.pop()
        found[kind.code] = kind
        pending += kind.__subclasses__()
    return found
