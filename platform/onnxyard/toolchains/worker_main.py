"""Runs inside a toolchain: reads requests from stdin, answers on stdout. See `onnxyard.toolchains.worker`.

Started as a plain file, because Onnxyard is not installed there. Its package is made importable, and nothing else of
the environment it comes from: what it needs of it (numpy, onnx) must be in the toolchain.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def main(program: str) -> None:
    """Answer requests with the program's COMMANDS until stdin ends."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    # Whatever prints to stdout (the user's code, a library, C) is not the answer: it goes where stderr goes.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.meta_path.insert(0, _Onnxyard())
    pending: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, pending), daemon=True).start()
    commands = _load("program", Path(program)).COMMANDS

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    while True:
        request = json.loads(pending.get())
        send(_answer(commands[request["do"]], request["with"], lambda news: send({"told": news})))


def _answer(command: Any, given: dict[str, Any], tell: Any) -> dict[str, Any]:  # noqa: ANN401 - plain functions
    from onnxyard.errors import OnnxyardError  # noqa: PLC0415 - importable from here on

    try:
        return {"result": command(given, tell)}
    except OnnxyardError as error:
        return {
            "error": {
                "code": error.code,
                "detail": error.detail,
                "where": error.where,
                "remedy": error.remedy,
                "facts": error.facts,
            }
        }
    except Exception as error:  # noqa: BLE001 - a defect here, or in the toolchain: the other side must hear of it
        traceback.print_exc()
        return {"broke": f"{type(error).__name__}: {error}"}


def _listen(requests: IO[str], pending: queue.SimpleQueue[str]) -> None:
    """Hand requests on. When the other side is gone, so is whatever runs here, at once and whole."""
    for line in requests:
        pending.put(line)
    os.killpg(os.getpid(), signal.SIGKILL)


class _Onnxyard:
    """A meta path finder for the one package this file lies in."""

    def find_spec(
        self,
        name: str,
        path: object = None,  # noqa: ARG002 - Python's own shape
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        if name != "onnxyard":
            return None
        folder = Path(__file__).parents[1]
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def _load(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None  # noqa: S101 - a .py file always has one
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
