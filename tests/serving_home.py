"""Small real models in a real registry and store, as serving finds them; shared by the tests and the benchmark."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxyard.artifacts.local import LocalArtifactStore
from onnxyard.delivery.onnxyard_serving import OnnxyardServing
from onnxyard.lifecycle.lineage import Lineage
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.lifecycle.version import (
    ArtifactRole,
    Execution,
    ModelVersion,
    VersionArtifact,
    VersionDraft,
    VersionStatus,
)
from onnxyard.operations.promote import promote
from onnxyard.operations.register import register
from onnxyard.profile.layout import Layout
from onnxyard.profile.reference import write_reference
from onnxyard.project.processing import load_processing
from onnxyard.registry.database import SqlRegistry, open_registry
from onnxyard.runtimes.onnxruntime import OnnxRuntime
from onnxyard.settings import Settings
from onnxyard.tensors.files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.lifecycle.setup import Setup

ACTOR = "tests"
FEATURES = 4
ROWS = 8
V2_KINDS = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
"""V2's datatypes and ONNX's."""


def scaled(x: np.ndarray, factor: int) -> np.ndarray:
    """What `add_scaled`'s version of that factor answers as `scores`, float32 like `x` ([rows, FEATURES])."""
    return (x * np.float32(factor)) + np.float32(factor)


