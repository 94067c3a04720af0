"""The project file, `onnxyard.toml`: what may stand in it. `onnxyard.project.reading` reads and checks one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onnxyard.processing.steps import Steps

Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""Names of models, endpoints and targets: they appear in URLs, labels and folder names."""
PROVIDERS = {
    "onnxruntime": (
        "CPUExecutionProvider",
        "CUDAExecutionProvider",
        "TensorrtExecutionProvider",
        "OpenVINOExecutionProvider",
        "QNNExecutionProvider",
        "DnnlExecutionProvider",
        "XnnpackExecutionProvider",
        "CoreMLExecutionProvider",
        "DmlExecutionProvider",
        "MIGraphXExecutionProvider",
        "ROCMExecutionProvider",
    ),
    "openvino": ("CPU", "GPU", "NPU", "AUTO"),
    "iree": ("llvm-cpu",),
    "nnef": ("interpreter",),
}
"""By runtime: its providers (OpenVINO calls them devices), the default first."""

RECIPES = (
    *("fp32", "as-exported", "onnxscript", "onnxslim", "batch-norm", "all-portable"),
    *("transformer-onnxscript", "transformer-onnxruntime", "ort-extended", "ort-all"),
    *("int8-qdq", "int8-dynamic", "int8-u8s8", "int8-entropy", "int8-percentile", "int8-nncf", "int8-aware"),
    *("mixed-int8-fp16", "fp16", "fp16-weights", "bf16-weights", "int4-weights", "int4-weights-portable"),
    *("qnn-a8w8", "qnn-a16w8", "iree", "nnef", "ort-format", "ep-context-openvino", "ep-context-qnn", "olive"),
)
"""Recipes by name; what each does lies in `onnxyard.stages.optimize.recipes`."""

PACKAGES: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "sklearn": ("scikit-learn", "skl2onnx", "skops"),
    "xgboost": ("xgboost-cpu",),
    "lightgbm": ("lightgbm",),
    "keras": (),
    "jax": (),
}
"""By framework: the distributions of this environment that do its work (Keras and JAX have one of their own)."""

# Each type says in words what it expects; the messages about mistakes are made of these.
Name = Annotated[str, Field(pattern=NAME, description="a name of lower-case letters, digits and hyphens")]
Text = Annotated[str, Field(min_length=1, description="a text that is not empty")]
FileName = Annotated[str, Field(min_length=1, description="a file's path relative to the project's folder")]
Count = Annotated[int, Field(ge=1, description="a whole number of at least 1")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="a number between 0 and 1")]
Number = Annotated[float, Field(allow_inf_nan=False, description="a finite number")]
Scores = Annotated[dict[str, Number], Field(description="a table of numbers by metric")]
Names = Annotated[tuple[Text, ...], Field(strict=False, min_length=1, description="a list of texts")]
Axis = Annotated[int, Field(ge=1)] | Text
Axes = Annotated[
    dict[str, Annotated[tuple[Axis, ...], Field(strict=False, min_length=1, description="a list of axes")]],
    Field(description="a table of lists of axes by input"),
]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8", "int4")
Runtimes = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[a-z]+(:[A-Za-z-]+)?$", description="a RUNTIME or RUNTIME:PROVIDER")], ...],
    Field(strict=False, min_length=1, description="a runtime, or a list of them"),
]
BatchSizes = Annotated[
    dict[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)]],
    Field(min_length=1, description="a list of whole numbers, or a table of weights by batch size"),
]
Framework = Literal["torch", "sklearn", "xgboost", "lightgbm", "keras", "jax"]


