"""What travels between the stages: each stage's result, the next ones' input."""

from __future__ import annotations

from dataclasses import dataclass

from onnxyard.lifecycle.artifact import Artifact
from onnxyard.lifecycle.candidate import Candidate
from onnxyard.lifecycle.deployment import DeploymentPlan
from onnxyard.lifecycle.finding import Finding
from onnxyard.lifecycle.gate import Gate
from onnxyard.lifecycle.setup import Setup
from onnxyard.lifecycle.signature import Signature


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """What the project's `train` reported at one step."""

    step: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class DevelopResult:
    """A fitted model and its golden set.

    Attributes:
        fitted: The source framework's weights (workspace folder `fitted`).
        golden_set: Raw inputs, the model's outputs and the answers (workspace folder `golden_set`).
        processing: The project's preprocess and postprocess (workspace folder `processing`); None where it has none.
        signature: Of the endpoint: raw inputs and answers.
        framework: As `torch 2.13.0`.
        data_fingerprint: sha256 over every split's arrays.
        rows: Rows per split.
        history: What `train` reported, in order.
        quality: The project's metrics of the source model on the validation split.
    """

    fitted: Artifact
    golden_set: Artifact
    processing: Artifact | None
    signature: Signature
    framework: str
    data_fingerprint: str
    rows: dict[str, int]
    history: tuple[EpochMetrics, ...]
    quality: dict[str, float]


@dataclass(frozen=True, slots=True)
class ExportResult:
    """An ONNX model that does what the source does.

    Attributes:
        model: `model.onnx` (workspace folder `model`).
        sidecar: Tensor to module path and source line (workspace folder `sidecar`).
        signature: Of the graph, read back from it.
        opset: Default-domain opset, read back from the graph.
        ir_version: Read back from the graph.
        exporter: As `torch.onnx dynamo`.
        nodes: Nodes in the graph.
        max_error: Largest absolute difference to the golden set's outputs over two batch sizes.
        remedies: What had to be done to get there, one sentence each.
        findings: What the doctor found in model and graph, the gravest first.
    """

    model: Artifact
    sidecar: Artifact
    signature: Signature
    opset: int
    ir_version: int
    exporter: str
    nodes: int
    max_error: float
    remedies: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizedModel:
    """The chosen candidate's model for one target.

    Attributes:
        target: The target's name.
        recipe: The chosen recipe.
        setup: How it is run.
        precision: As `fp32` or `int8`.
        model: Its files (workspace folder `model-TARGET`).
        opset: Default-domain opset, read back.
        ir_version: Read back.
    """

    target: str
    recipe: str
    setup: Setup
    precision: str
    model: Artifact
    opset: int
    ir_version: int


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """All candidates as measured, and one chosen model per target.

    Attributes:
        candidates: In the order they were tried; the baseline of each target first.
        models: One per target.
        report: `report.html`, `candidates.svg` and `candidates.csv` (workspace folder `report`).
    """

    candidates: tuple[Candidate, ...]
    models: tuple[OptimizedModel, ...]
    report: Artifact


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """The gates' verdicts, and what monitoring will compare with.

    Attributes:
        gates: Every gate, passed or not.
        reference: The reference profile: the test split as the endpoint would log it (workspace folder `reference`).
    """

    gates: tuple[Gate, ...]
    reference: Artifact

    @property
    def passed(self) -> bool:
        """Whether every gate passed; an underpowered gate did not."""
        return all(gate.passed for gate in self.gates)


@dataclass(frozen=True, slots=True)
class DeployResult:
    """A plan, or None where nothing is to change.

    Attributes:
        plan: What to apply; None where the version is live already, or is held back.
        detail: One sentence a person reads.
        held: A person replaced this version and it stays down until a person brings it back.
    """

    plan: DeploymentPlan | None
    detail: str
    held: bool = False