@dataclass
class ServingHome:
    """A home under test.

    Attributes:
        home: Its folder.
        scratch: Where artifacts are prepared.
        database_url: Its registry; SQLite under home by default.
    """

    home: Path
    scratch: Path
    database_url: str | None = None
    _numbers: count[int] = field(default_factory=count)

    @property
    def settings(self) -> Settings:
        """Settings that no variable of the machine changes."""
        return Settings.read(home=self.home, environ=self.environ)

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to find this home."""
        database = {} if self.database_url is None else {"ONNXYARD_DATABASE_URL": self.database_url}
        return {"ONNXYARD_HOME": str(self.home), **database}

    @property
    def store(self) -> LocalArtifactStore:
        """Its artifact store."""
        return LocalArtifactStore(self.settings.artifacts)

    @contextmanager
    def registry(self) -> Iterator[SqlRegistry]:
        """Its registry, opened for a block."""
        with closing(open_registry(self.settings.database_url)) as opened:
            yield opened

    def add_scaled(
        self, factor: int, *, model: str = "scale", expected_shift: float = 0.0, setup: Setup | None = None
    ) -> ModelVersion:
        """A version that answers `scaled(x, factor)` and the row's `label`, half by its processing, half by its graph.

        With processing and graph of two versions mixed the answer is wrong. `expected_shift` plants a golden set that
        the graph does not meet; `setup` is how the version says that it is run.
        """
        graph = helper.make_graph(
            [helper.make_node("Add", ["inputs", "bias"], ["scores"])],
            "scale",
            [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", FEATURES])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", FEATURES])],
            [helper.make_tensor("bias", TensorProto.FLOAT, (1,), [float(factor)])],
        )
        processing = (
            "import numpy as np\n"
            f"def preprocess(raw):\n    return {{'inputs': raw['x'] * np.float32({factor})}}\n"
            "def postprocess(outputs):\n"
            "    return {'scores': outputs['scores'], 'label': outputs['scores'].argmax(axis=1)}\n"
        )
        raw = {"x": np.random.default_rng(factor).normal(size=(ROWS, FEATURES)).astype(np.float32)}
        signature = Signature(
            (TensorSpec("x", "FLOAT", ("batch", FEATURES)),),
            (TensorSpec("scores", "FLOAT", ("batch", FEATURES)), TensorSpec("label", "INT64", ("batch",))),
        )
        return self.add_version(
            model, graph, raw, signature=signature, processing=processing, expected_shift=expected_shift, setup=setup
        )

    def add_kinds(self, *, model: str = "kinds") -> ModelVersion:
        """A version that gives back one input per V2 datatype, `in_KIND` [batch, 2] as `out_KIND`."""
        pairs = [(f"in_{kind}", f"out_{kind}", number) for kind, number in V2_KINDS.items()]
        graph = helper.make_graph(
            [helper.make_node("Identity", [before], [after]) for before, after, _ in pairs],
            "kinds",
            [helper.make_tensor_value_info(before, number, ["batch", 2]) for before, _, number in pairs],
            [helper.make_tensor_value_info(after, number, ["batch", 2]) for _, after, number in pairs],
        )
        raw = {
            before: np.array([["a", "b"], ["", "ü"]], dtype=object)
            if number == TensorProto.STRING
            else np.array([[0, 1], [1, 0]]).astype(helper.tensor_dtype_to_np_dtype(number))
            for before, _, number in pairs
        }
        return self.add_version(model, graph, raw)

    def add_version(
        self,
        model: str,
        graph: onnx.GraphProto,
        raw: dict[str, np.ndarray],
        *,
        signature: Signature | None = None,
        processing: str | None = None,
        expected_shift: float = 0.0,
        setup: Setup | None = None,
    ) -> ModelVersion:
        """Register a version with everything that develop, export and validate would leave behind."""
        work = self.scratch / f"version-{next(self._numbers)}"
        made = {role: work / role.value for role in ArtifactRole}
        for role in (ArtifactRole.MODEL, ArtifactRole.GOLDEN_SET, ArtifactRole.REFERENCE):
            made[role].mkdir(parents=True)
        model_file = made[ArtifactRole.MODEL] / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), model_file)
        loaded = OnnxRuntime().load(model_file, provider="CPUExecutionProvider", threads=1)
        signature = signature or loaded.signature
        if processing is not None:
            made[ArtifactRole.PROCESSING].mkdir()
            (made[ArtifactRole.PROCESSING] / "processing.py").write_text(processing, encoding="utf-8")
        steps = load_processing(None if processing is None else made[ArtifactRole.PROCESSING])
        inputs = steps.before(raw)
        outputs = loaded.run(inputs)
        answers = steps.after(outputs)
        golden_set = {"raw": raw, "inputs": inputs, "outputs": outputs, "answers": answers}
        for name, tensors in golden_set.items():
            write_tensors(made[ArtifactRole.GOLDEN_SET] / name, tensors)
        layout = Layout.of(signature)
        write_reference(made[ArtifactRole.REFERENCE], layout, layout.describe(raw, answers))
        if expected_shift:
            outputs = {name: values + np.float32(expected_shift) for name, values in outputs.items()}
        write_tensors(made[ArtifactRole.REFERENCE] / "expected-cpu", outputs)
        execution = None if setup is None else Execution("baseline", "fp32", setup)
        artifacts = tuple(
            VersionArtifact(role, "cpu", self.store.put(folder), execution=execution)
            if role is ArtifactRole.MODEL
            else VersionArtifact(role, "", self.store.put(folder))
            for role, folder in made.items()
            if folder.is_dir()
        )
        draft = VersionDraft(
            model=model,
            key=hashlib.sha256(str(work).encode()).hexdigest(),
            verdict=VersionStatus.VALIDATED,
            signature=signature,
            model_signature=loaded.signature,
            lineage=Lineage("onnx 1.23.2", "5" * 64, "d" * 64, None),
            artifacts=artifacts,
            candidates=(),
            gates=(),
        )
        with self.registry() as registry:
            return register(registry, draft, actor=ACTOR, now=datetime.now(UTC))

    def promote(self, model: str, version: int, *, endpoint: str | None = None) -> int:
        """Make a version live; the endpoint's new generation."""
        with self.registry() as registry:
            done = promote(
                registry,
                OnnxyardServing(),
                model=model,
                version=version,
                endpoint=endpoint,
                actor=ACTOR,
                reason="a test",
                now=datetime.now(UTC),
            )
        return done.generation
