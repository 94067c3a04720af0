"""NNEF, Khronos' exchange format: run by the interpreter that nnef_tools ships, operation by operation in PyTorch.

It proves that a converted model means what it did. It is no runtime for speed, and no latency of it is one of NNEF's:
whoever takes NNEF files compiles them for a device.
"""

from __future__ import annotations

import tarfile
import threading
import warnings
from contextlib import contextmanager
from importlib import metadata
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from onnxyard.errors import ArtifactCorruptError, MissingExtraError, UnsupportedModelError
from onnxyard.ports.runtime import NO_OPTIONS
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.inputs import check_inputs, shapes_of
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.outputs import check_outputs
from onnxyard.tensors.dtypes import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

PROVIDER = "interpreter"
SUFFIX = ".tgz"


class Nnef:
    """The `Runtime` port over NNEF's interpreter. The recipe `nnef` makes what it reads.

    Attributes:
        interpreted: Its latency says nothing about the model's anywhere else.
    """

    options: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    numeric: ClassVar[frozenset[str]] = frozenset()
    interpreted: ClassVar[bool] = True

    def load(
        self, model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS
    ) -> NnefModel:
        """Load an archive whose digest was verified; `signature.json` lies beside it.

        Args:
            model_file: The `.tgz` file, as the standard has it: `graph.nnef` and its variables.
            provider: `interpreter`.
            threads: PyTorch's, while the model runs; 0 leaves them as they are.
            options: There are none.

        Raises:
            UnsupportedModelError: it is an ONNX file, the provider is not verified, or the interpreter lacks an
                operation.
            ArtifactCorruptError: the archive or what lies beside it is missing, cut short or something else.
            InvalidRequestError: an option was given.
            MissingExtraError: NNEF is not installed.
        """
        if provider != PROVIDER:
            raise UnsupportedModelError(
                f"The provider {provider!r} is not verified for NNEF.", remedy=f"Verified: {PROVIDER}."
            )
        settled(self.options, options, of="NNEF's interpreter")
        interpreter = _package()
        if model_file.suffix == ".onnx":
            raise UnsupportedModelError(
                "NNEF's interpreter does not read ONNX: it runs archives of NNEF's own.",
                where=str(model_file),
                remedy="Make one with the recipe 'nnef'.",
            )
        form = CompiledForm.read(model_file)
        with TemporaryDirectory() as scratch:
            try:
                with tarfile.open(model_file, "r:gz") as archive:
                    archive.extractall(scratch, filter="data")
                with _alone(0):
                    model = interpreter.Interpreter(scratch, device="cpu")
            except Exception as error:  # a parser of its own, tar, zlib and numpy: each has its errors
                raise ArtifactCorruptError(
                    f"This is not an archive of NNEF's: {_gist(error)}", where=str(model_file)
                ) from error
        return NnefModel(model, form, threads)

    def placement(
        self,
        model_file: Path,
        *,
        provider: str,
        threads: int,
        options: Mapping[str, str] = NO_OPTIONS,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, int]:
        """Run once; the interpreter executes every operation. Raises as `load` and `NnefModel.run`."""
        model = self.load(model_file, provider=provider, threads=threads, options=options)
        model.run(inputs)
        return {model.provider: model.form.nodes}


class NnefModel:
    """A `LoadedModel` over one interpreter. Many threads may call `run`; they wait for one another."""

    def __init__(self, interpreter: Any, form: CompiledForm, threads: int) -> None:  # noqa: ANN401 - untyped package
        self.form = form
        self._interpreter = interpreter
        self._threads = threads

    @property
    def signature(self) -> Signature:
        return self.form.signature

    @property
    def runtime(self) -> str:
        return f"nnef {version()}"

    @property
    def provider(self) -> str:
        return PROVIDER

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name. NNEF's shapes are fixed: a graph of one row is run once for each.

        Raises:
            InvalidRequestError: a wrong name, dtype or shape.
            UnsupportedModelError: the interpreter lacks an operation, or fails.
        """
        check_inputs(self.signature, inputs)
        given = [np.array(inputs[spec.name]) for spec in self.signature.inputs]
        try:
            with _alone(self._threads):
                if self.form.rows is None:
                    answered = self._answer(given)
                else:
                    step, rows = self.form.rows, len(given[0])
                    parts = [self._answer([each[at : at + step] for each in given]) for at in range(0, rows, step)]
                    answered = [np.concatenate(each) for each in zip(*parts, strict=True)]
            outputs = {
                spec.name: values.astype(numpy_dtype(spec.dtype))
                for spec, values in zip(self.signature.outputs, answered, strict=True)
            }
        except (AssertionError, RuntimeError, ValueError, TypeError, LookupError) as error:  # operations in Python
            raise UnsupportedModelError(
                f"NNEF's interpreter fails on inputs of the shapes {shapes_of(inputs)}: {_gist(error)}"
            ) from error
        check_outputs(self.signature, inputs, outputs)
        return outputs

    def _answer(self, given: list[np.ndarray]) -> list[np.ndarray]:
        return list(self._interpreter(given).values())


def version() -> str:
    """Of nnef_tools, which converts and interprets."""
    return metadata.version("nnef-tools")


_LOCK = threading.Lock()


@contextmanager
def _alone(threads: int) -> Iterator[None]:
    """One interpreter at a time: PyTorch's threads and Python's filters of warnings are the whole process's."""
    import torch  # noqa: PLC0415 - the `nnef` extra

    with _LOCK, warnings.catch_warnings():
        # Its slices are lists of slices; PyTorch still takes them as meant.
        warnings.filterwarnings("ignore", message="Using a non-tuple sequence for multidimensional indexing")
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _package() -> Any:  # noqa: ANN401 - untyped package
    try:
        from nnef_tools.interpreter import pytorch  # noqa: PLC0415 - the `nnef` extra
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "NNEF's tools are not installed.", remedy="Install them with: pip install 'onnxyard[nnef]'", extra="nnef"
        ) from error
    return pytorch


def _gist(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
