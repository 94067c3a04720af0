"""Olive's own search, in its toolchain: https://microsoft.github.io/Olive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import onnx

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.machine import usable_cores
from onnxyard.settings import Settings
from onnxyard.stages.optimize.passes.model_file import rewritten
from onnxyard.tensors.files import write_tensors
from onnxyard.toolchains.catalogue import known
from onnxyard.toolchains.environment import Environment
from onnxyard.toolchains.worker import Ask, start

if TYPE_CHECKING:
    from onnxyard.stages.optimize.passes.transformation import Materials, Score, Transformed

TOOLCHAIN = "olive"
_PROGRAM = Path(__file__).with_name("olive_inside.py")
_GRACE_S = 240.0
"""Beyond its time: Olive looks at the clock between two models only, and takes seconds to import."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What Olive found.

    Attributes:
        file: Its best model, in the folder that was given.
        facts: What made it, by topic.
        session: What Olive would have ONNX Runtime's session set to, by its own names.
    """

    file: Path
    facts: Mapping[str, str]
    session: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OliveSearch:
    """Let Olive search over its passes (graph rewriting, dynamic and static int8, the session's threads and mode).

    It times models itself, on one calibration row, and is told the project's metric of each; the one that it likes best
    is measured anew like any other candidate.

    Attributes:
        seconds: After so long it begins no further model.
        versions: Of the toolchain that it runs in.
    """

    seconds: float = 60.0
    versions: tuple[str, ...] = known(TOOLCHAIN).requirements

    packages: ClassVar[tuple[str, ...]] = ()
    calibrates: ClassVar[bool] = True

    def __call__(self, source: Path, folder: Path, materials: Materials) -> Transformed:
        """See `Pass`.

        Raises:
            MissingExtraError: the toolchain is not installed; names the command that installs it.
            UnsupportedModelError: Olive found no model that keeps the metric, or did not end.
        """
        environment = Environment(known(TOOLCHAIN), Settings.read())
        with TemporaryDirectory() as scratch:
            found = search(environment, source, Path(scratch), materials, seconds=self.seconds)
            best = onnx.load(found.file)
        return rewritten(source, folder, lambda _: (best, found.facts))


def search(environment: Environment, source: Path, scratch: Path, materials: Materials, *, seconds: float) -> Choice:
    """Run Olive's search in its environment.

    Args:
        environment: Olive's.
        source: The model's file.
        scratch: An empty folder; the model that is found lies in it.
        materials: Calibration rows and the metric that must hold.
        seconds: After so long no further model is begun.

    Raises:
        MissingExtraError, UnsupportedModelError: as `OliveSearch`.
    """
    calibration, answers = scratch / "calibration", scratch / "answers"
    with closing(start(environment, _PROGRAM)) as worker:
        for number, batch in enumerate(materials.calibration()):
            write_tensors(calibration / f"{number:04d}", batch)
        os.mkfifo(answers)
        # Held open at both ends, so that neither side waits for the other to come, or finds it gone.
        held = os.open(answers, os.O_RDWR)
        try:
            given = {
                "source": str(source.resolve()),
                "calibration": str(calibration),
                "scratch": str(scratch),
                "answers": str(answers),
                "max_drop": materials.max_drop,
                "seconds": seconds,
                "threads": usable_cores(),
            }
            asked = Ask("search", given, seconds + _GRACE_S, UnsupportedModelError)
            said = worker.ask(asked, lambda news: _answer(held, materials.score, news))
        finally:
            os.close(held)
    if said["file"] is None:
        raise UnsupportedModelError(f"Olive found no model that keeps the metric among {said['tried']} that it tried")
    return Choice(Path(said["file"]), _facts(said), said["session"])


def _answer(pipe: int, score: Score, news: dict[str, Any]) -> None:
    """Tell Olive a model's metric, or an empty line where it does not run."""
    try:
        value = repr(score(Path(news["score"])))
    except UnsupportedModelError:
        value = ""
    os.write(pipe, f"{value}\n".encode())


def _facts(said: Mapping[str, Any]) -> dict[str, str]:
    facts = {"Olive tried": f"{said['tried']} models", "Olive chose": ", then ".join(map(_words, said["passes"]))}
    if said["session"]:
        facts["Olive's session"] = ", ".join(f"{name} {value}" for name, value in said["session"].items())
    return facts


def _words(made: Mapping[str, str]) -> str:
    chosen = [f"{name} {value}" for name, value in made.items() if name != "pass"]
    return f"{made['pass']} ({', '.join(chosen)})" if chosen else made["pass"]
