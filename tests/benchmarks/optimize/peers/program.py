"""The child of a peer: the program of a bench, with other ways to load a model."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxyard.measuring import program
from onnxyard.tensors.files import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


class Called:
    """A `LoadedModel` as far as a block of calls needs one."""

    def __init__(self, run: Any, runtime: str) -> None:
        self.run, self.runtime = run, runtime


def plain(given: Mapping[str, Any]) -> Called:
    """ONNX Runtime as its introduction shows it, or with the session options that somebody chose."""
    import onnxruntime as ort  # noqa: PLC0415 - each environment has what its kind needs

    options = ort.SessionOptions()
    options.intra_op_num_threads = given["threads"]
    for name, value in given.get("session", {}).items():
        if name == "execution_mode":
            options.execution_mode = ort.ExecutionMode(int(value))
        elif name == "graph_optimization_level":
            options.graph_optimization_level = ort.GraphOptimizationLevel(int(value))
        else:
            setattr(options, name, int(value))
    session = ort.InferenceSession(given["file"], options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(None, inputs), strict=True))

    return Called(run, f"onnxruntime {ort.__version__}")


def source(given: Mapping[str, Any]) -> Called:
    """The framework that the model was made with."""
    model = _source(given)
    return Called(model.run, model.runtime)


def compiled(given: Mapping[str, Any]) -> Called:
    """torch.compile, each batch size for itself."""
    import torch  # noqa: PLC0415 - as above

    model = _source(given)
    model._module = torch.compile(model.module, dynamic=False)
    return Called(model.run, f"torch.compile {torch.__version__}")


def _source(given: Mapping[str, Any]) -> Any:
    from onnxyard.project.project import load_project  # noqa: PLC0415 - not in every environment
    from onnxyard.sources.by_name import source_of  # noqa: PLC0415 - as above

    project = load_project(Path(given["project"]))
    if project.file.project.framework == "torch":
        import torch  # noqa: PLC0415 - as above

        torch.set_num_threads(given["threads"])
    return source_of(project).load(project, Path(given["fitted"]))


def navigator(given: Mapping[str, Any]) -> Called:
    """Let Triton Model Navigator search, and take the runner with the least latency."""
    import model_navigator as nav  # noqa: PLC0415 - as above

    rows = read_tensors(Path(given["rows"]))
    names, count = list(rows), len(next(iter(rows.values())))
    samples = [{name: rows[name][at : at + 1] for name in names} for at in range(count)]
    workspace = Path(given["workspace"])
    shutil.rmtree(workspace, ignore_errors=True)
    package = nav.onnx.optimize(
        given["file"],
        samples,
        target_device=nav.DeviceKind.CPU,
        workspace=workspace,
        # A tenth, its default, is more than two busy cores hold still for.
        optimization_profile=nav.OptimizationProfile(batch_sizes=[1], stability_percentage=60, max_trials=30),
    )
    runner = package.get_runner(strategies=[nav.MinLatencyStrategy()], device="cpu")
    runner.activate()
    return Called(runner.infer, f"model_navigator {nav.__version__} {runner.name()}")


LOADERS = {"plain": plain, "source": source, "compiled": compiled, "navigator": navigator}


def load(given: dict[str, Any], _tell: Any) -> dict[str, Any]:
    """Load the peer's model on the given cores."""
    if given["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given["cores"])
    began = time.perf_counter()
    model = LOADERS[given["kind"]](given)
    program._SUBJECT.model = model
    return {"load_ms": (time.perf_counter() - began) * 1e3, "runtime": model.runtime}


COMMANDS = {**program.COMMANDS, "load": load}