class Section(BaseModel):
    """A table of the project file: frozen, nothing unknown in it, no type bent into another."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProjectSection(Section):
    """[project]: what the model is made of.

    Attributes:
        name: The model's name.
        module: The Python file with model, train, data and metrics.
        training: The Python file with train (and model, for jax) where these run in an environment of their own, as
            keras and jax do; `module` by default, which then may import neither at its top.
        processing: The Python file with preprocess and postprocess.
        outputs: Names of the model's outputs, in the order `forward` gives them.
        framework: What `train` gives a model of.
        onnx: A finished model, instead of model and train: an ONNX file, `models:/NAME@ALIAS` of an MLflow registry, or
            `zoo:NAME` of an ONNX Model Zoo.
        zoo: That zoo's mirror, a URL or a folder (relative to the project's); the ONNX project's own by default.
        onnx_sha256: What the finished model's digest must be (`onnxyard doctor` prints it); without it a file whose
            bits flipped and that still loads is taken for what was meant.
        axes: Per model input (per raw input, where there are `[[preprocess]]` steps): its axes, the batch first; a text
            names a dynamic one, a number fixes a length. Without it the first axis alone is dynamic.
        missing: Raw inputs in which NaN, or an empty text, stands for a missing value.
        columns: Per raw input: the names of its features.
        files: Further files the data depends on (globs allowed): a change in one of them makes develop run again.
    """

    name: Name
    module: FileName
    outputs: Names
    framework: Annotated[Framework, Field(description=f"one of {', '.join(PACKAGES)}")] = "torch"
    training: FileName | None = None
    processing: FileName | None = None
    onnx: FileName | None = None
    zoo: Text | None = None
    onnx_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="a sha256 of 64 hex digits")] | None = None
    axes: Axes = {}
    missing: Annotated[tuple[Text, ...], Field(strict=False, description="a list of inputs")] = ()
    columns: Annotated[dict[str, Names], Field(description="a table of lists of names by input")] = {}
    files: Annotated[tuple[FileName, ...], Field(strict=False, description="a list of files")] = ()


class DevelopSection(Section):
    """[develop]: how the model comes to be.

    Attributes:
        seed: Seeds Python, numpy, torch and the splitting of data.
        golden_rows: Rows of the golden set.
        threads: Torch's threads. Sums depend on how many there are, so the number is part of the request; one is right
            for small models, and alone is not slowed down by a busy neighbour.
        deterministic: Whether torch refuses operations that have no repeatable form.
        checkpoint: Trained weights (`.safetensors`, or a `.pt` holding a state dict), instead of train; for keras a
            whole model (`.keras`, or a SavedModel's folder).
        config: Handed to the project's functions as `config`.
    """

    seed: Annotated[int, Field(ge=0, lt=2**32, description="a whole number between 0 and 4294967295")] = 0
    golden_rows: Annotated[int, Field(ge=2, le=10_000, description="a whole number between 2 and 10000")] = 32
    threads: Count = 1
    deterministic: Annotated[bool, Field(description="true or false")] = True
    checkpoint: FileName | None = None
    config: Annotated[dict[str, Any], Field(description="a table")] = {}


class ExportSection(Section):
    """[export]: how the ONNX graph is made.

    Attributes:
        opset: The default domain's opset: exactly this one.
        translations: By operator, as `mylib::frobnicate`: the onnxscript function that stands for it, as
            `translations.py:frobnicate`.
    """

    opset: Annotated[int, Field(ge=7, le=27, description="an integer between 7 and 27")] = 20
    translations: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_]\w*$", description="a FILE.py:FUNCTION")]],
        Field(description="a table of FILE.py:FUNCTION by operator"),
    ] = {}


class OptimizeSection(Section):
    """[optimize]: what the search is for, and how long it may take.

    Attributes:
        minimize: What is made small among the candidates that keep the quality: `p50` or `p99` of a call, `throughput`
            (milliseconds per row at the largest batch size), `size` or `memory`.
        metric: The metric that must hold, on the validation split; the first of [gates.quality] by default.
        max_drop: The largest drop below fp32 that a candidate may have.
        confidence: One-sided confidence that the drop is no larger.
        recipes: Recipes that are tried; all that fit the target by default.
        tune: Whether the runtimes' settings are varied too; without it each recipe runs with their defaults.
        budget_s: Seconds that the search may take for each target.
        repeats: Timed calls of each finalist per batch size.
    """

    minimize: Annotated[
        Literal["p50", "p99", "throughput", "size", "memory"],
        Field(description="one of p50, p99, throughput, size, memory"),
    ] = "p50"
    metric: Text = ""
    max_drop: Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of at least 0")] = 0.01
    confidence: Annotated[float, Field(ge=0.5, lt=1, description="a number from 0.5 to below 1")] = 0.95
    recipes: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, description="a list of recipes")] | None = (
        None
    )
    tune: Annotated[bool, Field(description="true or false")] = True
    budget_s: Annotated[float, Field(gt=0, le=604_800, description="a number of seconds above 0")] = 120.0
    repeats: Annotated[int, Field(ge=10, le=100_000, description="a whole number between 10 and 100000")] = 200


class TargetSection(Section):
    """[targets.NAME]: a place where the model runs, and what it allows.

    Attributes:
        runtime: What runs it, as `openvino` or `onnxruntime:OpenVINOExecutionProvider`; of several, the search finds
            the best.
        provider: The execution provider or device, where a single runtime is named without one; its CPU one by default.
        threads: Threads of one call; 0 lets the search find the best number that the machine allows.
        batch_sizes: Rows per call that matter: a list, or a table of weights by batch size.
        precision: Precisions that are allowed; all by default.
        portable: Whether only operators of the ONNX standard are allowed.
        latency_ms: The largest 99th percentile of a call, at the first batch size.
        memory_mb: The largest peak memory of the loaded model, in units of 2**20 bytes.
        disk_mb: The largest size of the model's files, in units of 2**20 bytes.
        onnxruntime: The oldest ONNX Runtime release there, as `1.17`: opset and IR version are chosen to fit it.
    """

    runtime: Runtimes = ("onnxruntime",)
    provider: Text = ""
    threads: Annotated[int, Field(ge=0, le=1024, description="a whole number between 0 and 1024")] = 1
    batch_sizes: BatchSizes = {1: 1.0}
    precision: Annotated[
        tuple[Annotated[Precision, Field(description=f"one of {', '.join(PRECISIONS)}")], ...],
        Field(strict=False, min_length=1, description="a list of precisions"),
    ] = PRECISIONS
    portable: Annotated[bool, Field(description="true or false")] = False
    latency_ms: Positive | None = None
    memory_mb: Positive | None = None
    disk_mb: Positive | None = None
    onnxruntime: Annotated[str, Field(pattern=r"^1\.\d+$", description='a release as "1.17"')] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stood in the file
        """One runtime need not be a list, nor batch sizes of equal weight a table."""
        if not isinstance(given, dict):
            return given
        full = dict(given)
        if isinstance(full.get("runtime"), str):
            full["runtime"] = [full["runtime"]]
        sizes = full.get("batch_sizes")
        if isinstance(sizes, list) and all(isinstance(size, int) for size in sizes):
            full["batch_sizes"] = dict.fromkeys(sizes, 1.0)
        elif isinstance(sizes, dict):  # TOML's keys are texts
            full["batch_sizes"] = {int(k) if str(k).isdecimal() else k: v for k, v in sizes.items()}
        return full

    @property
    def batch_size(self) -> int:
        """The first batch size: what `latency_ms` and the latency gate look at."""
        return next(iter(self.batch_sizes))

    @property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Each runtime with the provider that it is to use."""
        split = (each.partition(":")[::2] for each in self.runtime)
        return tuple((name, provider or self.provider or PROVIDERS[name][0]) for name, provider in split)


class GatesSection(Section):
    """[gates]: what a version must prove before it may go live.

    Attributes:
        quality: By metric: the least value the test split must prove.
        max_drop: By metric: the largest drop against the source model on the test split.
        confidence: One-sided confidence of every bound that is estimated from rows.
        max_error: Parity of the exported graph with the source on the golden set, absolute.
        max_flips: Share of golden rows whose decision differs between the chosen model and the source.
        p99_ms: Largest 99th percentile of one call's latency in milliseconds; no gate without it.
        size_bytes: Largest size of the model's files; no gate without it.
    """

    quality: Annotated[dict[str, Number], Field(min_length=1, description="a table of numbers by metric")]
    max_drop: Scores = {}
    confidence: Annotated[float, Field(gt=0.5, lt=1, description="a number between 0.5 and 1")] = 0.95
    max_error: Positive = 1e-3
    max_flips: Share = 0.05
    p99_ms: Positive | None = None
    size_bytes: Count | None = None


class DeploySection(Section):
    """[deploy]: where a version that passed goes.

    Attributes:
        endpoint: The endpoint's name; the project's by default.
        target: Which target's model serves; the only one, or `cpu`, by default.
    """

    endpoint: Name = ""
    target: Name = ""


class MonitorSection(Section):
    """[monitor]: how the endpoint is watched.

    Attributes:
        window_rows: Logged rows per drift check; no verdict is given below 500.
        every_minutes: How often the scheduled check runs.
    """

    window_rows: Count = 500
    every_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number of minutes above 0")] = 15


class ProjectFile(Section):
    """The whole of `onnxyard.toml`.

    Attributes:
        preprocess: `[[preprocess]]`: steps before the model, in this order, that become part of its graph.
        postprocess: `[[postprocess]]`: likewise, steps behind it.
    """

    project: ProjectSection
    gates: GatesSection
    preprocess: Steps = ()
    postprocess: Steps = ()
    develop: DevelopSection = DevelopSection()
    export: ExportSection = ExportSection()
    optimize: OptimizeSection = OptimizeSection()
    targets: Annotated[dict[Name, TargetSection], Field(min_length=1, description="a table of targets")] = Field(
        default_factory=lambda: {"cpu": TargetSection.model_validate({})}
    )
    deploy: DeploySection = DeploySection()
    monitor: MonitorSection = MonitorSection()

    @model_validator(mode="after")
    def _fill(self) -> Self:
        """Defaults that depend on other sections."""
        target = "cpu" if "cpu" in self.targets else next(iter(self.targets))
        filled = {
            "optimize": self.optimize.model_copy(
                update={"metric": self.optimize.metric or next(iter(self.gates.quality))}
            ),
            "deploy": self.deploy.model_copy(
                update={
                    "endpoint": self.deploy.endpoint or self.project.name,
                    "target": self.deploy.target or target,
                }
            ),
        }
        for name, section in filled.items():
            object.__setattr__(self, name, section)
        return self
