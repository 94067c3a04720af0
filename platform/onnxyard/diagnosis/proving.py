"""Proving an export: attempt after attempt, until one does what the source does."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import onnx

from onnxyard.diagnosis.checks import CheckedModel, check_model
from onnxyard.diagnosis.declared import free_axes
from onnxyard.diagnosis.probes import probes
from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UnsupportedModelError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.axes import check_axes
from onnxyard.sources.ir_version import lower
from onnxyard.sources.source import MODEL_FILE, Asked, Attempt, Exported

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np

    from onnxyard.diagnosis.probes import Probe, Run


_NO_KERNEL = re.compile(
    r"Could not find an implementation for (?P<operator>\w+)\(\d+\) node with name '(?P<node>[^']*)'"
)


@dataclass(frozen=True, slots=True)
class Proven:
    """An export that passed the checks.

    Attributes:
        exported: What the attempt gave; its remedies say so where no attempt came as near to the source as rounding.
        checked: What the checks measured.
        failed: The other attempts: name, and why each was not accepted.
    """

    exported: Exported
    checked: CheckedModel
    failed: tuple[tuple[str, str], ...]


def prove(
    attempts: Iterable[Attempt],
    folder: Path,
    asked: Asked,
    expected: Mapping[str, np.ndarray],
    *,
    reference: Run | None = None,
) -> Proven:
    """Write `model.onnx` into `folder` by the first attempt that passes every check and does what the source does.

    A plain export that passes the checks but differs from the source by more than rounding gives way to any later
    attempt that does not. Where none does, the plain one is taken, its difference is told in the remedies, and the
    gates judge it. An attempt that needed a remedy is never taken with such a difference.

    Args:
        attempts: In the order they are to be tried.
        folder: Holds the model afterwards; what it held before is gone.
        asked: What was asked for.
        expected: The source's outputs for `asked.inputs`.
        reference: Runs the source; see `onnxyard.diagnosis.probes`.

    Raises:
        InvalidRequestError: the declared axes do not fit the example, or not the source itself; an input and an output
            share a name.
        UnsupportedModelError, InvalidRequestError, ArtifactCorruptError: the first attempt's reason, when none is
            taken; its fact `attempts` lists all of them.
    """
    check_axes(asked)
    if both := sorted(asked.inputs.keys() & set(asked.outputs)):
        raise InvalidRequestError(
            f"An input and an output are both called {both[0]!r}; a graph has one tensor of a name.",
            where="[project] outputs",
            remedy="Call the output otherwise.",
        )
    asking = probes(asked, expected, reference)
    failed: list[tuple[str, str]] = []
    first: UnsupportedModelError | InvalidRequestError | ArtifactCorruptError | None = None
    plain: Proven | None = None
    kept = folder.with_name(f".{folder.name}.plain")
    try:
        for attempt in attempts:
            empty(folder)
            try:
                exported, checked = _try(attempt, folder, asked, asking)
            except (UnsupportedModelError, InvalidRequestError, ArtifactCorruptError) as error:
                first = first or error
                failed.append((attempt.name, error.detail))
                continue
            if checked.holds:
                return Proven(exported, checked, tuple(failed))
            difference = _difference(checked)
            failed.append((attempt.name, f"It {difference}."))
            if not exported.remedies and plain is None:
                plain = Proven(exported, checked, ())
                empty(kept).rmdir()
                folder.rename(kept)
            first = first or UnsupportedModelError(
                f"The graph by {attempt.name} {difference}.",
                remedy="Mend what makes them differ; onnxyard doctor names the place.",
            )
        if plain is None:
            assert first is not None  # noqa: S101 - a source gives at least one attempt, or raises
            shutil.rmtree(folder, ignore_errors=True)
            first.facts["attempts"] = [f"{name}: {why}" for name, why in failed]
            raise first
        shutil.rmtree(folder, ignore_errors=True)
        kept.rename(folder)
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    told = f"No way to the graph came nearer: the plain export {_difference(plain.checked)}; the gates judge it."
    return replace(plain, exported=replace(plain.exported, remedies=(told,)), failed=tuple(failed))


def empty(folder: Path) -> Path:
    """An empty folder: what an interrupted run left behind is not part of this result."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _try(attempt: Attempt, folder: Path, asked: Asked, asking: Iterable[Probe]) -> tuple[Exported, CheckedModel]:
    exported = attempt.make(folder / MODEL_FILE)
    if asked.ir_version is not None:
        lower(folder / MODEL_FILE, asked.ir_version)
    try:
        checked = check_model(folder / MODEL_FILE, asked, asking)
    except UnsupportedModelError as error:
        if match := _NO_KERNEL.search(error.detail):
            raise _without_kernel(match, folder / MODEL_FILE, exported) from error
        raise
    if checked.misdeclared:
        free_axes(folder / MODEL_FILE, checked.misdeclared)
        checked = check_model(folder / MODEL_FILE, asked, asking)  # it is another file now
    return exported, checked


def _without_kernel(match: re.Match[str], model_file: Path, exported: Exported) -> UnsupportedModelError:
    """The operator, the type it is asked in, the module and the line."""
    model = onnx.shape_inference.infer_shapes(onnx.load(model_file, load_external_data=False))
    node = next((node for node in all_nodes(model.graph) if node.name == match["node"]), onnx.NodeProto())
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.value_info)}
    kind = next((onnx.TensorProto.DataType.Name(kinds[name]) for name in node.input if name in kinds), "this type")
    told = exported.sidecar.get("tensors")
    origins: dict[str, dict[str, str]] = told if isinstance(told, dict) else {}
    origin = next((origins[name] for name in node.output if name in origins), {})
    module = origin.get("module", "")
    return UnsupportedModelError(
        f"ONNX Runtime has no {match['operator']} for {kind}" + (f", in the module {module!r}." if module else "."),
        where=origin.get("source", ""),
        remedy="Compute it in float32 there, and cast back.",
        module=module,
    )


def _difference(checked: CheckedModel) -> str:
    return (
        f"differs from the source by {checked.relative_error:.2g} of the largest value of {checked.where!r} "
        f"({checked.tolerance:.0e} counts as rounding)"
    )
