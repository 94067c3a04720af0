"""Who has to know a model's operators: ONNX itself, one runtime, a library beside it, or nobody."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from onnxyard.sources.admission.graphs import every_node
from onnxyard.sources.admission.refusal import Refusal, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

UNKNOWN = "unknown-domain"
EXTENSIONS = "ai.onnx.contrib"
STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training"})
TIED = {
    "com.microsoft": "ONNX Runtime",
    "com.microsoft.nchwc": "ONNX Runtime on processors like the one that optimized it",
    "com.ms.internal.nhwc": "ONNX Runtime on the provider that optimized it",
    EXTENSIONS: "ONNX Runtime with onnxruntime-extensions",
}
"""Domains that one runtime knows: which one."""


def operators_by_domain(model: onnx.ModelProto) -> dict[str, Counter[str]]:
    """How often each operator occurs, per domain; calls of the model's own functions are left out."""
    own = {(function.domain, function.name) for function in model.functions}
    found: dict[str, Counter[str]] = {}
    for node in every_node(model):
        if (node.domain, node.op_type) not in own:
            found.setdefault(node.domain, Counter())[node.op_type] += 1
    return found


def refuse_domains(model: onnx.ModelProto) -> Iterator[Refusal]:
    """Domains that nothing here knows; all of them, with all their operators."""
    for domain, operators in operators_by_domain(model).items():
        if domain not in STANDARD and domain not in TIED:
            names = sorted(operators)
            listed = ", ".join(printable(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
            yield Refusal(
                UNKNOWN,
                f"The domain {printable(domain)!r} is unknown; the model takes {listed} from it.",
                "Export the model with standard operators, or with the operator as a function of the model.",
                node=listed,
            )
