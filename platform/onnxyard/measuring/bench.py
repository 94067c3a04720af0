"""A model in a process of its own, which runs calls when told to.

Timed side by side in one process, models disturb each other: thread pools spin on after their call, allocators share an
arena, and a crash ends all of them. A process each is also what a replica is. What was loaded, how long that took, the
peak of memory and the provider that executed each node are read in the child.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from onnxyard.errors import UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.availability import require
from onnxyard.runtimes.machine import usable_cores
from onnxyard.runtimes.runtime import toolchain_of
from onnxyard.settings import Settings
from onnxyard.tensors.files import read_tensors, write_tensors
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.worker import Ask, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxyard.lifecycle.setup import Setup

_PROGRAM = Path(__file__).with_name("program.py")
_SIDES = ("inputs", "outputs")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Calls that ran back to back.

    Attributes:
        ms: Milliseconds of each call, float64 [calls].
        cpu_ms: Processor time of one call over all threads, in milliseconds.
        launch: Which start of the processes it ran in.
    """

    ms: np.ndarray
    cpu_ms: float
    launch: int = 0


class Bench:
    """A `LoadedModel` in a child process. It ends with `close`, this object, or this process.

    Args:
        file: The model's entry file.
        setup: How it is run.
        scratch: A folder for tensors on their way and the child's log.
        home: The folder that holds toolchains; None takes what the settings say.
        limit_s: How long the child may take for one answer: a runtime that hangs is an outcome.

    Raises:
        UnsupportedModelError: it cannot be loaded, or loading it crashed the child.
        ArtifactCorruptError, InvalidRequestError, MissingExtraError: as `Runtime.load`.
    """

    def __init__(
        self, file: Path, setup: Setup, *, scratch: Path, home: Path | None = None, limit_s: float = 300.0
    ) -> None:
        self.file, self.setup = file, setup
        self._limit_s = limit_s
        self._numbers = itertools.count()
        self._worker = _start(setup, scratch, home)
        try:
            said = self._ask(
                "load",
                file=str(file.resolve()),
                runtime=setup.runtime,
                provider=setup.provider,
                threads=setup.threads,
                options=dict(setup.options),
                cores=cores_for(setup.threads),
            )
        except BaseException:
            self._worker.close()
            raise
        self.load_ms = float(said["load_ms"])
        self.runtime = str(said["runtime"])
        self.provider = str(said["provider"])
        sides = (tuple(TensorSpec.of_document(each) for each in said["signature"][side]) for side in _SIDES)
        self.signature = Signature(*sides)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._worker.close()

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name. Raises as `LoadedModel.run`, and UnsupportedModelError where the child crashed."""
        folder = self._worker.scratch / f"call-{next(self._numbers)}"
        try:
            write_tensors(folder, inputs)
            return self.answer(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def answer(self, inputs: Path) -> dict[str, np.ndarray]:
        """As `run`, of inputs that lie in a folder already (`onnxyard.tensors.files`)."""
        outputs = self._worker.scratch / f"answer-{next(self._numbers)}"
        try:
            self._ask("answer", inputs=str(inputs), outputs=str(outputs))
            return read_tensors(outputs)
        finally:
            shutil.rmtree(outputs, ignore_errors=True)

    def take(self, inputs: Mapping[str, np.ndarray], *, batch_size: int) -> None:
        """Hand over the inputs that `block` calls with."""
        folder = self._worker.scratch / f"batch-{batch_size}"
        write_tensors(folder, inputs)
        self._ask("take", batch_size=batch_size, inputs=str(folder))

    def block(self, *, batch_size: int, calls: int, seconds: float, idle: int = 1) -> Block:
        """Run calls back to back.

        Args:
            batch_size: Whose inputs to call with.
            calls: At most so many.
            seconds: None is begun after so long; at least one is made.
            idle: Calls before the clock counts.

        Raises:
            UnsupportedModelError: a call failed, or the child crashed.
        """
        said = self._ask("block", batch_size=batch_size, calls=calls, seconds=seconds, idle=idle)
        ms = np.asarray(said["ns"], dtype=np.float64) / 1e6
        return Block(ms, said["cpu_ns"] / 1e6 / len(ms))

    def memory_bytes(self) -> int:
        """The peak of the child's memory since loading began, beyond interpreter and runtime."""
        return int(self._ask("memory")["bytes"])

    def placement(self, *, batch_size: int) -> dict[str, int]:
        """Nodes by the provider that really executed them."""
        return {str(name): int(count) for name, count in self._ask("placement", batch_size=batch_size)["nodes"].items()}

    def _ask(self, do: str, **given: object) -> dict[str, Any]:
        return self._worker.ask(Ask(do, dict(given), self._limit_s, UnsupportedModelError))


def cores_for(threads: int) -> list[int]:
    """The cores that a child with so many threads is pinned to: the same ones for all, so that none has a better pair.

    Empty where the system does not pin.
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return cores[: threads or usable_cores()]


def _start(setup: Setup, scratch: Path, home: Path | None) -> Worker:
    toolchain = toolchain_of(setup.runtime, setup.provider)
    if toolchain is None:
        python, environ = Path(sys.executable), {**os.environ}
    else:
        require(setup.runtime, setup.provider)  # without a GPU, installing the toolchain would mend nothing
        environment = Environment(known(toolchain), Settings.read(home=home))
        environment.require()
        python, environ = environment.python, environment.surroundings()
    return Worker(python, _PROGRAM, name="bench", home=scratch, environ=environ, title=f"{setup.runtime} process")
