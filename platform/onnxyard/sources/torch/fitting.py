"""From a project to a folder with its fitted weights: trained, or read from a checkpoint. No pickle."""

from __future__ import annotations

import os
import re
from importlib import metadata
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from onnxyard.errors import UserCodeError
from onnxyard.sources.admission.kinds import zip_bomb
from onnxyard.sources.torch.reference import WEIGHTS, module_kind

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from onnxyard.project.data import Splits
    from onnxyard.project.functions import Functions
    from onnxyard.project.project import Project
    from onnxyard.project.protocols import Report


def fit(project: Project, functions: Functions, splits: Splits, folder: Path, report: Report) -> str:
    """Write the fitted model into `folder` as `weights.safetensors`.

    Args:
        project: The project.
        functions: Its functions.
        splits: With inputs that have been through `preprocess`.
        folder: An empty folder.
        report: Takes what `train` reports.

    Returns:
        The framework, as `torch 2.13.0`.

    Raises:
        UserCodeError: `train` or `model` failed, the weights are not finite or do not fit `model(config)`, or a
            checkpoint is no state dict.
    """
    develop = project.file.develop
    if develop.checkpoint is not None:
        weights = _read_checkpoint(project.root / develop.checkpoint)
    elif functions.has("train"):
        weights = _train(functions, splits, report).state_dict()
    else:
        weights = functions.model(gives=module_kind()).state_dict()
    _check(weights, functions, develop.checkpoint)
    _save(weights, folder / WEIGHTS)
    return f"torch {metadata.version('torch').partition('+')[0]}"


def _train(functions: Functions, splits: Splits, report: Report) -> torch.nn.Module:
    try:
        module: torch.nn.Module = functions.train(splits, report, gives=module_kind())
    except UserCodeError as error:
        if "use_deterministic_algorithms" in error.detail:
            error.remedy = "Use another operation, or set [develop] deterministic = false and lose repeatability."
        raise
    return module


def _save(weights: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors import SafetensorError  # noqa: PLC0415 - optional
    from safetensors.torch import save_file  # noqa: PLC0415 - imports torch

    try:
        # Copies, because safetensors refuses tensors that share memory, as tied weights do.
        save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}, path)
    except SafetensorError as error:
        told = re.search(r"os error (\d+)", str(error))
        if told is None:
            raise
        number = int(told[1])  # the disk's own error, which its Rust code keeps as text only
        raise OSError(number, os.strerror(number), str(path)) from error


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """A state dict from `.safetensors`, or from whatever `torch.save` wrote, without running code that is in it."""
    import torch  # noqa: PLC0415 - heavy
    from safetensors import SafetensorError  # noqa: PLC0415 - optional
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    remedy = "Save it with torch.save(model.state_dict(), path), or as .safetensors."
    if bomb := zip_bomb(path):  # torch.load would unpack it into memory
        raise UserCodeError(f"The checkpoint is {bomb}.", where=path.name, remedy=remedy)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise UserCodeError(
            f"The checkpoint is no plain state dict: {_why_not_read(error)}",
            where=path.name,
            remedy=f"Pickled objects are refused. {remedy}",
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(v, torch.Tensor) for v in weights.values()):
        raise UserCodeError(
            f"The checkpoint holds a {type(weights).__name__} that is no state dict.", where=path.name, remedy=remedy
        )
    return weights


def _why_not_read(error: Exception) -> str:
    """One sentence; torch's own advice to load it without `weights_only` is left out."""
    told = str(error).strip()
    if found := re.search(r"Unsupported global: GLOBAL (\S+)", told):
        return f"it holds an object of {found[1]}."
    if told.startswith("Weights only load failed"):
        return "it is another kind of file, or a damaged one."
    return (told or "it is cut short").splitlines()[0]


def _check(weights: dict[str, Any], functions: Functions, checkpoint: str | None) -> None:
    """The weights are finite tensors and fit a fresh `model(config)`, because that is how they will be loaded."""
    import torch  # noqa: PLC0415 - heavy

    kind = "fitted" if checkpoint is None else "checkpoint's"
    for name, tensor in weights.items():
        if not isinstance(tensor, torch.Tensor):
            raise UserCodeError(
                f"The model keeps a {type(tensor).__name__} in its state dict ({name}); only tensors can be stored.",
                remedy="Make it a buffer or part of the configuration.",
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserCodeError(
                f"The {kind} weight {name!r} holds NaN or infinity: training diverged.",
                where=checkpoint or "",
                remedy="Lower the learning rate, clip the gradients, and look for NaN in inputs and targets.",
            )
    try:
        functions.model(gives=module_kind()).load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise UserCodeError(
            f"The {kind} weights do not fit model(config): {' '.join(lines[1:4]) or lines[0]}",
            where=checkpoint or "",
            remedy=f"{'`train` must return' if checkpoint is None else 'It must be of'} a module of the architecture "
            "that `model(config)` makes.",
        ) from error
