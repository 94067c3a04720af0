"""IREE: modules that its compiler made of a model ahead of time, run by its small virtual machine."""

from __future__ import annotations

import threading
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from onnxyard.errors import ArtifactCorruptError, MissingExtraError, UnsupportedModelError
from onnxyard.ports.runtime import NO_OPTIONS
from onnxyard.runtimes.compiled_form import CompiledForm
from onnxyard.runtimes.inputs import check_inputs, shapes_of
from onnxyard.runtimes.machine import usable_cores
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.outputs import check_outputs
from onnxyard.runtimes.processor import Processor
from onnxyard.tensors.dtypes import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

PROVIDER = "llvm-cpu"
SUFFIX = ".vmfb"


class Iree:
    """The `Runtime` port over IREE's runtime. The recipe `iree` makes what it reads."""

    options: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    numeric: ClassVar[frozenset[str]] = frozenset()

    def load(
        self, model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS
    ) -> IreeModel:
        """Load a module whose digest was verified; `signature.json` lies beside it.

        Args:
            model_file: The `.vmfb` file. Its pages are mapped: it must stay in place.
            provider: `llvm-cpu`.
            threads: 1 computes on the calling thread. More are IREE's own, which the whole process shares: the first
                model loaded settles how many. 0 takes one per core that this process may keep busy.
            options: There are none.

        Raises:
            UnsupportedModelError: it is an ONNX file; it was compiled for another processor, or for another version of
                IREE; the process has another number of IREE's threads already; the provider is not verified.
            ArtifactCorruptError: the module or what lies beside it is missing, cut short or something else.
            InvalidRequestError: an option was given.
            MissingExtraError: IREE is not installed.
        """
        if provider != PROVIDER:
            raise UnsupportedModelError(
                f"The target {provider!r} is not verified for IREE.", remedy=f"Verified: {PROVIDER}."
            )
        settled(self.options, options, of="IREE")
        runtime = _package()
        if model_file.suffix == ".onnx":
            raise UnsupportedModelError(
                "IREE does not read ONNX: it runs modules that its compiler made.",
                where=str(model_file),
                remedy="Make one with the recipe 'iree'.",
            )
        form = CompiledForm.read(model_file)
        _check_home(form, model_file)
        device = _DEVICES.device(runtime, threads or usable_cores())
        try:
            instance = runtime.VmInstance()
            module = runtime.VmModule.mmap(instance, str(model_file))
            context = runtime.VmContext(instance, [runtime.create_hal_module(instance, device), module])
            entry = next(name for name in module.function_names if not name.startswith("__") and "$" not in name)
            invoke = runtime.FunctionInvoker(context, device, module.lookup_function(entry))
        except (ValueError, RuntimeError, OSError, StopIteration) as error:
            raise ArtifactCorruptError(
                f"This is not a module of IREE's: {_gist(error)}", where=str(model_file)
            ) from error
        return IreeModel(invoke, form)

    def placement(
        self,
        model_file: Path,
        *,
        provider: str,
        threads: int,
        options: Mapping[str, str] = NO_OPTIONS,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, int]:
        """Run once; every node of the ONNX graph was compiled for the one provider, there is nothing to fall back to.

        Raises as `load` and `IreeModel.run`.
        """
        model = self.load(model_file, provider=provider, threads=threads, options=options)
        model.run(inputs)
        return {model.provider: model.form.nodes}


class IreeModel:
    """A `LoadedModel` over one context of IREE's virtual machine, which many threads may enter at once."""

    def __init__(self, invoke: Any, form: CompiledForm) -> None:  # noqa: ANN401 - untyped package
        self.form = form
        self._invoke = invoke

    @property
    def signature(self) -> Signature:
        return self.form.signature

    @property
    def runtime(self) -> str:
        return f"iree {version()}"

    @property
    def provider(self) -> str:
        return PROVIDER

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: a wrong name, dtype or shape; or a value that is an index outside of its table, which
                compiled code would follow into foreign memory.
            UnsupportedModelError: the module fails on inputs that its signature allows.
        """
        # Compiled code takes whatever it is given, 5 columns for 4 too: nobody asks after this.
        check_inputs(self.signature, inputs)
        self.form.check_ranges(inputs)
        given = [np.ascontiguousarray(inputs[spec.name]) for spec in self.signature.inputs]
        try:
            answered = self._invoke(*given)
        except (ValueError, RuntimeError, LookupError) as error:  # what IREE's status codes become in Python
            raise UnsupportedModelError(
                f"The model fails on inputs of the shapes {shapes_of(inputs)}: {_gist(error)}"
            ) from error
        values = answered if isinstance(answered, tuple) else (answered,)
        outputs = {
            spec.name: _owned(value.to_host(), numpy_dtype(spec.dtype))
            for spec, value in zip(self.signature.outputs, values, strict=True)
        }
        check_outputs(self.signature, inputs, outputs)
        return outputs


def version() -> str:
    """IREE's: a module is for the runtime of its compiler's version."""
    return metadata.version("iree-base-runtime")


class _Devices:
    """The devices of this process. IREE keeps one task system per process, with the threads it was first made with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: int | None = None

    def device(self, runtime: Any, threads: int) -> Any:  # noqa: ANN401 - untyped package
        if threads == 1:
            return runtime.get_device("local-sync")
        with self._lock:
            if self._threads is None:
                # Read once, when the driver is made.
                runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
                self._threads = threads
            if self._threads != threads:
                raise UnsupportedModelError(
                    f"IREE's threads are the whole process's: here they are {self._threads}, "
                    f"and {threads} are asked for.",
                    remedy="Load all models of one process with the same number of threads, or with 1.",
                )
            return runtime.get_device("local-task")


_DEVICES = _Devices()


def _package() -> Any:  # noqa: ANN401 - untyped package
    try:
        import iree.runtime  # noqa: PLC0415 - the `iree` extra
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "IREE is not installed.", remedy="Install it with: pip install 'onnxyard[iree]'", extra="iree"
        ) from error
    return iree.runtime


def _check_home(form: CompiledForm, model_file: Path) -> None:
    if form.tool != f"iree {version()}":
        raise UnsupportedModelError(
            f"The module was compiled by {form.tool}, and this is iree {version()}: it reads its own version's only.",
            where=str(model_file),
            remedy="Compile the model again, or install that version.",
        )
    if form.processor and (objection := form.processor.objection(Processor.here())):
        raise UnsupportedModelError(
            f"The module does not run on this processor: {objection}.",
            where=str(model_file),
            remedy="Compile the model on this machine.",
        )


def _owned(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy, which the next call leaves alone; unsigned integers come back as signed ones of the same bits."""
    copy = np.array(array)
    return copy if copy.dtype == dtype else copy.view(dtype)


def _gist(error: Exception) -> str:
    """IREE's messages begin with its own source lines and end with a stack of its virtual machine."""
    words = str(error).split("; while ")[0]
    return words.rpartition(".c:")[2].partition(": ")[2].strip() or words or type(error).__name__
