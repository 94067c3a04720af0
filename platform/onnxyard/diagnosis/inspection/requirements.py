"""What has to be there to run the model: an ONNX Runtime of some age, or a runtime that knows its domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.file_codes import ABOVE_CEILING, RELEASE_NEEDED, RUNTIME_BOUND
from onnxyard.runtimes.releases import release_named, smallest_release
from onnxyard.sources.admission.domains import STANDARD, TIED, operators_by_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from onnxyard.diagnosis.inspection.subject import Subject
    from onnxyard.lifecycle.finding import Finding


def releases(subject: Subject, ceiling: str | None) -> Iterator[Finding]:
    """The oldest ONNX Runtime that loads it, and whether the one that is named does.

    Raises:
        InvalidRequestError: there is no release of the name.
    """
    model = subject.model
    opsets = standard_opsets(model)
    said = f"Opset {', '.join(_opset(*entry) for entry in sorted(opsets.items()))} and IR version {model.ir_version}"
    smallest = smallest_release(opsets, model.ir_version)
    if ceiling is not None and not (named := release_named(ceiling)).loads(opsets, model.ir_version):
        by_format = named.loads(opsets, named.ir_version)
        yield ABOVE_CEILING.found(
            f"{said} do not load in ONNX Runtime {named.name}, which takes opset {named.opset} and "
            f"IR version {named.ir_version}.",
            remedy="Only the IR version is too new: let --fix lower it." if by_format else "",
            fix=ABOVE_CEILING.name if by_format else "",
        )
    elif smallest is not None:
        yield RELEASE_NEEDED.found(f"{said} load in ONNX Runtime {smallest.name} and later.")


def runtime_bound(subject: Subject) -> Iterator[Finding]:
    """Domains that only one runtime knows."""
    for domain, operators in sorted(operators_by_domain(subject.model).items()):
        if domain in TIED:
            named = ", ".join(sorted(operators)[:5])
            yield RUNTIME_BOUND.found(
                f"{operators.total()} nodes are of the domain {domain} ({named}): only {TIED[domain]} runs them."
            )


def standard_opsets(model: onnx.ModelProto) -> dict[str, int]:
    """The opset of each standard domain that a node is of; the default one is `""`."""
    used = {"", *(domain for domain in operators_by_domain(model) if domain in STANDARD)}
    plain = [("" if entry.domain == "ai.onnx" else entry.domain, entry.version) for entry in model.opset_import]
    return {domain: version for domain, version in plain if domain in used}


def _opset(domain: str, version: int) -> str:
    return f"{domain} {version}".strip()
