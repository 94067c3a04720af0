"""Results as text, and back: what Prefect keeps of a stage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter

from onnxyard.lifecycle.handover import DevelopResult, ExportResult, OptimizeResult, ValidateResult

if TYPE_CHECKING:
    from onnxyard.lifecycle.artifact import Artifact

Result: TypeAlias = DevelopResult | ExportResult | OptimizeResult | ValidateResult
R = TypeVar("R", DevelopResult, ExportResult, OptimizeResult, ValidateResult)


def dump(result: Result) -> str:
    """JSON; NaN stays NaN (a gate may have measured it)."""
    return json.dumps(_adapter(type(result)).dump_python(result, mode="json"), sort_keys=True)


def load(kind: type[R], text: str) -> R:
    """The result again. Raises ValueError (pydantic's is one) for text that is not one of this kind."""
    result: R = _adapter(kind).validate_python(json.loads(text))
    return result


def artifacts(result: Result) -> dict[str, Artifact]:
    """The result's artifacts by the workspace folder that the stage wrote them to."""
    match result:
        case DevelopResult():
            found = {"fitted": result.fitted, "golden_set": result.golden_set}
            return found if result.processing is None else {**found, "processing": result.processing}
        case ExportResult():
            return {"model": result.model, "sidecar": result.sidecar}
        case OptimizeResult():
            return {f"model-{model.target}": model.model for model in result.models}
        case ValidateResult():
            return {"reference": result.reference}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
