"""Do edge values give numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxyard.diagnosis.blame.probe import probing
from onnxyard.diagnosis.codes import NONFINITE_BOTH, NONFINITE_GRAPH
from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.places import Place
from onnxyard.errors import OnnxyardError
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnxyard.diagnosis.doctor.case import Case
    from onnxyard.diagnosis.doctor.trials import Trial
    from onnxyard.lifecycle.finding import Finding


def probe(case: Case) -> Iterator[Finding]:
    """Ask both with zeros, ones, tiny and large values; those of one kind are told together."""
    graph_only: list[tuple[Trial, str]] = []
    both: list[tuple[Trial, str]] = []
    expected = _odd(case.subject.expected)
    for trial in trials.edges(case.subject.asked):
        answers = case.answers(trial)
        if answers.reference is None or answers.graph is None:
            continue
        ours, theirs = _odd(answers.graph), _odd(answers.reference)
        for name in sorted(ours - expected):
            (both if name in theirs else graph_only).append((trial, name))
    if graph_only:
        trial, name = graph_only[0]
        place = _origin(case, trial)
        yield NONFINITE_GRAPH.found(
            f"{name!r} is NaN or infinite in the graph, and a number in the framework, for {_names(graph_only)}.",
            module=place.module,
            source=place.source,
            node=place.node,
        )
    if both:
        trial, name = both[0]
        place = _origin(case, trial)
        yield NONFINITE_BOTH.found(
            f"{name!r} is NaN or infinite for {_names(both)}, in the framework too.",
            module=place.module,
            source=place.source,
            node=place.node,
        )


def _odd(outputs: Mapping[str, np.ndarray]) -> set[str]:
    """Outputs that are not finite everywhere."""
    return {
        name
        for name, array in outputs.items()
        if is_floating(array.dtype) and not np.isfinite(array.astype(np.complex128)).all()
    }


def _names(found: list[tuple[Trial, str]]) -> str:
    return ", ".join(dict.fromkeys(trial.name for trial, _ in found))


def _origin(case: Case, trial: Trial) -> Place:
    """The first node whose result is not finite."""
    try:
        with probing(case.proto) as graph:
            values = graph.run(trial.inputs, graph.tensors)
    except OnnxyardError:
        return Place()
    node = next(
        (graph.producers[name] for name in graph.tensors if name in values and _odd({name: values[name]})), None
    )
    return Place() if node is None else case.places.of(node)
