"""What runs inside a toolchain: a project's training and its fitted model, asked for by `onnxyard.sources.isolated`.

Each framework fills in a `Program`. Only numpy, onnx and the toolchain's own packages are here beside the standard
library and the light parts of Onnxyard.
"""

from __future__ import annotations

import sys
import traceback
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import defs

from onnxyard.errors import MissingExtraError, UnsupportedModelError, UserCodeError
from onnxyard.project.modules import blaming, siblings_of
from onnxyard.project.seeding import seeded
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.handed_splits import read_splits
from onnxyard.sources.saving import save_model
from onnxyard.tensors.files import read_tensors, write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    import onnx

    Told = Callable[[dict[str, Any]], None]


class Converted(NamedTuple):
    """A model that a converter made.

    Attributes:
        model: With the outputs' names; their order and the axes' names are set afterwards.
        origins: By tensor: module, kind, source and operator, as `onnxyard.sources.sidecar.Origin`.
        remedies: What had to be done for it, one sentence each.
    """

    model: onnx.ModelProto
    origins: dict[str, dict[str, str]]
    remedies: list[str]


class Program(ABC):
    """Answers the requests of `onnxyard.sources.isolated`, one project per process."""

    framework: str
    """As `keras 3.15.1`."""
    exporter: str
    """As `tf2onnx 1.17.0`."""

    def __init__(self) -> None:
        self.root = Path()
        self.names: tuple[str, ...] = ()
        self.config: dict[str, Any] = {}
        self.seed = 0
        self.module: ModuleType | None = None
        self._for_good = ExitStack()

    @property
    def commands(self) -> dict[str, Callable[[dict[str, Any], Told], dict[str, Any]]]:
        """By name, for the loop in `onnxyard.toolchains.worker_main`."""
        return {"open": self.open, "fit": self.fit, "load": self.load, "run": self.run, "export": self.export}

    @abstractmethod
    def prepare(self, *, threads: int, deterministic: bool) -> None:
        """Import the framework, seeded with `self.seed`, so that it computes the same bytes again."""

    @abstractmethod
    def store(self, trained: Any, folder: Path) -> None:  # noqa: ANN401 - the framework's own types
        """Write what `train` returned, without pickle. Raises UserCodeError for what cannot be stored."""

    @abstractmethod
    def adopt(self, checkpoint: Path, folder: Path) -> None:
        """Write what a checkpoint holds, as `store` does. Raises UserCodeError for a checkpoint that is none."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Load what was stored. Raises ArtifactCorruptError or UserCodeError."""

    @abstractmethod
    def answer(self, inputs: Mapping[str, np.ndarray]) -> Any:  # noqa: ANN401 - as the model gives it
        """Run the loaded model: one array, several in order, or by name."""

    @abstractmethod
    def convert(self, example: Mapping[str, np.ndarray], axes: Mapping[str, list[int | str]], opset: int) -> Converted:
        """Convert the loaded model. Raises UnsupportedModelError, InvalidRequestError."""

    def open(self, given: dict[str, Any], tell: Told) -> dict[str, Any]:  # noqa: ARG002 - a command's shape
        """Import the framework and the project's training file."""
        self.root = Path(given["root"])
        self.names = tuple(given["outputs"])
        self.config, self.seed = given["config"], given["seed"]
        self.prepare(threads=given["threads"], deterministic=given["deterministic"])
        if given["training"] is not None:
            file = self.root / given["training"]
            # For good: this process has no other project. Under its plain name, which classes of the user's are stored
            # with, and which must not depend on the folder.
            self._for_good.enter_context(siblings_of(file.parent))
            sys.dont_write_bytecode = True
            with self.blaming(f"{file.name} cannot be loaded"):
                self.module = import_module(file.stem)
        return {}

    def fit(self, given: dict[str, Any], tell: Told) -> dict[str, Any]:
        """Train, or take the checkpoint, and store the model."""
        folder = Path(given["folder"])
        if given["checkpoint"] is not None:
            self.adopt(Path(given["checkpoint"]), folder)
            return {"framework": self.framework}
        splits = read_splits(Path(given["splits"]))

        def report(step: int, metrics: Mapping[str, Any]) -> None:
            tell({"step": int(step), "metrics": {str(name): float(value) for name, value in metrics.items()}})

        with seeded(self.seed):
            trained = self.call("train", splits, dict(self.config), report)
        self.store(trained, folder)
        return {"framework": self.framework}

    def load(self, given: dict[str, Any], tell: Told) -> dict[str, Any]:  # noqa: ARG002 - a command's shape
        """Load the stored model."""
        self.restore(Path(given["folder"]))
        return {"framework": self.framework}

    def run(self, given: dict[str, Any], tell: Told) -> dict[str, Any]:  # noqa: ARG002 - a command's shape
        """Run the loaded model on tensors in a folder, into another one."""
        inputs = read_tensors(Path(given["inputs"]))
        with self.blaming("the model raised"):
            outputs = {name: np.asarray(value) for name, value in self.named(self.answer(inputs)).items()}
        write_tensors(Path(given["outputs"]), outputs)
        return {}

    def export(self, given: dict[str, Any], tell: Told) -> dict[str, Any]:  # noqa: ARG002 - a command's shape
        """Convert the loaded model and write it."""
        axes = given["axes"]
        converted = self.convert(read_tensors(Path(given["example"])), axes, given["opset"])
        graph = converted.model.graph
        self._refuse_newer(graph, given["opset"])
        used = {name for node in all_nodes(graph) for name in node.input} | {value.name for value in graph.output}
        weights = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.initializer[:]
        graph.initializer.extend(weights)
        del graph.value_info[:]  # every reader infers them anew, with the axes' names
        for value in graph.input:
            for dimension, axis in zip(value.type.tensor_type.shape.dim, axes[value.name], strict=True):
                if isinstance(axis, str):
                    dimension.dim_param = axis
        outputs = {value.name: value for value in graph.output}
        batch = next(iter(axes.values()))[0]
        for value in graph.output:
            if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].dim_value:
                value.type.tensor_type.shape.dim[0].dim_param = batch
        ordered = [outputs[name] for name in self.names]
        del graph.output[:]
        graph.output.extend(ordered)
        save_model(converted.model, Path(given["model_file"]))
        return {"exporter": self.exporter, "origins": converted.origins, "remedies": converted.remedies}

    def _refuse_newer(self, graph: onnx.GraphProto, opset: int) -> None:
        """Converters write operators that came with a later opset, too."""
        newer = {
            node.op_type: next(since for since in range(opset + 1, 100) if defs.has(node.op_type, since, node.domain))
            for node in all_nodes(graph)
            if not node.domain and defs.has(node.op_type) and not defs.has(node.op_type, opset)
        }
        if newer:
            raise UnsupportedModelError(
                f"{self.exporter} writes {', '.join(sorted(newer))}, which opset {opset} does not have.",
                where="[export] opset",
                remedy=f"Ask for opset {max(newer.values())}, where it is, or use other operations.",
                operators=sorted(newer),
            )

    def call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the user's function returns
        """Call a function of the training file. Raises UserCodeError: it is not there, or raised."""
        function = getattr(self.module, name, None)
        if self.module is None or not callable(function):
            file = Path(str(self.module.__file__)).name if self.module is not None else "the project"
            raise UserCodeError(f"There is no function {name!r} in {file}.", where=file)
        with self.blaming(f"{name} raised"):
            return function(*arguments)

    def named(self, made: Any) -> dict[str, Any]:  # noqa: ANN401 - as the model gives it
        """Outputs by the names the project gives them. Raises UserCodeError where they do not fit."""
        if isinstance(made, dict):
            if set(made) != set(self.names):
                raise UserCodeError(
                    f"The model gives {', '.join(sorted(made))}; the project names {', '.join(sorted(self.names))}.",
                    where="[project] outputs",
                )
            return {name: made[name] for name in self.names}
        values = list(made) if isinstance(made, (tuple, list)) else [made]
        if len(values) != len(self.names):
            raise UserCodeError(
                f"The model gives {len(values)} outputs, the project names {len(self.names)}.",
                where="[project] outputs",
            )
        return dict(zip(self.names, values, strict=True))

    def place(self, error: BaseException) -> str:
        """`file:line` of the deepest frame inside the project; empty where there is none."""
        inside = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(self.root)]
        return f"{Path(inside[-1].filename).relative_to(self.root).as_posix()}:{inside[-1].lineno}" if inside else ""

    @contextmanager
    def blaming(self, what: str) -> Iterator[None]:
        """As `onnxyard.project.modules.blaming`; a module that is missing is missing in the toolchain."""
        try:
            with blaming(self.root, what):
                yield
        except (UserCodeError, MissingExtraError) as error:
            cause = error.__cause__
            if not isinstance(cause, ModuleNotFoundError):
                raise
            raise UserCodeError(
                f"{what}: the toolchain has no module {cause.name!r}.",
                where=error.where,
                remedy="Training can import numpy and what the toolchain holds; what else data and metrics need "
                "belongs into [project] module.",
            ) from cause
