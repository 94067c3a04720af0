"""The source model, loaded anew from what was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxyard.errors import UserCodeError
from onnxyard.stages.develop.weights import ONNX_FILE, TORCH_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.project.project import Project

    Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def load_source(project: Project, folder: Path) -> Run:
    """What runs the fitted model of a folder."""
    if project.file.project.onnx is not None:
        from onnxyard.runtimes.onnxruntime import OnnxRuntime  # noqa: PLC0415 - only where it is the source

        return OnnxRuntime.load(folder / ONNX_FILE, provider="CPUExecutionProvider", threads=1).run
    import torch  # noqa: PLC0415 - heavy
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    module: torch.nn.Module = project.functions().model()
    module.load_state_dict(load_file(folder / TORCH_FILE))
    module.eval()
    names = project.file.project.outputs

    def run(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            given: Any = module(**{name: torch.from_numpy(values) for name, values in inputs.items()})
        values = given if isinstance(given, (tuple, list)) else [given]
        if len(values) != len(names):
            raise UserCodeError(f"The model gives {len(values)} outputs, [project] outputs names {len(names)}.")
        return {name: value.numpy() for name, value in zip(names, values, strict=True)}

    return run
