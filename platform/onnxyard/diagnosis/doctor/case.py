"""A case: a model and the graph that was made of it, ready to be asked; no question is asked twice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnxyard.diagnosis.doctor import trials
from onnxyard.diagnosis.doctor.noise import rounding
from onnxyard.diagnosis.doctor.places import Places
from onnxyard.diagnosis.doctor.steadiness import wavers
from onnxyard.diagnosis.doctor.trials import Kind, Trial
from onnxyard.errors import OnnxyardError
from onnxyard.parity.error import compare
from onnxyard.runtimes.graph import all_nodes
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.tensors.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onnxyard.diagnosis.doctor.subject import Subject
    from onnxyard.sources.source import Exported

    Tensors = Mapping[str, np.ndarray]

_SIGMOID_NOISE = 2e-7
"""Measured on ONNX Runtime 1.32 between -17 and 17: 1.44e-7 at most."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What both said to one trial.

    Attributes:
        reference: The model's outputs; None where it does not take the inputs.
        graph: The graph's outputs; None where it fails, or was not asked because the model refused.
        failure: Why the graph failed.
    """

    reference: Tensors | None
    graph: Tensors | None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A trial that the graph answers otherwise than the model.

    Attributes:
        trial: The trial.
        output: The output it was seen in; empty where the graph fails.
        error: The largest absolute difference; infinite for another shape or where the graph fails.
        tolerance: What would have been noise.
        scale: The largest absolute value of the model's output.
        failure: Why the graph failed; empty where it answers.
    """

    trial: Trial
    output: str
    error: float
    tolerance: float
    scale: float
    failure: str = ""

    @property
    def said(self) -> str:
        """In words, as `at batch = 3 'logits' differs by 0.12 (noise: 1.4e-06)`."""
        if self.failure:
            return f"at {self.trial.name} the graph fails: {self.failure}"
        if not np.isfinite(self.error):
            return f"at {self.trial.name} {self.output!r} has another shape, or is not finite where the model's is"
        return f"at {self.trial.name} {self.output!r} differs by {self.error:.3g} (noise: {self.tolerance:.1g})"


class Case:
    """A subject with one graph of it.

    Args:
        subject: The model.
        exported: What the attempt said of the graph.
        model_file: The graph.

    Raises:
        UnsupportedModelError, ArtifactCorruptError: ONNX Runtime cannot load it.
    """

    def __init__(self, subject: Subject, exported: Exported, model_file: Path) -> None:
        self.subject = subject
        self.exported = exported
        self.model_file = model_file
        self.graph = OnnxRuntime.load(model_file, provider="CPUExecutionProvider", threads=1)
        self._answers: dict[str, Answers] = {}

    @cached_property
    def proto(self) -> onnx.ModelProto:
        """The graph with its weights."""
        return onnx.load(self.model_file)

    @cached_property
    def places(self) -> Places:
        """Where its nodes came from."""
        return Places(self.proto, self.exported.sidecar, self.subject.torch, self.subject.asked.inputs)

    @cached_property
    def constants(self) -> dict[str, onnx.TensorProto]:
        """Initializers and the values of Constant nodes, by name."""
        made = {
            node.output[0]: attribute.t
            for node in self.proto.graph.node
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        return {tensor.name: tensor for tensor in self.proto.graph.initializer} | made

    def answers(self, trial: Trial) -> Answers:
        """Both answers; asked once."""
        if trial.name not in self._answers:
            self._answers[trial.name] = self._ask(trial)
        return self._answers[trial.name]

    def _ask(self, trial: Trial) -> Answers:
        if trial.kind is Kind.EXAMPLE:
            reference: Tensors | None = self.subject.expected
        else:
            reference = self.asked_reference(trial.inputs)
        if reference is None:
            return Answers(None, None)
        try:
            return Answers(reference, self.graph.run(trial.inputs))
        except OnnxyardError as error:
            return Answers(reference, None, error.detail)

    def asked_reference(self, inputs: Tensors) -> Tensors | None:
        """The model's answer; None where it does not take the inputs."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.reference.run(inputs)
        except Exception:  # noqa: BLE001 - the user's own code may raise anything for inputs it was not made for
            return None

    @cached_property
    def few(self) -> Tensors:
        """Two rows of the example."""
        return trials.few_rows(self.subject.asked, 2)

    @cached_property
    def kernel_noise(self) -> float:
        """What ONNX Runtime is off by however small the value is.

        Its Sigmoid is a rational approximation, good to 1.5e-7 of 1: of a probability of 1e-7 it may give three.
        """
        approximated = any(node.op_type == "Sigmoid" for node in all_nodes(self.proto.graph))
        return _SIGMOID_NOISE if approximated else 0.0

    @cached_property
    def graph_wavers(self) -> bool:
        """Whether the graph gives two answers to one question; not where it gives none."""
        return wavers(self.graph, (self.few, self.subject.asked.inputs))

    @cached_property
    def model_wavers(self) -> bool:
        """Whether the model gives two answers to one question."""
        return wavers(self.subject.reference, (self.few, self.subject.asked.inputs))

    @cached_property
    def divergences(self) -> tuple[Divergence, ...]:
        """Every trial that is answered otherwise; none where one side answers at random.

        The example comes first. Where it is answered otherwise already, other trials tell only where the graph fails.
        """
        if self.graph_wavers or self.model_wavers:
            return ()
        asked = self.subject.asked
        first = list(self._compared(trials.example(asked)))
        others = [
            divergence
            for trial in (*trials.lengths(asked), *trials.values(asked))
            for divergence in self._compared(trial)
            if not first or divergence.failure
        ]
        return (*first, *others)

    def _compared(self, trial: Trial) -> Iterator[Divergence]:
        answers = self.answers(trial)
        if answers.reference is None:
            return
        if answers.graph is None:
            yield Divergence(trial, "", np.inf, 0.0, 0.0, answers.failure)
            return
        apart = {
            name: compare({name: wanted}, {name: answers.graph[name]}).max_abs
            for name, wanted in answers.reference.items()
            if name in answers.graph and (trial.kind is Kind.EXAMPLE or _finite(wanted))
        }
        usual = {name: rounding(answers.reference[name], np.finfo(np.float64).eps) for name in apart}
        if all(error <= usual[name] for name, error in apart.items()):
            return
        epsilon = self.subject.noise.epsilon
        # Most differences end here, at rounding's size, so that noise is measured only where there is doubt.
        if all(error <= rounding(answers.reference[name], epsilon) / 8 for name, error in apart.items()):
            return
        noise = self.subject.noise.tolerance(trial.inputs, answers.reference, epsilon)
        for name, error in apart.items():
            tolerance = max(noise[name], self.kernel_noise)
            if error > tolerance:
                scale = float(np.max(np.abs(_numbers(answers.reference[name])), initial=0.0))
                yield Divergence(trial, name, error, tolerance, scale)


def _finite(array: np.ndarray) -> bool:
    return not is_floating(array.dtype) or bool(np.isfinite(array.astype(np.complex128)).all())


def _numbers(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "OUST":
        return np.zeros(0)
    values: np.ndarray = array if array.dtype.kind == "c" else array.astype(np.float64)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite
