"""The child of a bench: loads one model, and runs calls when told to. See `onnxyard.measuring.bench`.

Runs in this environment or in a toolchain's (`onnxyard.toolchains.worker_main`): numpy and onnx are all it may need.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.measuring.resident import begin_peak, peak_bytes, resident_bytes
from onnxyard.runtimes.runtime import runtime_named
from onnxyard.tensors.files import read_tensors, write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from onnxyard.ports.runtime import LoadedModel, Runtime

    Tell = Callable[[dict[str, Any]], None]


class _Subject:
    """The model of this process."""

    def __init__(self) -> None:
        self.model: LoadedModel | None = None
        self.runtime: Runtime | None = None
        self.given: dict[str, Any] = {}
        self.inputs: dict[int, dict[str, np.ndarray]] = {}
        self.before = 0

    @property
    def loaded(self) -> LoadedModel:
        assert self.model is not None  # noqa: S101 - the parent loads first
        return self.model


_SUBJECT = _Subject()


def load(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Load the model on the given cores; what the interpreter and the runtime hold before is not counted."""
    if given["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given["cores"])
    _SUBJECT.given = given
    _SUBJECT.runtime = runtime_named(given["runtime"])
    _SUBJECT.before = resident_bytes()
    begin_peak()
    began = time.perf_counter()
    model = _SUBJECT.runtime.load(
        Path(given["file"]), provider=given["provider"], threads=given["threads"], options=given["options"]
    )
    took = time.perf_counter() - began
    _SUBJECT.model = model
    return {
        "load_ms": took * 1e3,
        "runtime": model.runtime,
        "provider": model.provider,
        "signature": model.signature.document(),
    }


def take(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Keep the inputs of one batch size for the blocks to come."""
    _SUBJECT.inputs[given["batch_size"]] = read_tensors(Path(given["inputs"]))
    return {}


def answer(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Run the inputs of a folder once; the outputs go into another."""
    write_tensors(Path(given["outputs"]), _SUBJECT.loaded.run(read_tensors(Path(given["inputs"]))))
    return {}


def block(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Run calls back to back for `seconds` or `calls`, whichever ends first, after `idle` calls that do not count.

    The first calls after a pause find cold caches and sleeping threads; a served model under load does not.
    """
    run, inputs = _SUBJECT.loaded.run, _SUBJECT.inputs[given["batch_size"]]
    clock, calls = time.perf_counter_ns, given["calls"]
    taken: list[int] = []
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(given["idle"]):
            run(inputs)
        processor = time.process_time_ns()
        end = clock() + int(given["seconds"] * 1e9)
        while len(taken) < calls:
            start = clock()
            run(inputs)
            stop = clock()
            taken.append(stop - start)
            if stop > end:
                break
        processor = time.process_time_ns() - processor
    finally:
        if collecting:
            gc.enable()
    return {"ns": taken, "cpu_ns": processor}


def memory(_given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """The peak since loading began, beyond what was held before it."""
    return {"bytes": max(0, peak_bytes() - _SUBJECT.before)}


def placement(given: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    """Which provider really executes how many nodes."""
    assert _SUBJECT.runtime is not None  # noqa: S101 - the parent loads first
    setup = _SUBJECT.given
    nodes = _SUBJECT.runtime.placement(
        Path(setup["file"]),
        provider=setup["provider"],
        threads=setup["threads"],
        options=setup["options"],
        inputs=_SUBJECT.inputs[given["batch_size"]],
    )
    return {"nodes": nodes}


COMMANDS = {
    "load": load,
    "take": take,
    "answer": answer,
    "block": block,
    "memory": memory,
    "placement": placement,
}
