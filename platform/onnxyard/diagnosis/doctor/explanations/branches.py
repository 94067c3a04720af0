"""The divergence comes from Python: another input takes another way, or another number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxyard.diagnosis.codes import FOLDED_CONSTANT, FROZEN_BRANCH
from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.trials import Kind

if TYPE_CHECKING:
    from onnxyard.diagnosis.doctor.case import Case, Divergence
    from onnxyard.lifecycle.finding import Finding


def explain(case: Case, divergence: Divergence) -> Finding | None:
    """The model is run for the example and for the trial; where its calls part is what was frozen."""
    torch, trial = case.subject.torch, divergence.trial
    if torch is None or trial.kind is Kind.EXAMPLE:
        return None
    asked = case.subject.asked
    example = asked.inputs
    if trial.kind is Kind.VALUES:
        example = trials.few_rows(asked, len(next(iter(trial.inputs.values()))))
    found = torch.parting(example, trial.inputs)
    if found is None:
        return None
    if found.branch:
        return FROZEN_BRANCH.found(
            f"Python goes another way for other inputs than the example; the graph does not: {divergence.said}.",
            module=found.module,
            source=found.source,
        )
    return FOLDED_CONSTANT.found(
        f"A number that Python took from the example stays in the graph: {divergence.said}.",
        module=found.module,
        source=found.source,
    )
