"""What torch.export and the translations cannot take of a module: all of it, in one pass."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from onnxyard.diagnosis.codes import BAKED_AXIS, CUSTOM_OPERATOR, DATA_DEPENDENT_BRANCH, UNSUPPORTED_OPERATOR
from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.torch.walk import Frames
from onnxyard.diagnosis.doctor.torch.watching import Watching
from onnxyard.errors import UnsupportedModelError
from onnxyard.sources.torch.catalogue import catalogue, translation_table
from onnxyard.sources.torch.dynamo import OPSETS, capture
from onnxyard.sources.torch.unsupported import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    import torch

    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.diagnosis.doctor.torch.reference import TorchReference
    from onnxyard.diagnosis.doctor.torch.walk import Walk
    from onnxyard.lifecycle.finding import Finding

_DECISIONS = frozenset({"__bool__", "__int__", "__float__", "__index__", "item"})
"""Calls by which one number leaves a tensor, so that the number can be put in the call's place."""


def obstacles(subject: Subject, reference: TorchReference) -> Iterator[Finding]:
    """Branches on data, and operators without a translation.

    Where torch.export stops at a decision on data, what the model decided for the example is put in its place and the
    export goes on, so that further ones, and the operators behind them, are seen too. Where other values of the
    example decide otherwise, their way is gone as well.
    """
    asked = subject.asked
    walked = reference.walk(asked.inputs)
    found, program = _followed(subject, reference, walked)
    ways = {_decided(walked)}
    if found:
        for trial in trials.values(asked):
            other = reference.walk(trial.inputs)
            if _decided(other) not in ways:
                ways.add(_decided(other))
                found += _followed(subject, reference, other)[0]
    yield from found
    if program is not None:
        opset = max(asked.opset or OPSETS.start, OPSETS.start)  # below, the one of OPSETS.start is converted
        table = translation_table(asked.translations, opset=opset, entries=catalogue())
        for gap in missing(program, reference.source, table, opset=opset):
            code = CUSTOM_OPERATOR if gap.custom else UNSUPPORTED_OPERATOR
            yield code.found(
                f"The operator {gap.operator} cannot be translated: {gap.reason}.",
                module=gap.module,
                source=gap.source,
            )


def _followed(
    subject: Subject, reference: TorchReference, walked: Walk
) -> tuple[list[Finding], torch.export.ExportedProgram | None]:
    """The decisions on data along one way, and the module as captured behind them."""
    found: list[Finding] = []
    replaced: set[str] = set()
    while True:
        try:
            with _deciding(reference, walked, replaced):
                return found, capture(reference.module, subject.asked, reference.source)
        except UnsupportedModelError as refused:
            module, reason = str(refused.facts.get("module", "")), refused.facts.get("reason")
            if reason == "baked-axis":
                path, source = (module, refused.where) if refused.where else _fixing(subject, reference)
                found.append(BAKED_AXIS.found(refused.detail, module=path, source=source, remedy=refused.remedy))
            if reason != "data-dependent":
                return found, None
            if refused.where in replaced:
                return found, None
            replaced.add(refused.where)
            found.append(DATA_DEPENDENT_BRANCH.found(refused.detail, module=module, source=refused.where))


def _fixing(subject: Subject, reference: TorchReference) -> tuple[str, str]:
    """Where another length of an axis is not taken, or goes another way; nowhere if it is and does not."""
    asked = subject.asked
    for trial in trials.lengths(asked):
        if (place := reference.stumble(trial.inputs)) is not None:
            return place
        if (parted := reference.parting(asked.inputs, trial.inputs)) is not None:
            return parted.module, parted.source
    return "", ""


def _decided(walked: Walk) -> tuple[object, ...]:
    return tuple((call.source, call.numbers) for call in walked.calls if call.function == "__bool__")


@contextmanager
def _deciding(reference: TorchReference, walked: Walk, lines: set[str]) -> Iterator[None]:
    """While inside, what the module decides in these lines is what it decided in the walk."""
    module, forward = reference.module, reference.module.forward
    frames = Frames(module, reference.source)
    answers = [call.numbers[-1] for call in walked.calls if call.function in _DECISIONS]

    @wraps(forward)
    def decided(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the model takes and gives
        with _Decided(iter(answers), frames, lines):
            return forward(*args, **kwargs)

    module.forward = decided
    try:
        yield
    finally:
        del module.forward


class _Decided(Watching):
    def __init__(self, answers: Iterator[object], frames: Frames, lines: set[str]) -> None:
        super().__init__()
        self._answers = answers
        self._frames = frames
        self._lines = lines

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any], caller: FrameType
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        if getattr(function, "__name__", "") in _DECISIONS:
            answer = next(self._answers, None)
            stack = self._frames.place(caller)[1]
            if stack and stack[-1] in self._lines and answer is not None:
                return answer
        return function(*args, **named)
