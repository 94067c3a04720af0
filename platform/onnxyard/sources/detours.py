"""An opset that a converter does not give: its graph at the nearest one, taken from there to the one asked for.

What comes out is claimed, not proven: whoever takes such a way checks it like any other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import onnx

from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.converting import CONVERTER, convert, relabel
from onnxyard.sources.saving import save_model
from onnxyard.sources.sidecar import Origin, sidecar
from onnxyard.sources.source import Asked, Attempt, Exported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def ways_to(
    asked: Asked, given: range, converter: str, export: Callable[[int], Iterator[Attempt]]
) -> Iterator[Attempt]:
    """The converter's own attempts where it gives the opset; else detours from the nearest one that it gives.

    The first attempt then says which opsets the converter gives, so that this is the reason where no detour holds.

    Args:
        asked: What export asks; without an opset, the highest that the converter gives.
        given: The opsets that the converter gives.
        converter: As `tf2onnx`.
        export: Its attempts at one of `given`.
    """
    opset = given[-1] if asked.opset is None else asked.opset
    if opset in given:
        yield from export(opset)
        return
    nearest = given[0] if opset < given[0] else given[-1]

    def refuse(_model_file: Path) -> Exported:
        raise UnsupportedModelError(
            f"{converter} does not give opset {opset}, and no way from opset {nearest} leads there for this model.",
            where="[export] opset",
            remedy=f"It gives opsets {given[0]} to {given[-1]}.",
        )

    yield Attempt(converter, refuse)
    for attempt in export(nearest):
        yield from detours(attempt, nearest, opset)


def detours(direct: Attempt, before: int, after: int) -> Iterator[Attempt]:
    """One attempt's graph at another opset: by ONNX's version converter, and by the opset's number alone.

    Args:
        direct: The attempt.
        before: The opset of its graph.
        after: The other one.
    """

    def converted(model_file: Path) -> Exported:
        exported, model = _made(direct, model_file)
        told = f"Converted from opset {before} to {after}."
        return _written(convert(model, after), model_file, exported, CONVERTER, told)

    def relabelled(model_file: Path) -> Exported:
        exported, model = _made(direct, model_file)
        labelled, changed = relabel(model, after)
        told = f"{', '.join(changed) or 'All'} read in the version of opset {after}, which has the same form."
        return _written(labelled, model_file, exported, "relabelled", told)

    yield Attempt(f"{direct.name} at opset {before}, {CONVERTER}", converted)
    yield Attempt(f"{direct.name} at opset {before}, relabelled", relabelled)


def _made(direct: Attempt, model_file: Path) -> tuple[Exported, onnx.ModelProto]:
    """What the attempt gives, with its weights in memory: no data file of it stays beside the model."""
    with TemporaryDirectory(prefix=".detour-", dir=model_file.parent) as scratch:
        draft = Path(scratch) / model_file.name
        return direct.make(draft), onnx.load(draft)


def _written(model: onnx.ModelProto, model_file: Path, exported: Exported, how: str, told: str) -> Exported:
    save_model(model, model_file)
    exporter = f"{exported.exporter}, {how}"
    document = sidecar(model, _origins(exported.sidecar), {}, exporter=exporter)
    return replace(exported, exporter=exporter, sidecar=document, remedies=(*exported.remedies, told))


def _origins(document: Mapping[str, Any]) -> dict[str, Origin]:
    """Read back from a sidecar: both ways keep the tensors' names."""
    return {
        tensor: Origin(told["module"], told["class"], told["source"], told.get("operator", ""), told.get("value", ""))
        for tensor, told in document["tensors"].items()
    }
